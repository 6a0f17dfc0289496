"""Who did what when: rows that can only be added, each sealed with the one before."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from citymap.store.engine import Store
from citymap.store.tables import AUDIT, now

SYSTEM = "system"
COLUMNS = ("seq", "at", "actor", "action", "subject", "detail", "digest")
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `action` is `<area>.<verb>`, `subject` what it was done to."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the time as RFC 3339."""
        return {
            "seq": self.seq, "at": self.at.isoformat(), "actor": self.actor,
            "action": self.action, "subject": self.subject, "detail": dict(self.detail),
            "digest": self.digest,
        }  # fmt: skip


def _digest(before: str, row: Mapping[str, Any]) -> str:
    said = json.dumps(
        [before, row["seq"], row["at"].isoformat(), row["actor"], row["action"], row["subject"],
         row["detail"]],
        ensure_ascii=False, sort_keys=True,
    )  # fmt: skip
    return hashlib.sha256(said.encode()).hexdigest()


def record(
    connection: Connection, *, actor: str, action: str, subject: str = "", **detail: object
) -> None:
    """Add a row in the transaction of the deed itself, so that neither is there without the other.

    `detail` holds plain JSON values and no personal data.
    """
    last = connection.execute(
        select(AUDIT.c.seq, AUDIT.c.digest).order_by(AUDIT.c.seq.desc()).limit(1)
    ).first()
    seq, before = (last.seq, last.digest) if last else (0, "")
    row: dict[str, Any] = {
        "seq": seq + 1, "at": now(), "actor": actor[:128], "action": action,
        "subject": subject[:512], "detail": detail,
    }  # fmt: skip
    connection.execute(AUDIT.insert().values(**row, digest=_digest(before, row)))


def entries(
    store: Store, *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Entry]:
    """The rows in order, read in batches."""
    seen = 0
    while True:
        query = select(AUDIT).where(AUDIT.c.seq > seen).order_by(AUDIT.c.seq).limit(_BATCH)
        if since is not None:
            query = query.where(AUDIT.c.at >= since)
        if until is not None:
            query = query.where(AUDIT.c.at < until)
        with store.read() as connection:
            rows = connection.execute(query).mappings().all()
        if not rows:
            return
        for row in rows:
            yield Entry(**row)
        seen = rows[-1]["seq"]


def newest(store: Store, limit: int = 200) -> list[Entry]:
    """The last rows, newest first."""
    query = select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(limit)
    with store.read() as connection:
        return [Entry(**row) for row in connection.execute(query).mappings()]


def broken_at(store: Store) -> int | None:
    """The number of the first row whose seal does not fit (changed, or a row before it removed)."""
    before, expected = "", 1
    for entry in entries(store):
        row = {name: getattr(entry, name) for name in COLUMNS}
        if entry.seq != expected or entry.digest != _digest(before, row):
            return entry.seq
        before, expected = entry.digest, expected + 1
    return None


def written(form: Literal["csv", "jsonl"], listed: Iterator[Entry]) -> Iterator[str]:
    """The rows as text: CSV with a head (for spreadsheets), or one JSON object a line."""
    if form == "jsonl":
        for entry in listed:
            yield json.dumps(entry.as_dict(), ensure_ascii=False) + "\n"
        return
    yield "\ufeff" + ",".join(COLUMNS) + "\r\n"
    for entry in listed:
        line = io.StringIO()
        values = entry.as_dict()
        values["detail"] = json.dumps(values["detail"], ensure_ascii=False)
        csv.writer(line).writerow([_plain(values[name]) for name in COLUMNS])
        yield line.getvalue()


def _plain(value: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in set("=+-@\t\r＝＋－＠"):
        return "'" + value
    return value
