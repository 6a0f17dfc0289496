"""`scenario.toml`: the keys of `[scenario]` and `[flood]`, checked when read."""

from __future__ import annotations

import csv
import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from citymap.errors import BadInputError

Position = tuple[float, float]
Pairs = list[tuple[float, float]] | str  # [[t_h, value], …] or a CSV file with these two columns
Positive = Annotated[float, Field(gt=0)]


def _one_of(one: str, other: str) -> PydanticCustomError:
    return PydanticCustomError("flood_one_of", "{one} or {other}", {"one": one, "other": other})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Raster(_Strict):
    """A raster file in place of a number."""

    raster: str


class Rain(_Strict):
    """A step function of time (mm/h), or rasters of mm/h from a time on; `area`: only inside this ring."""

    mm_per_h: Pairs | None = None
    rasters: list[tuple[float, str]] | None = None
    area: list[Position] | None = Field(default=None, min_length=3)

    @model_validator(mode="after")
    def _one(self) -> Rain:
        if (self.mm_per_h is None) == (self.rasters is None):
            raise _one_of("mm_per_h", "rasters")
        return self


class _Placed(_Strict):
    at: Position | None = None
    line: list[Position] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> _Placed:
        if (self.at is None) == (self.line is None):
            raise _one_of("at", "line")
        if self.line is not None and len(self.line) < 2:
            raise PydanticCustomError("flood_line_short", "line needs two positions")
        return self


class Inflow(_Placed):
    """A discharge (m³/s) at a point or along a line."""

    m3_per_s: Pairs
    name: str = ""


class Breach(_Strict):
    """A levee breach: opens at `start_h` and grows to `width_m` over `growth_h`."""

    at: Position
    width_m: Positive
    start_h: Annotated[float, Field(ge=0)] = 0.0
    growth_h: Annotated[float, Field(ge=0)] = 0.0
    river_stage_m: Pairs | None = None
    m3_per_s: Pairs | None = None
    name: str = ""

    @model_validator(mode="after")
    def _one(self) -> Breach:
        if (self.river_stage_m is None) == (self.m3_per_s is None):
            raise _one_of("river_stage_m", "m3_per_s")
        return self


class Sink(_Placed):
    """A drain or pump; never takes more than there is."""

    m3_per_s: Pairs | Annotated[float, Field(ge=0)]
    name: str = ""


class Boundary(_Strict):
    """A side of the grid, or a line inside it, with a held level, free outflow or a wall."""

    side: Literal["west", "east", "north", "south"] | None = None
    line: list[Position] | None = None
    type: Literal["stage", "open", "wall"]
    stage_m: Pairs | None = None
    slope: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Boundary:
        if (self.side is None) == (self.line is None):
            raise _one_of("side", "line")
        if (self.type == "stage") != (self.stage_m is not None):
            raise PydanticCustomError("flood_stage_type", "stage_m belongs to type = stage")
        if self.line is not None and self.type != "stage":
            raise PydanticCustomError("flood_line_stage", "a line can only hold a stage")
        return self


class Replay(_Strict):
    """Depth rasters by time (h) instead of the solver."""

    rasters: list[tuple[float, str]] = Field(min_length=1)


class Flood(_Strict):
    """The table `[flood]`."""

    terrain: str = "terrain.tif"
    crs: str | None = None
    cell_size_m: Positive | None = None
    duration_h: Positive = 6.0
    output_every_min: Positive = 10.0
    scheme: Literal["inertial", "hllc"] = "inertial"
    precision: Literal["float32", "float64"] = "float32"
    manning_n: Annotated[float, Field(gt=0, le=1)] | Raster | Literal["landuse"] = 0.05
    buildings: Literal["ignore", "block", "raise", "porosity"] | None = None
    initial_depth_m: Annotated[float, Field(ge=0)] | Raster = 0.0
    arrival_depth_m: Positive = 0.1
    duration_depth_m: Positive = 0.5
    rain: Rain | None = None
    inflow: list[Inflow] = []
    breach: list[Breach] = []
    sink: list[Sink] = []
    boundary: list[Boundary] = []
    replay: Replay | None = None


class Title(_Strict):
    """The table `[scenario]`."""

    name: str = ""
    note: str = ""
    seed: int = 0


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    scenario: Title = Title()
    flood: Flood


