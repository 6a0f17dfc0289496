"""Shelters under the hazards they are meant for: which may be used, from which floor, which must not.

One row a place and hazard set in `shelter_audit.parquet`. A place may be used for a hazard only if it
is designated for it, and nothing drawn on a map speaks against it; what is not known is `unknown`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.assess.exposure import City as Judged
from citymap.assess.exposure import answers
from citymap.assess.look_up import look_up
from citymap.assess.verdict import MAX_HOURS, STAY_HAZARDS, Answer, Building, estimated_storeys
from citymap.hazard.sets import HazardSet, hazard_sets
from citymap.model.columns import Column, Table
from citymap.place_text import folded
from citymap.workspace import write_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

Use = Literal["must_not", "not_designated", "unknown", "upper_floors", "usable"]
ORDER: tuple[Use, ...] = ("must_not", "not_designated", "unknown", "upper_floors", "usable")
DESIGNATION = {
    "river_flood": "flood", "inland_flood": "inland_flood", "storm_surge": "storm_surge",
    "high_tide": "storm_surge", "landslide": "landslide", "tsunami": "tsunami",
}  # fmt: skip
M2_PER_PERSON = 3.5  # 内閣府 避難所における良好な生活環境の確保に向けた取組指針 (2024-12)
NEAR_M = 25.0  # a published position lies on the building or this near to it
WIFI_M = 50.0
OPEN_GROUND = re.compile(
    r"公園|広場|グラウンド|グランド|運動場|校庭|緑地|河川敷|駐車場|球場|競技場"
)
_FLOOR = re.compile(r"(\d{1,2})\s*(?:階|F)", re.IGNORECASE)
_B, _S, _F = pa.bool_(), pa.string(), pa.float64()
TABLE = Table(
    "shelter_audit",
    (
        Column("place_id", _S, "place in places/shelters.parquet", nullable=False),
        Column("set", _S, "hazard set", nullable=False),
        Column("hazard", _S, "river_flood, inland_flood, storm_surge, landslide, tsunami …", nullable=False),
        Column("set_name", _S, "river or coast"),
        Column("scale", _S, "L1, L2"),
        Column("designated", _B, "designated for this hazard; null: not, or not said"),
        Column("depth_max_m", _F, "largest depth at the building or the place", "m"),
        Column("depth_known", _B, "whether a survey speaks of this place", nullable=False),
        Column("duration_h", _F, "inundation lasts", "h"),
        Column("collapse_flow", _B, "in the zone of 氾濫流; null: none was drawn"),
        Column("collapse_erosion", _B, "in the zone of 河岸侵食; null: none was drawn"),
        Column("in_zone", _B, "inside a zone one must leave (slope, tsunami); null: not known"),
        Column("dry_floor", pa.int16(), "lowest floor above the water, 1 the ground floor"),
        Column("use", _S, "must_not | not_designated | unknown | upper_floors | usable", nullable=False),
        Column("reasons", pa.list_(_S), "codes, catalogue keys audit.reason.*", nullable=False),
        Column("gml_id", _S, "building that it was matched with"),
        Column("storeys", pa.int16(), "storeys of it"),
        Column("floor_area_m2", _F, "floor area above the water", "m2"),
        Column("capacity_published", pa.int32(), "people, as published"),
        Column("capacity_space", pa.int32(), "people at 3.5 m² if all of that area can be used: an upper bound"),
        Column("wifi", _S, "names of the Wi-Fi on site, joined by ;"),
        Column("wifi_floods", _B, "whether the floor of the Wi-Fi is under water; null: not known"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """A shelter as the audit looks at it: the building under it (None: none found), its Wi-Fi."""

    place: dict[str, Any]
    building: Building | None
    gml_id: str | None
    open_ground: bool
    footprint_m2: float | None
    total_m2: float | None
    wifi: tuple[dict[str, Any], ...]

    @property
    def storeys(self) -> int | None:
        """Storeys, counted or surely held by the measured height."""
        if self.building is None:
            return None
        return self.building.storeys or estimated_storeys(self.building.height_m)


def audit_path(workspace: Workspace) -> Path:
    """Where the table lies."""
    return workspace.root / "shelter_audit.parquet"


def _inputs(workspace: Workspace) -> list[Path]:
    return [
        workspace.buildings, workspace.places / "shelters.parquet",
        workspace.places / "wifi.parquet", *sorted(workspace.hazards.glob("*")),
    ]  # fmt: skip


def current(workspace: Workspace) -> pa.Table:
    """The audit, made anew when anything it rests on has changed; empty without shelters."""
    path = audit_path(workspace)
    if path.is_file():
        made = path.stat().st_mtime_ns
        if all(not p.is_file() or p.stat().st_mtime_ns < made for p in _inputs(workspace)):
            table = pq.read_table(path)
            if table.schema.names == [c.name for c in TABLE.columns]:
                return table
    table = compute(workspace)
    write_table(path, table, TABLE)
    return table


def compute(workspace: Workspace) -> pa.Table:
    """The audit of every shelter for every hazard set."""
    places = _rows(workspace.places / "shelters.parquet")
    sites, shapes = _sites(workspace, places)
    rows = []
    for hazard in hazard_sets(workspace) if sites else []:
        judged = Judged(
            [s.place["place_id"] for s in sites], shapes,
            [s.building or Building(None, None) for s in sites], [None] * len(sites),
        )  # fmt: skip
        found = look_up(hazard, shapes)
        given = answers(found, judged, hazard.hazard)
        for i, site in enumerate(sites):
            zones = {
                name: None if flags is None else bool(flags[i])
                for name, flags in (("collapse_flow", found.collapse_flow),
                                    ("collapse_erosion", found.collapse_erosion))
            }  # fmt: skip
            depth, hours = float(found.depth_max_m[i]), float(found.duration_h[i])
            rows.append(
                audited(
                    site, hazard, given[i], depth_m=depth,
                    duration_h=None if math.isnan(hours) else hours,
                    surveyed=bool(found.surveyed[i]), unclear=bool(found.unclear[i]), **zones,
                )
            )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TABLE.schema())


def audited(
    site: Site, hazard: HazardSet, answer: Answer, *, depth_m: float, duration_h: float | None,
    surveyed: bool, collapse_flow: bool | None, collapse_erosion: bool | None, unclear: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One row. `depth_m` NaN is outside where `surveyed`, infinite inside with unknown depth;
    `unclear` where an area of an unknown class touches the place."""
    column = DESIGNATION.get(hazard.hazard)
    designated = site.place.get(column) if column else None
    wet = depth_m > 0
    stay = hazard.hazard in STAY_HAZARDS
    against: list[str] = [r for r in ("collapse_flow", "collapse_erosion") if r in answer.reasons]
    unknown: list[str] = []
    notes: list[str] = []
    if not stay and wet:
        against.append("in_zone")
    elif wet and site.open_ground:
        against.append("open_ground_flooded")
    elif "no_dry_floor" in answer.reasons:
        against.append("no_dry_floor")
    elif wet and (site.building is None or "storeys_unknown" in answer.reasons):
        unknown.append("building_unknown" if site.building is None else "storeys_unknown")
    elif math.isinf(depth_m):
        unknown.append("depth_unknown")
    if unclear and "depth_unknown" not in unknown:
        unknown.append("depth_unknown")
    if not surveyed and not wet:
        unknown.append("depth_unsurveyed")
    if (
        wet
        and stay
        and hazard.hazard != "inland_flood"
        and None in (collapse_flow, collapse_erosion)
    ):
        unknown.append("collapse_unsurveyed")
    if duration_h is not None and duration_h > MAX_HOURS:
        notes.append("cut_off_over_72h")
    if site.place.get("conditional") and column in site.place["conditional"].split(";"):
        notes.append("conditional")
    use: Use
    if against:
        use = "must_not"
    elif designated is not True:
        use = "not_designated"
    elif unknown:
        use = "unknown"
    else:
        use = "upper_floors" if wet else "usable"
    dry_floor = answer.dry_floor if wet and stay and not against else None
    area = dry_area_m2(site, dry_floor) if use != "must_not" else None
    return {
        "place_id": site.place["place_id"], "set": hazard.id, "hazard": hazard.hazard,
        "set_name": hazard.name.strip(), "scale": hazard.scale, "designated": designated,
        "depth_max_m": depth_m if math.isfinite(depth_m) else None,
        "depth_known": surveyed or math.isfinite(depth_m), "duration_h": duration_h,
        "collapse_flow": collapse_flow, "collapse_erosion": collapse_erosion,
        "in_zone": None if stay or not (surveyed or wet) else wet, "dry_floor": dry_floor, "use": use,
        "reasons": [*against, *unknown, *notes], "gml_id": site.gml_id, "storeys": site.storeys,
        "floor_area_m2": area, "capacity_published": site.place.get("capacity"),
        "capacity_space": None if area is None else int(area // M2_PER_PERSON),
        "wifi": ";".join(str(w["name"]) for w in site.wifi) or None,
        "wifi_floods": wifi_floods(site, depth_m, surveyed=surveyed),
    }  # fmt: skip


def dry_area_m2(site: Site, dry_floor: int | None) -> float | None:
    """Floor area on and above the lowest dry floor (None: all of it); None where it is not known."""
    storeys = site.storeys
    if site.building is None or storeys is None or site.footprint_m2 is None:
        return None
    each = (site.total_m2 / storeys) if site.total_m2 else site.footprint_m2
    return each * max(0, storeys - (dry_floor or 1) + 1)


def floor_of(text: str | None) -> int | None:
    """The lowest floor that a text names (２階ロビー → 2); None where it names none."""
    found = [int(n) for n in _FLOOR.findall(unicodedata.normalize("NFKC", text or ""))]
    return min(found) if found else None


def wifi_floods(site: Site, depth_m: float, *, surveyed: bool) -> bool | None:
    """Whether any Wi-Fi of the site stands on a floor under water; None where that is not known."""
    if not site.wifi:
        return None
    if not depth_m > 0:
        return False if surveyed else None
    if math.isinf(depth_m):
        return None
    floors = [floor_of(f"{w.get('area') or ''} {w['name']}") for w in site.wifi]
    if None in floors:
        return True if site.open_ground or depth_m >= 3.0 * (site.storeys or 99) else None
    return any(f is not None and depth_m >= 0.5 + 3.0 * (f - 1) - 0.5 * (f > 1) for f in floors)


def _rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist() if path.is_file() else []


def _sites(
    workspace: Workspace, places: list[dict[str, Any]]
) -> tuple[list[Site], NDArray[np.object_]]:
    """The shelters with their buildings and Wi-Fi, and the shapes that hazards are looked up at."""
    if not places:
        return [], np.array([], object)
    epsg = workspace.city().epsg
    names = ["gml_id", "storeys_above", "measured_height_m", "class_code", "structure",
             "footprint_area_m2", "total_floor_area_m2", "geometry"]  # fmt: skip
    built = (
        pq.read_table(workspace.buildings, columns=names) if workspace.buildings.is_file() else None
    )
    near = np.full(len(places), -1)
    footprints = np.array([], object)
    lon_lat = np.array([(p["lon"], p["lat"]) for p in places], float)
    if built is not None and built.num_rows:
        footprints = shapely.from_wkb(built["geometry"].to_numpy(zero_copy_only=False))
        near = _nearest(footprints, lon_lat, epsg)
    wifi = _rows(workspace.places / "wifi.parquet")
    spots = _metres(np.array([(w["lon"], w["lat"]) for w in wifi], float).reshape(-1, 2), epsg)
    at = _metres(lon_lat, epsg)
    sites, shapes = [], np.empty(len(places), object)
    for i, place in enumerate(places):
        row = (
            built.slice(int(near[i]), 1).to_pylist()[0]
            if built is not None and near[i] >= 0
            else None
        )
        open_ground = bool(OPEN_GROUND.search(place["name"]))
        if open_ground:
            row = None  # a shed in a park is no shelter
        shapes[i] = shapely.Point(*lon_lat[i]) if row is None else footprints[near[i]]
        building = None
        if row is not None:
            height = row["measured_height_m"]
            building = Building(row["storeys_above"], None if height is None or math.isnan(height) else height,
                                row["class_code"], row["structure"])  # fmt: skip
        close = np.hypot(*(spots - at[i]).T) <= WIFI_M if len(wifi) else np.array([], bool)
        same = tuple(
            w for w, c in zip(wifi, close, strict=True)
            if c or (w["address"] and place["address"] and folded(w["address"]) == folded(place["address"]))
        )  # fmt: skip
        sites.append(
            Site(
                place, building, row and row["gml_id"], open_ground,
                row and row["footprint_area_m2"], row and row["total_floor_area_m2"], same,
            )
        )  # fmt: skip
    return sites, shapes


def _metres(lon_lat: NDArray[np.float64], epsg: int) -> NDArray[np.float64]:
    if not len(lon_lat):
        return np.empty((0, 2))
    return np.column_stack(crs.project(lon_lat[:, 0], lon_lat[:, 1], epsg))


def _nearest(
    footprints: NDArray[np.object_], lon_lat: NDArray[np.float64], epsg: int
) -> NDArray[np.int64]:
    """Row of the building at or within `NEAR_M` of each position; -1 where there is none."""
    flat = shapely.transform(footprints, lambda c: _metres(c[:, :2], epsg))
    tree = shapely.STRtree(flat)
    points = shapely.points(_metres(lon_lat, epsg))
    (asked, found), _ = tree.query_nearest(
        points, max_distance=NEAR_M, return_distance=True, all_matches=False
    )
    out = np.full(len(lon_lat), -1)
    out[asked] = found
    return out


def worst_by_place(table: pa.Table, hazard: str | None = None) -> dict[str, dict[str, Any]]:
    """For every place the row of the worst set (of one hazard), `must_not` first, then the deepest."""
    worst: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        if hazard is not None and row["hazard"] != hazard:
            continue
        known = worst.get(row["place_id"])
        if known is None or _rank(row) < _rank(known):
            worst[row["place_id"]] = row
    return worst


def _rank(row: dict[str, Any]) -> tuple[int, float]:
    return ORDER.index(row["use"]), -(row["depth_max_m"] or 0.0)
