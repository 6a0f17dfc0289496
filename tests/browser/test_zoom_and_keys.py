"""Public pages at 200 % and by keyboard alone, the way of a first visitor, and the printed maps in a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page

sys.path[:0] = [str(Path(__file__).parent)]
from app_driver import CHROMIUM, demo_city, served

from citymap.progress import Quiet
from citymap.tiles import build
from citymap.web.place import STATIC

AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the page is not built"),
    pytest.mark.xdist_group("browser"),
]
PUBLIC = {"": "#q", "report/": "#send", "?mode=signage": ".signage h1", "map/": ".panel input"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    workspace = demo_city(tmp_path_factory.mktemp("zoom"), 300)
    build(workspace, progress=Quiet(), workers=1)
    with served("public", workspace.root, None) as url:
        yield url.rstrip("/") + "/"


def opened(browser: Browser, width: int, height: int, scale: float = 1) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale, locale="ja-JP"
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    return page


def sideways(page: Page) -> list[str]:
    """What reaches beyond the window to the right, on a page that cannot be moved sideways."""
    found: list[str] = page.evaluate("""() => {
        if (document.documentElement.scrollWidth <= innerWidth + 1) return [];
        return [...document.querySelectorAll('body *')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(e).visibility !== 'hidden')
            .slice(0, 5).map(e => e.outerHTML.slice(0, 100));
    }""")
    return found


def answered(page: Page) -> None:
    page.wait_for_selector("#answer, .results button")
    if page.locator(".results button").count():
        page.locator(".results button").first.click()
    page.wait_for_selector("#answer .verdict")


@pytest.mark.parametrize("path", list(PUBLIC))
@pytest.mark.parametrize(
    ("width", "height"), [(640, 400), (320, 640)]
)  # 1280 at 200 %, and at 400 %
def test_zoomed_pages_need_no_sideways_scrolling(
    browser: Browser, base: str, path: str, width: int, height: int
) -> None:
    page = opened(browser, width, height, 2)
    page.goto(base + path)
    page.wait_for_selector(PUBLIC[path])
    if path == "":
        page.fill("#q", "公民館")
        page.keyboard.press("Enter")
        answered(page)
        page.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")
        page.get_by_role("button", name="マイ・タイムライン").click()
    assert sideways(page) == []
    page.context.close()


@pytest.mark.parametrize("path", ["", "report/"])
def test_letters_twice_as_large_cut_nothing_off(browser: Browser, base: str, path: str) -> None:
    page = opened(browser, 390, 844)
    page.goto(base + path)
    page.wait_for_selector(PUBLIC[path])
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    if path == "":
        page.fill("#q", "公民館")
        page.keyboard.press("Enter")
        answered(page)
    assert sideways(page) == []
    cut: list[str] = (
        page.evaluate("""() => [...document.querySelectorAll('button, a, p, h1, h2, label, legend')]
        .filter(e => e.offsetParent && (e.scrollWidth > e.clientWidth + 2 || e.scrollHeight > e.clientHeight + 4)
            && getComputedStyle(e).overflow === 'hidden').map(e => e.outerHTML.slice(0, 100))""")
    )
    assert cut == []
    page.context.close()


def tabbed(page: Page, most: int) -> list[str]:
    """Where the focus goes with Tab; each stop must show."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop: dict[str, str] | None = page.evaluate("""() => {
            const e = document.activeElement;
            if (!e || e === document.body) return null;
            const shown = [e, e.nextElementSibling].filter(Boolean).map(x => getComputedStyle(x))
                .some(s => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2) || s.boxShadow !== 'none');
            return {name: e.tagName + '#' + e.id + '.' + e.className + ' ' + (e.getAttribute('aria-label') || e.textContent || '').slice(0, 30), shown: String(shown)};
        }""")
        if stop is None:
            break
        assert stop["shown"] == "true", f"the focus does not show on {stop['name']}"
        seen.append(stop["name"])
    return seen


def test_the_residents_page_by_keyboard_alone_up_to_the_timeline(
    browser: Browser, base: str
) -> None:
    page = opened(browser, 1280, 800)
    page.goto(base)
    page.wait_for_selector("#q")
    for _ in range(6):
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
    page.wait_for_selector(".map canvas")
    stops = tabbed(page, 40)
    assert any("INPUT" in s for s in stops)  # the floor
    assert any("CANVAS" in s for s in stops)  # the map
    timeline = next(i for i, s in enumerate(stops) if "マイ・タイムライン" in s)
    page.locator("#answer").focus()
    for _ in range(timeline + 1):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".household .qr svg")
    page.locator(".household input").first.focus()
    page.keyboard.press("Space")
    assert page.locator(".household input").first.is_checked()
    page.context.close()


def test_the_floor_and_the_map_are_chosen_by_keys(browser: Browser, base: str) -> None:
    page = opened(browser, 390, 844)
    page.goto(base)
    page.wait_for_selector("#q")
    page.get_by_role("button", name="地図で選ぶ").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".map canvas")
    page.locator(".map canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .verdict")
    page.locator(".floors input").first.focus()
    page.keyboard.press("Space")
    first = page.inner_text(".floor")
    page.keyboard.press("ArrowRight")
    assert page.locator(".floors input").nth(1).is_checked()
    assert first.strip() and page.inner_text(".floor").strip()
    page.context.close()


def test_a_report_by_keyboard_alone(browser: Browser, base: str) -> None:
    page = opened(browser, 1280, 800)
    page.goto(base + "report/")
    page.wait_for_selector("#send")
    stops = tabbed(page, 60)
    assert any("send" in s for s in stops), "Tab never comes to the button that sends"
    page.locator("#what button").first.focus()
    page.keyboard.press("Enter")
    page.locator("#where canvas").focus()
    page.keyboard.press("Enter")
    page.locator("#send").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".items li")
    page.context.close()


def test_a_first_visitor_finds_her_shelter_in_three_taps(browser: Browser, base: str) -> None:
    """Tap the box, type, tap the arrow; where several are found, tap one. The shelter stands in words."""
    page = opened(browser, 390, 844)
    taps = 0
    page.goto(base)
    page.wait_for_selector("#q")
    page.locator("#q").click()
    taps += 1
    page.keyboard.insert_text("公民館")
    page.locator("form button[type=submit]").click()
    taps += 1
    page.wait_for_selector("#answer .verdict, .results button")
    if page.locator(".results button").count():
        page.locator(".results button").first.click()
        taps += 1
    page.wait_for_selector("#answer .verdict")
    assert taps <= 3
    assert page.locator(".shelter h4").first.inner_text().strip()
    page.context.close()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("path", ["report/", "?mode=signage", "paper?lang=ja"])
def test_no_serious_barrier_on_the_other_pages(browser: Browser, base: str, path: str) -> None:
    page = opened(browser, 390, 844)
    page.goto(base + path)
    page.wait_for_selector({**PUBLIC, "paper?lang=ja": "h1"}[path])
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "() => axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    bad = [
        f"{v['id']}: {v['nodes'][0]['html'][:120]}"
        for v in found["violations"] if v["impact"] in {"serious", "critical"}
    ]  # fmt: skip
    assert bad == []
    page.context.close()


def test_a_sheet_prints_on_one_a3_page_with_a_code_that_is_there(
    browser: Browser, base: str, tmp_path: Path
) -> None:
    page = opened(browser, 1280, 800)
    foreign: list[str] = []
    page.on(
        "request",
        lambda r: foreign.append(r.url) if not r.url.startswith((base, "data:")) else None,
    )
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.goto(base + "paper?lang=ja")
    page.locator(".list a").first.click()
    page.wait_for_selector(".sheet .qr svg path")
    assert page.locator(".url").first.inner_text() == base
    assert page.locator("#local").is_visible()  # the code leads to this computer: said, not printed
    outside: list[str] = page.evaluate("""() => {
        const sheet = document.querySelector('.sheet').getBoundingClientRect();
        return [...document.querySelectorAll('.sheet aside, .sheet aside .code, .sheet footer, .sheet .map')]
            .filter(e => { const b = e.getBoundingClientRect(); return b.bottom > sheet.bottom + 1 || b.right > sheet.right + 1; })
            .map(e => e.className);
    }""")
    assert outside == []
    pdf = page.pdf(path=str(tmp_path / "a.pdf"), prefer_css_page_size=True)
    assert pdf.count(b"/Type /Page\n") == 1
    width, height = (
        float(n) for n in pdf.partition(b"/MediaBox [0 0 ")[2].partition(b"]")[0].split()
    )
    assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((420, 297), abs=0.5)
    assert foreign == [] and errors == []
    page.context.close()
