"""The published column tables of hazard data, kept as data in `layouts/*.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError
from citymap.hazard.class_text import bounds_of
from citymap.hazard.legend import DEPTH_DETAILED, legends

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

Entry = dict[str, Any]  # one class of a layer's legend: value, min_m, max_m, ja, en, colour


@dataclass(frozen=True, slots=True)
class Layout:
    """What one column of a published table means. `quantities` splits rows by their code."""

    id: str
    source: str
    column: tuple[str, ...]
    absent: tuple[str, ...]
    name: tuple[str, ...]
    admin: tuple[str, ...]
    hazard: str
    scale: str
    quantity: str
    quantities: Mapping[str, tuple[str, ...]]
    legend: str
    classes: tuple[Entry, ...]
    is_text: bool

    def in_table(self, columns: Iterable[str]) -> str | None:
        """The class column where a table has this layout."""
        names = set(columns)
        if names & set(self.absent):
            return None
        return next((c for c in self.column if c in names), None)

    def entries(self, codes: Iterable[str]) -> list[Entry]:
        """The legend: the published classes, or those that the texts spell out."""
        if self.is_text:
            return [
                entry
                for text in dict.fromkeys(codes)
                if (bounds := bounds_of(text)) is not None
                for entry in [_depth_entry(text, *bounds)]
            ]
        if self.legend:
            return legend_entries(self.legend)
        return [dict(one) for one in self.classes]


def legend_entries(legend_id: str) -> list[Entry]:
    """The official classes under their numbers from 1, as 国土数値情報 and PLATEAU number them."""
    out = []
    for number, one in enumerate(legends()[legend_id].classes, 1):
        entry: Entry = {"value": str(number), "min_m": one.minimum}
        if one.maximum is not None:
            entry["max_m"] = one.maximum
        out.append({**entry, **dict(one.label), "colour": list(one.colour)})
    return out


def _depth_entry(value: str, low: float, high: float | None) -> Entry:
    """A class of depths in metres in the colour of the detailed legend's class at its start."""
    legend = legends()[DEPTH_DETAILED]
    colour = legend.classes[int(legend.classify([low])[0])].colour
    text = f"{low:g}–{high:g} m" if high is not None else f"{low:g} m –"
    entry: Entry = {"value": value, "min_m": low}
    if high is not None:
        entry["max_m"] = high
    return {**entry, "ja": text, "en": text, "colour": list(colour)}


def _class(one: Mapping[str, Any]) -> Entry:
    if "min" in one:
        return _depth_entry(str(one["value"]), float(one["min"]), one.get("max"))
    return dict(one)


@cache
def layouts() -> tuple[Layout, ...]:
    """All layouts, in the order of their files' names.

    Raises:
        BadInputError: a file cannot be read, or an id stands twice.
    """
    found: dict[str, Layout] = {}
    for entry in sorted(files(__package__).joinpath("layouts").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        try:
            data = tomllib.loads(entry.read_text(encoding="utf-8"))
            for one in data["layout"]:
                layout = Layout(
                    id=one["id"], source=data["source"], column=tuple(one["column"]),
                    absent=tuple(one.get("absent", ())), name=tuple(one.get("name", ())),
                    admin=tuple(one.get("admin", ())), hazard=one["hazard"],
                    scale=one.get("scale", ""), quantity=one.get("quantity", ""),
                    quantities={k: tuple(v) for k, v in one.get("quantities", {}).items()},
                    legend=one.get("legend", ""), is_text=bool(one.get("text", False)),
                    classes=tuple(_class(c) for c in one.get("class", ())),
                )  # fmt: skip
                if layout.id in found:
                    raise ValueError(f"{layout.id} stands twice")
                found[layout.id] = layout
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as e:
            raise BadInputError("bad_legend", place=entry.name, reason=e) from e
    return tuple(found.values())


def code_text(value: object) -> str:
    """A code as text: 1, 1.0, "1" and "01" are the same, texts keep their words; "" is missing."""
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return ""
    text = str(value).strip()
    head = text.removesuffix(".0")
    return str(int(head)) if head.isdecimal() else text


def column_of(table: pd.DataFrame, names: Iterable[str]) -> str | None:
    """The first of some columns that a table has."""
    return next((n for n in names if n in table.columns), None)
