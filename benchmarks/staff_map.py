"""The staff map of a large city: seconds until its first useful picture, and what a recolouring fetches.

`python benchmarks/staff_map.py CITY_DIR [--visits 5] [--port 8660]`. The city is served as `citymap serve`
does; Chromium draws in software (no graphics card), on the same cores as the server. The picture is
useful when the buildings stand there in their colours; the target with 100,000 is < 3 s, warm.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--no-first-run",
         "--disable-background-networking"]  # fmt: skip
PICTURE = """() => {
  const mark = performance.getEntriesByName('citymap:first-picture')[0];
  return mark ? performance.timeOrigin + mark.startTime : null;
}"""
STARTED = "performance.timeOrigin"


def map_frame(page: Page) -> Any:
    """The renderer's frame inside the Streamlit page, once it is there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = next((f for f in page.frames if "/map/" in f.url), None)
        if found is not None:
            return found
        page.wait_for_timeout(20)
    raise SystemExit("the staff page shows no map")


def visit(page: Page, url: str) -> dict[str, float]:
    """Seconds from the navigation to the map's frame and to the first useful picture."""
    page.goto(url, wait_until="commit")
    frame = map_frame(page)
    drawn = frame.wait_for_function(PICTURE, timeout=120_000).json_value()
    start = page.evaluate(STARTED)
    return {
        "frame_s": (frame.evaluate(STARTED) - start) / 1000,
        "picture_s": (drawn - start) / 1000,
    }


def recolour(page: Page) -> list[str]:
    """What is fetched when the city is coloured by something else."""
    frame = map_frame(page)
    page.wait_for_timeout(5000)
    fetched: list[str] = []
    page.on("request", lambda sent: fetched.append(sent.url.rpartition("/")[2]))
    page.get_by_role("combobox", name="建物の色分け").click()
    page.get_by_role("option").nth(2).click()
    page.wait_for_timeout(6000)
    assert frame.evaluate(PICTURE) is not None
    return [f for f in fetched if "stream" not in f]


def main() -> None:
    """Serve the city, visit it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("city", type=Path)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--port", type=int, default=8660)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CITYMAP_SINGLE_USER": "true", "CITYMAP_RUN_FOLDER": folder}
        command = [sys.executable, "-m", "citymap.cli", "serve", "--city", str(given.city),
                   "--port", str(given.port), "--staff-port", str(given.port + 1)]  # fmt: skip
        server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            for port in (given.port, given.port + 1):
                for _ in range(300):
                    try:
                        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
                        break
                    except OSError:
                        time.sleep(0.1)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
                context = browser.new_context(
                    viewport={"width": 1280, "height": 800}, locale="ja-JP"
                )
                url = f"http://127.0.0.1:{given.port + 1}/hazard-buildings"
                seen = []
                for _ in range(
                    given.visits + 1
                ):  # a tab each: an old map still drawing is no part of it
                    page = context.new_page()
                    page.wait_for_timeout(500)
                    seen.append(visit(page, url))
                    if len(seen) > given.visits:
                        fetched = recolour(page)
                    page.close()
                    time.sleep(2)
                first, *visits = seen
                browser.close()
        finally:
            server.terminate()
            server.wait(20)
    print(f"the very first visit: {first['picture_s']:.2f} s (frame {first['frame_s']:.2f} s)")
    for name in first:
        print(f"{name:12} median {statistics.median(v[name] for v in visits):.2f}  "
              f"all {[round(v[name], 2) for v in visits]}")  # fmt: skip
    print(f"recolouring fetched {len(fetched)}: {fetched[:6]}")


if __name__ == "__main__":
    main()
