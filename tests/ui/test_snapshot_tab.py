"""Snapshots on the page レイヤー: staff see what differs, and nothing takes effect before they say so."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from tests import small_city

import citymap.ui
from citymap.layers import snapshots
from citymap.layers.remote import Allowed
from citymap.store import Store, audit, jobs
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "layers.py"


@pytest.fixture
def town(town: Workspace, tmp_path: Path) -> Workspace:
    (town.root / "snapshots").mkdir()
    (tmp_path / "drop").mkdir()
    (town.root / "snapshots/ledger.toml").write_text(
        f'id = "ledger"\nkind = "folder"\nfolder = "{tmp_path / "drop"}"\nkey = "id"\n'
    )
    point = {"type": "Point", "coordinates": [small_city.WEST, small_city.SOUTH]}
    feature = {"type": "Feature", "properties": {"id": "R-1", "name": "本通り"}, "geometry": point}
    path = tmp_path / "drop/ledger.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    os.utime(path, (time.time() - 60,) * 2)
    return town


def run() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert not at.exception, at.exception
    return at


def test_differences_are_shown_and_take_effect_when_accepted(town: Workspace, store: Store) -> None:
    snapshots.take(town, snapshots.watch(town, "ledger"), Allowed())
    at = run()
    assert any("増える 1" in m.value for m in at.markdown)
    assert not any("+00:00" in c.value for c in at.caption)  # the clock of Japan, as everywhere
    assert not (town.layers / "ledger.parquet").exists()
    at.button(key="accept ledger").click().run()
    assert not at.exception, at.exception
    found = snapshots.in_effect(town, "ledger")
    assert found is not None
    assert found["name"].tolist() == ["本通り"]
    assert "snapshot.accept" in {e.action for e in audit.entries(store)}
    assert at.button(key="accept ledger").disabled
    assert at.button(key="rollback ledger").disabled  # there was nothing before
    (path,) = (town.root.parent / "drop").iterdir()
    path.write_text(path.read_text().replace(json.dumps("本通り"), json.dumps("裏通り")))
    os.utime(path, (time.time() - 60,) * 2)
    snapshots.take(town, snapshots.watch(town, "ledger"), Allowed())
    at = run()
    at.button(key="accept ledger").click().run()
    at.button(key="rollback ledger").click().run()
    assert not at.error
    found = snapshots.in_effect(town, "ledger")
    assert found is not None
    assert found["name"].tolist() == ["本通り"]
    assert at.button(key="rollback ledger").disabled


def test_a_refused_one_is_gone_and_a_look_is_a_job(town: Workspace, store: Store) -> None:
    snapshots.take(town, snapshots.watch(town, "ledger"), Allowed())
    at = run()
    at.button(key="refuse ledger").click().run()
    assert snapshots.state(town, "ledger").pending is None
    at.button(key="look ledger").click().run()
    assert not at.exception, at.exception
    assert [j.kind for j in jobs.listed(store)] == ["snapshot"]
