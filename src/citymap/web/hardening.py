"""Security headers, limits of requests and sockets, the WebSocket origin check: one ASGI middleware.

Streamlit sends no CSP, frame or nosniff header and accepts a WebSocket without Origin, so both
processes put this outermost. Our own paths get a policy without inline script or eval; Streamlit's
paths get the narrowest one its front end works under. Neither names a foreign host.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from citymap.web.file_door import Headers, route_path
from citymap.web.rate import SharedCounters, caller_of, counters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from citymap.settings import Settings

MAP_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",  # Draco and meshopt decoders are WebAssembly
    "worker-src": "'self' blob:",  # MapLibre and loaders.gl start workers from blobs
    "child-src": "'self' blob:",
    "style-src": "'self' 'unsafe-inline'",  # MapLibre and deck.gl set style attributes
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self' blob: data:",
    "manifest-src": "'self'",
    "frame-ancestors": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
STREAMLIT_POLICY = {
    **MAP_POLICY,
    # A v2 component's inline script arrives as a blob module.
    "script-src": "'self' 'wasm-unsafe-eval' blob:",
    "frame-src": "'self'",
    "media-src": "'self' data: blob:",
    "connect-src": "'self' blob: data:",
    "font-src": "'self' data:",
}
ONLINE_BASE_HOST = (
    "https://cyberjapandata.gsi.go.jp"  # 地理院タイル, only where the operator allows it
)
OUR_PREFIXES = (
    "/home",
    "/words",
    "/status.json",
    "/site.json",
    "/search.json",
    "/area.json",
    "/shelters.json",
    "/sw.js",
    "/paper",
    "/map",
    "/tiles",
    "/3dtiles",
    "/api",
    "/healthz",
    "/metrics",
    "/auth",
    "/report/",
    "/ogc",
    "/ngsi-ld",
    "/feeds",
    "/open311",
)
FILE_PREFIXES = (
    "/home",
    "/words",
    "/map",
    "/tiles",
    "/3dtiles",
    "/overlays",
    "/paper/files",
    "/report",
    "/static",
    "/media",
    "/component",
    "/favicon",
)
ALWAYS_ANSWERED = frozenset({"/healthz", "/metrics", "/_stcore/health"})
CLOSED_PREFIXES = ("/_stcore/agent/",)  # Streamlit's door for programs: a page without a person
UPLOADS = "/_stcore/upload_file/"
REPORTS = "/api/reports"  # many people behind one address send here: it has limits of its own
MAX_BODY_BYTES = 1 << 20
MULTIPART_BYTES = 1 << 20  # around an uploaded file
MAX_URL_BYTES = 8192
MAX_HEADER_BYTES = 32 << 10
MAX_HEADERS = 100
SESSION_COOKIE = "citymap_session"
_POLICY = b"cross-origin-resource-policy"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one caller may ask; 0 requests a minute is no limit."""

    api_per_minute: int = 0
    write_per_minute: int = 0
    files_per_minute: int = 0
    account_per_minute: int = 0
    sockets_per_address: int = 64
    sockets_total: int = 400
    request_timeout_s: float = 60.0
    upload_bytes: int = 50 << 20
    report_bytes: int = 25 << 20
    reports_per_minute: int = 0
    counters: SharedCounters | None = None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits of the settings, counted together with the other processes of the city."""
        return cls(
            settings.rate_api_per_minute, settings.rate_write_per_minute,
            settings.rate_files_per_minute, settings.rate_account_per_minute,
            settings.sockets_per_address, settings.sockets_total, settings.request_timeout_s,
            settings.upload_max_mb << 20, settings.report_max_mb << 20,
            settings.rate_reports_per_minute, counters(settings),
        )  # fmt: skip

    def passed(self, address: str, path: str, method: str, session: str | None) -> bool:
        """Whether this request is one too many of its address or its log-in."""
        if self.counters is None or path in ALWAYS_ANSWERED:
            return False
        if method not in {"GET", "HEAD", "OPTIONS"}:
            kind, allowed = "write", self.write_per_minute
            if path.startswith("/_stcore/"):  # Streamlit's own uploads belong to a page's session
                allowed = 0
            elif path == REPORTS:
                kind, allowed = "report", self.reports_per_minute
        elif path.startswith(FILE_PREFIXES):
            kind, allowed = "files", self.files_per_minute
        else:
            kind, allowed = "api", self.api_per_minute
        if allowed and self.counters.hit(f"{kind} {caller_of(address)}") > allowed:
            return True
        return (
            session is not None and kind != "files" and self.account_per_minute > 0
            and self.counters.hit(f"session {session}") > self.account_per_minute
        )  # fmt: skip


def policy_text(policy: dict[str, str], *, online_base: bool = False) -> str:
    """A Content-Security-Policy value."""
    parts = dict(policy)
    if online_base:
        parts["img-src"] += f" {ONLINE_BASE_HOST}"
        parts["connect-src"] += f" {ONLINE_BASE_HOST}"
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def _common(csp: str) -> Headers:
    return [
        (b"content-security-policy", csp.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"SAMEORIGIN"),
        (b"referrer-policy", b"same-origin"),
        (b"permissions-policy", b"geolocation=(self), fullscreen=(self), camera=(), "
         b"microphone=(), payment=(), usb=()"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]  # fmt: skip


class _BrokenOffError(Exception):
    """The body passed its limit, or did not come."""


class Hardening:
    """Wraps an application.

    With `script_hashes` (the inline scripts of Streamlit's own page) every path that is not ours is
    Streamlit's; without, the process has no Streamlit and one strict policy holds everywhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        script_hashes: Sequence[str] | None = None,
        online_base: bool = False,
        root_path: str = "",
        limits: Limits | None = None,
    ) -> None:
        self.app = app
        self.limits = limits or Limits()
        self._sockets: Counter[str] = Counter()
        self.root_path = root_path.rstrip("/")
        self._ours = _common(policy_text(MAP_POLICY, online_base=online_base))
        if online_base:  # the renderer offers 地理院タイル only where the server says so
            self._ours.append((b"x-citymap-online-base", b"1"))
        self._others = self._ours
        if script_hashes is not None:
            hashes = "".join(f" '{h}'" for h in script_hashes)
            policy = {**STREAMLIT_POLICY, "script-src": STREAMLIT_POLICY["script-src"] + hashes}
            self._others = _common(policy_text(policy, online_base=online_base))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, then add the headers to the answer."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = route_path(scope).removeprefix(self.root_path)
        ours = path.startswith(OUR_PREFIXES)
        extra = self._ours if ours else self._others
        limit = MAX_BODY_BYTES
        if not ours and path.startswith(UPLOADS):
            limit = self.limits.upload_bytes + MULTIPART_BYTES
        elif path == REPORTS:
            limit = self.limits.report_bytes + MULTIPART_BYTES
        body = _Body(receive, limit, self.limits.request_timeout_s)

        async def send_hardened(message: Message) -> None:
            if body.refused:
                return  # what an application makes of the broken-off body is not for the client
            if message["type"] == "http.response.start":
                body.answered = True
                own = message.get("headers", ())
                more = extra
                if any(name == _POLICY for name, _ in own):  # a file that other sites may show
                    more = [h for h in extra if h[0] != _POLICY]
                message = {**message, "headers": [*own, *more]}
            await send(message)

        if len(scope["path"]) + len(scope.get("query_string", b"")) > MAX_URL_BYTES:
            await _refuse(send_hardened, 414, b"URI too long")
            return
        headers = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        if size > MAX_HEADER_BYTES or len(headers) > MAX_HEADERS:
            await _refuse(send_hardened, 431, b"headers too large")
            return
        if path.startswith(CLOSED_PREFIXES):
            await _refuse(send_hardened, 404, b"not found")
            return
        if self.limits.passed(_address(scope), path, scope["method"], _session(scope)):
            await _refuse(send_hardened, 429, b"too many requests", [(b"retry-after", b"30")])
            return
        if scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send_hardened)
            return
        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > body.limit:
            await _refuse(send_hardened, 413, b"body too large")
            return
        body.refuse = lambda status, text: _refuse(send_hardened, status, text)
        try:
            await self.app(scope, body.receive, send_hardened)
        except _BrokenOffError:
            return

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: from our own page only, and not more than one caller may hold."""
        address = caller_of(_address(scope))
        reason = None
        if not same_origin(scope):
            reason = "origin"
        elif (
            self._sockets[address] >= self.limits.sockets_per_address
            or self._sockets.total() >= self.limits.sockets_total
        ):
            reason = "too many connections"
        if reason is not None:
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
            return
        self._sockets[address] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._sockets[address] -= 1
            if not self._sockets[address]:
                del self._sockets[address]


class _Body:
    """Counts a request body as it is read; breaks it off past the limit or when it stays away."""

    def __init__(self, receive: Receive, limit: int, timeout_s: float) -> None:
        self._receive = receive
        self._seen = 0
        self._timeout_s = timeout_s
        self._whole = False
        self.limit = limit
        self.answered = False
        self.refused = False
        self.refuse: Callable[[int, bytes], Awaitable[None]] | None = None

    async def receive(self) -> Message:
        """The next message; once the body is whole, waiting for the client to leave has no limit.

        Raises:
            _BrokenOffError: too much (413) or too slow (408), sent where nothing was sent yet.
        """
        if self._whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._timeout_s)
        except TimeoutError:
            await self._broken_off(408, b"the request did not arrive in time")
        self._whole = not message.get("more_body", False)
        self._seen += len(message.get("body", b""))
        if self._seen > self.limit:
            await self._broken_off(413, b"body too large")
        return message

    async def _broken_off(self, status: int, text: bytes) -> NoReturn:
        if not self.answered and self.refuse is not None:
            await self.refuse(status, text)
        self.refused = True
        raise _BrokenOffError


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _session(scope: Scope) -> str | None:
    """The session cookie or the key as it was sent; a forged one counts for itself."""
    for name, value in scope["headers"]:
        if name in {b"x-api-key", b"authorization"}:
            return bytes(value).decode("latin-1")
    text = next((v for k, v in scope["headers"] if k == b"cookie"), None)
    if text is None or SESSION_COOKIE.encode() not in text:
        return None
    try:
        found = SimpleCookie(text.decode("latin-1")).get(SESSION_COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def same_origin(scope: Scope) -> bool:
    """Whether a WebSocket comes from a page of this very host; one without Origin does not."""
    headers = dict(scope["headers"])
    origin, host = headers.get(b"origin"), headers.get(b"host")
    if origin is None or host is None:
        return False
    parts = urlsplit(origin.decode("latin-1"))
    return parts.scheme in {"http", "https"} and parts.netloc == host.decode("latin-1")


async def _refuse(
    send: Send, status: int, text: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
