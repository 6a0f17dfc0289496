"""What grids and areas say at shapes: buildings, shelters or any other points and polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.enums import MaskFlags

from citymap import crs
from citymap.assess import _kernels as k
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.progress import Progress

STRIP_CELLS = 16_000_000  # of a grid held at a time
POLYGON = 3  # shapely's number of the type
POINT_M = 0.05  # half side of the square that stands for a point


@dataclass(frozen=True, slots=True)
class Zonal:
    """By shape: the largest, the least and the area-weighted mean of the cells under it (NaN: no
    value), and the shares of its area that have a value and that lie inside the grid."""

    peak: NDArray[np.float64]
    least: NDArray[np.float64]
    mean: NDArray[np.float64]
    known_share: NDArray[np.float64]
    covered_share: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rings:
    """Polygons as flat arrays of open rings, in one projected CRS."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    ring_start: NDArray[np.int64]
    polygon_start: NDArray[np.int64]
    item_start: NDArray[np.int64]
    bounds: NDArray[np.float64]
    area: NDArray[np.float64]


def rings(geometry: NDArray[Any], epsg: int) -> Rings:
    """Polygons and points (EPSG:6668) in a zone; a point becomes a square of ten centimetres."""
    geometry = np.asarray(geometry, object)
    kind = shapely.get_type_id(geometry)
    small = np.isin(kind, (0, 1, 2, 4, 5))
    if small.any():  # buffered in metres, then drawn in degrees again: one path for all
        geometry = geometry.copy()
        geometry[small] = _squares(geometry[small], epsg)
        kind = shapely.get_type_id(geometry)
    count = len(geometry)
    if (kind == POLYGON).all():
        parts, part_item = geometry, np.arange(count)
    else:
        parts, part_item = shapely.get_parts(geometry, return_index=True)
    loops, loop_part = shapely.get_rings(parts, return_index=True)
    coords, owner = shapely.get_coordinates(loops, return_index=True)
    open_ring = np.append(owner[1:] == owner[:-1], False) if len(owner) else np.zeros(0, bool)
    coords, owner = coords[open_ring], owner[open_ring]
    x, y = (np.ascontiguousarray(c, float) for c in crs.project(coords[:, 0], coords[:, 1], epsg))
    ring_start = _starts(owner, len(loops))
    polygon_start, item_start = _starts(loop_part, len(parts)), _starts(part_item, count)
    bounds = np.full((count, 4), np.nan)
    area = np.zeros(count)
    k.extents(x, y, ring_start, polygon_start, item_start, bounds, area)
    return Rings(x, y, ring_start, polygon_start, item_start, bounds, area)


def _squares(points: NDArray[Any], epsg: int) -> NDArray[Any]:
    """Points and lines as areas of ten centimetres round them, in degrees."""
    metres = shapely.transform(
        points, lambda c: np.column_stack(crs.project(c[:, 0], c[:, 1], epsg))
    )
    grown = shapely.buffer(metres, POINT_M, cap_style="square")
    return np.asarray(
        shapely.transform(grown, lambda c: np.column_stack(crs.unproject(c[:, 0], c[:, 1], epsg)))
    )


