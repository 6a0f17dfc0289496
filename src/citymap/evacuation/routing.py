"""The shortest dry way from a place to a shelter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
import shapely.ops

from citymap import crs
from citymap.errors import BadInputError
from citymap.evacuation import _kernels
from citymap.evacuation.attach import Joiner
from citymap.evacuation.closures import closed_edges, read_closures
from citymap.evacuation.network import Network
from citymap.evacuation.network_files import read_barriers, read_roads
from citymap.evacuation.slope import slope_factor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

_WET_WEIGHT = 10.0
_KEPT = 4  # states of closures that stay indexed
WALKING_M_S = 1.0  # 消防庁 津波避難対策推進マニュアル検討会報告書 (2013): planning speed of walkers


@dataclass(frozen=True, slots=True)
class Goal:
    """A shelter that one may walk to: id and lon, lat."""

    id: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Route:
    """A way on foot: vertices lon, lat from the place to the shelter, metres, minutes.

    `in_water_m` is the part of it that lies where water is assumed.
    """

    shelter_id: str
    lon_lat: tuple[tuple[float, float], ...]
    length_m: float
    minutes: float
    in_water_m: float = 0.0


@dataclass(frozen=True, slots=True)
class NoRoute:
    """There is no way, and why: the place or every shelter is off the network, or all ways are
    closed or lead elsewhere."""

    reason: Literal["origin_off_network", "no_shelter_on_network", "no_way"]


class Router:
    """A network with its barriers, ready for many questions."""

    def __init__(self, network: Network, barriers: NDArray[np.object_] | None = None) -> None:
        self.network = network
        self._barriers = barriers
        self._joiners: dict[bytes, Joiner] = {}
        self._factor = slope_factor(network)

    def _joiner(self, usable: NDArray[np.bool_]) -> Joiner:
        key = np.packbits(usable).tobytes()
        if key not in self._joiners:
            if len(self._joiners) > _KEPT:
                self._joiners.clear()
            self._joiners[key] = Joiner(self.network, barriers=self._barriers, usable=usable)
        return self._joiners[key]

    def closed_by(self, shapes: Iterable[shapely.Geometry]) -> NDArray[np.bool_]:
        """Edges that meet one of the shapes (lon, lat; a point closes the road beside it)."""
        return closed_edges(self.network, list(shapes))

    def closed_by_depth(self, raster: Path, *, limit_m: float = 0.0) -> NDArray[np.bool_]:
        """Edges along which a depth raster (GeoTIFF, metres) somewhere exceeds the limit.

        Bridges stand above the water; an underpass is closed by any water.

        Raises:
            BadInputError: the raster cannot be read or has no CRS.
        """
        peak = np.nan_to_num(depth_along(self.network, raster))
        dry = self.network.bridge
        return np.asarray(((peak > limit_m) & ~dry) | (self.network.underpass & (peak > 0)), bool)

    def route(
        self,
        lon: float,
        lat: float,
        goals: Sequence[Goal],
        *,
        closed: NDArray[np.bool_] | None = None,
        wet: NDArray[np.bool_] | None = None,
        speed_m_s: float = WALKING_M_S,
    ) -> Route | NoRoute:
        """The quickest way on foot from a place (lon, lat) to the nearest of the goals.

        `closed` marks edges that nobody may use; the place and the goals join open edges only.
        `wet` marks edges to be avoided: a metre of them counts as ten when ways are compared, and
        the minutes given are for dry ground.
        """
        network = self.network
        usable = network.foot if closed is None else network.foot & ~closed
        joiner = self._joiner(usable)
        there = joiner.attach(*_metres([g.lon for g in goals], [g.lat for g in goals], network))
        kept = np.flatnonzero(there.edge >= 0)
        if not len(kept):
            return NoRoute("no_shelter_on_network")
        ox, oy = _metres([lon], [lat], network)
        here = joiner.attach(ox, oy)
        if here.edge[0] < 0:
            return NoRoute("origin_off_network")
        dry = np.repeat(network.length_m, 2) / (speed_m_s * self._factor)
        cost = np.where(np.repeat(usable, 2), dry, np.inf)
        if wet is not None:
            cost = np.where(np.repeat(wet, 2), _WET_WEIGHT * cost, cost)
        stretch = network.length_m / np.maximum(shapely.length(network.geometries()), 1e-9)
        edge, at = there.edge[kept], there.at_m[kept] * stretch[there.edge[kept]]
        rest = network.length_m[edge] - at
        last = there.off_m[kept] / speed_m_s
        share = np.stack([at, rest]) / network.length_m[edge]
        next_link = np.empty(network.nodes, np.int32)
        distance, label = np.empty(network.nodes), np.empty(network.nodes, np.int32)
        _kernels.nearest(
            network.start, network.out, network.head, cost,
            np.concatenate([network.u[edge], network.v[edge]]),
            np.concatenate([last + share[0] * cost[2 * edge], last + share[1] * cost[2 * edge + 1]]),
            True, next_link, distance, label,
        )  # fmt: skip
        mine, begin = int(here.edge[0]), float(here.at_m[0] * stretch[here.edge[0]])
        part = begin / network.length_m[mine]
        first = here.off_m[0] / speed_m_s
        ways = [
            (first + part * cost[2 * mine + 1] + distance[network.u[mine]], int(network.u[mine]), -1),
            (first + (1 - part) * cost[2 * mine] + distance[network.v[mine]], int(network.v[mine]), -1),
        ]  # fmt: skip
        for k in np.flatnonzero(edge == mine):
            link = 2 * mine + (at[k] < begin)
            direct = abs(at[k] - begin) / network.length_m[mine] * cost[link]
            ways.append((first + direct + last[k], -1, int(k)))
        seconds, node, goal = min(ways)
        if not np.isfinite(seconds):
            return NoRoute("no_way")
        onward: list[int] = []
        enter = begin
        if node >= 0:
            goal = int(label[node]) % len(kept)
            onward, last_node = _links(network, next_link, node)
            enter = 0.0 if label[last_node] < len(kept) else float(network.length_m[edge[goal]])
        legs, lines = _legs(
            network, (mine, begin, node), onward, (int(edge[goal]), enter, float(at[goal]))
        )
        off = float(here.off_m[0]) + float(there.off_m[kept[goal]])
        length = off + sum(m for _, m in legs)
        minutes = off / speed_m_s + sum(
            dry[link] * m / network.length_m[link >> 1] for link, m in legs
        )
        water = 0.0 if wet is None else sum(m for link, m in legs if wet[link >> 1])
        way = np.concatenate([np.column_stack([ox, oy]), *lines])
        way = way[np.concatenate([[True], (np.abs(np.diff(way, axis=0)) > 1e-6).any(axis=1)])]
        wx, wy = crs.unproject(way[:, 0], way[:, 1], network.epsg)
        chosen = goals[int(kept[goal])]
        line_ll = [(float(a), float(b)) for a, b in zip(wx, wy, strict=True)]
        return Route(
            chosen.id, (*line_ll, (chosen.lon, chosen.lat)), length, float(minutes) / 60, water
        )


def _metres(
    lon: Sequence[float], lat: Sequence[float], network: Network
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = crs.project(np.asarray(lon, float), np.asarray(lat, float), network.epsg)
    return np.atleast_1d(x), np.atleast_1d(y)


def _links(network: Network, next_link: NDArray[np.int32], node: int) -> tuple[list[int], int]:
    """The links from a node to the edge of its goal, and the node where they end."""
    links = []
    while next_link[node] >= 0:
        link = int(next_link[node])
        links.append(link)
        node = int(network.u[link >> 1] if link & 1 else network.v[link >> 1])
    return links, node


def _legs(
    network: Network,
    first: tuple[int, float, int],
    onward: Sequence[int],
    last: tuple[int, float, float],
) -> tuple[list[tuple[int, float]], list[NDArray[np.float64]]]:
    """The ways in order as (link, metres along it), and their lines.

    `first` is the edge of the place, the metres along it where one begins, and the node one makes
    for (-1: the goal lies on the same edge); `last` the edge of the goal, where one enters it, and
    where one leaves it.
    """
    mine, begin, node = first
    edge, enter, leave = last
    legs, lines = [], []
    if node >= 0:
        stop = 0.0 if node == network.u[mine] else float(network.length_m[mine])
        lines.append(_piece(network, mine, begin, stop))
        legs.append((2 * mine + (stop < begin), abs(stop - begin)))
    for link in onward:
        line = network.line(link >> 1)
        lines.append(line[::-1] if link & 1 else line)
        legs.append((link, float(network.length_m[link >> 1])))
    lines.append(_piece(network, edge, enter, leave))
    legs.append((2 * edge + (leave < enter), abs(leave - enter)))
    return legs, lines


def _piece(network: Network, edge: int, begin_m: float, end_m: float) -> NDArray[np.float64]:
    """Vertices of an edge from one distance along it to another (in lengths of the network)."""
    line = shapely.linestrings(network.line(edge))
    scale = line.length / network.length_m[edge]
    piece = shapely.ops.substring(line, begin_m * scale, end_m * scale)
    return np.asarray(shapely.get_coordinates(piece))


def depth_along(network: Network, raster: Path) -> NDArray[np.float64]:
    """Largest depth (m) along every edge of a GeoTIFF; NaN where it has no value.

    Raises:
        BadInputError: it cannot be read, has no CRS or lies elsewhere.
    """
    try:
        with rasterio.open(raster, driver="GTiff") as source:
            if source.crs is None or (epsg := source.crs.to_epsg()) is None:
                raise BadInputError("evacuation_no_crs", place=raster.name)
            values = np.ma.filled(source.read(1, masked=True).astype(np.float32), np.nan)
            t = source.transform
    except rasterio.errors.RasterioError as e:
        raise BadInputError("evacuation_unreadable", place=raster.name, reason=e) from e
    cells = Cells.of(network, epsg, (t.c, t.f), (t.a, -t.e), values.shape)
    return cells.highest(values)


@dataclass(frozen=True, slots=True)
class Cells:
    """Which cells of a north-up grid each edge passes through (compressed rows)."""

    cell: NDArray[np.int64]
    start: NDArray[np.int64]

    @staticmethod
    def of(
        network: Network,
        epsg: int,
        corner: tuple[float, float],
        size: tuple[float, float],
        shape: tuple[int, ...],
    ) -> Cells:
        """`corner` is the west, north corner; `size` the cell's width and height in the grid's CRS."""
        x, y = network.points[:, 0], network.points[:, 1]
        if epsg != network.epsg:
            lon, lat = crs.unproject(x, y, network.epsg)
            x, y = (lon, lat) if epsg in (4326, crs.GEOGRAPHIC) else crs.project(lon, lat, epsg)
        x, y = (x - corner[0]) / size[0], (corner[1] - y) / size[1]
        start = np.empty(network.edges + 1, np.int64)
        rows, columns = int(shape[0]), int(shape[1])
        given = (x, -y, network.point_start, 0.0, 0.0, 1.0, rows, columns)
        _kernels.cells_of_lines(*given, np.empty(0, np.int64), start, False)
        cell = np.empty(int(start[-1]), np.int64)
        _kernels.cells_of_lines(*given, cell, start, True)
        return Cells(cell, start)

    def highest(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Largest value among the cells of each edge; NaN where none has one."""
        out = np.empty(len(self.start) - 1)
        _kernels.highest(np.ascontiguousarray(values).ravel(), self.cell, self.start, out)
        return out


