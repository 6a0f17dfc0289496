"""What the OpenAPI document says of processes and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from citymap.i18n import t

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = "application/json"
Json = dict[str, Any]
EXECUTE: Json = {
    "type": "object",
    "properties": {
        "inputs": {"type": "object"},
        "outputs": {"type": "object"},
        "response": {"type": "string", "enum": ["raw", "document"], "default": "raw"},
    },
}
_STATUSES = ["accepted", "running", "successful", "failed", "dismissed"]


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _listed(name: str, schema: Json) -> Json:
    return {**_query(name, {"type": "array", "items": schema}), "style": "form", "explode": False}


def process_paths(get: Callable[..., Json], errors: Json, lang: str) -> Json:
    """The paths of OGC API – Processes, by the same `get` as all others."""
    processes, jobs = t("ogc_process.processes", lang), t("ogc_process.jobs", lang)
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100})
    seconds = {"type": "integer", "minimum": 0}
    execute: Json = {
        "summary": t("ogc_process.execute", lang), "operationId": "execute",
        "parameters": [
            _path("processID"),
            {"name": "Prefer", "in": "header", "required": False, "schema": {"type": "string"}},
        ],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/execute"}}}},
        "responses": {
            "200": {"description": t("ogc_process.result", lang),
                    "content": {"application/geo+json": {"schema": {"type": "object"}}, JSON: {"schema": {"type": "object"}}}},
            "201": {"description": t("ogc_process.started", lang), "content": {JSON: {"schema": {"type": "object"}}},
                    "headers": {"Location": {"schema": {"type": "string"}}}},
            **errors,
        },
    }  # fmt: skip
    dismiss: Json = {
        "summary": t("ogc_process.dismiss", lang), "operationId": "dismiss",
        "parameters": [_path("jobID")],
        "responses": {"200": {"description": t("ogc_process.dismiss", lang),
                              "content": {JSON: {"schema": {"type": "object"}}}}, **errors},
    }  # fmt: skip
    return {
        "/processes": get(processes, JSON, limit, operation="processes"),
        "/processes/{processID}": get(processes, JSON, _path("processID"), operation="process"),
        "/processes/{processID}/execution": {"post": execute},
        "/jobs": get(
            jobs, JSON, limit, _listed("type", {"type": "string", "enum": ["process"]}),
            _listed("processID", {"type": "string"}),
            _listed("status", {"type": "string", "enum": _STATUSES}),
            _query("datetime", {"type": "string"}), _query("minDuration", seconds),
            _query("maxDuration", seconds), operation="jobs",
        ),
        "/jobs/{jobID}": {
            **get(jobs, JSON, _path("jobID"), operation="job"), "delete": dismiss,
        },
        "/jobs/{jobID}/results": get(
            t("ogc_process.result", lang), JSON, _path("jobID"), operation="results"
        ),
    }  # fmt: skip
