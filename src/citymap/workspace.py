"""The layout of one city on disk: paths, city.toml, and writes that leave the old version on a crash."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from citymap.errors import BadInputError
from citymap.model.columns import GEO_TABLES, Table


@dataclass(frozen=True, slots=True)
class City:
    """What `city.toml` says. `bbox` is west, south, east, north (EPSG:6668)."""

    name: str
    code: str
    epsg: int
    bbox: tuple[float, float, float, float] | None = None
    languages: tuple[str, ...] = ("ja", "en")
    zone_is_guess: bool = False
    fictional: bool = False
    name_en: str = ""
    attribution: str = ""


def toml_value(value: object) -> str:
    """A value as TOML writes it (strings, numbers, booleans, lists)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed over it when the block ends well, removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


JOURNAL = ".commit.json"


@contextmanager
def replacing_together(
    root: Path, paths: Mapping[str, Path], *, removed: Iterable[Path] = ()
) -> Iterator[dict[str, Path]]:
    """Temporary paths by name; when the block ends well all of them take their places, or none.

    What is to be renamed, and which files go (`removed`), is first written to a journal in `root`. A
    crash before that leaves the old files; a crash after it is finished by `finish_commit` when the
    city is next opened.
    """
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = {
        name: path.with_name(f".{path.name}.{os.getpid()}.tmp") for name, path in paths.items()
    }
    journal = root / JOURNAL
    committed = False
    try:
        yield temporary
        for made in temporary.values():
            with made.open("rb") as handle:
                os.fsync(handle.fileno())
        steps = [
            [temporary[n].relative_to(root).as_posix(), paths[n].relative_to(root).as_posix()]
            for n in paths
        ]
        steps += [["", path.relative_to(root).as_posix()] for path in removed]
        write_text(journal, json.dumps(steps))
        committed = True
        finish_commit(root)
    finally:
        if not committed:
            for made in temporary.values():
                made.unlink(missing_ok=True)


