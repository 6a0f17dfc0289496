"""Sessions of logged-in people: a signed id in the cookie, everything else in the store."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from citymap.store import audit
from citymap.store.accounts import Account, Role
from citymap.store.engine import Store
from citymap.store.tables import ACCOUNTS, FACTS, SESSIONS, now

COOKIE = "citymap_session"
LIFETIME_S = 12 * 3600.0
IDLE_S = 4 * 3600.0
SKEW_S = 300.0  # a session opened later than this in the future belongs to a wrong clock
_TOUCH_S = 60.0
_KEY = "session_key"


@dataclass(frozen=True, slots=True)
class Session:
    """A valid session."""

    id_hash: str
    name: str
    role: Role


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def key(store: Store) -> bytes:
    """The key that signs cookies: made once, kept in the store, the same for all processes."""
    query = select(FACTS.c.value).where(FACTS.c.name == _KEY)
    with store.read() as connection:
        found = connection.execute(query).scalar()
    if found is None:
        with store.write() as connection:
            found = connection.execute(query).scalar()
            if found is None:
                found = secrets.token_hex(32)
                connection.execute(FACTS.insert().values(name=_KEY, value=found))
    return bytes.fromhex(found)


def signed(secret: bytes, value: str) -> str:
    """`value` with a seal that only `secret` can make."""
    return f"{value}.{_text(hmac.digest(secret, value.encode(), 'sha256'))}"


def unsigned(secret: bytes, text: str) -> str | None:
    """The value behind a seal; None where it does not fit."""
    value, _, _ = text.rpartition(".")
    fits = hmac.compare_digest(signed(secret, value).encode(), text.encode())
    return value if value and fits else None


def _hashed(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def start(store: Store, account: Account) -> str:
    """Open a session; the value of its cookie."""
    session_id = secrets.token_urlsafe(32)
    secret = key(store)
    at = now()
    with store.write() as connection:
        connection.execute(
            delete(SESSIONS).where(SESSIONS.c.created_at < at - timedelta(seconds=2 * LIFETIME_S))
        )
        connection.execute(
            SESSIONS.insert().values(
                id_hash=_hashed(session_id), account_id=account.id, created_at=at, seen_at=at
            )
        )
    return signed(secret, session_id)


def find(store: Store, cookie: str | None, *, lifetime_s: float = LIFETIME_S) -> Session | None:
    """The session of a cookie; None where it is forged, over, revoked, or the account disabled."""
    if not cookie or len(cookie) > 256:
        return None
    session_id = unsigned(key(store), cookie)
    if session_id is None:
        return None
    id_hash = _hashed(session_id)
    query = (
        select(SESSIONS.c.created_at, SESSIONS.c.seen_at, ACCOUNTS.c.name, ACCOUNTS.c.role)
        .join(ACCOUNTS, ACCOUNTS.c.id == SESSIONS.c.account_id)
        .where(
            SESSIONS.c.id_hash == id_hash,
            SESSIONS.c.revoked_at.is_(None),
            ACCOUNTS.c.disabled.is_(False),
        )
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    at = now()
    age_s = (at - row.created_at).total_seconds()
    idle_s = (at - row.seen_at).total_seconds()
    if not -SKEW_S <= age_s <= lifetime_s or not -SKEW_S <= idle_s <= IDLE_S:
        return None
    if idle_s > _TOUCH_S:
        with store.write() as connection:
            connection.execute(
                update(SESSIONS).where(SESSIONS.c.id_hash == id_hash).values(seen_at=at)
            )
    return Session(id_hash, row.name, Role(row.role))


def end(store: Store, session: Session) -> None:
    """Log out."""
    with store.write() as connection:
        connection.execute(
            update(SESSIONS).where(SESSIONS.c.id_hash == session.id_hash).values(revoked_at=now())
        )
        audit.record(connection, actor=session.name, action="log_out", subject=session.name)
