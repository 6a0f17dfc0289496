"""Keys by which GIS clients log in for an account: scopes, an end, and only a hash in the store."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Select, select, update

from citymap.store import audit
from citymap.store.accounts import AccountError, Role, find, normal_name
from citymap.store.engine import Store
from citymap.store.tables import ACCOUNTS, API_KEYS, now

PREFIX = "cmk"
DAYS = 365
MAX_DAYS = 1826
MAX_KEYS = 20  # of one account, in force
MAX_TITLE = 80
_TOUCH_S = 300.0
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a key may be used for; for anything that is not named it opens nothing."""

    FEATURES = "features"  # /ogc: read
    PROCESSES = "processes"  # /ogc/processes, /ogc/jobs: run exposure
    CITY_OS = "city-os"  # /ngsi-ld entities: read
    SUBSCRIPTIONS = "subscriptions"  # /ngsi-ld subscriptions
    OVERLAYS = "overlays"  # /overlays: read
    MAP_SERVER = "map-server"  # /auth/key: WMS and WFS behind a proxy that asks us


@dataclass(frozen=True, slots=True)
class Key:
    """A key as others may know it: everything but the secret. `role` caps that of the account."""

    id: str
    account: str
    title: str
    role: Role
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    @property
    def in_force(self) -> bool:
        """Neither revoked nor over."""
        return self.revoked_at is None and now() < self.expires_at


def _hashed(secret: str) -> str:
    # 256 random bits: nothing to guess, so a slow hash would only slow us.
    return hashlib.sha256(secret.encode()).hexdigest()


def _query() -> Select[tuple[object, ...]]:
    return select(
        API_KEYS, ACCOUNTS.c.name, ACCOUNTS.c.role.label("account_role"), ACCOUNTS.c.disabled
    ).join(ACCOUNTS, ACCOUNTS.c.id == API_KEYS.c.account_id)


def _key(row: object) -> Key:
    listed = frozenset(Scope(s) for s in row.scopes if s in set(Scope))  # type: ignore[attr-defined]
    return Key(
        row.id, row.name, row.title, Role(row.role), listed, row.created_at,  # type: ignore[attr-defined]
        row.expires_at, row.used_at, row.revoked_at,  # type: ignore[attr-defined]
    )  # fmt: skip


def add(
    store: Store, name: str, *, scopes: Iterable[Scope], title: str = "", role: Role = Role.STAFF,
    days: int = DAYS, by: str,
) -> tuple[Key, str]:  # fmt: skip
    """Make a key for an account; the key and its text, which nobody can be told again.

    Raises:
        AccountError: `account_unknown`, `key_scopes` (none), `key_days`, `key_role`, `key_many`.
    """
    wanted = sorted(set(scopes))
    if not wanted:
        raise AccountError("key_scopes", known=", ".join(Scope))
    if not 1 <= days <= MAX_DAYS:
        raise AccountError("key_days", most=MAX_DAYS)
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    at = now()
    with store.write() as connection:
        account = find(connection, name)
        if account is None:
            raise AccountError("account_unknown", name=name)
        if role is Role.PUBLIC or not account.role.reaches(role):
            raise AccountError("key_role", name=account.name, role=account.role.value)
        own = connection.execute(_query().where(API_KEYS.c.account_id == account.id)).all()
        if sum(_key(row).in_force for row in own) >= MAX_KEYS:
            raise AccountError("key_many", name=account.name, most=MAX_KEYS)
        connection.execute(
            API_KEYS.insert().values(
                id=key_id, account_id=account.id, title=title[:MAX_TITLE], role=role.value,
                secret_hash=_hashed(secret), scopes=[s.value for s in wanted], created_at=at,
                expires_at=at + timedelta(days=days),
            )
        )  # fmt: skip
        audit.record(
            connection, actor=by, action="key.add", subject=account.name, key=key_id,
            role=role.value, scopes=[s.value for s in wanted], days=days,
        )  # fmt: skip
        made = connection.execute(_query().where(API_KEYS.c.id == key_id)).one()
    return _key(made), f"{PREFIX}_{key_id}_{secret}"


def listed(store: Store, name: str | None = None) -> list[Key]:
    """The keys of an account, else of all; revoked and expired ones too, the newest first."""
    query = _query().order_by(API_KEYS.c.created_at.desc())
    if name is not None:
        query = query.where(ACCOUNTS.c.name == normal_name(name))
    with store.read() as connection:
        return [_key(row) for row in connection.execute(query)]


def revoke(store: Store, key_id: str, *, by: str) -> Key:
    """End a key at once.

    Raises:
        AccountError: `key_unknown`.
    """
    with store.write() as connection:
        row = connection.execute(_query().where(API_KEYS.c.id == key_id)).first()
        if row is None:
            raise AccountError("key_unknown", key=key_id[:40])
        if row.revoked_at is None:
            connection.execute(
                update(API_KEYS).where(API_KEYS.c.id == key_id).values(revoked_at=now())
            )
            audit.record(connection, actor=by, action="key.revoke", subject=row.name, key=key_id)
        row = connection.execute(_query().where(API_KEYS.c.id == key_id)).one()
    return _key(row)


def check(store: Store, text: str, name: str | None = None) -> tuple[Key, Role] | None:
    """The key of this text and the role that it gives now; None where it gives none.

    `name` is the user that a client sent with it: of the account, or nothing. The role is the lower
    of the key's and the account's, as that is today.
    """
    parts = _FORM.fullmatch(text) if len(text) < 100 else None
    if parts is None:
        return None
    with store.read() as connection:
        row = connection.execute(_query().where(API_KEYS.c.id == parts[1])).first()
    expected = row.secret_hash if row is not None else ""
    if not hmac.compare_digest(expected, _hashed(parts[2])) or row is None or row.disabled:
        return None
    key = _key(row)
    if not key.in_force or (name and normal_name(name) != key.account):
        return None
    _touched(store, key)
    own = Role(row.account_role)
    return key, key.role if own.reaches(key.role) else own


def _touched(store: Store, key: Key) -> None:
    """Remember the use, and write the first of a day into the audit."""
    at = now()
    if key.used_at is not None and abs((at - key.used_at).total_seconds()) < _TOUCH_S:
        return
    with store.write() as connection:
        connection.execute(update(API_KEYS).where(API_KEYS.c.id == key.id).values(used_at=at))
        if key.used_at is None or key.used_at.date() != at.date():
            audit.record(
                connection, actor=key.account, action="key.use", subject=key.account, key=key.id
            )
