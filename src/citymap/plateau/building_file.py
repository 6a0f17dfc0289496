"""One building file → three Parquet parts beside each other, by the fast or the strict reader."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.model.columns import BUILDING_ATTRIBUTES, BUILDING_SURFACES, BUILDINGS, Table
from citymap.plateau import scanner, strict
from citymap.plateau.buildings import BuildingTables, Decode, assemble
from citymap.plateau.codelist import Codelists
from citymap.plateau.header import read_header
from citymap.plateau.raw import RawTables, Skipped

READER_VERSION = "1"
TABLES = {"buildings": BUILDINGS, "surfaces": BUILDING_SURFACES, "attributes": BUILDING_ATTRIBUTES}


@dataclass(slots=True)
class FileReport:
    """What came out of one file."""

    source_file: str
    sha256: str
    reader: str = "scanner"
    citygml: str = ""
    iur: str = ""
    epsg: int | None = None
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    images: int = 0
    images_missing: int = 0
    unknown_codes: int = 0


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _conform(table: pa.Table, declared: Table) -> pa.Table:
    """Columns in the declared order; dictionaries of strings stay as they are (Parquet stores text)."""
    columns = []
    for c in declared.columns:
        column = table.column(c.name)
        if column.type != c.type and not pa.types.is_dictionary(column.type):
            column = column.cast(c.type)
        columns.append(column)
    return pa.table(columns, names=[c.name for c in declared.columns])


def part_schema(declared: Table) -> pa.Schema:
    """The schema parts are written in: strings that repeat are dictionaries."""
    dictionary = pa.dictionary(pa.int32(), pa.string())
    repeated = {
        "surfaces": {"gml_id", "kind"},
        "attributes": {"gml_id", "group", "name", "value", "code"},
    }.get(next(k for k, t in TABLES.items() if t is declared), set())
    return pa.schema([pa.field(c.name, dictionary if c.name in repeated else c.type) for c in declared.columns])


class _Parts:
    """Writers of the three parts."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writers = {
            name: pq.ParquetWriter(
                folder / f"{name}.parquet", part_schema(t), compression="zstd", compression_level=1
            )
            for name, t in TABLES.items()
        }
        self.rows = dict.fromkeys(TABLES, 0)
        self._seen: set[str] = set()
        self.collisions: list[str] = []

    def write(self, tables: BuildingTables) -> None:
        rename = self._collisions(tables.buildings.column("gml_id"))
        parts = {"buildings": tables.buildings, "surfaces": tables.surfaces, "attributes": tables.attributes}
        for name, part in parts.items():
            table = _conform(part, TABLES[name])
            if rename is not None:
                table = _renamed(table, rename)
            if name == "buildings" and rename is not None:
                table = table.set_column(0, "gml_id", rename)
            self._writers[name].write_table(table)
            self.rows[name] += table.num_rows

    def _collisions(self, ids: pa.ChunkedArray) -> pa.Array | None:
        """Unique ids where one has been met in this file already, else None."""
        texts = ids.to_pylist()
        fresh = set(texts)
        if len(fresh) == len(texts) and fresh.isdisjoint(self._seen):
            self._seen |= fresh
            return None
        out = []
        for text in texts:
            name, k = text, 2
            while name in self._seen:
                name, k = f"{text}~{k}", k + 1
            if name != text:
                self.collisions.append(text)
            self._seen.add(name)
            out.append(name)
        return pa.array(out, pa.string())

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _renamed(table: pa.Table, ids: pa.Array) -> pa.Table:
    """The same table with the dictionary of gml_id replaced (indices are the chunk's rows)."""
    column = table.column("gml_id")
    if not pa.types.is_dictionary(column.type):
        return table
    chunks = [pa.DictionaryArray.from_arrays(c.indices, ids) for c in column.chunks]
    return table.set_column(0, "gml_id", pa.chunked_array(chunks, type=column.type))


def read_building_file(
    path: Path, out: Path, *, source_file: str, edition: str | None, codelists: Codelists
) -> FileReport:
    """Read `path` into `out/{buildings,surfaces,attributes}.parquet`.

    Raises:
        BadInputError: the file cannot be read at all (not XML, not CityGML, a DTD, …).
    """
    header = read_header(path)
    report = FileReport(
        source_file, sha256_of(path), citygml=header.citygml, iur=header.iur, epsg=header.epsg,
        warnings=list(header.warnings),
    )  # fmt: skip

    def decode(space: str, code: str) -> str | None:
        text = codelists.decode(space, code, path)
        if text is None:
            report.unknown_codes += 1
        return text

    def run(chunks: Iterable[RawTables]) -> None:
        _run(chunks, out, report, decode, source_file, edition)

    try:
        run(tables for tables, _ in scanner.read_chunks(header))
    except (scanner.NeedsStrictError, pa.ArrowInvalid, UnicodeDecodeError):
        report.reader = "strict"
        run(strict.read_chunks(header))
    return report


def _run(
    chunks: Iterable[RawTables], out: Path, report: FileReport, decode: Decode,
    source_file: str, edition: str | None,
) -> None:  # fmt: skip
    parts = _Parts(out)
    report.skipped, report.images, report.unknown_codes = [], 0, 0
    images: set[str] = set()
    try:
        for raw in chunks:
            tables = assemble(raw, decode=decode, source_file=source_file, edition=edition)
            parts.write(tables)
            report.skipped += tables.skipped
            images.update(i for i in tables.images if i)
    finally:
        parts.close()
    report.skipped += [Skipped(source_file, 0, i, "gml_id_collision", "kept, with a suffix") for i in parts.collisions]
    report.counts = dict(parts.rows)
    report.images = len(images)


def write_report(report: FileReport, folder: Path) -> None:
    """Keep the report beside the parts, so that an interrupted import can go on."""
    (folder / "report.json").write_text(json.dumps(asdict(report), ensure_ascii=False), encoding="utf-8")


def read_report(folder: Path) -> FileReport | None:
    """The report of a finished part, None where there is none."""
    try:
        data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    data["skipped"] = [Skipped(**s) for s in data["skipped"]]
    return FileReport(**data)


def most_common_city(part: Path) -> str | None:
    """The city code that most buildings of a part carry in uro:city."""
    names = pq.read_table(part / "attributes.parquet", columns=["name", "value", "code"])
    mine = names.filter(pc.equal(pc.cast(names.column("name"), pa.string()), "uro:city"))
    if mine.num_rows == 0:
        return None
    value = pc.coalesce(pc.cast(mine.column("code"), pa.string()), pc.cast(mine.column("value"), pa.string()))
    counts = pc.value_counts(value).to_pylist()
    best = max(counts, key=lambda c: c["counts"])["values"]
    return str(best) if best and str(best).isdigit() else None
