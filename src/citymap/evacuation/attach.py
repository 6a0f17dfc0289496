"""Joins buildings and shelters to the network, never across a river or a railway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.network import Network

LIMIT_M = 500.0
_RADII_M = (30.0, 100.0, 250.0)


@dataclass(frozen=True, slots=True)
class Attached:
    """Where points meet the network: edge (-1: nowhere), metres along its line, metres off the road.

    `across` marks points whose nearest road lies on the other side of a barrier, so that a farther
    one was taken or none.
    """

    edge: NDArray[np.int64]
    at_m: NDArray[np.float64]
    off_m: NDArray[np.float64]
    across: NDArray[np.bool_]


class Joiner:
    """The walkable edges of a network, indexed for many questions.

    Nobody steps onto a bridge or into an underpass from the side. `barriers` are water areas,
    rivers and railways in metres; `usable` restricts the edges further.
    """

    def __init__(
        self,
        network: Network,
        *,
        barriers: NDArray[np.object_] | None = None,
        usable: NDArray[np.bool_] | None = None,
    ) -> None:
        allowed = network.foot & ~network.bridge & ~network.underpass
        if usable is not None:
            allowed &= usable
        self._edges = np.flatnonzero(allowed)
        self._lines = network.geometries()[self._edges]
        self._tree = shapely.STRtree(self._lines)
        fenced = barriers is not None and len(barriers) > 0
        self._fence = shapely.STRtree(barriers) if fenced else None

    def attach(
        self, x: NDArray[np.float64], y: NDArray[np.float64], *, limit_m: float = LIMIT_M
    ) -> Attached:
        """The nearest point of an edge that the straight way from each point (metres) reaches."""
        n = len(x)
        edge, at, off = np.full(n, -1, np.int64), np.zeros(n), np.full(n, np.nan)
        across = np.zeros(n, bool)
        if not n or not len(self._edges):
            return Attached(edge, at, off, across)
        points = shapely.points(x, y)
        (asked, nearest), distance = self._tree.query_nearest(
            points, max_distance=limit_m, return_distance=True, all_matches=False
        )
        edge[asked], off[asked] = self._edges[nearest], distance
        at[asked] = shapely.line_locate_point(self._lines[nearest], points[asked])
        if self._fence is not None:
            bad = asked[_crossed(self._fence, points[asked], self._lines[nearest], at[asked])]
            across[bad] = True
            edge[bad] = -1
            for radius in (*(r for r in _RADII_M if r < limit_m), limit_m):
                left = np.flatnonzero(across & (edge < 0))
                if not len(left):
                    break
                self._within(radius, points, left, edge, at, off)
        found = edge >= 0
        return Attached(edge, np.where(found, at, 0.0), np.where(found, off, np.nan), across)

    def _within(
        self,
        radius: float,
        points: NDArray[np.object_],
        left: NDArray[np.int64],
        edge: NDArray[np.int64],
        at: NDArray[np.float64],
        off: NDArray[np.float64],
    ) -> None:
        """Fill the three arrays for those of `left` that reach an edge within the radius."""
        asked, line = self._tree.query(points[left], predicate="dwithin", distance=radius)
        who = left[asked]
        place = shapely.line_locate_point(self._lines[line], points[who])
        free = ~_crossed(self._fence, points[who], self._lines[line], place)
        who, line, place = who[free], line[free], place[free]
        distance = shapely.distance(points[who], self._lines[line])
        order = np.lexsort((distance, who))
        first = order[np.unique(who[order], return_index=True)[1]]
        edge[who[first]] = self._edges[line[first]]
        at[who[first]], off[who[first]] = place[first], distance[first]


def attach(
    network: Network,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    barriers: NDArray[np.object_] | None = None,
    usable: NDArray[np.bool_] | None = None,
    limit_m: float = LIMIT_M,
) -> Attached:
    """`Joiner.attach` for one question."""
    return Joiner(network, barriers=barriers, usable=usable).attach(x, y, limit_m=limit_m)


def _crossed(
    fence: shapely.STRtree,
    points: NDArray[np.object_],
    lines: NDArray[np.object_],
    at: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether the straight way from each point to its place on the line meets a barrier."""
    there = shapely.get_coordinates(shapely.line_interpolate_point(lines, at))
    here = shapely.get_coordinates(points)
    ways = shapely.linestrings(np.stack([here, there], axis=1))
    way, barrier = fence.query(ways, predicate="intersects")
    barriers = np.asarray(fence.geometries, object)
    # A house drawn inside the area itself (a pier, a rough outline) is not fenced in by it.
    inside = shapely.covers(barriers[barrier], points[way])
    out = np.zeros(len(points), bool)
    out[way[~inside]] = True
    return out
