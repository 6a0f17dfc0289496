"""Importing place lists: recognise, decode, check positions, and enter them in `places/`."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from citymap import crs
from citymap.errors import BadInputError
from citymap.model.columns import Table
from citymap.places.csv_table import CsvTable, Record, read_csv
from citymap.places.districts import is_districts, write_addresses, write_districts
from citymap.places.kinds import COMMON, KINDS, NAMES, Kind, key, pick
from citymap.places.vector import VectorTable, read_vector
from citymap.workspace import Workspace, write_table

_ADDRESS = ("address", "住所", "所在地_連結表記")
_ADDRESS_PARTS = (
    "都道府県名",
    "市区町村名",
    "大字・丁目名",
    "大字町丁目名",
    "小字・通称名",
    "街区符号・地番",
)


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that was left out: where, and why (a catalogue key `skip.<reason>`)."""

    file: str
    line: int
    id: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PlacesReport:
    """What became of one file: the kind recognised, the encoding chosen, and counts."""

    file: str
    kind: str
    encoding: str
    read: int
    written: int
    skipped: tuple[SkippedRow, ...] = ()


def recognise(header: Sequence[str]) -> str | None:
    """The kind of a list by its column names (never by their order); None when it is none."""
    columns = frozenset(key(h) for h in header)
    has = {f: any(key(n) in columns for n in names) for f, names in NAMES.items()}
    if not ((has["lon"] and has["lat"]) or has["lat_lon"]):
        return None
    scores = {k: kind.evidence(columns) for k, kind in KINDS.load().items()} if has["name"] else {}
    best = max(scores, key=lambda k: scores[k], default=None)
    if best is not None and scores[best] > 0:
        return best
    if any(key(n) in columns for n in (*_ADDRESS, "街区符号・地番")) and not has["name"]:
        return "addresses"
    return None


def import_places(
    workspace: Workspace, files: Sequence[Path], *, kind: str | None = None
) -> tuple[list[PlacesReport], list[dict[str, str | None]]]:
    """Import CSV, GeoJSON and shapefiles of places; returns reports and the files that failed.

    Districts come before addresses, whatever the order of `files`. Rows of a file imported before
    are replaced. `kind` overrides the recognition (a kind's id, `addresses` or `districts`).
    """
    reports: list[PlacesReport] = []
    failed: list[dict[str, str | None]] = []
    late: list[tuple[Path, CsvTable]] = []
    for path in sorted(
        files, key=lambda p: (p.suffix.lower() not in (".geojson", ".json", ".shp"), p.name)
    ):
        try:
            if path.suffix.lower() in (".geojson", ".json", ".shp"):
                reports.append(_vector(workspace, path, kind))
                continue
            table = read_csv(path)
            found = kind or recognise(table.header)
            if found is None:
                raise BadInputError(
                    "places_unknown", place=path.name, columns=", ".join(table.header[:8])
                )
            if found == "addresses":
                late.append((path, table))
            else:
                reports.append(_places(workspace, table, found))
        except BadInputError as e:
            failed.append({**e.as_dict(), "place": e.place or path.name})
    for _, table in late:
        reports.append(_addresses(workspace, table))
    return reports, failed


def _vector(workspace: Workspace, path: Path, kind: str | None) -> PlacesReport:
    table = read_vector(path)
    if kind == "districts" or (kind is None and is_districts(table)):
        written, lost = write_districts(workspace, table)
        skipped = tuple(SkippedRow(path.name, n, i, reason) for n, i, reason in lost)
        return PlacesReport(
            path.name, "districts", table.encoding, len(table.geometry), written, skipped
        )
    as_rows = _points(table)
    found = kind or recognise(as_rows.header)
    if found is None or found == "addresses":
        raise BadInputError(
            "places_unknown", place=path.name, columns=", ".join(list(table.columns)[:8])
        )
    return _places(workspace, as_rows, found)


def _points(table: VectorTable) -> CsvTable:
    """Point features as rows with 経度 and 緯度; the line is the number of the feature."""
    records = []
    for i, shape in enumerate(table.geometry):
        values = {key(name): column[i] or "" for name, column in table.columns.items()}
        if shape is not None and not shape.is_empty and shape.geom_type == "Point":
            values |= {"経度": repr(shape.x), "緯度": repr(shape.y)}
        records.append(Record(i + 1, values))
    header = (*(key(n) for n in table.columns), "経度", "緯度")
    return CsvTable(table.name, table.encoding, header, tuple(records))


