"""The public process: no Streamlit, no state, as many workers as wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from citymap.settings import Settings
from citymap.web.access import SameSite
from citymap.web.file_door import ByteCache
from citymap.web.hardening import Hardening, Limits
from citymap.web.metrics import Measured, rows
from citymap.web.paths import doors, routes
from citymap.web.place import front_page
from citymap.web.unanswered import unanswered

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send


class TilesFirst:
    """Hands tile requests straight to their door, past the router; everything else goes on."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        prefix = settings.root_path.rstrip("/")
        named = doors(settings, ByteCache())
        self._doors = tuple(
            (f"{prefix}{name}/", prefix + name, door) for name, door in named.items()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by prefix."""
        if scope["type"] == "http":
            path = scope["path"]
            for start, root, door in self._doors:
                if path.startswith(start):
                    await door({**scope, "root_path": root}, receive, send)
                    return
        await self.app(scope, receive, send)


class UnderPrefix:
    """Makes a request look the same whether or not the reverse proxy strips the prefix."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the prefix back where it is missing."""
        if scope["type"] in {"http", "websocket"}:
            path = scope["path"]
            if path != self.prefix and not path.startswith(self.prefix + "/"):
                scope = {**scope, "path": self.prefix + path, "raw_path": None}
        await self.app(scope, receive, send)


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The public process: `uvicorn --factory citymap.web.public:create_app`."""
    settings = settings or Settings()
    prefix = settings.root_path.rstrip("/")

    async def front(request: Request) -> Response:
        if prefix and request.url.path == prefix:
            return RedirectResponse(f"{prefix}/", status_code=308)  # its files lie below
        return front_page()

    starlette = Starlette(
        routes=[Route(prefix + "/", front), *([Route(prefix, front)] if prefix else ()),
                *routes(settings)],
        exception_handlers={404: unanswered, 405: unanswered},
    )  # fmt: skip
    app: ASGIApp = TilesFirst(SameSite(starlette), settings)
    app = Hardening(
        app, online_base=settings.online_base, root_path=prefix, limits=Limits.of(settings)
    )
    app = Measured(app, counts=rows(settings), root_path=prefix)
    return UnderPrefix(app, prefix) if prefix else app
