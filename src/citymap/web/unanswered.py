"""What an address below our own says where no door stands, or none for this method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match, Router

from citymap.errors import CitymapError
from citymap.web.access import first_segments
from citymap.web.answers import error_answer
from citymap.web.file_door import route_path

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

KEYS = {404: "no_such_address", 405: "method_not_known"}


async def unanswered(request: Request, error: Exception) -> Response:
    """404 or 405 as JSON, in place of the router's bare words."""
    assert isinstance(error, HTTPException)  # noqa: S101  (the router raises no other)
    said = error_answer(CitymapError(KEYS[error.status_code], method=request.method), request)
    said.headers.update(error.headers or {})
    return said


class OurOwn:
    """Answers for our addresses itself where no route does.

    Streamlit answers every address that is left with its page and 200.
    """

    def __init__(self, app: ASGIApp, *, routes: list[BaseRoute], prefix: str = "") -> None:
        self.app = app
        self._router = Router(routes)
        self._ours = first_segments(routes, prefix)
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what a route or Streamlit answers."""
        if scope["type"] != "http" or self._is_answered(scope):
            await self.app(scope, receive, send)
            return
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            response = await unanswered(Request(scope), error)
            await response(scope, receive, send)

    def _is_answered(self, scope: Scope) -> bool:
        segments = route_path(scope).removeprefix(self._prefix).split("/", 2)
        if len(segments) < 2 or segments[1] not in self._ours:
            return True
        return any(route.matches(scope)[0] is Match.FULL for route in self._router.routes)
