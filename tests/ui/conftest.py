"""A small city for the pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap.store import Store, engine, shared_store
from citymap.workspace import Workspace


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_city.make(tmp_path_factory.mktemp("small") / "city")


@pytest.fixture
def city(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CITYMAP_CITY", str(small.root))
    return small


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A small city of the test's own, which the pages open."""
    workspace = small_city.make(tmp_path / "town")
    monkeypatch.setenv("CITYMAP_CITY", str(workspace.root))
    return workspace


@pytest.fixture
def store(town: Workspace) -> Iterator[Store]:
    """The store of that city, shared with the pages as in the process that serves them."""
    yield shared_store(town)
    used = engine._SHARED.pop(str(town.root / "store.sqlite"), None)
    if used is not None:
        used.close()
