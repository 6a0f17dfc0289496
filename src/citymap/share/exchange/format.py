"""What a file format is, and the table that most of them write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pyarrow as pa
import shapely

from citymap import crs
from citymap.assess.building_record import plain
from citymap.registry import Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.share.exchange.layer import Outgoing

WGS84 = 4326


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one export (the first is the layer) and what a person must know of them."""

    files: tuple[Path, ...]
    notes: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format: `suffix` of its file; `epsg` is its CRS where none is asked for (None: the city's
    zone), `fixed` where it knows no other; `write(layer, path, epsg)` makes the files."""

    suffix: str
    epsg: int | None
    fixed: bool
    write: Callable[[Outgoing, Path, int], Written]


FORMATS: Registry[Format] = Registry("citymap.share.exchange.formats")


def moved(geometry: NDArray[Any], epsg: int) -> NDArray[Any]:
    """Shapes of EPSG:6668 (lon, lat) in another CRS (x east or lon first)."""
    if epsg == crs.GEOGRAPHIC:
        return geometry
    transform = crs.transformer(crs.GEOGRAPHIC, epsg).transform

    def all_at_once(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transform(points[:, 0].tolist(), points[:, 1].tolist())
        return np.column_stack([x, y])

    return np.asarray(shapely.transform(geometry, all_at_once), object)


def shapes(table: pa.Table) -> NDArray[Any]:
    """The geometry column as shapes; None where there is none."""
    return np.asarray(shapely.from_wkb(np.asarray(table["geometry"].to_pylist(), object)), object)


def flat(table: pa.Table) -> pa.Table:
    """The columns but geometry; lists and structures as JSON text, for most formats know none."""
    out = table.drop_columns(["geometry"])
    for i, field in enumerate(out.schema):
        if pa.types.is_nested(field.type):
            texts = [
                None if v is None else json.dumps(plain(v), ensure_ascii=False)
                for v in out[field.name].to_pylist()
            ]
            out = out.set_column(i, field.name, pa.array(texts, pa.string()))
        elif pa.types.is_dictionary(field.type) or pa.types.is_large_string(field.type):
            out = out.set_column(i, field.name, out[field.name].cast(pa.string()))
    return out.replace_schema_metadata(None)


_NULLABLE = {
    pa.int8(): "Int8", pa.int16(): "Int16", pa.int32(): "Int32", pa.int64(): "Int64",
    pa.uint8(): "UInt8", pa.uint16(): "UInt16", pa.uint32(): "UInt32", pa.bool_(): "boolean",
}  # fmt: skip


def frame(layer: Outgoing, epsg: int) -> geopandas.GeoDataFrame:
    """The layer as a table of geopandas: integers and truth values keep their gaps."""
    import pandas as pd  # noqa: PLC0415  (only exports need it)

    kept = {
        kind: getattr(pd, f"{name[0].upper()}{name[1:]}Dtype")() for kind, name in _NULLABLE.items()
    }
    columns = flat(layer.table).to_pandas(types_mapper=kept.get)
    return geopandas.GeoDataFrame(
        columns, geometry=moved(shapes(layer.table), epsg), crs=f"EPSG:{epsg}"
    )
