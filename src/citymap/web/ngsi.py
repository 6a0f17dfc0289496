"""`/ngsi-ld/v1/…`: entities for the city OS, as the asker's role may see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from citymap.errors import BadInputError, CitymapError
from citymap.layers.remote import Allowed
from citymap.share.ngsi import query, subscriptions
from citymap.share.ngsi.broker import CONTEXT
from citymap.share.ngsi.doors import BASE
from citymap.share.ngsi.entities import TYPES, Entity, made
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.web.access import by_key, needs, person
from citymap.web.answers import STATUS_CODES, language, said_to_anybody
from citymap.web.audience import audience
from citymap.web.keys import Use
from citymap.workspace import Workspace, city_at

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.settings import Settings

LINK = f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
ERRORS = "https://uri.etsi.org/ngsi-ld/errors"
DEFAULT_LIMIT, MAX_LIMIT = 20, 1000
SELECTORS = frozenset({"type", "id", "idPattern", "attrs", "q", "georel"})
KNOWN = SELECTORS | {
    "geometry",
    "coordinates",
    "geoproperty",
    "limit",
    "offset",
    "count",
    "options",
    "lang",
}
OPTIONS = frozenset({"keyValues", "simplified", "normalized", "count", "sysAttrs"})


class Ngsi:
    """The routes of one city."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[BaseRoute]:
        """The routes under `/ngsi-ld/v1`."""
        return [
            *by_key(Use(Scope.CITY_OS), needs(
                Role.PUBLIC,
                self._route(f"{BASE}/entities", self.entities),
                self._route(f"{BASE}/entities/{{entity:path}}", self.entity),
                self._route(f"{BASE}/types", self.types),
            )),
            *by_key(Use(Scope.SUBSCRIPTIONS, writes=True), needs(
                Role.STAFF,
                Route(f"{BASE}/subscriptions", self.subscriptions, methods=["GET", "POST"]),
                Route(
                    f"{BASE}/subscriptions/{{subscription}}", self.unsubscribe, methods=["DELETE"]
                ),
            )),
        ]  # fmt: skip

    async def subscriptions(self, request: Request) -> Response:
        """`GET`: all of them. `POST`: a new one, whose endpoint the operator must have allowed."""
        try:
            workspace = self._workspace()
            if request.method != "POST":
                listed = await run_sync(lambda: subscriptions.listed(workspace))
                return _answer(request, listed, {}, [])
            try:
                asked = json.loads(await request.body())
            except (ValueError, RecursionError) as e:
                raise BadInputError("ngsi_parameter", place="body", value="JSON") from e
            allowed = Allowed(self._settings.remote_hosts, self._settings.remote_private)
            who = person(request)
            by = who.name if who is not None else ""
            name = await run_sync(lambda: subscriptions.add(workspace, asked, allowed, by=by))
        except CitymapError as error:
            return _problem(error, request)
        place = f"{request.url.path.rstrip('/')}/{name}"
        return Response(None, 201, {"location": place, "cache-control": "no-store"})

    async def unsubscribe(self, request: Request) -> Response:
        """`DELETE`: take one out."""
        try:
            workspace, name = self._workspace(), request.path_params["subscription"]
            await run_sync(lambda: subscriptions.remove(workspace, name))
        except CitymapError as error:
            return _problem(error, request)
        return Response(None, 204)

    def _route(self, path: str, work: Callable[[Request, Workspace], Response]) -> Route:
        @wraps(work)
        async def endpoint(request: Request) -> Response:
            try:
                return await run_sync(lambda: work(request, self._workspace()))
            except CitymapError as error:
                return _problem(error, request)

        return Route(path, endpoint)

    def _workspace(self) -> Workspace:
        return city_at(self._settings.city)

    def entities(self, request: Request, workspace: Workspace) -> Response:
        """`GET /ngsi-ld/v1/entities`."""
        given = dict(request.query_params)
        unknown = set(given) - KNOWN
        if unknown:
            raise BadInputError("ngsi_parameter", place=min(unknown)[:100], value="?")
        if not SELECTORS & set(given):
            raise BadInputError("ngsi_too_broad")
        options = _options(given)
        limit = _number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        offset = _number(given, "offset", 0, 10**9)
        found = selected(workspace, request, given)
        shown = found[offset : offset + limit]
        headers = {}
        if given.get("count") == "true" or "count" in options:
            headers["ngsild-results-count"] = str(len(found))
        turns = []
        path = f"{request.url.path}"
        if offset + limit < len(found) and limit:
            turns.append(f'<{path}?{urlencode({**given, "offset": offset + limit})}>; rel="next"')
        if offset:
            before = urlencode({**given, "offset": max(0, offset - limit)})
            turns.append(f'<{path}?{before}>; rel="prev"')
        return _answer(request, [_shaped(e, given, options) for e in shown], headers, turns)

    def entity(self, request: Request, workspace: Workspace) -> Response:
        """`GET /ngsi-ld/v1/entities/{entity}`."""
        given = dict(request.query_params)
        unknown = set(given) - {"attrs", "options", "lang"}
        if unknown:
            raise BadInputError("ngsi_parameter", place=min(unknown)[:100], value="?")
        name = request.scope["path"].partition(f"{BASE}/entities/")[2]
        kind = name.split(":")[2] if name.count(":") >= 3 else ""
        wanted = {name, request.path_params["entity"]}
        if kind in TYPES:
            for one in made(workspace, audience(request), frozenset({kind})):
                if one["id"] in wanted or unquote(one["id"]) in wanted:
                    return _answer(request, _shaped(one, given, _options(given)), {}, [])
        raise BadInputError("ngsi_no_entity", place=name[:200])

    def types(self, request: Request, workspace: Workspace) -> Response:
        """`GET /ngsi-ld/v1/types`."""
        del workspace
        listed = {
            "id": "urn:ngsi-ld:EntityTypeList:citymap",
            "type": "EntityTypeList",
            "typeList": sorted(TYPES),
        }
        return _answer(request, listed, {}, [])


