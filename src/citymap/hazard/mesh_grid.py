"""Depths by subdivided grid square (浸水想定区域図データ電子化ガイドライン: CSV and shapefile) → a grid.

The code is the eight digits of the 3rd-level square, one digit that names the subdivision, then
the row from the south and the column from the west, two digits each (three below ten metres).
Source: 浸水想定区域図データ電子化ガイドライン; columns メッシュコード (MESH), 標高, 浸水深, 流速.
"""

from __future__ import annotations

import io
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import rasterio
from rasterio.crs import CRS

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.grid_file import LIMIT_CELLS, hazard_id, in_units, to_zone, write_grid
from citymap.hazard.sets import quantity_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

MESH_COLUMNS = ("メッシュコード", "MESH", "mesh")
# Digit of subdivision → cells along a side of the 3rd-level square (about 1 km).
_PARTS_2 = {"1": 10, "2": 20, "5": 25, "3": 40, "6": 50, "4": 80, "7": 100}
_PARTS_3 = {"2": 200, "5": 250, "3": 400, "6": 500, "4": 800, "7": 1000}
_QUANTITY = re.compile(r"^(浸水深|最大浸水深|浸水継続時間|継続時間|到達時間|浸水開始時間|浸水到達時間)\s*(?:[(\[](.+)[)\]])?$")  # fmt: skip
_KIND = {
    "浸水深": "depth", "最大浸水深": "depth", "浸水継続時間": "duration", "継続時間": "duration",
    "到達時間": "arrival", "浸水開始時間": "arrival", "浸水到達時間": "arrival",
}  # fmt: skip
_HEADER_LINES = 20
_LIMIT_BYTES = 2 << 30