@dataclass(frozen=True, slots=True)
class Scenario:
    """A read scenario and where it stands; `home` and `city` are where its relative paths begin."""

    title: Title
    flood: Flood
    text: str
    home: Path
    city: Path | None
    place: str = ""

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors that name a key of the scenario also name its file."""
        try:
            yield
        except BadInputError as e:
            if self.place and (e.place or "").startswith("flood."):
                raise BadInputError(e.key, place=f"{self.place}: {e.place}", **e.values) from e
            raise

    def file(self, name: str, field: str) -> Path:
        """The file of that name: absolute, in the city, or beside the scenario.

        Raises:
            BadInputError: there is none.
        """
        given = Path(name)
        roots = [self.city, self.home] if self.city is not None else [self.home]
        for path in [given] if given.is_absolute() else [root / given for root in roots]:
            if path.is_file():
                return path
        raise BadInputError("flood_no_file", place=field, name=name)


BOUNDS = {
    "greater_than": ("gt", ">"), "greater_than_equal": ("ge", "≥"),
    "less_than": ("lt", "<"), "less_than_equal": ("le", "≤"),
}  # fmt: skip
NO_NUMBER = {
    "finite_number",
    "float_type",
    "float_parsing",
    "int_type",
    "int_parsing",
    "int_from_float",
}
LENGTHS = {
    "too_long": ("flood_too_long", "max_length"), "too_short": ("flood_too_short", "min_length"),
}  # fmt: skip
SHAPES = {
    "list_type": "flood_no_list", "tuple_type": "flood_no_list", "string_type": "flood_no_text", "dict_type": "flood_no_table_there",
    "model_type": "flood_no_table_there", "model_attributes_type": "flood_no_table_there",
}  # fmt: skip


def _written(loc: Sequence[str | int], data: object) -> str:
    """Where an error lies, in the words of the file: without what pydantic calls its alternatives."""
    parts: list[str] = []
    at: Any = data
    for part in loc:
        inside = range(len(at)) if isinstance(at, list) else at if isinstance(at, dict) else ()
        if part in inside:
            at = at[part]
            parts.append(str(part))
    return ".".join(parts)


def _refused(error: ValidationError, data: object, place: str) -> BadInputError:
    """What is wrong in words of ours; of several alternatives the one whose bound was missed."""
    told = error.errors()
    first = next((e for e in told if e["type"] in {*BOUNDS, "finite_number"}), told[0])
    kind, field, given = first["type"], _written(first["loc"], data), first.get("input")
    if kind == "missing":
        missing = f"{field}.{first['loc'][-1]}"
        return BadInputError("flood_missing_key", place=place, field=missing)
    if kind == "extra_forbidden":
        return BadInputError("flood_unknown_key", place=place, field=field)
    if kind in BOUNDS:
        name, sign = BOUNDS[kind]
        bound = f"{sign} {first['ctx'][name]:g}"
        return BadInputError(
            "flood_out_of_range", place=place, field=field, given=given, bound=bound
        )
    if kind in NO_NUMBER:
        return BadInputError("flood_no_number", place=place, field=field, given=given)
    if kind == "literal_error":
        known = str(first["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        return BadInputError("flood_no_choice", place=place, field=field, given=given, known=known)
    if kind in SHAPES:
        return BadInputError(SHAPES[kind], place=place, field=field, given=given)
    if kind in LENGTHS:
        key, limit = LENGTHS[kind]
        had, bound = first["ctx"]["actual_length"], first["ctx"][limit]
        return BadInputError(key, place=place, field=field, had=had, bound=bound)
    if kind.startswith("flood_"):
        return BadInputError(kind, place=place, field=field, **first.get("ctx", {}))
    return BadInputError("flood_bad_value", place=place, field=field, given=given)


def _not_toml(error: tomllib.TOMLDecodeError, text: str, place: str) -> BadInputError:
    """Where the text stops being TOML; at its end, if nowhere before."""
    found = re.search(r"line (\d+), column (\d+)", str(error))
    lines = text.splitlines() or [""]
    line, column = found.groups() if found else (str(len(lines)), str(len(lines[-1]) + 1))
    return BadInputError("flood_not_toml", place=place, line=line, column=column)


def parse(text: str, *, place: str, home: Path, city: Path | None = None) -> Scenario:
    """A scenario from the text of its file.

    Raises:
        BadInputError: not TOML, no `[flood]`, a key or a value that cannot be; the key is named.
    """
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise _not_toml(e, text, place) from e
    if "flood" not in data:
        raise BadInputError("flood_no_table", place=place)
    try:
        read = _File.model_validate(data)
    except ValidationError as e:
        raise _refused(e, data, place) from e
    return Scenario(read.scenario, read.flood, text, home, city, place)


def read(path: Path, *, city: Path | None = None) -> Scenario:
    """The scenario in a file.

    Raises:
        BadInputError: see `parse`; or the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        raise BadInputError("not_found", path=path) from e
    except UnicodeDecodeError as e:
        raise BadInputError("flood_not_utf8", place=path.name) from e
    return parse(text, place=path.name, home=path.resolve().parent, city=city)


def pairs(scenario: Scenario, given: Pairs, field: str, *, least: float | None = None,
          ) -> tuple[list[float], list[float]]:  # fmt: skip
    """Times (s) and values of a series, inline or from its CSV (columns: hours, value).

    Raises:
        BadInputError: times that do not rise, a value that is not a number, or one below `least`.
    """
    if isinstance(given, str):
        path = scenario.file(given, field)
        rows = _csv(path, field)
        field = f"{field}: {path.name}"
    else:
        rows = given
    if not rows:
        raise BadInputError("flood_series_empty", place=field)
    for (a, _), (b, _) in pairwise(rows):
        if not b > a:
            raise BadInputError("flood_series_time", place=field, before=a, after=b)
    for t, value in rows:
        if not (math.isfinite(t) and math.isfinite(value)):
            raise BadInputError("flood_series_number", place=field, given=value)
        if least is not None and value < least:
            raise BadInputError("flood_series_negative", place=field, given=value, hour=t)
    return [t * 3600.0 for t, _ in rows], [v for _, v in rows]


def _csv(path: Path, field: str) -> list[tuple[float, float]]:
    rows: list[tuple[float, float]] = []
    with path.open(encoding="utf-8-sig", newline="") as handle:
        for number, line in enumerate(csv.reader(handle), 1):
            cells = [c.strip() for c in line]
            if not any(cells) or cells[0].startswith("#"):
                continue
            try:
                rows.append((float(cells[0]), float(cells[1])))
            except (ValueError, IndexError) as e:
                if not rows and number == 1:
                    continue  # the heading
                place = f"{field}: {path.name}:{number}"
                raise BadInputError("flood_series_number", place=place, given=",".join(line)) from e
    return rows