def selected(workspace: Workspace, request: Request, given: Mapping[str, str]) -> list[Entity]:
    """All entities that a request asks for.

    Raises:
        BadInputError: a parameter that cannot be.
    """
    types = frozenset(given["type"].split(",")) if "type" in given else None
    test = query.matches(given["q"]) if "q" in given else None
    near = query.placed(given, workspace.city().epsg)
    named = frozenset(given["id"].split(",")) if "id" in given else None
    like = query.pattern(given["idPattern"][:200], "idPattern") if "idPattern" in given else None
    attributes = _attributes(given)
    return [
        one for one in made(workspace, audience(request), types)
        if (named is None or one["id"] in named or unquote(one["id"]) in named)
        and (like is None or like(one["id"]))
        and (attributes is None or attributes & set(one))
        and (test is None or test(one)) and (near is None or near(one))
    ]  # fmt: skip


def _attributes(given: Mapping[str, str]) -> frozenset[str] | None:
    return frozenset(given["attrs"].split(",")) if given.get("attrs") else None


def _options(given: Mapping[str, str]) -> frozenset[str]:
    options = frozenset(given["options"].split(",")) if given.get("options") else frozenset()
    if options - OPTIONS:
        raise BadInputError("ngsi_parameter", place="options", value=given["options"][:100])
    return options


def _number(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12) or int(text) > most:
        raise BadInputError("ngsi_parameter", place=name, value=text[:100])
    return int(text)


def _shaped(entity: Entity, given: Mapping[str, str], options: frozenset[str]) -> Entity:
    kept = query.chosen(entity, _attributes(given))
    return query.simplified(kept) if options & {"keyValues", "simplified"} else kept


def _answer(request: Request, value: Any, headers: dict[str, str], turns: list[str]) -> Response:
    """`application/ld+json` with the context inside where asked for, else JSON with a Link to it."""
    as_ld = "application/ld+json" in request.headers.get("accept", "")
    if as_ld:
        listed = value if isinstance(value, list) else [value]
        said = [{**one, "@context": CONTEXT} for one in listed]
        value = said if isinstance(value, list) else said[0]
    else:
        turns = [LINK, *turns]
    private = audience(request) != "public"
    response = Response(
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode(),
        headers={
            "cache-control": "private, no-cache" if private else "no-cache", "vary": "Accept, Cookie, Authorization, X-API-Key",
            "access-control-allow-origin": "*", **headers,
        },
        media_type="application/ld+json" if as_ld else "application/json",
    )  # fmt: skip
    if turns:
        response.headers["link"] = ", ".join(turns)
    return response


def _problem(error: CitymapError, request: Request) -> Response:
    said = said_to_anybody(error, language(request))
    status = STATUS_CODES.get(error.key, 500)
    names = {400: "BadRequestData", 404: "ResourceNotFound", 409: "AlreadyExists"}
    kind = names.get(status, "InternalError" if status >= 500 else "OperationNotSupported")
    body = {
        "type": f"{ERRORS}/{kind}",
        "title": said["message"],
        "detail": said["remedy"],
        "status": status,
    }
    return Response(
        json.dumps(body, ensure_ascii=False).encode(), status,
        {"cache-control": "no-store", "access-control-allow-origin": "*"}, "application/problem+json",
    )  # fmt: skip
