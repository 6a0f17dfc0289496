"""How fast each class of people gets along each edge, from time to time: water and closures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from citymap.evacuation import _kernels
from citymap.evacuation.person import (
    CAR_IN_WATER_M_S,
    CAR_M_S,
    CAR_STOPS_M,
    PEOPLE,
    Person,
)
from citymap.evacuation.water import WET_M

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from citymap.evacuation.speed_laws import Law
    from citymap.evacuation.stability import Limit
    from citymap.evacuation.water import Water

LEAST_SLICE_S = 10.0
_LARGEST = 60_000_000  # values in one table


@dataclass(frozen=True, slots=True)
class Shut:
    """Edges that a confirmed closure shuts from one second of the scenario to another."""

    edges: NDArray[np.bool_]
    from_s: float
    until_s: float


ROW = np.dtype([
    ("calm", np.float64), ("shut", np.float64), ("at", np.int64), ("first", np.int32), ("count", np.int32),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Worst:
    """Speed limits of one class where what has become worse stays so.

    A row of `rows` limits from second `calm` and is closed from `shut` (infinite: never); in
    between, its `count` slices from `first` have the speeds `speeds[at]` and on, the last for ever.
    """

    rows: NDArray[np.void]
    speeds: NDArray[np.float32]

    def last(self) -> NDArray[np.float64]:
        """Speed of each row in the end."""
        shut, rows = np.isfinite(self.rows["shut"]), self.rows
        out = np.where(shut, 0.0, np.inf)
        slow = ~shut & (rows["count"] > 0)
        out[slow] = self.speeds[rows["at"][slow] + rows["count"][slow] - 1]
        return out


@dataclass(frozen=True, slots=True)
class Conditions:
    """Speed limits (class, slice, row) in m/s: infinite without water, 0 closed.

    Classes are those of `person.PEOPLE` and then cars. Slice k holds from k · `slice_s`, the last
    one for ever. `row` is the row of each edge, -1 where nothing ever limits it.
    """

    row: NDArray[np.int32]
    speeds: NDArray[np.float32]
    slice_s: float

    def monotone(self) -> Conditions:
        """The same, but what has become worse stays so: the basis of leave-by times."""
        return Conditions(self.row, np.minimum.accumulate(self.speeds, axis=1), self.slice_s)

    def worst(self, cls: int) -> Worst:
        """What leave-by times of a class are based on."""
        slices, n = self.speeds.shape[1:]
        rows = np.zeros(n, ROW)
        _kernels.span_of_rows(self.speeds[cls], rows["first"], rows["count"])
        begins, ends = rows["first"], rows["first"] + rows["count"]
        rows["calm"] = np.where(begins < slices, begins * self.slice_s, np.inf)
        rows["shut"] = np.where(ends < slices, ends * self.slice_s, np.inf)
        rows["at"] = np.cumsum(rows["count"], dtype=np.int64) - rows["count"]
        speeds = np.empty(int(rows["count"].sum()), np.float32)
        _kernels.worst_of_rows(self.speeds[cls], rows, speeds)
        return Worst(rows, speeds)

    def closes_s(self, cls: int) -> NDArray[np.float64]:
        """When each edge is first closed to a class; NaN where it never is."""
        out = np.full(len(self.row), np.nan)
        rows = self.row >= 0
        shut = self.speeds[cls] <= 0
        first = np.where(shut.any(axis=0), shut.argmax(axis=0) * self.slice_s, np.nan)
        out[rows] = first[self.row[rows]]
        return out


def conditions(
    water: Water,
    *,
    law: Law,
    limit: Limit,
    horizon_s: float,
    slice_s: float,
    shut: Sequence[Shut] = (),
    people: Sequence[Person] = PEOPLE,
) -> Conditions:
    """Tabulate the laws for every class, wet or shut edge, and slice of time.

    Within a slice the worst of its two ends counts, the water rising in a straight line between
    the times of the flood result.
    """
    row = water.row.copy()
    wet = water.depth_m.shape[1]
    extra = np.zeros(len(row), bool)
    for s in shut:
        extra |= s.edges
    extra &= row < 0
    row[extra] = wet + np.arange(int(extra.sum()))
    rows = wet + int(extra.sum())
    classes = len(people) + 1
    slice_s = max(slice_s, LEAST_SLICE_S, horizon_s * classes * rows / _LARGEST)
    slices = max(1, int(np.ceil(horizon_s / slice_s)))
    speeds = np.full((classes, slices, rows), np.inf, np.float32)
    before = _at(water, 0.0)
    for k in range(slices if wet else 0):
        after = _at(water, (k + 1) * slice_s)
        depth, flow = np.maximum(before[0], after[0]), np.maximum(before[1], after[1])
        before = after
        here = np.flatnonzero(depth > WET_M)
        if not len(here):
            continue
        d, f = depth[here], flow[here]
        for c, person in enumerate(people):
            v = np.where(limit(d, f, person), np.minimum(law(d, f, person), person.speed_m_s), 0.0)
            speeds[c, k, here] = np.where(v < 0.02, 0.0, v)
        speeds[len(people), k, here] = np.where(d < CAR_STOPS_M, CAR_IN_WATER_M_S, 0.0)
    for s in shut:
        first = max(int(np.floor(s.from_s / slice_s)), 0)
        last = slices if s.until_s == np.inf else min(int(np.ceil(s.until_s / slice_s)), slices)
        speeds[:, first:last, row[s.edges]] = 0.0
    return Conditions(row, speeds, slice_s)


def _at(water: Water, t: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Depth and flow speed of the wet rows at a time, linear between those of the result."""
    times = water.times_s
    k = int(np.searchsorted(times, t, side="right")) - 1
    if k < 0:
        first = 0
        return water.depth_m[first].astype(float), water.flow_m_s[first].astype(float)
    if k >= len(times) - 1:
        return water.depth_m[-1].astype(float), water.flow_m_s[-1].astype(float)
    w = (t - times[k]) / (times[k + 1] - times[k])
    return (
        (1 - w) * water.depth_m[k] + w * water.depth_m[k + 1],
        (1 - w) * water.flow_m_s[k] + w * water.flow_m_s[k + 1],
    )


def dry_speeds() -> NDArray[np.float64]:
    """Dry speed of each class in m/s, cars last."""
    return np.array([*(p.speed_m_s for p in PEOPLE), CAR_M_S])
