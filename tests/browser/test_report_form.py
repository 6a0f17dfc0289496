"""The field form in a browser: offline after one visit, nothing lost, every state said."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1]),
    str(Path(__file__).parents[1] / "reports"),
]
from app_driver import ARGUMENTS, CHROMIUM, Watched, served
from report_samples import exif

import small_city
from citymap.reports import desk, photos
from citymap.store import open_store
from citymap.web.reports import STATIC
from citymap.workspace import Workspace

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser, pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
    pytest.mark.skipif(not (STATIC / "sw.js").exists(), reason="the form is not built (make install)"),
]  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1, "has_touch": True,
         "locale": "ja-JP"}  # fmt: skip
HERE = {"latitude": small_city.SOUTH + 0.004, "longitude": small_city.WEST + 0.005, "accuracy": 9}


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


@pytest.fixture
def base(city: Workspace) -> Iterator[str]:
    with served("public", city.root) as address:
        yield address


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with sync_api.sync_playwright() as running:
        yield running


def phone(playwright: Any, folder: Path, **more: Any) -> Any:
    """A browser that keeps what it knows in `folder`."""
    return playwright.chromium.launch_persistent_context(
        str(folder), executable_path=CHROMIUM, args=ARGUMENTS, geolocation=HERE,
        **({"permissions": ["geolocation"]} | PHONE | more),
    )  # fmt: skip


def opened(playwright: Any, folder: Path, base: str, **more: Any) -> tuple[Any, Any]:
    """The browser, and the form in it that can be used from now on without a network."""
    context = phone(playwright, folder, **more)
    page = context.new_page()
    page.goto(f"{base}/report/")
    ready(page)
    return context, page


def photo(path: Path, colour: str) -> Path:
    image = Image.new("RGB", (2400, 1800), colour)
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif())
    path.write_bytes(out.getvalue())
    return path


def poll(page: Any, there: Any) -> None:
    """Playwright's own waiting evaluates text, which the page's policy forbids."""
    for _ in range(600):
        if there():
            return
        page.wait_for_timeout(100)
    raise TimeoutError


def until(page: Any, said: str) -> None:
    poll(page, lambda: page.evaluate(said))


def ready(page: Any) -> None:
    """The page stands, and its service worker keeps it."""
    page.wait_for_selector("#send")
    page.evaluate("navigator.serviceWorker.ready")
    until(page, "navigator.serviceWorker.controller !== null")


def fill(page: Any, code: str, picture: Path | None = None, text: str = "") -> None:
    page.click(f"[data-code={code}]")
    page.click("#here")
    until(page, "document.querySelector('#place').textContent.includes('9m')")
    if picture is not None:
        page.set_input_files("#camera", str(picture))
        page.wait_for_selector("#photos img")
    if text:
        page.fill("#text", text)


def states(page: Any) -> list[str]:
    return list(page.eval_on_selector_all("[data-state]", "all => all.map(i => i.dataset.state)"))


def wait_for_states(page: Any, wanted: list[str]) -> None:
    try:
        poll(page, lambda: states(page) == wanted)
    except TimeoutError as e:
        raise AssertionError(f"{states(page)}, not {wanted}") from e


def stored(city: Workspace) -> list[Any]:
    store = open_store(city)
    try:
        return desk.listed(store)
    finally:
        store.close()


def test_three_reports_filed_offline_arrive_exactly_once(
    playwright: Any, base: str, city: Workspace, tmp_path: Path
) -> None:
    folder, watched = tmp_path / "profile", Watched()
    context = phone(playwright, folder)
    page = context.new_page()
    watched.watch(page, base)
    page.goto(f"{base}/report")
    ready(page)
    context.set_offline(True)
    page.reload()
    ready(page)
    assert page.is_visible("#offline")
    for number, (code, colour) in enumerate(
        [("flooded_road", "red"), ("breach", "green"), ("landslide", "blue")]
    ):
        page.click("#tab-new")
        fill(page, code, photo(tmp_path / f"{number}.jpg", colour), f"通報 {number}")
        page.click("#send")
        wait_for_states(page, ["waiting"] * (number + 1))
    context.close()
    assert stored(city) == []

    context = phone(playwright, folder, offline=True)
    page = context.new_page()
    page.goto(f"{base}/report/")
    page.click("#tab-list")
    wait_for_states(page, ["waiting"] * 3)
    context.set_offline(False)
    wait_for_states(page, ["accepted"] * 3)
    page.reload()
    page.click("#tab-list")
    wait_for_states(page, ["accepted"] * 3)
    context.close()

    kept = stored(city)
    assert sorted(r.text for r in kept) == ["通報 0", "通報 1", "通報 2"]
    assert {r.category for r in kept} == {"flooded_road", "breach", "landslide"}
    assert all(r.position_source == "gps" and r.accuracy_m == 9 for r in kept)
    for report in kept:
        (picture,) = report.photos
        assert max(picture.width, picture.height) == 1600  # made smaller on the device
        assert b"himitsu" not in photos.path_of(city, picture).read_bytes()
    assert watched.foreign == []
    offline = ("ERR_INTERNET_DISCONNECTED", "Failed to load resource")
    assert [c for c in watched.complaints if not any(o in c for o in offline)] == []


def test_what_was_begun_is_still_there_after_the_page_died(
    playwright: Any, base: str, tmp_path: Path
) -> None:
    context, page = opened(playwright, tmp_path / "profile", base)
    fill(page, "flooded_road", photo(tmp_path / "a.jpg", "red"), "途中です")
    page.click("text=ひざまで")
    page.wait_for_timeout(600)
    context.close()
    context = phone(playwright, tmp_path / "profile")
    page = context.new_page()
    page.goto(f"{base}/report/")
    page.wait_for_selector("#photos img")
    assert page.input_value("#text") == "途中です"
    assert page.get_attribute("[data-code=flooded_road]", "aria-checked") == "true"
    assert page.get_attribute("text=ひざまで", "aria-checked") == "true"
    context.close()


def test_a_refusal_is_said_with_its_reason_and_can_be_corrected(
    playwright: Any, base: str, city: Workspace, tmp_path: Path
) -> None:
    context, page = opened(playwright, tmp_path / "profile", base)
    fill(page, "lifeline", text="停電")
    # The city takes this category from its list while the form is open.
    own = '[[category]]\ncode = "other"\ntitle = { ja = "そのほか" }\n'
    (city.root / "report-categories.toml").write_text(own, encoding="utf-8")
    page.click("#send")
    wait_for_states(page, ["refused"])
    assert "選ばれていません" in page.inner_text(".items")
    (city.root / "report-categories.toml").unlink()
    page.click("text=直して送り直す")
    assert page.input_value("#text") == "停電"
    page.click("#send")
    wait_for_states(page, ["accepted"])
    context.close()
    assert [r.text for r in stored(city)] == ["停電"]


def test_the_map_the_photo_and_the_words_give_the_place(
    playwright: Any, base: str, city: Workspace, tmp_path: Path
) -> None:
    context = phone(playwright, tmp_path / "profile", permissions=[])
    page = context.new_page()
    page.goto(f"{base}/report/?lang=en")
    ready(page)
    page.click("#send")
    assert page.inner_text("#missing") == "Choose what is happening"
    page.click("[data-code=other]")
    page.click("#send")
    assert page.inner_text("#missing") == "Choose the place"
    # The photo knows: 36°33′N 139°52′48″E, the corner of the city.
    page.set_input_files("#camera", str(photo(tmp_path / "a.jpg", "red")))
    page.wait_for_selector("#photos img")
    assert "photo" in page.inner_text("#place")
    page.locator("#where canvas").scroll_into_view_if_needed()
    page.locator("#where canvas").click(position={"x": 180, "y": 160})
    assert page.inner_text("#place").startswith("The place on the map")
    page.focus("#where canvas")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.select_option("#lang", "easy")
    assert page.inner_text("h1") == "ひがいを しらせる"
    page.click("#send")
    wait_for_states(page, ["accepted"])
    context.close()
    (report,) = stored(city)
    bbox = city.city().bbox
    assert bbox is not None
    assert bbox[0] <= report.lon <= bbox[2]
    assert bbox[1] <= report.lat <= bbox[3]
    assert report.position_source == "map"


def test_everything_is_large_enough_and_the_page_is_small(
    playwright: Any, base: str, tmp_path: Path
) -> None:
    context = phone(playwright, tmp_path / "profile")
    page, sizes = context.new_page(), []
    page.on("response", lambda r: sizes.append((r.url, len(r.body()) if r.ok else 0)))
    page.goto(f"{base}/report/")
    ready(page)
    page.click("[data-code=building_damage]")
    small = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea')]"
        ".filter(e => e.offsetParent && e.type !== 'file')"
        ".map(e => [e.outerHTML.slice(0, 60), e.getBoundingClientRect()])"
        ".filter(([, r]) => r.width < 44 || r.height < 44).map(([h, r]) => h + r.width + 'x' + r.height)"
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert sum(size for url, size in sizes if "/report/" in url) < 300_000  # not even compressed
    context.close()
