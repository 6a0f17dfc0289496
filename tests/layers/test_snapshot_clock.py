"""Snapshots by themselves: when they are due, after failures and restarts, and of a real WFS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

sys.path.insert(0, str(Path(__file__).parents[1]))
import ogc_service
import small_city
from citymap.jobs import clock
from citymap.jobs.run import run
from citymap.layers import remote, snapshots
from citymap.layers.remote import Allowed
from citymap.layers.snapshots import RETRY_S, Watch
from citymap.share.servers import write
from citymap.store import Store, jobs, open_store
from citymap.workspace import Workspace

HERE = Allowed(("127.0.0.1",), private=True)
MAPSERVER = Path("/usr/lib/cgi-bin/mapserv")


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(remote, "_resting", remote._Resting())
    monkeypatch.setenv("CITYMAP_REMOTE_HOSTS", "127.0.0.1")
    monkeypatch.setenv("CITYMAP_REMOTE_PRIVATE", "true")
    return small_city.make(tmp_path / "city")


@pytest.fixture
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


def watching(city: Workspace, **values: object) -> Watch:
    (city.root / "snapshots").mkdir(exist_ok=True)
    said = "".join(
        f"{k} = {v if isinstance(v, int | float) else repr(v)}\n" for k, v in values.items()
    )
    (city.root / f"snapshots/{values['id']}.toml").write_text(said.replace("'", '"'))
    return snapshots.watch(city, str(values["id"]))


def drop(folder: Path, *names: str, age_s: float = 60) -> None:
    folder.mkdir(exist_ok=True)
    points = [shapely.Point(139.88 + i * 0.001, 36.55) for i in range(len(names))]
    table = geopandas.GeoDataFrame({"name": list(names)}, geometry=points, crs="EPSG:6668")
    path = folder / "drop.geojson"
    table.to_file(path, driver="GeoJSON")
    os.utime(path, (time.time() - age_s,) * 2)


def tick(store: Store, city: Workspace, at: datetime | None = None) -> int:
    """One look of the clock and the work that it started; how many jobs."""
    started = clock.look(store, city, at or datetime.now(UTC))
    while (job := jobs.claim(store, "test")) is not None:
        run(store, city, job)
        assert jobs.get(store, job.id).state == "done", jobs.get(store, job.id).error
    return len(started)


def test_a_watch_is_taken_once_by_itself_and_again_after_its_interval(
    city: Workspace, store: Store, tmp_path: Path
) -> None:
    drop(tmp_path / "in", "a", "b")
    watching(city, id="ledger", kind="folder", folder=str(tmp_path / "in"), every_h=2)
    assert tick(store, city) == 1
    pending = snapshots.state(city, "ledger").pending
    assert pending is not None
    assert pending.added == 2
    assert tick(store, city) == 0
    assert not (city.layers / "ledger.parquet").exists()  # staff decide
    store.close()
    with_new = open_store(city)  # a restart: what was done is on disk
    assert tick(with_new, city) == 0
    one = snapshots.watch(city, "ledger")
    now = datetime.now(UTC)
    assert not snapshots.due(city, one, now + timedelta(minutes=119))
    assert snapshots.due(city, one, now + timedelta(minutes=121))
    assert snapshots.due(city, one, now - timedelta(hours=1))  # the clock was put back
    with_new.close()


def test_a_file_dropped_into_the_folder_is_taken_without_waiting(
    city: Workspace, store: Store, tmp_path: Path
) -> None:
    drop(tmp_path / "in", "a")
    watching(city, id="ledger", kind="folder", folder=str(tmp_path / "in"), every_h=24)
    tick(store, city)
    snapshots.accept(city, snapshots.watch(city, "ledger"))
    assert tick(store, city) == 0
    drop(tmp_path / "in", "a", "b", age_s=1)  # still being copied
    assert tick(store, city) == 0
    drop(tmp_path / "in", "a", "b", age_s=30)
    assert tick(store, city) == 1
    pending = snapshots.state(city, "ledger").pending
    assert pending is not None
    assert pending.added == 1


def test_a_server_that_is_away_is_asked_ever_less_often_and_the_good_copy_stays(
    city: Workspace, store: Store, tmp_path: Path
) -> None:
    drop(tmp_path / "in", "a")
    watching(city, id="ledger", kind="folder", folder=str(tmp_path / "in"))
    tick(store, city)
    snapshots.accept(city, snapshots.watch(city, "ledger"))
    good = (city.layers / "ledger.parquet").read_bytes()
    port = ogc_service.free_port()
    one = watching(
        city, id="ledger", kind="wfs", url=f"http://127.0.0.1:{port}/wfs", layer="x", every_h=1
    )
    at, pauses = datetime.now(UTC), []
    for _ in range(6):
        snapshots.take(city, one, HERE, at=at)
        state = snapshots.state(city, "ledger")
        assert state.error
        pause = 1
        while not snapshots.due(city, one, at + timedelta(seconds=pause)):
            pause += 1
        pauses.append(pause)
        at += timedelta(seconds=pause)
    assert pauses == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S, 3600, 3600]
    assert (city.layers / "ledger.parquet").read_bytes() == good


def test_a_broken_watch_stops_no_other(city: Workspace, store: Store, tmp_path: Path) -> None:
    drop(tmp_path / "in", "a")
    watching(city, id="ledger", kind="folder", folder=str(tmp_path / "in"))
    (city.root / "snapshots/broken.toml").write_text("id = ")
    assert tick(store, city) == 1
    assert snapshots.state(city, "ledger").pending is not None


@pytest.mark.skipif(not MAPSERVER.exists(), reason="Debian's cgi-mapserver is not installed")
def test_a_snapshot_of_a_real_wfs_comes_by_itself_and_outlives_the_server(
    city: Workspace, store: Store, tmp_path: Path
) -> None:
    theirs = ogc_service.make(tmp_path / "theirs")
    write(theirs, tmp_path / "served")
    config = tmp_path / "mapserver.conf"
    config.write_text(
        f'CONFIG ENV MS_MAP_NO_PATH "1" END MAPS citymap "{tmp_path}/served/citymap.map" END END'
    )
    port = ogc_service.free_port()
    gateway = Path(__file__).parents[1] / "share/cgi_gateway.py"
    process = subprocess.Popen([
        sys.executable, str(gateway), str(port), str(MAPSERVER),
        f"MAPSERVER_CONFIG_FILE={config}", "CGI_QUERY=map=citymap",
    ])  # fmt: skip
    one = watching(city, id="ledger", kind="wfs", url=f"http://127.0.0.1:{port}/s", layer="ms:buildings",
                   key="building_id", every_h=1)  # fmt: skip
    try:
        ogc_service.wait_for(port)
        assert tick(store, city) == 1
        pending = snapshots.state(city, "ledger").pending
        assert snapshots.state(city, "ledger").error == ""
        assert pending is not None
        assert pending.added == 30
        snapshots.accept(city, one)
        taken = snapshots.in_effect(city, "ledger")
        original = pq.read_table(theirs.buildings)
        assert taken is not None
        assert sorted(taken["building_id"]) == sorted(original["building_id"].to_pylist())
        by_id = dict(zip(taken["building_id"], taken.geometry, strict=True))
        for name, shape in zip(original["building_id"].to_pylist(),
                               shapely.from_wkb(original["geometry"].to_pylist()), strict=True):  # fmt: skip
            assert shapely.hausdorff_distance(by_id[name], shape) < 2e-7  # MapServer rounds
        assert snapshots.take(city, one, HERE).pending is None  # the same again
    finally:
        process.terminate()
        process.wait(10)
    assert snapshots.take(city, one, HERE).error
    assert len(snapshots.in_effect(city, "ledger")) == 30  # type: ignore[arg-type]
