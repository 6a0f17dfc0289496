"""The daily summary of reports for the headquarters' board: made at a set hour, kept as a file."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from citymap.assess.report_board import districts_of
from citymap.assess.selection_files import guarded
from citymap.i18n import t
from citymap.reports import desk
from citymap.reports.categories import in_force
from citymap.reports.desk import Filter
from citymap.reports.model import OPEN, Report
from citymap.store.tables import now
from citymap.workspace import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.store import Store
    from citymap.workspace import Workspace

JAPAN = timezone(timedelta(hours=9), "JST")
ALL = 1_000_000
_NOT_REAL = frozenset({"merged", "rejected"})


@dataclass(frozen=True, slots=True)
class Line:
    """One district and category: reports of the day, and those of any day that are still open."""

    district: str
    category: str
    received: int
    open: int


@dataclass(frozen=True, slots=True)
class Board:
    """A summary of 24 hours; times are RFC 3339. It holds counts alone, nothing of a person."""

    day: str
    since: str
    until: str
    made_at: str
    lines: tuple[Line, ...]
    states: dict[str, int]  # of the day's reports
    waiting: int
    oldest: str | None  # when the oldest open report was received


def folder(workspace: Workspace) -> Path:
    """Where the boards are kept."""
    return workspace.root / "live" / "boards"


def due(store: Store, workspace: Workspace, at: datetime, hour: int) -> str | None:
    """The day (Japan) whose board is to be made now; None where it is made or nothing happened.

    A board that was missed (the machine was off at `hour`) is made late, for the same 24 hours.
    """
    until = _last(at, hour)
    day = until.date().isoformat()
    if (folder(workspace) / f"{day}.json").is_file():
        return None
    there = desk.count(store, Filter(since=until - timedelta(days=1), until=until))
    return day if there or desk.count(store, Filter(statuses=tuple(OPEN))) else None


def _last(at: datetime, hour: int) -> datetime:
    """The last time that a clock in Japan showed `hour`."""
    local = at.astimezone(JAPAN)
    today = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today <= local else today - timedelta(days=1)


def make(store: Store, workspace: Workspace, day: str, hour: int) -> Board:
    """Count and keep the board of a day (the 24 hours until its `hour`).

    Raises:
        StoreError: the store cannot be read.
    """
    until = datetime.combine(date.fromisoformat(day), datetime.min.time(), JAPAN)
    until = until.replace(hour=hour)
    since = until - timedelta(days=1)
    of_day = desk.listed(store, Filter(since=since, until=until), limit=ALL)
    still = desk.listed(store, Filter(statuses=tuple(sorted(OPEN)), until=until), limit=ALL)
    received = _counted(workspace, [r for r in of_day if r.status not in _NOT_REAL])
    open_ones = _counted(workspace, still)
    order = sorted(received | open_ones, key=lambda k: (-open_ones[k], -received[k], k))
    oldest = min((r.received_at for r in still), default=None)
    board = Board(
        day, since.isoformat(), until.isoformat(), now().isoformat(timespec="seconds"),
        tuple(Line(*key, received[key], open_ones[key]) for key in order),
        dict(Counter(r.status for r in of_day)), len(still),
        oldest.isoformat() if oldest else None,
    )  # fmt: skip
    text = json.dumps(asdict(board), ensure_ascii=False, indent=1)
    with replacing(folder(workspace) / f"{day}.json") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return board


def _counted(workspace: Workspace, reports: Sequence[Report]) -> Counter[tuple[str, str]]:
    names = districts_of(workspace, reports) if reports else []
    return Counter((name, r.category) for name, r in zip(names, reports, strict=True))


def kept(workspace: Workspace) -> list[Board]:
    """The boards there are, the newest first; a file that cannot be read is left out."""
    found = []
    for path in sorted(folder(workspace).glob("*.json"), reverse=True):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            lines = tuple(Line(**line) for line in data.pop("lines"))
            found.append(Board(lines=lines, **data))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def as_csv(board: Board, workspace: Workspace, lang: str) -> bytes:
    """The board as a table for a spreadsheet (UTF-8 with BOM); no cell is a formula."""
    listed, out = in_force(workspace), io.StringIO()
    sheet = csv.writer(out)
    sheet.writerow([t(f"board.{c}", lang) for c in ("district", "category", "received", "open")])
    for line in board.lines:
        name = line.district or t("board.elsewhere", lang)
        title = listed.title(line.category, lang)
        sheet.writerow([guarded(name), guarded(title), line.received, line.open])
    total = sum(line.received for line in board.lines)
    sheet.writerow([t("board.total", lang), "", total, board.waiting])
    return ("\ufeff" + out.getvalue()).encode()
