"""Water levels and warnings as they go out: each with its moment and until when it may be believed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError
from citymap.live import levels, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from citymap.live.levels import Level
    from citymap.store import Store
    from citymap.workspace import Workspace

NEAR_M = 15_000.0
NEAREST = 3
METRES_PER_DEGREE = 111_320.0


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def water(store: Store, workspace: Workspace) -> list[dict[str, Any]] | None:
    """The gauges; None (not known) where their list cannot be read. `value_m` is null while unknown."""
    try:
        found = levels.latest(store, workspace)
    except BadInputError:
        return None
    return [_gauge(one) for one in found]


def warned(store: Store, workspace: Workspace) -> dict[str, Any] | None:
    """Warnings in force or in doubt; None where the city has no feed of them.

    `known` False: nobody can say what holds, so an empty list does not mean "none".
    """
    try:
        held = warnings.current(store, workspace)
    except BadInputError:
        return {"known": False, "checked_at": None, "fresh_until": None, "items": []}
    if not held.configured and not held.listed:
        return None
    doubted = [w for w in held.listed if w.state == "unknown" and w.last_level]
    return {
        "known": held.known, "checked_at": moment(held.checked_at),
        "fresh_until": moment(held.fresh_until),
        "items": [
            {
                "hazard": w.hazard, "area": w.area_name, "state": w.state, "level": w.level,
                "name": w.name or None, "last_level": w.last_level, "last_name": w.last_name,
                "at": moment(w.reported_at), "office": w.office, "by_staff": w.override is not None,
            }
            for w in [*held.in_force, *doubted]
        ],
    }  # fmt: skip


def near(gauges: Iterable[dict[str, Any]], lon: float, lat: float) -> list[dict[str, Any]]:
    """The nearest gauges with a position, at most `NEAREST` within 15 km, with `away_m`."""
    found = []
    for one in gauges:
        if one["lon"] is None or one["lat"] is None:
            continue
        x = (one["lon"] - lon) * math.cos(math.radians(lat)) * METRES_PER_DEGREE
        away = math.hypot(x, (one["lat"] - lat) * METRES_PER_DEGREE)
        if away <= NEAR_M:
            found.append({**one, "away_m": round(away)})
    return sorted(found, key=lambda g: g["away_m"])[:NEAREST]


def _gauge(one: Level) -> dict[str, Any]:
    gauge = one.station
    return {
        "station_id": gauge.station_id, "name": gauge.name, "river": gauge.river,
        "kind": gauge.kind, "lon": gauge.lon, "lat": gauge.lat, "state": one.state,
        "value_m": None if one.value_m is None else round(one.value_m, 2),
        "rise_m_h": None if one.rise_m_h is None else round(one.rise_m_h, 2),
        "observed_at": moment(one.observed_at), "fresh_until": moment(one.fresh_until),
        "thresholds": gauge.thresholds, "by_staff": one.override is not None,
    }  # fmt: skip
