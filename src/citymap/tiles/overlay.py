"""Overlay tiles made when they are asked for: pictures of grids in their legend, shapes of tables."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT

from citymap.errors import BadInputError
from citymap.tiles import mvt
from citymap.tiles.ground import png
from citymap.tiles.vector import BUFFER, parts_of, to_world

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TILE = 256
HALF_WORLD_M = math.pi * 6378137.0
MAX_ZOOM = 22
LAYER = "overlay"  # the name of the one layer inside a vector tile


@dataclass(frozen=True, slots=True)
class Class:
    """Values from `minimum` up to `maximum` (not included), or exactly `value`, in one colour."""

    colour: tuple[int, int, int]
    minimum: float | None = None
    maximum: float | None = None
    value: str | None = None


def class_of(value: object, classes: Sequence[Class]) -> int:
    """Number of the class of a value; −1 where it is missing or of none. A bound goes up."""
    if len(classes) == 1 and classes[0] == Class(classes[0].colour):
        return 0
    if value is None:
        return -1
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    for k, c in enumerate(classes):
        if c.value is not None and c.value == text:
            return k
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return -1
    for k in range(len(classes) - 1, -1, -1):
        c = classes[k]
        if c.minimum is not None and number >= c.minimum:
            return k if c.maximum is None or number < c.maximum else -1
    return -1


def png_of_nothing() -> bytes:
    """A clear tile."""
    return png(np.zeros((TILE, TILE, 4), np.uint8))


def _inside(zoom: int, x: int, y: int) -> bool:
    return 0 <= zoom <= MAX_ZOOM and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom


def raster_tile(path: Path, classes: Sequence[Class], zoom: int, x: int, y: int) -> bytes | None:
    """A 256 × 256 PNG of a GeoTIFF; None where it says nothing.

    With classes the first band is painted in their colours (values of none stay clear, so do
    missing values and, in a depth, 0); without, 8-bit bands are shown as they are.

    Raises:
        BadInputError: the file cannot be read.
    """
    if not _inside(zoom, x, y):
        return None
    size = 2 * HALF_WORLD_M / (1 << zoom)
    corner = from_origin(x * size - HALF_WORLD_M, HALF_WORLD_M - y * size, size / TILE, size / TILE)
    try:
        with rasterio.open(path, driver="GTiff") as source:
            finer = size / TILE < abs(source.transform.a)
            how = (
                Resampling.nearest
                if classes
                else Resampling.bilinear
                if finer
                else Resampling.average
            )
            alpha = (
                not classes
                and source.nodata is None
                and ColorInterp.alpha not in source.colorinterp
            )
            with WarpedVRT(
                source, crs="EPSG:3857", transform=corner, width=TILE, height=TILE, resampling=how,
                add_alpha=alpha,
            ) as warped:  # fmt: skip
                if classes:
                    values = warped.read(1, masked=True)
                else:
                    bands = warped.read()
                    mask = warped.dataset_mask()
    except RasterioError as e:
        raise BadInputError("overlay_broken", place=path.name, reason=e) from e
    if not classes:
        if bands.shape[0] < 3:
            return _grey(bands[0].astype(float), mask)
        if not mask.any():
            return None
        return png(np.ascontiguousarray(np.dstack([*bands[:3].astype(np.uint8), mask])))
    return _painted(np.ma.filled(values.astype(float), np.nan), classes)


def _grey(values: NDArray[np.float64], mask: NDArray[np.uint8]) -> bytes | None:
    good = (mask > 0) & np.isfinite(values)
    if not good.any():
        return None
    shade = np.where(good, np.clip(values, 0, 255), 0).astype(np.uint8)
    return png(np.ascontiguousarray(np.dstack([shade, np.where(good, 255, 0).astype(np.uint8)])))


def _painted(values: NDArray[np.float64], classes: Sequence[Class]) -> bytes | None:
    out = np.zeros((*values.shape, 4), np.uint8)
    for c in classes:
        if c.value is not None and c.minimum is None:
            here = values == _number(c.value)
        else:
            low = c.minimum if c.minimum is not None else -math.inf
            here = (values > 0 if low == 0 else values >= low) & np.isfinite(values)
            if c.maximum is not None:
                here &= values < c.maximum
        out[here] = (*c.colour, 255)
    return png(out) if out[..., 3].any() else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass(frozen=True, slots=True)
class _Table:
    geometry: NDArray[Any]  # Web Mercator, 0…1, y down
    tree: shapely.STRtree
    columns: Mapping[str, list[Any]]


_OPEN: OrderedDict[tuple[str, ...], _Table] = OrderedDict()
_KEPT = 8
_turn = Lock()


def _opened(path: Path, stamp: str, columns: tuple[str, ...]) -> _Table:
    key = (str(path), stamp, *columns)
    with _turn:
        if key in _OPEN:
            _OPEN.move_to_end(key)
            return _OPEN[key]
        try:
            there = [c for c in dict.fromkeys(columns) if c in pq.read_schema(path).names]
            table = pq.read_table(path, columns=[*there, "geometry"])
            geometry = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
            geometry = shapely.transform(shapely.force_2d(shapely.make_valid(geometry)), to_world)
        except (OSError, KeyError, ValueError, shapely.GEOSException) as e:
            raise BadInputError("overlay_broken", place=path.name, reason=e) from e
        found = _Table(
            geometry, shapely.STRtree(geometry), {c: table[c].to_pylist() for c in there}
        )
        _OPEN[key] = found
        while len(_OPEN) > _KEPT:
            _OPEN.popitem(last=False)
        return found


def vector_tile(
    path: Path, stamp: str, zoom: int, x: int, y: int, *,
    column: str, classes: Sequence[Class], fields: tuple[str, ...] = (),
) -> bytes:  # fmt: skip
    """An MVT of a GeoParquet table (lon, lat): each shape with `k`, its class, and `fields`.

    Raises:
        BadInputError: the file cannot be read.
    """
    if not _inside(zoom, x, y):
        return b""
    table = _opened(path, stamp, (column, *fields) if column else fields)
    tiles = 1 << zoom
    x0, y0, margin = x / tiles, y / tiles, BUFFER / tiles
    box = (x0 - margin, y0 - margin, x0 + 1 / tiles + margin, y0 + 1 / tiles + margin)
    here = np.sort(table.tree.query(shapely.box(*box)))
    if here.size == 0:
        return b""
    geometry = table.geometry[here]
    if zoom < 16:
        geometry = shapely.simplify(geometry, 0.5 / (tiles * 512), preserve_topology=False)
    content = mvt.Layer(LAYER, scale=float(mvt.EXTENT * tiles), x0=x0, y0=y0)
    values = table.columns.get(column)
    for parts, features in parts_of(shapely.clip_by_rect(geometry, *box)):
        rows = here[features]
        said: dict[str, Any] = {
            "k": [
                class_of(None if values is None else values[i], classes) + 1 for i in rows.tolist()
            ]
        }
        for name in fields:
            if name in table.columns:
                said[name] = [_plain(table.columns[name][i]) for i in rows.tolist()]
        content.add(parts, np.arange(rows.size), ids=rows.astype(np.int64), columns=said)
    return content.encode()


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return value if isinstance(value, float) or value >= 0 else float(value)
    return str(value)
