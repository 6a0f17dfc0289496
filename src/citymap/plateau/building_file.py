"""One building file → three Parquet parts beside each other, by the fast or the strict reader."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from citymap.model.columns import Table
from citymap.plateau import scanner, strict
from citymap.plateau.buildings import BuildingTables, Decode, assemble
from citymap.plateau.codelist import Codelists
from citymap.plateau.header import read_header
from citymap.plateau.parts import TABLES, FileReport, part_schema, sha256_of
from citymap.plateau.raw import RawTables, Skipped


def _conform(table: pa.Table, declared: Table) -> pa.Table:
    """Columns in the declared order; dictionaries of strings stay as they are (Parquet stores text)."""
    columns = []
    for c in declared.columns:
        column = table.column(c.name)
        if column.type != c.type and not pa.types.is_dictionary(column.type):
            column = column.cast(c.type)
        columns.append(column)
    return pa.table(columns, names=[c.name for c in declared.columns])


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
        parts = {
            "buildings": tables.buildings,
            "surfaces": tables.surfaces,
            "attributes": tables.attributes,
        }
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
        for k, raw in enumerate(chunks):
            if k % 8 == 7:
                pa.default_memory_pool().release_unused()
            tables = assemble(raw, decode=decode, source_file=source_file, edition=edition)
            parts.write(tables)
            report.skipped += tables.skipped
            images.update(i for i in tables.images if i)
    finally:
        parts.close()
    report.skipped += [
        Skipped(source_file, 0, i, "gml_id_collision", "kept, with a suffix")
        for i in parts.collisions
    ]
    report.counts = dict(parts.rows)
    report.images = len(images)
