"""What stands around the pages: the shared routes and the hardening, from the settings."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit
from starlette.middleware import Middleware

from citymap.settings import Settings
from citymap.ui.pages import PAGES
from citymap.ui.who import MISSING
from citymap.web import routes
from citymap.web.access import SameSite, StaffOnly, first_segments
from citymap.web.hardening import OUR_PREFIXES, Hardening, Limits
from citymap.web.identity import People
from citymap.web.metrics import Measured, rows
from citymap.web.unanswered import OurOwn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAIN = Path(__file__).with_name("main.py")
_OTHER_PAGES = frozenset(page.url_path for page in PAGES[1:])
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def inline_script_hashes() -> list[str]:
    """CSP hashes of the inline scripts in the page of the Streamlit that is installed."""
    page = Path(streamlit.__file__).parent / "static" / "index.html"
    scripts = _INLINE_SCRIPT.findall(page.read_bytes())
    return [script_hash(script) for script in scripts]


def base_script(root_path: str) -> bytes:
    """Tells Streamlit's page where its server is.

    Without it a page opened by its own address (`/hazard-buildings`) first asks below that address
    and logs two 404s before it finds the server. Answering there would be worse: the page would
    take its own address for the root.
    """
    base = json.dumps(root_path.rstrip("/"))
    return f"window.__streamlit={{BACKEND_BASE_URL:location.origin+{base}}}".encode()


def script_hash(script: bytes) -> str:
    """The CSP source of an inline script."""
    return "sha256-" + b64encode(sha256(script).digest()).decode()


class Prefixed:
    """Brings the two halves of the staff process under one prefix, stripped by a proxy or not.

    Our routes stand below the prefix themselves; Streamlit's application answers at the root only.
    """

    def __init__(self, app: ASGIApp, *, prefix: str, ours: frozenset[str]) -> None:
        self.app = app
        self.prefix = prefix.rstrip("/")
        self.ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the prefix on, or take it off."""
        if scope["type"] in {"http", "websocket"}:
            path = scope["path"]
            if path == self.prefix:  # the page loads its files from beside itself
                location = [(b"location", f"{self.prefix}/".encode()), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 308, "headers": location})
                await send({"type": "http.response.body"})
                return
            if path.startswith(self.prefix + "/"):
                path = path[len(self.prefix) :]
            if path.split("/")[1] in self.ours:
                path = self.prefix + path
            scope = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self.app(scope, receive, send)


class PageBase:
    """Puts `base_script` into Streamlit's page, and leads addresses that are no page to the root.

    Streamlit says "Page not found" in English there, also at the own address of its default page.
    """

    def __init__(self, app: ASGIApp, *, root_path: str = "") -> None:
        self.app = app
        self._root_path = root_path.rstrip("/")
        self._script = b"<head><script>" + base_script(root_path) + b"</script>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite HTML answers of Streamlit (the page is small, so it is held whole)."""
        wanted = dict(scope.get("headers", ())).get(b"accept", b"")
        path = scope.get("path", "").removeprefix(self._root_path)
        ours = path.startswith(OUR_PREFIXES)
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or b"text/html" not in wanted
            or ours
        ):
            await self.app(scope, receive, send)
            return
        asked = path.strip("/")
        if asked and asked not in _OTHER_PAGES and "/" not in asked:
            query = [scope.get("query_string", b"")]
            if asked != PAGES[0].url_path:
                query.append(f"{MISSING}=1".encode())
            said = b"&".join(filter(None, query))
            place = f"{self._root_path}/".encode() + (b"?" + said if said else b"")
            headers = [(b"location", place), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 307, "headers": headers})
            await send({"type": "http.response.body"})
            return
        plain = {b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"}
        scope = {**scope, "headers": [h for h in scope["headers"] if h[0] not in plain]}
        start: Message | None = None
        page = b""

        async def rewriting(message: Message) -> None:
            nonlocal start, page
            if message["type"] == "http.response.start":
                kind = dict(message.get("headers", ())).get(b"content-type", b"")
                if message["status"] == 200 and kind.startswith(b"text/html"):
                    start = message
                    return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            page += message.get("body", b"")
            if message.get("more_body", False):
                return
            body = page.replace(b"<head>", self._script, 1) if b'id="root"' in page else page
            stale = {b"content-length", b"etag", b"last-modified"}
            kept = [h for h in start["headers"] if h[0] not in stale]
            length = (b"content-length", str(len(body)).encode())
            await send({**start, "headers": [*kept, length]})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, rewriting)


def middleware(settings: Settings | None = None) -> list[Middleware]:
    """The hardening of the staff process, and its log-in."""
    settings = settings or Settings()
    listed = routes(settings)
    ours = first_segments(listed, settings.root_path)
    prefixed = Middleware(Prefixed, prefix=settings.root_path, ours=ours)
    return [
        *([prefixed] if settings.root_path else []),
        Middleware(Measured, counts=rows(settings), root_path=settings.root_path),
        Middleware(
            Hardening,
            script_hashes=[*inline_script_hashes(), script_hash(base_script(settings.root_path))],
            online_base=settings.online_base,
            root_path=settings.root_path,
            limits=Limits.of(settings),
        ),
        Middleware(SameSite),
        Middleware(
            StaffOnly,
            people=People(settings),
            ours=ours,
        ),
        Middleware(OurOwn, routes=listed, prefix=settings.root_path),
        Middleware(PageBase, root_path=settings.root_path),
    ]
