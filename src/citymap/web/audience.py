"""Who is asking: the role of a request, `public` unless the log-in said otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.share.gate import AUDIENCES

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from citymap.layers.catalogue import Audience


def audience(request: HTTPConnection) -> Audience:
    """The role that the session middleware put into the request's state as `role`."""
    role = getattr(request.state, "role", None)
    return role if role in AUDIENCES else "public"
