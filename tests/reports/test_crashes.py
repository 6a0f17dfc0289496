"""Nothing acknowledged is lost, doubled or half there, whenever the server is killed."""

from __future__ import annotations

import uuid

import killed_server
import pytest
from report_samples import LAT, LON, picture

import postgres_server
from citymap.workspace import Workspace


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_minus_nine_under_load(
    kind: str, city: Workspace, request: pytest.FixtureRequest
) -> None:
    store = ""
    if kind == "postgresql":
        server: postgres_server.Server = request.getfixturevalue("postgres")
        store = server.database(f"t{uuid.uuid4().hex[:12]}")
    out = killed_server.rounds(city.root, store, 20, picture(size=(800, 600)), lon=LON, lat=LAT)
    assert out.fine, out
    assert out.acknowledged >= 20
