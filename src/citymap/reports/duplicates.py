"""Which reports may tell of the same thing: suggestions for staff, never a decision."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from citymap.reports.model import Report
from citymap.reports.trust import distance_m

if TYPE_CHECKING:
    from citymap.reports.categories import Catalogue, Category

NEAR_M = 150.0
SOON_H = 6.0
CELL_M = (
    50.0  # of standing water: two depths as near as this, or in one flooded cell, are of one water
)
ENOUGH = 0.5
_CELL_DEG = 0.004  # of the search grid; more than the farthest pair


@dataclass(frozen=True, slots=True)
class Pair:
    """Two reports that may be one: the later beside the earlier; `one_water`: of the same flooding."""

    first: str
    second: str
    score: float
    distance_m: float
    hours: float
    one_water: bool


def pairs(
    reports: Sequence[Report], catalogue: Catalogue, cells: Mapping[str, Hashable] | None = None
) -> list[Pair]:
    """Likely pairs among open reports, the likeliest first.

    The score (0 to 1) is half nearness (of 150 m and the accuracies), 0.3 time (of 6 h), 0.1 for the
    very same category and 0.1 for the same water: both lie in one flooded cell (`cells` by report id,
    `citymap.assess.flooded_cells`), or both give a depth within 50 m of each other.
    """
    wet = cells or {}
    listed = catalogue.by_code()
    open_ones = sorted(
        (r for r in reports if r.status not in {"merged", "rejected"}), key=lambda r: r.received_at
    )
    near: dict[tuple[int, int], list[Report]] = defaultdict(list)
    found: list[Pair] = []
    for report in open_ones:
        x, y = math.floor(report.lon / _CELL_DEG), math.floor(report.lat / _CELL_DEG)
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                for other in near[x + dx, y + dy]:
                    pair = _compared(other, report, listed, wet)
                    if pair is not None:
                        found.append(pair)
        near[x, y].append(report)
    return sorted(found, key=lambda p: -p.score)


def _compared(
    first: Report, second: Report, listed: dict[str, Category], cells: Mapping[str, Hashable]
) -> Pair | None:
    a, b = listed.get(first.category), listed.get(second.category)
    if a is None or b is None or a.group != b.group:
        return None
    far_m = NEAR_M + min(150.0, (first.accuracy_m or 0.0) + (second.accuracy_m or 0.0))
    apart_m = distance_m(first.lon, first.lat, second.lon, second.lat)
    hours = abs((second.observed_at - first.observed_at).total_seconds()) / 3600
    if apart_m > far_m or hours > SOON_H:
        return None
    cell = cells.get(first.id)
    measured = first.depth_m is not None and second.depth_m is not None and apart_m < CELL_M
    wet = measured or (a.depth and cell is not None and cell == cells.get(second.id))
    score = (
        0.5 * (1 - apart_m / far_m) + 0.3 * (1 - hours / SOON_H)
        + 0.1 * (first.category == second.category) + 0.1 * bool(wet)
    )  # fmt: skip
    return (
        Pair(first.id, second.id, round(score, 3), round(apart_m, 1), round(hours, 2), bool(wet))
        if score >= ENOUGH
        else None
    )
