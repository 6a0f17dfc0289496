"""CSV files from the wild: encoding, header and rows with their line numbers."""

from __future__ import annotations

import csv
import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from citymap.errors import BadInputError

_LIMIT_BYTES = 512 << 20
_RUNS = frozenset("=+-@＝＋－＠")


@dataclass(frozen=True, slots=True)
class Record:
    """One row: column → text (stripped), and the line it starts on."""

    line: int
    values: dict[str, str]
    beyond: tuple[str, ...] = ()  # cells without a column


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Header, records and the encoding chosen."""

    name: str
    encoding: str
    header: tuple[str, ...]
    records: tuple[Record, ...]


def decode(data: bytes, place: str) -> tuple[str, str]:
    """Text and its encoding: strict UTF-8 (BOM or not), then CP932; UTF-16 by its BOM.

    Raises:
        BadInputError: neither fits.
    """
    codecs = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp932")
    for codec in codecs:
        try:
            return data.decode(codec), codec
        except UnicodeDecodeError:
            continue
    raise BadInputError("text_encoding", place=place)


def read_csv(path: Path) -> CsvTable:
    """Read a CSV or TSV; `#property,…` (a header with `#`) and other `#` lines are understood.

    Raises:
        BadInputError: unknown encoding, no header, or broken quoting.
    """
    place = path.name
    if path.stat().st_size > _LIMIT_BYTES:
        raise BadInputError("csv_too_large", place=place)
    text, encoding = decode(path.read_bytes(), place)
    first = text.split("\n", 1)[0]
    delimiter = "\t" if first.count("\t") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    header: list[str] | None = None
    records: list[Record] = []
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if not any(c.strip() for c in row):
                continue
            if row[0].startswith("#"):
                if row[0].strip() == "#property":
                    header = ["#", *(_column(c) for c in row[1:])]
                continue
            if header is None:
                header = [_column(c) for c in row]
                continue
            values = {h: _plain(c) for h, c in zip(header, row, strict=False) if h}
            beyond = tuple(c for c in map(str.strip, row[len(header) :]) if c)
            records.append(Record(start, values, beyond))
    except csv.Error as e:
        raise BadInputError("csv_broken", place=f"{place}:{reader.line_num}", reason=e) from e
    if header is None:
        raise BadInputError("csv_no_header", place=place)
    return CsvTable(place, encoding, tuple(header), tuple(records))


def _plain(cell: str) -> str:
    """The text of a cell, without the `'` that exports put before what a spreadsheet would run."""
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in _RUNS else text


def _column(text: str) -> str:
    """A column's name in one spelling: NFKC, without spaces."""
    return "".join(unicodedata.normalize("NFKC", text).split())
