"""Areas of a hazard (classes of depth or duration, collapse and warning zones) → `hazards/<id>.parquet`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap.errors import BadInputError
from citymap.hazard.grid_file import hazard_id
from citymap.hazard.layout import Entry, Layout, code_text, column_of, layouts, legend_entries
from citymap.hazard.legend import DEPTH, DURATION
from citymap.hazard.mesh_grid import MESH_COLUMNS, import_mesh_table
from citymap.hazard.sets import quantity_of, set_id
from citymap.workspace import Workspace, replacing, toml_value, write_text

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas

CLASS_COLUMNS = ("class_code", "rank")  # of a city's own file: numbers of the official legend
FACTS = ("hazard", "name", "river", "scale", "admin")
CLASSED = {"depth", "rank", "duration"}
ZONE_LEGEND = "zone"  # tiles of which every colour is inside


TILE_HAZARDS = {
    "tsunami": "tsunami", "hightide": "high_tide", "high_tide": "high_tide", "takashio": "high_tide",
    "naisui": "inland_flood", "inland_flood": "inland_flood", "dosekiryu": "landslide",
    "kyukeisha": "landslide", "jisuberi": "landslide", "landslide": "landslide", "flood": "river_flood",
}  # fmt: skip


@dataclass(slots=True)
class Imported:
    """The ids written and what was repaired, left out or not understood."""

    ids: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    """One layer to be: rows of a table with what is known of them."""

    areas: geopandas.GeoDataFrame
    quantity: str
    hazard: str
    name: str
    scale: str
    admin: str
    legend: list[Entry]
    source: str
    group: str = ""


def import_hazard_areas(
    workspace: Workspace, table: geopandas.GeoDataFrame, source: str, *, layer_id: str | None,
    vintage: str | None = None, path: Path | None = None, epsg: int | None = None,
) -> Imported:  # fmt: skip
    """Write the areas (EPSG:6668) and what is known of them.

    A table of a published layout (`citymap.hazard.layout`) says itself what it is; its rivers
    become layers of their own. Grid squares with depths (浸水想定区域図データ電子化ガイドライン) become
    a grid in the zone `epsg`; `path` is the file then. Else the end of the id (`…_collapse_flow`, `…_depth`, see
    `citymap.hazard.sets.QUANTITIES`) or a column `quantity` says it, and columns `hazard`, `river`
    or `name`, `scale` and `admin` that say one thing for all areas describe the set. Codes that
    nobody knows are kept, listed, and count as inside with unknown depth.

    Raises:
        BadInputError: nobody says what the areas are, no class at all is known, or there are no
            polygons.
    """
    done = Imported()
    areas = _areas(table, source, done.notes)
    cells = column_of(areas, MESH_COLUMNS) is not None and "浸水深" in areas.columns
    if cells and epsg is not None and path is not None:
        ids, notes = import_mesh_table(
            workspace, areas, source, layer_id=layer_id, vintage=vintage, epsg=epsg, path=path
        )
        return Imported(ids, [*done.notes, *notes])
    matching = [one for one in layouts() if one.in_table(map(str, areas.columns))]
    parts = [p for one in matching for p in _by_layout(areas, one, only=len(matching) == 1)]
    if not parts:
        parts = [_own(areas, source, layer_id)]
    for part in parts:
        name = _layer_name(workspace, part, source, layer_id, alone=len(parts) == 1)
        unknown = _unknown(part, source)
        if unknown:
            listed = ", ".join(code or "–" for code in unknown[:20])
            done.notes.append(f"{source}: {name}: unknown_codes {listed}")
        _write(workspace, part, name, source, vintage, unknown)
        done.ids.append(name)
    return done


def hazard_named(text: str) -> str | None:
    """The hazard that a layer's id or a folder of official tiles names (`05_dosekiryukeikaikuiki`)."""
    words = text.lower()
    return next((hazard for word, hazard in TILE_HAZARDS.items() if word in words), None)


