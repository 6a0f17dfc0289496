"""Writing the chosen buildings as CSV, GeoPackage or GeoParquet."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from citymap.assess.building_record import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.workspace import Workspace

Format = Literal["csv", "gpkg", "parquet"]
MIME = {
    "csv": "text/csv",
    "gpkg": "application/geopackage+sqlite3",
    "parquet": "application/vnd.apache.parquet",
}
# A spreadsheet runs a cell that starts so as a formula; the full-width twins are folded by some.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def chosen_buildings(workspace: Workspace, rows: NDArray[np.bool_]) -> pa.Table:
    """The rows of `buildings.parquet` where `rows` is true, a row group at a time."""
    file = pq.ParquetFile(workspace.buildings, memory_map=True)
    parts, start = [], 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        mask = rows[start : start + size]
        start += size
        if mask.any():
            parts.append(file.read_row_group(group).filter(pa.array(mask)))
    if not parts:
        return file.schema_arrow.empty_table()
    return pa.concat_tables(parts)


def as_csv(table: pa.Table) -> bytes:
    """UTF-8 with BOM: one line a building, its middle as lon and lat, the risks as JSON."""
    boxes = shapely.bounds(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False)))
    names = [name for name in table.column_names if name not in {"geometry", "risks"}]
    columns = [_texts(table[name]) for name in names]
    columns += [
        [
            f"{value:.7f}" if np.isfinite(value) else ""
            for value in (boxes[:, i] + boxes[:, i + 2]) / 2
        ]
        for i in (0, 1)
    ]
    columns.append(_risks(table))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*names, "lon", "lat", "risks"])
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode("utf-8-sig")


def _texts(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_string(column.type):
        return [guarded(value or "") for value in column.to_pylist()]
    texts = pc.fill_null(column.cast(pa.string()), "").to_pylist()
    return ["" if text == "nan" else str(text) for text in texts]


def _risks(table: pa.Table) -> list[str]:
    return [
        json.dumps(plain(risks), ensure_ascii=False) if risks else "[]"
        for risks in table["risks"].to_pylist()
    ]


def as_geopackage(table: pa.Table) -> bytes:
    """One layer `buildings` (EPSG:6668); the risks as JSON, for GeoPackage knows no lists."""
    plain_columns = [name for name in table.column_names if name not in {"geometry", "risks"}]
    frame = table.select(plain_columns).to_pandas()
    frame["risks"] = _risks(table)
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    flat = geopandas.GeoDataFrame(frame, geometry=shapes, crs="EPSG:6668")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "buildings.gpkg"
        flat.to_file(path, layer="buildings", driver="GPKG", engine="pyogrio")
        return path.read_bytes()


def as_geoparquet(table: pa.Table) -> bytes:
    """GeoParquet with the columns and the `geo` metadata of `buildings.parquet`, risks nested."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def encoded(table: pa.Table, form: Format) -> bytes:
    """A table of buildings in one of the formats."""
    return {"csv": as_csv, "gpkg": as_geopackage, "parquet": as_geoparquet}[form](table)
