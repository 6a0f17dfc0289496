"""Rasters and shapes brought onto a run's grid strip by strip, so that it can be watched and stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import shapely
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window
from scipy import ndimage

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.progress import Progress

LIMIT_CELLS = 200_000_000
SMALL_HOLE_CELLS = 100
STRIP_CELLS = 1_000_000
HOLE_RIM = 2  # cells around a hole in which its nearest ground is sought
HOLES_AT_ONCE = 500


def strips(rows: int, columns: int, progress: Progress, note: str) -> Iterator[slice]:
    """The rows of a grid in strips of about `STRIP_CELLS` cells; says before each how far it is."""
    height = max(1, STRIP_CELLS // max(columns, 1))
    for first in range(0, rows, height):
        progress.update(first, rows, note)
        yield slice(first, min(first + height, rows))


def read_raster(
    path: Path, place: str, progress: Progress, note: str
) -> tuple[NDArray[np.float64], Affine, Any, dict[str, str], str]:
    """First band of a GeoTIFF (NaN where it says nothing), affine, CRS, tags and the unit it names.

    Raises:
        BadInputError: no GeoTIFF, damaged, or too large.
    """
    try:
        with rasterio.open(path, driver="GTiff") as source:
            if source.width * source.height > LIMIT_CELLS:
                raise BadInputError("dem_too_large", place=place)
            values = np.empty((source.height, source.width))
            for part in strips(source.height, source.width, progress, note):
                window = Window(0, part.start, source.width, part.stop - part.start)
                read = source.read(1, masked=True, window=window)
                values[part] = np.ma.filled(read.astype(np.float64), np.nan)
            unit = (source.units[0] or source.tags().get("UNIT", "")).strip().lower()
            return values, source.transform, source.crs, dict(source.tags()), unit
    except RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=place, reason=e) from e


def warp(
    values: NDArray[np.float64], t: Affine, system: Any, target: Affine, epsg: int,
    shape: tuple[int, int], how: Resampling, progress: Progress, note: str,
) -> NDArray[np.float64]:  # fmt: skip
    """Values at the cells of another grid; NaN where they say nothing."""
    out = np.full(shape, np.nan)
    for part in strips(*shape, progress, note):
        reproject(
            values, out[part], src_transform=t, src_crs=system, src_nodata=np.nan, dst_nodata=np.nan,
            dst_transform=target * Affine.translation(0, part.start), dst_crs=f"EPSG:{epsg}",
            resampling=how,
        )  # fmt: skip
    return out


def burn(
    shapes: NDArray[Any], values: NDArray[np.float64] | None, target: Affine, shape: tuple[int, int],
    fine: int, progress: Progress, note: str,
) -> NDArray[np.float64]:  # fmt: skip
    """The value (1 without any) of the last shape that holds a cell's centre, else 0.

    With `fine` > 1 the mean over `fine` × `fine` parts of each cell.
    """
    rows, columns = shape
    out = np.zeros(shape)
    given = np.ones(len(shapes)) if values is None else values
    lowest, highest = shapely.bounds(shapes)[:, [1, 3]].T
    for part in strips(rows, columns * fine**2, progress, note):
        top, bottom = target.f + target.e * part.start, target.f + target.e * part.stop
        here = (highest > bottom) & (lowest < top)
        if not here.any():
            continue
        within = target * Affine.translation(0, part.start) * Affine.scale(1 / fine)
        count = part.stop - part.start
        burnt = rasterize(
            zip(shapes[here], given[here], strict=True), out_shape=(count * fine, columns * fine),
            fill=0, transform=within, dtype="float64",
        )  # fmt: skip
        out[part] = burnt.reshape(count, fine, columns, fine).mean(axis=(1, 3))
    return out


def fill_small_holes(values: NDArray[np.float64], progress: Progress, note: str) -> int:
    """Fill enclosed holes of at most `SMALL_HOLE_CELLS` cells from the nearest ground; in place.

    Returns the number of cells filled.
    """
    missing = np.isnan(values)
    if not missing.any():
        return 0
    label, count = ndimage.label(missing)
    small = np.bincount(label.ravel(), minlength=count + 1) <= SMALL_HOLE_CELLS
    small[0] = False
    small[np.unique(np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]]))] = False
    filled = 0
    boxes = ndimage.find_objects(label)
    for done, number in enumerate(np.flatnonzero(small)):
        if done % HOLES_AT_ONCE == 0:
            progress.update(done, int(small.sum()), note)
        around = tuple(
            slice(max(0, s.start - HOLE_RIM), s.stop + HOLE_RIM) for s in boxes[number - 1]
        )
        hole, empty, part = label[around] == number, missing[around], values[around]
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        part[hole] = part[nearest[0][hole], nearest[1][hole]]
        filled += int(hole.sum())
    return filled
