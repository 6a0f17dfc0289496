"""全棟垂直避難判定: may one stay upstairs in a building, must one leave, or is it not known.

The three official conditions for 屋内安全確保 (内閣府 避難情報に関するガイドライン; 大阪府 ハザードマップ
の見方): outside the collapse zones, a habitable room above the water, and a duration one can endure.
Supplies and the way upstairs cannot be known from data, so `stay_upstairs` means 「条件がそろえば
屋内安全確保も可能」 and never that a place is safe. What is not known is never taken as good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["leave", "unknown", "stay_upstairs", "outside_assumed_area"]
ORDER: tuple[Verdict, ...] = ("leave", "unknown", "stay_upstairs", "outside_assumed_area")
REASONS = (
    "collapse_flow", "collapse_erosion", "no_dry_floor", "duration_over_72h", "depth_below_floor",
    "dry_floor_available", "outside", "storeys_unknown", "structure_unknown", "duration_unknown",
    "collapse_unsurveyed", "depth_unsurveyed", "storeys_estimated", "hazard_requires_leaving",
)  # fmt: skip

# 洪水等・高潮 (the city model calls 高潮 high_tide, the open lists storm_surge); the others: leave
STAY_HAZARDS = frozenset({"river_flood", "inland_flood", "storm_surge", "high_tide"})
NO_COLLAPSE_ZONES = frozenset(
    {"inland_flood"}
)  # 家屋倒壊等氾濫想定区域 are drawn for rivers and coasts
MAX_HOURS = 72.0  # longer cannot be endured; used by implementers, no official number is known
FLOOR_M = 0.5  # below it the ground floor stays dry
# Depth (m, upper bound not included) → lowest dry floor: MLIT 避難確保計画の手引き; 3F and 5F derived.
DRY_FLOORS = ((0.5, 1), (3.0, 2), (5.0, 3), (10.0, 5))
STOREY_M = 3.0
ROOF_M = 1.0  # of a measured height that is roof and plinth
WALL_LESS = frozenset({"3003", "3004"})  # 無壁舎: nowhere to stay


@dataclass(frozen=True, slots=True)
class Building:
    """What the verdict looks at; None is not known."""

    storeys: int | None
    height_m: float | None
    class_code: str | None = None
    structure: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict of one building for one hazard set."""

    verdict: Verdict
    dry_floor: int | None
    reasons: tuple[str, ...]


def estimated_storeys(height_m: float | None) -> int | None:
    """Storeys that a measured height surely holds: three metres each below a metre of roof."""
    if height_m is None or not np.isfinite(height_m) or height_m <= 0:
        return None
    return max(1, int((height_m - ROOF_M) // STOREY_M))


def lowest_dry_floor(depth_m: float) -> int:
    """The lowest floor above the water, 1 the ground floor; above ten metres by storeys of 3 m."""
    for bound, floor in DRY_FLOORS:
        if depth_m < bound:
            return floor
    return int(depth_m // STOREY_M) + 2


def judge(
    hazard: str,
    building: Building,
    *,
    depth_m: float | None,
    surveyed: bool,
    duration_h: float | None,
    collapse_flow: bool | None,
    collapse_erosion: bool | None,
) -> Answer:
    """The verdict for one building and one hazard set.

    `depth_m` None or 0 with `surveyed` is outside the assumed area; without `surveyed` the depth is
    not known. `collapse_*` None means that no such zone was drawn. Hours and metres.
    """
    leave: list[str] = []
    unknown: list[str] = []
    notes: list[str] = []
    if collapse_flow:
        leave.append("collapse_flow")
        if building.structure is None:
            notes.append("structure_unknown")
    if collapse_erosion:
        leave.append("collapse_erosion")
    if depth_m is None or depth_m <= 0:
        if leave:
            return Answer("leave", None, (*leave, *notes))
        if not surveyed:
            return Answer("unknown", None, ("depth_unsurveyed",))
        return Answer("outside_assumed_area", None, ("outside",))
    if hazard not in STAY_HAZARDS:
        return Answer("leave", None, (*leave, "hazard_requires_leaving", *notes))
    needed = lowest_dry_floor(depth_m)
    floor: int | None = needed
    storeys, estimated = building.storeys, False
    if storeys is None:
        storeys, estimated = estimated_storeys(building.height_m), True
    deep = depth_m >= DRY_FLOORS[-1][0]
    if building.class_code in WALL_LESS:
        leave.append("no_dry_floor")
        floor = None
    elif depth_m < FLOOR_M:
        notes.append("depth_below_floor")
    elif storeys is None or (deep and building.height_m is None):
        unknown.append("storeys_unknown")
    elif storeys < needed or (deep and (building.height_m or 0.0) < depth_m + STOREY_M):
        leave.append("no_dry_floor")
        floor = None
        if estimated:
            notes.append("storeys_estimated")
    else:
        notes.append("dry_floor_available")
        if estimated:
            notes.append("storeys_estimated")
    if duration_h is None:
        unknown.append("duration_unknown")
    elif duration_h > MAX_HOURS:
        leave.append("duration_over_72h")
    if hazard not in NO_COLLAPSE_ZONES and (collapse_flow is None or collapse_erosion is None):
        unknown.append("collapse_unsurveyed")
    verdict: Verdict = "leave" if leave else "unknown" if unknown else "stay_upstairs"
    return Answer(verdict, floor, (*leave, *unknown, *notes))
