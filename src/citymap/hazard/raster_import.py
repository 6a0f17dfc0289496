"""A depth, duration or arrival GeoTIFF → `hazards/<id>.tif` in the city's zone, with what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from citymap.errors import BadInputError
from citymap.hazard.grid_file import LIMIT_CELLS, hazard_id, in_units, to_zone, write_grid
from citymap.hazard.sets import QUANTITIES, quantity_of

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.workspace import Workspace

_SENTINEL = -9990  # values at or below it are "no data" whatever the file declares


def import_hazard_raster(
    workspace: Workspace, path: Path, *, layer_id: str | None, epsg: int, vintage: str | None = None
) -> tuple[str, list[str]]:
    """Import band 1; returns the layer's id and what was repaired. Cells keep their class: nearest.

    No data stays NaN: it is never taken for dry. Tags `quantity`, `unit`, `river`, `scale`,
    `admin`, `set` of the file are kept; the quantity is `depth` where it is not said, the unit
    (tag or band) metres or hours. Feet and other known units are converted, a grid that stands
    upside down or is turned is set north up.

    Raises:
        BadInputError: not a GeoTIFF, cut short, without CRS, in an unknown unit, outside Japan, or
            too large.
    """
    place = path.name
    name = hazard_id(layer_id or path.stem)
    notes: list[str] = []
    try:
        with rasterio.open(path, driver="GTiff") as source:
            if source.crs is None:
                raise BadInputError("dem_no_crs", place=place)
            if source.width * source.height > LIMIT_CELLS:
                raise BadInputError("dem_too_large", place=place)
            tags = source.tags()
            band_unit = source.units[0] if source.units else None
            values = np.ma.filled(source.read(1, masked=True).astype(np.float32), np.nan)
            transform, system = source.transform, source.crs
    except RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=place, reason=e) from e
    values[~np.isfinite(values) | (values <= _SENTINEL)] = np.nan
    quantity = tags.get("quantity") or quantity_of(name) or "depth"
    if quantity not in QUANTITIES:
        raise BadInputError("hazard_quantity", place=place)
    values = in_units(values, quantity, tags.get("unit") or band_unit or "", place, notes)
    values, transform = to_zone(values, transform, system, epsg, place, notes)
    write_grid(
        workspace, name, values, transform, epsg, quantity=quantity, path=path, vintage=vintage, about=tags
    )  # fmt: skip
    return name, notes
