"""The residents' page in a real browser: words first, live order, offline, keyboard, and no barrier."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page

sys.path[:0] = [str(Path(__file__).parent)]
from app_driver import CHROMIUM, demo_city, served

from citymap.live import openings, orders
from citymap.store import Store, open_store
from citymap.web.place import STATIC
from citymap.workspace import Workspace

AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the page is not built"),
    pytest.mark.xdist_group("browser"),
]
SIZES = [(390, 844), (1280, 800)]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return demo_city(tmp_path_factory.mktemp("residents"), 400)


@pytest.fixture(scope="module")
def base(city: Workspace) -> Iterator[str]:
    with served("public", city.root, None) as url:
        yield url.rstrip("/") + "/"


@pytest.fixture(scope="module")
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = getattr(request, "param", SIZES[0])
    context = browser.new_context(viewport={"width": width, "height": height}, locale="ja-JP")
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    yield opened
    context.close()


def asked(page: Page, base: str, query: str = "公民館", suffix: str = "") -> None:
    page.goto(base + suffix)
    page.fill("#q", query)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer, .results button")
    if page.locator(".results button").count():
        page.locator(".results button").first.click()
    page.wait_for_selector("#answer .verdict", timeout=60_000)  # the first compiles the kernels


def barriers(page: Page) -> list[str]:
    """Serious and critical findings of axe-core for WCAG 2.2 AA."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "() => axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:120]}"
        for v in found["violations"] if v["impact"] in {"serious", "critical"}
    ]  # fmt: skip


@pytest.mark.parametrize("page", SIZES, indirect=True)
def test_the_answer_stands_in_words_with_shelters_and_a_map(page: Page, base: str) -> None:
    foreign: list[str] = []
    page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(base) else None)
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    asked(page, base)
    text = page.inner_text("#answer")
    assert "何階に住んでいますか" in text and "避難場所" in text
    assert page.locator(".shelter").count() >= 1 or "確かめてください" in text
    assert "開設中" not in text  # nobody opened one
    page.locator(".floors label").nth(1).click()
    assert page.inner_text(".floor").strip()
    page.wait_for_selector(".map canvas")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert foreign == [] and errors == []


def test_before_the_map_it_is_light(page: Page, base: str) -> None:
    sizes: list[int] = []

    page.on("requestfinished", lambda r: sizes.append(r.sizes()["responseBodySize"]))
    page.goto(base)
    page.wait_for_selector("#q")
    page.wait_for_load_state("networkidle")
    assert sum(sizes) <= 300_000 and len(sizes) <= 30  # the service worker fetches in between


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("page", SIZES, indirect=True)
@pytest.mark.parametrize("mode", ["normal", "disaster", "drill"])
def test_no_serious_barrier(page: Page, base: str, store: Store, mode: str) -> None:
    level = None if mode == "normal" else 4
    orders.give(store, mode, level=level, by="test")
    try:
        page.goto(base)
        page.wait_for_selector("#q")
        assert barriers(page) == []
        asked(page, base)
        page.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")
        page.get_by_role("button", name="マイ・タイムライン").click()
        assert barriers(page) == []
    finally:
        orders.give(store, "normal", by="test")


def test_the_order_comes_first_and_a_drill_says_so(page: Page, base: str, store: Store) -> None:
    orders.give(store, "disaster", level=4, message={"ja": "川が増えています"}, by="test")
    page.goto(base)
    page.wait_for_selector(".banner .level")
    assert "避難指示" in page.inner_text(".banner") and "川が増えています" in page.inner_text(
        ".banner"
    )
    top = page.evaluate("document.querySelector('.banner').getBoundingClientRect().top")
    assert top < page.evaluate("document.querySelector('h1').getBoundingClientRect().top")
    orders.give(store, "drill", level=4, by="test")
    page.reload()
    page.wait_for_selector(".banner .kind")
    assert "訓練です" in page.inner_text(".banner") and "【訓練】" in page.inner_text(
        ".banner .level"
    )
    orders.give(store, "normal", by="test")


def test_open_shelters_read_open_and_nothing_reads_open_when_it_is_old(
    page: Page, base: str, store: Store, city: Workspace
) -> None:
    asked(page, base)
    shelters = json.loads(page.evaluate("fetch('shelters.json').then(r => r.text())"))
    for s in shelters:
        openings.say(store, s["place_id"], "open", head_count=5, by="test")
    asked(page, base)
    page.wait_for_selector(".opening.open")
    page.route("**/status.json", lambda route: route.fulfill(body=json.dumps({
        "order": {"mode": "disaster", "level": 4, "districts": [], "message": {}, "since": None, "hazard": ""},
        "openings": {s["place_id"]: {"state": "open", "head_count": 5, "at": None} for s in shelters},
        "closures": [], "as_of": "2020-01-01T00:00:00Z", "max_age_s": 900,
    }), content_type="application/json"))  # fmt: skip
    asked(page, base)
    page.wait_for_selector(".banner .unknown")
    assert page.locator(".opening.open").count() == 0
    assert "不明" in page.inner_text(".banner")


