"""`districts.parquet` (町字) and `addresses.parquet`, and which district holds a position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.model.columns import ADDRESSES, DISTRICTS
from citymap.places.vector import VectorTable
from citymap.workspace import Workspace, write_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ID = ("district_id", "町字ID", "町字コード", "KEY_CODE", "key_code", "id", "code")
_NAME = ("name", "S_NAME", "町字名", "町丁目名", "町丁名", "町名", "MOJI", "名称")
_KANA = ("name_kana", "町字名_カナ", "町丁目名カナ", "名称_カナ", "S_NAME_KANA")
_WATER_SURFACE = "8154"  # HCODE of 境界データ: survey area of water, not a district


def is_districts(table: VectorTable) -> bool:
    """Whether a vector file holds areas with an id and a name."""
    kinds = {g.geom_type for g in table.geometry if g is not None}
    named = any(c in table.columns for c in _NAME)
    return (
        bool(kinds)
        and kinds <= {"Polygon", "MultiPolygon"}
        and named
        and _column(table, _ID) is not None
    )


def _column(table: VectorTable, names: Sequence[str]) -> list[str | None] | None:
    return next((table.columns[n] for n in names if n in table.columns), None)


def write_districts(
    workspace: Workspace, table: VectorTable
) -> tuple[int, list[tuple[int, str, str]]]:
    """Enter districts (parts of one id are joined); returns their number and (feature, id, reason)."""
    count = len(table.geometry)
    ids = _column(table, _ID) or [None] * count
    names = _column(table, _NAME) or [None] * count
    kana = _column(table, _KANA) or [None] * count
    codes = table.columns.get("HCODE", [None] * count)
    skipped: list[tuple[int, str, str]] = []
    shapes: dict[str, list[shapely.Geometry]] = defaultdict(list)
    about: dict[str, tuple[str | None, str | None]] = {}
    for i, shape in enumerate(table.geometry):
        place = ids[i] or names[i]
        if codes[i] == _WATER_SURFACE:
            skipped.append((i + 1, place or "", "water_surface"))
        elif not place:
            skipped.append((i + 1, "", "no_id"))
        elif shape is None or shape.is_empty:
            skipped.append((i + 1, place, "no_geometry"))
        elif (reason := _outside(shape)) is not None:
            skipped.append((i + 1, place, reason))
        else:
            shapes[place].append(shape if shape.is_valid else shapely.make_valid(shape))
            about.setdefault(place, (names[i], kana[i]))
    rows = []
    for place, parts in shapes.items():
        whole = parts[0] if len(parts) == 1 else shapely.union_all(parts)
        areas = [p for p in shapely.get_parts(whole) if p.geom_type == "Polygon"]
        areas += [
            q for p in shapely.get_parts(whole) if p.geom_type == "MultiPolygon" for q in p.geoms
        ]
        if not areas:
            skipped.append((0, place, "no_geometry"))
            continue
        whole = areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)
        rows.append({"district_id": place, "name": about[place][0], "name_kana": about[place][1],
                     "geometry": shapely.to_wkb(whole)})  # fmt: skip
    result = pa.Table.from_pylist(rows, schema=DISTRICTS.schema())
    if workspace.districts.is_file():
        old = (
            pq.read_table(workspace.districts)
            .replace_schema_metadata(None)
            .cast(DISTRICTS.schema())
        )
        new = {r["district_id"] for r in rows}
        keep = [d not in new for d in old.column("district_id").to_pylist()]
        result = pa.concat_tables([old.filter(pa.array(keep, pa.bool_())), result])
    if result.num_rows:
        write_table(workspace.districts, result.sort_by("district_id"), DISTRICTS)
    return len(rows), skipped


def _outside(shape: shapely.Geometry) -> str | None:
    west, south, east, north = crs.JAPAN_LON_LAT
    x0, y0, x1, y1 = shape.bounds
    if west <= x0 and x1 <= east and south <= y0 and y1 <= north:
        return None
    return (
        "axis_order"
        if south <= x0 and x1 <= north and west <= y0 and y1 <= east
        else "outside_japan"
    )


def locate(workspace: Workspace, lon: ArrayLike, lat: ArrayLike) -> list[str | None]:
    """The district that holds each position; None outside all of them or without districts."""
    lon_a, lat_a = np.atleast_1d(np.asarray(lon, float)), np.atleast_1d(np.asarray(lat, float))
    found: list[str | None] = [None] * len(lon_a)
    if not workspace.districts.is_file():
        return found
    table = pq.read_table(workspace.districts, columns=["district_id", "geometry"])
    ids = table.column("district_id").to_pylist()
    tree = shapely.STRtree(shapely.from_wkb(table.column("geometry").to_pylist()))
    for point, area in tree.query(shapely.points(lon_a, lat_a), predicate="intersects").T[::-1]:
        found[int(point)] = ids[int(area)]
    return found


def write_addresses(workspace: Workspace, rows: list[dict[str, object]]) -> int:
    """Enter addresses; the same address is replaced, missing districts are looked up."""
    blank = [r for r in rows if not r["district_id"]]
    if blank:
        at = np.array([(r["lon"], r["lat"]) for r in blank], dtype=np.float64)
        places = locate(workspace, at[:, 0], at[:, 1])
        for row, place in zip(blank, places, strict=True):
            row["district_id"] = place
    merged = {str(r["address"]): r for r in rows}
    if workspace.addresses.is_file():
        for row in pq.read_table(workspace.addresses).to_pylist():
            merged.setdefault(row["address"], row)
    table = pa.Table.from_pylist([merged[k] for k in sorted(merged)], schema=ADDRESSES.schema())
    write_table(workspace.addresses, table, ADDRESSES)
    return len(rows)
