"""A drill and an order show on every page, drills in print too; nothing is said of what is not known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from app_driver import CHROMIUM, HERE, served

import small_city
from citymap.live import levels, openings, orders, stations
from citymap.live.stations import Station
from citymap.places import import_places
from citymap.store import Store, open_store
from citymap.ui.pages import PAGES
from citymap.web.place import STATIC
from citymap.workspace import Workspace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the pages are not built"),
    pytest.mark.xdist_group("browser"),
]
expect.set_options(timeout=40_000)  # a machine under load draws the map late
SIZES = [(390, 844), (1280, 800)]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("everywhere")
    made = small_city.make(folder / "city")
    at = f"{small_city.SOUTH + 0.001},{small_city.WEST + 0.001}"
    (folder / "s.csv").write_text(
        f"ID,名称,緯度,経度,災害種別_洪水\n1,第一小,{at},1\n", encoding="utf-8"
    )
    (folder / "w.csv").write_text(
        f"NO,名称,緯度,経度,設置者,SSID,提供エリア,備考\n1,第一小体育館,{at},市,Safe_WiFi,1階,災害時は無料開放\n",
        encoding="utf-8",
    )
    import_places(made, [folder / "s.csv", folder / "w.csv"])
    return made


@pytest.fixture(scope="module")
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def public(city: Workspace) -> Iterator[str]:
    with served("public", city.root) as url:
        yield url + "/"


@pytest.fixture(scope="module")
def staff(city: Workspace) -> Iterator[str]:
    with served("staff", city.root, HERE / "fake_renderer") as url:
        yield url + "/"


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = getattr(request, "param", SIZES[0])
    context = browser.new_context(viewport={"width": width, "height": height}, locale="ja-JP")
    opened = context.new_page()
    opened.set_default_timeout(40_000)
    yield opened
    context.close()


FIRST_WORD_IN_SIGHT = """() => {
  const box = document.querySelector('.cm-order span').getBoundingClientRect();
  const top = document.elementFromPoint(box.left + 6, box.top + box.height / 2);
  return top !== null && top.closest('.cm-order') !== null;
}"""


def mark_in_print(page: Page) -> str:
    page.emulate_media(media="print")
    said: str = page.evaluate("getComputedStyle(document.body, '::after').content")
    page.emulate_media(media="screen")
    return said


@pytest.mark.parametrize("page", SIZES, indirect=True)
@pytest.mark.parametrize("path", ["report/", "map/?lang=ja"])
def test_the_form_and_the_map_say_drill_order_and_not_known(
    page: Page, public: str, store: Store, path: str
) -> None:
    orders.give(store, "drill", level=4, hazard="river_flood", message={"ja": "訓練の文"}, by="x")
    page.goto(public + path)
    strip = page.locator(".order-strip")
    expect(strip).to_contain_text("訓練です")
    expect(strip).to_contain_text("【訓練】警戒レベル4")
    assert "訓練" in mark_in_print(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    orders.give(store, "disaster", level=5, by="x")
    page.reload()
    expect(strip).to_contain_text("災害のお知らせ")
    assert "訓練" not in strip.inner_text() and "訓練" not in mark_in_print(page)
    orders.give(store, "normal", by="x")
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-order", "normal")
    assert not strip.is_visible()
    page.route("**/status.json", lambda r: r.fulfill(status=503, body="no"))
    page.reload()
    expect(strip).to_contain_text("不明")


def test_the_printed_map_of_a_drill_says_so_in_its_title(
    page: Page, public: str, store: Store
) -> None:
    orders.give(store, "drill", level=3, by="x")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.add_init_script("window.print = () => {}")
    page.goto(public + "map/?lang=ja")
    expect(page.locator(".order-strip")).to_contain_text("訓練")
    page.get_by_role("button", name="印刷").click()
    expect(page.locator(".sheet h1")).to_contain_text("【訓練】")


@pytest.mark.parametrize("page", SIZES, indirect=True)
def test_every_staff_page_shows_the_drill_and_it_follows_the_switch(
    page: Page, staff: str, store: Store
) -> None:
    orders.give(store, "drill", level=4, by="x")
    for screen in PAGES:
        page.goto(staff + ("" if screen is PAGES[0] else screen.url_path))
        bar = page.locator(".cm-order.drill")
        expect(bar).to_be_visible()
        expect(bar).to_contain_text("訓練")
        assert page.evaluate(FIRST_WORD_IN_SIGHT)
        page.emulate_media(media="print")
        expect(page.locator(".cm-drill-mark")).to_be_visible()
        page.emulate_media(media="screen")
    orders.give(store, "normal", by="x")
    page.reload()
    expect(page.locator(".cm-order")).to_have_count(0)


def test_the_map_shows_shelters_as_they_are_and_wifi_in_words(
    page: Page, public: str, store: Store
) -> None:
    orders.give(store, "normal", by="x")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(public + "map/?lang=ja")
    legend = page.locator(".legend.places")
    expect(legend).to_contain_text("開設中")
    expect(legend).to_contain_text("Wi-Fi")
    (spot,) = page.evaluate("fetch('../wifi.json').then(r => r.json())")
    assert (spot["ssid"], spot["operator"], spot["area"]) == ("Safe_WiFi", "市", "1階")
    assert (spot["disaster"], spot["shelter"]["name"]) == (True, "第一小")
    assert "災害時は無料開放" not in str(spot)  # the remark itself is staff's


def test_the_residents_page_tells_levels_and_not_known_when_they_age(
    page: Page, public: str, store: Store, city: Workspace
) -> None:
    orders.give(store, "normal", by="x")
    openings.say(store, "1", "open", head_count=3, by="x")
    at = (small_city.WEST + 0.001, small_city.SOUTH + 0.001)
    stations.add(city, [Station("g", "大橋", "川", "river", *at, 2.0, 3.0, 4.0, 5.0)])
    seen = levels.Reading("g", datetime.now(UTC), 4.2)
    levels.record(store, [seen], stations.stations(city), feed="x")
    page.goto(f"{public}#at={at[0]},{at[1]}")
    water = page.locator("#answer .water")
    expect(water).to_contain_text("避難判断水位を超えています", timeout=90_000)
    expect(water).to_contain_text("4.20m")
    page.clock.install()
    page.route("**/status.json", lambda r: r.abort())
    page.goto("about:blank")
    page.goto(f"{public}#at={at[0]},{at[1]}")
    expect(page.locator("#answer .verdict")).to_be_visible()
    assert "4.20" not in page.inner_text("#answer")


def test_a_screen_on_a_wall_fills_it_in_large_type_and_keeps_itself_up_to_date(
    page: Page, public: str, store: Store
) -> None:
    orders.give(store, "drill", level=4, by="x")
    openings.say(store, "1", "open", head_count=3, by="x")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.clock.install()
    page.goto(public + "?mode=signage")
    expect(page.locator("body.signage")).to_contain_text("第一小")
    expect(page.locator(".banner")).to_contain_text("訓練")
    size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('main li')).fontSize)")
    assert size >= 28
    assert page.evaluate("document.querySelector('#app').offsetWidth") >= 1278
    openings.say(store, "1", "full", head_count=90, by="x")
    page.clock.run_for(61_000)
    expect(page.locator("main")).to_contain_text("満員")
