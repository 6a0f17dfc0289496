"""Water levels of the city's gauges, each with its age; what is old or in doubt is unknown, never low."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import delete, insert, literal, select, union_all

from citymap.live import overrides
from citymap.live.stations import Station, stations
from citymap.store.tables import READINGS, now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Row

    from citymap.live.overrides import Override
    from citymap.store import Store
    from citymap.workspace import Workspace

State = Literal["unknown", "unrated", "below", "standby", "caution", "evacuation", "danger"]
STATES = ("standby_m", "caution_m", "evacuation_m", "danger_m")
FUTURE_S = 300.0  # clocks of gauges run a little ahead; more is a wrong clock
ABOVE_DANGER_M = 15.0  # no Japanese river rose this far above its highest threshold: a wrong unit
BELOW_STANDBY_M = 60.0
DEEPEST_STREET_M = 30.0
HIGHEST_GAUGE_M = 2_500.0
KEPT_DAYS = 92
AT_ONCE = 400  # gauges in one statement: SQLite joins at most 500


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gauge said: metres on its own scale; None where it said that it has no value."""

    station_id: str
    observed_at: datetime
    value_m: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """A gauge as it stands at a moment.

    `state` is the highest threshold reached (`below`: none; `unrated`: none is published;
    `unknown`: nobody can say). `value_m` is None while unknown; `last_m` is the last word however
    old it is, for staff. `fresh_until` is when the value stops counting. `why` says what makes it
    unknown: `never`, `stale`, `missing` (the gauge itself), `doubted` (staff).
    """

    station: Station
    state: State
    value_m: float | None
    observed_at: datetime | None
    fresh_until: datetime | None
    age_s: float | None
    rise_m_h: float | None = None
    last_m: float | None = None
    why: str = ""
    override: Override | None = None


def subject(station_id: str) -> str:
    """The name of a gauge among `overrides`."""
    return f"station:{station_id}"


def latest(store: Store, workspace: Workspace, *, at: datetime | None = None) -> list[Level]:
    """Every gauge of the city's list as it stands at a moment (default: now), by river and name.

    Raises:
        CitymapError: the list or the store cannot be read.
    """
    listed = stations(workspace)
    return of_stations(store, listed.values(), at=at) if listed else []


def of_stations(
    store: Store, listed: Iterable[Station], *, at: datetime | None = None
) -> list[Level]:
    """The same for a list of gauges."""
    at = at or datetime.now(UTC)
    said = overrides.current(store, at)
    listed = sorted(listed, key=lambda s: (s.river, s.name, s.station_id))
    ids = [s.station_id for s in listed]
    newest = _newest(store, ids)
    before = _newest(store, ids, at - timedelta(minutes=50)) if newest else {}
    return [
        _level(s, newest.get(s.station_id), before.get(s.station_id),
               said.get(subject(s.station_id)), at)
        for s in listed
    ]  # fmt: skip


def rated(station: Station, value_m: float) -> State:
    """The highest threshold that is reached; a threshold that is not published cannot be."""
    published = station.thresholds
    if not published:
        return "unrated"
    reached = [name for name in STATES if name in published and value_m >= published[name]]
    return reached[-1].removesuffix("_m") if reached else "below"  # type: ignore[return-value]


def plausible(station: Station, value_m: float) -> bool:
    """Whether a level in metres can be: centimetres taken for metres, or a code for "none", cannot."""
    if not math.isfinite(value_m):
        return False
    if station.kind == "inundation":
        return -1.0 <= value_m <= DEEPEST_STREET_M
    levels = list(station.thresholds.values())
    if not levels:
        return -50.0 <= value_m <= HIGHEST_GAUGE_M
    return levels[0] - BELOW_STANDBY_M <= value_m <= levels[-1] + ABOVE_DANGER_M


