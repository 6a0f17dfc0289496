"""The map in a real browser: drawn, picked, coloured, filtered, shared; nothing leaves the machine."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import Browser, Page

sys.path[:0] = [str(Path(__file__).parent)]
from app_driver import CHROMIUM, served

from citymap.demo import generate
from citymap.plateau.importer import ImportOptions, import_sources
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
READY = "() => { const s = window.__citymap && window.__citymap.stats(); return s && s.loaded && s.styleLoaded }"
DEPTH = "risk:river_flood:*:L2:depth"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("map")
    generate(folder / "source", buildings=400, seed=5, progress=Quiet())
    workspace = Workspace(folder / "city")
    parts = [p for p in (folder / "source").iterdir() if p.name != "hazard"]
    import_sources(parts, workspace, options=ImportOptions(), progress=Quiet())
    build(workspace, progress=Quiet(), workers=1)
    return workspace


@pytest.fixture(scope="module")
def base(city: Workspace) -> Iterator[str]:
    with served("public", city.root, None) as url:
        yield url.rstrip("/")


class Watch:
    """What a page asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda r: self.requests.append(r.url))
        page.on("pageerror", lambda e: self.faults.append(str(e)))
        page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)


@pytest.fixture
def opened(browser: Browser, base: str) -> Iterator[tuple[Page, Watch]]:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="ja-JP")
    watch = Watch(page)
    yield page, watch
    page.close()
    assert watch.faults == []
    assert {u.split("/")[2] for u in watch.requests if u.startswith("http")} <= {base.split("/")[2]}


