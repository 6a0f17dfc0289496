"""Script per frame while 50,000 people are played in a browser: `python benchmarks/people_playback.py URL`.

URL is the staff page of a plan, e.g. http://127.0.0.1:8501/evacuation?plan=NAME. Chromium's own trace
says how long the animation callbacks of each frame took on the page's thread (all of them: our step,
deck.gl, MapLibre, Streamlit), while the plan plays and while it rests. Drawing by the graphics card is
another process and not counted; with a software renderer it makes the frames few, not their script long.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CITYMAP_TEST_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]  # fmt: skip


def callbacks(session: Any, seconds: float) -> list[float]:
    """Milliseconds of animation callbacks in each frame that had any, over so many seconds."""
    events: list[dict[str, Any]] = []
    ended: list[bool] = []
    session.on("Tracing.dataCollected", lambda sent: events.extend(sent["value"]))
    session.on("Tracing.tracingComplete", lambda _: ended.append(True))
    session.send(
        "Tracing.start", {"categories": "devtools.timeline", "transferMode": "ReportEvents"}
    )
    time.sleep(seconds)
    session.send("Tracing.end")
    while not ended:
        session.send("Browser.getVersion")
        time.sleep(0.2)
    fired = sorted(
        (e["ts"], e.get("dur", 0) / 1000, e.get("tdur", 0) / 1000)
        for e in events
        if e["name"] == "FireAnimationFrame"
    )
    frames: list[list[float]] = []
    before = -1e18
    for at, _, cpu in fired:  # callbacks of one frame follow each other at once
        if at - before > 3000:
            frames.append([0.0])
        frames[-1][0] += cpu
        before = at + cpu * 1000
    return [f[0] for f in frames]


def measure(url: str, seconds: float = 20.0) -> dict[str, Any]:
    """Play the plan of a page for some seconds."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.frame_locator("iframe").locator(".people-states").wait_for(timeout=180_000)
        frame = next(f for f in page.frames if "/map/" in f.url)
        time.sleep(25)  # the map is drawn in software
        session = browser.new_browser_cdp_session()
        clock = "window.__citymap.player().clock"
        # the busiest part, at the slowest speed so that it lasts
        frame.evaluate(f"{clock}.seek({clock}.to * 0.25); {clock}.speed(0.5); {clock}.play()")
        time.sleep(3)
        frame.evaluate("window.__citymap.player().spent.length = 0")
        playing = callbacks(session, seconds)
        spent = frame.evaluate("window.__citymap.player().spent")
        people = frame.evaluate("window.__citymap.player().playback.people.count")
        head = frame.evaluate("[...window.__citymap.player().playback.people.counted]")
        browser.close()
    return {
        "households": people, "people": sum(head), "frames": len(playing),
        "script_ms_median": round(statistics.median(playing), 2),
        "script_ms_p95": round(sorted(playing)[int(len(playing) * 0.95)], 2),
        "of_which_our_step_ms_median": round(statistics.median(spent), 2),
        "load_average": os.getloadavg()[0],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1]), indent=1))