def record(
    store: Store, readings: Iterable[Reading], known: dict[str, Station], *, feed: str,
    at: datetime | None = None,
) -> tuple[int, dict[str, int]]:  # fmt: skip
    """Keep what is new: how many readings were taken, and how many refused by reason.

    Reasons: `unknown_station`, `future` (a clock that is wrong), `implausible` (a unit that is
    wrong), `old` (older than what is kept).
    """
    at = at or now()
    newest = _newest(store, known)
    refused: dict[str, int] = {}
    taken: dict[tuple[str, datetime], dict[str, Any]] = {}
    for one in readings:
        station = known.get(one.station_id)
        why = (
            "unknown_station" if station is None
            else "future" if (one.observed_at - at).total_seconds() > FUTURE_S
            else "old" if at - one.observed_at > timedelta(days=KEPT_DAYS)
            else "implausible" if one.value_m is not None and not plausible(station, one.value_m)
            else ""
        )  # fmt: skip
        if why:
            refused[why] = refused.get(why, 0) + 1
            continue
        last = newest.get(one.station_id)
        same = last is not None and (last.observed_at, last.value_m) == (
            one.observed_at.astimezone(UTC),
            one.value_m,
        )
        if same or (last is not None and one.observed_at < last.observed_at):
            continue
        taken[one.station_id, one.observed_at] = {
            "station_id": one.station_id, "observed_at": one.observed_at, "value_m": one.value_m,
            "received_at": at, "feed": feed,
        }  # fmt: skip
    if taken:
        with store.write() as connection:
            connection.execute(insert(READINGS), list(taken.values()))
    return len(taken), refused


def history(store: Store, station_id: str, *, since: datetime, limit: int = 5000) -> list[Reading]:
    """What a gauge said since a moment, oldest first; of two words on one moment the later."""
    query = (
        select(READINGS)
        .where(READINGS.c.station_id == station_id, READINGS.c.observed_at >= since)
        .order_by(READINGS.c.observed_at, READINGS.c.seq)
        .limit(limit)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    by_moment = {r.observed_at: Reading(r.station_id, r.observed_at, r.value_m) for r in rows}
    return list(by_moment.values())


def forget(store: Store, *, at: datetime | None = None) -> int:
    """Drop readings that came more than `KEPT_DAYS` ago; returns how many."""
    before = (at or now()) - timedelta(days=KEPT_DAYS)
    with store.write() as connection:
        return connection.execute(delete(READINGS).where(READINGS.c.received_at < before)).rowcount


def _newest(store: Store, ids: Iterable[str], until: datetime | None = None) -> dict[str, Row[Any]]:
    """The last word of each gauge; with `until`, of those observed no later. One index look-up each."""
    listed = sorted(set(ids))
    found: dict[str, Row[Any]] = {}
    with store.read() as connection:
        for start in range(0, len(listed), AT_ONCE):
            asked = [select(literal(i).label("id")) for i in listed[start : start + AT_ONCE]]
            named = (union_all(*asked) if len(asked) > 1 else asked[0]).cte("named")
            last = (
                select(READINGS.c.seq)
                .where(READINGS.c.station_id == named.c.id)
                .order_by(READINGS.c.observed_at.desc(), READINGS.c.seq.desc())
                .limit(1)
            )
            if until is not None:
                last = last.where(READINGS.c.observed_at <= until)
            seqs = select(last.correlate(named).scalar_subquery()).select_from(named)
            rows = connection.execute(select(READINGS).where(READINGS.c.seq.in_(seqs)))
            found |= {row.station_id: row for row in rows}
    return found


def _level(
    station: Station, last: Row[Any] | None, before: Row[Any] | None, said: Override | None,
    at: datetime,
) -> Level:  # fmt: skip
    stale = timedelta(minutes=station.stale_min)
    if said is not None and said.state == "value" and said.value is not None:
        end = said.until or said.at + stale  # a person's word ages like a gauge's
        if at < end:
            return Level(
                station, rated(station, said.value), said.value, said.at, end, _age_s(said.at, at),
                last_m=None if last is None else last.value_m, override=said,
            )  # fmt: skip
        said = None
    if last is None:
        return Level(station, "unknown", None, None, None, None, why="never", override=said)
    seen: datetime = last.observed_at
    value: float | None = last.value_m
    told = Level(
        station, "unknown", None, seen, seen + stale, _age_s(seen, at), last_m=value, override=said
    )
    if said is not None:
        return replace(told, why="doubted")
    if at >= seen + stale or seen - at > timedelta(seconds=FUTURE_S):
        return replace(told, why="stale")
    if value is None:
        return replace(told, why="missing")
    return replace(
        told, state=rated(station, value), value_m=value, rise_m_h=_per_hour(last, before)
    )


def _age_s(seen: datetime, at: datetime) -> float:
    return max(0.0, (at - seen).total_seconds())


def _per_hour(last: Row[Any], before: Row[Any] | None) -> float | None:
    """How fast the water rises (m/h) since the reading before, where that one is about an hour old."""
    if before is None or before.value_m is None:
        return None
    hours = (last.observed_at - before.observed_at).total_seconds() / 3600
    return (last.value_m - before.value_m) / hours if 0.5 <= hours <= 2.0 else None
