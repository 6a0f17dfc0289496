"""Depth grids as maps in the legend's colours, and as coverages with their values."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import shapely
from PIL import Image
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.legend import DEPTH, legends
from citymap.model.legend import UNKNOWN
from citymap.share.ogc import crs_uri, query

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.share.ogc.collection import Collection

MAP_PARAMETERS = frozenset(
    {"f", "lang", "bbox", "bbox-crs", "crs", "width", "height", "transparent", "bgcolor"}
)
COVERAGE_PARAMETERS = frozenset({"f", "lang", "bbox", "bbox-crs"})
MAX_SIDE = 4096  # pixels of a map
MAX_CELLS = 36_000_000  # of a coverage in one answer
Box = tuple[float, float, float, float]


def file_of(one: Collection) -> Path:
    """The grid behind a collection.

    Raises:
        BadInputError: it has none.
    """
    if one.raster is None:
        raise BadInputError("ogc_no_grid", place=one.id)
    return one.raster


def known(given: Mapping[str, str], names: frozenset[str]) -> None:
    """Raise `BadInputError` for a parameter that is not among the names."""
    unknown = set(given) - names
    if unknown:
        raise BadInputError("ogc_unknown_parameter", place=min(unknown)[:100])


def bounds(path: Path) -> tuple[Box, int]:
    """West, south, east, north of a grid in its own system (x east, y north), and that EPSG code."""
    with rasterio.open(path, driver="GTiff") as source:
        b = source.bounds
        return (b.left, b.bottom, b.right, b.top), int(source.crs.to_epsg())


def _wanted(given: Mapping[str, str], offered: list[str], epsg: int, whole: Box) -> Box:
    """The box of a request in the system `epsg` (x east, y north).

    Raises:
        BadInputError: not a box.
    """
    area = query.box(given, offered)
    if area is None:
        return whole
    if "bbox-crs" in given:
        identifier = crs_uri.canonical(given["bbox-crs"])
        if crs_uri.epsg_of(identifier) == epsg:  # its very numbers, not there and back again
            a, b, c, d = [float(v) for v in given["bbox"].split(",")][:4]
            return (b, a, d, c) if crs_uri.north_first(identifier) else (a, b, c, d)
    return _in_system(tuple(float(v) for v in shapely.bounds(area)), epsg)  # type: ignore[arg-type]


def _in_system(box: Box, epsg: int) -> Box:
    """A box of lon, lat in another system."""
    if epsg in {crs_uri.WGS84, crs.GEOGRAPHIC}:
        return box
    moved = crs.transformer(crs.GEOGRAPHIC, epsg).transform_bounds(*box, densify_pts=21)
    if not np.isfinite(moved).all():
        raise BadInputError("ogc_parameter", place="bbox", value=str(box))
    return (float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3]))


def _colour(text: str) -> tuple[int, int, int]:
    digits = text.removeprefix("0x").removeprefix("#")
    try:
        if len(digits) != 6:
            raise ValueError
        value = int(digits, 16)
    except ValueError as e:
        raise BadInputError("ogc_parameter", place="bgcolor", value=text[:100]) from e
    return (value >> 16, value >> 8 & 255, value & 255)


def map_image(
    one: Collection, given: Mapping[str, str], offered: list[str]
) -> tuple[bytes, str, Box]:
    """A PNG, north up: the image, its CRS and its box there (x east, y north).

    Every pixel shows the cell under its middle; dry cells and cells without a value show nothing.

    Raises:
        BadInputError: the collection has no grid, or a parameter cannot be.
    """  # fmt: skip
    path = file_of(one)
    known(given, MAP_PARAMETERS)
    whole, epsg = bounds(path)
    identifier = crs_uri.uri(epsg)
    if "crs" in given:
        identifier = query.crs_of(given, "crs", offered)
    target = crs_uri.epsg_of(identifier)
    if target == crs.GEOGRAPHIC_HEIGHT:
        raise BadInputError("ogc_parameter", place="crs", value=given["crs"][:100])
    box = whole if target == epsg else _in_system(_lon_lat(whole, epsg), target)
    box = _wanted(given, offered, target, box)
    wide, high = box[2] - box[0], box[3] - box[1]
    if wide <= 0 or high <= 0:
        raise BadInputError("ogc_parameter", place="bbox", value=given.get("bbox", "")[:100])
    width = query.number(given, "width", 0, 1, MAX_SIDE)
    height = query.number(given, "height", 0, 1, MAX_SIDE)
    if not width:
        width = round(min(MAX_SIDE, max(1, height * wide / high))) if height else 800
    if not height:
        height = round(min(MAX_SIDE, max(1, width * high / wide)))
    transparent = given.get("transparent", "true").lower()
    if transparent not in {"true", "false"}:
        raise BadInputError("ogc_parameter", place="transparent", value=transparent[:100])
    values = _warped(path, target, box, width, height)
    legend = legends().get(one.legend) or legends()[DEPTH]
    values[values <= 0] = np.nan
    classes = legend.classify(values)
    paint = np.zeros((len(legend.classes) + 1, 4), np.uint8)
    for number, entry in enumerate(legend.classes):
        paint[number] = (*entry.colour, 255)
    if transparent == "false" or "bgcolor" in given:
        paint[-1] = (*_colour(given.get("bgcolor", "0xffffff")), 255)
    pixels = paint[np.where(classes == UNKNOWN, len(legend.classes), classes)]
    packed = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(packed, "PNG", compress_level=3)
    return packed.getvalue(), identifier, box


def _lon_lat(box: Box, epsg: int) -> Box:
    moved = crs.transformer(epsg, crs.GEOGRAPHIC).transform_bounds(*box, densify_pts=21)
    return (float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3]))


def _warped(path: Path, epsg: int, box: Box, width: int, height: int) -> NDArray[np.float64]:
    """Values at the middles of the pixels; NaN where there are none."""
    with (
        rasterio.open(path, driver="GTiff") as source,
        WarpedVRT(
            source, crs=f"EPSG:{epsg}", transform=from_bounds(*box, width, height), width=width,
            height=height, resampling=Resampling.nearest, nodata=np.nan, dtype="float32",
            src_nodata=source.nodata,
        ) as placed,
    ):  # fmt: skip
        return np.asarray(placed.read(1, masked=True).astype(float).filled(np.nan))


def coverage(one: Collection, given: Mapping[str, str], offered: list[str]) -> tuple[bytes, str]:
    """The cells that a box touches as GeoTIFF (float32, NaN: no value) in the grid's own system.

    Raises:
        BadInputError: no grid, a box beside it, or more cells than one answer holds.
    """
    path = file_of(one)
    known(given, COVERAGE_PARAMETERS)
    whole, epsg = bounds(path)
    box = _wanted(given, offered, epsg, whole)
    with rasterio.open(path, driver="GTiff") as source:
        inverse: Any = ~source.transform
        left, top = inverse * (box[0], box[3])
        right, bottom = inverse * (box[2], box[1])
        first_row, last_row = max(0, int(np.floor(top + 1e-6))), min(source.height, int(np.ceil(bottom - 1e-6)))  # fmt: skip
        first_col, last_col = max(0, int(np.floor(left + 1e-6))), min(source.width, int(np.ceil(right - 1e-6)))  # fmt: skip
        rows, columns = last_row - first_row, last_col - first_col
        if rows <= 0 or columns <= 0:
            raise BadInputError("ogc_parameter", place="bbox", value=given.get("bbox", "")[:100])
        if rows * columns > MAX_CELLS:
            raise BadInputError("ogc_too_large", place="bbox", cells=rows * columns, most=MAX_CELLS)
        window = Window(first_col, first_row, columns, rows)
        values = source.read(1, window=window, masked=True).astype(np.float32).filled(np.nan)
        profile = {
            "driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": "float32",
            "crs": source.crs, "transform": source.window_transform(window), "nodata": np.nan,
            "compress": "deflate", "predictor": 3, "tiled": True, "blockxsize": 256, "blockysize": 256,
        }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(values, 1)
            out.units = ("m",) if one.legend.startswith("depth") else ("h",)
        return bytes(memory.read()), crs_uri.uri(epsg)