def squares(codes: list[str], place: str) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Cells along a 3rd-level square's side, and row (from the south) and column of each code.

    Rows and columns count cells of the whole country from 0° N, 100° E.

    Raises:
        BadInputError: a code of another form, or two sizes in one file.
    """
    first = codes[0]
    known = {13: _PARTS_2, 15: _PARTS_3}.get(len(first))
    parts = known.get(first[8]) if known is not None and first.isdigit() else None
    if parts is None:
        raise BadInputError("hazard_mesh_code", place=place, code=first)
    text = np.array(codes)
    same = np.char.str_len(text) == len(first)
    if not same.all() or not np.char.isdigit(text).all():
        bad = codes[int(np.flatnonzero(~(same & np.char.isdigit(text)))[0])]
        raise BadInputError("hazard_mesh_code", place=place, code=bad)
    digits = text.astype(f"U{len(first)}").view("U1").reshape(len(codes), -1).astype(np.int64)
    if (digits[:, 8] != digits[0, 8]).any():
        raise BadInputError("hazard_mesh_sizes", place=place)
    half = (len(first) - 9) // 2
    tens = 10 ** np.arange(half - 1, -1, -1)
    south, west = digits[:, 9 : 9 + half] @ tens, digits[:, 9 + half :] @ tens
    if (south >= parts).any() or (west >= parts).any():
        worst = int(np.flatnonzero((south >= parts) | (west >= parts))[0])
        raise BadInputError("hazard_mesh_code", place=place, code=codes[worst])
    third_row = (digits[:, 0] * 10 + digits[:, 1]) * 80 + digits[:, 4] * 10 + digits[:, 6]
    third_column = (digits[:, 2] * 10 + digits[:, 3]) * 80 + digits[:, 5] * 10 + digits[:, 7]
    return parts, third_row * parts + south, third_column * parts + west


def to_grid(
    codes: list[str], values: NDArray[np.float32], place: str
) -> tuple[NDArray[np.float32], rasterio.Affine]:
    """A grid in degrees (JGD2011, north up); a square named twice keeps the larger value.

    Raises:
        BadInputError: see `squares`; or too large.
    """
    if not codes:
        raise BadInputError("hazard_mesh_empty", place=place)
    parts, row, column = squares(codes, place)
    south, west = int(row.min()), int(column.min())
    height, width = int(row.max()) - south + 1, int(column.max()) - west + 1
    if height * width > LIMIT_CELLS:
        raise BadInputError("dem_too_large", place=place)
    grid = np.full(height * width, -np.inf, np.float32)
    at = (south + height - 1 - row) * width + (column - west)
    np.maximum.at(grid, at, np.where(np.isnan(values), np.float32(-np.inf), values))
    grid[np.isinf(grid)] = np.nan
    size_y, size_x = 1 / (120 * parts), 1 / (80 * parts)
    transform = rasterio.Affine(
        size_x, 0, 100 + west * size_x, 0, -size_y, (south + height) * size_y
    )
    return grid.reshape(height, width), transform


def import_mesh_csv(
    workspace: Workspace, path: Path, *, layer_id: str | None, epsg: int, vintage: str | None = None
) -> tuple[list[str], list[str]]:
    """Import a CSV of the guideline (UTF-8 or CP932; lines before the one with the column names
    are left out); returns the ids and the notes.

    Raises:
        BadInputError: no line names a column メッシュコード, or see `import_mesh_table`.
    """
    place = path.name
    if path.stat().st_size > _LIMIT_BYTES:
        raise BadInputError("csv_too_large", place=place)
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp932"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise BadInputError("vector_broken", place=place, reason="utf-8, cp932")
    head = text.splitlines()[:_HEADER_LINES]
    cells = [{cell.strip().strip('"') for cell in line.split(",")} for line in head]
    at = next((i for i, one in enumerate(cells) if one & set(MESH_COLUMNS)), None)
    if at is None:
        columns = ", ".join(sorted(cells[0])[:8]) if cells else ""
        raise BadInputError("hazard_no_class", place=place, columns=columns)
    try:
        table = pd.read_csv(io.StringIO(text), skiprows=at, dtype=str, skipinitialspace=True)
    except pd.errors.ParserError as e:
        raise BadInputError("vector_broken", place=place, reason=e) from e
    table.columns = [str(c).strip() for c in table.columns]
    ids, notes = import_mesh_table(
        workspace, table, place, layer_id=layer_id, epsg=epsg, vintage=vintage, path=path
    )
    return ids, [f"{place}: {encoding}", *notes]


def import_mesh_table(
    workspace: Workspace, table: pd.DataFrame, source: str, *, layer_id: str | None, epsg: int,
    vintage: str | None, path: Path,
) -> tuple[list[str], list[str]]:  # fmt: skip
    """Write a grid for every quantity that the columns hold; returns the ids and the notes.

    The unit of a time stands in its column's name, 「浸水継続時間(分)」; depths are metres.

    Raises:
        BadInputError: no such column, a time without a unit, or codes that are no squares.
    """
    notes: list[str] = []
    mesh = next(c for c in MESH_COLUMNS if c in table.columns)
    codes = [str(v).strip().removesuffix(".0") for v in table[mesh]]
    found = [(c, _KIND[m[1]], m[2] or "") for c in map(str, table.columns)
             if (m := _QUANTITY.match(unicodedata.normalize("NFKC", c).strip()))]  # fmt: skip
    if not found:
        raise BadInputError(
            "hazard_no_class", place=source, columns=", ".join(map(str, table.columns[:8]))
        )
    stem = hazard_id(layer_id or re.sub(r"\.\w+$", "", source))
    ids = []
    for column, quantity, unit in found:
        if quantity != "depth" and not unit:
            raise BadInputError("hazard_unit", place=source, unit="–", quantity=column)
        values = _numbers(table[column].to_list())
        values = in_units(values, quantity, unit or "m", source, notes)
        grid, transform = to_grid(codes, values, source)
        grid, transform = to_zone(
            grid, transform, CRS.from_epsg(crs.GEOGRAPHIC), epsg, source, notes
        )
        name = stem if quantity_of(stem) == quantity or len(found) == 1 else f"{stem}_{quantity}"
        write_grid(workspace, name, grid, transform, epsg, quantity=quantity,
                   path=path, vintage=vintage, about={})  # fmt: skip
        ids.append(name)
    return ids, notes


def _numbers(values: list[Any]) -> NDArray[np.float32]:
    """Numbers; what is blank, a dash or a sentinel is not known."""
    out = np.full(len(values), np.nan, np.float32)
    for i, value in enumerate(values):
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        out[i] = np.nan if number <= -99 else number
    return out