def import_tile_areas(
    workspace: Workspace, areas: geopandas.GeoDataFrame, source: str, *, layer_id: str, legend: str,
    vintage: str | None = None,
) -> Imported:  # fmt: skip
    """Write areas that tiles were decoded to; `legend` is stored with them, and the hazard that the
    layer's id or the folder of the tiles names (a river's flood where neither does; it is noted).

    Raises:
        BadInputError: tiles of a zone without an id that says which.
    """
    quantity = quantity_of(layer_id)
    hazard = hazard_named(f"{layer_id} {source}")
    if legend != ZONE_LEGEND:
        quantity = "duration" if legend == DURATION else "rank"
    elif hazard == "landslide":
        quantity, areas = (
            "zone",
            areas.assign(class_code=None),
        )  # the colour was not asked: of what kind is unknown
    if quantity is None:
        raise BadInputError("hazard_quantity", place=source)
    entries = [] if legend == ZONE_LEGEND else legend_entries(legend)
    part = _Part(areas, quantity, hazard or "river_flood", "", "", "", entries, f"PNG {legend}")
    unknown = _unknown(part, source)
    notes = [f"{source}: {layer_id}: legend {legend}, {hazard or 'no hazard named: river_flood'}"]
    _write(workspace, part, layer_id, source, vintage, unknown)
    return Imported([layer_id], notes)


def _areas(table: geopandas.GeoDataFrame, source: str, notes: list[str]) -> geopandas.GeoDataFrame:
    areas = table[table.geometry.geom_type.isin(["Polygon", "MultiPolygon"])]
    if len(areas) == 0:
        raise BadInputError("hazard_no_areas", place=source)
    broken = ~shapely.is_valid(np.asarray(areas.geometry))
    if broken.any():
        mended = shapely.make_valid(np.asarray(areas.geometry)[broken])
        geometry = np.asarray(areas.geometry).copy()
        geometry[broken] = mended
        areas = areas.assign(geometry=geometry)
        notes.append(f"{source}: self_crossing repaired {int(broken.sum())}")
    if len(areas) < len(table):
        notes.append(f"{source}: not areas, left out {len(table) - len(areas)}")
    return areas


def _by_layout(areas: geopandas.GeoDataFrame, layout: Layout, *, only: bool) -> list[_Part]:
    """The layers that a table holds in one layout. `only`: a row without a code is inside, of a
    class that is not known; in a table of several layouts it belongs to another."""
    column = layout.in_table(map(str, areas.columns))
    if column is None:
        return []
    codes = np.array([code_text(v) for v in areas[column]], object)
    here = areas.assign(class_code=codes)
    if not only:
        here = here[codes != ""]
    if len(here) == 0:
        return []
    rivers = column_of(here, layout.name)
    names = (
        [""] * len(here) if rivers is None else ["" if v is None else str(v) for v in here[rivers]]
    )
    parts = []
    for name in dict.fromkeys(names):
        of_river = here[np.array([n == name for n in names], bool)]
        admins = column_of(of_river, layout.admin)
        admin = "" if admins is None else str(of_river[admins].iloc[0] or "")
        split = layout.quantities or {"": (layout.quantity,)}
        for quantity in dict.fromkeys(q for several in split.values() for q in several):
            rows, legend = of_river, layout.entries(of_river["class_code"])
            if layout.quantities:
                legend = []
                known = {c for c, several in layout.quantities.items() if quantity in several}
                # a zone of a kind that nobody knows may be either: it is kept as both
                known |= set(of_river["class_code"]) - set(layout.quantities)
                rows = of_river[of_river["class_code"].isin(known)]
                legend = [{"value": c} for c in layout.quantities]
            if len(rows):
                parts.append(
                    _Part(rows, quantity, layout.hazard, name, layout.scale, admin, legend,
                          layout.source, name)
                )  # fmt: skip
    return parts


