"""The processes of OGC API – Processes: what they take and give, and running them for an audience."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape

from citymap import crs
from citymap.assess import at_geometries
from citymap.assess.place import WALL
from citymap.assess.verdict import Building
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.share.gate import release
from citymap.workspace import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.progress import Progress
    from citymap.share.ogc.documents import Json, Speaker
    from citymap.workspace import Workspace

AT_PLACES, WHOLE_CITY = "exposure-at-places", "city-exposure"
VERSION = "1.0.0"
GEOJSON = "application/geo+json"
KEPT_S = 90 * 86_400.0  # as long as a job is kept
TYPES = ("Point", "Polygon", "MultiPolygon")
STRUCTURES = ("wood", "other")
_REL = "http://www.opengis.net/def/rel/ogc/1.0"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one request may ask for; `span_deg` is the longest side of one place's box."""

    places: int
    vertices: int
    span_deg: float


PUBLIC = Bounds(50, 2_000, 0.02)
SYNC = Bounds(500, 20_000, 0.05)
ASYNC = Bounds(5_000, 200_000, 0.5)


def offered(audience: Audience) -> list[str]:
    """The processes that an audience may run."""
    return [AT_PLACES] if audience in {"public", "field"} else [WHOLE_CITY, AT_PLACES]


def summary(speaker: Speaker, name: str) -> Json:
    """A process in a list."""
    only_jobs = name == WHOLE_CITY
    return {
        "id": name, "version": VERSION,
        "title": t(f"ogc_process.{_key(name)}", speaker.lang),
        "description": t(f"ogc_process.{_key(name)}_about", speaker.lang, places=PUBLIC.places),
        "jobControlOptions": ["async-execute", "dismiss"] if only_jobs
        else ["sync-execute", "async-execute", "dismiss"],
        "outputTransmission": ["value"],
        "links": [
            speaker.link("self", f"/processes/{name}", "application/json"),
            speaker.link("alternate", f"/processes/{name}?f=html", "text/html", "HTML"),
            speaker.link(f"{_REL}/execute", f"/processes/{name}/execution", "application/json"),
        ],
    }  # fmt: skip


def _key(name: str) -> str:
    return name.replace("-", "_")


def description(speaker: Speaker, workspace: Workspace, name: str) -> Json:
    """A process with its inputs and outputs."""
    lang = speaker.lang
    sets: Json = {"type": "string", "maxLength": 200}
    if known := at_geometries.set_ids(workspace):
        sets["enum"] = known

    def one(key: str, schema: Json, least: int = 0, most: int = 1) -> Json:
        return {
            "title": t(f"ogc_process.{key}", lang), "schema": schema, "minOccurs": least, "maxOccurs": most,
        }  # fmt: skip

    if name == WHOLE_CITY:
        inputs = {"set": one("set", sets)}
        schema: Json = {"type": "object", "properties": {"sets": {"type": "object"}}}
    else:
        geojson = {"type": "object", "contentMediaType": GEOJSON}
        inputs = {
            "places": one("places", {**geojson, "format": "geojson-feature-collection"}, 1),
            "sets": one("sets", sets, 0, 100),
            "storeys": one("storeys", {"type": "integer", "minimum": 1, "maximum": 100}),
            "structure": one("structure", {"type": "string", "enum": list(STRUCTURES)}),
        }
        schema = {**geojson, "format": "geojson-feature-collection"}
    return {
        **summary(speaker, name),
        "inputs": inputs,
        "outputs": {"result": {"title": t("ogc_process.result", lang), "schema": schema}},
    }


def listing(speaker: Speaker, audience: Audience, limit: int) -> Json:
    """The list of processes."""
    names = offered(audience)[:limit]
    return {"processes": [summary(speaker, n) for n in names], "links": speaker.both("/processes")}


def _wrong(name: str, reason: str) -> BadInputError:
    return BadInputError("process_input", place=name, reason=reason)


def plain_inputs(name: str, given: object) -> Json:
    """The values of an execute request by input; `{"value": …}` is opened.

    Raises:
        BadInputError: `process_input`, no such input, or one that must be there is not.
    """
    if not isinstance(given, dict):
        raise _wrong("inputs", "object")
    known = {"set"} if name == WHOLE_CITY else {"places", "sets", "storeys", "structure"}
    for key in given:
        if key not in known:
            raise _wrong(str(key)[:100], f"known: {', '.join(sorted(known))}")
    if name == AT_PLACES and "places" not in given:
        raise _wrong("places", "required")
    return {k: _opened(v) for k, v in given.items()}


