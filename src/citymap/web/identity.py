"""Who is asking: a person with a session, the one user of this PC, or the public."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from citymap.errors import CitymapError
from citymap.store import Store, accounts, sessions, shared_store
from citymap.store.accounts import Role
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from citymap.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
ONLY_USER = "this-pc"
_ASK_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as the pages and doors see them; without a session also the only user of a PC."""

    name: str
    role: Role
    session: sessions.Session | None = None


PUBLIC = Identity("public", Role.PUBLIC)


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


class People:
    """Tells people apart, by the settings and the store; one for a process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = Lock()
        self._asked_at = float("-inf")
        self._any = False

    def store(self) -> Store:
        """The store of the city.

        Raises:
            CitymapError: there is none, or it cannot be opened.
        """
        if self.settings.store:
            return shared_store(self.settings.store)
        if self.settings.city is None:
            raise CitymapError("no_city")
        return shared_store(Workspace(self.settings.city))

    def any_account(self) -> bool:
        """Whether there is an account; once there was one, for good.

        Raises:
            CitymapError: the store cannot be opened.
        """
        with self._lock:
            if not self._any and time.monotonic() - self._asked_at > _ASK_AGAIN_S:
                if not self.settings.store and self.settings.city is None:
                    return False  # nothing to protect yet; the pages say what is missing
                self._any = accounts.count(self.store()) > 0
                self._asked_at = time.monotonic()
            return self._any

    def only_user(self, host: str | None, client: str | None) -> bool:
        """Whether this is the one user of a PC, who needs no log-in.

        Only over loopback, under a loopback name (another name would be a page of a stranger that
        had its name point here), and not behind a proxy. Unless the settings say so, only as long
        as there is no account.
        """
        chosen = self.settings.single_user
        if chosen is False or self.settings.trusted_proxy or self.settings.oidc_issuer:
            return False
        if (host is not None and host_name(host) not in LOOPBACK) or client not in LOOPBACK:
            return False
        return chosen is True or not self.any_account()

    def identify(
        self, cookies: Mapping[str, str], *, host: str | None, client: str | None
    ) -> Identity:
        """The person behind a request. Asks the store: call it from a thread.

        Raises:
            CitymapError: the store cannot be asked.
        """
        cookie = cookies.get(sessions.COOKIE)
        if cookie:
            lifetime_s = self.settings.session_hours * 3600
            session = sessions.find(self.store(), cookie, lifetime_s=lifetime_s)
            if session is not None:
                return Identity(session.name, session.role, session)
        if self.only_user(host, client):
            return Identity(ONLY_USER, Role.ADMIN)
        return PUBLIC
