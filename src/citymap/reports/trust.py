"""How far a report can be relied on: who says it, who else says it, how long ago."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from citymap.reports.model import CONFIRMED, Report

if TYPE_CHECKING:
    from citymap.reports.categories import Catalogue

BY_ROLE = {"public": 0.3, "field": 0.8, "staff": 0.9, "planner": 0.9, "admin": 0.9}
OTHER_PROGRAM = 0.4  # another city's client with a key of ours
FEW_M = 150.0  # somebody who tells of the same thing stands about here
FEW_H = 6.0
WEIGHT = 0.5  # what another's word counts beside one's own
EARTH_M = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Trust:
    """`level` is 0 to 1; `others` counts the senders who say the same."""

    level: float
    others: int


def distance_m(a_lon: float, a_lat: float, b_lon: float, b_lat: float) -> float:
    """Metres between two near places (degrees); good to 0.5 % within a city."""
    x = math.radians(b_lon - a_lon) * math.cos(math.radians((a_lat + b_lat) / 2))
    return EARTH_M * math.hypot(x, math.radians(b_lat - a_lat))


def _own(report: Report) -> float:
    return OTHER_PROGRAM if report.source == "open311" else BY_ROLE.get(report.sender_role, 0.3)


def trust(report: Report, others: Sequence[Report], catalogue: Catalogue, *, at: datetime) -> Trust:
    """The trust in a report at a moment.

    Its source gives a start, 1 once staff confirmed it. Each other sender who reports the same group of things within 150 m
    and 6 h takes away half of their own weight from the doubt that is left. Then it halves with every
    half-life of the category; a device that sends twice is one sender, and a rejected one is none.
    """
    listed = catalogue.by_code()
    category = listed.get(report.category)
    said: dict[str, float] = {}
    for other in others:
        same = listed.get(other.category)
        if (
            other.id == report.id or other.status == "rejected" or category is None or same is None
            or same.group != category.group
            or (other.sender == report.sender and report.sender != "")
            or abs((other.observed_at - report.observed_at).total_seconds()) > FEW_H * 3600
            or distance_m(report.lon, report.lat, other.lon, other.lat) > FEW_M
        ):  # fmt: skip
            continue
        who = other.sender or "unnamed"  # nobody can be many by leaving out who they are
        said[who] = max(said.get(who, 0.0), _own(other))
    level = 1.0 if report.status in CONFIRMED else _own(report)
    doubt = 1.0 - level
    for own in said.values():
        doubt *= 1.0 - WEIGHT * own
    age_h = max(0.0, (at - report.observed_at).total_seconds() / 3600)
    half_life_h = category.half_life_h if category is not None else 24.0
    return Trust(round((1.0 - doubt) * 0.5 ** (age_h / half_life_h), 4), len(said))
