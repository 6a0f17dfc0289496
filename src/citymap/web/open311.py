"""`/open311/v2/…`: GeoReport v2 for other cities' programs; reading is free, sending needs a key."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from anyio.to_thread import run_sync
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.responses import Response
from starlette.routing import Route

from citymap.errors import BadInputError, CitymapError
from citymap.i18n import t
from citymap.reports import desk, incoming, keys, receive
from citymap.reports.categories import in_force
from citymap.reports.model import MAX_CONTACT, MAX_TEXT, ReportError, Sender
from citymap.reports.place import store_of
from citymap.share import open311
from citymap.share.doors import Door, Knock, declare
from citymap.share.open311 import MEDIA, Form, written
from citymap.store.accounts import Role
from citymap.store.tables import now
from citymap.web.access import needs
from citymap.web.answers import STATUS_CODES, language
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.web.identity import People

BASE = "/open311/v2"
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"  # the name by which programs know it
CHANGESET = "2026-11-21T00:00:00Z"  # when what we offer last changed
MAX_PARAMETERS = 100
_ATTRIBUTE = re.compile(r"attribute\[(\w{1,40})\](?:\[\])?")
_STATUS = {**STATUS_CODES, "open311_key": 403, "open311_jurisdiction": 404, "open311_service": 404}
Endpoint = Callable[["Request"], Awaitable[Response]]


def _request_knocks(workspace: Workspace) -> list[Knock]:
    store = store_of(workspace)
    numbers = [] if store is None else [r.number for r in desk.listed(store)]
    return [Knock(f"{BASE}/requests/{n}.{form}") for n in numbers for form in ("json", "xml")]


declare(
    Door(f"{BASE}/discovery.{{form}}", nothing="says where the interface is and its version"),
    Door(f"{BASE}/services.{{form}}", nothing="the categories that can be reported"),
    Door(f"{BASE}/services/{{code}}.{{form}}", nothing="what a category asks"),
    Door(f"{BASE}/requests.{{form}}", kinds=("reports",),
         knocks=lambda _: [Knock(f"{BASE}/requests.{f}") for f in ("json", "xml")]),
    Door(f"{BASE}/requests/{{number}}.{{form}}", kinds=("reports",), knocks=_request_knocks),
    Door(f"{BASE}/tokens/{{token}}.{{form}}", nothing="gives the sender of a report its number"),
)  # fmt: skip


class Open311Error(CitymapError):
    """A request that GeoReport v2 refuses."""


def answering(endpoint: Endpoint) -> Endpoint:
    """Errors in the form of the specification, in the format that was asked for."""

    async def answered(request: Request) -> Response:
        form = _form(request)
        if form is None:
            return Response("not found", 404)
        try:
            return await endpoint(request)
        except CitymapError as error:
            status = _STATUS.get(error.key, 500)
            status = 400 if status in {413, 415, 422} else status
            said = error.as_dict(language(request))
            value = [{"code": status, "description": f"{said['message']} {said['remedy']}"}]
            return _answer(value, form, "errors", "error", status=status)

    return answered


def _form(request: Request) -> Form | None:
    form = request.path_params["form"]
    return form if form in MEDIA else None


def _answer(value: object, form: Form, root: str, item: str = "", *, status: int = 200) -> Response:
    headers = {"access-control-allow-origin": "*", "cache-control": "no-cache"}
    return Response(written(value, form, root, item), status, headers, MEDIA[form])


class Open311:
    """The routes of one city."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._prefix = people.settings.root_path

    def routes(self) -> list[BaseRoute]:
        """The routes under `/open311/v2`."""
        return [
            *needs(
                Role.PUBLIC,
                Route(f"{BASE}/discovery.{{form}}", answering(self.discovery)),
                Route(f"{BASE}/services.{{form}}", answering(self.services)),
                Route(f"{BASE}/services/{{code}}.{{form}}", answering(self.service)),
                Route(f"{BASE}/requests.{{form}}", answering(self.requests), methods=["GET"]),
                Route(f"{BASE}/requests.{{form}}", answering(self.post), methods=["POST"]),
                Route(f"{BASE}/requests/{{number}}.{{form}}", answering(self.request)),
                Route(f"{BASE}/tokens/{{token}}.{{form}}", answering(self.token)),
            )
        ]

    def _workspace(self, jurisdiction: str | None) -> Workspace:
        if self._people.settings.city is None:
            raise BadInputError("no_city")
        workspace = Workspace(self._people.settings.city)
        if jurisdiction and jurisdiction != workspace.city().code:
            raise Open311Error("open311_jurisdiction")
        return workspace

    def _here(self, request: Request) -> Workspace:
        return self._workspace(request.query_params.get("jurisdiction_id"))

    def _photos(self, request: Request) -> str:
        return f"{request.url.scheme}://{request.url.netloc}{self._prefix}/feeds/photos"

    async def discovery(self, request: Request) -> Response:
        """`GET discovery`: where this interface is."""
        form: Form = request.path_params["form"]
        base = f"{request.url.scheme}://{request.url.netloc}{self._prefix}{BASE}"
        city = await run_sync(lambda: self._here(request).city())
        said = {
            "changeset": CHANGESET, "contact": city.name,
            "key_service": t("report.open311_key", language(request), city=city.name),
            "endpoints": [{
                "specification": SPECIFICATION, "url": base, "changeset": CHANGESET, "type": "production",
                "formats": ["text/xml", "application/json"],
            }],
        }  # fmt: skip
        return _answer(said, form, "discovery")

    async def services(self, request: Request) -> Response:
        """`GET services`: the categories."""
        workspace = await run_sync(self._here, request)
        listed = open311.services(in_force(workspace), language(request))
        return _answer(listed, request.path_params["form"], "services", "service")

    async def service(self, request: Request) -> Response:
        """`GET services/{code}`: what a category asks."""
        workspace = await run_sync(self._here, request)
        category = in_force(workspace).by_code().get(request.path_params["code"])
        if category is None:
            raise Open311Error("open311_service")
        said = open311.definition(category, language(request))
        return _answer(said, request.path_params["form"], "service_definition")

    async def requests(self, request: Request) -> Response:
        """`GET requests`: public reports."""
        query = request.query_params
        start, end = (_moment(query.get(name)) for name in ("start_date", "end_date"))
        status = _several(query.get("status"))
        if set(status) - {"open", "closed"}:
            raise ReportError("report_field", field="status")
        workspace = await run_sync(self._here, request)
        found = await run_sync(
            lambda: open311.requests(
                self._people.store(), workspace, photos=self._photos(request),
                lang=language(request), ids=_several(query.get("service_request_id")),
                codes=_several(query.get("service_code")), status=status, start=start, end=end,
            )
        )  # fmt: skip
        return _answer(found, request.path_params["form"], "service_requests", "request")

    async def request(self, request: Request) -> Response:
        """`GET requests/{number}`: one public report, as a list of one."""
        workspace = await run_sync(self._here, request)
        found = await run_sync(
            lambda: open311.requests(
                self._people.store(), workspace, photos=self._photos(request),
                lang=language(request), ids=(request.path_params["number"],),
            )
        )  # fmt: skip
        if not found:
            raise ReportError("report_unknown")
        return _answer(found, request.path_params["form"], "service_requests", "request")

    async def token(self, request: Request) -> Response:
        """`GET tokens/{token}`: the number of a report, for who sent it."""
        token = request.path_params["token"][:64]
        report = await run_sync(lambda: desk.found(self._people.store(), token))
        if report is None:
            raise ReportError("report_unknown")
        said = [{"service_request_id": str(report.number), "token": token}]
        return _answer(said, request.path_params["form"], "service_requests", "request")

    async def post(self, request: Request) -> Response:
        """`POST requests`: a report from another program, answered when it is on the disk."""
        sent = await _parameters(request)
        lang = language(request)
        number = await run_sync(self._keep, sent, request.headers.get("idempotency-key", ""))
        said = [
            {
                "service_request_id": str(number), "service_notice": t("report.notice", lang),
                "account_id": "",
            }
        ]  # fmt: skip
        return _answer(said, request.path_params["form"], "service_requests", "request", status=201)

    def _keep(self, sent: Mapping[str, str], repeated: str) -> int:
        store = self._people.store()
        program = keys.whose(store, sent.get("api_key", ""))
        if program is None:
            raise Open311Error("open311_key")
        workspace = self._workspace(sent.get("jurisdiction_id"))
        listed = in_force(workspace)
        if not sent.get("service_code"):
            raise ReportError("report_field", field="service_code")
        if sent["service_code"] not in listed.by_code():
            raise Open311Error("open311_service")
        at = now()
        data = _data(sent, workspace, program, repeated)
        report = incoming.read(data, photos=(), catalogue=listed, bbox=workspace.city().bbox, at=at)
        sender = Sender(f"program:{program}", Role.PUBLIC.value, "open311")
        return receive.accept(store, workspace, report, sender=sender, at=at).number


