"""The layout of one city on disk: paths, city.toml, and writes that leave the old version on a crash."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

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
    def tiles(self) -> Path:
        return self.root / "tiles"

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
        pq.write_table(table, temporary, compression="zstd", row_group_size=32768)
