"""An open store, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

sys.path.insert(0, str(Path(__file__).parents[1]))
import postgres_server
from citymap.store import Store, accounts, open_store


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    yield from postgres_server.or_skip()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A place where no store is yet."""
    if request.param == "sqlite":
        return tmp_path / "store.sqlite"
    server: postgres_server.Server = request.getfixturevalue("postgres")
    return server.database(f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def store(where: str | Path) -> Iterator[Store]:
    opened = open_store(where)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same algorithm with less work, so that the tests are quick."""
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    accounts._nobody.cache_clear()
