"""GeoParquet 1.1 with nested columns as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from citymap import crs
from citymap.share.exchange.format import FORMATS, Format, Written, moved, shapes

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.share.exchange.layer import Outgoing


def _write(layer: Outgoing, path: Path, epsg: int) -> Written:
    geometry = moved(shapes(layer.table), epsg)
    there = geometry[~shapely.is_missing(geometry)]
    about = {
        "version": "1.1.0", "primary_column": "geometry",
        "columns": {"geometry": {
            "encoding": "WKB", "geometry_types": sorted({g.geom_type for g in there}),
            "crs": CRS.from_epsg(epsg).to_json_dict(),
            **({"bbox": [float(b) for b in shapely.total_bounds(there)]} if there.size else {}),
        }},
    }  # fmt: skip
    at = layer.table.column_names.index("geometry")
    table = layer.table.set_column(at, "geometry", pa.array(shapely.to_wkb(geometry), pa.binary()))
    pq.write_table(
        table.replace_schema_metadata({"geo": json.dumps(about)}), path, compression="zstd"
    )
    return Written((path,))


FORMATS.register("parquet")(Format(".parquet", crs.GEOGRAPHIC, False, _write))
