"""The parts that one building file leaves: their schemas, report, and what they say of the city."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.model.columns import BUILDING_ATTRIBUTES, BUILDING_SURFACES, BUILDINGS, Table
from citymap.plateau.raw import Skipped

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
    unknown_codes: int = 0


def use_lean_memory() -> None:
    """Let Arrow give memory back to the system: a large import then stays below 300 MB."""
    pa.set_memory_pool(pa.system_memory_pool())


class _NoPandas(MetaPathFinder):
    """Says that pandas is not installed."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None


def do_without_pandas() -> None:
    """Keep Arrow from loading pandas (45 MB) in a process that reads building files only."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def part_schema(declared: Table) -> pa.Schema:
    """The schema parts are written in: strings that repeat are dictionaries."""
    dictionary = pa.dictionary(pa.int32(), pa.string())
    repeated = {
        "surfaces": {"gml_id", "kind"},
        "attributes": {"gml_id", "group", "name", "value", "code"},
    }.get(next(k for k, t in TABLES.items() if t is declared), set())
    return pa.schema(
        [pa.field(c.name, dictionary if c.name in repeated else c.type) for c in declared.columns]
    )


def write_report(report: FileReport, folder: Path) -> None:
    """Keep the report beside the parts, so that an interrupted import can go on."""
    (folder / "report.json").write_text(
        json.dumps(asdict(report), ensure_ascii=False), encoding="utf-8"
    )


def read_report(folder: Path) -> FileReport | None:
    """The report of a finished part, None where there is none."""
    try:
        data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    data["skipped"] = [Skipped(**s) for s in data["skipped"]]
    known = {f.name for f in fields(FileReport)}  # an older version may have kept more
    return FileReport(**{k: v for k, v in data.items() if k in known})


def most_common_city(part: Path) -> str | None:
    """The city code that most buildings of a part carry in uro:city."""
    names = pq.read_table(part / "attributes.parquet", columns=["name", "value", "code"])
    mine = names.filter(pc.equal(pc.cast(names.column("name"), pa.string()), "uro:city"))
    if mine.num_rows == 0:
        return None
    value = pc.coalesce(
        pc.cast(mine.column("code"), pa.string()), pc.cast(mine.column("value"), pa.string())
    )
    counts = pc.value_counts(value).to_pylist()
    best = max(counts, key=lambda c: c["counts"])["values"]
    return str(best) if best and str(best).isdigit() else None
