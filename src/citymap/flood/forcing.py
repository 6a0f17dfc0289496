"""Inflows, breaches, sinks, boundaries and rain of a scenario as cells and series of the solver."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pyproj.exceptions import ProjError
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy import ndimage

from citymap import crs
from citymap.errors import BadInputError
from citymap.flood.ground import nothing_where_silent, on_grid
from citymap.flood.kernels import sources as k
from citymap.flood.scenario import Pairs, Position, Scenario, pairs
from citymap.flood.solver import Edge, Points, Rain, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.flood.ground import Ground

SPREAD_M_S = 0.05  # an inflow at a point is spread over cells until it raises them slower than this
BANK_M = 1.0  # a breach lets no water in beyond ground that rises so far above its own
SIDES = {"west": 0, "east": 1, "north": 2, "south": 3}
MOST_ABOVE_GROUND_M = 200.0  # of a level; anything else is a slip of its unit
LEAST_SLOPE = 1e-4  # of free outflow where the bed is level or rises outwards


class Map:
    """Positions of a scenario as cells of its grid."""

    def __init__(self, scenario: Scenario, ground: Ground) -> None:
        self.ground = ground
        code = scenario.flood.crs
        self.epsg: int | None = None
        if code is not None:
            digits = code.upper().removeprefix("EPSG:")
            try:
                self.epsg = int(digits)
                crs.transformer(self.epsg, ground.epsg)
            except (ValueError, ProjError) as e:
                raise BadInputError("flood_bad_crs", place="flood.crs", given=code) from e

    def metres(self, at: Position, field: str) -> tuple[float, float]:
        """East and north of a position in the grid's CRS."""
        if self.epsg is None:
            if not (-180 <= at[0] <= 180 and -90 <= at[1] <= 90):
                raise BadInputError("flood_not_lon_lat", place=field, x=at[0], y=at[1])
            x, y = crs.project(at[0], at[1], self.ground.epsg)
            return float(x), float(y)
        if self.epsg == self.ground.epsg:
            return at
        x, y = crs.transformer(self.epsg, self.ground.epsg).transform(*at)
        return float(x), float(y)

    def cell(self, at: Position, field: str) -> tuple[int, int]:
        """Row and column that hold a position.

        Raises:
            BadInputError: outside the terrain, or on a cell without ground (a wall).
        """
        x, y = self.metres(at, field)
        a, _, c, _, e, f = self.ground.transform
        row, column = int(np.floor((y - f) / e)), int(np.floor((x - c) / a))
        rows, columns = self.ground.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise BadInputError("flood_outside", place=field, x=at[0], y=at[1])
        if np.isnan(self.ground.elevation_m[row, column]):
            raise BadInputError("flood_on_wall", place=field, x=at[0], y=at[1])
        return row, column

    def around(
        self, at: Position, field: str, count: int, *, bank_m: float = np.inf
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The `count` cells with ground nearest to a position (itself the first).

        With `bank_m` first those that it reaches without climbing so much: water that a breach lets
        in does not also appear on the other side of the levee.
        """
        row, column = self.cell(at, field)
        rows, columns = self.ground.shape
        reach = int(np.ceil(np.sqrt(count))) + 2
        while True:
            j, i = np.mgrid[
                max(0, row - reach) : min(rows, row + reach + 1),
                max(0, column - reach) : min(columns, column + reach + 1),
            ]
            z = self.ground.elevation_m[j, i]
            good = np.isfinite(z)
            beyond = np.zeros(z.shape, bool)
            if np.isfinite(bank_m):
                label, _ = ndimage.label(good & (z < self.ground.elevation_m[row, column] + bank_m))
                beyond = label != label[row - j[0, 0], column - i[0, 0]]
            j, i, beyond = j[good], i[good], beyond[good]
            if np.count_nonzero(~beyond) >= count or reach > max(rows, columns):
                far = (j - row) ** 2 + (i - column) ** 2
                order = np.lexsort((i, j, far, beyond))[:count]
                return j[order].astype(np.int64), i[order].astype(np.int64)
            reach *= 2

    def along(
        self, line: list[Position], field: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cells with ground under a line.

        Raises:
            BadInputError: an end outside the terrain, or nothing but walls under it.
        """
        a, _, c, _, e, f = self.ground.transform
        rows, columns = self.ground.shape
        found: dict[tuple[int, int], None] = {}
        points = [self.metres(p, field) for p in line]
        for given, (x, y) in zip(line, points, strict=True):
            row, column = (y - f) / e, (x - c) / a
            if not (0 <= row < rows and 0 <= column < columns):
                raise BadInputError("flood_outside", place=field, x=given[0], y=given[1])
        for (x0, y0), (x1, y1) in pairwise(points):
            n = int(np.ceil(np.hypot(x1 - x0, y1 - y0) / a * 4)) + 1
            for s in np.linspace(0, 1, n + 1):
                cell = int((y0 + s * (y1 - y0) - f) / e), int((x0 + s * (x1 - x0) - c) / a)
                found[cell] = None
        cells = [p for p in found if np.isfinite(self.ground.elevation_m[p])]
        if not cells:
            raise BadInputError("flood_on_wall", place=field, x=line[0][0], y=line[0][1])
        j, i = np.array(cells, np.int64).T
        return np.ascontiguousarray(j), np.ascontiguousarray(i)


def series(scenario: Scenario, given: Pairs, field: str, *, least: float | None = None) -> Series:
    """A series of the scenario."""
    t, v = pairs(scenario, given, field, least=least)
    return Series(np.array(t), np.array(v))


def levels(scenario: Scenario, given: Pairs, field: str, ground_m: NDArray[np.float64]) -> Series:
    """A series of water levels over cells of these heights.

    Raises:
        BadInputError: a level so far above all of them that it cannot be one in metres.
    """
    s = series(scenario, given, field)
    if ground_m.size and s.values.max() > ground_m.max() + MOST_ABOVE_GROUND_M:
        raise BadInputError(
            "flood_level", place=field, given=f"{s.values.max():g}", ground=f"{ground_m.max():.1f}"
        )
    return s


def _spread(
    place: Map, at: Position, field: str, peak: float, *, bank_m: float = np.inf
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    area = place.ground.cell_m**2
    count = int(np.clip(np.ceil(peak / (SPREAD_M_S * area)), 1, 100_000))
    return place.around(at, field, count, bank_m=bank_m)


def points(scenario: Scenario, ground: Ground) -> list[Points]:
    """Inflows, breaches, sinks and inner lines with a held level.

    Raises:
        BadInputError: a place outside the terrain or on a wall, or a series that cannot be.
    """
    place, found, flood = Map(scenario, ground), [], scenario.flood
    for n, inflow in enumerate(flood.inflow):
        field = f"flood.inflow.{n}"
        s = series(scenario, inflow.m3_per_s, f"{field}.m3_per_s", least=0.0)
        if inflow.at is not None:
            j, i = _spread(place, inflow.at, f"{field}.at", float(s.values.max()))
        else:
            j, i = place.along(inflow.line or [], f"{field}.line")
        found.append(Points(k.DISCHARGE, j, i, np.full(j.size, 1.0 / j.size), s))
    for n, breach in enumerate(flood.breach):
        field = f"flood.breach.{n}"
        start, grow = breach.start_h * 3600, breach.growth_h * 3600
        if breach.m3_per_s is not None:
            s = series(scenario, breach.m3_per_s, f"{field}.m3_per_s", least=0.0)
            peak = float(s.values.max())
            j, i = _spread(place, breach.at, f"{field}.at", peak, bank_m=BANK_M)
            s = _opened(s, start, grow)
            found.append(Points(k.DISCHARGE, j, i, np.full(j.size, 1.0 / j.size), s))
            continue
        count = max(1, round(breach.width_m / ground.cell_m))
        j, i = place.around(breach.at, f"{field}.at", count, bank_m=BANK_M)
        z = ground.elevation_m[j, i]
        s = levels(scenario, breach.river_stage_m or [], f"{field}.river_stage_m", z)
        s = Series(s.t_s, s.values, start, grow)
        found.append(Points(k.WEIR, j, i, np.full(j.size, breach.width_m / j.size), s))
    for n, sink in enumerate(flood.sink):
        field = f"flood.sink.{n}"
        rate = sink.m3_per_s
        if isinstance(rate, int | float):
            s = Series(np.zeros(1), np.array([float(rate)]))
        else:
            s = series(scenario, rate, f"{field}.m3_per_s", least=0.0)
        if sink.at is not None:
            j, i = _spread(place, sink.at, f"{field}.at", float(s.values.max()))
        else:
            j, i = place.along(sink.line or [], f"{field}.line")
        found.append(Points(k.PUMP, j, i, np.full(j.size, 1.0 / j.size), s))
    for n, boundary in enumerate(flood.boundary):
        if boundary.line is not None:
            field = f"flood.boundary.{n}"
            j, i = place.along(boundary.line, f"{field}.line")
            z = ground.elevation_m[j, i]
            s = levels(scenario, boundary.stage_m or [], f"{field}.stage_m", z)
            found.append(Points(k.LEVEL, j, i, np.ones(j.size), s))
    return found


def _opened(s: Series, start: float, grow: float) -> Series:
    """A breach's discharge: nothing before `start`, in proportion to its width while it grows."""
    inner = s.t_s[(s.t_s > start)]
    steps = np.linspace(start, start + grow, 13) if grow > 0 else np.array([start])
    t = np.unique(np.concatenate([steps, inner]))
    v = np.interp(t, s.t_s, s.values)
    share = np.clip((t - start) / grow, 0, 1) if grow > 0 else np.ones_like(t)
    before = start - 1e-3 if grow <= 0 else start
    t, v = (
        np.concatenate([[before], t[t > before]]),
        np.concatenate([[0.0], (v * share)[t > before]]),
    )
    return Series(t, v)


def sides(scenario: Scenario, ground: Ground) -> tuple[list[Edge], list[Points]]:
    """Sides with a held level or free outflow: cells on the rim of the grid, and those inside it.

    Seen from its side the terrain of a city ends before the grid does, for its sheets lie askew in the
    plane: there the last ground before the void is the side.

    Raises:
        BadInputError: a side named twice.
    """
    edges: list[Edge] = []
    inside: list[Points] = []
    seen: set[str] = set()
    for number, boundary in enumerate(scenario.flood.boundary):
        if boundary.side is None:
            continue
        field = f"flood.boundary.{number}"
        if boundary.side in seen:
            raise BadInputError("flood_side_twice", place=field, side=boundary.side)
        seen.add(boundary.side)
        if boundary.type == "wall":
            continue
        side = SIDES[boundary.side]
        row, column, behind = _outermost(ground, side)
        z = ground.elevation_m[row, column]
        rim = (column == 0, column == ground.shape[1] - 1, row == 0, row == ground.shape[0] - 1)[
            side
        ]
        along = (row if side < 2 else column)[rim]
        if boundary.type == "stage":
            s = levels(scenario, boundary.stage_m or [], f"{field}.stage_m", z)
            edges.append(Edge(k.EDGE_STAGE, side, along, s))
            inside.append(Points(k.LEVEL, row[~rim], column[~rim], np.ones(int((~rim).sum())), s))
            continue
        if boundary.slope is not None:
            slope = np.full(z.size, boundary.slope)
        else:
            slope = np.maximum(np.nan_to_num((behind - z) / ground.cell_m, nan=0.0), LEAST_SLOPE)
        n = np.broadcast_to(np.asarray(ground.manning_n), ground.shape)[row, column]
        edges.append(Edge(k.EDGE_OPEN, side, along, None, slope[rim]))
        part = ground.cell_m * np.sqrt(slope) / n
        nothing = Series(np.zeros(1), np.zeros(1))
        inside.append(Points(k.FREE, row[~rim], column[~rim], part[~rim], nothing))
    return [e for e in edges if e.cells.size], [p for p in inside if p.row.size]


def _outermost(
    ground: Ground, side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows and columns of the first ground seen from a side (a building there hides it).

    Also the height of the next cell behind each (NaN where it has none).
    """
    wall = np.isnan(ground.elevation_m)
    void = wall if ground.building is None else wall & ~ground.building
    axis, backwards = (1, side == 1) if side < 2 else (0, side == 3)
    lines = np.moveaxis(~void, axis, 1)
    lines = lines[:, ::-1] if backwards else lines
    line = np.flatnonzero(lines.any(axis=1))
    first = lines[line].argmax(axis=1)
    inner = np.minimum(first + 1, lines.shape[1] - 1)
    if backwards:
        first, inner = lines.shape[1] - 1 - first, lines.shape[1] - 1 - inner
    row, column = (line, first) if axis == 1 else (first, line)
    behind = ground.elevation_m[(line, inner) if axis == 1 else (inner, line)]
    open_ = ~wall[row, column]
    return row[open_].astype(np.int64), column[open_].astype(np.int64), behind[open_]


def _shed(ground: Ground, wet: NDArray[np.bool_] | None = None) -> NDArray[np.float32] | None:
    """How many cells' rain each open cell takes: roofs that are walls shed theirs to the nearest ground.

    `wet` says where it rains (None: everywhere). None: every open cell takes its own and no more.
    """
    factor = np.isfinite(ground.elevation_m).astype(np.float32)
    if wet is not None:
        factor[~wet] = 0
    roof = np.zeros(ground.shape, bool)
    if ground.building is not None and ground.treatment == "block":
        roof = ground.building & np.isnan(ground.elevation_m)
        if wet is not None:
            roof &= wet
    if not roof.any():
        return None if wet is None else factor
    from scipy import ndimage  # noqa: PLC0415

    j, i = ndimage.distance_transform_edt(
        np.isnan(ground.elevation_m), return_distances=False, return_indices=True
    )
    np.add.at(factor, (j[roof], i[roof]), np.float32(1))
    return factor


def _rain_area(scenario: Scenario, ground: Ground) -> NDArray[np.bool_] | None:
    """Cells whose centre lies in the rain's area; None without one.

    Raises:
        BadInputError: the area holds no cell of the terrain.
    """
    ring = scenario.flood.rain.area if scenario.flood.rain is not None else None
    if ring is None:
        return None
    place = Map(scenario, ground)
    corners = [place.metres(at, "flood.rain.area") for at in ring]
    inside = rasterize(
        [({"type": "Polygon", "coordinates": [[*corners, corners[0]]]}, 1)], out_shape=ground.shape,
        transform=Affine(*ground.transform), fill=0, dtype="uint8",
    ).astype(bool)  # fmt: skip
    if not (inside & (np.isfinite(ground.elevation_m))).any():
        raise BadInputError("flood_outside", place="flood.rain.area", x=ring[0][0], y=ring[0][1])
    return np.asarray(inside)


def rains(scenario: Scenario, ground: Ground) -> list[tuple[float, Rain]]:
    """Rain by the time (s) from which it holds; roofs that are walls shed theirs.

    Raises:
        BadInputError: negative rain, or times that do not rise.
    """
    rain = scenario.flood.rain
    if rain is None:
        return []
    shed = _shed(ground, _rain_area(scenario, ground))
    mm_h = 1e-3 / 3600.0
    if rain.mm_per_h is not None:
        t, v = pairs(scenario, rain.mm_per_h, "flood.rain.mm_per_h", least=0.0)
        return [(0.0, Rain(np.array(t), np.array(v) * mm_h, shed))]
    maps = rain.rasters or []
    pairs(scenario, [(t, 0.0) for t, _ in maps], "flood.rain.rasters")
    found = []
    for n, (hour, name) in enumerate(maps):
        path = scenario.file(name, f"flood.rain.rasters.{n}")
        rate = on_grid(path, ground, nearest=True, place=path.name)
        rate = nothing_where_silent(rate, ground, "rain_not_said_cells")
        if (rate < 0).any():
            raise BadInputError(
                "flood_series_negative", place=path.name, given=float(rate.min()), hour=hour
            )
        weight = np.isfinite(ground.elevation_m).astype(np.float32) if shed is None else shed
        found.append(
            (hour * 3600.0, Rain(np.zeros(1), np.array([mm_h]), (rate * weight).astype(np.float32)))
        )
    return found
