"""A town with its tiles, built once."""

from __future__ import annotations

from typing import Any

import pytest

from citymap import tiles
from citymap.progress import Quiet
from citymap.workspace import Workspace
from tests.tiles.town import make_town


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_town(tmp_path_factory.mktemp("town"), buildings=1100)


@pytest.fixture(scope="session")
def manifest(town: Workspace) -> dict[str, Any]:
    return tiles.build(town, progress=Quiet())
