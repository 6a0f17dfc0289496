"""Hazard sets: the layers of one river (or coast, or slope) and scale, answered for together."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from citymap.errors import BadInputError
from citymap.hazard.class_text import bounds_of

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.workspace import Workspace

Quantity = Literal["depth", "rank", "duration", "collapse_flow", "collapse_erosion", "zone", "surveyed_extent", "arrival"]  # fmt: skip
QUANTITIES: tuple[Quantity, ...] = ("depth", "rank", "duration", "collapse_flow", "collapse_erosion", "zone", "surveyed_extent", "arrival")  # fmt: skip
BORROWED: tuple[Quantity, ...] = ("duration", "collapse_flow", "collapse_erosion")
SUFFIX = re.compile(r"[_-](depth|rank|duration|collapse_flow|collapse_erosion|zone|surveyed_extent|arrival)$")  # fmt: skip


@dataclass(frozen=True, slots=True)
class HazardLayer:
    """One file of a set. `classes` gives (min, max) of the quantity by class code (max None: open)."""

    id: str
    path: Path
    quantity: Quantity
    classes: dict[str, tuple[float, float | None]]
    facts: dict[str, Any]

    @property
    def is_raster(self) -> bool:
        """A grid; else polygons."""
        return self.path.suffix == ".tif"


@dataclass(frozen=True, slots=True)
class HazardSet:
    """Layers that answer one question: this hazard, river and scale."""

    id: str
    hazard: str
    name: str
    scale: str
    layers: tuple[HazardLayer, ...]

    def of(self, *quantities: Quantity) -> tuple[HazardLayer, ...]:
        """The layers of these quantities."""
        return tuple(layer for layer in self.layers if layer.quantity in quantities)


def set_id(layer_id: str) -> str:
    """The set that a layer's name puts it in: `kinu-L2_depth` belongs to `kinu-L2`."""
    return SUFFIX.sub("", layer_id)


def quantity_of(layer_id: str) -> Quantity | None:
    """The quantity that a layer's name says, if any."""
    found = SUFFIX.search(layer_id)
    return found[1] if found else None  # type: ignore[return-value]


def _bounds(entry: dict[str, Any]) -> tuple[float, float | None] | None:
    """The bounds of a class of the legend: as numbers, else as its words spell them out."""
    if "min_m" in entry:
        return float(entry["min_m"]), float(entry["max_m"]) if "max_m" in entry else None
    return bounds_of(str(entry.get("ja", "")))


def hazard_layers(workspace: Workspace) -> list[tuple[str, HazardLayer]]:
    """Every layer below `hazards/` with the set that it names.

    Raises:
        BadInputError: a description that cannot be read, or names no known quantity.
    """
    found = []
    for path in sorted(workspace.hazards.glob("*.toml")):
        try:
            facts = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise BadInputError("hazard_description", place=str(path), reason=e) from e
        name = path.stem
        data = next((p for s in (".tif", ".parquet") if (p := path.with_suffix(s)).is_file()), None)
        quantity = facts.get("quantity")
        if data is None or quantity not in QUANTITIES:
            reason = "no .tif or .parquet beside it" if data is None else f"quantity = {quantity!r}"
            raise BadInputError("hazard_description", place=str(path), reason=reason)
        legend = facts.get("legend")
        classes = {
            str(c["value"]): bounds
            for c in (legend if isinstance(legend, list) else [])
            if (bounds := _bounds(c)) is not None
        }
        layer = HazardLayer(name, data, quantity, classes, facts)
        found.append((str(facts.get("set") or set_id(name)), layer))
    return found


def hazard_sets(workspace: Workspace) -> list[HazardSet]:
    """All sets by id. Layers that name the same hazard, river and scale form one set, whatever
    file they came in: the duration of a grid speaks for the ranks of a city model too.

    Raises:
        BadInputError: see `hazard_layers`.
    """
    named: dict[tuple[str, ...], list[tuple[str, HazardLayer]]] = {}
    for group, layer in hazard_layers(workspace):
        facts = layer.facts
        hazard, river, scale = (str(facts.get(k) or "") for k in ("hazard", "name", "scale"))
        key = (hazard, river, scale) if river else ("", group)
        named.setdefault(key, []).append((group, layer))
    by_group: dict[str, list[HazardLayer]] = {}
    for members in named.values():
        groups = [g for g, layer in members if g != layer.id] or [g for g, _ in members]
        by_group.setdefault(min(groups), []).extend(layer for _, layer in members)
    out = []
    for group, layers in sorted(by_group.items()):
        first = next((x.facts for x in layers if x.facts.get("name")), layers[0].facts)
        out.append(
            HazardSet(
                group,
                str(first.get("hazard") or "river_flood"),
                str(first.get("name") or ""),
                str(first.get("scale") or ""),
                tuple(sorted(layers, key=lambda x: x.id)),
            )
        )
    return [_with_larger_flood(one, out) for one in out]


def _with_larger_flood(one: HazardSet, sets: list[HazardSet]) -> HazardSet:
    """An L1 set with the duration and collapse zones of the same river's L2, where it has none.

    They are published for the largest assumed flood only, and bound what the smaller one does.
    """
    larger = next(
        (s for s in sets if s.scale == "L2" and (s.hazard, s.name) == (one.hazard, one.name)), None
    )
    if one.scale != "L1" or not one.name or larger is None:
        return one
    lent = tuple(
        layer for quantity in BORROWED if not one.of(quantity) for layer in larger.of(quantity)
    )
    return replace(one, layers=(*one.layers, *lent))
