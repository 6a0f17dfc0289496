"""A small city with a store, and PostgreSQL where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import postgres_server
import small_city
from citymap.store import audit, open_store
from citymap.workspace import Workspace


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    """Twelve buildings, tiles, a store with rows, a photo, and what no backup takes along."""
    workspace = small_city.make(tmp_path / "city")
    store = open_store(workspace)
    with store.write() as connection:
        for number in range(20):
            audit.record(connection, actor="a", action="test.done", subject=f"みどり {number}")
    store.close()
    for name in ("photos/1.jpg", "downloads/big.zip", "quarantine/x", "backups/old", ".hidden/a"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).write_bytes(name.encode())
    (workspace.root / ".city.toml.1.tmp").write_text("half")
    return workspace


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    yield from postgres_server.or_skip()
