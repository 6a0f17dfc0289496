"""Warnings that hold for the city: the newest bulletin of each kind, believed while its feed is heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, insert, select

from citymap.errors import BadInputError
from citymap.live import feed_state, feeds, jma, overrides
from citymap.live.levels import FUTURE_S
from citymap.store.tables import BULLETINS, now

if TYPE_CHECKING:
    from sqlalchemy import Row

    from citymap.live.feeds import Feed
    from citymap.live.jma import Document
    from citymap.live.overrides import Override
    from citymap.store import Store
    from citymap.workspace import Workspace

State = Literal["in_force", "lifted", "unknown"]
LONGEST = timedelta(hours=72)  # a bulletin that nobody renewed for so long says nothing
REAL = "通常"  # not 訓練, not 試験
WITHDRAWN = "取消"


@dataclass(frozen=True, slots=True)
class Warned:
    """One hazard of one area. `level` and `name` while it is in force; `last_level` however old.

    `why` of `unknown`: `stale` (the feed is silent), `old`, `withdrawn` (取消: what held before is
    not said), `doubted` (staff).
    """

    hazard: str
    area_code: str
    area_name: str
    state: State
    level: int | None
    name: str
    reported_at: datetime
    age_s: float
    last_level: int | None
    last_name: str
    headline: str
    office: str
    why: str = ""
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class Warnings:
    """All of them, and when the feeds were last heard; `known` False: nobody can say, not "none"."""

    listed: tuple[Warned, ...] = ()
    configured: bool = False
    known: bool = False
    checked_at: datetime | None = None
    fresh_until: datetime | None = None

    @property
    def in_force(self) -> tuple[Warned, ...]:
        """Those that hold, the highest first."""
        held = (w for w in self.listed if w.state == "in_force")
        return tuple(sorted(held, key=lambda w: (-(w.level or 0), w.hazard, w.area_name)))


def subject(hazard: str, area_code: str) -> str:
    """The name of a warning among `overrides`."""
    return f"warning:{hazard}:{area_code}"


def concerns(feed: Feed, document: Document, city_code: str) -> tuple[set[str] | None, bool]:
    """Which areas of a document concern the city (None: all), and whether any does.

    A river's forecast does where it names the town or a river of the feed's `rivers`; a list of
    towns where it holds one of the feed's `areas` (default: the city, by its code).
    """
    towns = set(feed.areas) or {f"{city_code[:5]}00"}
    if document.kind == "river":
        return None, bool(document.towns & towns or document.rivers & set(feed.rivers))
    there = {i.area_code for i in document.items} & towns
    return there, bool(there)


def seen(store: Store, feed: Feed, documents: list[str]) -> set[str]:
    """Those of the documents that were read before."""
    query = select(BULLETINS.c.document).where(
        BULLETINS.c.document.in_([d[:512] for d in documents]), BULLETINS.c.feed == feed.id
    )
    with store.read() as connection:
        return set(connection.execute(query).scalars())


def record(
    store: Store, feed: Feed, document: Document, *, source: str, city_code: str,
    at: datetime | None = None,
) -> int:  # fmt: skip
    """Keep what a bulletin says of the city; returns how many areas that were.

    Raises:
        BadInputError: it is dated in the future, or has a code for the city that is not known.
    """
    at = at or now()
    if (document.reported_at - at).total_seconds() > FUTURE_S:
        raise BadInputError("live_future", place=source, time=document.reported_at.isoformat())
    only, ours = concerns(feed, document, city_code)
    if not ours:
        return 0
    strange = [i for i in document.items if i.level == jma.UNREAD]
    if strange:
        raise BadInputError("jma_code", place=source, code=strange[0].code)
    rows = [
        {
            "document": source[:512], "kind": document.kind, "hazard": i.hazard,
            "area_code": i.area_code, "area_name": i.area_name, "level": i.level, "code": i.code,
            "name": i.name, "info_type": document.info_type[:8], "status": document.status[:8],
            "headline": document.headline[:2000], "office": document.office[:500],
            "reported_at": document.reported_at, "received_at": at, "feed": feed.id,
        }
        for i in document.items if only is None or i.area_code in only
    ]  # fmt: skip
    if rows:
        with store.write() as connection:
            connection.execute(insert(BULLETINS), rows)
    return len(rows)


def current(store: Store, workspace: Workspace, *, at: datetime | None = None) -> Warnings:
    """What holds at a moment (default: now).

    Raises:
        CitymapError: the feeds or the store cannot be read.
    """
    at = at or datetime.now(UTC)
    listed = [f for f in feeds.feeds(workspace) if f.kind == "warnings"]
    states = feed_state.states(store)
    asked = {f.id: states[f.id].ok_at for f in listed if f.id in states}
    heard = {i: ok_at for i, ok_at in asked.items() if ok_at is not None}  # fmt: skip
    until = {f.id: heard[f.id] + timedelta(minutes=f.stale_min) for f in listed if f.id in heard}
    said = overrides.current(store, at)
    found: dict[tuple[str, str], Warned] = {}
    for row in _newest(store, at):
        fresh = row.feed in until and at < until[row.feed]
        one = _warned(row, said.get(subject(row.hazard, row.area_code)), at, heard=fresh)
        key = (one.hazard, one.area_code)
        if key not in found or _rank(one) > _rank(found[key]):
            found[key] = one
    return Warnings(
        tuple(found.values()),
        configured=bool(listed),
        known=bool(listed) and all(f.id in until and at < until[f.id] for f in listed),
        checked_at=min(heard.values(), default=None) if len(heard) == len(listed) else None,
        fresh_until=min(until.values(), default=None) if len(until) == len(listed) else None,
    )


def recent(store: Store, limit: int = 50) -> list[Row[Any]]:
    """The bulletins as they came, drills and tests too, newest first."""
    with store.read() as connection:
        query = select(BULLETINS).order_by(BULLETINS.c.seq.desc()).limit(limit)
        return list(connection.execute(query))


def _newest(store: Store, at: datetime) -> list[Row[Any]]:
    """The last real bulletin of every kind, hazard and area that was reported by then."""
    keys = [BULLETINS.c.kind, BULLETINS.c.hazard, BULLETINS.c.area_code]
    real = [
        BULLETINS.c.status == REAL, BULLETINS.c.reported_at > at - 2 * LONGEST,
        BULLETINS.c.reported_at <= at + timedelta(seconds=FUTURE_S),
    ]  # fmt: skip
    moment = (
        select(*keys, func.max(BULLETINS.c.reported_at).label("reported_at"))
        .where(*real).group_by(*keys).subquery()
    )  # fmt: skip
    query = (
        select(BULLETINS)
        .join(moment, (BULLETINS.c.kind == moment.c.kind)
              & (BULLETINS.c.hazard == moment.c.hazard)
              & (BULLETINS.c.area_code == moment.c.area_code)
              & (BULLETINS.c.reported_at == moment.c.reported_at))
        .where(*real).order_by(BULLETINS.c.seq)
    )  # fmt: skip
    with store.read() as connection:
        rows = connection.execute(query).all()
    return list({(r.kind, r.hazard, r.area_code): r for r in rows}.values())


def _warned(row: Row[Any], said: Override | None, at: datetime, *, heard: bool) -> Warned:
    why = (
        "withdrawn" if row.info_type == WITHDRAWN
        else "stale" if not heard
        else "old" if at - row.reported_at > LONGEST
        else ""
    )  # fmt: skip
    level, name = row.level, row.name
    if said is not None and said.state == "unknown":
        why = "doubted"
    elif said is not None and said.state == "level":
        why, level = "", None if said.value is None else int(said.value)
        name = jma.tables()["names"].get(row.hazard, {}).get(str(level), "")
    state: State = "unknown" if why else "lifted" if level is None else "in_force"
    return Warned(
        row.hazard, row.area_code, row.area_name, state,
        level if state == "in_force" else None, name if state == "in_force" else "",
        row.reported_at, max(0.0, (at - row.reported_at).total_seconds()), row.level, row.name,
        row.headline, row.office, why, said,
    )  # fmt: skip


def _rank(one: Warned) -> tuple[int, int]:
    """Of two kinds that speak of the same hazard and area the higher counts; doubt before "lifted"."""
    order = {"lifted": 0, "unknown": 1, "in_force": 2}[one.state]
    return order, one.level or one.last_level or 0
