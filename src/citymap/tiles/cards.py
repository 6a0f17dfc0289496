"""The full record of every building, in files of 256 rows."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.assess.building_record import plain

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.progress import Progress
    from citymap.workspace import Workspace

CHUNK = 256
GZIP_LEVEL = 6


def build(workspace: Workspace, folder: Path, *, progress: Progress) -> dict[str, Any]:
    """Write `{chunk}.json.gz`: all columns but the geometry, and `attributes` as they stand grouped.

    Numbers that are missing stay null.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = pq.ParquetFile(workspace.buildings)
    names = [n for n in file.schema_arrow.names if n != "geometry"]
    table = file.read(columns=names)
    total = table.num_rows
    attributes: pa.Table | None = None
    starts = np.zeros(total + 1, np.int64)
    if workspace.building_attributes.is_file():
        attributes = pq.read_table(workspace.building_attributes)
        found = pc.index_in(attributes["gml_id"], value_set=table["gml_id"].combine_chunks())
        row = np.asarray(found.fill_null(-1).to_numpy(), np.int64)
        order = np.argsort(row, kind="stable")
        order = order[row[order] >= 0]
        if order.size != row.size or (np.diff(order) < 0).any():
            attributes = attributes.take(pa.array(order))
            row = row[order]
        attributes = attributes.drop_columns(["gml_id"]).combine_chunks()
        starts = np.searchsorted(row, np.arange(total + 1))
    size = 0
    for at in range(0, total, CHUNK):
        records = table.slice(at, CHUNK).to_pylist()
        details: list[dict[str, Any]] = []
        base = int(starts[at])
        if attributes is not None:
            details = attributes.slice(base, int(starts[at + len(records)]) - base).to_pylist()
        for i, record in enumerate(records):
            own = details[int(starts[at + i]) - base : int(starts[at + i + 1]) - base]
            record["attributes"] = _grouped(own)
        text = json.dumps(
            plain(records), ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        packed = gzip.compress(text.encode(), GZIP_LEVEL, mtime=0)
        (folder / f"{at // CHUNK}.json.gz").write_bytes(packed)
        size += len(packed)
        progress.update(at + len(records), total, "building cards")
    return {"bytes": size}


def _grouped(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`[{group, item, values: [{name, value, code}]}]` in the order of the file."""
    groups: dict[tuple[Any, Any], dict[str, Any]] = {}
    for d in details:
        key = (d["group"], d["item"])
        group = groups.setdefault(key, {"group": d["group"], "item": d["item"], "values": []})
        group["values"].append({"name": d["name"], "value": d["value"], "code": d["code"]})
    return list(groups.values())
