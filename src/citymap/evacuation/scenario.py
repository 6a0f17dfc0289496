"""The scenario of an evacuation: tables `[scenario]` and `[evacuation]` of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from citymap.errors import BadInputError
from citymap.evacuation.departure import CURVES
from citymap.evacuation.person import MOBILITY
from citymap.evacuation.speed_laws import LAWS
from citymap.evacuation.stability import LIMITS
from citymap.i18n import Word

Share = Annotated[float, Field(ge=0, le=1)]
BOUNDS = {
    "greater_than": ">", "greater_than_equal": "≥", "less_than": "<", "less_than_equal": "≤",
    "too_short": "≥",
}  # fmt: skip
NEEDS = {"weibull": ("a", "b"), "rayleigh": ("mean_h",), "window": ("from_h", "to_h")}


class Refused(ValueError):
    """What our own checks refuse, in words of the catalogue (`evacuation.refused.…`)."""

    def __init__(self, why: str, **values: object) -> None:
        self.word = Word(f"evacuation.refused.{why}", values)
        super().__init__(str(self.word))


def _one_of(key: str, value: str, known: Iterable[str]) -> None:
    """Refuse a value that is not one of those known."""
    if value not in (listed := list(known)):
        raise Refused("choice", key=key, given=value, known=", ".join(listed))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Departure(_Strict):
    """How long after the order people leave; t in hours."""

    curve: str = "weibull"
    a: float | None = Field(default=None, gt=0)
    b: float | None = Field(default=None, gt=0)
    mean_h: float | None = Field(default=None, gt=0)
    from_h: float | None = Field(default=None, ge=0)
    to_h: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> Departure:
        _one_of("curve", self.curve, CURVES.load())
        missing = [n for n in NEEDS.get(self.curve, ()) if getattr(self, n) is None]
        if missing:
            raise Refused("curve_needs", curve=self.curve, missing=", ".join(missing))
        if self.from_h is not None and self.to_h is not None and self.to_h < self.from_h:
            raise Refused("window")
        return self

    def parameters(self) -> dict[str, float]:
        """The numbers that are given."""
        given = self.model_dump(exclude={"curve"}, exclude_none=True)
        return {k: float(v) for k, v in given.items()}


class Population(_Strict):
    """Who lives where: a file of counts, or an estimate from the buildings."""

    file: str | None = None
    from_buildings: bool | int | None = None
    hour: int | None = Field(default=None, ge=0, le=23)  # of a file with a column `hour`
    visitors: str | None = None  # a file of counts that come on top

    @model_validator(mode="after")
    def _one(self) -> Population:
        estimated = self.from_buildings is not None and self.from_buildings is not False
        if (self.file is not None) == estimated:
            raise Refused("population")
        if self.from_buildings is not True and (self.from_buildings or 1) < 0:
            raise Refused("negative_people", given=self.from_buildings)
        return self


class ExtraShelter(_Strict):
    """A place opened in this plan only."""

    id: str
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    capacity: int = Field(ge=0)
    name: str = ""
    cost: float = Field(default=1.0, gt=0)


class ExtraPath(_Strict):
    """A footpath opened in this plan only: two ends, lon lat."""

    line: list[tuple[float, float]] = Field(min_length=2)
    width_m: float = Field(default=2.0, gt=0)
    cost: float = Field(default=1.0, gt=0)


class Spread(_Strict):
    """What is not known, drawn anew in every replicate, evenly between two ends."""

    order_delay_h: tuple[float, float] = (0.0, 0.0)
    compliance: tuple[Share, Share] | None = None
    car_share: tuple[Share, Share] | None = None
    flood_delay_h: tuple[float, float] = (0.0, 0.0)


class Evacuation(_Strict):
    """The keys of `[evacuation]`; docs/evacuation.md explains each."""

    network: str = "roads.parquet"
    flood: str = "none"
    hazard: str = "flood"
    order_time_h: float | dict[str, float] = 0.0
    departure: Departure = Departure(curve="weibull", a=1.0, b=1.5)
    compliance: Share = 1.0
    car_share: Share = 0.0
    speed_law: str = "bernardini"
    stability: str = "specific_force"
    population: Population = Population(from_buildings=True)
    shelters: str = "places/shelters.parquet"
    replicates: int = Field(default=1, ge=1, le=100_000)
    step_s: float = Field(default=60.0, gt=0)
    duration_h: float | None = Field(default=None, gt=0, le=240)
    knowledge: Literal["full", "on_arrival", "none"] = "on_arrival"
    overtaking: bool = True
    vertical_share: Share = 1.0
    night: bool = False
    start: datetime | None = None
    closed_shelters: tuple[str, ...] = ()
    opening_h: dict[str, float] = Field(default_factory=dict)
    extra_shelters: tuple[ExtraShelter, ...] = ()
    extra_paths: tuple[ExtraPath, ...] = ()
    unknown_capacity: int = Field(default=100, ge=0)
    stop_ci: float | None = Field(default=None, gt=0)
    margin_min: float = Field(default=10.0, ge=0)
    mobility: tuple[str, ...] = ("adult", "elderly", "impaired")
    spread: Spread = Spread()

    @model_validator(mode="after")
    def _known(self) -> Evacuation:
        _one_of("speed_law", self.speed_law, LAWS.load())
        _one_of("stability", self.stability, LIMITS.load())
        for name in self.mobility:
            _one_of("mobility", name, MOBILITY)
        orders = self.order_time_h
        for hours in orders.values() if isinstance(orders, dict) else [orders]:
            if hours < 0:
                raise Refused("order_before", given=f"{hours:g}")
        return self


class Head(BaseModel):
    """The keys of `[scenario]`."""

    model_config = ConfigDict(frozen=True)
    name: str = ""
    note: str = ""
    seed: int = Field(default=0, ge=0, lt=2**63)


class Scenario(BaseModel):
    """A scenario file as far as evacuation reads it; `folder` is where it lies."""

    model_config = ConfigDict(frozen=True)
    scenario: Head = Head()
    evacuation: Evacuation = Evacuation()
    folder: Path = Path()

    def path(self, name: str, city: Path) -> Path:
        """A file or folder of the scenario: absolute, else in the city, else beside the scenario."""
        if Path(name).is_absolute():
            return Path(name)
        found = next((p for p in (city / name, self.folder / name) if p.exists()), None)
        if found is None:
            raise BadInputError("not_found", path=name)
        return found


def scenario_of(
    data: dict[str, Any], *, folder: Path = Path(), place: str = "scenario"
) -> Scenario:
    """Check the tables of a scenario.

    Raises:
        BadInputError: a key is unknown or a value cannot be used; it says which.
    """
    tables = {k: data[k] for k in ("scenario", "evacuation") if k in data}
    try:
        return Scenario.model_validate({**tables, "folder": folder})
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise BadInputError(
            "evacuation_scenario", place=place, key=where, reason=_reason(dict(first))
        ) from e


def _reason(found: dict[str, Any]) -> Word:
    """What is wrong with a value, in words of the catalogue."""
    kind, ctx, given = str(found["type"]), found.get("ctx") or {}, found.get("input")
    if isinstance(ctx.get("error"), Refused):
        word: Word = ctx["error"].word
        return word
    if kind in BOUNDS:
        return Word("evacuation.refused.bound", {"given": given, "bound": f"{BOUNDS[kind]} {next(iter(ctx.values()))}"})  # fmt: skip
    if kind == "literal_error":
        return Word("evacuation.refused.choice", {"key": found["loc"][-1], "given": given, "known": str(ctx["expected"]).replace("'", "").replace(" or ", ", ")})  # fmt: skip
    if kind in ("missing", "extra_forbidden", "finite_number"):
        return Word(f"evacuation.refused.{kind}")
    if kind.startswith(("float_", "int_")):
        return Word("evacuation.refused.number", {"given": given})
    if kind.startswith("datetime_"):
        return Word("evacuation.refused.time", {"given": given})
    return Word("evacuation.refused.other", {"given": given, "said": found["msg"]})


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        BadInputError: it is absent, no TOML, or wrong; it says where.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise BadInputError("not_found", path=path) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadInputError("evacuation_scenario", place=path.name, key="TOML", reason=e) from e
    return scenario_of(data, folder=path.parent.resolve(), place=path.name)
