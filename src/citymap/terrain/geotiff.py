"""DEM given as a GeoTIFF: opened by that driver alone, its CRS and vertical datum required."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from citymap.errors import BadInputError
from citymap.model.grid import Grid

_LIMIT_CELLS = 400_000_000
VERTICAL_TAG = "VERTICAL_DATUM"


def read_geotiff_dem(path: Path, *, vertical_datum: str | None = None) -> Grid:
    """Band 1 of a GeoTIFF as a grid in its own CRS.

    `vertical_datum` is what the person says ("T.P."); without it the file's tag must say it.

    Raises:
        BadInputError: not a GeoTIFF, without CRS or vertical datum, rotated, or too large.
    """
    place = path.name
    try:
        with rasterio.open(path, driver="GTiff") as source:
            if source.crs is None or (epsg := source.crs.to_epsg()) is None:
                raise BadInputError("dem_no_crs", place=place)
            datum = vertical_datum or source.tags().get(VERTICAL_TAG)
            if not datum:
                raise BadInputError("dem_no_vertical_datum", place=place)
            if datum != "T.P.":
                raise BadInputError("dem_other_vertical_datum", place=place, datum=datum)
            t = source.transform
            if t.b or t.d or t.a <= 0 or t.e >= 0:
                raise BadInputError("dem_rotated", place=place)
            if source.width * source.height > _LIMIT_CELLS:
                raise BadInputError("dem_too_large", place=place)
            band = source.read(1, masked=True)
            values = np.ma.filled(band.astype(np.float32), np.nan)
            values[values <= -9990] = np.nan
            transform = (t.a, t.b, t.c, t.d, t.e, t.f)
    except RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=place, reason=e) from e
    return Grid(values, transform, epsg, "T.P.", "elevation", "m", float("nan"))
