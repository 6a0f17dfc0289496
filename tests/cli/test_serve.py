"""`citymap serve`: both processes come up, a dead one returns, none is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap.cli import desktop
from citymap.cli import serve as serving
from citymap.errors import BadInputError, CitymapError
from citymap.workspace import Workspace


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_city.make(tmp_path_factory.mktemp("served") / "city", 3)


@pytest.fixture
def renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html>")
    monkeypatch.setattr(serving, "STATIC", tmp_path)
    return tmp_path


@pytest.fixture
def ports() -> tuple[int, int]:
    one, two = desktop.free_ports()
    return one, two


def get(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return int(answer.status)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pids: list[int], within_s: float = 20) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_what_is_missing_is_said_before_anything_starts(
    small: Workspace, tmp_path: Path, renderer: Path, ports: tuple[int, int], lang: str
) -> None:
    def key(city: Path | None, port: int = ports[0], staff: int = ports[1]) -> str:
        with pytest.raises(BadInputError) as caught:
            serving.check(city, "127.0.0.1", port, staff)
        assert "→" in caught.value.message(lang)
        return caught.value.key

    assert key(None) == "no_city"
    assert key(tmp_path) == "not_a_city"
    untiled = Workspace(tmp_path / "untiled")
    untiled.root.mkdir()
    untiled.city_toml.write_text(small.city_toml.read_text(encoding="utf-8"), encoding="utf-8")
    assert key(untiled.root) == "no_tiles"
    assert key(small.root, ports[0], ports[0]) == "same_ports"
    with socket.create_server(("127.0.0.1", ports[0])):
        assert key(small.root) == "port_taken"
    (renderer / "index.html").unlink()
    assert key(small.root) == "no_renderer"


@pytest.mark.slow
def test_both_answer_a_dead_one_returns_and_all_stop(
    small: Workspace, renderer: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    start = serving.Served.start

    def recorded(self: serving.Served) -> None:
        start(self)
        assert self.process is not None
        started.append(self.process.pid)

    monkeypatch.setattr(serving.Served, "start", recorded)
    stop, said, seen = threading.Event(), [], []

    def when_ready(public: str, staff: str) -> None:
        seen.extend([get(public + "tiles/manifest.json"), get(staff + "healthz"), get(staff)])
        os.kill(started[0], signal.SIGKILL)

        def then_stop() -> None:
            until = time.monotonic() + 30
            while time.monotonic() < until and not serving._answers(public + "healthz"):
                time.sleep(0.2)
            seen.append(get(public + "healthz"))
            stop.set()

        threading.Timer(1.5, then_stop).start()

    serving.serve(
        small.root, port=ports[0], staff_port=ports[1], stop=stop, when_ready=when_ready,
        say=said.append, lang="en",
    )  # fmt: skip
    assert seen == [200, 200, 200, 200]
    assert len(started) == 4  # public, staff, worker, and the public one again
    assert any("starting it again" in line for line in said)
    assert gone(started)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_parent(
    small: Workspace, renderer: Path, ports: tuple[int, int], how: signal.Signals
) -> None:
    script = f"""
        from pathlib import Path
        from citymap.cli import serve
        serve.STATIC = Path({str(renderer)!r})
        start = serve.Served.start
        def recorded(self):
            start(self); print("pid", self.process.pid, flush=True)
        serve.Served.start = recorded
        serve.serve(Path({str(small.root)!r}), port={ports[0]}, staff_port={ports[1]},
                    when_ready=lambda a, b: print("ready", flush=True))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids: list[int] = []
    for line in parent.stdout:
        if line.startswith("pid"):
            pids.append(int(line.split()[1]))
        if line.startswith("ready"):
            break
    assert len(pids) == 3 and all(alive(pid) for pid in pids)
    parent.send_signal(how)
    code = parent.wait(30)
    parent.stdout.close()
    assert gone(pids)
    if how is not signal.SIGKILL:
        assert code == 0


@pytest.mark.slow
def test_a_process_that_never_comes_up_is_an_error(
    small: Workspace, renderer: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = serving.Served.start

    def broken(self: serving.Served) -> None:
        self.arguments = ["nonsense"]
        start(self)

    monkeypatch.setattr(serving.Served, "start", broken)
    with pytest.raises(CitymapError) as caught:
        serving.serve(small.root, port=ports[0], staff_port=ports[1], say=lambda _: None)
    assert caught.value.key == "not_started"


def test_desktop_takes_the_first_browser_with_an_app_mode(tmp_path: Path) -> None:
    found = desktop.app_mode_browser({"google-chrome": "/opt/chrome"}.get)
    assert found == "/opt/chrome"
    command = desktop.app_mode_command(found, "http://127.0.0.1:1/", tmp_path)
    assert "--app=http://127.0.0.1:1/" in command
    assert desktop.app_mode_browser(lambda _: None) in (None, *desktop.INSTALLED)


def test_desktop_serves_on_loopback_only_and_ends_with_its_window(
    small: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, object]] = []

    def fake_serve(city: Path, **options: object) -> None:
        calls.append(options)
        options["when_ready"]("http://127.0.0.1:1/", "http://127.0.0.1:2/")  # type: ignore[operator]
        assert options["stop"].wait(10)  # type: ignore[attr-defined]

    shown: list[str] = []
    monkeypatch.setattr(desktop, "serve", fake_serve)
    monkeypatch.setattr(desktop, "_show", lambda url, *_: shown.append(url))
    desktop.desktop(small.root)
    assert calls[0]["host"] == "127.0.0.1"
    assert shown == ["http://127.0.0.1:2/"]
