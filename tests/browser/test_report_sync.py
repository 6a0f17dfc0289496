"""The queue of the form goes out without the page (Background Sync), by hand, and after a full disk."""

from __future__ import annotations

import os
import signal
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
from app_driver import CHROMIUM, served, started
from test_report_form import fill, opened, photo, poll, states, stored, wait_for_states

import small_city
import small_disk
from citymap.reports import photos
from citymap.web.reports import STATIC
from citymap.workspace import Workspace

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser, pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
    pytest.mark.skipif(not (STATIC / "sw.js").exists(), reason="the form is not built (make install)"),
]  # fmt: skip


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with sync_api.sync_playwright() as running:
        yield running


def test_the_service_worker_sends_when_the_page_is_closed(
    playwright: Any, city: Workspace, tmp_path: Path
) -> None:
    with served("public", city.root) as base:
        may = ["geolocation", "background-sync"]
        context, page = opened(playwright, tmp_path / "profile", base, permissions=may)
        context.set_offline(True)
        fill(page, "flooded_road", photo(tmp_path / "a.jpg", "red"), "閉じたあとに届く")
        page.click("#send")
        wait_for_states(page, ["waiting"])
        # The page asked the browser for a sync by this name; with `dispatchSyncEvent` it comes now.
        tags = page.evaluate(
            "navigator.serviceWorker.ready.then(r => r.sync.getTags())"
        )  # fmt: skip
        assert tags == ["reports"]
        other = context.new_page()
        other.goto("about:blank")
        page.close()
        assert stored(city) == []
        context.set_offline(False)
        tools, known = context.new_cdp_session(other), []
        tools.on(
            "ServiceWorker.workerRegistrationUpdated", lambda e: known.extend(e["registrations"])
        )
        tools.send("ServiceWorker.enable")
        poll(other, lambda: any(base in r["scopeURL"] for r in known))
        (ours,) = {r["registrationId"] for r in known if base in r["scopeURL"]}
        tools.send("ServiceWorker.dispatchSyncEvent", {
            "origin": base, "registrationId": ours, "tag": "reports", "lastChance": False,
        })  # fmt: skip
        poll(other, lambda: len(stored(city)) == 1)
        (report,) = stored(city)
        assert (report.text, len(report.photos)) == ("閉じたあとに届く", 1)
        page = context.new_page()
        page.goto(f"{base}/report/")
        page.click("#tab-list")
        wait_for_states(page, ["accepted"])
        assert len(stored(city)) == 1
        context.close()


def test_waiting_reports_go_out_by_hand(playwright: Any, city: Workspace, tmp_path: Path) -> None:
    with served("public", city.root) as base:
        context, page = opened(playwright, tmp_path / "profile", base)
        (city.root / "city.toml").rename(city.root / "city.toml.away")
        fill(page, "breach", text="手で送る")
        page.click("#send")
        poll(page, lambda: "サーバーがいま受け取れません" in page.inner_text(".items"))
        assert states(page) == ["waiting"]
        (city.root / "city.toml.away").rename(city.root / "city.toml")
        page.get_by_role("button", name="いま送る").click()
        wait_for_states(page, ["accepted"])
        assert [r.text for r in stored(city)] == ["手で送る"]
        context.close()


def test_a_full_disk_is_told_and_the_queue_goes_out_when_there_is_room(
    playwright: Any, tmp_path: Path
) -> None:
    with small_disk.mounted(tmp_path / "disk") as disk:
        city = small_city.make(disk / "city")
        with served("public", city.root) as base:
            context, page = opened(playwright, tmp_path / "profile", base)
            with small_disk.filled(disk):
                fill(page, "flooded_road", photo(tmp_path / "a.jpg", "red"), "満杯のとき")
                page.click("#send")
                poll(page, lambda: "サーバーがいま受け取れません" in page.inner_text(".items"))
                assert states(page) == ["waiting"]
                assert page.inner_text("#toast")
            page.get_by_role("button", name="いま送る").click()
            wait_for_states(page, ["accepted"])
            (report,) = stored(city)
            assert photos.read(city, report.photos[0]) is not None
            context.close()


def toast(page: Any) -> str:
    return str(page.text_content("#toast"))


def test_a_server_that_hangs_is_no_loss_and_the_phone_says_what_it_keeps(
    playwright: Any, city: Workspace, tmp_path: Path
) -> None:
    """While one report hangs on its way, others are filed and taken away; the answer frees them all."""
    with started("public", city.root) as (base, server):
        context, page = opened(playwright, tmp_path / "profile", base)
        page.on("dialog", lambda asked: asked.accept())
        context.set_offline(True)
        for number in range(3):
            page.click("#tab-new")
            fill(page, "flooded_road", text=f"通報 {number}")
            page.click("#send")
            wait_for_states(page, ["waiting"] * (number + 1))
        os.kill(server.pid, signal.SIGSTOP)
        try:
            context.set_offline(False)
            wait_for_states(page, ["waiting", "waiting", "sending"])
            page.locator("[data-state=waiting]", has_text="通報 1").get_by_text(
                "一覧から消す"
            ).click()
            wait_for_states(page, ["waiting", "sending"])
            page.click("#tab-new")
            fill(page, "flooded_road", text="通報 3")
            page.click("#send")
            poll(page, lambda: "端末に保存しました" in toast(page))
            wait_for_states(page, ["waiting", "waiting", "sending"])
        finally:
            os.kill(server.pid, signal.SIGCONT)
        wait_for_states(page, ["accepted"] * 3)
        context.close()
    assert sorted(r.text for r in stored(city)) == ["通報 0", "通報 2", "通報 3"]


def test_behind_a_report_that_cannot_go_the_next_is_not_said_to_be_on_its_way(
    playwright: Any, city: Workspace, tmp_path: Path
) -> None:
    with started("public", city.root) as (base, server):
        context, page = opened(playwright, tmp_path / "profile", base)
        server.kill()
        server.wait(15)
        for number in range(2):
            page.click("#tab-new")
            fill(page, "flooded_road", text=f"通報 {number}")
            page.click("#send")
            poll(page, lambda: "つながったら自動で送ります" in toast(page))
        wait_for_states(page, ["waiting", "waiting"])
        context.close()
