"""The key that a GIS client sends with a request: by Basic, Bearer or `X-API-Key`, never in the address.

An address is written down by proxies, browsers and other programs, so a key in it would not stay one.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from citymap.errors import CitymapError
from citymap.store import keys
from citymap.web.identity import LOOPBACK, Identity, People, host_name

if TYPE_CHECKING:
    from starlette.types import Scope

    from citymap.store.keys import Scope as KeyScope

CHALLENGE = 'Basic realm="citymap", charset="UTF-8"'
MAX_CHARS = 1024
READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client showed: the user where it named one, and the text that should be a key."""

    user: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """What a key must be made for at a route, and whether it may change something there."""

    scope: KeyScope
    writes: bool = False


def shown(scope: Scope) -> Shown | None:
    """What came with the request; None where nothing that could be a key did."""
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return Shown(None, value.decode("latin-1")[:MAX_CHARS].strip())
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, rest = value.decode("latin-1")[:MAX_CHARS].strip().partition(" ")
            if kind.lower() == "bearer":
                return Shown(None, rest.strip())
            if kind.lower() == "basic":
                return _basic(rest.strip())
            return Shown(None, "")
    return None


def _basic(text: str) -> Shown:
    try:
        said = base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return Shown(None, "")
    user, _, password = said.partition(":")
    return Shown(user, password)


def protected(scope: Scope, host: str, client: str | None) -> bool:
    """Whether nobody on the way could read the request: TLS, or it never left this machine."""
    return scope["scheme"] in {"https", "wss"} or (
        client in LOOPBACK and host_name(host) in LOOPBACK
    )


def identity(
    people: People, sent: Shown, use: Use, scope: Scope, *, host: str, client: str | None
) -> Identity:
    """The account that the key stands for. Asks the store: call it from a thread.

    Raises:
        CitymapError: `key_needs_tls`, `key_refused`, `key_scope`, `not_allowed`, or the store is away.
    """
    if not protected(scope, host, client):
        raise CitymapError("key_needs_tls")
    found = keys.check(people.store(), sent.text, sent.user) if sent.text else None
    if found is None:
        raise CitymapError("key_refused")
    key, role = found
    if use.scope not in key.scopes:
        raise CitymapError("key_scope", scope=use.scope.value)
    if not use.writes and scope["method"] not in READS:
        raise CitymapError("not_allowed")
    return Identity(key.account, role)
