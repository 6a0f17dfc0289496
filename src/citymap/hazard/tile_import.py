"""Official raster tiles (PNG, `{z}/{x}/{y}.png`) decoded by a legend → areas in `hazards/<id>.parquet`.

The same colour stands for different depths in the standard and in the detailed legend, so that a
tile is read only by the legend that the person names, and the legend is stored with the layer.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import rasterio
import rasterio.features
import shapely
from PIL import Image, UnidentifiedImageError

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.grid_file import hazard_id
from citymap.hazard.legend import legends
from citymap.hazard.vector_import import ZONE_LEGEND, Imported, import_tile_areas

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

TILE_PATH = re.compile(r"(?:^|/)(\d{1,2})/(\d{1,7})/(\d{1,7})\.png$")
_WORLD_M = 2 * math.pi * 6378137.0
_SIDES = {256, 512}
UNKNOWN = 255


def import_hazard_tiles(
    workspace: Workspace, paths: Iterable[Path], *, layer_id: str | None, legend: str | None,
    vintage: str | None = None,
) -> Imported:  # fmt: skip
    """Import the tiles of the largest zoom. Transparent is outside; a colour that the legend does
    not hold is inside with unknown depth, and is counted. `legend` is a legend's id, or `zone`:
    every colour is inside (家屋倒壊等氾濫想定区域).

    Raises:
        BadInputError: no legend is named or known, no id, no tile, or one that is no PNG tile.
    """
    found = [
        (tuple(map(int, m.groups())), p) for p in paths if (m := TILE_PATH.search(p.as_posix()))
    ]
    place = found[0][1].as_posix().rsplit("/", 4)[-4] if found else ""
    if not found:
        raise BadInputError("tiles_none", place=place)
    known = ", ".join([*sorted(legends()), ZONE_LEGEND])
    if legend is None:
        raise BadInputError("tiles_legend", place=place, known=known)
    if legend != ZONE_LEGEND and legend not in legends():
        raise BadInputError("tiles_legend", place=legend, known=known)
    zoom = max(z for (z, _, _), _ in found)
    table = _colours(legend)
    codes: list[NDArray[np.object_]] = []
    shapes: list[NDArray[np.object_]] = []
    strange = 0
    for (z, x, y), path in found:
        if z != zoom:
            continue
        classes = decode(path, table)
        strange += int((classes == UNKNOWN).sum())
        size = _WORLD_M / 2**zoom
        pixel = size / classes.shape[0]
        transform = rasterio.Affine(
            pixel, 0, x * size - _WORLD_M / 2, 0, -pixel, _WORLD_M / 2 - y * size
        )
        pieces = list(rasterio.features.shapes(classes, mask=classes > 0, transform=transform))
        shapes.append(np.array([shapely.geometry.shape(s) for s, _ in pieces], object))
        codes.append(np.array([str(int(v)) for _, v in pieces], object))
    geometry = np.concatenate(shapes)
    if len(geometry) == 0:
        raise BadInputError("hazard_no_areas", place=place)
    to_degrees = crs.transformer(3857, crs.GEOGRAPHIC)
    geometry = shapely.transform(
        geometry, lambda c: np.column_stack(to_degrees.transform(c[:, 0], c[:, 1]))
    )
    areas = geopandas.GeoDataFrame(
        {"class_code": np.concatenate(codes)}, geometry=geometry, crs=f"EPSG:{crs.GEOGRAPHIC}"
    )
    done = import_tile_areas(
        workspace,
        areas,
        place,
        layer_id=hazard_id(layer_id or place),
        legend=legend,
        vintage=vintage,
    )
    if strange:
        done.notes.append(f"{place}: colours not in the legend {strange} px")
    return done


def _colours(legend: str) -> dict[int, int]:
    """Colour as 0xRRGGBB → class number from 1."""
    if legend == ZONE_LEGEND:
        return {}
    return {
        r << 16 | g << 8 | b: number
        for number, (r, g, b) in enumerate((c.colour for c in legends()[legend].classes), 1)
    }


def decode(path: Path, table: dict[int, int]) -> NDArray[np.uint8]:
    """Class numbers by pixel: 0 outside, 255 a colour that the table does not hold (without a
    table every colour is class 1).

    Raises:
        BadInputError: not a square PNG tile.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.size[0] != picture.size[1] or picture.size[0] not in _SIDES:
                raise BadInputError("tiles_broken", place=path.name, reason=str(picture.size))
            pixels = np.asarray(picture.convert("RGBA"))
    except (UnidentifiedImageError, OSError, SyntaxError) as e:
        raise BadInputError("tiles_broken", place=path.name, reason=e) from e
    rgb = pixels[..., :3].astype(np.int64)
    value = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    inside = pixels[..., 3] > 0
    if not table:
        return inside.astype(np.uint8)
    out = np.full(value.shape, UNKNOWN, np.uint8)
    for colour, number in table.items():
        out[value == colour] = number
    out[~inside] = 0
    return out
