"""Numbers without persons, for allowed addresses only; log lines without values."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from asgi_client import TestClient
from citymap import logs
from citymap.settings import Settings
from citymap.web import metrics
from citymap.web.public import create_app
from citymap.workspace import Workspace

LINE = re.compile(r'^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+$')


def client(
    small: Workspace, folder: Path, address: str = "127.0.0.1", **more: object
) -> TestClient:
    settings = Settings(city=small.root, run_folder=folder, **more)
    return TestClient(create_app(settings), client=(address, 1))


def value(text: str, name: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def test_answers_are_counted_by_area_and_status_over_processes(
    small: Workspace, tmp_path: Path
) -> None:
    one = client(small, tmp_path)
    for path in ("/tiles/manifest.json", "/tiles/none", "/api/search?q=a", "/api/search?q=b"):
        one.get(path)
    text = one.get("/metrics").text
    assert value(text, 'citymap_requests_total{area="files",status="2xx"}') == 1
    assert value(text, 'citymap_requests_total{area="files",status="4xx"}') == 1
    assert value(text, 'citymap_requests_total{area="api",status="2xx"}') == 2
    assert value(text, 'citymap_request_seconds_count{area="api"}') == 2
    assert value(text, "citymap_disk_free_bytes") > 0
    assert value(text, "citymap_store_up") == 1


def test_the_text_is_what_prometheus_reads(small: Workspace, tmp_path: Path) -> None:
    got = client(small, tmp_path).get("/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in got.text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.match(line), line
    assert got.text.endswith("\n")


@pytest.mark.parametrize(
    ("address", "status"), [("127.0.0.1", 200), ("10.1.2.3", 200), ("10.2.0.1", 404), ("x", 404)]
)
def test_only_allowed_addresses_read_them(
    small: Workspace, tmp_path: Path, address: str, status: int
) -> None:
    asking = client(small, tmp_path, address, metrics_allow="127.0.0.1,10.1.0.0/16")
    assert asking.get("/metrics").status_code == status


def test_an_area_never_names_a_thing() -> None:
    assert metrics.area("/api/buildings/bldg_1") == "api"
    assert metrics.area("/tiles/x/1/2/3.mvt") == "files"
    assert metrics.area("/whatever") == metrics.area("") == metrics.area("/") == "page"


def test_a_failure_is_logged_without_what_the_person_typed(
    small: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asking = TestClient(create_app(Settings(city=tmp_path, run_folder=tmp_path)))
    with caplog.at_level(logging.WARNING):
        asking.get("/api/search?q=himitsu", headers={"cookie": "a=himitsu"})
    lines = [logs.Json().format(record) for record in caplog.records]
    assert lines
    assert not any("himitsu" in line for line in lines)
    said = json.loads(lines[-1])
    assert (said["area"], said["status"]) == ("api", 503)


def test_a_traceback_names_places_and_no_values() -> None:
    try:
        raise ValueError("himitsu")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "failed for %s", ("himitsu",),
            (ValueError, error, error.__traceback__),
        )  # fmt: skip
    for form in (logs.Json(), logs.Plain()):
        line = form.format(record)
        assert "himitsu" not in line
        assert "ValueError" in line
        assert "test_metrics.py" in line
