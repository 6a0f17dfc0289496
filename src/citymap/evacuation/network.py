"""The network that people walk and drive on: planar edges between nodes, as arrays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
import shapely.ops
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SNAP_M = 0.5
DEFAULT_WIDTH_M = 4.0
MIN_WIDTH_M = 0.5  # narrower nobody passes; such figures are slips


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines before they become a network; positions in metres of one plane-rectangular zone.

    `level` is 1 on a bridge, -1 in a tunnel or underpass, 0 on the ground: lines of different
    levels cross without meeting. `ends` (m, 2) are node numbers where the source knows them.
    """

    geometry: NDArray[np.object_]
    level: NDArray[np.int8]
    width_m: NDArray[np.float64]  # NaN unknown
    stairs: NDArray[np.bool_]
    foot: NDArray[np.bool_]
    car_forward: NDArray[np.bool_]
    car_backward: NDArray[np.bool_]
    source: NDArray[np.int64]  # number of the line in its source
    length_m: NDArray[np.float64] | None = None
    ends: NDArray[np.int64] | None = None


def lines(
    geometry: NDArray[np.object_],
    *,
    level: NDArray[np.int8] | None = None,
    width_m: NDArray[np.float64] | None = None,
    ends: NDArray[np.int64] | None = None,
) -> Lines:
    """Lines that everybody may use in both directions, on the ground unless `level` says otherwise."""
    n = len(geometry)
    every, nobody = np.ones(n, bool), np.zeros(n, bool)
    return Lines(
        np.asarray(geometry, object), np.zeros(n, np.int8) if level is None else level,
        np.full(n, np.nan) if width_m is None else width_m, nobody, every, every, every,
        np.arange(n), ends=ends,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repairs:
    """What was done to the lines, for the report that goes with every result."""

    lines: int = 0
    crossings_joined: int = 0
    touching_joined: int = 0
    crossings_apart: int = 0
    loops_dropped: int = 0
    width_unknown: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes and edges of one zone (metres); link 2e runs along edge e, link 2e+1 against it.

    `start`, `out` are the links that leave each node (compressed rows). `rise_m` is head minus
    tail 標高 of the edge (NaN unknown). `points`, `point_start` hold the edges' vertices.
    """

    epsg: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    u: NDArray[np.int32]
    v: NDArray[np.int32]
    length_m: NDArray[np.float64]
    width_m: NDArray[np.float64]
    rise_m: NDArray[np.float64]
    bridge: NDArray[np.bool_]
    underpass: NDArray[np.bool_]
    stairs: NDArray[np.bool_]
    foot: NDArray[np.bool_]
    car_forward: NDArray[np.bool_]
    car_backward: NDArray[np.bool_]
    source: NDArray[np.int64]
    points: NDArray[np.float64]
    point_start: NDArray[np.int64]
    start: NDArray[np.int32]
    out: NDArray[np.int32]
    component: NDArray[np.int32]
    repairs: Repairs = field(default_factory=Repairs)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.x)

    @property
    def edges(self) -> int:
        """Number of edges; links are twice as many."""
        return len(self.u)

    @property
    def tail(self) -> NDArray[np.int32]:
        """Node where each link begins."""
        return np.stack([self.u, self.v], axis=1).ravel()

    @property
    def head(self) -> NDArray[np.int32]:
        """Node where each link ends."""
        return np.stack([self.v, self.u], axis=1).ravel()

    @property
    def car(self) -> NDArray[np.bool_]:
        """Whether cars may use each link."""
        return np.stack([self.car_forward, self.car_backward], axis=1).ravel()

    def line(self, edge: int) -> NDArray[np.float64]:
        """Vertices (k, 2) of an edge from u to v, in metres."""
        return self.points[self.point_start[edge] : self.point_start[edge + 1]]

    def geometries(self) -> NDArray[np.object_]:
        """All edges as LineStrings, in metres."""
        index = np.repeat(np.arange(self.edges), np.diff(self.point_start))
        return np.asarray(shapely.linestrings(self.points, indices=index), object)

    def component_sizes(self) -> list[int]:
        """Nodes of each connected component, the largest first."""
        return sorted(np.bincount(self.component).tolist(), reverse=True)


def build(source: Lines, *, epsg: int) -> Network:
    """The planar network of lines: cut where lines of one level cross or touch.

    Ends within 0.5 m are one node where the source gives no numbers. Lines on a bridge or in an
    underpass meet others only at their ends.

    Raises:
        BadInputError: no line is left, or a length is not positive.
    """
    geometry = np.asarray(source.geometry, object)
    if not len(geometry):
        raise BadInputError("evacuation_no_network")
    given = (
        shapely.length(geometry) if source.length_m is None else np.asarray(source.length_m, float)
    )
    if not (np.isfinite(given) & (given >= 0)).all():
        row = int(np.flatnonzero(~(np.isfinite(given) & (given >= 0)))[0])
        raise BadInputError("evacuation_bad_length", row=int(source.source[row]), length=given[row])
    ends, count = _ends(source)
    cuts, joined, touching, apart, count = _cuts(geometry, source.level, ends, count)
    parts: list[tuple[int, int, int, float, NDArray[np.float64]]] = []
    loops = 0
    real = shapely.length(geometry)
    coordinates = shapely.get_coordinates(geometry)
    first = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(geometry))])
    for i in range(len(geometry)):
        if i not in cuts:
            u, v = int(ends[i, 0]), int(ends[i, 1])
            if given[i] <= 0 or (u == v and given[i] <= 2 * SNAP_M):
                loops += 1
                continue
            parts.append((i, u, v, float(given[i]), coordinates[first[i] : first[i + 1]]))
            continue
        marks = [
            (0.0, int(ends[i, 0])),
            *sorted(cuts[i].items()),
            (float(real[i]), int(ends[i, 1])),
        ]
        stretch = given[i] / real[i] if real[i] > 0 else 1.0
        for (a, u), (b, v) in pairwise(marks):
            if u == v and b - a <= 2 * SNAP_M:
                loops += 1
                continue
            piece = shapely.get_coordinates(shapely.ops.substring(geometry[i], a, b))
            parts.append((i, u, v, float(max(b - a, 1e-3) * stretch), piece))
    if not parts:
        raise BadInputError("evacuation_no_network")
    of = np.array([p[0] for p in parts])
    used, number = np.unique(np.array([[p[1], p[2]] for p in parts]), return_inverse=True)
    uv = number.reshape(-1, 2).astype(np.int32)
    points = np.concatenate([p[4] for p in parts])
    sizes = np.array([len(p[4]) for p in parts])
    begin = np.concatenate([[0], np.cumsum(sizes)])
    xy = np.empty((len(used), 2))
    xy[uv[:, 0]] = points[begin[:-1]]
    xy[uv[:, 1]] = points[begin[1:] - 1]
    width = source.width_m[of]
    unknown = ~(np.isfinite(width) & (width > 0))
    repairs = Repairs(len(geometry), joined, touching, apart, loops, int(unknown.sum()))
    return _indexed(
        Network(
            epsg, xy[:, 0], xy[:, 1], uv[:, 0].copy(), uv[:, 1].copy(),
            np.array([p[3] for p in parts]),
            np.where(unknown, DEFAULT_WIDTH_M, np.maximum(width, MIN_WIDTH_M)),
            np.full(len(parts), np.nan), source.level[of] > 0, source.level[of] < 0,
            source.stairs[of], source.foot[of], source.car_forward[of], source.car_backward[of],
            source.source[of], points, begin, np.empty(0, np.int32), np.empty(0, np.int32),
            np.empty(0, np.int32), repairs,
        )
    )  # fmt: skip


def _indexed(network: Network) -> Network:
    tail = network.tail
    out = np.argsort(tail, kind="stable").astype(np.int32)
    start = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=network.nodes))])
    ones = np.ones(network.edges, np.int8)
    shape = (network.nodes, network.nodes)
    walkable = np.flatnonzero(network.foot)
    _, component = connected_components(
        coo_matrix((ones[walkable], (network.u[walkable], network.v[walkable])), shape),
        directed=False,
    )
    return replace(
        network, start=start.astype(np.int32), out=out, component=component.astype(np.int32)
    )


def _ends(source: Lines) -> tuple[NDArray[np.int64], int]:
    """Node numbers of both ends of each line, and how many there are."""
    if source.ends is not None:
        _, number = np.unique(source.ends, return_inverse=True)
        return number.reshape(-1, 2), int(number.max()) + 1
    first = shapely.get_coordinates(shapely.get_point(source.geometry, 0))
    last = shapely.get_coordinates(shapely.get_point(source.geometry, -1))
    points = np.stack([first, last], axis=1).reshape(-1, 2)
    pairs = cKDTree(points).query_pairs(SNAP_M, output_type="ndarray")
    shape = (len(points), len(points))
    count, number = connected_components(
        coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape),
        directed=False,
    )
    return number.reshape(-1, 2).astype(np.int64), int(count)


_Cuts = dict[int, dict[float, int]]


def _cuts(
    geometry: NDArray[np.object_], level: NDArray[np.int8], ends: NDArray[np.int64], count: int
) -> tuple[_Cuts, int, int, int, int]:
    """Where each line is cut (distance along it → node), and how many cuts of which kind."""
    cuts: dict[int, dict[float, int]] = defaultdict(dict)
    tree = shapely.STRtree(geometry)
    length = shapely.length(geometry)
    first, last = shapely.get_point(geometry, 0), shapely.get_point(geometry, -1)
    touching = 0
    for side, points in enumerate((first, last)):
        p, g = tree.query(points, predicate="dwithin", distance=SNAP_M)
        other = (ends[p, side] != ends[g, 0]) & (ends[p, side] != ends[g, 1])
        keep = other & (level[p] == level[g])
        p, g = p[keep], g[keep]
        at = shapely.line_locate_point(geometry[g], points[p])
        inside = (at > SNAP_M) & (at < length[g] - SNAP_M)
        for line, where, node in zip(g[inside], at[inside], ends[p[inside], side], strict=True):
            if int(node) not in cuts[int(line)].values():
                touching += 1
                cuts[int(line)][float(where)] = int(node)
    a, b = tree.query(geometry, predicate="intersects")
    once = a < b
    a, b = a[once], b[once]
    meet = (ends[a][:, :, None] == ends[b][:, None, :]).any(axis=(1, 2))
    apart = int((level[a] != level[b])[~meet].sum())
    same = level[a] == level[b]
    a, b = a[same], b[same]
    crossing = shapely.intersection(geometry[a], geometry[b])
    joined = 0
    points, owner = shapely.get_parts(crossing, return_index=True)
    for point, k in zip(points, owner, strict=True):
        if point.geom_type == "LineString":
            point = point.interpolate(0.5, normalized=True)  # noqa: PLW2901  (they run together)
        elif point.geom_type != "Point":
            continue
        i, j = int(a[k]), int(b[k])
        at = {i: float(geometry[i].project(point)), j: float(geometry[j].project(point))}
        near = {
            line: next(
                (
                    node
                    for mark, node in (
                        (0.0, int(ends[line, 0])),
                        (float(length[line]), int(ends[line, 1])),
                        *cuts[line].items(),
                    )
                    if abs(mark - where) <= SNAP_M
                ),
                None,
            )
            for line, where in at.items()
        }
        if near[i] is not None and near[j] is not None:
            continue
        node = near[i] if near[i] is not None else near[j]
        if node is None:
            node, count = count, count + 1
            joined += 1
        elif node in (*ends[i], *ends[j]):
            touching += 1
        for line, where in at.items():
            if near[line] is None:
                cuts[line][where] = node
    return {k: c for k, c in cuts.items() if c}, joined, touching, apart, count


def split(
    network: Network, edge: NDArray[np.int64], at_m: NDArray[np.float64]
) -> tuple[Network, NDArray[np.int32], NDArray[np.int64]]:
    """The network with a node on each given edge at a distance along its line (metres).

    Returns the new network, the node of each given place, and for each new edge the edge it was
    cut from. A place within 0.5 m of an end of its edge takes that end.
    """
    nodes = np.empty(len(edge), np.int32)
    order = np.lexsort((at_m, edge))
    by_edge: dict[int, list[int]] = defaultdict(list)
    for k in order:
        by_edge[int(edge[k])].append(int(k))
    x, y = network.x.tolist(), network.y.tolist()
    keep = np.ones(network.edges, bool)
    new: list[tuple[int, int, int, float, NDArray[np.float64]]] = []
    for e, places in by_edge.items():
        line = shapely.linestrings(network.line(e))
        total = float(line.length)
        stretch = network.length_m[e] / total if total > 0 else 1.0
        marks = [(0.0, int(network.u[e]))]
        for k in places:
            at = min(max(float(at_m[k]), 0.0), total)
            if at - marks[-1][0] <= SNAP_M:
                nodes[k] = marks[-1][1]
            elif total - at <= SNAP_M:
                nodes[k] = network.v[e]
            else:
                point = line.interpolate(at)
                x.append(point.x)
                y.append(point.y)
                nodes[k] = len(x) - 1
                marks.append((at, len(x) - 1))
        if len(marks) == 1:
            continue
        keep[e] = False
        for (a, u), (b, v) in pairwise([*marks, (total, int(network.v[e]))]):
            piece = shapely.get_coordinates(shapely.ops.substring(line, a, b))
            new.append((e, u, v, (b - a) * stretch, piece))
    if not new:
        return network, nodes, np.arange(network.edges)
    kept = np.flatnonzero(keep)
    of = np.concatenate([kept, [n[0] for n in new]]).astype(np.int64)
    share = np.concatenate([np.ones(len(kept)), [n[3] / network.length_m[n[0]] for n in new]])
    sizes = np.concatenate([np.diff(network.point_start)[kept], [len(n[4]) for n in new]])
    inside = np.repeat(keep, np.diff(network.point_start))
    points = np.concatenate([network.points[inside], *(n[4] for n in new)])
    ends = np.array([[n[1], n[2]] for n in new], np.int32)
    same = {
        name: getattr(network, name)[of]
        for name in ("width_m", "bridge", "underpass", "stairs", "foot", "car_forward",
                     "car_backward", "source")
    }  # fmt: skip
    return _indexed(
        replace(
            network, x=np.array(x), y=np.array(y),
            u=np.concatenate([network.u[kept], ends[:, 0]]).astype(np.int32),
            v=np.concatenate([network.v[kept], ends[:, 1]]).astype(np.int32),
            length_m=network.length_m[of] * share, rise_m=network.rise_m[of] * share,
            points=points, point_start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            **same,
        )
    ), nodes, of  # fmt: skip


def with_edge(
    network: Network, u: int, v: int, points: NDArray[np.float64], *, width_m: float
) -> Network:
    """The network with one more footpath between two nodes (vertices in metres from u to v)."""
    one = np.ones(1, bool)
    length = float(np.hypot(*np.diff(points, axis=0).T).sum())

    def more(name: str, value: object) -> NDArray[Any]:
        old = getattr(network, name)
        return np.concatenate([old, np.array([value], old.dtype)])

    return _indexed(
        replace(
            network, u=more("u", u), v=more("v", v), length_m=more("length_m", max(length, 0.1)),
            width_m=more("width_m", width_m), rise_m=more("rise_m", np.nan),
            source=more("source", -1), foot=np.concatenate([network.foot, one]),
            points=np.concatenate([network.points, points]),
            point_start=np.append(network.point_start, len(network.points) + len(points)),
            **{n: np.concatenate([getattr(network, n), ~one])
               for n in ("bridge", "underpass", "stairs", "car_forward", "car_backward")},
        )
    )  # fmt: skip
