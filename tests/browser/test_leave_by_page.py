"""退避期限 on the residents' page: a time, then an order before it, then an action in its place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page
from tests import small_city
from tests.live.test_leave_by_release import result

sys.path[:0] = [str(Path(__file__).parent)]
from app_driver import CHROMIUM, served

from citymap.live import leave_by, orders
from citymap.store import open_store
from citymap.web.place import STATIC
from citymap.workspace import Workspace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium to drive"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the page is not built"),
    pytest.mark.xdist_group("browser"),
]
AT = f"#at={small_city.WEST + 0.0001:.5f},{small_city.SOUTH + 0.0001:.5f}"


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    workspace = small_city.make(tmp_path / "city")
    result(workspace)
    return workspace


@pytest.fixture
def base(town: Workspace) -> Iterator[str]:
    with served("public", town.root, None) as url:
        yield url.rstrip("/") + "/"


def said(page: Page, address: str) -> str:
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("#answer .verdict", timeout=90_000)
    page.wait_for_load_state("networkidle")
    block = page.locator(".leave-by")
    return block.inner_text() if block.count() else ""


def test_a_time_an_order_and_an_action(
    browser: Browser, town: Workspace, base: str, tmp_path: Path
) -> None:
    store = open_store(town)
    now = datetime.now(UTC)
    page = browser.new_page(viewport={"width": 390, "height": 844}, locale="ja-JP")
    page.set_default_timeout(30_000)
    assert said(page, base + AT) == ""
    start = datetime.fromisoformat("2099-11-21T12:34:00+09:00")
    leave_by.release(town, store, "plan", start=start, margin_min=10, by="佐藤")
    text = said(page, base + AT)
    assert "11/21 14:20までに" in text and "15:20までに" in text and "みどり川 決壊" in text
    assert "10分の余裕" in text and "佐藤" not in text
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=tmp_path / "time.png", full_page=True)
    for lang, word in (("en", "Leave by 11/21 14:20"), ("easy", "14:20までに"), ("pt", "Saia até 11/21 14:20"),
                       ("vi", "14:20"), ("ko", "14:20까지"), ("zh-Hans", "14:20之前")):  # fmt: skip
        assert word in said(page, f"{base}?lang={lang}{AT}")
    said(page, f"{base}?lang=ja{AT}")
    orders.give(store, "disaster", level=4, districts=["elsewhere"], by="x")
    ordered = said(page, base + AT)
    assert "避難情報に従って" in ordered and "14:20" not in ordered
    orders.give(store, "normal", by="x")
    leave_by.release(town, store, "plan", start=now - timedelta(hours=9), margin_min=0, by="x")
    late = said(page, base + AT)
    assert late.count("期限を過ぎました") == 2 and "命を守ってください" in late
    assert page.locator(".shelter .plain").count() == 0  # no way is shown on the map
    page.screenshot(path=tmp_path / "late.png", full_page=True)
    page.route("**/status.json", lambda route: route.abort())
    assert "いまの退避期限は分かりません" in said(page, base + AT)
    page.close()
    store.close()
