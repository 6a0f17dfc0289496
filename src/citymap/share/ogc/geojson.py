"""Features as GeoJSON, a chunk of rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely

from citymap.assess.building_record import plain
from citymap.share.ogc import crs_uri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.share.ogc.collection import Collection

CHUNK_ROWS = 1000


def dumped(value: Any) -> str:
    """Compact JSON; a NaN is an error here rather than at the reader."""
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_said
    )


def _said(value: Any) -> Any:
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    raise TypeError(type(value).__name__)


def properties(collection: Collection, rows: NDArray[np.intp]) -> list[dict[str, Any]]:
    """The columns of rows as JSON takes them."""
    taken = collection.table.take(pa.array(rows, pa.int64()))
    columns = []
    for name in taken.column_names:
        values = taken[name].to_pylist()
        columns.append([plain(v) for v in values] if name in collection.nested else values)
    names = taken.column_names
    if not names:
        return [{} for _ in range(len(rows))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def geometries(collection: Collection, rows: NDArray[np.intp], crs: str) -> list[str]:
    """GeoJSON geometries of rows in a coordinate system and its axis order; `null` without."""
    shapes = collection.shapes(rows)
    heights = collection.heights_m(rows) if crs_uri.epsg_of(crs) == 6697 else None
    known = ~np.isnan(collection.bounds[rows, 0])
    out = np.full(len(rows), "null", object)
    turned = shapely.orient_polygons(shapes[known])
    moved = crs_uri.placed(turned, crs, None if heights is None else heights[known])
    out[known] = shapely.to_geojson(moved)
    return [str(text) for text in out]


def features(collection: Collection, rows: NDArray[np.intp], crs: str) -> Iterator[str]:
    """Features one by one."""
    ids = collection.ids(rows)
    shapes = geometries(collection, rows, crs)
    more = [""] * len(ids)
    if collection.members:
        more = ["," + dumped(collection.members[row])[1:-1] for row in rows.tolist()]
    for name, shape, about, others in zip(
        ids, shapes, properties(collection, rows), more, strict=True
    ):
        yield (
            f'{{"type":"Feature","id":{dumped(name)},"geometry":{shape},'
            f'"properties":{dumped(about)}{others}}}'
        )


def pages(
    collection: Collection, rows: NDArray[np.intp], crs: str, about: dict[str, Any]
) -> Iterator[bytes]:
    """A FeatureCollection in pieces; `about` are its other members (links, counts)."""
    head = dumped({"type": "FeatureCollection", **about})
    yield (head[:-1] + ',"features":[').encode()
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        joined = ",".join(features(collection, part, crs))
        yield (("," if start else "") + joined).encode()
    yield b"]}"
