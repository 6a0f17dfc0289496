"""A full disk and a database that is away: the device is told, nothing is half there, and it goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from report_samples import body, picture

import postgres_server
import small_city
import small_disk
from asgi_client import TestClient
from citymap.i18n import t
from citymap.reports import desk, photos
from citymap.settings import Settings
from citymap.store import engine, open_store
from citymap.web import public
from citymap.workspace import Workspace


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk.mounted(tmp_path / "disk") as place:
        yield place
        for name in [n for n in engine._SHARED if str(place) in n]:
            engine._SHARED.pop(name).close()


def client(city: Workspace, **settings: Any) -> TestClient:
    given = Settings(city=city.root, rate_reports_per_minute=0, rate_write_per_minute=0, **settings)
    return TestClient(public.create_app(given), raise_server_exceptions=False)


def post(phone: TestClient, said: dict[str, Any], raw: bytes) -> Any:
    return phone.post(
        "/api/reports", data={"report": json.dumps(said)}, files=[("photo", ("a.jpg", raw))]
    )


def said() -> dict[str, Any]:
    given = body()
    del given["observed_at"]
    return given


def whole(city: Workspace) -> int:
    """Every photo of the folder is what its name says; how many there are."""
    listed = photos.waiting(city)
    assert all(hashlib.sha256(p.read_bytes()).hexdigest() == p.stem for p in listed)
    assert list((city.root / "photos" / photos.INCOMING).glob("*")) == []
    return len(listed)


@pytest.mark.parametrize("free_kb", [0, 4, 40, 160, 400])
def test_a_full_disk_is_told_and_it_goes_on_when_there_is_room(disk: Path, free_kb: int) -> None:
    """With `free_kb` left the room ends in another step: the photo, the record, or the database."""
    city = small_city.make(disk / "city")
    queue = [(said(), picture(size=(320, 240))) for _ in range(12)]
    with client(city) as phone:
        assert post(phone, *queue[0]).status_code == 201
        told: list[int] = []
        with small_disk.filled(disk, free_kb=free_kb):
            for given, raw in queue:
                answer = post(phone, given, raw)
                told.append(answer.status_code)
                if answer.status_code >= 500:
                    assert answer.json()["error"] in {"store_full", "store_io"}
                    words = answer.json()["message"] + (answer.json()["remedy"] or "")
                    assert words and "Traceback" not in words
        assert told[0] == 200  # what was taken is still known
        assert told[-1] in {503, 507}, "the disk was never full"
        assert set(told) <= {200, 201, 503, 507}
        for given, raw in queue:
            assert post(phone, given, raw).status_code in {200, 201}
        assert all(post(phone, given, raw).status_code == 200 for given, raw in queue)
    store = open_store(city, check=True)
    reports = desk.listed(store)
    assert {r.id for r in reports} == {given["id"] for given, _ in queue}
    assert sorted(r.number for r in reports) == list(range(1, len(queue) + 1))
    assert all(photos.read(city, p) is not None for r in reports for p in r.photos)
    assert whole(city) == len(queue)
    store.close()


@pytest.mark.slow
def test_a_database_that_is_away_is_told_and_comes_back(
    tmp_path: Path, postgres: postgres_server.Server
) -> None:
    city = small_city.make(tmp_path / "city")
    url = postgres.database(f"t{uuid.uuid4().hex[:12]}")
    queue = [(said(), picture()) for _ in range(6)]
    with client(city, store=url) as phone:
        assert post(phone, *queue[0]).status_code == 201
        os.kill(postgres.pid, signal.SIGQUIT)  # as a crash
        postgres.process.wait(30)
        for given, raw in queue[1:3]:
            answer = post(phone, given, raw)
            assert answer.status_code == 503
            assert (
                answer.json()["message"] == t("error.store_gone", "ja") or answer.json()["remedy"]
            )
        done: list[int] = []
        late = Thread(target=lambda: done.append(post(phone, *queue[3]).status_code))
        late.start()
        time.sleep(0.3)
        postgres.start()
        late.join()
        assert done[0] in {201, 503}  # in time, or told to come again
        for given, raw in queue:
            assert post(phone, given, raw).status_code in {200, 201}
        assert all(post(phone, given, raw).status_code == 200 for given, raw in queue)
    engine._SHARED.pop(url).close()
    store = open_store(url)
    assert {r.id for r in desk.listed(store)} == {given["id"] for given, _ in queue}
    assert whole(city) == len(queue)
    store.close()
