"""U1, the residents' page on a slow phone: bytes, requests and seconds before the map.

`python benchmarks/public_page.py CITY_DIR [QUERY]`. Chromium with slow 4G (1.6 Mbit/s down, 150 ms) and
a CPU four times slower; the page is served by the public process. Medians of three visits, each with
an empty cache. The target: ≤ 300 kB and ≤ 15 requests before the map, words usable in ≤ 2 s.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

from playwright.sync_api import Browser, sync_playwright

VISITS = 3
SLOW_4G = {
    "offline": False,
    "downloadThroughput": 1.6e6 / 8,
    "uploadThroughput": 750e3 / 8,
    "latency": 150,
}


def visit(browser: Browser, base: str, query: str) -> dict[str, float]:
    """One visit with an empty cache."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="ja-JP", service_workers="block"
    )
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_4G)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    sizes: list[int] = []

    def weigh(event: dict[str, Any]) -> None:
        sizes.append(int(event["encodedDataLength"]))

    session.on("Network.loadingFinished", weigh)
    start = time.perf_counter()
    page.goto(base, wait_until="commit")
    page.wait_for_selector("#q")
    usable = time.perf_counter() - start
    page.wait_for_load_state("networkidle")
    first = {"page_kB": sum(sizes) / 1000, "requests": len(sizes), "page_s": usable}
    page.fill("#q", query)
    start = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .verdict, .results button")
    if page.locator(".results button").count():
        page.locator(".results button").first.click()
        page.wait_for_selector("#answer .verdict")
    first["answer_s"] = time.perf_counter() - start
    first["until_words_kB"] = sum(sizes) / 1000
    context.close()
    return first


def main() -> None:
    """Serve the city, visit it, print."""
    city, query = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "公民館"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "citymap.web.public:create_app", "--port", str(port),
               "--log-level", "warning"]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "CITYMAP_CITY": city})
    base = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(base + "healthz").close()
                break
            except OSError:
                time.sleep(0.1)
        urllib.request.urlopen(base + "site.json").close()  # warms the tables
        time.sleep(5)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            visits = [visit(browser, base, query) for _ in range(VISITS)]
            browser.close()
    finally:
        process.terminate()
        process.wait(15)
    for name in visits[0]:
        print(f"{name:16} {statistics.median(v[name] for v in visits):8.2f}")


if __name__ == "__main__":
    main()
