"""Writing a grid of depth, duration or arrival: `hazards/<id>.tif` in the city's zone and its TOML."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import Resampling, calculate_default_transform, reproject

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.sets import set_id
from citymap.hazard.units import UNIT_OF, factor
from citymap.workspace import Workspace, replacing, toml_value, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

LIMIT_CELLS = 400_000_000
LEGEND_OF = {"depth": "depth", "duration": "duration"}
Corners = tuple[float, float, float, float]


def hazard_id(text: str) -> str:
    """An id out of a file's name: letters, digits, `-` and `_` only."""
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "hazard"


def in_units(
    values: NDArray[np.float32], quantity: str, unit: str, place: str, notes: list[str]
) -> NDArray[np.float32]:
    """Values in metres or hours; negative ones are no depth and become unknown.

    Raises:
        BadInputError: a unit that is not known for this quantity.
    """
    if quantity in UNIT_OF:
        times = factor(quantity, unit) if unit else 1.0
        if times is None:
            raise BadInputError("hazard_unit", place=place, unit=unit, quantity=quantity)
        if times != 1.0:
            values = values * np.float32(times)
            notes.append(f"{place}: converted from {unit} to {UNIT_OF[quantity]}")
    with np.errstate(invalid="ignore"):
        negative = values < 0
    if negative.any():
        values = np.where(negative, np.float32(np.nan), values)
        notes.append(f"{place}: negative values taken as unknown {int(negative.sum())}")
    return values


def check_place(corners: Corners, system: CRS, place: str) -> None:
    """Whether a grid's bounds lie in Japan.

    Raises:
        BadInputError: they do not; or they would with latitude and longitude the other way round.
    """
    west, south, east, north = crs.JAPAN_LON_LAT
    left, bottom, right, top = corners
    if not system.is_geographic:
        try:
            left, bottom, right, top = rasterio.warp.transform_bounds(
                system, f"EPSG:{crs.GEOGRAPHIC}", *corners
            )
        except RasterioError as e:
            raise BadInputError("vector_outside", place=place) from e
    if left < east and right > west and bottom < north and top > south:
        return
    swapped = left < north and right > south and bottom < east and top > west
    raise BadInputError("vector_swapped" if swapped else "vector_outside", place=place)


def to_zone(
    values: NDArray[np.float32], transform: rasterio.Affine, system: CRS, epsg: int, place: str,
    notes: list[str],
) -> tuple[NDArray[np.float32], rasterio.Affine]:  # fmt: skip
    """The grid in the city's zone and north up; each cell keeps a value that was there (nearest).

    Raises:
        BadInputError: outside Japan, or too large.
    """
    height, width = values.shape
    if transform.e > 0 and not (transform.b or transform.d):
        values = np.ascontiguousarray(values[::-1])
        transform = rasterio.Affine(
            transform.a, 0, transform.c, 0, -transform.e, transform.f + transform.e * height
        )
        notes.append(f"{place}: upside_down turned north up")
    corners = rasterio.transform.array_bounds(height, width, transform)
    check_place(corners, system, place)
    target = CRS.from_epsg(epsg)
    rotated = bool(transform.b or transform.d or transform.a <= 0)
    if system == target and not rotated:
        return values, transform
    if rotated:
        notes.append(f"{place}: rotated turned north up")
    new, columns, rows = calculate_default_transform(system, target, width, height, *corners)
    if columns * rows > LIMIT_CELLS:
        raise BadInputError("dem_too_large", place=place)
    out = np.full((rows, columns), np.nan, np.float32)
    reproject(
        values, out, src_transform=transform, src_crs=system, dst_transform=new, dst_crs=target,
        src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.nearest,
    )  # fmt: skip
    return out, new


def write_grid(
    workspace: Workspace, name: str, values: NDArray[np.float32], transform: rasterio.Affine,
    epsg: int, *, quantity: str, path: Path, vintage: str | None, about: Mapping[str, str],
) -> None:  # fmt: skip
    """Write `hazards/<name>.tif` (COG, float32, no data NaN) and the description beside it.

    `about` gives what the file says of `set`, `hazard`, `river`, `scale` and `admin`.
    """
    unit = UNIT_OF.get(quantity, "")
    with (
        replacing(workspace.hazards / f"{name}.tif") as temporary,
        rasterio.open(
            temporary, "w", driver="COG", dtype="float32", count=1, crs=CRS.from_epsg(epsg),
            transform=transform, width=values.shape[1], height=values.shape[0], nodata=float("nan"),
            compress="DEFLATE", predictor=3, overview_resampling="nearest",
        ) as sink,
    ):  # fmt: skip
        sink.write(values, 1)
        sink.update_tags(quantity=quantity, unit=unit)
    with path.open("rb") as handle:
        sha = hashlib.file_digest(handle, "sha256").hexdigest()
    facts: dict[str, Any] = {
        "id": name, "set": about.get("set") or set_id(name),
        "hazard": about.get("hazard") or "river_flood", "quantity": quantity, "unit": unit,
        "name": about.get("river", ""), "scale": about.get("scale", ""),
        "admin": about.get("admin", ""), "legend": LEGEND_OF.get(quantity, ""),
        "surveyed_extent": "unknown", "source": path.name, "sha256": sha, "vintage": vintage or "",
        "crs": f"EPSG:{epsg}",
    }  # fmt: skip
    text = "".join(f"{key} = {toml_value(value)}\n" for key, value in facts.items())
    write_text(workspace.hazards / f"{name}.toml", text)