def _starts(owner: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.searchsorted(owner, np.arange(count + 1)).astype(np.int64)


def on_grid(
    path: Path, geometry: NDArray[Any], *, progress: Progress | None = None,
    prepared: dict[int, Rings] | None = None,
) -> Zonal:  # fmt: skip
    """Statistics of band 1 of a GeoTIFF in a plane-rectangular zone, strip by strip.

    Shares of cells are exact areas of overlap; the maximum counts every cell that is overlapped.
    `prepared` keeps the shapes by zone between grids that are asked about the same shapes.

    Raises:
        BadInputError: the grid is rotated, upside-down or not in a projected CRS.
    """
    with rasterio.open(path, driver="GTiff", NUM_THREADS="ALL_CPUS") as source:
        epsg = source.crs.to_epsg() if source.crs is not None else None
        t = source.transform
        if epsg is None or not source.crs.is_projected:
            raise BadInputError("raster_no_crs", place=path.name)
        if t.b or t.d or t.a <= 0 or t.e >= 0:
            raise BadInputError("dem_rotated", place=path.name)
        all_rings = (prepared or {}).get(epsg) or rings(geometry, epsg)
        if prepared is not None:
            prepared[epsg] = all_rings
        count = len(geometry)
        out = np.full((count, 5), np.nan)
        out[:, 2:4] = 0
        left, top, size_x, size_y = t.c, t.f, t.a, -t.e
        bounds = all_rings.bounds
        with np.errstate(invalid="ignore"):
            inside = (
                (bounds[:, 0] < left + source.width * size_x) & (bounds[:, 2] > left)
                & (bounds[:, 1] < top) & (bounds[:, 3] > top - source.height * size_y)
            )  # fmt: skip
            first, last = (
                np.clip((top - bounds[:, side]) // size_y, 0, source.height - 1) for side in (3, 1)
            )
            west, east = (
                np.clip((bounds[:, side] - left) // size_x, 0, source.width - 1) for side in (0, 2)
            )
        block = source.block_shapes[0][0]
        strip = max(1, STRIP_CELLS // source.width // block) * block
        for begin in range(0, source.height, strip):
            chosen = np.flatnonzero(inside & (first >= begin) & (first < begin + strip))
            if progress is not None:
                progress.update(begin, source.height, path.stem)
            if chosen.size == 0:
                continue
            start, end = int(first[chosen].min()), int(last[chosen].max()) + 1
            c0, c1 = int(west[chosen].min()), int(east[chosen].max()) + 1
            values = _values(source, ((start, end), (c0, c1)))
            found = np.empty((chosen.size, 5))
            part = _taken(all_rings, chosen)
            k.zonal(*part, values, left + c0 * size_x, top - start * size_y, size_x, size_y, found)
            out[chosen] = found
    area = np.where(all_rings.area > 0, all_rings.area, np.nan)
    return Zonal(
        out[:, 0], out[:, 4], out[:, 1],
        np.nan_to_num(out[:, 2] / area), np.nan_to_num(out[:, 3] / area),
    )  # fmt: skip


def _values(source: Any, window: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.float32]:
    """Band 1 with NaN where there is no value. GDAL would read a grid twice for a mask that only
    says which cells hold the declared no-data value, so that is done here."""
    flags = set(source.mask_flag_enums[0])
    if flags - {MaskFlags.nodata, MaskFlags.all_valid}:
        masked = source.read(1, window=window, masked=True)
        return np.asarray(np.ma.filled(masked.astype(np.float32), np.nan))
    raw = source.read(1, window=window)
    values = np.asarray(raw, np.float32)
    if source.nodata is not None and not np.isnan(source.nodata):
        values[raw == source.nodata] = np.nan
    return values


def _taken(all_rings: Rings, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """The flat arrays of some items."""

    def take(
        starts: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        sizes = starts[items + 1] - starts[items]
        new = np.concatenate([[0], np.cumsum(sizes)])
        at = np.repeat(starts[items] - new[:-1], sizes) + np.arange(new[-1])
        return new.astype(np.int64), at.astype(np.int64)

    item_start, polygons = take(all_rings.item_start, chosen)
    polygon_start, loops = take(all_rings.polygon_start, polygons)
    ring_start, points = take(all_rings.ring_start, loops)
    return all_rings.x[points], all_rings.y[points], ring_start, polygon_start, item_start


def on_areas(
    path: Path, geometry: NDArray[Any], column: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str | None]]:
    """Pairs (shape, area) that share more than a boundary, and the areas' values of `column`.

    `path` is GeoParquet in EPSG:6668, as the shapes are.
    """
    table = pq.read_table(path, columns=["geometry"] + ([column] if column else []))
    areas = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    areas = shapely.make_valid(shapely.force_2d(areas))
    values: list[str | None] = [None] * len(areas)
    if column:
        values = [None if v is None else str(v) for v in table[column].to_pylist()]
    shapely.prepare(areas)
    tree = shapely.STRtree(np.asarray(geometry, object))
    area, shape = tree.query(areas, predicate="intersects")
    touching = shapely.touches(areas[area], np.asarray(geometry, object)[shape])
    return shape[~touching], area[~touching], values
