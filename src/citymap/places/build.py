"""Importing place lists: recognise, decode, check positions, and enter them in `places/`."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.model.columns import Table
from citymap.places import edits
from citymap.places.by_address import Addresses
from citymap.places.csv_table import CsvTable, Record, read_csv
from citymap.places.districts import is_districts, write_addresses, write_districts
from citymap.places.kinds import COMMON, KINDS, NAMES, Kind, key, pick
from citymap.places.repairs import Repair, mended, narrow, padded_ids
from citymap.places.vector import VectorTable, read_vector
from citymap.workspace import Workspace, write_table, write_text

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
    """What became of one file: the kind recognised, the encoding chosen, counts, what was mended.

    `overtaken` are edits by staff that the new list contradicts, so that the list holds.
    """

    file: str
    kind: str
    encoding: str
    read: int
    written: int
    skipped: tuple[SkippedRow, ...] = ()
    repairs: tuple[Repair, ...] = ()
    overtaken: int = 0

    def notes(self, lang: str = "en") -> list[str]:
        """For the record of the import: kind and encoding, then what was mended, by reason."""
        counts = Counter(r.reason for r in self.repairs)
        return [
            f"{self.file}: {self.kind}, {self.encoding}",
            *(f"{self.file}: {t(f'repair.{r}', lang)}: {n}" for r, n in sorted(counts.items())),
            *([f"{self.file}: {t('places.edits_overtaken', lang)}: {self.overtaken}"] if self.overtaken else []),
        ]  # fmt: skip


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

    Districts come before addresses and addresses before places, whatever the order of `files`, for
    a place without coordinates is found by its address. Rows of a file imported before are
    replaced; what was mended goes to `places/<file>.repairs.csv`. `kind` overrides the recognition (a kind's id, `addresses` or `districts`).
    """
    reports: list[PlacesReport] = []
    failed: list[dict[str, str | None]] = []
    tables: list[tuple[Path, CsvTable, str]] = []
    vectors = (".geojson", ".json", ".shp")
    for path in sorted(files, key=lambda p: (p.suffix.lower() not in vectors, p.name)):
        try:
            if path.suffix.lower() in vectors:
                vector = read_vector(path)
                if kind == "districts" or (kind is None and is_districts(vector)):
                    reports.append(_districts(workspace, vector))
                    continue
                table = _points(vector)
            else:
                table = read_csv(path)
            found = kind or recognise(table.header)
            if found is None:
                raise BadInputError(
                    "places_unknown", place=path.name, columns=", ".join(table.header[:8])
                )
            tables.append((path, table, found))
        except BadInputError as e:
            failed.append({**e.as_dict(), "place": e.place or path.name})
    for path, table, found in sorted(tables, key=lambda t: t[2] != "addresses"):
        try:
            one = _addresses if found == "addresses" else _places
            reports.append(one(workspace, table, found))
        except BadInputError as e:
            failed.append({**e.as_dict(), "place": e.place or path.name})
    return reports, failed


def _districts(workspace: Workspace, table: VectorTable) -> PlacesReport:
    written, lost = write_districts(workspace, table)
    skipped = tuple(SkippedRow(table.name, n, i, reason) for n, i, reason in lost)
    return PlacesReport(
        table.name, "districts", table.encoding, len(table.geometry), written, skipped
    )


def _points(table: VectorTable) -> CsvTable:
    """Features as rows with 経度 and 緯度; an area by a point inside it. The line is the feature."""
    records = []
    for i, shape in enumerate(table.geometry):
        values = {key(name): column[i] or "" for name, column in table.columns.items()}
        if shape is not None and not shape.is_empty:
            point = shape if shape.geom_type == "Point" else shapely.point_on_surface(shape)
            values |= {"経度": repr(point.x), "緯度": repr(point.y)}
        records.append(Record(i + 1, values))
    header = (*(key(n) for n in table.columns), "経度", "緯度")
    return CsvTable(table.name, table.encoding, header, tuple(records))


