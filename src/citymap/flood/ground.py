"""Terrain, buildings and roughness of a scenario as arrays on its grid; repairs are reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.errors import RasterioError
from rasterio.transform import Affine, array_bounds
from rasterio.warp import Resampling, transform_bounds

from citymap import crs
from citymap.errors import BadInputError
from citymap.flood.gridding import LIMIT_CELLS, burn, fill_small_holes, read_raster, warp
from citymap.flood.scenario import Raster, Scenario
from citymap.i18n import note
from citymap.progress import Part, Progress, Quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

READING, BUILDINGS = note("flood.said.terrain"), note("flood.said.entering")
HEIGHTS_M = (-500.0, 9000.0)  # anything else is no height in metres
WEB_MERCATOR = 3857  # its metres are no metres: in Japan 1.2 to 1.4 of them make one
UNKNOWN_HEIGHT_M = 6.0  # of a raised building whose height is not recorded
LEAST_POROSITY = 0.1

# Manning's n by land use. Source: 浸水想定区域図作成マニュアル (宅地は建物占有率で変わる合成粗度; 農地
# 0.060, 道路 0.047, その他 0.050) with common values for water and forest. Codes: Common_landUseType.
LAND_USE_N = {
    "201": 0.060, "202": 0.060, "203": 0.100, "204": 0.025, "205": 0.050, "211": 0.070, "212": 0.070,
    "213": 0.070, "214": 0.060, "215": 0.047, "216": 0.060, "217": 0.050, "218": 0.050, "219": 0.050,
    "220": 0.050, "221": 0.050, "222": 0.050, "223": 0.050, "224": 0.050, "231": 0.050,
}  # fmt: skip
OTHER_N = 0.050


@dataclass(slots=True)
class Ground:
    """The grid of a run: heights (m, NaN = wall), cell (m), affine, CRS, roughness, walls.

    `repairs` and `notes` say what was changed or left out, as keys with figures.
    """

    elevation_m: NDArray[np.float64]
    transform: tuple[float, float, float, float, float, float]
    epsg: int
    cell_m: float
    manning_n: float | NDArray[np.float64]
    depth_m: float | NDArray[np.float64]
    building: NDArray[np.bool_] | None = None
    porosity: NDArray[np.float64] | None = None
    treatment: str = "ignore"
    repairs: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.elevation_m.shape
        return rows, columns


def read_terrain(
    path: Path, *, cell_m: float | None, epsg: int | None, progress: Progress | None = None
) -> Ground:
    """Heights of a GeoTIFF on square cells. `epsg` is the city's zone, for terrain in degrees.

    Raises:
        BadInputError: no CRS, degrees without a city, feet, rotated, or no heights at all.
    """
    place = path.name
    progress = progress or Quiet()
    reading, fitting = Part(progress, 0.0, 0.4), Part(progress, 0.4, 0.9)
    values, t, system, tags, unit = read_raster(path, place, reading, READING)
    if system is None:
        raise BadInputError("dem_no_crs", place=place)
    code = system.to_epsg()
    if unit and unit not in {"m", "metre", "meter", "metres", "meters"}:
        raise BadInputError("flood_vertical_unit", place=place, unit=unit)
    if t.b or t.d or t.a <= 0 or t.e >= 0:
        raise BadInputError("dem_rotated", place=place)
    values[~np.isfinite(values) | (values <= -9990)] = np.nan
    seen = values[np.isfinite(values)]
    if not seen.size:
        raise BadInputError("flood_no_ground", place=place)
    low, high = float(seen.min()), float(seen.max())
    if low < HEIGHTS_M[0] or high > HEIGHTS_M[1]:
        raise BadInputError("flood_heights", place=place, low=round(low, 1), high=round(high, 1))
    repairs: dict[str, float] = {}
    if code == WEB_MERCATOR:
        raise BadInputError("flood_web_mercator", place=place)
    if system.is_geographic:
        if epsg is None:
            raise BadInputError("flood_degrees", place=place)
        repairs["reprojected_from_epsg"] = float(code or 0)
        code = epsg
    elif code is None or system.linear_units.lower() not in {"metre", "meter", "m"}:
        raise BadInputError("flood_crs_unit", place=place, unit=system.linear_units)
    size = cell_m or (round(abs(t.a), 6) if not system.is_geographic else 5.0)
    rows, columns = values.shape
    if not system.is_geographic and size > min(rows * -t.e, columns * t.a):
        raise BadInputError("flood_cell_too_large", place="flood.cell_size_m", given=f"{size:g}")
    if system.is_geographic or abs(t.a - size) > 1e-6 * size or abs(t.e + size) > 1e-6 * size:
        finer = not system.is_geographic and size < abs(t.a) * 0.999
        coarser = not system.is_geographic and size > abs(t.a) * 1.5
        values, t = _resampled(values, t, system, code, size, coarser=coarser, progress=fitting)
        repairs["resampled_to_m"] = size
        if finer:
            repairs["finer_than_terrain"] = size
    if values.size > LIMIT_CELLS:
        raise BadInputError("dem_too_large", place=place)
    filled = fill_small_holes(values, Part(progress, 0.9, 1.0), READING)
    if filled:
        repairs["holes_filled_cells"] = float(filled)
    missing = int(np.isnan(values).sum())
    if missing:
        repairs["cells_without_ground"] = float(missing)
    datum = tags.get("VERTICAL_DATUM", "")
    notes = [] if datum == "T.P." else ["vertical_datum_unknown"]
    return Ground(
        values, (t.a, t.b, t.c, t.d, t.e, t.f), int(code), float(size), 0.05, 0.0, repairs=repairs,
        notes=notes,
    )  # fmt: skip


def _resampled(
    values: NDArray[np.float64],
    t: Affine,
    system: Any,
    epsg: int,
    cell: float,
    *,
    coarser: bool,
    progress: Progress,
) -> tuple[NDArray[np.float64], Affine]:
    rows, columns = values.shape
    west, south, east, north = t.c, t.f + t.e * rows, t.c + t.a * columns, t.f
    if system.to_epsg() != epsg:
        west, south, east, north = transform_bounds(
            system, f"EPSG:{epsg}", west, south, east, north
        )
    across, down = max(1, round((east - west) / cell)), max(1, round((north - south) / cell))
    if across * down > LIMIT_CELLS:
        raise BadInputError("dem_too_large", place="flood.cell_size_m")
    target = Affine(cell, 0, west, 0, -cell, north)
    how = Resampling.average if coarser else Resampling.bilinear
    return warp(values, t, system, target, epsg, (down, across), how, progress, READING), target


def on_grid(
    path: Path, ground: Ground, *, nearest: bool, place: str, progress: Progress | None = None
) -> NDArray[np.float64]:
    """A raster of any CRS at the cells of the grid; NaN where it says nothing.

    Raises:
        BadInputError: not a GeoTIFF, without CRS, or of another place than the grid.
    """
    progress = progress or Quiet()
    values, t, system, _, _ = read_raster(path, place, Part(progress, 0.0, 0.5), READING)
    if system is None:
        raise BadInputError("dem_no_crs", place=place)
    how = Resampling.nearest if nearest else Resampling.bilinear
    target = Affine(*ground.transform)
    fitting = Part(progress, 0.5, 1.0)
    rows, columns = ground.shape
    west, south, east, north = array_bounds(rows, columns, target)
    a, b, c, d = transform_bounds(system, f"EPSG:{ground.epsg}", *array_bounds(*values.shape, t))
    if not (a < east and c > west and b < north and d > south):
        raise BadInputError("flood_raster_elsewhere", place=place)
    return warp(values, t, system, target, ground.epsg, ground.shape, how, fitting, READING)


def nothing_where_silent(
    values: NDArray[np.float64], ground: Ground, repair: str
) -> NDArray[np.float64]:
    """The values with 0 where they say nothing; how many cells with ground that are is reported."""
    silent = int((np.isnan(values) & np.isfinite(ground.elevation_m)).sum())
    if silent:
        ground.repairs[repair] = max(float(silent), ground.repairs.get(repair, 0.0))
    return np.nan_to_num(values, nan=0.0)


def _projected(geometry: Any, epsg: int) -> Any:
    return shapely.transform(
        shapely.force_2d(geometry), lambda c: np.column_stack(crs.project(c[:, 0], c[:, 1], epsg))
    )


def _inside(geometry: NDArray[Any], ground: Ground) -> NDArray[np.bool_]:
    a, _, c, _, e, f = ground.transform
    rows, columns = ground.shape
    bounds = shapely.bounds(geometry)
    return np.asarray(
        (bounds[:, 2] > c) & (bounds[:, 0] < c + a * columns)
        & (bounds[:, 3] > f + e * rows) & (bounds[:, 1] < f)
    )  # fmt: skip


def buildings(ground: Ground, path: Path, treatment: str, progress: Progress | None = None) -> None:
    """Enter the footprints of `buildings.parquet` (EPSG:6668) by the treatment chosen.

    `block`: cells whose centre lies in a footprint are walls; `raise`: they stand on their height
    (6 m where unknown); `porosity`: each cell keeps the share that is not built on.
    """
    table = pq.read_table(path, columns=["geometry", "measured_height_m"])
    shapes = _projected(
        shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False)), ground.epsg
    )
    height = np.nan_to_num(
        table.column("measured_height_m").to_numpy(zero_copy_only=False).astype(float),
        nan=UNKNOWN_HEIGHT_M,
    )
    here = _inside(shapes, ground) & ~shapely.is_empty(shapes)
    shapes, height = shapes[here], height[here]
    ground.treatment = treatment
    ground.notes.append(f"buildings:{len(shapes)}")
    if not len(shapes):
        return
    if treatment == "porosity":
        share = _burnt(shapes, None, ground, progress, BUILDINGS, fine=4)
        ground.porosity = np.clip(1.0 - share, LEAST_POROSITY, 1.0)
        ground.building = share >= 0.5
        return
    burnt = _burnt(shapes, height if treatment == "raise" else None, ground, progress, BUILDINGS)
    ground.building = burnt > 0
    if treatment == "block":
        ground.elevation_m[ground.building] = np.nan
    else:
        ground.elevation_m += burnt


def on_building(terrain: Path, table: Path, at: tuple[float, float], cell_m: float) -> bool:
    """Whether the cell of a run under JGD2011 lon, lat would be entered as a building by `buildings`.

    `terrain` is projected, as a city's own is. Reads the footprints only, not the terrain.

    Raises:
        BadInputError: the terrain cannot be opened.
    """
    try:
        with rasterio.open(terrain, driver="GTiff") as source:
            t, epsg = source.transform, int(source.crs.to_epsg())
    except RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=terrain.name, reason=e) from e
    x, y = (float(v) for v in crs.project(*at, epsg))
    column, row = np.floor((x - t.c) / cell_m), np.floor((t.f - y) / cell_m)
    lon, lat = crs.unproject(
        t.c + (float(column) + 0.5) * cell_m, t.f - (float(row) + 0.5) * cell_m, epsg
    )
    wkb = pq.read_table(table, columns=["geometry"]).column("geometry")
    shapes = shapely.force_2d(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False)))
    return bool(shapely.contains_xy(shapes, float(lon), float(lat)).any())


def _burnt(
    shapes: NDArray[Any], values: NDArray[np.float64] | None, ground: Ground, progress: Progress | None,
    note: str, fine: int = 1,
) -> NDArray[np.float64]:  # fmt: skip
    target = Affine(*ground.transform)
    return burn(shapes, values, target, ground.shape, fine, progress or Quiet(), note)


def roughness(ground: Ground, scenario: Scenario, progress: Progress | None = None) -> None:
    """Manning's n: a number, a raster, or by land use.

    Raises:
        BadInputError: a raster value that is not positive, or no land use in the city.
    """
    given = scenario.flood.manning_n
    if isinstance(given, Raster):
        path = scenario.file(given.raster, "flood.manning_n")
        n = on_grid(path, ground, nearest=True, place=path.name, progress=progress)
        bad = np.isfinite(ground.elevation_m) & ~((n > 0) & (n <= 1))
        if bad.any():
            row, column = divmod(int(np.argmax(bad)), ground.shape[1])
            raise BadInputError(
                "flood_manning", place=path.name, row=row, column=column, cells=int(bad.sum())
            )
        ground.manning_n = np.where(n > 0, n, 0.05)
    elif given == "landuse":
        path = (
            scenario.city / "base" / "landuse.parquet" if scenario.city else Path("landuse.parquet")
        )
        if not path.is_file():
            raise BadInputError("flood_no_land_use", place="flood.manning_n")
        table = pq.read_table(path, columns=["geometry", "kind_code"])
        shapes = _projected(
            shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False)), ground.epsg
        )
        n = np.array(
            [LAND_USE_N.get(str(c), OTHER_N) for c in table.column("kind_code").to_pylist()]
        )
        areal = np.isin(shapely.get_type_id(shapes), (3, 6)) & _inside(shapes, ground)
        burnt = _burnt(shapes[areal], n[areal], ground, progress, READING)
        ground.manning_n = np.where(burnt > 0, burnt, OTHER_N)
    else:
        ground.manning_n = float(given)


def initial_depth(ground: Ground, scenario: Scenario, progress: Progress | None = None) -> None:
    """The water at the start: a number, or a raster (nothing said = dry).

    Raises:
        BadInputError: a negative depth.
    """
    given = scenario.flood.initial_depth_m
    if isinstance(given, Raster):
        path = scenario.file(given.raster, "flood.initial_depth_m")
        depth = on_grid(path, ground, nearest=True, place=path.name, progress=progress)
        depth = nothing_where_silent(depth, ground, "depth_not_said_cells")
        if (depth < 0).any():
            row, column = divmod(int(np.argmin(depth)), ground.shape[1])
            raise BadInputError("flood_negative_depth", place=path.name, row=row, column=column)
        ground.depth_m = depth
    else:
        ground.depth_m = float(given)


def prepare(scenario: Scenario, *, epsg: int | None, progress: Progress | None = None) -> Ground:
    """Terrain, buildings, roughness and first water of a scenario; `epsg` is the city's zone.

    Raises:
        BadInputError: see the functions above.
    """
    path = scenario.file(scenario.flood.terrain, "flood.terrain")
    progress = progress or Quiet()
    land = Part(progress, 0.0, 0.5)
    ground = read_terrain(path, cell_m=scenario.flood.cell_size_m, epsg=epsg, progress=land)
    roughness(ground, scenario, Part(progress, 0.5, 0.6))
    initial_depth(ground, scenario, Part(progress, 0.6, 0.7))
    treatment = scenario.flood.buildings
    table = scenario.city / "buildings.parquet" if scenario.city else None
    if treatment != "ignore":
        if table is not None and table.is_file():
            buildings(ground, table, treatment or "block", Part(progress, 0.7, 1.0))
        elif treatment is not None:
            ground.notes.append("no_buildings_table")
    return ground
