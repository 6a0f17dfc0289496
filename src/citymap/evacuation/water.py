"""The flood in time on the network: the deepest water along every edge, from `flood.nc`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from citymap import crs
from citymap.errors import BadInputError
from citymap.evacuation.routing import Cells
from citymap.progress import Progress, Quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.network import Network

WET_M = 0.01  # less is a wet road
BESIDE_M = (
    100.0  # how far from a cell without a depth (a wall, no ground) the next one is looked for
)
_DEGREE_M = 111_320.0
UNDERPASS_EXTRA_M = (
    2.0  # an underpass lies below the terrain model: water there is that much deeper
)


@dataclass(frozen=True, slots=True)
class Water:
    """Largest depth and flow speed along the wet edges at the times of the flood result.

    `row` is the row of each edge in `depth_m` and `flow_m_s` (times, rows), -1 where it stays dry;
    `outside` counts edges about which the result says nothing.
    """

    times_s: NDArray[np.float64]
    row: NDArray[np.int32]
    depth_m: NDArray[np.float32]
    flow_m_s: NDArray[np.float32]
    outside: int = 0

    @staticmethod
    def none(edges: int) -> Water:
        """No flood at all."""
        return Water(
            np.zeros(1), np.full(edges, -1, np.int32), np.zeros((1, 0), np.float32),
            np.zeros((1, 0), np.float32),
        )  # fmt: skip

    def delayed(self, hours: float) -> Water:
        """The same flood, so many hours later (before it the first state holds)."""
        return Water(
            self.times_s + 3600 * hours, self.row, self.depth_m, self.flow_m_s, self.outside
        )

    def peak_m(self) -> NDArray[np.float64]:
        """Largest depth of every edge over all times; 0 where it stays dry."""
        out = np.zeros(len(self.row))
        wet = self.row >= 0
        if wet.any():
            out[wet] = self.depth_m.max(axis=0)[self.row[wet]]
        return out


class FloodFile:
    """An open `flood.nc`: its frame, its times, and one time step after the other."""

    def __init__(self, folder: Path) -> None:
        path = folder / "flood.nc" if folder.is_dir() else folder
        self.name = f"{path.parent.name}/{path.name}"
        try:
            self._file = netCDF4.Dataset(path, "r")
        except OSError as e:
            raise BadInputError("evacuation_unreadable", place=self.name, reason=e) from e
        try:
            self._depth = self._file["depth"]
            x = np.asarray(self._file["x"][:], float)
            y = np.asarray(self._file["y"][:], float)
            self.times_s = np.asarray(self._file["time"][:], float)
        except (IndexError, KeyError) as e:
            self._file.close()
            raise BadInputError("evacuation_unreadable", place=self.name, reason=e) from e
        self.epsg = self._epsg()
        if len(x) < 2 or len(y) < 2 or not len(self.times_s) or (np.diff(self.times_s) <= 0).any():
            raise BadInputError("evacuation_unreadable", place=self.name, reason="x, y, time")
        self.size = (float(x[1] - x[0]), abs(float(y[1] - y[0])))
        self.upside_down = bool(y[1] > y[0])
        self.corner = (float(x[0]) - self.size[0] / 2, float(y.max()) + self.size[1] / 2)
        self.shape = (len(y), len(x))

    def _epsg(self) -> int:
        name = getattr(self._depth, "grid_mapping", "crs")
        mapping: Any = self._file.variables.get(name)
        text = next(
            (getattr(mapping, a) for a in ("crs_wkt", "spatial_ref") if hasattr(mapping, a)), None
        )
        try:
            code = CRS.from_user_input(text).to_epsg() if text else None
        except CRSError:
            code = None
        if code is None:
            raise BadInputError("evacuation_no_crs", place=self.name)
        return int(code)

    def __enter__(self) -> FloodFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self, name: str, k: int) -> NDArray[np.float32]:
        values = np.ma.filled(self._file[name][k].astype(np.float32), np.nan)
        return np.asarray(values[::-1] if self.upside_down else values)

    def depth(self, k: int) -> NDArray[np.float32]:
        """Depth (rows from north) at time step k."""
        return self._read("depth", k)

    def flow(self, k: int) -> NDArray[np.float32] | None:
        """Flow speed at time step k; None where the result has none."""
        if "u" not in self._file.variables or "v" not in self._file.variables:
            return None
        return np.hypot(self._read("u", k), self._read("v", k))

    def cell_m(self) -> tuple[float, float]:
        """Width and height of a cell, m (near enough for a grid in degrees)."""
        if self.epsg not in (4326, crs.GEOGRAPHIC):
            return self.size
        cos = np.cos(np.radians(self.corner[1]))
        return float(self.size[0] * _DEGREE_M * cos), self.size[1] * _DEGREE_M

    def at_points(
        self, x: NDArray[np.float64], y: NDArray[np.float64], epsg: int
    ) -> NDArray[np.int64]:
        """Flat number of the cell that holds each point (metres of zone `epsg`); -1 outside."""
        if epsg != self.epsg:
            lon, lat = crs.unproject(x, y, epsg)
            lonlat = self.epsg in (4326, crs.GEOGRAPHIC)
            x, y = (lon, lat) if lonlat else crs.project(lon, lat, self.epsg)
        column = np.floor((x - self.corner[0]) / self.size[0]).astype(np.int64)
        row = np.floor((self.corner[1] - y) / self.size[1]).astype(np.int64)
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        return np.where(inside, row * self.shape[1] + column, -1)


@dataclass(frozen=True, slots=True)
class Flood:
    """What evacuation takes from a flood result."""

    water: Water
    point_peak_m: NDArray[np.float64]  # largest depth at the points asked for; NaN: not known


def beside(known: NDArray[np.bool_], cell: NDArray[np.int64], size: tuple[float, float]) -> Cells:
    """The cells that say how deep it is at each flat cell number (-1: outside the grid).

    A cell with a depth speaks for itself. A building that the flood went round (a wall) has none:
    the cells nearest to it speak, within `BESIDE_M` (`size`: metres of a cell); else nothing does.
    """
    columns = known.shape[1]
    found: list[NDArray[np.int64]] = []
    reach = max(int(BESIDE_M / min(size)), 1)
    for at in cell.tolist():
        row, column = divmod(at, columns)
        if at < 0 or known[row, column]:
            found.append(np.array([at] if at >= 0 else [], np.int64))
            continue
        inside = np.empty(0, np.int64)
        for r in range(1, reach + 1):
            top, left = max(row - r, 0), max(column - r, 0)
            j, i = np.nonzero(known[top : row + r + 1, left : column + r + 1])
            if len(inside):
                # One ring further: the near side of a long wall alone may be its dry one.
                inside = (j + top) * columns + i + left
                break
            inside = (j + top) * columns + i + left
        found.append(inside)
    start = np.concatenate([[0], np.cumsum([len(f) for f in found])]).astype(np.int64)
    return Cells(np.concatenate([np.empty(0, np.int64), *found]), start)


def read_flood(
    folder: Path,
    network: Network,
    points: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    progress: Progress | None = None,
) -> Flood:
    """The water along every edge and at points (metres) of a flood result folder.

    Each edge takes the largest depth and the largest flow speed of all cells it passes. A bridge
    stands above the water; in an underpass any water is 2 m deeper. Where the cells have no depth
    (a shelter inside a building that is a wall, a lane narrower than a cell) those `beside` count.

    Raises:
        BadInputError: it cannot be read, has no CRS, or lies in another place.
    """
    progress = progress or Quiet()
    with FloodFile(folder) as file:
        cells = Cells.of(network, file.epsg, file.corner, file.size, file.shape)
        if not len(cells.cell):
            raise BadInputError("evacuation_flood_elsewhere", place=file.name)
        depth = file.depth(0)
        known, size_m = ~np.isnan(depth), file.cell_m()
        at = beside(known, file.at_points(*points, network.epsg), size_m)
        peak = np.full(len(at.start) - 1, np.nan)
        blind = np.flatnonzero(np.isnan(cells.highest(depth)))
        middle = shapely.line_interpolate_point(network.geometries()[blind], 0.5, normalized=True)
        instead = beside(
            known,
            file.at_points(shapely.get_x(middle), shapely.get_y(middle), network.epsg),
            size_m,
        )
        depths, flows = [], []
        for k in range(len(file.times_s)):
            progress.update(k, len(file.times_s), "flood")
            depth = file.depth(k)
            deepest = cells.highest(depth)
            deepest[blind] = instead.highest(depth)
            along = np.nan_to_num(deepest).astype(np.float32)
            along[network.bridge] = 0.0
            under = network.underpass & (along > WET_M)
            along[under] += UNDERPASS_EXTRA_M
            depths.append(along)
            flow = file.flow(k)
            if flow is None:
                flows.append(np.zeros_like(along))
            else:
                flow[~(depth > WET_M)] = 0.0
                fastest = cells.highest(flow)
                fastest[blind] = instead.highest(flow)
                flows.append(np.nan_to_num(fastest).astype(np.float32))
            peak = np.fmax(peak, at.highest(depth))
        all_depths, all_flows = np.stack(depths), np.stack(flows)
        wet = (all_depths > WET_M).any(axis=0)
        row = np.full(network.edges, -1, np.int32)
        row[wet] = np.arange(int(wet.sum()))
        outside = int((np.diff(instead.start) == 0).sum())
        water = Water(file.times_s, row, all_depths[:, wet], all_flows[:, wet], outside)
        return Flood(water, peak)
