"""`--as layer` and `--as ortho`: a city's own vectors, rasters and aerial pictures → `layers/<id>.*`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pyogrio
import pyproj
import rasterio
import shapely
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling, transform_bounds

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.grid_file import hazard_id
from citymap.workspace import Workspace, replacing, toml_value, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT_BYTES = 4 << 30
_LIMIT_CELLS = 4_000_000_000
# How the first bytes of each format look: a file is opened only as what it is.
SIGNATURES: Mapping[str, tuple[bytes, ...]] = {
    ".gpkg": (b"SQLite format 3\x00",), ".shp": (b"\x00\x00\x27\x0a",), ".fgb": (b"fgb\x03",),
    ".geojson": (b"{",), ".json": (b"{",), ".kml": (b"<",), ".parquet": (b"PAR1",),
}  # fmt: skip


def open_vector(path: Path) -> geopandas.GeoDataFrame:
    """The first layer of a file in EPSG:6668 (lon, lat), geometry flat, columns as they are.

    `attrs["read_as"]` names the encoding of a shapefile that declares another one, or none.

    Raises:
        BadInputError: another format under that name, no CRS, swapped axes, or broken.
    """
    place = path.name
    suffix = path.suffix.lower()
    with path.open("rb") as handle:
        head = handle.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n\t")
    if not head.startswith(SIGNATURES.get(suffix, ())):
        raise BadInputError("vector_format", place=place)
    if suffix == ".kml" and b"<!DOCTYPE" in path.read_bytes():
        raise BadInputError("vector_format", place=place)
    size = path.stat().st_size
    if size > _LIMIT_BYTES:
        raise BadInputError("csv_too_large", place=place)
    if suffix == ".shp" and size < 2 * int.from_bytes(head[24:28], "big"):  # length in 16-bit words
        raise BadInputError("vector_truncated", place=place)
    try:
        table = geopandas.read_parquet(path) if suffix == ".parquet" else _by_gdal(path, suffix)
    except (
        pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, UnicodeDecodeError,
        RuntimeError, ValueError, OSError,
    ) as e:  # fmt: skip
        raise BadInputError("vector_broken", place=place, reason=e) from e
    epsg = _epsg(table.crs, suffix, place)
    geometry = shapely.force_2d(np.asarray(table.geometry))
    if epsg not in {4326, crs.GEOGRAPHIC}:
        transformer = crs.transformer(epsg, crs.GEOGRAPHIC)
        geometry = shapely.transform(
            geometry, lambda c: np.column_stack(transformer.transform(c[:, 0], c[:, 1]))
        )
    _check_japan(geometry, place)
    out = table.drop(columns=[table.geometry.name])
    found = geopandas.GeoDataFrame(out, geometry=geometry, crs=f"EPSG:{crs.GEOGRAPHIC}")
    found.attrs = dict(table.attrs)
    return found


def _by_gdal(path: Path, suffix: str) -> geopandas.GeoDataFrame:
    """A shapefile's texts: as declared, else strictly UTF-8, else CP932, as Japan's older files are."""
    if suffix != ".shp":
        return pyogrio.read_dataframe(path)
    declared = any(path.with_suffix(s).is_file() for s in (".cpg", ".CPG"))
    tried = (None, "utf-8", "cp932") if declared else ("utf-8", "cp932")
    for encoding in tried:
        try:
            table = pyogrio.read_dataframe(path, encoding=encoding)
        except UnicodeDecodeError:
            if encoding == tried[-1]:
                raise
            continue
        if encoding is not None and (declared or encoding == "cp932"):
            table.attrs["read_as"] = encoding
        break
    return table


def _epsg(system: pyproj.CRS | None, suffix: str, place: str) -> int:
    if system is None:
        if suffix in {".geojson", ".json"}:
            return 4326
        raise BadInputError("vector_no_crs", place=place)
    code = system.to_epsg(min_confidence=70)
    if code is None and "CRS84" in str(system.to_authority(min_confidence=20)):
        code = 4326
    if code is None:
        raise BadInputError("vector_no_crs", place=place)
    return int(code)


def _check_japan(geometry: np.ndarray[tuple[int, ...], np.dtype[np.object_]], place: str) -> None:
    there = geometry[~(shapely.is_missing(geometry) | shapely.is_empty(geometry))]
    if len(there) == 0:
        raise BadInputError("vector_empty", place=place)
    box = shapely.total_bounds(there)
    if not np.isfinite(box).all():
        raise BadInputError("vector_empty", place=place)
    west, south, east, north = crs.JAPAN_LON_LAT
    if west <= box[0] and box[2] <= east and south <= box[1] and box[3] <= north:
        return
    swapped = west <= box[1] and box[3] <= east and south <= box[0] and box[2] <= north
    raise BadInputError("vector_swapped" if swapped else "vector_outside", place=place)


def import_vector_layer(
    workspace: Workspace, path: Path, *, layer_id: str | None, vintage: str | None = None
) -> tuple[str, int]:
    """Write `layers/<id>.parquet` (GeoParquet 1.1, EPSG:6668); returns the id and the features."""
    table = open_vector(path)
    table.attrs = {}
    name = hazard_id(layer_id or path.stem)
    with replacing(workspace.layers / f"{name}.parquet") as temporary:
        table.to_parquet(temporary, schema_version="1.1.0", compression="zstd")
    describe(workspace, name, path, "vector", crs.GEOGRAPHIC, vintage)
    return name, len(table)


def import_picture(
    workspace: Workspace, path: Path, *, layer_id: str | None, epsg: int, kind: str,
    vintage: str | None = None,
) -> str:  # fmt: skip
    """Write `layers/<id>.tif`: a COG in the city's zone with the bands as they are; returns the id.

    An orthophoto (`kind = "ortho"`) has 8-bit bands, red, green, blue first; other rasters keep
    their values, and what has none stays without.

    Raises:
        BadInputError: not a GeoTIFF, without CRS, too large, or no picture.
    """
    place = path.name
    name = hazard_id(layer_id or path.stem)
    try:
        with rasterio.open(path, driver="GTiff") as source:
            if source.crs is None:
                raise BadInputError("raster_no_crs", place=place)
            if source.width * source.height > _LIMIT_CELLS:
                raise BadInputError("raster_too_large", place=place)
            if kind == "ortho" and (source.count < 3 or source.dtypes[0] != "uint8"):
                raise BadInputError(
                    "ortho_bands", place=place, bands=source.count, dtype=source.dtypes[0]
                )
            lon_lat = transform_bounds(source.crs, f"EPSG:{crs.GEOGRAPHIC}", *source.bounds)
            west, south, east, north = crs.JAPAN_LON_LAT
            if not (
                west <= lon_lat[0]
                and lon_lat[2] <= east
                and south <= lon_lat[1]
                and lon_lat[3] <= north
            ):
                raise BadInputError("vector_outside", place=place)
            how = Resampling.bilinear if kind == "ortho" else Resampling.nearest
            alpha = (
                kind == "ortho"
                and ColorInterp.alpha not in source.colorinterp
                and source.nodata is None
            )
            with (
                WarpedVRT(source, crs=f"EPSG:{epsg}", resampling=how, add_alpha=alpha) as warped,
                replacing(workspace.layers / f"{name}.tif") as temporary,
            ):
                rasterio.shutil.copy(
                    warped, temporary, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES",
                    OVERVIEW_RESAMPLING="AVERAGE" if kind == "ortho" else "NEAREST", BIGTIFF="IF_SAFER",
                )  # fmt: skip
    except RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=place, reason=e) from e
    describe(workspace, name, path, kind, epsg, vintage)
    return name


def describe(
    workspace: Workspace, name: str, path: Path, kind: str, epsg: int, vintage: str | None
) -> None:
    """Write `layers/<name>.toml` for data that came from `path`: seen by staff until they say more."""
    with path.open("rb") as handle:
        sha = hashlib.file_digest(handle, "sha256").hexdigest()
    suffix = "parquet" if kind == "vector" else "tif"
    picture = kind == "ortho"
    text = f"""\
# Written by `citymap import`. Staff see it; add "public" to the audience to show it to everyone.
id = {toml_value(f"own-{name}")}
order = {10 if picture else 30}
title = {{ ja = {toml_value(path.stem)} }}
audience = ["staff", "planner", "admin"]
attribution = {{ ja = "" }}
licence = ""
vintage = {toml_value(vintage or "")}
visible = false

[source]
kind = "{"vector" if kind == "vector" else "raster"}"
path = {toml_value(f"layers/{name}.{suffix}")}

[provenance]
kind = "{kind}"
file = {toml_value(path.name)}
sha256 = "{sha}"
crs = "EPSG:{epsg}"
"""
    write_text(workspace.layers / f"{name}.toml", text)
