"""A depth or duration GeoTIFF → `hazards/<id>.tif` in the city's zone, with what is known of it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import Resampling, calculate_default_transform, reproject

from citymap.errors import BadInputError
from citymap.hazard.sets import quantity_of, set_id
from citymap.workspace import Workspace, replacing, toml_value, write_text

_LIMIT_CELLS = 400_000_000
QUANTITIES = {"depth": ("m", "depth"), "duration": ("h", "duration")}


def hazard_id(text: str) -> str:
    """An id out of a file's name: letters, digits, `-` and `_` only."""
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "hazard"


def import_hazard_raster(
    workspace: Workspace, path: Path, *, layer_id: str | None, epsg: int, vintage: str | None = None
) -> str:
    """Import band 1 and return the layer's id. Values keep their cells' class: nearest neighbour.

    No data stays NaN: it is never taken for dry. Tags `quantity`, `unit`, `river`, `scale`,
    `admin`, `set` of the file are kept; the quantity is `depth` where it is not said.

    Raises:
        BadInputError: not a GeoTIFF, no CRS, or too large.
    """
    place = path.name
    name = hazard_id(layer_id or path.stem)
    try:
        with rasterio.open(path, driver="GTiff") as source:
            if source.crs is None:
                raise BadInputError("dem_no_crs", place=place)
            if source.width * source.height > _LIMIT_CELLS:
                raise BadInputError("dem_too_large", place=place)
            tags = source.tags()
            values = np.ma.filled(source.read(1, masked=True).astype(np.float32), np.nan)
            values[~np.isfinite(values) | (values <= -9990)] = np.nan
            target = CRS.from_epsg(epsg)
            transform, crs = source.transform, source.crs
            if crs != target:
                transform, width, height = calculate_default_transform(
                    crs, target, source.width, source.height, *source.bounds
                )
                out = np.full((height, width), np.nan, np.float32)
                reproject(
                    values, out, src_transform=source.transform, src_crs=crs, dst_transform=transform,
                    dst_crs=target, src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.nearest,
                )  # fmt: skip
                values = out
    except RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=place, reason=e) from e
    quantity = tags.get("quantity") or quantity_of(name) or "depth"
    unit = tags.get("unit") or QUANTITIES.get(quantity, ("", ""))[0]
    with (
        replacing(workspace.hazards / f"{name}.tif") as temporary,
        rasterio.open(
            temporary, "w", driver="COG", dtype="float32", count=1, crs=target, transform=transform,
            width=values.shape[1], height=values.shape[0], nodata=float("nan"), compress="DEFLATE",
            predictor=3,
        ) as sink,
    ):  # fmt: skip
        sink.write(values, 1)
        sink.update_tags(quantity=quantity, unit=unit)
    with path.open("rb") as handle:
        sha = hashlib.file_digest(handle, "sha256").hexdigest()
    facts = {
        "id": name, "set": tags.get("set") or set_id(name),
        "hazard": tags.get("hazard", "river_flood"), "quantity": quantity, "unit": unit,
        "name": tags.get("river", ""), "scale": tags.get("scale", ""), "admin": tags.get("admin", ""),
        "legend": QUANTITIES.get(quantity, ("", ""))[1], "surveyed_extent": "unknown",
        "source": place, "sha256": sha, "vintage": vintage or "", "crs": f"EPSG:{epsg}",
    }  # fmt: skip
    text = "".join(f"{key} = {toml_value(value)}\n" for key, value in facts.items())
    write_text(workspace.hazards / f"{name}.toml", text)
    return name
