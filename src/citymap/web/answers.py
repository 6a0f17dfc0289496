"""JSON answers, and the one place that maps an error to a status code."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING

from starlette.responses import Response

from citymap.errors import CitymapError
from citymap.i18n import DEFAULT_LANGUAGE, LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

STATUS_CODES = {
    "city_busy": 503,
    "no_city": 503,
    "not_a_city": 503,
    "no_buildings": 503,
    "no_tiles": 503,
    "unknown_building": 404,
    "empty_query": 422,
    "bad_scenario_name": 404,
    "flood_no_result": 404,
    "store_busy": 503,
    "store_damaged": 503,
    "store_full": 507,
    "store_gone": 503,
    "store_io": 503,
    "store_newer": 503,
    "store_read_only": 503,
    "unknown_job": 404,
    "bad_categories": 503,
    "key_needs_tls": 403,
    "key_refused": 401,
    "key_scope": 403,
    "method_not_known": 405,
    "no_such_address": 404,
    "not_allowed": 403,
    "ngsi_exists": 409,
    "ngsi_no_entity": 404,
    "ngsi_parameter": 400,
    "ngsi_too_broad": 400,
    "ngsi_too_many": 403,
    "ogc_crs": 400,
    "ogc_filter": 400,
    "ogc_no_collection": 404,
    "ogc_no_feature": 404,
    "ogc_no_grid": 404,
    "ogc_no_tile": 404,
    "ogc_parameter": 400,
    "ogc_too_large": 413,
    "ogc_unknown_parameter": 400,
    "hazard_description": 503,
    "job_has_no_result": 404,
    "job_not_ready": 404,
    "no_process": 404,
    "process_busy": 503,
    "process_input": 400,
    "process_too_large": 413,
    "process_too_wide": 413,
    "paper_district": 404,
    "photo_bomb": 413,
    "photo_broken": 422,
    "photo_gone": 404,
    "photo_too_large": 413,
    "photo_type": 415,
    "place_hazard": 404,
    "place_not_in_japan": 422,
    "place_outside_city": 404,
    "place_position": 422,
    "place_swapped": 422,
    "remote_address": 400,
    "remote_not_allowed": 403,
    "report_category": 422,
    "report_changed": 409,
    "report_conflict": 422,
    "report_field": 422,
    "report_future": 422,
    "report_id": 422,
    "report_no_position": 422,
    "report_not_json": 422,
    "report_not_multipart": 415,
    "report_outside": 422,
    "report_photos": 413,
    "report_text_long": 413,
    "report_time": 422,
    "report_too_long": 413,
    "report_too_many": 429,
    "report_too_old": 422,
    "report_unknown": 404,
    "report_unknown_field": 422,
    "report_unreadable": 422,
}


def language(request: Request) -> str:
    """The language of the answer: `?lang=`, else Accept-Language, else Japanese."""
    asked = request.query_params.get("lang")
    if asked in LANGUAGES:
        return asked
    for item in request.headers.get("accept-language", "").split(","):
        name = item.split(";")[0].strip().lower()[:2]
        if name in LANGUAGES:
            return name
    return DEFAULT_LANGUAGE


def answer(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`value` as JSON; nulls stay null, and a NaN is an error here rather than at the reader."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(
        body.encode(),
        status,
        media_type="application/json",
        headers={"cache-control": "no-cache", **(headers or {})},
    )


def said_to_anybody(error: CitymapError, lang: str) -> dict[str, str | None]:
    """Key, message and remedy; of a file of the server only its name."""
    place = error.place
    if place is not None and PurePath(place).is_absolute():
        place = PurePath(place).name
    said = CitymapError(error.key, place=place, **error.values).as_dict(lang)
    if error.key in {"not_a_city", "not_found"}:
        said["message"] = CitymapError("no_city").as_dict(lang)["message"]
    return {"error": error.key, "message": said["message"], "remedy": said["remedy"]}


def error_answer(error: CitymapError, request: Request) -> Response:
    """What happened and what to do, without the paths of the server."""
    safe = said_to_anybody(error, language(request))
    status = STATUS_CODES.get(error.key, 500)
    later = {"retry-after": "30"} if status in {429, 503, 507} else None
    return answer(safe, status=status, headers=later)
