"""`citymap desktop`: the same app in a window of its own on one offline PC."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from citymap.cli.serve import serve
from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.settings import Settings, terminal_language

LOOPBACK = "127.0.0.1"
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge",
    "microsoft-edge-stable", "msedge", "chrome", "brave-browser",
)  # fmt: skip
INSTALLED = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)


def app_mode_browser(which: Callable[[str], str | None] = shutil.which) -> str | None:
    """An installed browser that has `--app=`, or None."""
    for name in BROWSERS:
        if found := which(name):
            return found
    return next((path for path in INSTALLED if Path(path).is_file()), None)


def app_mode_command(browser: str, url: str, profile: Path) -> list[str]:
    """The command line of a window without tabs, with a profile of its own.

    Only our own pages are opened in it, so the map may be drawn without a graphics card too.
    """
    return [
        browser, f"--app={url}", f"--user-data-dir={profile}", "--no-first-run",
        "--no-default-browser-check", "--disable-sync", "--disable-background-networking",
        "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--window-size=1280,860",
    ]  # fmt: skip


def free_ports(count: int = 2) -> list[int]:
    """Loopback ports nobody uses at the moment."""
    held = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def _show(url: str, title: str, stop: threading.Event) -> None:
    """Show the window and wait until it is closed, by the best means there is."""
    if importlib.util.find_spec("webview") is not None:
        import webview

        webview.create_window(title, url, width=1280, height=860)
        webview.start()
        return
    browser = app_mode_browser()
    if browser is not None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            window = subprocess.Popen(app_mode_command(browser, url, Path(profile)))
            while window.poll() is None and not stop.wait(0.3):
                pass
            if window.poll() is None:
                window.terminate()
                window.wait(10)
        return
    webbrowser.open(url)
    stop.wait()


def desktop(city: Path | None, *, lang: str = "ja", say: Callable[[str], None] = print) -> None:
    """Serve on loopback only and show the staff pages in a window; closing it ends everything.

    Raises:
        CitymapError: as `citymap.cli.serve.serve`.
    """
    port, staff_port = free_ports()
    stop, ready = threading.Event(), threading.Event()
    urls: list[str] = []
    failed: list[CitymapError] = []

    def when_ready(_public: str, staff: str) -> None:
        urls.append(staff)
        ready.set()

    def run() -> None:
        try:
            serve(
                city, host=LOOPBACK, port=port, staff_port=staff_port, lang=lang, stop=stop,
                when_ready=when_ready, say=say, single_user=True,
                store=Settings().store or None,
            )  # fmt: skip
        except CitymapError as error:
            failed.append(error)
        finally:
            stop.set()
            ready.set()

    server = threading.Thread(target=run, name="serve")
    server.start()
    try:
        ready.wait()
        if urls:
            _show(urls[0], t("ui.app", lang), stop)
    except KeyboardInterrupt:
        say("")
    finally:
        stop.set()
        server.join()
    if failed:
        raise failed[0]


def register(app: typer.Typer) -> None:
    """Add `citymap desktop`."""

    @app.command("desktop")
    def desktop_command(
        city: Annotated[Path | None, typer.Option(help="City folder")] = None,
    ) -> None:
        """Show the city in a window of its own (offline, this PC only)."""
        try:
            settings = Settings(city=city) if city else Settings()
            desktop(settings.city, lang=settings.lang, say=typer.echo)
        except CitymapError as error:
            sys.stderr.write(error.message(terminal_language()) + "\n")
            raise typer.Exit(1) from error
