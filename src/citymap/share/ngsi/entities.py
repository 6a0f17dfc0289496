"""The entities, in the normalised form of NGSI-LD, each from records that passed the gate.

Types and attributes have the names of datamodels.jp (EvacuationSite, EvacuationShelter,
IncidentReport, RoadClosure) where it has them; they stand in the default context of NGSI-LD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from citymap.assess.building_record import plain
from citymap.crs import check_digit
from citymap.errors import BadInputError
from citymap.reports.place import store_of
from citymap.share.exchange.export import load
from citymap.share.gate import may_see
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
            "EvacuationSite", code, row["place_id"],
            name=_property(row.get("name")), address=_property(row.get("address")), location=_place(row),
            hazardTypes=_property(hazards), alsoDesignatedShelter=_property(row.get("also_designated")),
            maxCapacity=_property(row.get("capacity")), targetAreas=_property(row.get("target_areas")),
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
            externalShelterId=_property(place), localGovernmentCode=_property(code),
            name=_property(row.get("name")), address=_property(row.get("address")), location=_place(row),
            maxCapacity=_property(row.get("capacity")), barrierFree=_property(row.get("barrier_free")),
            pets=_property(row.get("pets")),
            openingStatus=_property(_OPENING.get(str(said.get("state"))), at),
            evacueeTotal=_property(said.get("head_count"), at),
        )  # fmt: skip


def wifi(workspace: Workspace, code: str, audience: Audience) -> Iterator[Entity]:
    """公衆無線LAN as WifiAccessPoint (a name of ours)."""
    for row in _listed(workspace, "wifi", audience):
        yield _entity(
            "WifiAccessPoint", code, row["place_id"],
            name=_property(row.get("name")), address=_property(row.get("address")), location=_place(row),
            ssid=_property(row.get("ssid")), area=_property(row.get("area")),
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
            index=_property(row["number"]), category=_property(row.get("category")),
            name=_property(row.get("title")), incidentStatus=_property(row.get("status")),
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
            regulationCategory=_property(row.get("reason")), description=_property(row.get("public_text")),
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


Maker = Callable[["Workspace", str, "Audience"], Iterator[Entity]]
TYPES: dict[str, tuple[str, Maker]] = {  # type: the kind of the gate, and what makes them
    "EvacuationSite": ("shelters", sites),
    "EvacuationShelter": ("shelters", shelters),
    "WifiAccessPoint": ("wifi", wifi),
    "IncidentReport": ("reports", incidents),
    "RoadClosure": ("closures", closures),
    "EvacuationOrder": ("status", orders),
}


def made(workspace: Workspace, audience: Audience, types: frozenset[str] | None) -> list[Entity]:
    """The entities of these types (None: of all) that the audience may see, by type and id."""
    code = check_digit(workspace.city().code)
    found: list[Entity] = []
    for name, (kind, make) in TYPES.items():
        if (types is None or name in types) and may_see(kind, audience):
            found += make(workspace, code, audience)
    return found
