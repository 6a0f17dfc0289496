"""Shapefile for older systems: plane-rectangular zone, CP932, field names of at most ten bytes."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from citymap.share.exchange.format import FORMATS, Format, Written, frame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from citymap.share.exchange.layer import Outgoing

ENCODING = "cp932"
NAME_BYTES, TEXT_BYTES = 10, 254
# Signs that Unicode and CP932 tables give two codes for: the one that CP932 has.
SAME = str.maketrans({"〜": "～", "−": "－", "‖": "∥", "—": "―", "¢": "￠", "£": "￡", "¬": "￢"})
RISK = {
    "river_flood": "riv",
    "tsunami": "tsu",
    "storm_surge": "sto",
    "inland_flood": "inl",
    "landslide": "lsl",
}
GETA = "〓"  # what printers set where a character is missing
PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
# Names that cutting would spoil or make equal; the rest is cut and numbered.
SHORT = {
    "building_id": "bldg_id", "structure_code": "struct_cd", "district_id": "district",
    "measured_height_m": "height_m", "storeys_above": "storeys_up", "storeys_below": "storeys_dn",
    "footprint_area_m2": "area_m2", "total_floor_area_m2": "floor_m2", "ground_elevation_m": "ground_m",
    "roof_elevation_m": "roof_m", "source_file": "src_file", "depth_max_m": "dep_max_m",
    "depth_mean_m": "dep_mean_m", "duration_h": "duration_h", "collapse_flow": "col_flow",
    "collapse_erosion": "col_eros", "inland_flood": "inl_flood", "storm_surge": "stormsurge",
    "also_designated": "also_desig", "capacity_text": "capa_text", "target_areas": "target_ar",
    "barrier_free": "barrierfr", "elevation_m": "elev_m", "leave_by_h": "leave_by_h",
    "route_length_m": "route_m",
}  # fmt: skip


def field_names(names: Iterable[str]) -> dict[str, str]:
    """Long name → name of at most ten bytes in CP932, no two alike (case does not count)."""
    out: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        short = _cut(SHORT.get(name, name), NAME_BYTES)
        number = 1
        while short.lower() in taken:
            short = _cut(SHORT.get(name, name), NAME_BYTES - len(str(number))) + str(number)
            number += 1
        taken.add(short.lower())
        out[name] = short
    return out


def _cut(text: str, limit: int) -> str:
    return text.encode(ENCODING, "replace")[:limit].decode(ENCODING, "ignore")


def _fitting(value: Any, lost: dict[str, int]) -> Any:
    """A text that CP932 and a DBF field can hold; counts what was lost."""
    if not isinstance(value, str):
        return value
    value = value.translate(SAME)
    raw = value.encode(ENCODING, "ignore")
    if raw.decode(ENCODING) != value:
        lost["characters"] += 1
        value = "".join(c if c.encode(ENCODING, "ignore") else GETA for c in value)
        raw = value.encode(ENCODING)
    if len(raw) > TEXT_BYTES:
        lost["cut"] += 1
        value = raw[:TEXT_BYTES].decode(ENCODING, "ignore")
    return value


def worst_risks(risks: list[list[dict[str, Any]] | None]) -> dict[str, list[float | None]]:
    """Columns `<hazard><scale>_dep` (m) and `_rnk` by row: the worst of what is known, else null."""
    out: dict[str, list[float | None]] = {}
    for row, several in enumerate(risks):
        for risk in several or ():
            start = f"{RISK.get(risk['hazard'], risk['hazard'][:3])}{(risk.get('scale') or '')[:2]}"
            for end, key in (("_dep", "depth_m"), ("_rnk", "rank")):
                value = risk.get(key)
                if value is None or math.isnan(value):
                    continue
                column = out.setdefault(start + end, [None] * len(risks))
                known = column[row]
                column[row] = float(value) if known is None else max(known, float(value))
    return dict(sorted(out.items()))


def _write(layer: Outgoing, path: Path, epsg: int) -> Written:
    table = frame(layer, epsg)
    notes: list[tuple[str, dict[str, Any]]] = []
    if "risks" in layer.table.column_names:
        columns = worst_risks(layer.table["risks"].to_pylist())
        table = table.drop(columns="risks").assign(**columns)
        notes.append(("export_worst_risks", {"columns": ", ".join(columns)}))
    long = [c for c in table.columns if c != "geometry"]
    names = field_names(long)
    lost = {"characters": 0, "cut": 0}
    for name in long:
        if table[name].dtype == object or str(table[name].dtype).startswith("str"):
            table[name] = [_fitting(v, lost) for v in table[name]]
        elif str(table[name].dtype) == "boolean":  # a DBF's truth value cannot be unknown
            table[name] = table[name].astype("Int16")
    table = table.rename(columns=names)
    table.to_file(path, driver="ESRI Shapefile", engine="pyogrio", encoding=ENCODING)
    cpg = path.with_suffix(".cpg")
    cpg.write_text("CP932", encoding="ascii")
    dictionary = path.with_name(f"{path.stem}_fields.csv")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["field", "column", "type"])
    kinds = {f.name: str(f.type) for f in layer.table.schema}
    writer.writerows((short, name, kinds.get(name, "double")) for name, short in names.items())
    dictionary.write_bytes(out.getvalue().encode("utf-8-sig"))
    parts = [path.with_suffix(s) for s in PARTS if path.with_suffix(s).is_file()]
    notes += [("export_lost_" + what, {"count": n}) for what, n in lost.items() if n]
    return Written((*parts, dictionary), tuple(notes))


FORMATS.register("shp")(Format(".shp", None, False, _write))