def _data(
    sent: Mapping[str, str], workspace: Workspace, program: str, repeated: str
) -> dict[str, Any]:
    """The parameters as a report; an address is looked up in the city's own list."""
    attributes = {m[1]: v for k, v in sent.items() if (m := _ATTRIBUTE.fullmatch(k))}
    source = "map"
    if sent.get("lat") or sent.get("long"):
        lon, lat = _number(sent, "long"), _number(sent, "lat")
    else:
        lon, lat = _address(workspace, sent.get("address_string", ""))
        source = "address"
    text = sent.get("description", "")
    if sent.get("media_url"):
        text = f"{text}\n{sent['media_url'][:500]}".strip()  # told to staff, never fetched
    names = ("first_name", "last_name", "email", "phone")
    contact = " ".join(sent[n] for n in names if sent.get(n))
    # A program that repeats itself names a key; without one every request is another report.
    made = uuid.uuid5(uuid.NAMESPACE_URL, f"{program} {repeated}") if repeated else uuid.uuid4()
    depth, severity = attributes.get(open311.DEPTH), attributes.get(open311.SEVERITY)
    return {
        "id": str(made), "category": sent["service_code"], "lon": lon, "lat": lat,
        "position_source": source, "text": text[:MAX_TEXT], "contact": contact[:MAX_CONTACT],
        "depth_m": None if not depth else _number(attributes, open311.DEPTH),
        "severity": None if not severity else int(_number(attributes, open311.SEVERITY)),
    }  # fmt: skip


