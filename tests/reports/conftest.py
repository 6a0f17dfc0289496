"""A city, an open store (SQLite and PostgreSQL)."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import postgres_server
import small_city
from citymap.store import Store, open_store
from citymap.workspace import Workspace


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    yield from postgres_server.or_skip()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "sqlite":
        return tmp_path / "store.sqlite"
    server: postgres_server.Server = request.getfixturevalue("postgres")
    return server.database(f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def store(where: str | Path) -> Iterator[Store]:
    opened = open_store(where)
    yield opened
    opened.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Store]:
    """A store on SQLite alone, where the database makes no difference."""
    opened = open_store(tmp_path / "lite.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")
