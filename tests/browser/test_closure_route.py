"""A closure that staff confirm changes the way that residents are shown, says why, and can be taken back."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1]),
    str(Path(__file__).parents[1] / "reports"),
]
from app_driver import CHROMIUM, HERE, demo_city, served
from killed_server import multipart
from report_samples import body

from citymap.assess.place import Places
from citymap.progress import Quiet
from citymap.tiles import build
from citymap.web.place import STATIC
from citymap.workspace import Workspace

pytestmark = [
    pytest.mark.browser, pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the page is not built"),
    pytest.mark.xdist_group("browser"),
]  # fmt: skip
WAIT_MS = 90_000


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = demo_city(tmp_path_factory.mktemp("closure"), 400)
    build(workspace, progress=Quiet())
    return workspace


def home_and_road(city: Workspace) -> tuple[tuple[float, float], tuple[float, float]]:
    """A place with a long way to its shelter, and a spot on that way where a closure leaves another."""
    places = Places(city)
    west, south, east, north = city.city().bbox or (0.0, 0.0, 0.0, 0.0)
    longest: tuple[float, Any, tuple[float, float]] | None = None
    for i in range(1, 6):
        for j in range(1, 6):
            lon, lat = west + (east - west) * i / 6, south + (north - south) * j / 6
            offered = places.answer(lon, lat)["shelters"]
            if offered and offered[0]["route"] and len(offered[0]["route"]) >= 5:
                way = offered[0]["route"]
                if longest is None or offered[0]["walk_m"] > longest[0]:
                    longest = (offered[0]["walk_m"], way, (lon, lat))
    assert longest is not None, "the demo city has no way of several roads"
    _, way, home = longest
    middle = len(way) // 2
    (a, b), (c, d) = way[middle - 1], way[middle]
    return home, ((a + c) / 2, (b + d) / 2)


def report(base: str, lon: float, lat: float) -> None:
    said: dict[str, Any] = body(category="blocked_road", lon=lon, lat=lat, depth_m=None,
                                accuracy_m=5.0, text="土砂で通れません", contact="090-1111-2222")  # fmt: skip
    del said["observed_at"]
    raw, kind = multipart([("report", json.dumps(said).encode(), None)])
    to = http.client.HTTPConnection(base.removeprefix("http://"))
    to.request("POST", "/api/reports", raw, {"content-type": kind})
    assert to.getresponse().status == 201
    to.close()


def answered(page: Page, base: str, home: tuple[float, float]) -> tuple[str, Any]:
    """What the first shelter's card says, and the way behind it."""
    page.goto("about:blank")  # the page before may still ask: its answer is not waited for
    with page.expect_request(lambda r: "/api/place" in r.url, timeout=WAIT_MS) as asked:
        page.goto(f"{base}/#at={home[0]},{home[1]}")
    page.wait_for_selector("#answer .verdict", timeout=WAIT_MS)
    shelters = page.request.get(asked.value.url).json()["shelters"]
    return page.locator(".shelter").first.inner_text(), shelters[0]


def staff_open_the_first(page: Page, base: str) -> None:
    page.goto(f"{base}/damage-reports")
    page.locator(".st-key-triage_next button").wait_for(timeout=WAIT_MS)
    page.locator(".st-key-triage_next button").click()
    page.locator(".cm-said", has_text="土砂で通れません").wait_for(timeout=WAIT_MS)


def test_a_confirmed_closure_changes_the_way_says_why_and_can_be_switched_off(
    browser: Browser, city: Workspace, tmp_path: Path
) -> None:
    home, road = home_and_road(city)
    with (
        served("public", city.root) as public,
        served("staff", city.root, HERE / "fake_renderer") as staff,
    ):
        resident = browser.new_context(viewport={"width": 390, "height": 844}, locale="ja-JP")
        phone = resident.new_page()
        words, before = answered(phone, public, home)
        assert "通行止め" not in words
        assert before["detour"] is None
        report(public, *road)
        words, still = answered(phone, public, home)
        assert still["route"] == before["route"], "nobody has confirmed it yet"

        desk = browser.new_page(viewport={"width": 1280, "height": 800}, locale="ja-JP")
        staff_open_the_first(desk, staff)
        desk.keyboard.press("k")
        desk.get_by_role("heading", name="・ 確認済み").wait_for(timeout=WAIT_MS)

        words, after = answered(phone, public, home)
        assert after["route"] != before["route"]
        assert after["detour"] is not None
        assert (
            "通行止めと確認された道を避けています" in words or "ほかの道が見つかりません" in words
        )
        phone.screenshot(path=str(tmp_path / "after.png"), full_page=True)
        assert "090-1111-2222" not in phone.content()
        assert "土砂で通れません" not in phone.content()

        desk.get_by_role("tab", name="避難経路への通行止め").click()
        desk.locator("[class*=st-key-effect_off] button").click()
        desk.locator("[class*=st-key-effect_off] button").wait_for(
            state="detached", timeout=WAIT_MS
        )
        words, restored = answered(phone, public, home)
        assert restored["route"] == before["route"]
        assert "通行止め" not in words
