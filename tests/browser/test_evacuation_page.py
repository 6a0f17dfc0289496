"""The staff page 避難シミュレーション in a browser: choose, run, play, compare, take the capsule away and read it offline."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from app_driver import ARGUMENTS, CHROMIUM, Watched, served

import evacuation_city
from citymap.evacuation import plans
from citymap.web.paths import STATIC
from citymap.workspace import Workspace

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser, pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]  # fmt: skip
PLAYER = "window.__citymap.player()"


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    workspace = evacuation_city.make(tmp_path / "city")
    people = {"from_buildings": True}  # as the page asks for unless told otherwise
    evacuation_city.planned(workspace, "遅い", order_time_h=0.6, population=people)
    return workspace


@pytest.fixture
def base(city: Workspace) -> Iterator[str]:
    if not (STATIC / "index.html").exists():
        pytest.skip("the renderer is not built")
    worker = subprocess.Popen(
        [sys.executable, "-m", "citymap.cli.served", "worker"],
        env={**os.environ, "CITYMAP_CITY": str(city.root)},
        stdin=subprocess.PIPE,  # it ends when this closes
    )  # fmt: skip
    try:
        with served("staff", city.root) as address:
            yield address
    finally:
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(30)


def map_of(page: Any) -> Any:
    page.frame_locator("iframe").locator(".people-states").wait_for(timeout=180_000)
    return next(f for f in page.frames if "/map/" in f.url)


def until(frame: Any, true: str) -> None:
    """Ask again and again: the page's own policy forbids it to evaluate text by itself."""
    for _ in range(600):
        if frame.evaluate(f"Boolean({true})"):
            return
        frame.page.wait_for_timeout(200)
    raise AssertionError(true)


def count(frame: Any, state: str) -> int:
    text = frame.locator(f".people-states [data-state={state}] b").inner_text()
    return int(text.replace(",", ""))


def test_a_plan_is_run_played_compared_and_taken_away(
    base: str, city: Workspace, tmp_path: Path
) -> None:
    watched = Watched()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        page.set_default_timeout(120_000)
        watched.watch(page, base)
        page.goto(f"{base}/evacuation")
        before = map_of(page)  # the plan that is there
        before.evaluate(f"window.__before = {PLAYER}")
        # run
        page.get_by_role("tab", name="新しく計算する").click()
        name = page.get_by_role("textbox", name="計画の名前")
        name.fill("早い")
        name.press("Enter")
        page.get_by_role("spinbutton", name="避難指示の時刻").fill("0")
        page.get_by_role("spinbutton", name="避難指示の時刻").press("Enter")
        page.get_by_role("combobox", name="浸水計算の結果").click()
        page.get_by_role("option", name=evacuation_city.FLOOD).click()
        start = page.get_by_role("button", name="計算を始める")
        sync_api.expect(start).to_be_enabled(timeout=60_000)
        start.click()
        page.get_by_role("button", name="結果を見る").click()
        page.wait_for_url("**plan=%E6%97%A9%E3%81%84**")
        # play
        frame = map_of(page)
        plan = plans.entry(city, "早い")
        assert plan.summary is not None
        everybody = plan.summary["people"]
        until(frame, f"{PLAYER} && {PLAYER} !== window.__before")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        frame.evaluate(f"{PLAYER}.clock.speed(4); {PLAYER}.clock.play()")
        until(frame, f"{PLAYER}.playback.time > 600")
        frame.evaluate(f"{PLAYER}.clock.pause()")
        assert [u for u in sent if "/api/" in u] == []  # no request per frame
        counted = frame.evaluate(f"[...{PLAYER}.playback.people.counted]")
        assert sum(counted) == everybody
        frame.evaluate(f"{PLAYER}.clock.seek({PLAYER}.clock.to)")
        assert count(frame, "arrived") == plan.summary["evacuated"]
        assert count(frame, "stranded") == plan.summary["stranded"] > 0
        assert count(frame, "closed") > 0
        assert frame.evaluate(f"{PLAYER}.playback.water.at(7200).data.some((v) => v > 0)")
        # compare
        page.get_by_role("tab", name="二つを比べる").click()
        page.get_by_text("「遅い」は「早い」より逃げ遅れが").wait_for()
        # take away
        page.get_by_role("tab", name="結果").first.click()
        with page.expect_download() as download:
            page.get_by_role("button", name="計画を一つの HTML で保存する").click()
        file = tmp_path / "plan.html"
        download.value.save_as(file)
        assert watched.foreign == []
        # the small city's 3D Tiles are stand-ins, over which the loader stumbles
        assert [c for c in watched.complaints if "(reading 'refine')" not in c] == []
        read_offline(browser, file, plan.summary)
        browser.close()


def read_offline(browser: Any, file: Path, summary: dict[str, Any]) -> None:
    """Open the capsule with the network off: it draws, plays and prints, and asks for nothing."""
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.evaluate("window.ready")
    page.locator("#time").fill(str(int(summary["duration_h"] * 3600) // 10 * 10))
    numbers = {
        state: int(page.locator(f"#states [data-state={state}] b").inner_text().replace(",", ""))
        for state in ("arrived", "stranded", "upstairs", "stayed", "walking", "driving", "waiting")
    }
    assert sum(numbers.values()) == summary["people"]
    assert numbers["arrived"] == summary["evacuated"]
    page.locator("#district").select_option(label="本町一丁目")
    assert "対象" in page.locator("#doing").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    drawn = "(() => { const c = document.getElementById('map'); return new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size; })()"
    assert page.evaluate(drawn) > 10
    page.goto(file.as_uri() + "#sheets=all")
    page.reload()
    page.evaluate("window.ready")
    sheets = page.pdf(prefer_css_page_size=True)
    assert sheets.count(b"/MediaBox [0 0 1191.12 841.91998]") == 2  # A3, one a district
    assert [u for u in asked if not u.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []
    context.close()
