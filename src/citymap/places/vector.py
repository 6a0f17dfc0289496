"""GeoJSON and shapefiles: opened only as what they are, in lon, lat of EPSG:6668."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyogrio
import pyproj
import shapely

from citymap import crs
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIMIT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Geometries (None where missing) and columns of text (None where missing)."""

    name: str
    encoding: str
    geometry: NDArray[np.object_]
    columns: dict[str, list[str | None]]


def read_vector(path: Path) -> VectorTable:
    """Read a GeoJSON or shapefile whole.

    Raises:
        BadInputError: another format under that name, no CRS, or broken.
    """
    place = path.name
    with path.open("rb") as handle:
        head = handle.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    shape = path.suffix.lower() == ".shp"
    if not (head.startswith(b"\x00\x00\x27\x0a") if shape else head.startswith(b"{")):
        raise BadInputError("vector_format", place=place)
    if path.stat().st_size > _LIMIT_BYTES:
        raise BadInputError("csv_too_large", place=place)
    encoding = "utf-8"
    if shape and not any(path.with_suffix(s).is_file() for s in (".cpg", ".CPG")):
        encoding = "cp932"  # what Japanese public shapefiles without .cpg are in
    try:
        meta, _, wkb, fields = pyogrio.raw.read(path, encoding=encoding if shape else None)
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        UnicodeDecodeError,
        RuntimeError,
    ) as e:
        raise BadInputError("vector_broken", place=place, reason=e) from e
    geometry = (
        shapely.force_2d(shapely.from_wkb(wkb)) if wkb is not None else np.array([], dtype=object)
    )
    epsg = _epsg(meta["crs"], place, required=shape)
    if epsg not in (4326, crs.GEOGRAPHIC):
        points = shapely.get_coordinates(geometry)
        lon, lat = crs.transformer(epsg, crs.GEOGRAPHIC).transform(points[:, 0], points[:, 1])
        geometry = shapely.set_coordinates(geometry, np.stack([lon, lat], axis=1))
    columns = {
        str(name): [None if _missing(v) else _text(v) for v in values]
        for name, values in zip(meta["fields"], fields, strict=True)
    }
    return VectorTable(place, encoding, geometry, columns)


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _text(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _epsg(text: str | None, place: str, *, required: bool) -> int:
    if not text:
        if required:
            raise BadInputError("vector_no_crs", place=place)
        return 4326
    if "CRS84" in text:
        return 4326
    code = pyproj.CRS.from_user_input(text).to_epsg(min_confidence=70)
    if code is None:
        raise BadInputError("vector_no_crs", place=place)
    return int(code)
