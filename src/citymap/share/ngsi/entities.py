"""The entities, in the normalised form of NGSI-LD, each from records that passed the gate.

Types and attributes have the names of datamodels.jp (EvacuationSite, EvacuationShelter, DisasterEvent,
IncidentReport, RoadClosure) and Smart Data Models (AccessPoint, FloodMonitoring) where these have them;
they stand in the default context of NGSI-LD. What an attribute of theirs may hold is kept to; beyond
their attributes we say more (name and place of a shelter, thresholds of a gauge).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from citymap.assess.building_record import plain
from citymap.crs import check_digit
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.live import levels
from citymap.reports.place import store_of
from citymap.share.exchange.export import load
from citymap.share.gate import may_see, release
from citymap.share.report_records import released, released_closures
from citymap.share.status import status

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

Entity = dict[str, Any]
Record = Mapping[str, Any]
MOST_REPORTS = 100_000
HAZARDS = {
    "flood": "flood", "landslide": "landslide", "storm_surge": "stormSurge", "earthquake": "earthquake",
    "tsunami": "tsunami", "fire": "greatFire", "inland_flood": "inlandFlood", "volcano": "eruption",
}  # fmt: skip
_OPENING = {"open": "open", "full": "full", "closed": "closed"}
PROGRESS = {  # of a report, in the words of RFC 8984
    "new": "needs-action", "reopened": "needs-action", "confirmed": "needs-action",
    "in_progress": "in-process", "resolved": "completed", "rejected": "cancelled", "merged": "cancelled",
}  # fmt: skip


def identifier(kind: str, code: str, name: object) -> str:
    """The URN of an entity."""
    return f"urn:ngsi-ld:{kind}:{code}:{quote(str(name), safe='-_.~')}"


def _entity(kind: str, code: str, key: object, /, **attributes: Any) -> Entity:
    """An entity with those attributes that have a value."""
    found: Entity = {"id": identifier(kind, code, key), "type": kind}
    found.update({k: v for k, v in attributes.items() if v is not None})
    return found


def _property(value: Any, at: str | None = None) -> Any:
    if value is None or (isinstance(value, str | list) and not value):
        return None
    said: dict[str, Any] = {"type": "Property", "value": plain(value)}
    return {**said, "observedAt": at} if at else said


def _address(text: object) -> Any:
    """One line of address as a JapaneseAddress."""
    if not isinstance(text, str) or not text.strip():
        return None
    return _property({"addressCountry": "JP", "addressText": text.strip()})


def _areas(text: object) -> Any:
    """町会 that a list names in one cell."""
    listed = re.split(r"[、,，;；\n]+", text) if isinstance(text, str) else []
    return _property([one.strip() for one in listed if one.strip()])


def _event(code: str) -> Entity:
    """The disaster that everything of the day belongs to."""
    return {"type": "Relationship", "object": identifier("DisasterEvent", code, "current")}


def _moment(text: str | None) -> Any:
    if not text:
        return None
    return {"type": "Property", "value": {"@type": "DateTime", "@value": text}}


def _place(record: Record) -> Any:
    """A GeoProperty: the geometry, else lon and lat; None without a place."""
    geometry = record.get("geometry")
    if isinstance(geometry, Mapping):
        return {"type": "GeoProperty", "value": dict(geometry)}
    lon, lat = record.get("lon"), record.get("lat")
    if lon is None or lat is None or lon != lon or lat != lat:  # noqa: PLR0124  (NaN)
        return None
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}}


def _listed(workspace: Workspace, layer: str, audience: Audience) -> list[dict[str, Any]]:
    """The released rows of a list of places; none where the city has no such list."""
    try:
        table = load(workspace, layer, audience).table
    except BadInputError as error:
        if error.key in {"export_no_layer", "export_not_for"}:
            return []
        raise
    rows: list[dict[str, Any]] = plain(table.drop_columns(["geometry"]).to_pylist())
    return rows


def _live(workspace: Workspace, audience: Audience) -> dict[str, Any]:
    store = store_of(workspace)
    return status(workspace, store, audience) if store is not None else {}


def sites(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """指定緊急避難場所 as EvacuationSite."""
    for row in _listed(workspace, "shelters", audience):
        if row.get("kind") == "evacuation_shelter":
            continue
        hazards = [name for key, name in HAZARDS.items() if row.get(key) is True]
        yield _entity(
            "EvacuationSite", code, row["place_id"], externalSiteId=_property(str(row["place_id"])),
            name=_property(row.get("name")), address=_address(row.get("address")), location=_place(row),
            hazardTypes=_property(hazards), alsoDesignatedShelter=_property(row.get("also_designated")),
            maxCapacity=_property(row.get("capacity")), targetAreas=_areas(row.get("target_areas")),
            localGovernmentCode=_property(code),
        )  # fmt: skip


def shelters(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """指定避難所, and whatever staff opened, as EvacuationShelter.

    Without `openingStatus` it is not known whether a shelter is open; `observedAt` says of when the
    status is.
    """
    openings = _live(workspace, audience).get("openings") or {}
    for row in _listed(workspace, "shelters", audience):
        place = row["place_id"]
        said = openings.get(place) or {}
        designated = row.get("kind") == "evacuation_shelter" or row.get("also_designated") is True
        if not designated and not said:
            continue
        at = said.get("at")
        yield _entity(
            "EvacuationShelter", code, place,
            externalShelterId=_property(str(place)), localGovernmentCode=_property(code), project=_event(code),
            name=_property(row.get("name")), address=_address(row.get("address")), location=_place(row),
            maxCapacity=_property(row.get("capacity")), barrierFree=_property(row.get("barrier_free")),
            pets=_property(row.get("pets")),
            openingStatus=_property(_OPENING.get(str(said.get("state"))), at),
            evacueeTotal=_property(said.get("head_count"), at),
        )  # fmt: skip


def wifi(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """公衆無線LAN as AccessPoint."""
    for row in _listed(workspace, "wifi", audience):
        yield _entity(
            "AccessPoint", code, row["place_id"],
            name=_property(row.get("name")), address=_address(row.get("address")), location=_place(row),
            ssid=_property([row["ssid"]] if row.get("ssid") else None), area=_property(row.get("area")),
            operator=_property(row.get("operator")), url=_property(row.get("url")),
        )  # fmt: skip


def incidents(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """Released damage reports as IncidentReport: no writer, no free text, no exact place."""
    store = store_of(workspace)
    if store is None:
        return
    for row in released(store, workspace, audience, limit=MOST_REPORTS):
        yield _entity(
            "IncidentReport", code, row["number"],
            externalId=_property(str(row["number"])), project=_event(code),
            subtype=_property(row.get("category")), name=_property(row.get("title") or str(row["number"])),
            progress=_property(PROGRESS[str(row.get("status"))]), statusLabel=_property(row.get("status")),
            reportedAt=_moment(row.get("observed_at")), description=_property(row.get("public_text")),
            depth=_property(row.get("depth_m")), location=_place(row),
        )  # fmt: skip


def closures(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """Closures that hold now as RoadClosure."""
    store = store_of(workspace)
    if store is None:
        return
    for row in released_closures(store, workspace, audience):
        yield _entity(
            "RoadClosure", code, row["id"],
            closureStatus=_property("closed", row.get("as_of")), roadName=_property(row.get("road")),
            project=_event(code), statusLabel=_property(row.get("reason")), description=_property(row.get("public_text")),
            validFrom=_moment(row.get("from_time")), validTo=_moment(row.get("until_time")),
            location=_place(row),
        )  # fmt: skip


def orders(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """The order in force as EvacuationOrder (a name of ours); none where nobody gave one."""
    live = _live(workspace, audience)
    order = live.get("order") or {}
    if order.get("since"):
        yield _entity(
            "EvacuationOrder", code, "current",
            level=_property(order.get("level"), order["since"]), mode=_property(order.get("mode")),
            hazard=_property(order.get("hazard")), districts=_property(order.get("districts")),
            message=_property(order.get("message")), dateIssued=_moment(order["since"]),
        )  # fmt: skip


def events(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """The DisasterEvent that reports, closures and openings belong to: `active` in disaster mode."""
    mode = (_live(workspace, audience).get("order") or {}).get("mode")
    name = workspace.city().name
    yield _entity(
        "DisasterEvent", code, "current", name=_property(t("ngsi.event", "ja", city=name)),
        identifier=_property("current"), isPublic=_property(True),
        projectStatus=_property({"disaster": "active", "normal": "closed"}.get(str(mode))),
    )  # fmt: skip


def gauges(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """Water levels as FloodMonitoring: metres on the gauge's own scale.

    Without `currentLevel` it is not known: never spoken, too old, missing, or doubted by staff; then
    `floodLevelStatus` is `unknown`.
    """
    store = store_of(workspace)
    if store is None:
        return
    rows = []
    for one in levels.latest(store, workspace):
        known = one.value_m is not None and one.observed_at is not None
        rows.append({
            **asdict(one.station), "value_m": one.value_m, "state": one.state,
            "observed_at": one.observed_at.isoformat(timespec="seconds").replace("+00:00", "Z")
            if known and one.observed_at is not None else None,
        })  # fmt: skip
    for row in release("water_levels", rows, audience):
        at = row.get("observed_at")
        yield _entity(
            "FloodMonitoring", code, row["station_id"], stationID=_property(row["station_id"]),
            name=_property(row.get("name")), location=_place(row), river=_property(row.get("river")),
            currentLevel=_property(row.get("value_m"), at), floodLevelStatus=_property(row.get("state"), at),
            alertLevel=_property(row.get("caution_m")), dangerLevel=_property(row.get("danger_m")),
            standbyLevel=_property(row.get("standby_m")), evacuationLevel=_property(row.get("evacuation_m")),
            observationDateTime=_moment(at),
        )  # fmt: skip


Maker = Callable[["Workspace", str, "Audience"], Iterator[Entity]]
TYPES: dict[str, tuple[str, Maker]] = {  # type: the kind of the gate, and what makes them
    "EvacuationSite": ("shelters", sites),
    "EvacuationShelter": ("shelters", shelters),
    "AccessPoint": ("wifi", wifi),
    "IncidentReport": ("reports", incidents),
    "RoadClosure": ("closures", closures),
    "EvacuationOrder": ("status", orders),
    "DisasterEvent": ("status", events),
    "FloodMonitoring": ("water_levels", gauges),
}


def made(workspace: Workspace, audience: Audience, types: frozenset[str] | None) -> list[Entity]:
    """The entities of these types (None: of all) that the audience may see, by type and id."""
    code = check_digit(workspace.city().code)
    found: list[Entity] = []
    for name, (kind, make) in TYPES.items():
        if (types is None or name in types) and may_see(kind, audience):
            found += make(workspace, code, audience)
    return found
