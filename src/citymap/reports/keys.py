"""Keys of other programs that may send reports (Open311): shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from citymap.reports.model import ReportError
from citymap.store import audit
from citymap.store.tables import FACTS

if TYPE_CHECKING:
    from citymap.store import Store

_START = "report_key."
_NAME = re.compile(r"[\w.-]{1,40}")


def _fact(key: str) -> str:
    return _START + hashlib.sha256(key.encode()).hexdigest()[:48]


def make(store: Store, name: str, *, by: str) -> str:
    """A new key for the program `name`; this is the only time that it is seen.

    Raises:
        ReportError: the name has other signs than letters, digits, `.`, `-`, `_`.
    """
    if not _NAME.fullmatch(name):
        raise ReportError("report_key_name")
    key = secrets.token_urlsafe(24)
    with store.write() as connection:
        connection.execute(insert(FACTS).values(name=_fact(key), value=name))
        audit.record(connection, actor=by, action="report_key.add", subject=name)
    return key


def whose(store: Store, key: str) -> str | None:
    """The program of a key; None where nobody has it."""
    if not key or len(key) > 200:
        return None
    with store.read() as connection:
        found = connection.execute(select(FACTS.c.value).where(FACTS.c.name == _fact(key))).scalar()
    return None if found is None else str(found)


def names(store: Store) -> list[str]:
    """The programs that have keys."""
    with store.read() as connection:
        query = select(FACTS.c.value).where(FACTS.c.name.startswith(_START, autoescape=True))
        return sorted(connection.execute(query).scalars())


def take_back(store: Store, name: str, *, by: str) -> int:
    """End every key of a program; how many there were."""
    with store.write() as connection:
        ended = connection.execute(
            delete(FACTS).where(
                FACTS.c.name.startswith(_START, autoescape=True), FACTS.c.value == name
            )
        ).rowcount
        audit.record(connection, actor=by, action="report_key.remove", subject=name)
    return int(ended)
