"""What the published data models say of the entities that we send, written down as JSON Schema of our own.

Read 2026-11 from github.com/geolonia/datamodels, models/disaster: EvacuationSite v1.0.0 (540e734e),
EvacuationShelter v3.0.0 (1f6a32dc), IncidentReport v3.0.0 (de59238c), RoadClosure v1.0.0 (5a307923),
DisasterEvent v1.0.0 (d65304b3), models/common/JapaneseAddress (b5c7da31); and from
github.com/smart-data-models: dataModel.Environment/FloodMonitoring (6a962ae2),
dataModel.WifiNetwork/AccessPoint (ae966fa4). They describe keys and values (`options=keyValues`).

`OURS` are attributes beyond a model; the models of datamodels.jp allow none, so they are named here one by
one. `WITHOUT` are required attributes that we leave out where they are not known.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
TEXT: Json = {"type": "string", "minLength": 1}
MOMENT: Json = {"type": "string", "format": "date-time"}
COUNT: Json = {"type": "integer", "minimum": 0}
CODE: Json = {"type": "string", "pattern": r"^\d{6}$"}
URN: Json = {"type": "string", "pattern": "^urn:ngsi-ld:"}
NUMBER: Json = {"type": "number"}
POSITION: Json = {"type": "array", "minItems": 2, "maxItems": 3, "items": NUMBER}
POINT: Json = {
    "type": "object", "required": ["type", "coordinates"], "additionalProperties": False,
    "properties": {"type": {"const": "Point"}, "coordinates": POSITION},
}  # fmt: skip
GEOMETRY: Json = {
    "type": "object", "required": ["type", "coordinates"],
    "properties": {"type": {"enum": ["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"]}},
}  # fmt: skip
ADDRESS: Json = {
    "type": "object", "additionalProperties": False,
    "properties": {"addressCountry": {"const": "JP"}, "addressText": TEXT, "addressRegion": TEXT,
                   "addressLocality": TEXT, "localGovernmentCode": CODE},
}  # fmt: skip
HAZARDS = [
    "flood",
    "landslide",
    "stormSurge",
    "earthquake",
    "tsunami",
    "greatFire",
    "inlandFlood",
    "eruption",
]

PROPERTIES: dict[str, Json] = {
    "EvacuationSite": {
        "name": TEXT, "externalSiteId": TEXT, "localGovernmentCode": CODE, "address": ADDRESS, "location": POINT,
        "hazardTypes": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": HAZARDS}},
        "alsoDesignatedShelter": {"type": "boolean"}, "maxCapacity": COUNT,
        "targetAreas": {"type": "array", "items": TEXT},
    },
    "EvacuationShelter": {
        "project": URN, "externalShelterId": TEXT, "localGovernmentCode": CODE,
        "openingStatus": {"enum": ["open", "closed", "full"]}, "evacueeTotal": COUNT,
    },
    "IncidentReport": {
        "name": TEXT, "description": TEXT, "project": URN, "externalId": TEXT, "subtype": TEXT, "statusLabel": TEXT,
        "progress": {"enum": ["needs-action", "in-process", "completed", "failed", "cancelled"]},
        "reportedAt": MOMENT, "location": POINT,
    },
    "RoadClosure": {
        "project": URN, "roadName": TEXT, "location": GEOMETRY, "statusLabel": TEXT, "description": TEXT,
        "closureStatus": {"enum": ["closed", "limited", "open"]}, "validFrom": MOMENT, "validTo": MOMENT,
    },
    "DisasterEvent": {
        "name": TEXT, "identifier": TEXT, "projectStatus": {"enum": ["active", "closed", "archived"]},
        "isPublic": {"type": "boolean"},
    },
    "AccessPoint": {"name": TEXT, "location": POINT, "ssid": {"type": "array", "items": TEXT}, "address": ADDRESS},
    "FloodMonitoring": {
        "stationID": TEXT, "currentLevel": NUMBER, "alertLevel": NUMBER, "dangerLevel": NUMBER, "location": POINT,
        "floodLevelStatus": TEXT, "observationDateTime": MOMENT, "name": TEXT,
    },
}  # fmt: skip
REQUIRED = {
    "EvacuationSite": ["name", "localGovernmentCode", "externalSiteId"],
    "EvacuationShelter": ["project", "externalShelterId", "localGovernmentCode", "openingStatus"],
    "IncidentReport": ["name", "project", "externalId", "progress"],
    "RoadClosure": ["project", "closureStatus", "location"],
    "DisasterEvent": ["name"],
    "AccessPoint": ["name"],
    "FloodMonitoring": [],
}
WITHOUT = {"EvacuationShelter": {"openingStatus"}}  # not known is not closed
OURS: dict[str, Json] = {
    "EvacuationShelter": {"name": TEXT, "address": ADDRESS, "location": POINT, "maxCapacity": COUNT,
                          "barrierFree": {}, "pets": {}},
    "IncidentReport": {"depth": NUMBER},
    "AccessPoint": {"area": TEXT, "operator": TEXT, "url": TEXT},
    "FloodMonitoring": {"river": TEXT, "standbyLevel": NUMBER, "evacuationLevel": NUMBER},
}  # fmt: skip


def schema(kind: str) -> Json:
    """The schema of one type."""
    required = [n for n in REQUIRED[kind] if n not in WITHOUT.get(kind, set())]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {"id": URN, "type": {"const": kind}, **PROPERTIES[kind], **OURS.get(kind, {})},
        "required": ["id", "type", *required], "additionalProperties": False,
    }  # fmt: skip
