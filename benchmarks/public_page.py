"""U1, the residents' page on a slow phone: bytes, requests and seconds before the map, until the words.

`python benchmarks/public_page.py CITY_DIR [QUERY] [--static] [--visits N]`. Chromium with slow 4G
(1.6 Mbit/s down, 150 ms) and a CPU four times slower, 390 × 844; served by the public process, or with
`--static` as the published site by nginx (see static_site.py). Medians, each visit with an empty cache.

Targets: ≤ 300 kB and ≤ 15 requests before the map; ≤ 2 s from the first byte asked for until a place
that was typed at once is answered in words (`cold_s`); the 3-D view ≤ 1.5 MB before its tiles.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

SLOW_4G = {
    "offline": False,
    "downloadThroughput": 1.6e6 / 8,
    "uploadThroughput": 750e3 / 8,
    "latency": 150,
}
TILES = ("/tiles/", "/3dtiles/", "/overlays/")
QUIET_S, MOST_S = 4.0, 90.0


@contextmanager
def phone(browser: Browser, *, slow: bool = True) -> Iterator[tuple[Page, dict[str, float]]]:
    """A page with an empty cache, and the bytes that came by URL path."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="ja-JP", service_workers="block"
    )
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    if slow:
        session.send("Network.emulateNetworkConditions", SLOW_4G)
        session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    came: dict[str, float] = {}
    paths: dict[str, str] = {}

    def named(event: dict[str, Any]) -> None:
        paths[event["requestId"]] = urlsplit(event["response"]["url"]).path

    def weighed(event: dict[str, Any]) -> None:
        path = paths.get(event["requestId"], event["requestId"])
        came[path] = came.get(path, 0.0) + event["encodedDataLength"]

    session.on("Network.responseReceived", named)
    session.on("Network.loadingFinished", weighed)
    yield page, came
    context.close()


def ask(page: Page, query: str) -> None:
    """Type, and take the first of several."""
    page.fill("#q", query)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .verdict, .results button")
    if page.locator(".results button").count():
        page.locator(".results button").first.click()
        page.wait_for_selector("#answer .verdict")


def visit(browser: Browser, base: str, query: str) -> dict[str, float]:
    """The page at rest, then a question; and both at once from a cold start."""
    with phone(browser) as (page, came):
        start = time.perf_counter()
        page.goto(base, wait_until="commit")
        page.wait_for_selector("#q")
        found = {"page_s": time.perf_counter() - start}
        page.wait_for_load_state("networkidle")
        found |= {"page_kB": sum(came.values()) / 1000, "requests": float(len(came))}
        start = time.perf_counter()
        ask(page, query)
        found["answer_s"] = time.perf_counter() - start
        found["until_words_kB"] = sum(came.values()) / 1000
    with phone(browser) as (page, _):
        start = time.perf_counter()
        page.goto(base, wait_until="commit")
        page.wait_for_selector("#q")
        ask(page, query)
        found["cold_s"] = time.perf_counter() - start
    return found


def map_view(browser: Browser, base: str) -> dict[str, float]:
    """Bytes of the 3-D view until nothing more comes, without and with its tiles."""
    with phone(browser, slow=False) as (page, came):
        page.goto(f"{base}map/", wait_until="commit")
        end, last, count = time.perf_counter() + MOST_S, time.perf_counter(), -1
        while time.perf_counter() < min(end, last + QUIET_S):
            page.wait_for_timeout(250)
            if len(came) != count:
                last, count = time.perf_counter(), len(came)
        before = sum(n for path, n in came.items() if not any(t in path for t in TILES))
        return {"map_kB": before / 1000, "map_with_tiles_kB": sum(came.values()) / 1000}


def wait_for(url: str) -> None:
    """Until it answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


@contextmanager
def public_process(city: Path) -> Iterator[str]:
    """The public process with its tables warm."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "citymap.web.public:create_app", "--port", str(port),
               "--log-level", "warning"]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "CITYMAP_CITY": str(city)})
    base = f"http://127.0.0.1:{port}/"
    try:
        wait_for(base + "healthz")
        urllib.request.urlopen(base + "site.json").close()  # warms the tables
        time.sleep(5)
        yield base
    finally:
        process.terminate()
        process.wait(15)


@contextmanager
def static_site(city: Path) -> Iterator[str]:
    """The published site behind nginx."""
    from static_site import nginx, published

    with (
        tempfile.TemporaryDirectory() as folder,
        nginx(published(city, Path(folder) / "site"), Path(folder)) as base,
    ):
        yield base


def main() -> None:
    """Serve the city, visit it, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("city", type=Path)
    parser.add_argument("query", nargs="?", default="公民館")
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--visits", type=int, default=3)
    given = parser.parse_args()
    serve = static_site if given.static else public_process
    with serve(given.city) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        visits = [visit(browser, base, given.query) for _ in range(given.visits)]
        found = {name: statistics.median(v[name] for v in visits) for name in visits[0]}
        found |= map_view(browser, base)
        browser.close()
    targets = {"page_kB": 300, "requests": 15, "cold_s": 2, "map_kB": 1500}
    for name, value in found.items():
        aim = f"   (target ≤ {targets[name]})" if name in targets else ""
        print(f"{name:18} {value:9.2f}{aim}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
