"""Local accounts and their roles: argon2id, growing delays after wrong passwords, disable."""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, select, update

from citymap.errors import CitymapError
from citymap.store import audit
from citymap.store.engine import Store
from citymap.store.tables import ACCOUNTS, FAILURES, SESSIONS, now

MIN_PASSWORD = 10
MAX_PASSWORD = 256
FREE_FAILURES = 5  # then 5 s, 10 s, 20 s … up to MAX_DELAY_S
MAX_DELAY_S = 900.0
FORGOTTEN_S = 86_400.0
_NAME = re.compile(r"[\w.@+-]{1,64}")
_EASY = re.compile(r"(.)\1*|0?123456789\d*|(password|citymap|qwerty|パスワード)\d*", re.IGNORECASE)

HASHES_AT_ONCE = 2  # 64 MiB and 0.2 s each
HASHES_WAITING = 16
HASHER = PasswordHasher()
_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
_in_line = threading.BoundedSemaphore(HASHES_AT_ONCE + HASHES_WAITING)


class Role(StrEnum):
    """What a person may do; each holds the ones before it."""

    PUBLIC = "public"
    FIELD = "field"
    STAFF = "staff"
    PLANNER = "planner"
    ADMIN = "admin"

    def reaches(self, needed: Role) -> bool:
        """Whether this role is `needed` or above."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class AccountError(CitymapError):
    """An account cannot be made, changed or logged into."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as others may know it."""

    id: int
    name: str
    role: Role
    disabled: bool
    local: bool  # has a password here; else the identity provider knows the person
    created_at: datetime
    password_at: datetime | None


_COLUMNS = (
    ACCOUNTS.c.id, ACCOUNTS.c.name, ACCOUNTS.c.role, ACCOUNTS.c.disabled, ACCOUNTS.c.password,
    ACCOUNTS.c.created_at, ACCOUNTS.c.password_at,
)  # fmt: skip


def _account(row: object) -> Account:
    return Account(
        id=row.id, name=row.name, role=Role(row.role), disabled=row.disabled,  # type: ignore[attr-defined]
        local=row.password is not None, created_at=row.created_at,  # type: ignore[attr-defined]
        password_at=row.password_at,  # type: ignore[attr-defined]
    )  # fmt: skip


@contextmanager
def _turn_to_hash() -> Iterator[None]:
    """At most `HASHES_AT_ONCE` hashes at a time; too long a line is refused.

    Raises:
        AccountError: `log_in_busy`.
    """
    if not _in_line.acquire(blocking=False):
        raise AccountError("log_in_busy")
    try:
        with _hashing:
            yield
    finally:
        _in_line.release()


@cache
def _nobody() -> str:
    """A hash that no password fits: an unknown name costs as much time as a known one."""
    return HASHER.hash("\0")