def position(row: Mapping[str, str]) -> tuple[float, float, str | None]:
    """lon, lat of a row, and the fault that was mended: `swapped`, `full_width` or None.

    Longitudes and latitudes of Japan do not overlap, so that swapped ones are sure.

    Raises:
        ValueError: (reason, detail) missing, not numbers, or outside Japan.
    """
    lon, lat = pick(row, NAMES["lon"]), pick(row, NAMES["lat"])
    both = pick(row, NAMES["lat_lon"])
    if both and not (lon and lat):
        lat, _, lon = both.partition(",")
    if not lon or not lat:
        raise ValueError("no_coordinates", "")
    try:
        x, y = (float(narrow(v)) for v in (lon, lat))
    except ValueError:
        raise ValueError("bad_numbers", f"{lon}, {lat}") from None
    west, south, east, north = crs.JAPAN_LON_LAT
    if west <= x <= east and south <= y <= north:
        wide = narrow(lon) != lon.strip() or narrow(lat) != lat.strip()
        return x, y, "full_width" if wide else None
    if west <= y <= east and south <= x <= north:
        return y, x, "swapped"
    raise ValueError("outside_japan", f"{lon}, {lat}")


def table_of(kind: Kind) -> Table:
    """The declared columns of `places/<table>.parquet`."""
    return Table(kind.table, (*COMMON, *kind.extra))


class _Mending:
    """The rows of one list, mended as they are read, and what was told of it."""

    def __init__(self, workspace: Workspace, table: CsvTable) -> None:
        self.table = table
        self.told: list[Repair] = []
        self._workspace = workspace
        self._code = workspace.city().code if workspace.exists() else ""
        self._width = padded_ids(pick(r.values, NAMES["place_id"]) or "" for r in table.records)
        self._addresses: Addresses | None = None

    def id_of(self, record: Record) -> str:
        """The id in the list, else the line."""
        given = pick(record.values, NAMES["place_id"])
        if given and self._width and given.isdecimal() and len(given) < self._width:
            self.tell(record, given, "leading_zero", given, given.zfill(self._width))
            return given.zfill(self._width)
        return given or str(record.line)

    def tell(self, record: Record, place_id: str, reason: str, before: str, after: str) -> None:
        """Note a repair."""
        self.told.append(Repair(self.table.name, record.line, place_id, reason, before, after))

    def values(self, record: Record, place_id: str) -> dict[str, str]:
        """The row with its numbers mended."""
        values, changes = mended(record.values, self._code)
        for reason, before, after in changes:
            self.tell(record, place_id, reason, before, after)
        if record.beyond:
            self.tell(record, place_id, "beyond_header", " | ".join(record.beyond), "")
        return values

    def place(self, record: Record, place_id: str) -> tuple[float, float]:
        """lon, lat: as given, mended, or by the address.

        Raises:
            ValueError: (reason, detail) as `position`.
        """
        values = record.values
        written = f"{pick(values, NAMES['lon']) or ''}, {pick(values, NAMES['lat']) or ''}"
        try:
            lon, lat, fault = position(values)
        except ValueError as e:
            address = pick(values, NAMES["address"])
            if e.args[0] != "no_coordinates" or not address:
                raise
            self._addresses = self._addresses or Addresses(self._workspace)
            found = self._addresses.find(address)
            if found is None:
                raise ValueError("address_unknown", address) from None
            lon, lat, how = found
            self.tell(record, place_id, f"position_by_{how}", address, f"{lon}, {lat}")
            return lon, lat
        if fault:
            self.tell(record, place_id, fault, written, f"{lon}, {lat}")
        return lon, lat


