"""Security headers, request limits and the WebSocket origin check, as one pure ASGI middleware.

Streamlit sends no CSP, frame or nosniff header and accepts a WebSocket without Origin, so both
processes put this outermost. Our own paths get a policy without inline script or eval; Streamlit's
paths get the narrowest one its front end works under. Neither names a foreign host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from citymap.web.file_door import Headers, route_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
OUR_PREFIXES = ("/map", "/tiles", "/3dtiles", "/api", "/healthz")
MAX_BODY_BYTES = 1 << 20
MAX_UPLOAD_BYTES = 210 << 20  # Streamlit's upload limit (200 MB) and the multipart around it
MAX_URL_BYTES = 8192


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


class _TooLargeError(Exception):
    """The body passed its limit."""


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
    ) -> None:
        self.app = app
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
            if same_origin(scope):
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": "origin"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = route_path(scope).removeprefix(self.root_path)
        ours = path.startswith(OUR_PREFIXES)
        extra = self._ours if ours else self._others
        body = _Body(receive, MAX_BODY_BYTES if ours else MAX_UPLOAD_BYTES)

        async def send_hardened(message: Message) -> None:
            if body.refused:
                return  # what an application makes of the broken-off body is not for the client
            if message["type"] == "http.response.start":
                body.answered = True
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        if len(scope["path"]) + len(scope.get("query_string", b"")) > MAX_URL_BYTES:
            await _refuse(send_hardened, 414, b"URI too long")
            return
        if scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send_hardened)
            return
        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > body.limit:
            await _refuse(send_hardened, 413, b"body too large")
            return
        body.refuse = lambda: _refuse(send_hardened, 413, b"body too large")
        try:
            await self.app(scope, body.receive, send_hardened)
        except _TooLargeError:
            return


class _Body:
    """Counts a request body as it is read, and breaks it off past the limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._seen = 0
        self.limit = limit
        self.answered = False
        self.refused = False
        self.refuse: Callable[[], Awaitable[None]] | None = None

    async def receive(self) -> Message:
        """The next message.

        Raises:
            _TooLargeError: the limit is passed; 413 is sent where nothing was sent yet.
        """
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self.limit:
            if not self.answered and self.refuse is not None:
                await self.refuse()
            self.refused = True
            raise _TooLargeError
        return message


def same_origin(scope: Scope) -> bool:
    """Whether a WebSocket comes from a page of this very host; one without Origin does not."""
    headers = dict(scope["headers"])
    origin, host = headers.get(b"origin"), headers.get(b"host")
    if origin is None or host is None:
        return False
    parts = urlsplit(origin.decode("latin-1"))
    return parts.scheme in {"http", "https"} and parts.netloc == host.decode("latin-1")


async def _refuse(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