def finish_commit(root: Path) -> None:
    """Finish the renames of a commit that a crash interrupted; nothing to do is the usual case."""
    journal = root / JOURNAL
    try:
        steps = json.loads(journal.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    for temporary, final in steps:
        if not temporary:
            (root / final).unlink(missing_ok=True)
            continue
        with suppress(FileNotFoundError):  # renamed before the crash
            (root / temporary).replace(root / final)
    journal.unlink(missing_ok=True)


@contextmanager
def held(path: Path, work: str) -> Iterator[None]:
    """Hold the lock file for the block; the system frees it when the process dies, however it does.

    Raises:
        BadInputError: another process holds it (`work` says what it is for).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        if not _try_lock(handle):
            raise BadInputError("city_busy", place=str(path.parent), work=work)
        try:
            yield
        finally:
            _unlock(handle)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: BinaryIO) -> bool:
        handle.seek(0)
        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: BinaryIO) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(handle: BinaryIO) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(handle: BinaryIO) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text through `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A city folder. Nothing here reads more than `city.toml`."""

    root: Path

    @property
    def city_toml(self) -> Path:
        return self.root / "city.toml"

    @property
    def imports(self) -> Path:
        return self.root / "imports"

    @property
    def buildings(self) -> Path:
        return self.root / "buildings.parquet"

    @property
    def building_surfaces(self) -> Path:
        return self.root / "building_surfaces.parquet"

    @property
    def building_attributes(self) -> Path:
        return self.root / "building_attributes.parquet"

    @property
    def terrain(self) -> Path:
        return self.root / "terrain.tif"

    @property
    def roads(self) -> Path:
        return self.root / "roads.parquet"

    @property
    def districts(self) -> Path:
        return self.root / "districts.parquet"

    @property
    def addresses(self) -> Path:
        return self.root / "addresses.parquet"

    @property
    def base(self) -> Path:
        """Base-map polygons: road surfaces, water, land use, green, rail."""
        return self.root / "base"

    @property
    def hazards(self) -> Path:
        return self.root / "hazards"

    @property
    def places(self) -> Path:
        return self.root / "places"

    @property
    def layers(self) -> Path:
        """Layers that the city brought itself: `<id>.parquet|.tif` and `<id>.toml`."""
        return self.root / "layers"

    @property
    def scenarios(self) -> Path:
        """`<name>/scenario.toml` and its results."""
        return self.root / "scenarios"

    def scenario(self, name: str) -> Path:
        """The folder of a scenario.

        Raises:
            BadInputError: the name would lead out of `scenarios/`.
        """
        if not name or name.startswith(".") or set(name) & set("/\\:\0") or len(name) > 100:
            raise BadInputError("bad_scenario_name", name=name)
        return self.scenarios / name

    @property
    def tiles(self) -> Path:
        return self.root / "tiles"

    @property
    def editions(self) -> Path:
        """Editions of the city model beside the one in force: `<name>/`."""
        return self.root / "editions"

    @property
    def verdicts(self) -> Path:
        """What was said of every building, and when it changed."""
        return self.root / "verdicts"

    @property
    def report_buildings(self) -> Path:
        """The building that each damage report speaks of."""
        return self.root / "report_buildings.parquet"

    def exists(self) -> bool:
        """Whether this folder holds a city."""
        return self.city_toml.is_file()

    def city(self) -> City:
        """Read `city.toml`.

        Raises:
            BadInputError: there is none, or it cannot be read.
        """
        if not self.exists():
            raise BadInputError("not_a_city", path=self.root)
        finish_commit(self.root)
        try:
            data: dict[str, Any] = tomllib.loads(self.city_toml.read_text(encoding="utf-8"))
            bbox = data.get("bbox")
            return City(
                name=str(data["name"]), code=str(data["code"]), epsg=int(data["epsg"]),
                bbox=(float(bbox[0]), float(bbox[1]), float(bbox[2]), float(bbox[3])) if bbox else None,
                languages=tuple(data.get("languages", ("ja", "en"))),
                zone_is_guess=bool(data.get("zone_is_guess", False)),
                fictional=bool(data.get("fictional", False)),
                name_en=str(data.get("name_en", "")), attribution=str(data.get("attribution", "")),
            )  # fmt: skip
        except (
            tomllib.TOMLDecodeError,
            UnicodeDecodeError,
            KeyError,
            ValueError,
            IndexError,
            TypeError,
        ) as e:
            raise BadInputError("bad_city_toml", place=str(self.city_toml), reason=e) from e

    def write_city(self, city: City) -> None:
        """Write `city.toml`, replacing the old one."""
        lines = [f"{k} = {toml_value(v)}" for k, v in asdict(city).items() if v is not None]
        write_text(self.city_toml, "\n".join(lines) + "\n")

    def extend_bbox(self, bbox: tuple[float, float, float, float]) -> City:
        """Grow the city's bbox so that it holds `bbox`, and write it."""
        city = self.city()
        if city.bbox is not None:
            a = city.bbox
            bbox = (min(a[0], bbox[0]), min(a[1], bbox[1]), max(a[2], bbox[2]), max(a[3], bbox[3]))
        city = replace(city, bbox=bbox)
        self.write_city(city)
        return city


def write_table(path: Path, table: pa.Table, declared: Table) -> None:
    """Check a table against its declaration and write it as (Geo)Parquet through `replacing`.

    Raises:
        SchemaError: columns or types differ from the declaration.
    """
    declared.check(table)
    table = table.select([c.name for c in declared.columns]).cast(declared.schema())
    if declared.geometry is not None:
        table = table.replace_schema_metadata(GEO_TABLES.metadata(declared))
    with replacing(path) as temporary:
        pq.write_table(
            table, temporary, compression="zstd", row_group_size=32768, write_page_checksum=True
        )


def city_at(folder: Path | None) -> Workspace:
    """The city of a folder that a setting names.

    Raises:
        BadInputError: no folder is named, or it holds no city yet.
    """
    if folder is None:
        raise BadInputError("no_city")
    found = Workspace(folder)
    if not found.exists():
        raise BadInputError("not_a_city", path=found.root)
    return found
