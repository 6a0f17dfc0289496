"""Areas of a hazard (classes of depth or duration, collapse zones, surveyed extent) → `hazards/<id>.parquet`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap.errors import BadInputError
from citymap.hazard.legend import DEPTH, DURATION, legends
from citymap.hazard.raster_import import hazard_id
from citymap.hazard.sets import quantity_of, set_id
from citymap.workspace import Workspace, replacing, toml_value, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas

# Columns that say the class of an area, first those of 国土数値情報 A31 and A31a/b.
CLASS_COLUMNS = ("class_code", "rank", "A31_101", "A31a_105", "A31a_205", "A31a_305", "A31b_101", "A31b_201", "A31b_301")  # fmt: skip
FACTS = ("hazard", "name", "river", "scale", "admin")


def import_hazard_areas(
    workspace: Workspace, table: geopandas.GeoDataFrame, source: str, *, layer_id: str | None,
    vintage: str | None = None,
) -> tuple[str, list[str]]:  # fmt: skip
    """Write the areas (EPSG:6668) and what is known of them; returns the id and repairs made.

    What they are is said by the end of the id (`…_collapse_flow`, `…_depth`, see
    `citymap.hazard.sets.QUANTITIES`) or by a column `quantity`. Columns `hazard`, `river` or
    `name`, `scale` and `admin` that say one thing for all areas describe the set.

    Raises:
        BadInputError: nobody says what the areas are, a class of depth or duration is not known,
            or there are no polygons.
    """
    name = hazard_id(layer_id or re.sub(r"\.\w+$", "", source))
    constant = _constants(table)
    quantity = str(constant.get("quantity") or quantity_of(name) or "")
    if not quantity:
        raise BadInputError("hazard_quantity", place=source)
    kinds = table.geometry.geom_type
    areas = table[kinds.isin(["Polygon", "MultiPolygon"])]
    if len(areas) == 0:
        raise BadInputError("hazard_no_areas", place=source)
    notes = []
    broken = ~shapely.is_valid(np.asarray(areas.geometry))
    if broken.any():
        areas = areas.assign(geometry=shapely.make_valid(np.asarray(areas.geometry)))
        notes.append(f"{source}: self_crossing repaired {int(broken.sum())}")
    if len(areas) < len(table):
        notes.append(f"{source}: not areas, left out {len(table) - len(areas)}")
    legend: list[dict[str, Any]] = []
    if quantity in {"depth", "rank", "duration"}:
        column = next((c for c in CLASS_COLUMNS if c in areas.columns), None)
        if column is None:
            raise BadInputError(
                "hazard_no_class", place=source, columns=", ".join(map(str, areas.columns[:8]))
            )
        areas = areas.rename(columns={column: "class_code"})
        areas["class_code"] = [
            None if v is None or (isinstance(v, float) and np.isnan(v)) else str(v).split(".")[0]
            for v in areas["class_code"]
        ]
        legend = _classes(DURATION if quantity == "duration" else DEPTH)
        unknown = sorted(
            {v for v in areas["class_code"] if v not in {c["value"] for c in legend}}, key=str
        )
        if unknown:
            raise BadInputError(
                "hazard_unknown_class", place=source, codes=", ".join(map(str, unknown[:8]))
            )
        quantity = "rank" if quantity == "depth" else quantity
    with replacing(workspace.hazards / f"{name}.parquet") as temporary:
        areas.to_parquet(temporary, schema_version="1.1.0", compression="zstd")
    facts = {
        "id": name, "set": constant.get("set") or set_id(name),
        "hazard": constant.get("hazard") or "river_flood", "quantity": quantity,
        "name": constant.get("river") or constant.get("name") or "", "scale": constant.get("scale") or "",
        "admin": constant.get("admin") or "", "surveyed_extent": "unknown", "source": source,
        "vintage": vintage or "", "crs": "EPSG:6668",
    }  # fmt: skip
    lines = [f"{key} = {toml_value(value)}" for key, value in facts.items()]
    for entry in legend:
        lines += [
            "",
            "[[legend]]",
            *(f"{key} = {toml_value(value)}" for key, value in entry.items()),
        ]
    write_text(workspace.hazards / f"{name}.toml", "\n".join(lines) + "\n")
    return name, notes


def _constants(table: geopandas.GeoDataFrame) -> Mapping[str, str]:
    out = {}
    for column in (*FACTS, "quantity", "set"):
        if column in table.columns:
            values = {str(v) for v in table[column] if v is not None}
            if len(values) == 1:
                out[column] = values.pop()
    return out


def _classes(legend_id: str) -> list[dict[str, Any]]:
    """The official classes under their numbers from 1, as 国土数値情報 and PLATEAU number them."""
    out = []
    for number, one in enumerate(legends()[legend_id].classes, 1):
        entry: dict[str, Any] = {"value": str(number), "min_m": one.minimum}
        if one.maximum is not None:
            entry["max_m"] = one.maximum
        out.append({**entry, **dict(one.label), "colour": list(one.colour)})
    return out
