"""Which 町字 each building stands in: `district_id` of buildings.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.workspace import Workspace, replacing


def join_districts(workspace: Workspace) -> int:
    """Fill `district_id` by a point on each footprint; returns how many buildings lie in one.

    Buildings outside every district stay null.
    """
    if not (workspace.districts.is_file() and workspace.buildings.is_file()):
        return 0
    districts = pq.read_table(workspace.districts, columns=["district_id", "geometry"])
    ids = np.array(districts.column("district_id").to_pylist(), dtype=object)
    tree = shapely.STRtree(shapely.from_wkb(districts.column("geometry").to_pylist()))
    found = 0
    with pq.ParquetFile(workspace.buildings) as handle, replacing(workspace.buildings) as temporary:
        schema = handle.schema_arrow
        with pq.ParquetWriter(temporary, schema, compression="zstd", compression_level=3) as writer:
            for batch in handle.iter_batches(batch_size=16384, use_threads=False):
                table = pa.Table.from_batches([batch], schema=schema)
                shapes = shapely.from_wkb(table.column("geometry").to_pylist())
                there = ~shapely.is_missing(shapes)
                points = shapely.point_on_surface(shapes[there])
                building, district = tree.query(points, predicate="intersects")
                values = np.full(len(shapes), None, dtype=object)
                rows = np.flatnonzero(there)[building]
                values[rows[::-1]] = ids[district[::-1]]
                column = pa.array(values, pa.string())
                found += len(column) - column.null_count
                at = schema.get_field_index("district_id")
                writer.write_table(table.set_column(at, schema.field(at), column))
            geo = (handle.metadata.metadata or {}).get(b"geo")
            if geo:
                writer.add_key_value_metadata({"geo": geo.decode()})
    return found
