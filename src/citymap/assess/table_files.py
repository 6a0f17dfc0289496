"""Rows of the building table as CSV, Excel or GeoPackage."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import geopandas
import pyarrow as pa
import shapely
import xlsxwriter

from citymap.assess.selection_files import guarded
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

TableFormat = Literal["csv", "xlsx", "gpkg"]
MIME: dict[TableFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "gpkg": "application/geopackage+sqlite3",
}
EXCEL_ROWS = 1_048_576


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Values as a cell holds them: lists joined by ; and no NaN."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_list(column.type):
        return [";".join(v) if v else None for v in values]
    if pa.types.is_floating(column.type):
        return [None if v is None or v != v else round(v, 3) for v in values]  # noqa: PLR0124
    return values


def _columns(table: pa.Table) -> dict[str, list[Any]]:
    return {n: _plain(table[n]) for n in table.column_names if n != "geometry"}


def as_csv(table: pa.Table, titles: Mapping[str, str]) -> bytes:
    """UTF-8 with BOM, CRLF; texts that a spreadsheet would take for a formula are guarded."""
    columns = _columns(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([titles.get(n, n) for n in columns])
    guards = [
        [guarded(v) if isinstance(v, str) else v for v in values] for values in columns.values()
    ]
    writer.writerows(zip(*guards, strict=True))
    return out.getvalue().encode("utf-8-sig")


def as_xlsx(table: pa.Table, titles: Mapping[str, str]) -> bytes:
    """One sheet with a frozen, filterable first row; every text is a text, never a formula.

    Raises:
        BadInputError: more rows than Excel opens.
    """
    if table.num_rows >= EXCEL_ROWS:
        raise BadInputError("excel_rows", count=f"{table.num_rows:,}", most=f"{EXCEL_ROWS - 1:,}")
    columns = _columns(table)
    out = io.BytesIO()
    options = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
        "strings_to_numbers": False, "tmpdir": tempfile.gettempdir(),
    }  # fmt: skip
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet("buildings")
        bold = book.add_format({"bold": True})
        sheet.freeze_panes(1, 1)
        sheet.set_column(0, max(0, len(columns) - 1), 16)
        for at, name in enumerate(columns):
            sheet.write_string(0, at, titles.get(name, name), bold)
        for row, values in enumerate(zip(*columns.values(), strict=True), 1):
            for at, value in enumerate(values):
                if value is None:
                    continue
                if isinstance(value, bool):
                    sheet.write_boolean(row, at, value)
                elif isinstance(value, str):
                    sheet.write_string(row, at, value)
                else:
                    sheet.write_number(row, at, value)
        if columns:
            sheet.autofilter(0, 0, max(1, table.num_rows), len(columns) - 1)
    return out.getvalue()


def as_geopackage(table: pa.Table, titles: Mapping[str, str]) -> bytes:
    """One layer `buildings` (EPSG:6668), columns under their own names."""
    del titles
    if "geometry" not in table.column_names:
        return b""
    frame = table.drop_columns(["geometry"]).to_pandas()
    for name, values in _columns(table).items():
        if pa.types.is_list(table.schema.field(name).type):
            frame[name] = values
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "buildings.gpkg"
        flat = geopandas.GeoDataFrame(frame, geometry=shapes, crs="EPSG:6668")
        flat.to_file(path, layer="buildings", driver="GPKG", engine="pyogrio")
        return path.read_bytes()


def encoded(table: pa.Table, form: TableFormat, titles: Mapping[str, str]) -> bytes:
    """The rows in one of the formats; `titles` are the columns' names for people."""
    return {"csv": as_csv, "xlsx": as_xlsx, "gpkg": as_geopackage}[form](table, titles)