def go(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_timeout(600)


def picture(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def hook(page: Page, call: str) -> Any:
    return page.evaluate(f"() => window.__citymap.{call}")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_map_is_drawn(opened: tuple[Page, Watch], base: str, width: int, height: int) -> None:
    page, _ = opened
    page.set_viewport_size({"width": width, "height": height})
    go(page, f"{base}/map/")
    area = picture(page).crop((width // 2 if width > 700 else 0, 0, width - 60, height // 2))
    colours = area.getcolors(1 << 20) or []
    assert len(colours) > 200
    assert hook(page, "stats()")["selectedTiles"] > 0
    assert page.get_by_role("searchbox").is_visible()
    assert page.get_by_text("0.5〜3m").is_visible()


def test_a_click_selects_the_building_under_it(
    opened: tuple[Page, Watch], base: str, city: Workspace
) -> None:
    page, _ = opened
    buildings = gpd.read_parquet(city.buildings)
    big = buildings.sort_values("footprint_area_m2").iloc[-1]
    point = big.geometry.representative_point()
    go(page, f"{base}/map/#v=18.5/{point.y}/{point.x}/0/0")
    at = page.evaluate(
        "([x, y]) => { const p = window.__citymap.map().project([x, y]); return [p.x, p.y] }",
        [point.x, point.y],
    )
    page.mouse.click(*at)
    page.wait_for_function("() => window.__citymap.selectedRow() >= 0")
    assert hook(page, "state()")["selected"] == big["gml_id"]
    card = page.locator(".card")
    assert card.is_visible()
    if big["measured_height_m"] == big["measured_height_m"]:
        assert f"{big['measured_height_m']:.1f}m" in card.inner_text()


def test_recolouring_changes_pixels_and_fetches_no_tile(
    opened: tuple[Page, Watch], base: str
) -> None:
    page, watch = opened
    go(page, f"{base}/map/#c=none")
    before = picture(page)
    asked = len(watch.requests)
    page.get_by_label("建物の色分け").first.select_option(DEPTH)
    for _ in range(20):  # until the picture rests: how fast a frame comes is the machine's affair
        page.wait_for_timeout(500)
        after = picture(page)
        if after.tobytes() != before.tobytes():
            break
    page.wait_for_timeout(1500)
    after = picture(page)
    fresh = [u for u in watch.requests[asked:] if not u.startswith("data:")]
    assert [u for u in fresh if "/attributes/" not in u and "icon" not in u] == []
    box = (500, 150, 1150, 700)
    pair = [np.asarray(image.crop(box)).reshape(-1, 3) for image in (before, after)]
    changed = int((pair[0] != pair[1]).any(axis=1).sum())
    assert changed > 2000


def test_the_filter_keeps_what_matches(
    opened: tuple[Page, Watch], base: str, city: Workspace
) -> None:
    page, _ = opened
    go(page, f"{base}/map/")
    assert hook(page, "matching()") == 400
    page.locator("details.filter summary").click()
    page.get_by_label("地上階数").select_option("3")
    page.wait_for_function("() => window.__citymap.matching() < 400")
    storeys = gpd.read_parquet(city.buildings)["storeys_above"]
    assert hook(page, "matching()") == int((storeys >= 3).sum())


def test_the_url_restores_what_was_seen(
    opened: tuple[Page, Watch], base: str, city: Workspace
) -> None:
    page, _ = opened
    gml_id = gpd.read_parquet(city.buildings)["gml_id"].iloc[7]
    go(page, f"{base}/map/#v=16.5/36.5527/139.8795/30/20&m=2d&c=usage&s={gml_id}")
    state = hook(page, "state()")
    assert (state["mode"], state["colourBy"], state["selected"]) == ("2d", "usage", gml_id)
    assert abs(hook(page, "map().getBearing()") - 30) < 0.1
    assert page.locator(".card").is_visible()


def test_search_finds_an_address(opened: tuple[Page, Watch], base: str, city: Workspace) -> None:
    page, _ = opened
    buildings = gpd.read_parquet(city.buildings)
    address = buildings["address"].dropna().iloc[3]
    go(page, f"{base}/map/")
    page.get_by_role("searchbox").fill(address)
    page.get_by_role("button", name="探す").click()
    page.locator(".results button").first.click()
    page.wait_for_function("() => window.__citymap.map().getZoom() > 15.5")


def test_keys_move_and_switch(opened: tuple[Page, Watch], base: str) -> None:
    page, _ = opened
    go(page, f"{base}/map/")
    zoom = hook(page, "map().getZoom()")
    page.keyboard.press("+")
    page.wait_for_function(f"() => window.__citymap.map().getZoom() > {zoom} + 0.4")
    page.keyboard.press("2")
    page.wait_for_function("() => window.__citymap.state().mode === '2d'")


def test_english(opened: tuple[Page, Watch], base: str) -> None:
    page, _ = opened
    go(page, f"{base}/map/?lang=en")
    assert page.get_by_role("button", name="Search").is_visible()
    assert page.get_by_text("No inundation attribute recorded").is_visible()


def test_without_data_the_page_says_so(browser: Browser, base: str) -> None:
    page = browser.new_page(locale="ja-JP")
    page.goto(f"{base}/map/?manifest=../tiles/nothing.json")
    page.get_by_role("alert").wait_for()
    assert "地図データを読み込めません" in page.get_by_role("alert").inner_text()
    page.close()


def test_a_hazard_map_is_laid_over_the_city_with_legend_order_and_url(
    opened: tuple[Page, Watch], base: str
) -> None:
    page, watch = opened
    go(page, f"{base}/map/#m=2d&c=none")
    page.get_by_text("重ねる地図").click()
    page.locator(".overlays summary").filter(has_text="想定最大規模").first.click()
    row = page.locator('.overlay[data-id^="hazard-fld"]:visible').first
    name = row.get_attribute("data-id")
    row.get_by_role("checkbox").click()
    page.wait_for_function(f"() => window.__citymap.map().getLayer('ov-{name}-fill')", polling=100)
    page.wait_for_function(f"() => window.__citymap.map().isSourceLoaded('ov-{name}')", polling=100)
    assert f"ov={name}%7E0.60" in page.url
    legend = page.locator("section.legend").filter(has_text="想定最大規模")
    assert legend.get_by_text("0.5m以上3m未満").is_visible()
    assert any(f"/overlays/{name}/" in url for url in watch.requests)
    asked = len([u for u in watch.requests if ".bin" in u])
    page.locator(f'.overlay[data-id="{name}"]').get_by_role("checkbox").click()
    page.wait_for_function(f"() => !window.__citymap.map().getLayer('ov-{name}-fill')", polling=100)
    assert len([u for u in watch.requests if ".bin" in u]) == asked  # no geometry, no column again


def test_higher_water_recolours_without_asking_the_server(
    opened: tuple[Page, Watch], base: str
) -> None:
    page, watch = opened
    go(page, f"{base}/map/#c=risk:river_flood:*:L2:depth")
    before = picture(page)
    asked = len(watch.requests)
    slider = page.get_by_role("slider", name="もし水がもっと深かったら")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.get_by_text("水が3m深い場合").wait_for()
    page.wait_for_timeout(800)
    assert "up=3.0" in page.url
    assert not [u for u in watch.requests[asked:] if ".bin" in u]
    assert before.tobytes() != picture(page).tobytes()


def test_a_distance_is_measured_and_a_sheet_is_made_for_paper(
    opened: tuple[Page, Watch], base: str
) -> None:
    page, _ = opened
    page.add_init_script("window.print = () => { window.printed = true }")
    go(page, f"{base}/map/#m=2d")
    page.get_by_role("button", name="距離と面積を測る").click()
    for x, y in ((600, 300), (900, 300), (900, 500)):
        page.mouse.click(x, y)
        page.wait_for_timeout(350)
    said = page.locator(".measure").inner_text()
    assert "距離" in said
    assert "面積" in said
    page.keyboard.press("Escape")
    page.get_by_role("button", name="印刷・PDF").click()
    page.wait_for_function("() => window.printed", polling=100)
    page.emulate_media(media="print")
    for part in (
        ".sheet-map img",
        ".sheet-scale",
        ".sheet-north",
        ".sheet-legend",
        ".sheet footer",
    ):
        assert page.locator(part).is_visible(), part
    colours = page.evaluate(
        """() => { const i = document.querySelector('.sheet-map img'), c = document.createElement('canvas');
        c.width = c.height = 64; const d = c.getContext('2d'); d.drawImage(i, 0, 0, 64, 64);
        return new Set(new Uint32Array(d.getImageData(0, 0, 64, 64).data.buffer)).size }"""
    )
    assert colours > 50  # the map, not an empty canvas