def test_after_one_visit_it_answers_without_a_network(page: Page, base: str) -> None:
    asked(page, base)
    page.evaluate("navigator.serviceWorker.ready")
    page.reload()
    page.wait_for_selector("#answer .verdict")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#answer .verdict")
    page.wait_for_selector(".banner .unknown")
    assert "不明" in page.inner_text(".banner")
    page.fill("#q", "公民館")
    page.keyboard.press("Enter")
    page.wait_for_selector(".results button, #answer")
    page.context.set_offline(False)


def test_by_keyboard_alone(page: Page, base: str) -> None:
    page.goto(base)
    page.wait_for_selector("#q")
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "q":
            break
    page.keyboard.insert_text("公民館")
    page.keyboard.press("Enter")
    page.wait_for_selector(".results button, #answer .verdict")
    if page.locator(".results button").count():
        for _ in range(6):
            page.keyboard.press("Tab")
            if page.evaluate("!!document.activeElement.closest('.results')"):
                break
        page.keyboard.press("Enter")
    page.wait_for_selector("#answer .verdict")
    assert page.evaluate("document.activeElement.id") == "answer"


@pytest.mark.parametrize(
    "suffix",
    ["?lang=%3Cscript%3E", "#at=999,999", "#at=0,0", "#at=abc", "?mode=%00", "#at=139.8,89"],
)
def test_hostile_addresses_still_give_a_page(page: Page, base: str, suffix: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(base + suffix)
    page.wait_for_selector("#q")
    assert errors == []


def test_a_broken_server_leaves_a_person_with_advice(page: Page, base: str) -> None:
    page.route("**/site.json", lambda route: route.fulfill(status=500, body="x"))
    page.goto(base)
    page.wait_for_selector("#fallback:not([hidden])")
    assert "ラジオ" in page.inner_text("#fallback")
    page.unroute("**/site.json")
    page.route("**/api/place*", lambda route: route.abort())
    page.goto(base + "#at=139.87,36.55")
    page.reload()
    page.wait_for_selector(".verdict.unknown")
    assert "電話" in page.inner_text(".verdict.unknown")


def test_a_page_whose_program_never_comes_still_gives_advice(page: Page, base: str) -> None:
    page.route("**/home/assets/*.js", lambda route: route.fulfill(status=404, body=""))
    page.goto(base)
    assert page.inner_text("#app").strip()
    page.locator("#fallback").wait_for(state="visible")
    assert "ラジオ" in page.inner_text("#fallback")


def test_the_first_place_of_a_first_visit_is_kept_for_a_phone_without_a_signal(
    page: Page, base: str
) -> None:
    asked(page, base)
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    until = time.monotonic() + 60
    while not page.evaluate(  # `wait_for_function` takes the promise itself for true
        """async () => {
          for (const name of await caches.keys())
            for (const kept of await (await caches.open(name)).keys())
              if (kept.url.includes('api/place')) return true;
          return false;
        }"""
    ):
        assert time.monotonic() < until, "the first place is not kept"
        page.wait_for_timeout(100)
    page.context.set_offline(True)
    page.reload()
    page.locator("#answer .order-short.unknown").wait_for()
    assert page.locator("#answer .shelter, #answer .warn").count()


def test_an_order_stands_in_sight_with_the_answer_and_news_keeps_the_focus(
    page: Page, base: str, store: Store
) -> None:
    try:
        orders.give(store, "disaster", level=4, by="test")
        asked(page, base)
        page.locator("#answer .order-short").wait_for()
        box = page.locator("#answer .order-short").bounding_box()
        assert box and 0 <= box["y"] < 400
        button = page.locator(".shelter button").first
        button.focus()
        page.evaluate("document.querySelector('#answer').dataset.old = '1'")
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_selector("#answer:not([data-old])")
        assert page.evaluate("document.activeElement.closest('.shelter') !== null")
    finally:
        orders.give(store, "normal", by="test")


@pytest.mark.parametrize("lang", ["easy", "en", "zh-Hans", "ko", "vi", "pt"])
def test_other_languages(page: Page, base: str, lang: str) -> None:
    asked(page, base, suffix=f"?lang={lang}")
    assert page.evaluate("document.documentElement.lang") == ("ja" if lang == "easy" else lang)
    assert page.locator(".verdict").first.inner_text().strip()


def test_a_screen_on_a_wall(page: Page, base: str, store: Store) -> None:
    orders.give(store, "disaster", level=4, by="test")
    page.goto(base + "?mode=signage")
    page.wait_for_selector(".signage .banner .level")
    assert (
        page.evaluate(
            "parseFloat(getComputedStyle(document.querySelector('.banner .level')).fontSize)"
        )
        >= 16
    )
    orders.give(store, "normal", by="test")
