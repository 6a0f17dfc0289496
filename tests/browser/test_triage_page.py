"""The staff page 被害報告 in a browser: a new report appears by itself, a press on a row opens it."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1]),
    str(Path(__file__).parents[1] / "reports"),
]
from app_driver import CHROMIUM, HERE, Watched, served
from killed_server import multipart
from report_samples import body, exif, picture

import small_city

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.browser, pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    city = small_city.make(tmp_path / "city")
    with served("staff", city.root, HERE / "fake_renderer") as address:
        yield address


def report(base: str, text: str) -> None:
    said: dict[str, Any] = body(text=text)
    del said["observed_at"]
    parts = [
        ("report", json.dumps(said).encode(), None),
        ("photo", picture(size=(640, 480), exif=exif()), "a.jpg"),
    ]
    raw, kind = multipart(parts)
    to = http.client.HTTPConnection(base.removeprefix("http://"))
    to.request("POST", "/api/reports", raw, {"content-type": kind})
    assert to.getresponse().status == 201
    to.close()


def test_a_new_report_appears_without_reload_and_is_confirmed(browser: Browser, base: str) -> None:
    watched = Watched()
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    watched.watch(page, base)
    page.goto(f"{base}/damage-reports")
    page.get_by_text("この条件の通報はありません").wait_for(timeout=60_000)
    report(base, "堤防から水")
    page.get_by_role("heading", name="1 件").wait_for(timeout=60_000)
    grid = page.locator("[data-testid=stDataFrame] canvas").first
    grid.wait_for()
    grid.click(position={"x": 14, "y": 52}, force=True)
    page.locator(".cm-said", has_text="堤防から水").wait_for(timeout=60_000)
    page.locator(".st-key-triage_report img").wait_for(timeout=60_000)
    report(base, "あとから来た通報")
    page.get_by_role("button", name="新しい通報 1 件を表示").wait_for(timeout=60_000)
    page.locator("[class*=st-key-to_confirmed] button").click()
    page.get_by_role("heading", name="・ 確認済み").wait_for(timeout=60_000)
    assert watched.foreign == []
    page.close()


def test_what_residents_wrote_leaves_the_page_only_through_our_own_files(
    browser: Browser, base: str
) -> None:
    """The table's own CSV button writes `=…` as a spreadsheet would run it."""
    report(base, '=HYPERLINK("http://evil.example/","press")')
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{base}/damage-reports")
    table = page.locator("[data-testid=stDataFrame]").first
    table.wait_for(timeout=60_000)
    table.hover()
    page.get_by_role("button", name="Fullscreen").first.wait_for(timeout=60_000)
    assert page.get_by_role("button", name="Download as CSV").count() == 0
    with page.expect_download(timeout=60_000) as got:
        page.locator(".st-key-triage_csv button").click()
    assert "'=HYPERLINK" in Path(got.value.path()).read_text("utf-8-sig")
    page.close()


def test_on_a_phone_the_table_leaves_room_for_what_stands_below_it(
    browser: Browser, base: str
) -> None:
    report(base, "橋が落ちています")
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.goto(f"{base}/damage-reports")
    hint = page.get_by_text("行を選ぶと詳しく見られます")
    hint.wait_for(timeout=60_000)
    page.get_by_role("button", name="Fullscreen").first.wait_for(timeout=60_000)
    table = page.locator("[data-testid=stDataFrame] canvas").first.bounding_box()
    below = hint.bounding_box()
    assert table and below
    assert table["y"] + table["height"] <= below["y"]
    page.close()


@pytest.mark.parametrize(
    ("lang", "label", "press"),
    [
        ("ja", "1 つ 50\u00a0MB まで", "ファイルを選ぶ"),
        ("en", "Up to 50\u00a0MB each", "Choose files"),
    ],
)
def test_the_field_for_pictures_speaks_the_language_of_the_person(
    browser: Browser, base: str, lang: str, label: str, press: str
) -> None:
    """Streamlit itself says "Upload" and "50MB per file"; what counts is also what is read aloud."""
    page = browser.new_page()
    page.goto(f"{base}/damage-reports?lang={lang}")
    page.locator(".st-key-triage_images summary").click(timeout=60_000)
    field = page.locator("[data-testid=stFileUploader]")
    field.get_by_role("button", name=press, exact=True).wait_for()
    assert label in field.inner_text()
    assert "per file" not in field.inner_text()
    assert "Upload" not in field.inner_text()
    page.close()
