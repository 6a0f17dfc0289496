"""`POST /api/reports`: the contract of the devices, its limits, and what happens in bad weather."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import LAT, LON, body, exif, picture

import small_city
from asgi_client import TestClient
from citymap.reports import desk, photos
from citymap.settings import Settings
from citymap.store import Store, StoreError, accounts, engine, sessions, shared_store
from citymap.store.accounts import Role
from citymap.web import rate
from citymap.web.public import create_app
from citymap.workspace import Workspace

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("CITYMAP_RUN_FOLDER", str(tmp_path / "run"))
    workspace = small_city.make(tmp_path / "city")
    yield workspace
    opened = engine._SHARED.pop(str(workspace.root / "store.sqlite"), None)
    if opened is not None:
        opened.close()


def client(city: Workspace, **settings: Any) -> TestClient:
    return TestClient(create_app(Settings(city=city.root, **settings)))


def post(
    to: TestClient, data: Any, *pictures: bytes, headers: dict[str, str] | None = None, **parts: str
) -> Any:
    now = {k: v for k, v in data.items() if k != "observed_at"} if isinstance(data, dict) else data
    form = {"report": now if isinstance(now, str) else json.dumps(now), **parts}
    files = [("photo", (f"{i}.jpg", p, "image/jpeg")) for i, p in enumerate(pictures)]
    return to.post("/api/reports", data=form, files=files or [("x", b"")], headers=headers or SAME)


def stored(city: Workspace) -> list[Any]:
    return desk.listed(shared_store(city))


def test_new_is_201_and_the_same_again_200(city: Workspace) -> None:
    to, data, picked = client(city), body(), picture(exif=exif())
    first, again = post(to, data, picked), post(to, data, picked)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json() | {"id": data["id"], "number": 1, "status": "new"} == first.json()
    assert first.json()["received_at"].endswith("Z")
    assert first.headers["cache-control"] == "no-store"
    assert (post(to, data | {"text": "x"}, picked).status_code) == 422
    assert len(stored(city)) == 1
    assert (stored(city)[0].sender_role, stored(city)[0].source) == ("public", "form")


def test_the_report_may_be_a_part_with_a_type(city: Workspace) -> None:
    data = {k: v for k, v in body().items() if k != "observed_at"}
    parts = [("report", ("report.json", json.dumps(data).encode(), "application/json"))]
    assert client(city).post("/api/reports", files=parts, headers=SAME).status_code == 201


@pytest.mark.parametrize(
    ("pictures", "changed", "status", "error"),
    [
        ([b"<svg/>"], {}, 415, "photo_type"), ([picture()[:300]], {}, 422, "photo_broken"),
        ([picture()] * 6, {}, 413, "report_photos"), ([picture()] * 9, {}, 413, "report_photos"),
        ([b"\xff\xd8\xff" + bytes(photos.MAX_BYTES)], {}, 413, "photo_too_large"),
        ([], {"lon": 0}, 422, "report_outside"), ([], {"text": "x" * 5000}, 413, "report_text_long"),
        ([], {"id": "1"}, 422, "report_id"), ([], {"category": ""}, 422, "report_category"),
    ],
)  # fmt: skip
def test_a_refusal_has_its_reason_and_keeps_nothing(
    city: Workspace, pictures: list[bytes], changed: dict[str, Any], status: int, error: str
) -> None:
    got = post(client(city), body(**changed), *pictures, headers={**SAME, "accept-language": "en"})
    assert (got.status_code, got.json()["error"]) == (status, error)
    assert got.json()["message"].isascii()
    assert got.json()["remedy"]
    assert stored(city) == []
    assert list(city.root.glob("photos/**/*.*")) == []


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"lon":1e999}', "nul", "\x00"])
def test_what_is_no_report_is_422(city: Workspace, raw: str) -> None:
    assert post(client(city), raw).status_code == 422


def test_another_form_is_415_and_a_broken_one_422(city: Workspace) -> None:
    to = client(city)
    assert to.post("/api/reports", json=body(), headers=SAME).status_code == 415
    kind = {"content-type": "multipart/form-data", **SAME}
    assert to.post("/api/reports", content=b"x", headers=kind).status_code == 422
    kind["content-type"] += "; boundary=x"
    assert to.post("/api/reports", content=b"--x\r\nfoo", headers=kind).status_code == 422
    assert to.get("/api/reports").status_code == 405


def test_a_body_that_is_too_large_is_413(city: Workspace) -> None:
    got = post(client(city, report_max_mb=1), body(), bytes(3 << 20))
    assert got.status_code == 413


def test_a_page_of_another_site_cannot_report(city: Workspace) -> None:
    to = client(city)
    for headers in (
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"origin": "https://example.com"}, {"origin": "null"},
    ):  # fmt: skip
        assert post(to, body(), headers=headers).status_code == 403
    assert post(to, body(), headers={"origin": "http://testserver"}).status_code == 201
    assert post(to, body(), headers={"x-program": "1"}).status_code == 201  # no browser at all
    assert len(stored(city)) == 2


def test_one_device_and_one_address_may_not_flood(city: Workspace, monkeypatch: Any) -> None:
    monkeypatch.setattr(rate.time, "time", lambda: 1_000_000.0)
    to = client(city, rate_reports_per_device=3)
    got = [post(to, body(), device="abc") for _ in range(5)]
    assert [g.status_code for g in got] == [201] * 3 + [429] * 2
    assert got[-1].json()["error"] == "report_too_many"
    assert int(got[-1].headers["retry-after"]) > 0
    assert post(to, body(), device="other").status_code == 201


def test_many_behind_one_address_have_a_limit_of_their_own(city: Workspace) -> None:
    to = client(city, rate_reports_per_minute=3, rate_write_per_minute=1)
    got = [post(to, body()).status_code for _ in range(5)]
    assert got[:3] == [201] * 3
    assert 429 in got


def test_a_logged_in_person_is_trusted_and_an_expired_session_still_reports(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    store = shared_store(city)
    account = accounts.add(store, "ono", Role.FIELD, "a long phrase of mine", by="test")
    to = client(city)
    to.cookies.set(sessions.COOKIE, sessions.start(store, account))
    assert post(to, body()).status_code == 201
    accounts.end_sessions(store, "ono", by="test")
    assert post(to, body()).status_code == 201
    by = [(r.sender, r.sender_role) for r in stored(city)]
    assert by == [("", "public"), ("ono", "field")]


def test_script_in_text_is_kept_as_text(city: Workspace) -> None:
    text = "<script>alert(1)</script> =cmd|' /C calc'!A0"
    assert post(client(city), body(text=text)).status_code == 201
    assert stored(city)[0].text == text


def test_a_full_disk_is_said_and_the_same_report_goes_in_later(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, data, picked = client(city), body(), picture()
    sync = os.fsync

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    got = post(to, data, picked)
    assert (got.status_code, got.json()["error"]) == (507, "store_full")
    monkeypatch.setattr(os, "fsync", sync)
    assert [p for p in city.root.glob("photos/**/*") if p.is_file()] == []
    assert post(to, data, picked).status_code == 201
    assert len(stored(city)) == 1


def test_a_database_that_is_away_is_said_and_the_same_report_goes_in_later(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, data, picked = client(city), body(), picture()
    write = Store.write

    def away(self: Store, **_: Any) -> Any:
        raise StoreError("store_gone", place=self.place, reason="")

    monkeypatch.setattr(Store, "write", away)
    got = post(to, data, picked)
    assert (got.status_code, got.json()["error"]) == (503, "store_gone")
    assert str(city.root) not in got.text
    monkeypatch.setattr(Store, "write", write)
    assert post(to, data, picked).status_code == 201
    assert [p.name for p in city.root.glob("photos/??/*")] == [
        photos.path_of(city, stored(city)[0].photos[0]).name
    ]


def test_the_clock_of_the_device_is_set_right(city: Workspace) -> None:
    data = {**body(), "observed_at": "2031-01-01T08:50:00+09:00"}
    form = {"report": json.dumps(data), "clock": "2031-01-01T09:00:00+09:00"}
    got = client(city).post("/api/reports", data=form, files=[("x", b"")], headers=SAME)
    assert got.status_code == 201
    report = stored(city)[0]
    assert 590 < (report.received_at - report.observed_at).total_seconds() < 610
    # The clock is no part of what was said: later it shows another time, and it is the same report.
    form["clock"] = "2031-01-01T10:00:00+09:00"
    assert (
        client(city).post("/api/reports", data=form, files=[("x", b"")], headers=SAME).status_code
        == 200
    )


def test_without_a_city_it_says_so(tmp_path: Path) -> None:
    assert post(TestClient(create_app(Settings(city=tmp_path / "no"))), body()).status_code == 503


def test_positions_are_checked_against_the_city(city: Workspace) -> None:
    assert post(client(city), body(lon=LON, lat=LAT)).status_code == 201
    assert post(client(city), body(lon=LON + 0.2)).status_code == 422


@pytest.mark.parametrize("prefix", ["", "/sano"])
def test_the_form_stands_under_any_prefix(
    city: Workspace, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from citymap.web import reports

    built = tmp_path / "built"
    built.mkdir()
    (built / "index.html").write_text("<html>")
    (built / "sw.js").write_text("self")
    monkeypatch.setattr(reports, "STATIC", built)
    to = TestClient(create_app(Settings(city=city.root, root_path=prefix)), follow_redirects=False)
    assert to.get(f"{prefix}/report?lang=en").headers["location"] == f"{prefix}/report/?lang=en"
    page = to.get(f"{prefix}/report/")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    worker = to.get(f"{prefix}/report/sw.js")
    assert worker.headers["service-worker-allowed"] == f"{prefix}/report"
    assert "script-src 'self'" in worker.headers["content-security-policy"]
    form = to.get(f"{prefix}/api/reports/form.json")
    assert form.json()["categories"][0]["title"]["easy"]
    again = to.get(
        f"{prefix}/api/reports/form.json", headers={"if-none-match": form.headers["etag"]}
    )
    assert again.status_code == 304
