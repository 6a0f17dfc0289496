"""The zone of files that name no city: a guess by where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.errors import RasterioError

from citymap import crs, meshcode
from citymap.errors import BadInputError
from citymap.places.build import position
from citymap.places.csv_table import read_csv
from citymap.places.layer_import import open_vector
from citymap.plateau.archive import SourceFile

_VECTORS = frozenset({"geojson", "shapefile", "geopackage", "geoparquet", "flatgeobuf", "kml"})
_ZONES = range(6669, 6688)


def guess_zone(files: Iterable[SourceFile], parts: Iterable[Path]) -> int:
    """The zone by position: a mesh code in a name, else a footprint, else a raster, shapes or a list.

    `parts` are the folders of building files already read. A raster in a zone's own coordinates
    keeps that zone.

    Raises:
        BadInputError: nothing says where it lies.
    """
    files = list(files)
    for file in files:
        if file.mesh:
            return _zone_at(*meshcode.bounds(file.mesh))
    for part in parts:
        table = pq.read_table(part / "buildings.parquet", columns=["geometry"])
        if table.num_rows:
            return _zone_at(*shapely.from_wkb(table.column(0)[0].as_py()).bounds)
    for file in files:
        found = _zone_of(file)
        if found is not None:
            return found
    raise BadInputError("unknown_zone", code="—")


def _zone_at(west: float, south: float, east: float, north: float) -> int:
    return crs.guess_zone_epsg((west + east) / 2, (south + north) / 2)


def _zone_of(file: SourceFile) -> int | None:
    """None where the file cannot be read or does not say; its importer says what is wrong with it."""
    try:
        if file.theme == "geotiff":
            return _zone_of_raster(file.path)
        if file.theme in _VECTORS:
            return _zone_at(*open_vector(file.path).total_bounds)
        if file.theme == "csv":
            return _zone_of_list(file.path)
    except (BadInputError, RasterioError):
        return None
    return None


def _zone_of_raster(path: Path) -> int | None:
    with rasterio.open(path, driver="GTiff") as source:
        epsg = source.crs.to_epsg() if source.crs is not None else None
        if epsg is None or epsg in _ZONES:
            return epsg
        left, bottom, right, top = source.bounds
    x, y = (left + right) / 2, (bottom + top) / 2
    if epsg not in {4326, crs.GEOGRAPHIC}:
        x, y = crs.transformer(epsg, crs.GEOGRAPHIC).transform(x, y)
    return crs.guess_zone_epsg(x, y)


def _zone_of_list(path: Path) -> int | None:
    for record in read_csv(path).records:
        try:
            lon, lat, _ = position(record.values)
        except ValueError:
            continue
        return crs.guess_zone_epsg(lon, lat)
    return None