@lru_cache(maxsize=4)
def _router(workspace: Workspace, _stamp: tuple[int, ...]) -> Router:
    return Router(read_roads(workspace), read_barriers(workspace))


def router(workspace: Workspace) -> Router:
    """The router of a city; read again only when its files have changed.

    Raises:
        BadInputError: the city has no roads.
    """
    files = (workspace.roads, workspace.terrain, workspace.base / "water.parquet")
    stamp = tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in files)
    return _router(workspace, stamp)


def route(
    workspace: Workspace,
    lon: float,
    lat: float,
    shelters: Sequence[str] | None = None,
    *,
    depth: Path | None = None,
    depth_limit_m: float = 0.0,
    at: datetime | None = None,
    speed_m_s: float = WALKING_M_S,
) -> Route | NoRoute:
    """The way on foot from lon, lat to the nearest of the named shelters (None: all of them).

    It avoids confirmed closures valid at the time `at` (None: now) and, with `depth` (a GeoTIFF),
    roads where the water is deeper than the limit. Where no dry way exists the route is the one
    with the least of its length in the water, and `in_water_m` says how much that is.

    Raises:
        BadInputError: the city has no roads or no shelters, or a file cannot be read.
    """
    found = router(workspace)
    path = workspace.places / "shelters.parquet"
    if not path.is_file():
        raise BadInputError("evacuation_no_shelters")
    rows = pq.read_table(path, columns=["place_id", "lon", "lat"]).to_pylist()
    goals = [
        Goal(r["place_id"], r["lon"], r["lat"])
        for r in rows
        if shelters is None or r["place_id"] in shelters
    ]
    closed = np.zeros(found.network.edges, bool)
    for closure in read_closures(workspace):
        if closure.valid_at(at):
            closed |= found.closed_by([closure.shape])
    if depth is None:
        return found.route(lon, lat, goals, closed=closed, speed_m_s=speed_m_s)
    wet = found.closed_by_depth(depth, limit_m=depth_limit_m)
    dry = found.route(lon, lat, goals, closed=closed | wet, speed_m_s=speed_m_s)
    if isinstance(dry, Route):
        return dry
    return found.route(lon, lat, goals, closed=closed, wet=wet, speed_m_s=speed_m_s)