def position(row: Mapping[str, str]) -> tuple[float, float]:
    """lon, lat of a row.

    Raises:
        ValueError: (reason, detail) missing, not numbers, swapped, or outside Japan.
    """
    lon, lat = pick(row, NAMES["lon"]), pick(row, NAMES["lat"])
    both = pick(row, NAMES["lat_lon"])
    if both and not (lon and lat):
        lat, _, lon = both.partition(",")
    if not lon or not lat:
        raise ValueError("no_coordinates", "")
    try:
        x, y = (float(unicodedata.normalize("NFKC", v).strip()) for v in (lon, lat))
    except ValueError:
        raise ValueError("bad_numbers", f"{lon}, {lat}") from None
    west, south, east, north = crs.JAPAN_LON_LAT
    if west <= x <= east and south <= y <= north:
        return x, y
    swapped = west <= y <= east and south <= x <= north
    raise ValueError("axis_order" if swapped else "outside_japan", f"{lon}, {lat}")


def table_of(kind: Kind) -> Table:
    """The declared columns of `places/<table>.parquet`."""
    return Table(kind.table, (*COMMON, *kind.extra))


def _places(workspace: Workspace, table: CsvTable, kind_id: str) -> PlacesReport:
    kinds = KINDS.load()
    if kind_id not in kinds:
        raise BadInputError(
            "places_unknown_kind", place=table.name, kind=kind_id, known=", ".join(kinds)
        )
    kind = kinds[kind_id]
    rows: list[dict[str, object]] = []
    skipped: list[SkippedRow] = []
    used: dict[str, int] = defaultdict(int)
    for record in table.records:
        values = record.values
        place_id = pick(values, NAMES["place_id"]) or str(record.line)
        name = pick(values, NAMES["name"])
        try:
            if name is None:
                raise ValueError("no_name", "")
            lon, lat = position(values)
        except ValueError as e:
            reason, detail = e.args
            skipped.append(SkippedRow(table.name, record.line, place_id, reason, detail))
            continue
        used[place_id] += 1
        if used[place_id] > 1:
            place_id = f"{place_id}~{used[place_id]}"
        rows.append({
            "place_id": place_id, "kind": kind_id, "name": name, "lon": lon, "lat": lat,
            **{f: pick(values, NAMES[f]) for f in ("name_kana", "name_en", "address")},
            "source_file": table.name, "line": record.line,
            "raw": json.dumps(values, ensure_ascii=False), **kind.values(values),
        })  # fmt: skip
    declared = table_of(kind)
    result = pa.Table.from_pylist(rows, schema=declared.schema())
    path = workspace.places / f"{kind.table}.parquet"
    if path.is_file():
        old = pq.read_table(path)
        files, ids = (old.column(c).to_pylist() for c in ("source_file", "kind"))
        keep = [(f, k) != (table.name, kind_id) for f, k in zip(files, ids, strict=True)]
        result = pa.concat_tables(
            [old.filter(pa.array(keep, pa.bool_())).cast(declared.schema()), result]
        )
    write_table(path, result, declared)
    return PlacesReport(
        table.name, kind_id, table.encoding, len(table.records), len(rows), tuple(skipped)
    )


def _addresses(workspace: Workspace, table: CsvTable) -> PlacesReport:
    rows: list[dict[str, object]] = []
    skipped: list[SkippedRow] = []
    for record in table.records:
        values = record.values
        address = pick(values, _ADDRESS) or "".join(values.get(key(p), "") for p in _ADDRESS_PARTS)
        try:
            if not address:
                raise ValueError("no_name", "")
            lon, lat = position(values)
        except ValueError as e:
            reason, detail = e.args
            skipped.append(SkippedRow(table.name, record.line, address, reason, detail))
            continue
        rows.append({"address": address, "lon": lon, "lat": lat,
                     "district_id": pick(values, ("district_id", "町字ID"))})  # fmt: skip
    if rows:
        write_addresses(workspace, rows)
    return PlacesReport(
        table.name, "addresses", table.encoding, len(table.records), len(rows), tuple(skipped)
    )