def _places(workspace: Workspace, table: CsvTable, kind_id: str) -> PlacesReport:
    kinds = KINDS.load()
    if kind_id not in kinds:
        raise BadInputError(
            "places_unknown_kind", place=table.name, kind=kind_id, known=", ".join(kinds)
        )
    kind = kinds[kind_id]
    declared = table_of(kind)
    path = workspace.places / f"{kind.table}.parquet"
    old = declared.schema().empty_table()
    if path.is_file():
        old = _with_columns(pq.read_table(path), declared)
        files, ids = (old.column(c).to_pylist() for c in ("source_file", "kind"))
        keep = [(f, k) != (table.name, kind_id) for f, k in zip(files, ids, strict=True)]
        old = old.filter(pa.array(keep, pa.bool_()))
    taken = set(old.column("place_id").to_pylist())
    rows: list[dict[str, object]] = []
    skipped: list[SkippedRow] = []
    mending = _Mending(workspace, table)
    for record in table.records:
        place_id = mending.id_of(record)
        values = mending.values(record, place_id)
        name = pick(values, NAMES["name"])
        try:
            if name is None:
                raise ValueError("no_name", "")
            lon, lat = mending.place(record, place_id)
        except ValueError as e:
            reason, detail = e.args
            skipped.append(SkippedRow(table.name, record.line, place_id, reason, detail))
            continue
        number, wanted = 1, place_id
        while place_id in taken:  # two of the list, or one of another list with the same number
            number += 1
            place_id = f"{wanted}~{number}"
        taken.add(place_id)
        rows.append({
            "place_id": place_id, "kind": kind_id, "name": name, "lon": lon, "lat": lat,
            **{f: pick(values, NAMES[f]) for f in ("name_kana", "name_en", "address")},
            "source_file": table.name, "line": record.line,
            "raw": json.dumps(values, ensure_ascii=False), **kind.values(values),
        })  # fmt: skip
    overtaken = edits.reapply(workspace, kind.table, rows)
    result = pa.concat_tables([old, pa.Table.from_pylist(rows, schema=declared.schema())])
    write_table(path, result, declared)
    _write_repairs(workspace, table.name, mending.told)
    return PlacesReport(
        table.name, kind_id, table.encoding, len(table.records), len(rows), tuple(skipped),
        tuple(mending.told), overtaken,
    )  # fmt: skip


def _with_columns(table: pa.Table, declared: Table) -> pa.Table:
    """A table of an older version with the columns that came since, empty."""
    columns = [
        table[f.name].cast(f.type) if f.name in table.column_names
        else pa.nulls(table.num_rows, f.type)
        for f in declared.schema()
    ]  # fmt: skip
    return pa.table(columns, schema=declared.schema())


def _write_repairs(workspace: Workspace, name: str, told: Sequence[Repair]) -> None:
    path = workspace.places / f"{name}.repairs.csv"
    if not told:
        path.unlink(missing_ok=True)
        return
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["line", "id", "reason", "before", "after"])
    writer.writerows([r.line, r.id, r.reason, r.before, r.after] for r in told)
    write_text(path, out.getvalue())


def _addresses(workspace: Workspace, table: CsvTable, kind_id: str) -> PlacesReport:
    rows: list[dict[str, object]] = []
    skipped: list[SkippedRow] = []
    told: list[Repair] = []
    for record in table.records:
        values = record.values
        address = pick(values, _ADDRESS) or "".join(values.get(key(p), "") for p in _ADDRESS_PARTS)
        try:
            if not address:
                raise ValueError("no_name", "")
            lon, lat, fault = position(values)
        except ValueError as e:
            reason, detail = e.args
            skipped.append(SkippedRow(table.name, record.line, address, reason, detail))
            continue
        if fault:
            told.append(Repair(table.name, record.line, address, fault, "", f"{lon}, {lat}"))
        rows.append({"address": address, "lon": lon, "lat": lat,
                     "district_id": pick(values, ("district_id", "町字ID"))})  # fmt: skip
    if rows:
        write_addresses(workspace, rows)
    return PlacesReport(
        table.name, kind_id, table.encoding, len(table.records), len(rows), tuple(skipped),
        tuple(told),
    )  # fmt: skip