def _opened(value: Any) -> Any:
    if isinstance(value, dict) and "value" in value and "type" not in value:
        return value["value"]
    return [_opened(v) for v in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Question:
    """Places to answer for, checked."""

    shapes: list[Any]
    names: list[Any]
    buildings: list[Building]
    only: frozenset[str] | None


def question(workspace: Workspace, given: Json, bounds: Bounds) -> Question:
    """The checked inputs of `exposure-at-places`.

    Raises:
        BadInputError: `process_input`, `process_too_large`, `place_swapped`, `place_not_in_japan`,
            `place_outside_city`.
    """
    listed = _features(given["places"])
    if len(listed) > bounds.places:
        raise BadInputError("process_too_large", most=bounds.places, count=len(listed))
    storeys = _storeys(given.get("storeys"), "storeys")
    structure = given.get("structure")
    if structure not in {None, *STRUCTURES}:
        raise _wrong("structure", ", ".join(STRUCTURES))
    sets = given.get("sets")
    names = [sets] if isinstance(sets, str) else sets
    known = at_geometries.set_ids(workspace)
    if names is not None and (
        not isinstance(names, list) or not all(isinstance(n, str) and n in known for n in names)
    ):
        raise _wrong("sets", f"known: {', '.join(known)}"[:500])
    shapes, ids, buildings, vertices = [], [], [], 0
    box = workspace.city().bbox
    for number, one in enumerate(listed):
        place = f"places[{number}]"
        found = _shape(one.get("geometry"), place)
        vertices += int(shapely.get_num_coordinates(found))
        if vertices > bounds.vertices:
            raise BadInputError(
                "process_too_large", most=f"{bounds.vertices:,}", count=f"{vertices:,}"
            )
        _near(found, place, box, bounds)
        properties = one.get("properties") or {}
        if not isinstance(properties, dict):
            raise _wrong(f"{place}.properties", "object")
        own = _storeys(properties.get("storeys"), f"{place}.properties.storeys")
        shapes.append(found)
        ids.append(one["id"] if isinstance(one.get("id"), str | int) else number)
        buildings.append(Building(own or storeys, None, None, structure))
    return Question(shapes, ids, buildings, None if not names else frozenset(names))


def _features(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        raise _wrong("places", "GeoJSON")
    kind = value.get("type")
    if kind == "FeatureCollection":
        listed = value.get("features")
        if (
            not isinstance(listed, list)
            or not listed
            or not all(isinstance(f, dict) for f in listed)
        ):
            raise _wrong("places", "features")
        return listed
    if kind == "Feature":
        return [value]
    return [{"geometry": value}]


def _storeys(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise _wrong(name, "1–100")
    return value


def _shape(geometry: Any, place: str) -> Any:
    if not isinstance(geometry, dict) or geometry.get("type") not in TYPES:
        raise _wrong(f"{place}.geometry", ", ".join(TYPES))
    try:
        found = shapely.force_2d(shape(geometry))
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError) as e:
        raise _wrong(f"{place}.geometry", "coordinates") from e
    if found.is_empty or not np.isfinite(shapely.get_coordinates(found)).all():
        raise _wrong(f"{place}.geometry", "coordinates")
    if not found.is_valid:
        raise _wrong(f"{place}.geometry", shapely.is_valid_reason(found)[:200])
    return found


def _near(
    found: Any, place: str, box: tuple[float, float, float, float] | None, bounds: Bounds
) -> None:
    """In Japan, in or beside the city, and not too wide."""
    west, south, east, north = found.bounds
    japan = crs.JAPAN_LON_LAT
    if not (japan[0] <= west and east <= japan[2] and japan[1] <= south and north <= japan[3]):
        swapped = japan[0] <= south and north <= japan[2] and japan[1] <= west and east <= japan[3]
        raise BadInputError("place_swapped" if swapped else "place_not_in_japan", place=place)
    if box is not None and (
        east < box[0] - WALL
        or west > box[2] + WALL
        or north < box[1] - WALL
        or south > box[3] + WALL
    ):
        raise BadInputError("place_outside_city", place=place)
    if max(east - west, north - south) > bounds.span_deg:
        raise BadInputError("process_too_wide", place=place, degrees=bounds.span_deg)


def answered(
    workspace: Workspace, asked: Question, audience: Audience, *, progress: Progress | None = None
) -> Json:
    """The answer as a GeoJSON FeatureCollection, through the gate."""
    found = at_geometries.records(
        workspace, asked.shapes, asked.buildings, only=asked.only, progress=progress
    )
    features = [
        {"type": "Feature", "id": name, "geometry": mapping(one), "properties": record}
        for name, one, record in zip(
            asked.names, asked.shapes, release("place", found, audience), strict=True
        )
    ]
    return {"type": "FeatureCollection", "features": features}


def result_file(workspace: Workspace, job: str) -> Path:
    """Where the answer of a job lies."""
    return workspace.root / "processes" / f"{job}.json"


def run_into_file(
    workspace: Workspace, job: str, params: Mapping[str, Any], *, progress: Progress
) -> int:
    """Answer the inputs of a job into its file; how many places. Files of old jobs go.

    Raises:
        BadInputError: see `question`.
    """
    asked = question(workspace, dict(params["inputs"]), ASYNC)
    found = answered(workspace, asked, params["audience"], progress=progress)
    path = result_file(workspace, job)
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(found, ensure_ascii=False, allow_nan=False))
    for old in path.parent.glob("*.json"):
        if time.time() - old.stat().st_mtime > KEPT_S:
            old.unlink(missing_ok=True)
    return len(asked.shapes)


def forget(workspace: Workspace, job: str) -> None:
    """Drop the answer of a job."""
    result_file(workspace, job).unlink(missing_ok=True)


def seconds(text: str, name: str) -> float:
    """A number of seconds of a parameter.

    Raises:
        BadInputError: `ogc_parameter`.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise BadInputError("ogc_parameter", place=name, value=text[:100])
    return value
