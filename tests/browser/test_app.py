"""The staff page in a real browser, against a stand-in that speaks the renderer's messages."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from app_driver import CHROMIUM, HERE, Watched, served

import small_city

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
]
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    workspace = small_city.make(tmp_path_factory.mktemp("app") / "city")
    with served("staff", workspace.root, HERE / "fake_renderer") as url:
        yield url


@pytest.fixture(params=["desktop"])
def page(browser: Browser, base: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = SIZES[request.param]
    opened = browser.new_page(viewport={"width": width, "height": height}, accept_downloads=True)
    watched = Watched()
    watched.watch(opened, base)
    opened.goto(base)
    expect(opened.locator("iframe")).to_have_count(1, timeout=30_000)
    if request.param == "phone":
        opened.get_by_test_id("stExpandSidebarButton").click()
    if request.param == "phone":  # its sidebar shows all
        opened.get_by_role("link", name="ハザードと建物").click()
    else:
        opened.get_by_text("地図と建物").first.click()
        opened.get_by_role("menuitem", name="ハザードと建物").click()
    expect(opened.get_by_text("12 棟").first).to_be_visible(timeout=30_000)
    yield opened
    assert watched.foreign == []
    assert watched.complaints == []
    opened.close()


def renderer(page: Page) -> Any:
    element = page.locator("iframe").element_handle()
    assert element is not None
    frame = element.content_frame()
    assert frame is not None
    # By the clock: under load the browser may hold back the animation frames of an idle frame.
    frame.wait_for_function("() => window.heard && window.heard.length >= 6", polling=100)
    return frame


def heard(page: Page, kind: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = renderer(page).evaluate("window.heard")
    return [m for m in messages if m["type"] == kind]


def press(page: Page, gml_id: str | None) -> None:
    renderer(page).evaluate(
        "id => window.say({type: 'click', gml_id: id, row: 2, lon: 139, lat: 36})", gml_id
    )


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=re.compile(label)).click()
    page.get_by_role("option", name=option).first.click()


@pytest.mark.parametrize("page", ["desktop", "phone"], indirect=True)
def test_the_map_fills_the_page_and_hears_the_view(page: Page) -> None:
    assert heard(page, "panel") == [{"citymap": 1, "type": "panel", "visible": False}]
    layers = heard(page, "deck")[0]["json"]["layers"]
    assert [layer["@@type"] for layer in layers] == ["CityBaseLayer", "CityBuildingsLayer"]
    box = page.locator("iframe").bounding_box()
    assert box is not None and box["height"] > 700
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_reruns_never_recreate_the_frame_and_send_only_what_changed(page: Page) -> None:
    born = renderer(page).evaluate("window.born")
    choose(page, "建物の色分け", "用途")
    expect(page.get_by_text("商業施設")).to_be_visible()
    choose(page, "建物の色分け", "高さ")
    expect(page.get_by_text("8m以上")).to_be_visible()
    assert renderer(page).evaluate("window.born") == born
    assert [m["by"] for m in heard(page, "colour")] == [None, "usage", "measured_height_m"]
    assert len(heard(page, "deck")) == 1
    assert "colour=" in page.url


def test_a_filter_reaches_map_and_count(page: Page) -> None:
    page.get_by_text("絞り込み").first.click()
    choose(page, "^用途", "学校")
    expect(page.get_by_text("4 棟").first).to_be_visible()
    assert heard(page, "filter")[-1]["rules"] == [{"id": "usage", "in": [2]}]


def test_a_click_opens_the_card_and_a_click_on_nothing_closes_it(page: Page) -> None:
    press(page, "bldg_0002")
    card = page.locator(".st-key-card")
    expect(card.get_by_text("緑川小学校").first).to_be_visible()
    expect(card.get_by_text("約1.2m")).to_be_visible()
    assert heard(page, "highlight")[-1]["gml_id"] == "bldg_0002"
    press(page, None)
    expect(card).to_have_count(0)


def test_hostile_texts_in_the_data_stay_texts(page: Page) -> None:
    press(page, "bldg_0003")
    expect(page.locator(".st-key-card").get_by_text("=cmd|").first).to_be_visible()


def test_the_count_follows_the_view(page: Page) -> None:
    renderer(page).evaluate(
        "window.say({type: 'view', bounds: [139.8795, 36.549, 139.8825, 36.551], zoom: 15})"
    )
    expect(page.get_by_text("3 棟").first).to_be_visible()


def test_messages_of_other_windows_are_not_heard(page: Page) -> None:
    page.evaluate("window.postMessage({citymap: 1, type: 'click', gml_id: 'bldg_0002'}, '*')")
    page.wait_for_timeout(500)
    expect(page.locator(".st-key-card")).to_have_count(0)


def test_downloads_can_be_read_by_others(page: Page, tmp_path: Path) -> None:
    import geopandas
    import pyogrio

    page.get_by_text("選んだ建物をダウンロード").click()
    got: dict[str, Path] = {}
    for label in ("CSV", "GeoPackage", "GeoParquet"):
        with page.expect_download() as caught:
            page.get_by_role("button", name=label).click()
        got[label] = tmp_path / caught.value.suggested_filename
        caught.value.save_as(got[label])
    assert pyogrio.read_info(got["GeoPackage"])["features"] == 12
    assert len(geopandas.read_parquet(got["GeoParquet"])) == 12
    raw = got["CSV"].read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert rows[3]["name"].startswith("'=cmd")


def test_search_leads_the_map_to_the_building(page: Page) -> None:
    page.get_by_label("建物・住所・地名をさがす").fill("小学校")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("緑川小学校")).click()
    expect(page.locator(".st-key-card")).to_be_visible()
    expected = {"citymap": 1, "type": "highlight", "gml_id": "bldg_0002", "fly": True}
    assert heard(page, "highlight")[-1] == expected


def test_a_place_leads_the_map_there_and_the_colours_stay(page: Page) -> None:
    """A new description puts colour and filter back in the renderer: both follow it again."""
    renderer(page).wait_for_function(
        "() => heard.filter(m => m.type === 'deck').length === 1", polling=100
    )
    choose(page, "建物の色分け", "用途")
    expect(page.get_by_text("商業施設")).to_be_visible()
    page.get_by_label("建物・住所・地名をさがす").fill("ヶ丘町")
    page.keyboard.press("Enter")
    page.locator(".st-key-results").get_by_role("button", name=re.compile("ヶ丘町")).first.click()
    expect(page.locator(".st-key-results button")).to_have_count(0)
    renderer(page).wait_for_function(
        "() => heard.filter(m => m.type === 'deck').length === 2", polling=100
    )
    kinds = [m["type"] for m in renderer(page).evaluate("window.heard")]
    after = kinds[len(kinds) - kinds[::-1].index("deck") :]
    assert {"filter", "colour"} <= set(after)
    assert heard(page, "colour")[-1]["by"] == "usage"


def test_english_is_one_press_away_and_stays_in_the_url(page: Page) -> None:
    page.get_by_role("button", name="English").or_(
        page.get_by_role("radio", name="English")
    ).click()
    expect(page.get_by_text("12 buildings").first).to_be_visible()
    assert "lang=en" in page.url
    assert heard(page, "lang")[-1]["lang"] == "en"
