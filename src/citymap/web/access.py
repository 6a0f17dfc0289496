"""Who may pass which door: every route names the role it needs, and what names none stays shut."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from citymap.errors import CitymapError
from citymap.store import sessions
from citymap.store.accounts import Role
from citymap.web import keys
from citymap.web.answers import answer, error_answer, language
from citymap.web.file_door import route_path
from citymap.web.identity import Identity, People

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

R = TypeVar("R", bound=BaseRoute)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def cookies_of(scope: Scope) -> dict[str, str]:
    """The cookies of a request; what is not a cookie is left out."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                try:
                    parsed: SimpleCookie = SimpleCookie(part.strip())
                except CookieError:
                    continue
                found.update({key: morsel.value for key, morsel in parsed.items()})
    return found


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == wanted), None)


async def identify(people: People, scope: Scope) -> Identity:
    """The person behind a request.

    Raises:
        CitymapError: the store cannot be asked.
    """
    host, address = _from(scope)
    return await run_sync(lambda: people.identify(cookies_of(scope), host=host, client=address))


def _from(scope: Scope) -> tuple[str, str | None]:
    """The host that was asked for, and the address that asks."""
    client = scope.get("client")
    address = client[0] if client else None
    if address == "testclient":  # Starlette's own name where there is no network at all
        address = "127.0.0.1"
    return _header(scope, b"host") or "", address


class Guard:
    """Lets a request pass that has at least `role`; without a role, none.

    A door for everybody does not ask the store unless somebody is logged in. The person is in
    `request.state.who`, the role in `request.state.role`. A GIS client's key opens only where the
    route says for which use (`by_key`); there a wrong one is refused, never taken for the public.
    """

    def __init__(self, app: ASGIApp, role: Role | None, *, asks: bool = True) -> None:
        self.app = app
        self.role = role
        self.use: keys.Use | None = None
        self.asks = asks  # False: nobody is looked up, everybody gets the same
        self.people: People | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then go on or refuse."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        if self.role is None or self.people is None:
            await _refused(scope, receive, send, self.people, known=True)
            return
        sent = keys.shown(scope) if self.use is not None and scope["type"] == "http" else None
        if sent is not None:
            await self._by_key(sent, scope, receive, send)
            return
        if self.role is Role.PUBLIC and not (self.asks and sessions.COOKIE in cookies_of(scope)):
            await self.app(scope, receive, send)
            return
        try:
            who = await identify(self.people, scope)
        except CitymapError as error:
            if self.role is Role.PUBLIC:  # residents are served also without a store
                await self.app(scope, receive, send)
            else:
                await _failed(error, scope, receive, send)
            return
        if not who.role.reaches(self.role):
            await _refused(
                scope, receive, send, self.people, known=who.role is not Role.PUBLIC,
                program=self.use is not None,
            )  # fmt: skip
            return
        await self.app(_as(scope, who), receive, send)

    async def _by_key(self, sent: keys.Shown, scope: Scope, receive: Receive, send: Send) -> None:
        people, use, role = self.people, self.use, self.role
        assert people is not None and use is not None and role is not None  # noqa: S101
        host, address = _from(scope)
        try:
            who = await run_sync(
                lambda: keys.identity(people, sent, use, scope, host=host, client=address)
            )
            if not who.role.reaches(role):
                raise CitymapError("not_allowed")
        except CitymapError as error:
            response = error_answer(error, Request(scope))
            if response.status_code == 401:
                response.headers["www-authenticate"] = keys.CHALLENGE
            response.headers["cache-control"] = "no-store"
            response.headers["access-control-allow-origin"] = "*"
            await response(scope, receive, send)
            return
        await self.app(_as(scope, who), receive, send)


def _as(scope: Scope, who: Identity) -> Scope:
    return {**scope, "state": {**scope.get("state", {}), "who": who, "role": who.role.value}}


async def _failed(error: CitymapError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1011, "reason": error.key})
        return
    await error_answer(error, Request(scope))(scope, receive, send)


