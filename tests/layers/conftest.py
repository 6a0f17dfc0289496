"""A small city for the pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap.workspace import Workspace


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_city.make(tmp_path_factory.mktemp("small") / "city")


@pytest.fixture
def city(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CITYMAP_CITY", str(small.root))
    return small
