"""Choosing buildings by rules and by the view, and counting them in the classes of a legend.

The rules are the renderer's own (`{id, in}` or `{id, min, max}`) over the same attribute columns of
the tiles, so that a count on the page and the buildings on the map can never disagree. A missing
value satisfies no range, and a list only where its missing value is named in it.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from citymap.assess.search import centres
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

Bounds = tuple[float, float, float, float]  # west, south, east, north in degrees
MISSING_COLOUR = (217, 217, 217)


@dataclass(frozen=True, slots=True)
class Rule:
    """Keep a building whose attribute is one of `values`, or lies in min ≤ value < max."""

    id: str
    values: tuple[float, ...] | None = None
    min: float | None = None
    max: float | None = None

    def message(self) -> dict[str, Any]:
        """As the renderer reads it."""
        if self.values is not None:
            return {"id": self.id, "in": list(self.values)}
        bounds = {"min": self.min, "max": self.max}
        return {"id": self.id, **{key: value for key, value in bounds.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many buildings fall into one class; `missing` marks the class without a value."""

    label: dict[str, str]
    colour: tuple[int, int, int]
    count: int
    missing: bool


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as the manifest describes it."""

    spec: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.spec["id"])

    @property
    def legend(self) -> Sequence[Mapping[str, Any]]:
        return list(self.spec.get("legend") or ())

    @property
    def missing_value(self) -> float:
        """The value that stands for "not recorded" in the column (NaN where it is NaN)."""
        nodata = self.spec.get("nodata")
        return float("nan") if nodata in (None, "NaN") else float(nodata)

    def title(self, lang: str) -> str:
        """Its title."""
        titles = self.spec.get("title") or {}
        return str(titles.get(lang) or titles.get("ja") or self.id)

    def missing_label(self, default: Mapping[str, str]) -> dict[str, str]:
        """How a missing value is named."""
        return dict(self.spec.get("nodata_label") or default)


class CityColumns:
    """The attribute columns of the tiles and the middle of every building, by row number."""

    def __init__(self, workspace: Workspace, manifest: Mapping[str, Any]) -> None:
        if not workspace.buildings.is_file():
            raise BadInputError("no_buildings", path=workspace.root)
        self._tiles = workspace.tiles
        self.attributes = {str(a["id"]): Attribute(a) for a in manifest.get("attributes", ())}
        table = pq.read_table(workspace.buildings, columns=["geometry"])
        self.lon, self.lat = centres(table["geometry"])
        self._values: dict[str, NDArray[Any]] = {}

    @property
    def count(self) -> int:
        return len(self.lon)

    def values(self, attribute_id: str) -> NDArray[Any]:
        """The column of an attribute.

        Raises:
            BadInputError: the tiles and the buildings table are of different imports.
        """
        if attribute_id not in self._values:
            spec = self.attributes[attribute_id].spec
            dtype = np.dtype(str(spec["dtype"])).newbyteorder("<")
            column = np.frombuffer(_read(self._tiles / str(spec["url"])), dtype)
            if len(column) != self.count:
                raise BadInputError("stale_tiles", place=attribute_id)
            self._values[attribute_id] = column
        return self._values[attribute_id]

    def is_missing(self, attribute_id: str) -> NDArray[np.bool_]:
        """Where the attribute is not recorded."""
        values = self.values(attribute_id)
        missing = self.attributes[attribute_id].missing_value
        return np.asarray(np.isnan(values) if np.isnan(missing) else values == missing, bool)

    def select(self, rules: Sequence[Rule], bounds: Bounds | None = None) -> NDArray[np.bool_]:
        """Which buildings satisfy every rule and have their middle inside `bounds`."""
        chosen = np.ones(self.count, bool)
        for rule in rules:
            values = self.values(rule.id)
            if rule.values is not None:
                chosen &= np.isin(values, np.asarray(rule.values, float).astype(values.dtype))
                continue
            chosen &= ~self.is_missing(rule.id)
            if rule.min is not None:
                chosen &= values >= rule.min
            if rule.max is not None:
                chosen &= values < rule.max
        if bounds is not None:
            west, south, east, north = bounds
            chosen &= (self.lon >= west) & (self.lon <= east)
            chosen &= (self.lat >= south) & (self.lat <= north)
        return chosen

    def counts(
        self, attribute_id: str, chosen: NDArray[np.bool_], *, missing_label: Mapping[str, str]
    ) -> list[ClassCount]:
        """Buildings in each class of the attribute's legend, and last those without a value."""
        attribute = self.attributes[attribute_id]
        values = self.values(attribute_id)[chosen]
        missing = self.is_missing(attribute_id)[chosen]
        counted = []
        for entry in attribute.legend:
            if "value" in entry:
                inside = values == entry["value"]
            else:
                low, high = entry.get("min"), entry.get("max")
                inside = np.ones(len(values), bool)
                if low is not None:
                    inside &= values >= low
                if high is not None:
                    inside &= values < high
            inside &= ~missing
            red, green, blue = (int(c) for c in entry["colour"][:3])
            counted.append(
                ClassCount(dict(entry["label"]), (red, green, blue), int(inside.sum()), False)
            )
        label = attribute.missing_label(missing_label)
        return [*counted, ClassCount(label, MISSING_COLOUR, int(missing.sum()), True)]


def _read(path: Path) -> bytes:
    zipped = path.with_name(path.name + ".gz")
    if zipped.is_file():
        return gzip.decompress(zipped.read_bytes())
    if path.is_file():
        return path.read_bytes()
    raise BadInputError("stale_tiles", place=path.name)
