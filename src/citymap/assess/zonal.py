"""What grids and areas say at shapes: buildings, shelters or any other points and polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely

from citymap import crs
from citymap.assess import _kernels as k
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.progress import Progress

STRIP_CELLS = 16_000_000  # of a grid held at a time
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
    flat = shapely.force_2d(geometry)

    def metres(c: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(crs.project(c[:, 0], c[:, 1], epsg))

    flat = shapely.transform(flat, metres)
    kind = shapely.get_type_id(flat)
    small = np.isin(kind, (0, 1, 2, 4, 5))
    flat[small] = shapely.buffer(flat[small], POINT_M, cap_style="square")
    parts, part_item = shapely.get_parts(flat, return_index=True)
    loops, loop_part = shapely.get_rings(parts, return_index=True)
    coords, owner = shapely.get_coordinates(loops, return_index=True)
    closing = np.append(owner[1:] != owner[:-1], True)
    coords, owner = coords[~closing], owner[~closing]
    return Rings(
        np.ascontiguousarray(coords[:, 0]), np.ascontiguousarray(coords[:, 1]),
        _starts(owner, len(loops)), _starts(loop_part, len(parts)), _starts(part_item, len(flat)),
        shapely.bounds(flat), shapely.area(flat),
    )  # fmt: skip


def _starts(owner: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.searchsorted(owner, np.arange(count + 1)).astype(np.int64)


def on_grid(path: Path, geometry: NDArray[Any], *, progress: Progress | None = None) -> Zonal:
    """Statistics of band 1 of a GeoTIFF in a plane-rectangular zone, strip by strip.

    Shares of cells are exact areas of overlap; the maximum counts every cell that is overlapped.

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
        all_rings = rings(geometry, epsg)
        count = len(geometry)
        out = np.full((count, 5), np.nan)
        out[:, 2:4] = 0
        left, top, size_x, size_y = t.c, t.f, t.a, -t.e
        bounds = all_rings.bounds
        inside = (
            (bounds[:, 0] < left + source.width * size_x) & (bounds[:, 2] > left)
            & (bounds[:, 1] < top) & (bounds[:, 3] > top - source.height * size_y)
        )  # fmt: skip
        first = np.clip((top - bounds[:, 3]) // size_y, 0, source.height - 1)
        last = np.clip((top - bounds[:, 1]) // size_y, 0, source.height - 1)
        strip = max(1, STRIP_CELLS // source.width)
        for begin in range(0, source.height, strip):
            chosen = np.flatnonzero(inside & (first >= begin) & (first < begin + strip))
            if progress is not None:
                progress.update(begin, source.height, path.stem)
            if chosen.size == 0:
                continue
            start, end = int(first[chosen].min()), int(last[chosen].max()) + 1
            west = int(np.clip((bounds[chosen, 0].min() - left) // size_x, 0, source.width - 1))
            east = int(np.clip((bounds[chosen, 2].max() - left) // size_x, 0, source.width - 1)) + 1
            grid = source.read(1, window=((start, end), (west, east)), masked=True)
            values = np.ma.filled(grid.astype(np.float32), np.nan)
            part = _taken(all_rings, chosen)
            found = np.empty((chosen.size, 5))
            corner = left + west * size_x, top - start * size_y
            k.zonal(*part, values, *corner, size_x, size_y, found)
            out[chosen] = found
    area = np.where(all_rings.area > 0, all_rings.area, np.nan)
    return Zonal(
        out[:, 0],
        out[:, 4],
        out[:, 1],
        np.nan_to_num(out[:, 2] / area),
        np.nan_to_num(out[:, 3] / area),
    )


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
