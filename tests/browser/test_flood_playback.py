"""Playing a flood over the 3-D city in a real browser: drawn water, clock, curve, comparison, link, page of staff."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import rasterio

pytest.importorskip("playwright", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Browser, Page, expect

sys.path[:0] = [str(Path(__file__).parent)]
from app_driver import CHROMIUM, Watched, demo_city, served

from citymap import crs
from citymap.flood import library
from citymap.flood import run as runs
from citymap.flood.scenario import read
from citymap.progress import Quiet
from citymap.tiles import build
from citymap.web.paths import STATIC
from citymap.workspace import Workspace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the renderer is not built"),
    pytest.mark.xdist_group("browser"),
]
LEFT, MENDED = "左岸の破堤", "直した堤防"
DRAWN = "() => { const w = window.__citymap?.water?.(); return w && w.frames === w.of && window.__citymap.stats().loaded }"
CLASS_OF_1_M = (255, 216, 192)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("flood-map")
    town = demo_city(folder, 200)
    build(town, progress=Quiet(), workers=1)
    epsg = town.city().epsg
    with rasterio.open(town.terrain, driver="GTiff") as source:
        z, transform = source.read(1), source.transform
    row, column = z.shape[0] * 3 // 5, z.shape[1] // 2  # on the plain south of the river
    x, y = transform * (column + 0.5, row + 0.5)
    lon, lat = crs.unproject(np.array([x]), np.array([y]), epsg)
    for name, width in ((LEFT, 100.0), (MENDED, 20.0)):
        plan = library.Plan(
            name, "", 10.0, 0.5, "ignore", (float(lon[0]), float(lat[0])), width, 0.0, 0.1,
            float(z[row, column]) + 3.0, 0.5, 0.0, 0.0,
        )  # fmt: skip
        made = library.write(town, name, library.text_of(plan))
        runs.run(read(made / "scenario.toml", city=town.root), made, epsg=epsg)
    return town


@pytest.fixture(scope="module")
def base(city: Workspace) -> Iterator[str]:
    with served("staff", city.root, None) as url:
        yield url.rstrip("/")


@pytest.fixture
def page(browser: Browser, base: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1000, "height": 700})
    watched = Watched()
    watched.watch(opened, base)
    yield opened
    assert watched.foreign == []
    assert watched.complaints == []
    opened.close()


def wish(*parts: str) -> str:
    return "#m=2d&w=" + quote("~".join(quote(p) for p in parts))


def open_map(page: Page, base: str, *parts: str) -> None:
    page.goto(f"{base}/map/?panel=0&lang=ja{wish(*parts)}")
    page.wait_for_function(DRAWN, timeout=180_000, polling=500)
    page.wait_for_timeout(1500)


def water(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("window.__citymap.water()")
    return found


def share_of(page: Page, near: tuple[int, int, int], within: int) -> float:
    """The part of the map whose colour is within a distance of one."""
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    return float((np.abs(pixels - near).max(axis=-1) <= within).mean())


def test_the_water_of_a_moment_is_drawn_and_played_without_asking(page: Page, base: str) -> None:
    open_map(page, base, LEFT, "", "", "0")
    dry = share_of(page, CLASS_OF_1_M, 12)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.get_by_role("button", name="再生").click()
    page.wait_for_function("() => window.__citymap.water().hours > 0.02", timeout=60_000)
    page.get_by_role("button", name="一時停止").click()
    moment = water(page)
    assert not moment["playing"]
    assert not moment["peak"]
    page.get_by_role("button", name="最大").click()
    page.wait_for_timeout(1500)
    assert water(page)["peak"]
    assert share_of(page, CLASS_OF_1_M, 12) > dry + 0.005
    assert [u for u in asked if "/api/flood/" in u] == []
    slider = page.get_by_role("slider", name="浸水が始まってからの時間")
    slider.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert not water(page)["peak"]


def test_a_press_gives_the_curve_of_that_place(page: Page, base: str) -> None:
    open_map(page, base, LEFT)
    page.mouse.click(500, 350)
    chart = page.locator(".water-chart")
    expect(chart).to_be_visible(timeout=30_000)
    expect(chart.locator("polyline")).to_have_count(1)
    expect(chart).to_contain_text("最大")
    page.mouse.click(30, 100)
    expect(chart).to_contain_text("範囲の外", timeout=30_000)
    chart.get_by_role("button", name="閉じる").click()
    expect(chart).to_be_hidden()


def test_two_results_side_by_side_and_their_difference(page: Page, base: str) -> None:
    open_map(page, base, LEFT, MENDED, "side")
    divider = page.get_by_role("slider", name="左右の境")
    expect(divider).to_contain_text(MENDED)
    seen = share_of(page, CLASS_OF_1_M, 12)
    divider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)
    assert share_of(page, CLASS_OF_1_M, 12) != seen
    page.goto("about:blank")
    open_map(page, base, LEFT, MENDED, "difference")
    expect(page.locator(".water-head")).to_contain_text("浅い: 0.5 m 以上")
    assert share_of(page, (5, 48, 97), 60) > 0.0005


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_the_page_plays_what_is_chosen_and_shares_it(
    browser: Browser, base: str, size: tuple[int, int]
) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    watched = Watched()
    watched.watch(page, base)
    page.goto(f"{base}/flood-scenarios?flood={quote(LEFT)}&versus={quote(MENDED)}&how=side")
    expect(page.locator("iframe").first).to_be_visible(timeout=60_000)
    frame = page.frame_locator("iframe").first
    expect(frame.locator(".clock-bar")).to_be_visible(timeout=120_000)
    expect(frame.locator(".water-divider")).to_contain_text(MENDED)
    bar, whole = frame.locator(".clock-bar").bounding_box(), page.locator("iframe").bounding_box()
    assert bar is not None
    assert whole is not None
    assert bar["x"] >= whole["x"]
    assert bar["x"] + bar["width"] <= whole["x"] + whole["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert watched.foreign == []
    assert watched.complaints == []
    page.close()
