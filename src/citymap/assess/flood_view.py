"""Pictures and curves of a flood result for the map: depth by official classes, differences, one point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import rasterio
from rasterio.io import MemoryFile

from citymap import crs
from citymap.assess.depth_classes import STANDARD
from citymap.errors import BadInputError
from citymap.flood.results import FLOODED_FROM_M, LIVE, NETCDF

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_PX = 900
ALPHA = 190
# Less and more water than before: blue and orange keep apart for every kind of colour vision.
LESS, MORE = (
    ((5, 48, 97), (67, 147, 195), (171, 215, 233)),
    ((253, 204, 138), (230, 110, 30), (127, 39, 4)),
)
STEPS_M = (0.05, 0.2, 0.5)
DRY, WALL = (245, 244, 240), (176, 172, 166)  # of pictures that lie on no map
MARGIN = 0.1  # around the water of pictures, of its extent
LEAST_MARGIN_CELLS = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG and its corners (lon, lat): lower left, upper left, upper right, lower right."""

    png: bytes
    corners: list[list[float]]


def _coarse(
    values: NDArray[np.float32], longest: int = LONGEST_PX
) -> tuple[NDArray[np.float32], int]:
    step = max(1, -(-max(values.shape) // longest))
    if step == 1:
        return values, 1
    rows, columns = (-(-n // step) * step for n in values.shape)
    padded = np.full((rows, columns), np.nan, np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows // step, step, columns // step, step)
    return np.fmax.reduce(np.fmax.reduce(blocks, axis=3), axis=1), step


def _png(classes: NDArray[np.uint8], colours: dict[int, tuple[int, int, int, int]]) -> bytes:
    with MemoryFile() as memory:
        with memory.open(
            driver="PNG", width=classes.shape[1], height=classes.shape[0], count=1, dtype="uint8",
            crs="EPSG:3857", transform=rasterio.Affine(2.0, 0.0, 0.0, 0.0, -2.0, 0.0),
        ) as out:  # fmt: skip
            out.write(classes, 1)
            out.write_colormap(1, colours)
        return bytes(memory.read())


def _corners(transform: Any, shape: tuple[int, int], epsg: int) -> list[list[float]]:
    rows, columns = shape
    x = [
        transform.c,
        transform.c,
        transform.c + transform.a * columns,
        transform.c + transform.a * columns,
    ]
    y = [
        transform.f + transform.e * rows,
        transform.f,
        transform.f,
        transform.f + transform.e * rows,
    ]
    lon, lat = crs.unproject(np.array(x), np.array(y), epsg)
    return [[round(float(a), 7), round(float(b), 7)] for a, b in zip(lon, lat, strict=True)]


def _classes(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Numbers of the standard classes from 1; 0 where it is dry or missing."""
    bounds = [max(c.min_m, FLOODED_FROM_M) for c in STANDARD]
    found = np.searchsorted(bounds, np.nan_to_num(depth, nan=0.0), side="right")
    return found.astype(np.uint8)


def picture(values: NDArray[np.float32], transform: Any, epsg: int) -> Picture:
    """Depths in the colours of the standard classes; dry and missing are clear."""
    coarse, step = _coarse(values)
    colours = {0: (0, 0, 0, 0)} | {n + 1: (*c.colour, ALPHA) for n, c in enumerate(STANDARD)}
    scaled = transform * transform.scale(step)
    return Picture(_png(_classes(coarse), colours), _corners(scaled, coarse.shape, epsg))


def _read(path: Path) -> tuple[NDArray[np.float32], Any, int]:
    try:
        with rasterio.open(path, driver="GTiff") as source:
            return source.read(1), source.transform, int(source.crs.to_epsg())
    except rasterio.errors.RasterioError as e:
        raise BadInputError("flood_no_result", place=path.parent.name) from e


def peak(folder: Path) -> bytes:
    """The maximum depth of a result as a PNG, cut to where there is water.

    Raises:
        BadInputError: there is no finished result.
    """
    depth, _, _ = _read(folder / "max_depth.tif")
    depth, _ = _coarse(depth[_around(np.nan_to_num(depth) >= FLOODED_FROM_M)])
    return _on_ground(_classes(depth), np.isnan(depth), [c.colour for c in STANDARD])


@dataclass(frozen=True, slots=True)
class Live:
    """The water of a run under way: picture, time (s), and a place (lon, lat) amid it."""

    picture: Picture
    t_s: float
    middle: tuple[float, float]


def live(folder: Path) -> Live | None:
    """The water of a run under way; None before the first output."""
    path = folder / LIVE
    if not path.is_file():
        return None
    with rasterio.open(path, driver="GTiff") as source:
        t_s = float(source.tags().get("t_s", 0))
    depth, transform, epsg = _read(path)
    wet = np.argwhere(np.nan_to_num(depth, nan=0.0) >= FLOODED_FROM_M)
    if not len(wet):
        wet = np.array([depth.shape]) // 2
    row, column = wet[np.argsort(wet.sum(axis=1))[len(wet) // 2]]
    x, y = transform * (column + 0.5, row + 0.5)
    lon, lat = crs.unproject(float(x), float(y), epsg)
    return Live(picture(depth, transform, epsg), t_s, (float(lon), float(lat)))


def hours(folder: Path) -> list[float]:
    """The output times of a result in hours."""
    with opened(folder) as data:
        return [float(t) / 3600 for t in data["time"][:]]


def opened(folder: Path) -> Any:
    """The open `flood.nc` of a result.

    Raises:
        BadInputError: there is none.
    """
    try:
        return netCDF4.Dataset(folder / NETCDF)
    except OSError as e:
        raise BadInputError("flood_no_result", place=folder.name) from e


def placed(data: Any) -> tuple[Any, int]:
    """Affine and EPSG code of an open `flood.nc`."""
    c, a, _, f, _, e = (float(v) for v in data["crs"].GeoTransform.split())
    return rasterio.Affine(a, 0.0, c, 0.0, e, f), int(
        str(data["crs"].epsg_code).removeprefix("EPSG:")
    )


def depths(
    folder: Path, number: int, *, longest: int
) -> tuple[NDArray[np.float32], list[list[float]]]:
    """Depths (m, NaN unknown) at one output time, `longest` cells or fewer a side, and the corners."""
    with opened(folder) as data:
        transform, epsg = placed(data)
        coarse, step = _coarse(np.ma.filled(data["depth"][number], np.nan), longest)
    return coarse, _corners(transform * transform.scale(step), coarse.shape, epsg)


def curve(folder: Path, lon: float, lat: float) -> tuple[list[float], list[float]] | None:
    """Hours and depths at a point; None outside the result or on a wall."""
    with opened(folder) as data:
        transform, epsg = placed(data)
        x, y = crs.project(lon, lat, epsg)
        column, row = (int(np.floor(v)) for v in ~transform * (float(x), float(y)))
        _, rows, columns = data["depth"].shape
        if not (0 <= row < rows and 0 <= column < columns):
            return None
        depth = np.ma.filled(data["depth"][:, row, column], np.nan)
        if np.isnan(depth).all():
            return None
        return [float(t) / 3600 for t in data["time"][:]], [float(d) for d in depth]


@dataclass(frozen=True, slots=True)
class Compared:
    """PNGs of two maximum depths and of their difference, cut to where there is water; areas in m²."""

    before: bytes
    after: bytes
    change: bytes
    areas: dict[str, float]


def compared(before: Path, after: Path) -> Compared:
    """How the maximum depth of `after` differs from that of `before`.

    Raises:
        BadInputError: one has no finished result, or the two do not share a grid.
    """
    a, transform, epsg = _read(before / "max_depth.tif")
    b, other, code = _read(after / "max_depth.tif")
    if a.shape != b.shape or transform != other or epsg != code:
        raise BadInputError("flood_other_grid", place=after.name)
    change = np.nan_to_num(b, nan=0.0) - np.nan_to_num(a, nan=0.0)
    cell = transform.a**2
    wet_a, wet_b = np.nan_to_num(a) >= FLOODED_FROM_M, np.nan_to_num(b) >= FLOODED_FROM_M
    areas = {
        "deeper_m2": float((change >= STEPS_M[0]).sum() * cell),
        "shallower_m2": float((change <= -STEPS_M[0]).sum() * cell),
        "newly_wet_m2": float((wet_b & ~wet_a).sum() * cell),
        "newly_dry_m2": float((wet_a & ~wet_b).sum() * cell),
    }
    window = _around(wet_a | wet_b)
    a, b = _coarse(a[window])[0], _coarse(b[window])[0]
    change = np.nan_to_num(b, nan=0.0) - np.nan_to_num(a, nan=0.0)
    size = np.searchsorted(STEPS_M, np.abs(change), side="right")
    sides = np.where(change < 0, size, np.where(size > 0, size + 3, 0)).astype(np.uint8)
    depths = [c.colour for c in STANDARD]
    wall = np.isnan(a) & np.isnan(b)
    return Compared(
        _on_ground(_classes(a), wall, depths), _on_ground(_classes(b), wall, depths),
        _on_ground(sides, wall, [*LESS[::-1], *MORE]), areas,
    )  # fmt: skip


def _around(wet: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns with water, and a margin; all where there is none."""
    found = []
    for axis in (1, 0):
        at = np.flatnonzero(wet.any(axis=axis))
        first, last = (at[0], at[-1] + 1) if at.size else (0, wet.shape[1 - axis])
        margin = max(LEAST_MARGIN_CELLS, int(MARGIN * (last - first)))
        found.append(slice(max(0, first - margin), last + margin))
    return found[0], found[1]


def _on_ground(
    classes: NDArray[np.uint8], wall: NDArray[np.bool_], colours: list[tuple[int, int, int]]
) -> bytes:
    """A PNG of classes from 1 over dry ground and over buildings or no ground."""
    shown = np.where(wall & (classes == 0), np.uint8(len(colours) + 1), classes).astype(np.uint8)
    opaque = {n: (*c, 255) for n, c in enumerate((DRY, *colours, WALL))}
    return _png(shown, opaque)
