"""What the browser tests share: a served city, and a browser that is watched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from citymap.demo import generate
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.workspace import Workspace

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CITYMAP_TEST_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def demo_city(folder: Path, buildings: int) -> Workspace:
    """A part of the demo city with its hazards, imported; its tiles are not built."""
    generate(folder / "source", buildings=buildings, seed=5, progress=Quiet())
    workspace = Workspace(folder / "city")
    parts = [p for p in (folder / "source").iterdir() if p.name != "hazard"]
    import_sources(parts, workspace, options=ImportOptions(), progress=Quiet())
    hazards = ImportOptions(kind="hazard")
    import_sources([folder / "source" / "hazard"], workspace, options=hazards, progress=Quiet())
    return workspace


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@contextmanager
def served(kind: str, city: Path, static: Path | None = None) -> Iterator[str]:
    """One of the two applications on a free port; its address."""
    with started(kind, city, static) as (address, _):
        yield address


@contextmanager
def started(
    kind: str, city: Path, static: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """As `served`, with the process that serves."""
    port = free_port()
    command = [sys.executable, str(HERE / "serve_city.py"), kind, str(port)]
    process = subprocess.Popen(
        [*command, *([str(static)] if static else [])],
        env={**os.environ, "CITYMAP_CITY": str(city)},
        cwd=city,
    )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None and time.monotonic() < until, "it does not come up"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(15)


@dataclass
class Watched:
    """What a page did that it should not have."""

    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Any, base: str) -> None:
        """Listen to requests, the console and errors of a page."""

        def request(sent: Any) -> None:
            if not sent.url.startswith((base, "data:", "blob:", base.replace("http", "ws"))):
                self.foreign.append(sent.url)

        def console(message: Any) -> None:
            if message.type == "error" or "Content Security Policy" in message.text:
                self.complaints.append(message.text)

        page.on("request", request)
        page.on("console", console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
