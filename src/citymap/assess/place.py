"""「わたしの場所」: what a place has to expect, whether one may stay, and where to go, in numbers and codes.

Codes become words where they are read (`i18n/residents`). Nothing here is a default: what no survey
speaks of is `not_surveyed`, a verdict that cannot be given is `unknown`, and a shelter is only offered
where the audit lets it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.assess import shelter_audit
from citymap.assess.detour import detour, holding
from citymap.assess.edge import edge_m
from citymap.assess.exposure import City as Judged
from citymap.assess.exposure import answers, load
from citymap.assess.last_action import Refuges
from citymap.assess.look_up import look_up
from citymap.assess.verdict import ORDER as VERDICTS
from citymap.assess.verdict import Building
from citymap.errors import BadInputError
from citymap.evacuation.routing import Goal, Route, Router, router
from citymap.hazard.sets import hazard_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

State = Literal["inside", "outside", "not_surveyed"]
STANDS_ON_M = 12.0  # a point this near to a building is taken for it (a door, a GPS fix)
OFFERED = 3  # shelters
TRIED = 12  # nearest shelters by air among which the ways are looked for
AT_HAND_M = 40.0  # a road as near as this is the road that one steps out to
WIFI_REACH_M = 1500.0
NOT_MEASURED = -1  # metres to the edge
WALL = 0.05  # degrees around the bbox within which a place is still answered
NO_WALLS = Building(None, None)  # a point outdoors: no floor to go up to


@dataclass(frozen=True, slots=True)
class Asked:
    """A place as it is looked up: the shape, the building there (row of `buildings.parquet` or -1)."""

    lon: float
    lat: float
    row: int


class Places:
    """A city's tables, read once; answers for one place or many. Safe between threads."""

    def __init__(self, workspace: Workspace, *, edges: bool = True) -> None:
        """Without `edges` nobody measures how far it is to the edge of an area (`NOT_MEASURED`)."""
        self._workspace = workspace
        self._edges = edges
        self._city = workspace.city()
        self._buildings = load(workspace)
        self._tree = shapely.STRtree(self._buildings.shapes)
        ids = pq.read_table(workspace.buildings, columns=["gml_id", "name", "address"])
        self._about = [ids[c].to_pylist() for c in ("gml_id", "name", "address")]
        self._sets = hazard_sets(workspace)
        shelters = workspace.places / "shelters.parquet"
        self._shelters = pq.read_table(shelters).to_pylist() if shelters.is_file() else []
        wifi = workspace.places / "wifi.parquet"
        self._wifi = pq.read_table(wifi).to_pylist() if wifi.is_file() else []
        audit = shelter_audit.current(workspace)
        self._worst = {
            h: shelter_audit.worst_by_place(audit, h) for h in set(audit["hazard"].to_pylist())
        }
        self._refuges = Refuges(workspace, self._buildings)
        self._districts: tuple[shapely.STRtree, list[str], list[str | None]] | None = None
        if workspace.districts.is_file():
            table = pq.read_table(workspace.districts, columns=["district_id", "name", "geometry"])
            areas = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
            self._districts = (
                shapely.STRtree(areas), table["district_id"].to_pylist(), table["name"].to_pylist(),
            )  # fmt: skip
        self._lock = Lock()
        self._wet: dict[str, tuple[Router, NDArray[np.bool_]]] = {}

    @property
    def outlines(self) -> NDArray[Any]:
        """Footprints, row by row of `buildings.parquet`."""
        return self._buildings.shapes

    def building_id(self, row: int) -> str | None:
        """The id of a row of `buildings.parquet`; None outdoors (-1)."""
        return self._buildings.building_id[row] if row >= 0 else None

    @property
    def hazards(self) -> list[str]:
        """The hazards that the city has maps of."""
        return list(dict.fromkeys(s.hazard for s in self._sets))

    def inside(self, lon: float, lat: float) -> bool:
        """Whether a place is in or beside the city."""
        if self._city.bbox is None:
            return True
        west, south, east, north = self._city.bbox
        return west - WALL <= lon <= east + WALL and south - WALL <= lat <= north + WALL

    def asked(self, lon: float, lat: float) -> Asked:
        """The place with the building it stands on."""
        point = shapely.Point(lon, lat)
        hits = self._tree.query(point, predicate="intersects")
        if len(hits):
            return Asked(lon, lat, int(hits[0]))
        degrees = STANDS_ON_M / 111_320.0
        near = self._tree.query(point.buffer(degrees * 1.5))
        best, row = STANDS_ON_M, -1
        scale = math.cos(math.radians(lat))
        for i in near.tolist():
            foot = shapely.shortest_line(point, self._buildings.shapes[i])
            (x0, y0), (x1, y1) = foot.coords
            metres = 111_320.0 * math.hypot((x1 - x0) * scale, y1 - y0)
            if metres < best:
                best, row = metres, i
        return Asked(lon, lat, row)

    def answer(
        self, lon: float, lat: float, *, hazard: str | None = None, ways: bool = True
    ) -> dict[str, Any]:
        """The record of one place (lon, lat in degrees), for the hazard that threatens it most unless
        one is named.

        Raises:
            BadInputError: outside Japan or far from the city, or no such hazard map.
        """
        west, south, east, north = crs.JAPAN_LON_LAT
        if not (west <= lon <= east and south <= lat <= north):
            swapped = west <= lat <= east and south <= lon <= north
            raise BadInputError("place_swapped" if swapped else "place_not_in_japan")
        if not self.inside(lon, lat):
            raise BadInputError("place_outside_city", place=self._city.name)
        if hazard is not None and hazard not in self.hazards:
            raise BadInputError("place_hazard", place=hazard, known=", ".join(self.hazards) or "–")
        (record,) = self.records([self.asked(lon, lat)])
        chosen = hazard or record["hazard"]
        record["hazard"] = chosen
        record["shelters"] = self.shelters(lon, lat, chosen) if ways and chosen else []
        record["wifi"] = self.wifi(lon, lat)
        return record

    def records(self, places: Sequence[Asked]) -> list[dict[str, Any]]:
        """Everything but shelters and Wi-Fi, for many places at once."""
        shapes = np.empty(len(places), object)
        for i, place in enumerate(places):
            shapes[i] = (
                shapely.Point(place.lon, place.lat) if place.row < 0
                else self._buildings.shapes[place.row]
            )  # fmt: skip
        known = self._buildings
        judged = Judged(
            [str(i) for i in range(len(places))], shapes,
            [NO_WALLS if p.row < 0 else known.buildings[p.row] for p in places],
            [None if p.row < 0 else known.risks[p.row] for p in places],
        )  # fmt: skip
        sets: list[list[dict[str, Any]]] = [[] for _ in places]
        for hazard in self._sets:
            found = look_up(hazard, shapes, judged.risks)
            given = answers(found, judged, hazard.hazard)
            for i, place in enumerate(places):
                depth, hours = float(found.depth_max_m[i]), float(found.duration_h[i])
                wet = depth > 0
                state: State = (
                    "inside" if wet else "outside" if found.surveyed[i] and not found.unclear[i]
                    else "not_surveyed"
                )  # fmt: skip
                edge: float | None = None if self._edges else NOT_MEASURED
                if self._edges and state != "not_surveyed":
                    edge = edge_m(hazard, place.lon, place.lat, inside=wet, epsg=self._city.epsg)
                sets[i].append({
                    "set": hazard.id, "hazard": hazard.hazard, "name": hazard.name.strip(),
                    "scale": hazard.scale, "state": state,
                    "depth_m": round(depth, 2) if wet and math.isfinite(depth) else None,
                    "duration_h": None if math.isnan(hours) else round(hours, 1),
                    "collapse_flow": _flag(found.collapse_flow, i),
                    "collapse_erosion": _flag(found.collapse_erosion, i),
                    "verdict": given[i].verdict, "dry_floor": given[i].dry_floor,
                    "reasons": list(given[i].reasons), "edge_m": None if edge is None else round(edge),
                })  # fmt: skip
        return [self._record(p, s) for p, s in zip(places, sets, strict=True)]

    def _record(self, place: Asked, sets: list[dict[str, Any]]) -> dict[str, Any]:
        worst = min(
            sets, key=lambda s: (VERDICTS.index(s["verdict"]), -(s["depth_m"] or 0.0)), default=None
        )
        building = None
        if place.row >= 0:
            known = self._buildings.buildings[place.row]
            building = {
                "gml_id": self._about[0][place.row], "name": self._about[1][place.row],
                "address": self._about[2][place.row], "storeys": known.storeys,
            }  # fmt: skip
        record: dict[str, Any] = {
            "lon": place.lon, "lat": place.lat, "district": self.district(place.lon, place.lat),
            "building": building, "hazard": worst["hazard"] if worst else None,
            "verdict": worst["verdict"] if worst else "unknown",
            "reasons": worst["reasons"] if worst else ["depth_unsurveyed"],
            "dry_floor": worst["dry_floor"] if worst else None, "sets": sets,
        }  # fmt: skip
        refuges = self._usable(record["hazard"]) if worst else []
        record["instead"] = self._refuges.action(place.lon, place.lat, place.row, record, refuges)
        return record

    def _usable(self, hazard: str) -> list[dict[str, Any]]:
        """The shelters that the audit lets be used for a hazard, with `use` and `dry_floor`."""
        worst = self._worst.get(hazard, {})
        return [
            {**s, **{k: worst[s["place_id"]][k] for k in ("use", "dry_floor")}}
            for s in self._shelters
            if worst.get(s["place_id"], {}).get("use") in {"usable", "upper_floors"}
        ]

    def district(self, lon: float, lat: float) -> dict[str, Any] | None:
        """The 町字 that holds a place."""
        if self._districts is None:
            return None
        tree, ids, names = self._districts
        hits = tree.query(shapely.Point(lon, lat), predicate="intersects")
        return {"id": ids[hits[0]], "name": names[hits[0]]} if len(hits) else None

    def wifi(self, lon: float, lat: float) -> list[dict[str, Any]]:
        """The nearest Wi-Fi."""
        spots = sorted((_metres(lon, lat, w["lon"], w["lat"]), i) for i, w in enumerate(self._wifi))
        return [
            {**{k: self._wifi[i][k] for k in ("name", "ssid", "area", "lon", "lat")}, "away_m": round(m)}
            for m, i in spots[:OFFERED] if m <= WIFI_REACH_M
        ]  # fmt: skip

    def shelters(self, lon: float, lat: float, hazard: str) -> list[dict[str, Any]]:
        """The nearest shelters that may be used for a hazard, by the way on foot that keeps out of the
        water; `route` None with a `no_route` reason where there is no way."""
        worst = self._worst.get(hazard, {})
        usable = self._usable(hazard)
        usable.sort(key=lambda s: _metres(lon, lat, s["lon"], s["lat"]))
        by_id = {s["place_id"]: s for s in usable[:TRIED]}
        out: list[dict[str, Any]] = []
        while by_id and len(out) < OFFERED:
            goals = [Goal(i, s["lon"], s["lat"]) for i, s in by_id.items()]
            found = self._way(lon, lat, goals, hazard)
            if isinstance(found, Route):
                out.append(self._offer(by_id.pop(found.shelter_id), worst, lon, lat, found, None))
                continue
            nearest = next(iter(by_id))
            out.append(self._offer(by_id.pop(nearest), worst, lon, lat, None, found))
        return [{**one, "detour": self._detour(lon, lat, one, hazard)} for one in out]

    def _detour(
        self, lon: float, lat: float, offer: dict[str, Any], hazard: str
    ) -> dict[str, Any] | None:
        """How closures change the way to an offered shelter (see `citymap.assess.detour`)."""
        try:
            closures = holding(self._workspace)
        except BadInputError:
            return None  # the file is broken; the way itself says that there is none
        if not closures:
            return None
        goals = [Goal(offer["place_id"], offer["lon"], offer["lat"])]
        way = self._way(lon, lat, goals, hazard)
        free = self._way(lon, lat, goals, hazard, heeded=False)
        return detour(
            way if isinstance(way, Route) else None, free if isinstance(free, Route) else None,
            closures, self._city.epsg,
        )  # fmt: skip

    def _offer(
        self, shelter: dict[str, Any], worst: dict[str, dict[str, Any]], lon: float, lat: float,
        way: Route | None, no_route: str | None,
    ) -> dict[str, Any]:  # fmt: skip
        row = worst[shelter["place_id"]]
        return {
            **{k: shelter[k] for k in ("place_id", "name", "name_en", "address", "lon", "lat", "capacity_text")},
            "use": row["use"], "dry_floor": row["dry_floor"],
            "wifi": None if row["wifi"] is None else {"floods": row["wifi_floods"]},
            "away_m": round(_metres(lon, lat, shelter["lon"], shelter["lat"])),
            "walk_m": None if way is None else round(way.length_m),
            "walk_min": None if way is None else math.ceil(way.minutes),
            "in_water_m": None if way is None else round(way.in_water_m),
            "route": None if way is None else [[round(x, 6), round(y, 6)] for x, y in way.lon_lat],
            "no_route": no_route,
        }  # fmt: skip

    def _way(
        self, lon: float, lat: float, goals: list[Goal], hazard: str, *, heeded: bool = True
    ) -> Route | str:
        """A dry way, else the one with the least water; else why there is none.

        Without `heeded` as if no road were closed.

        A way that only reaches a dry road by going straight over land where roads are under water
        is no dry way: the one along those roads says how far it goes through the water.
        """
        try:
            network, closed, wet = self._network(hazard)
        except BadInputError:
            return "no_network"
        if not heeded:
            closed = np.zeros_like(closed)
        dry = network.route(lon, lat, goals, closed=closed | wet)
        if isinstance(dry, Route) and _off_road_m(dry) <= AT_HAND_M:
            return dry
        way = network.route(lon, lat, goals, closed=closed, wet=wet)
        if isinstance(dry, Route) and not (
            isinstance(way, Route) and _off_road_m(way) < _off_road_m(dry)
        ):
            return dry
        return way if isinstance(way, Route) else way.reason

    def _network(self, hazard: str) -> tuple[Router, NDArray[np.bool_], NDArray[np.bool_]]:
        """The roads, which are closed now, and which lie in the assumed water of a hazard."""
        found = router(self._workspace)
        with self._lock:
            known = self._wet.get(hazard)
            if known is None or known[0] is not found:
                known = self._wet[hazard] = (found, self._wet_edges(hazard, found))
        return found, _closed_edges(self._workspace, found), known[1]

    def _wet_edges(self, hazard: str, found: Router) -> NDArray[np.bool_]:
        wet = np.zeros(found.network.edges, bool)
        for one in self._sets:
            if one.hazard != hazard:
                continue
            for layer in one.of("depth", "rank", "zone"):
                if layer.is_raster:
                    wet |= found.closed_by_depth(layer.path)
                else:
                    shapes = pq.read_table(layer.path, columns=["geometry"])["geometry"].to_pylist()
                    wet |= found.closed_by(shapely.from_wkb(shapes)) & ~found.network.bridge
        return wet


def _closed_edges(workspace: Workspace, found: Router) -> NDArray[np.bool_]:
    shapes = [c.shape for c in holding(workspace)]
    return found.closed_by(shapes) if shapes else np.zeros(found.network.edges, bool)


def _off_road_m(way: Route) -> float:
    """From the place to the first road."""
    (lon, lat), (to_lon, to_lat) = way.lon_lat[:2]
    return _metres(lon, lat, to_lon, to_lat)


def _flag(flags: NDArray[np.bool_] | None, row: int) -> bool | None:
    return None if flags is None else bool(flags[row])


def _metres(lon: float, lat: float, to_lon: float, to_lat: float) -> float:
    scale = math.cos(math.radians(lat))
    return 111_320.0 * math.hypot((to_lon - lon) * scale, to_lat - lat)


def stamp(workspace: Workspace) -> tuple[int, ...]:
    """Changes whenever a table that `Places` holds was replaced."""
    files = [
        workspace.city_toml, workspace.buildings, workspace.districts, workspace.roads,
        workspace.places / "shelters.parquet", workspace.places / "wifi.parquet",
        workspace.root / "exposure" / "combined.parquet", *sorted(workspace.hazards.glob("*")),
    ]  # fmt: skip
    return tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in files)