def _own(areas: geopandas.GeoDataFrame, source: str, layer_id: str | None) -> _Part:
    """A city's own file."""
    name = hazard_id(layer_id or re.sub(r"\.\w+$", "", source))
    constant = _constants(areas)
    quantity = constant.get("quantity") or quantity_of(name) or ""
    if not quantity:
        raise BadInputError("hazard_quantity", place=source)
    legend: list[Entry] = []
    if quantity in CLASSED:
        column = column_of(areas, CLASS_COLUMNS)
        if column is None:
            columns = ", ".join(map(str, areas.columns[:8]))
            raise BadInputError("hazard_no_class", place=source, columns=columns)
        areas = areas.rename(columns={column: "class_code"})
        areas["class_code"] = [code_text(v) for v in areas["class_code"]]
        legend = legend_entries(DURATION if quantity == "duration" else DEPTH)
        quantity = "rank" if quantity == "depth" else quantity
    river = constant.get("river") or constant.get("name") or ""
    return _Part(
        areas, quantity, constant.get("hazard") or "river_flood", river, constant.get("scale", ""),
        constant.get("admin", ""), legend, "", constant.get("set", ""),
    )  # fmt: skip


def _layer_name(
    workspace: Workspace, part: _Part, source: str, layer_id: str | None, *, alone: bool
) -> str:
    """The id: as asked for, else of river and scale; never that of another file's layer."""
    stem = re.sub(r"\.\w+$", "", source)
    if layer_id and alone:
        return hazard_id(layer_id)
    if not part.source:
        return hazard_id(layer_id or stem)
    said = set_id(layer_id) if layer_id else ""
    pieces = [said or ("" if part.name else stem), part.name, "" if said else part.scale]
    base = hazard_id("-".join(p for p in pieces if p))
    number = 1
    while True:
        name = f"{base}{'' if number == 1 else f'-{number}'}_{part.quantity}"
        path = workspace.hazards / f"{name}.toml"
        if not path.is_file() or tomllib.loads(path.read_text("utf-8")).get("source") == source:
            return name
        number += 1


def _unknown(part: _Part, source: str) -> list[str]:
    """The codes that the legend does not hold.

    Raises:
        BadInputError: it holds none of them.
    """
    if not part.legend:
        return []
    known = {str(c["value"]) for c in part.legend}
    codes = dict.fromkeys(str(v) for v in part.areas["class_code"])
    unknown = sorted(c for c in codes if c not in known)
    if unknown and len(unknown) == len(codes):
        raise BadInputError("hazard_unknown_class", place=source, codes=", ".join(unknown[:8]))
    return unknown


def _write(
    workspace: Workspace, part: _Part, name: str, source: str, vintage: str | None,
    unknown: list[str],
) -> None:  # fmt: skip
    with replacing(workspace.hazards / f"{name}.parquet") as temporary:
        part.areas.to_parquet(temporary, schema_version="1.1.0", compression="zstd")
    group = part.group if part.group and not part.source else set_id(name)
    facts: dict[str, Any] = {
        "id": name, "set": group, "hazard": part.hazard, "quantity": part.quantity,
        "name": part.name, "scale": part.scale, "admin": part.admin, "surveyed_extent": "unknown",
        "source": source, "layout": part.source, "vintage": vintage or "", "crs": "EPSG:6668",
    }  # fmt: skip
    lines = [
        f"{key} = {toml_value(value)}" for key, value in facts.items() if value or key != "layout"
    ]
    if unknown:
        lines.append(f"unknown_codes = {toml_value(unknown)}")
    for entry in part.legend:
        if "min_m" not in entry and "ja" not in entry:
            continue
        lines += ["", "[[legend]]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in entry.items()]
    write_text(workspace.hazards / f"{name}.toml", "\n".join(lines) + "\n")


def _constants(table: geopandas.GeoDataFrame) -> dict[str, str]:
    out = {}
    for column in (*FACTS, "quantity", "set"):
        if column in table.columns:
            values = {str(v) for v in table[column] if v is not None}
            if len(values) == 1:
                out[column] = values.pop()
    return out