def normal_name(name: str) -> str:
    """The name as it is compared: NFKC, lower case."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def check_password(name: str, password: str) -> None:
    """Refuse what is guessed first.

    Raises:
        AccountError: `password_weak`.
    """
    easy = _EASY.fullmatch(password) or normal_name(password).startswith(normal_name(name))
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD or easy:
        raise AccountError("password_weak", least=MIN_PASSWORD, most=MAX_PASSWORD)


def _hash(password: str) -> str:
    with _turn_to_hash():
        return HASHER.hash(unicodedata.normalize("NFKC", password))


def _fits(hashed: str, password: str) -> bool:
    with _turn_to_hash():
        try:
            return HASHER.verify(hashed, unicodedata.normalize("NFKC", password))
        except (VerificationError, InvalidHashError):
            return False


def find(connection: Connection, name: str) -> Account | None:
    """The account of that name."""
    query = select(*_COLUMNS).where(ACCOUNTS.c.name == normal_name(name))
    row = connection.execute(query).first()
    return _account(row) if row else None


def _known(connection: Connection, name: str) -> Account:
    account = find(connection, name)
    if account is None:
        raise AccountError("account_unknown", name=name)
    return account


def count(store: Store) -> int:
    """How many accounts there are, disabled ones included."""
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one())


def listed(store: Store) -> list[Account]:
    """All accounts by name."""
    with store.read() as connection:
        rows = connection.execute(select(*_COLUMNS).order_by(ACCOUNTS.c.name))
        return [_account(row) for row in rows]


def add(
    store: Store, name: str, role: Role, password: str | None, *, by: str,
    oidc_subject: str | None = None,
) -> Account:  # fmt: skip
    """Make an account; without a password it logs in by OIDC only.

    Raises:
        AccountError: `account_name`, `account_exists`, `password_weak`.
    """
    name = normal_name(name)
    if not _NAME.fullmatch(name) or role is Role.PUBLIC:
        raise AccountError("account_name", name=name)
    hashed = None
    if password is not None:
        check_password(name, password)
        hashed = _hash(password)
    with store.write() as connection:
        if find(connection, name) is not None:
            raise AccountError("account_exists", name=name)
        connection.execute(
            ACCOUNTS.insert().values(
                name=name, role=role.value, password=hashed, oidc_subject=oidc_subject,
                disabled=False, created_at=now(), password_at=now() if hashed else None,
            )
        )  # fmt: skip
        audit.record(connection, actor=by, action="user.add", subject=name, role=role.value)
        return _known(connection, name)


def set_password(store: Store, name: str, password: str, *, by: str) -> None:
    """Change a password; every session of the account ends.

    Raises:
        AccountError: `account_unknown`, `password_weak`.
    """
    check_password(name, password)
    hashed = _hash(password)
    with store.write() as connection:
        account = _known(connection, name)
        values = {"password": hashed, "password_at": now()}
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(values))
        _end_sessions(connection, account.id)
        connection.execute(delete(FAILURES).where(FAILURES.c.name_hash == _name_hash(name)))
        audit.record(connection, actor=by, action="user.password", subject=account.name)


def set_disabled(store: Store, name: str, *, disabled: bool, by: str) -> None:
    """Disable an account and end its sessions, or enable it again.

    Raises:
        AccountError: `account_unknown`.
    """
    with store.write() as connection:
        account = _known(connection, name)
        connection.execute(
            update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(disabled=disabled)
        )
        if disabled:
            _end_sessions(connection, account.id)
        action = "user.disable" if disabled else "user.enable"
        audit.record(connection, actor=by, action=action, subject=account.name)


def set_role(store: Store, name: str, role: Role, *, by: str) -> None:
    """Give an account another role, from its next request on.

    Raises:
        AccountError: `account_unknown`, `account_name`.
    """
    if role is Role.PUBLIC:
        raise AccountError("account_name", name=name)
    with store.write() as connection:
        account = _known(connection, name)
        connection.execute(
            update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(role=role.value)
        )
        audit.record(
            connection, actor=by, action="user.role", subject=account.name, role=role.value
        )


def _end_sessions(connection: Connection, account_id: int) -> None:
    connection.execute(
        update(SESSIONS)
        .where(SESSIONS.c.account_id == account_id, SESSIONS.c.revoked_at.is_(None))
        .values(revoked_at=now())
    )


def end_sessions(store: Store, name: str, *, by: str) -> None:
    """Revoke every session of an account.

    Raises:
        AccountError: `account_unknown`.
    """
    with store.write() as connection:
        account = _known(connection, name)
        _end_sessions(connection, account.id)
        audit.record(connection, actor=by, action="user.revoke", subject=account.name)


def _name_hash(name: str) -> str:
    return hashlib.sha256(normal_name(name).encode()).hexdigest()


def _delay_s(failures: int) -> float:
    if failures < FREE_FAILURES:
        return 0.0
    return float(min(5.0 * 2.0 ** min(failures - FREE_FAILURES, 30), MAX_DELAY_S))


def _count_try(store: Store, name: str) -> None:
    """Count the try before it is checked, so that tries side by side all count.

    Raises:
        AccountError: `log_in_locked`, with the seconds to wait.
    """
    name_hash = _name_hash(name)
    with store.write() as connection:
        at = now()  # after the wait for one's turn: a try never counts as older than the last
        # A failure "in the future" was written under a wrong clock: it locks nobody out.
        connection.execute(
            delete(FAILURES).where(
                (FAILURES.c.failed_at < at - timedelta(seconds=FORGOTTEN_S))
                | (FAILURES.c.failed_at > at + timedelta(seconds=MAX_DELAY_S))
            )
        )
        row = connection.execute(select(FAILURES).where(FAILURES.c.name_hash == name_hash)).first()
        if row is None:
            connection.execute(FAILURES.insert().values(name_hash=name_hash, tries=1, failed_at=at))
            return
        delay = _delay_s(row.tries)
        left = delay - (at - row.failed_at).total_seconds() if delay else 0.0
        if left <= 0:
            connection.execute(
                update(FAILURES)
                .where(FAILURES.c.name_hash == name_hash)
                .values(tries=row.tries + 1, failed_at=at)
            )
            return
    raise AccountError("log_in_locked", seconds=max(1, round(left)))


def log_in(store: Store, name: str, password: str) -> Account:
    """The account of a name and password.

    Raises:
        AccountError: `log_in_wrong` (which of the two is not said), `log_in_locked`, `log_in_busy`.
    """
    name, password = name[:256], password[: MAX_PASSWORD + 1]
    _count_try(store, name)
    with store.read() as connection:
        query = select(*_COLUMNS).where(ACCOUNTS.c.name == normal_name(name))
        row = connection.execute(query).first()
    hashed = row.password if row and row.password else None
    fits = _fits(hashed or _nobody(), password)
    if row is None or hashed is None or not fits or row.disabled:
        if row is not None:
            with store.write() as connection:
                audit.record(connection, actor=row.name, action="log_in.refused", subject=row.name)
        raise AccountError("log_in_wrong")
    renewed = _hash(password) if HASHER.check_needs_rehash(hashed) else None
    with store.write() as connection:
        connection.execute(delete(FAILURES).where(FAILURES.c.name_hash == _name_hash(name)))
        if renewed:
            connection.execute(
                update(ACCOUNTS).where(ACCOUNTS.c.id == row.id).values(password=renewed)
            )
        audit.record(connection, actor=row.name, action="log_in", subject=row.name)
    return _account(row)


def by_oidc(store: Store, subject: str, name: str, role: Role | None) -> Account:
    """The account of a person whom the identity provider has vouched for.

    `role` is what the provider says; where it says none, an existing account keeps its own and an
    unknown person gets no account.

    Raises:
        AccountError: `log_in_wrong` (unknown or disabled), `account_exists`, `account_name`.
    """
    with store.read() as connection:
        query = select(*_COLUMNS).where(ACCOUNTS.c.oidc_subject == subject)
        row = connection.execute(query).first()
    if row is None:
        if role is None or role is Role.PUBLIC:
            raise AccountError("log_in_wrong")
        return add(store, name, role, None, by="oidc", oidc_subject=subject)
    account = _account(row)
    if account.disabled:
        raise AccountError("log_in_wrong")
    if role is not None and role is not Role.PUBLIC and role is not account.role:
        set_role(store, account.name, role, by="oidc")
    with store.write() as connection:
        audit.record(connection, actor=account.name, action="log_in", subject=account.name)
        return _known(connection, account.name)