def _number(sent: Mapping[str, str], name: str) -> float:
    try:
        found = float(sent.get(name, ""))
        if not math.isfinite(found):
            raise ValueError(name)
    except ValueError as e:
        raise ReportError("report_field", field=name) from e
    return found


def _address(workspace: Workspace, text: str) -> tuple[float, float]:
    """The place of an address that stands in the city's list as it is written."""
    if text.strip() and workspace.addresses.is_file():
        table = pq.read_table(workspace.addresses, columns=["address", "lon", "lat"])
        found = table.filter(pc.equal(table["address"], text.strip()))
        if found.num_rows == 1:
            return float(found["lon"][0].as_py()), float(found["lat"][0].as_py())
    raise ReportError("report_no_position")


def _several(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",")[:200] if part.strip())


def _moment(text: str | None) -> datetime | None:
    return incoming.moment(text.replace(" ", "+")) if text else None  # an unescaped +09:00


async def _parameters(request: Request) -> dict[str, str]:
    """The parameters of a POST, urlencoded or multipart; files in it are not taken."""
    kind = request.headers.get("content-type", "").lower()
    sent = dict(request.query_params)
    try:
        if kind.startswith("multipart/form-data"):
            multipart = MultiPartParser(
                request.headers, request.stream(), max_files=1, max_fields=MAX_PARAMETERS,
                max_part_size=incoming.MAX_JSON_BYTES,
            )  # fmt: skip
            form = await multipart.parse()
        elif kind.startswith("application/x-www-form-urlencoded"):
            form = await FormParser(request.headers, request.stream()).parse()
        else:
            raise ReportError("report_unreadable")
    except (MultiPartException, OSError) as e:
        raise ReportError("report_unreadable") from e
    if len(form) > MAX_PARAMETERS:
        raise ReportError("report_unreadable")
    sent |= {k: v for k, v in form.items() if isinstance(v, str)}
    await form.close()
    return sent
