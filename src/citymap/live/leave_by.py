"""The release of 退避期限 to the public: one at a time, a copy that stays as it was, until it is taken back."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import insert, select

from citymap.errors import BadInputError
from citymap.store import audit
from citymap.store.tables import LEAVE_BY_RELEASES, now
from citymap.workspace import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.store import Store
    from citymap.workspace import Workspace

COLUMNS = ("building_id", "mobility", "leave_by_h", "shelter_id", "route_length_m")
LAPSES_H = (
    24.0  # after the last time limit: a release that everybody forgot must not stand for ever
)
MAX_MARGIN_MIN = 24 * 60
MAX_TITLE = 200


@dataclass(frozen=True, slots=True)
class Release:
    """What staff released: `start` is the moment that hour 0 of the result stands for.

    `drill`: released while a drill was on, and said to be one. Nobody is told of it after
    `lapses_at`. `sha256` is that of the copy.
    """

    release_id: str
    name: str
    scenario: str
    start: datetime
    margin_min: float
    mobility: tuple[str, ...]
    drill: bool
    sha256: str
    lapses_at: datetime
    at: datetime
    actor: str


def results(workspace: Workspace) -> dict[str, Path]:
    """Results of `citymap evacuate leave-by` below `scenarios/`, by the name of the folder there."""
    found = sorted((workspace.root / "scenarios").glob("*/**/leave_by.parquet"))
    return {p.relative_to(workspace.root / "scenarios").parts[0]: p for p in found}


def about(path: Path) -> dict[str, Any]:
    """What `leave_by.json` beside a result says of it; empty where there is none."""
    try:
        said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def copy_of(workspace: Workspace, release_id: str) -> Path:
    """Where the copy of a release lies."""
    return workspace.root / "live" / f"leave_by-{release_id}.parquet"


def release(
    workspace: Workspace, store: Store, name: str, *, start: datetime, margin_min: float,
    scenario: str = "", drill: bool = False, by: str,
) -> Release:  # fmt: skip
    """Let the public see the time limits of a result; what was released before no longer counts.

    Raises:
        BadInputError: no such result, it cannot be read, or the start or margin cannot be.
    """
    path = results(workspace).get(name)
    if path is None:
        raise BadInputError("leave_by_none", place=name)
    if start.tzinfo is None:
        raise BadInputError("leave_by_start", place=start.isoformat())
    if not 0 <= margin_min <= MAX_MARGIN_MIN:
        raise BadInputError("leave_by_margin", place=str(margin_min))
    title = (scenario or str(about(path).get("name") or "") or name).strip()[:MAX_TITLE]
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as e:
        raise BadInputError("leave_by_unreadable", place=name, reason=e) from e
    hours = table["leave_by_h"].to_numpy().astype(float)
    if not len(hours):
        raise BadInputError("leave_by_unreadable", place=name, reason="0 rows")
    last = float(np.max(hours[np.isfinite(hours)], initial=0.0))
    classes = tuple(dict.fromkeys(table["mobility"].to_pylist()))
    release_id = secrets.token_hex(8)
    target = copy_of(workspace, release_id)
    with replacing(target) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    row: dict[str, Any] = {
        "release_id": release_id, "name": name[:200], "scenario": title,
        "start": start.astimezone(UTC), "margin_min": float(margin_min), "mobility": list(classes),
        "drill": drill, "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "lapses_at": start.astimezone(UTC) + timedelta(hours=last + LAPSES_H), "at": now(),
        "actor": by[:128],
    }  # fmt: skip
    with store.write() as connection:
        connection.execute(insert(LEAVE_BY_RELEASES).values(**row))
        audit.record(
            connection, actor=by, action="leave_by.release", subject=release_id, name=name,
            scenario=title, start=row["start"].isoformat(), margin_min=float(margin_min),
            drill=drill, sha256=row["sha256"],
        )  # fmt: skip
    _forget(workspace, release_id)
    return Release(**{**row, "mobility": classes})


def take_back(workspace: Workspace, store: Store, *, by: str) -> None:
    """From now on nothing is released."""
    found = _last(store)
    if found is None:
        return
    row: dict[str, Any] = {
        "release_id": "", "name": "", "scenario": "", "start": None, "margin_min": 0.0,
        "mobility": [], "drill": False, "sha256": "", "lapses_at": None, "at": now(),
        "actor": by[:128],
    }  # fmt: skip
    with store.write() as connection:
        connection.execute(insert(LEAVE_BY_RELEASES).values(**row))
        audit.record(connection, actor=by, action="leave_by.take_back", subject=found.release_id)
    _forget(workspace, "")


def current(store: Store, at: datetime | None = None) -> Release | None:
    """What is released now; None where nothing is, or it has lapsed.

    Raises:
        StoreError: the store cannot be asked.
    """
    found = _last(store)
    return found if found is not None and (at or datetime.now(UTC)) < found.lapses_at else None


def history(store: Store, limit: int = 50) -> list[tuple[datetime, str, Release | None]]:
    """When, who, and what (None: taken back), newest first."""
    query = select(LEAVE_BY_RELEASES).order_by(LEAVE_BY_RELEASES.c.seq.desc()).limit(limit)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [(row.at, row.actor, _release(row)) for row in rows]


def table_of(workspace: Workspace, found: Release) -> pa.Table | None:
    """The released rows; None where the copy is gone or is not the one that was released."""
    path = copy_of(workspace, found.release_id)
    try:
        body = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(body).hexdigest() != found.sha256:
        return None
    return pq.read_table(pa.BufferReader(body), columns=list(COLUMNS))


def _last(store: Store) -> Release | None:
    query = select(LEAVE_BY_RELEASES).order_by(LEAVE_BY_RELEASES.c.seq.desc()).limit(1)
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _release(row)


def _release(row: Any) -> Release | None:
    if not row.release_id:
        return None
    return Release(
        row.release_id, row.name, row.scenario, row.start, row.margin_min, tuple(row.mobility),
        row.drill, row.sha256, row.lapses_at, row.at, row.actor,
    )  # fmt: skip


def _forget(workspace: Workspace, kept: str) -> None:
    """Remove the copies of what no longer counts."""
    for path in (workspace.root / "live").glob("leave_by-*.parquet"):
        if path != copy_of(workspace, kept):
            path.unlink(missing_ok=True)
