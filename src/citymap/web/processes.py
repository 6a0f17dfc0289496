"""`/ogc/processes` and `/ogc/jobs`: running exposure by OGC API – Processes.

The public may only ask for a few places at once and gets its answer in the same request. Staff, and
keys of the use `processes`, may also start jobs; a job is seen by who started it and by administrators.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from citymap.errors import BadInputError, CitymapError
from citymap.i18n import worded
from citymap.jobs import submit
from citymap.layers.remote import Allowed, fetch
from citymap.share.doors import Door, Knock, declare
from citymap.share.ogc import geojson, html_page, processes
from citymap.share.ogc.documents import HTML, JSON
from citymap.share.ogc.processes import ASYNC, AT_PLACES, GEOJSON, PUBLIC, SYNC, WHOLE_CITY
from citymap.store import jobs
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.web.access import by_key, needs, person
from citymap.web.answers import STATUS_CODES, language, said_to_anybody
from citymap.web.keys import Use
from citymap.web.ogc import ALLOWED_HEADERS, CORS, Asked
from citymap.workspace import Workspace, city_at

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.store.jobs import Job
    from citymap.web.identity import People

EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
TYPES_OF = {
    "no_process": "no-such-process",
    "unknown_job": "no-such-job",
    "job_not_ready": "result-not-ready",
}
KINDS = {"exposure_at_places": AT_PLACES, "exposure": WHOLE_CITY}
STATES = {
    "queued": "accepted", "running": "running", "done": "successful", "failed": "failed",
    "interrupted": "failed", "cancelled": "dismissed",
}  # fmt: skip
AT_ONCE = 2  # questions of one process that are worked out at a time
MAX_LISTED = 1000
_P, _J = "/ogc/processes", "/ogc/jobs"


def _knocks(workspace: Workspace) -> list[Knock]:
    box = workspace.city().bbox
    assert box is not None  # noqa: S101  (the planted city has one)
    point = {"type": "Point", "coordinates": [box[0], box[1]]}
    body = json.dumps({"inputs": {"places": point, "storeys": 2}}).encode()
    return [Knock(f"{_P}/{AT_PLACES}/execution", "POST", body, (("content-type", JSON),))]


declare(
    Door(_P, nothing="what can be run"),
    Door(f"{_P}/{{process}}", kinds=("exposure",), knocks=lambda _: [
        Knock(f"{_P}/{AT_PLACES}"), Knock(f"{_P}/{AT_PLACES}?f=html")]),
    Door(f"{_P}/{{process}}/execution", kinds=("place",), knocks=_knocks),
    Door(_J, nothing="jobs of the very person who asks"),
    Door(f"{_J}/{{job}}", nothing="a job of the very person who asks"),
    Door(f"{_J}/{{job}}/results", nothing="what passed the gate for the very person who asks"),
)  # fmt: skip


class Processes:
    """The routes of one city."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._settings = people.settings
        self._turns = BoundedSemaphore(AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        """The routes under `/ogc/processes` and `/ogc/jobs`."""
        return by_key(Use(Scope.PROCESSES, writes=True), needs(
            Role.PUBLIC,  # what each may run and see is decided below
            self._route(_P, self.processes),
            self._route(f"{_P}/{{process}}", self.process),
            self._route(f"{_P}/{{process}}/execution", self.execution, "POST"),
            self._route(_J, self.jobs),
            self._route(f"{_J}/{{job}}", self.job),
            self._route(f"{_J}/{{job}}", self.dismiss, "DELETE"),
            self._route(f"{_J}/{{job}}/results", self.results),
        ))  # fmt: skip

    def _route(self, path: str, work: Callable[[Asked], Response], method: str = "GET") -> Route:
        """A route whose work is done in a thread; errors become exceptions of the standard."""

        @wraps(work)
        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                allowed = {"access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
                           "access-control-allow-headers": ALLOWED_HEADERS}  # fmt: skip
                return Response(None, 204, {**CORS, **allowed})
            try:
                if method == "POST":
                    await request.body()  # kept by the request; read where the loop can wait
                return await run_sync(
                    lambda: work(Asked(request, self._workspace(), ("json", "html")))
                )
            except CitymapError as error:
                return _exception(error, request)

        methods = [method] if method == "DELETE" else [method, "OPTIONS"]
        return Route(path, endpoint, methods=methods)

    def _workspace(self) -> Workspace:
        return city_at(self._settings.city)

    def processes(self, call: Asked) -> Response:
        """`GET /ogc/processes`."""
        limit = _limit(call, 100)
        about = processes.listing(call.speaker, call.audience, limit)
        return _document(call, about, "processes", "/processes")

    def process(self, call: Asked) -> Response:
        """`GET /ogc/processes/{process}`."""
        about = processes.description(call.speaker, call.workspace, _name(call))
        return _document(call, about, str(about["title"]), f"/processes/{about['id']}")

    def execution(self, call: Asked) -> Response:
        """`POST /ogc/processes/{process}/execution`: the answer itself (200), or a job (201)."""
        name = _name(call)
        given = _body(getattr(call.request, "_body", b""))
        wants = _wanted(given)
        inputs = processes.plain_inputs(name, given.get("inputs", {}))
        who = person(call.request)
        trusted = who is not None and who.role.reaches(Role.STAFF)
        asked_for = call.request.headers.get("prefer", "").replace(" ", "").split(",")
        if name == WHOLE_CITY or (trusted and "respond-async" in asked_for):
            assert who is not None  # noqa: S101  (the whole city is offered to staff only)
            inputs = self._fetched(inputs)
            if name == AT_PLACES:
                processes.question(call.workspace, inputs, ASYNC)  # what cannot run is said now
            job = self._submitted(name, inputs, wants, call, who.name, who.role)
            about = self._status(call, job)
            return Response(
                geojson.dumped(about).encode(), 201,
                {**CORS, "location": f"{call.speaker.base}/jobs/{job.id}", "cache-control": "no-store",
                 "preference-applied": "respond-async"},
                JSON,
            )  # fmt: skip
        if trusted:
            inputs = self._fetched(inputs)
        question = processes.question(call.workspace, inputs, SYNC if trusted else PUBLIC)
        if not self._turns.acquire(timeout=10):
            raise CitymapError("process_busy")
        try:
            found = processes.answered(call.workspace, question, call.audience)
        finally:
            self._turns.release()
        return _result(call, found, wants)

    def _fetched(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs by reference read, from servers that the operator allowed."""
        allowed = Allowed(self._settings.remote_hosts, self._settings.remote_private)
        found = {}
        for key, value in inputs.items():
            if isinstance(value, dict) and isinstance(value.get("href"), str):
                try:
                    found[key] = json.loads(fetch(value["href"], allowed, limit=1 << 20).body)
                except (ValueError, RecursionError) as e:
                    raise BadInputError("process_input", place=key, reason="JSON") from e
            else:
                found[key] = value
        return found

    def _submitted(
        self, name: str, inputs: dict[str, Any], wants: str, call: Asked, by: str, role: Role
    ) -> Job:
        store = self._people.store()
        if name == WHOLE_CITY:
            from citymap.assess.at_geometries import set_ids  # noqa: PLC0415

            chosen = inputs.get("set")
            known = set_ids(call.workspace)
            if chosen is not None and chosen not in known:
                raise BadInputError(
                    "process_input", place="set", reason=f"known: {', '.join(known)}"[:500]
                )
            return submit(store, "exposure", {"set": chosen, "response": wants}, by=by, role=role)
        params = {"inputs": inputs, "audience": call.audience, "response": wants}
        return submit(store, "exposure_at_places", params, by=by, role=role)

    def _job(self, call: Asked) -> Job:
        name = call.request.path_params["job"]
        job = jobs.get(self._people.store(), name) if person(call.request) is not None else None
        if job is None or job.kind not in KINDS or not _may(call, job):
            raise BadInputError("unknown_job", job=name[:100])
        return job

    def _status(self, call: Asked, job: Job) -> dict[str, Any]:
        said: dict[str, Any] = {
            "jobID": job.id, "processID": KINDS[job.kind], "type": "process", "status": STATES[job.state],
            "message": (job.error or {}).get(call.speaker.lang) or worded(job.note, call.speaker.lang),
            "created": _moment(job.created_at), "started": _moment(job.started_at),
            "finished": _moment(job.finished_at), "updated": _moment(job.beat_at),
            "progress": None if job.share is None else round(job.share * 100),
        }  # fmt: skip
        links = call.speaker.both(f"/jobs/{job.id}")
        if job.state == "done":
            links.append(
                call.speaker.link(
                    "http://www.opengis.net/def/rel/ogc/1.0/results",
                    f"/jobs/{job.id}/results",
                    JSON,
                )
            )
        return {**{k: v for k, v in said.items() if v not in {None, ""}}, "links": links}

    def jobs(self, call: Asked) -> Response:
        """`GET /ogc/jobs`: by process, status, time and duration; the newest first."""
        limit = _limit(
            call,
            MAX_LISTED,
            "type",
            "processID",
            "status",
            "datetime",
            "minDuration",
            "maxDuration",
        )
        given = call.given
        listed = [
            self._status(call, j)
            for kind in (KINDS if person(call.request) is not None else ())
            for j in jobs.listed(self._people.store(), kind=kind, limit=10 * MAX_LISTED)
            if _may(call, j) and _fits(j, given)
        ]
        listed.sort(key=lambda s: s["created"], reverse=True)
        about = {"jobs": listed[:limit], "links": call.speaker.both("/jobs")}
        return _document(call, about, "jobs", "/jobs")

    def job(self, call: Asked) -> Response:
        """`GET /ogc/jobs/{job}`."""
        job = self._job(call)
        return _document(call, self._status(call, job), job.id, f"/jobs/{job.id}")

    def dismiss(self, call: Asked) -> Response:
        """`DELETE /ogc/jobs/{job}`: stop it, and drop its answer."""
        job = self._job(call)
        who = person(call.request)
        if not job.ended:
            job = jobs.cancel(self._people.store(), job.id, by=who.name if who is not None else "")
        processes.forget(call.workspace, job.id)
        about = {**self._status(call, job), "status": "dismissed"}
        return call.answer(geojson.dumped(about).encode(), JSON, {"cache-control": "no-store"})

    def results(self, call: Asked) -> Response:
        """`GET /ogc/jobs/{job}/results`."""
        job = self._job(call)
        call.only("f", "lang")
        if not job.ended:
            raise CitymapError("job_not_ready", place=job.id)
        if job.state != "done":
            raise CitymapError("job_has_no_result", place=job.id, reason=(job.error or {}).get(call.speaker.lang, STATES[job.state]))  # fmt: skip
        wants = str(job.params.get("response", "raw"))
        if job.kind == "exposure":
            return _result(call, {"sets": job.result["sets"]}, wants, JSON)
        try:
            text = processes.result_file(call.workspace, job.id).read_text(encoding="utf-8")
        except OSError as e:
            raise BadInputError("unknown_job", job=job.id) from e
        return _result(call, json.loads(text), wants)


def _may(call: Asked, job: Job) -> bool:
    """Whether the asker started the job, or is an administrator."""
    who = person(call.request)
    return who is not None and (job.created_by == who.name or who.role is Role.ADMIN)


def _name(call: Asked) -> str:
    name = str(call.request.path_params["process"])
    if name not in processes.offered(call.audience):
        raise BadInputError("no_process", place=name[:100])
    return name


def _limit(call: Asked, most: int, *others: str) -> int:
    call.only("f", "lang", "limit", *others)
    text = call.given.get("limit")
    if text is None:
        return min(most, 100)
    if not (text.isascii() and text.isdigit() and len(text) < 7) or not 1 <= int(text) <= 10_000:
        raise BadInputError("ogc_parameter", place="limit", value=text[:100])
    return min(int(text), most)


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _body(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise BadInputError("process_input", place="body", reason="JSON") from e
    if not isinstance(found, dict):
        raise BadInputError("process_input", place="body", reason="object")
    return found


def _wanted(given: dict[str, Any]) -> str:
    """`raw` or `document`; everything else about the answer is checked here."""
    outputs = given.get("outputs", {})
    if not isinstance(outputs, dict) or set(outputs) - {"result"}:
        raise BadInputError("process_input", place="outputs", reason="known: result")
    one = outputs.get("result", {})
    if not isinstance(one, dict) or one.get("transmissionMode", "value") != "value":
        raise BadInputError(
            "process_input", place="outputs.result", reason="transmissionMode: value"
        )
    wants = given.get("response", "raw")
    if wants not in {"raw", "document"}:
        raise BadInputError("process_input", place="response", reason="raw, document")
    if "subscriber" in given:
        raise BadInputError("process_input", place="subscriber", reason="–")
    return str(wants)


def _result(call: Asked, found: dict[str, Any], wants: str, media: str = GEOJSON) -> Response:
    """The one output itself, or a document of all outputs."""
    if wants == "document":
        found, media = {"result": {"value": found, "mediaType": media}}, JSON
    return call.answer(geojson.dumped(found).encode(), media, {"cache-control": "no-store"})


def _document(call: Asked, about: dict[str, Any], title: str, path: str) -> Response:
    if call.html:
        shown = {k: v for k, v in about.items() if k != "links"}
        body = html_page.pairs(shown, call.speaker.lang) + html_page.links(about["links"])
        page = html_page.page(call.speaker, title, body, path)
        return call.answer(page.encode(), HTML, {})
    return call.answer(geojson.dumped(about).encode(), JSON, {})


def _moment(at: datetime | None) -> str | None:
    return (
        None
        if at is None
        else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _fits(job: Job, given: dict[str, str]) -> bool:
    """Whether a job passes the filters of the list.

    Raises:
        BadInputError: `ogc_parameter`.
    """
    if "type" in given and "process" not in given["type"].split(","):
        return False
    if "processID" in given and KINDS[job.kind] not in given["processID"].split(","):
        return False
    if "status" in given and STATES[job.state] not in given["status"].split(","):
        return False
    if "datetime" in given and not _in_time(job.created_at, given["datetime"]):
        return False
    took = job.elapsed_s
    least = (
        processes.seconds(given["minDuration"], "minDuration") if "minDuration" in given else None
    )
    most = (
        processes.seconds(given["maxDuration"], "maxDuration") if "maxDuration" in given else None
    )
    if least is not None and (took is None or took < least):
        return False
    return most is None or (took is not None and took <= most)


def _in_time(at: datetime, text: str) -> bool:
    ends = text.split("/")
    try:
        moments = [
            None if e in {"", ".."} else datetime.fromisoformat(e.replace("Z", "+00:00"))
            for e in ends
        ]
        if len(moments) > 2 or any(m is not None and m.tzinfo is None for m in moments):
            raise ValueError
        if len(moments) == 1:
            moments *= 2
        start, end = moments
        return (start is None or at >= start) and (end is None or at <= end)
    except (ValueError, OverflowError) as e:
        raise BadInputError("ogc_parameter", place="datetime", value=text[:100]) from e


def _exception(error: CitymapError, request: Request) -> Response:
    said = said_to_anybody(error, language(request))
    status = STATUS_CODES.get(error.key, 500)
    status = 400 if status == 422 else status
    body = {
        "type": f"{EXCEPTIONS}/{TYPES_OF[error.key]}" if error.key in TYPES_OF else "about:blank",
        "title": said["message"], "status": status, "detail": said["remedy"], "code": error.key,
    }  # fmt: skip
    headers = {**CORS, "cache-control": "no-store"}
    if status == 503:
        headers["retry-after"] = "30"
    return Response(geojson.dumped(body).encode(), status, headers, "application/problem+json")