async def _refused(
    scope: Scope, receive: Receive, send: Send, people: People | None, *, known: bool,
    program: bool = False,
) -> None:  # fmt: skip
    """403 for a person who may not; for one who has not logged in, the way to the log-in.

    At a door for programs the way is a key: no page, and a challenge unless a browser's page asks
    (it would show a window for a password that nobody has).
    """
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "role"})
        return
    prefix = people.settings.root_path if people is not None else ""
    accept = _header(scope, b"accept") or ""
    page = scope["method"] == "GET" and "text/html" in accept and not program
    response: Response
    if page and not known:
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = prefix + route_path(scope).removeprefix(prefix) + (f"?{query}" if query else "")
        response = RedirectResponse(f"{prefix}/auth/login?next={quote(wanted, safe='/')}", 303)
    elif page:
        response = RedirectResponse(f"{prefix}/auth/session?refused=1", 303)
    else:
        key = "not_allowed" if known else "log_in_needed"
        said = CitymapError(key).as_dict(language(Request(scope)))
        response = answer(
            {"error": key, "message": said["message"], "remedy": said["remedy"]},
            status=403 if known else 401,
        )
        if program and not known and _header(scope, b"sec-fetch-mode") is None:
            response.headers["www-authenticate"] = keys.CHALLENGE
    response.headers["cache-control"] = "no-store"
    response.headers["vary"] = "Cookie"
    await response(scope, receive, send)


def needs(role: Role, *routes: R) -> list[R]:
    """The routes, open to `role` and above."""
    for route in routes:
        _wrap(route, role)
    return list(routes)


def by_key(use: keys.Use, routes: list[R]) -> list[R]:
    """The routes (of `needs`), which a GIS client's key for this use opens too."""
    for route in routes:
        guard = getattr(route, "app", None)
        if not isinstance(guard, Guard):
            raise TypeError(f"{route!r} names no role")
        guard.use = use
    return routes


def open_to_all(*routes: R) -> list[R]:
    """The routes, open to everybody, and the same for everybody: files that ask no store."""
    for route in routes:
        _wrap(route, Role.PUBLIC, asks=False)
    return list(routes)


def _wrap(route: BaseRoute, role: Role | None, *, asks: bool = True) -> None:
    if not isinstance(route, Route | Mount | WebSocketRoute):
        raise TypeError(f"{route!r} cannot be guarded")
    route.app = Guard(route.app, role, asks=asks)


def guarded(routes: list[BaseRoute], people: People) -> list[BaseRoute]:
    """The routes with their guards at work; one that declared no role is shut."""
    for route in routes:
        if not isinstance(getattr(route, "app", None), Guard):
            _wrap(route, None)
        route.app.people = people  # type: ignore[attr-defined]
    return routes


class StaffOnly:
    """Everything of a process that is not one of our guarded routes, for `role` and above."""

    def __init__(
        self, app: ASGIApp, *, people: People, ours: frozenset[str], role: Role = Role.STAFF
    ) -> None:
        self.app = app
        self.ours = ours
        self._rest = Guard(app, role)
        self._rest.people = people
        self._prefix = people.settings.root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand our routes on; check the rest."""
        if scope["type"] in {"http", "websocket"}:
            path = route_path(scope).removeprefix(self._prefix)
            if path.split("/", 2)[1:2] == [] or path.split("/", 2)[1] not in self.ours:
                await self._rest(scope, receive, send)
                return
        await self.app(scope, receive, send)


def first_segments(routes: list[BaseRoute], prefix: str = "") -> frozenset[str]:
    """The first path segments of the routes, below the prefix."""
    found: set[str] = set()
    for route in routes:
        path = getattr(route, "path", "")
        if prefix and path == prefix:
            found |= first_segments(list(getattr(route, "routes", []) or []))
        else:
            found.add(path.removeprefix(prefix).split("/", 2)[1])
    return frozenset(found - {""})


class SameSite:
    """Refuses requests that change something and come from another site's page (CSRF).

    By Fetch Metadata where the browser sends it, else by Origin. A program that is no browser sends
    neither, and is let pass as long as it does not come with a session cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then go on."""
        foreign = (
            scope["type"] == "http"
            and scope["method"] not in SAFE_METHODS
            and not _same_site(scope)
        )
        if foreign:
            said = CitymapError("foreign_page").as_dict(language(Request(scope)))
            response = answer(
                {"error": "foreign_page", "message": said["message"], "remedy": said["remedy"]},
                status=403,
            )
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _same_site(scope: Scope) -> bool:
    site = _header(scope, b"sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = _header(scope, b"origin")
    if origin is not None:
        return urlsplit(origin).netloc == _header(scope, b"host")
    return sessions.COOKIE not in cookies_of(scope)


def person(request: HTTPConnection) -> Identity | None:
    """Who passed the guard; None where nobody is logged in."""
    who: Identity | None = getattr(request.state, "who", None)
    return who
