"""How far it is from a point to the edge of an assumed inundation area or zone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.windows import Window

from citymap import crs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.hazard.sets import HazardSet

REACH_M = 500.0  # farther is said as "more than"


def edge_m(hazard: HazardSet, lon: float, lat: float, *, inside: bool, epsg: int) -> float | None:
    """Metres to the edge of the area of a set; None where none is within `REACH_M`.

    From inside it is the way to the nearest place that no layer of the set calls flooded; from
    outside the way to the nearest that one does. A grid is as exact as its cells. `epsg` is the
    plane-rectangular zone to measure areas in.
    """
    found = []
    for layer in hazard.of("depth", "rank", "zone"):
        measured = (
            _of_grid(layer.path, lon, lat, inside=inside) if layer.is_raster
            else _of_areas(layer.path, lon, lat, inside=inside, epsg=epsg)
        )  # fmt: skip
        if measured is not None:
            found.append(measured)
    if not found:
        return None
    return max(found) if inside else min(found)


def _of_grid(path: Path, lon: float, lat: float, *, inside: bool) -> float | None:
    with rasterio.open(path, driver="GTiff") as source:
        x, y = (float(v) for v in crs.project(lon, lat, source.crs.to_epsg()))
        t = source.transform
        column, row = (x - t.c) / t.a, (y - t.f) / t.e
        reach = math.ceil(REACH_M / t.a)
        c0, r0 = max(0, int(column) - reach), max(0, int(row) - reach)
        c1 = min(source.width, int(column) + reach + 1)
        r1 = min(source.height, int(row) + reach + 1)
        if c1 <= c0 or r1 <= r0:
            return None
        grid = source.read(1, window=Window(c0, r0, c1 - c0, r1 - r0), masked=True)
        wet = np.ma.filled(grid.astype(np.float32), 0.0) > 0
        cells = np.argwhere(wet != inside)
        own_row, own_column = int(row) - r0, int(column) - c0
        within = 0 <= own_row < wet.shape[0] and 0 <= own_column < wet.shape[1]
        if inside and not (within and wet[own_row, own_column]):
            return None  # another layer says that the point is inside
        if not len(cells):
            return None
        dx = np.maximum(np.abs(cells[:, 1] + c0 + 0.5 - column) - 0.5, 0) * t.a
        dy = np.maximum(np.abs(cells[:, 0] + r0 + 0.5 - row) - 0.5, 0) * -t.e
        metres = float(np.hypot(dx, dy).min())
    return metres if metres <= REACH_M else None


@lru_cache(maxsize=32)
def _areas(path: Path, epsg: int, _stamp: int) -> shapely.STRtree:
    wkb = pq.read_table(path, columns=["geometry"])["geometry"].to_numpy(zero_copy_only=False)
    shapes = shapely.make_valid(shapely.force_2d(shapely.from_wkb(wkb)))

    def metres(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(crs.project(lon_lat[:, 0], lon_lat[:, 1], epsg))

    flat: NDArray[Any] = shapely.transform(shapes, metres)
    shapely.prepare(flat)
    return shapely.STRtree(flat)


def _of_areas(path: Path, lon: float, lat: float, *, inside: bool, epsg: int) -> float | None:
    tree = _areas(path, epsg, path.stat().st_mtime_ns)
    point = shapely.Point(*(float(v) for v in crs.project(lon, lat, epsg)))
    if not inside:
        near = tree.query_nearest(point, max_distance=REACH_M, all_matches=False)
        return float(tree.geometries[near[0]].distance(point)) if len(near) else None
    over = tree.geometries[tree.query(point, predicate="intersects")]
    if not len(over):
        return None
    close = tree.geometries[tree.query(point.buffer(REACH_M))]
    joined = shapely.union_all(close)
    metres = float(joined.boundary.distance(point))
    return metres if metres <= REACH_M else None
