"""`citymap serve`: the public, staff and worker processes, watched, restarted, stopped together."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from citymap.errors import BadInputError, CitymapError, UsageError
from citymap.i18n import t
from citymap.settings import Settings, terminal_language
from citymap.store import accounts
from citymap.store.repair import Keeper, open_or_repair
from citymap.workspace import Workspace

STATIC = Path(__file__).parents[1] / "web" / "static"
READY_S = 60
STOP_S = 8
RESTARTS = 5  # within RESTART_WINDOW_S, then we give up
RESTART_WINDOW_S = 60
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  (only compared)


@dataclass(slots=True)
class Served:
    """One of the processes and its short history; a worker has no `url`."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    url: str
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it (again); its standard input stays open as long as we live."""
        self.ask_to_stop()  # closes what is left of a dead one
        if self.process is not None:
            _kill_group(self.process)  # the children of a worker that was killed
        self.process = subprocess.Popen(
            [sys.executable, "-m", "citymap.cli.served", *self.arguments],
            stdin=subprocess.PIPE,
            env=self.environment,
            start_new_session=os.name == "posix",  # Ctrl-C reaches us alone; we stop it in order
        )

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Closing its standard input is the request (see `served`)."""
        if self.process is not None and self.process.stdin is not None:
            with _ignoring_closed_pipe():
                self.process.stdin.close()

    def wait_stopped(self, until: float) -> None:
        """Wait, then insist."""
        if self.process is None:
            return
        try:
            self.process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            _kill_group(self.process)
            self.process.wait()


@contextmanager
def _ignoring_closed_pipe() -> Iterator[None]:
    try:
        yield
    except (BrokenPipeError, ValueError):
        return


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
    else:
        process.kill()


def _free_port(host: str, port: int, option: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise BadInputError("port_taken", port=port, option=option) from e


def check(city: Path | None, host: str, port: int, staff_port: int) -> Workspace:
    """Everything that can be known to fail before anything is started.

    Raises:
        BadInputError: no city, no tiles, no renderer, or a port in use.
    """
    if city is None:
        raise UsageError("no_city")
    workspace = Workspace(city.resolve())
    workspace.city()
    if not (workspace.tiles / "manifest.json").is_file():
        raise BadInputError("no_tiles", path=city)
    if not (STATIC / "index.html").is_file():
        raise BadInputError("no_renderer", path=STATIC)
    if port == staff_port:
        raise UsageError("same_ports", port=port)
    _free_port(host, port, "--port")
    _free_port(host, staff_port, "--staff-port")
    return workspace


def _prepare(
    where: str | Workspace,
    host: str,
    single_user: bool | None,
    *,
    behind_proxy: bool,
    lang: str = "ja",
    say: Callable[[str], None] = print,
) -> tuple[str | None, Keeper]:
    """Move the store forward, repaired if need be; the notice about log-in that is due, if one is.

    Raises:
        BadInputError: `--single-user` where other machines reach us.
        StoreError: the store cannot be opened or is damaged.
    """
    outside = host not in {"127.0.0.1", "::1", "localhost"}
    if single_user and (outside or behind_proxy):
        raise UsageError("single_user_not_loopback", host=host)
    store, repaired = open_or_repair(where)
    if repaired:
        say(t("serve.repaired", lang))
    keeper = Keeper(where, store)
    if single_user:
        return "serve.single_user", keeper
    if accounts.count(store):
        return None, keeper
    closed = outside or behind_proxy or single_user is False
    return "serve.no_account" if closed else "serve.open_to_this_pc", keeper


def _answers(url: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own, just started
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def serve(
    city: Path | None,
    *,
    host: str = "127.0.0.1",
    port: int = 8500,
    staff_port: int = 8501,
    workers: int = 1,
    open_browser: bool = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    trusted_proxy: str | None = None,
    root_path: str = "",
    store: str | None = None,
    job_workers: int = 1,
    single_user: bool | None = None,
    lang: str = "ja",
    stop: threading.Event | None = None,
    when_ready: Callable[[str, str], None] | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Run the processes until SIGINT, SIGTERM or `stop`; the store is moved forward first.

    `when_ready(public_url, staff_url)` is called once both answer.

    Raises:
        BadInputError: something is missing or taken (see `check`).
        CitymapError: a process does not come up, or keeps dying.
    """
    workspace = check(city, host, port, staff_port)
    where = store or workspace
    open_to_me, keeper = _prepare(
        where, host, single_user, behind_proxy=bool(trusted_proxy), lang=lang, say=say
    )
    environment = _environment(
        workspace, root_path=root_path, single_user=single_user, store=store,
        trusted_proxy=trusted_proxy,
    )  # fmt: skip
    more = [
        *(("--tls-cert", str(tls_cert)) if tls_cert else ()),
        *(("--tls-key", str(tls_key)) if tls_key else ()),
        *(("--trusted-proxy", trusted_proxy) if trusted_proxy else ()),
    ]
    both = [
        Served(
            name,
            [name, "--host", host, "--port", str(number), "--workers", str(count), *more],
            environment,
            _url(host, number, root_path, encrypted=tls_cert is not None),
        )
        for name, number, count in (("public", port, workers), ("staff", staff_port, 1))
    ]
    everything = [
        *both,
        *(Served("worker", ["worker"], environment, "") for _ in range(job_workers)),
    ]
    stopping = stop or threading.Event()
    with _stopping_on_signals(stopping):
        try:
            for one in everything:
                one.start()
            _wait_ready(both, stopping, lang)
            if not stopping.is_set():
                for one in both:
                    say(t(f"serve.{one.name}_at", lang, url=one.url))
                if open_to_me is not None:
                    say(t(open_to_me, lang))
                say(t("serve.stop_with", lang))
                if when_ready is not None:
                    when_ready(both[0].url, both[1].url)
                if open_browser:
                    webbrowser.open(both[0].url)
                _watch(everything, stopping, lang, say, keeper)
        finally:
            _stop(everything)
        keeper.store.close()
    say(t("serve.stopped", lang))


def _environment(
    workspace: Workspace,
    *,
    root_path: str,
    single_user: bool | None,
    store: str | None,
    trusted_proxy: str | None,
) -> dict[str, str]:
    """What the processes are told; the rest they find in the city and in our own environment."""
    told = {
        **os.environ,
        "CITYMAP_CITY": str(workspace.root),
        "CITYMAP_ROOT_PATH": root_path,
        "STREAMLIT_SERVER_BASE_URL_PATH": "",  # the prefix is ours (citymap.ui.asgi.Prefixed)
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": str(Settings(city=workspace.root).upload_max_mb),
    }
    if single_user is not None:
        told["CITYMAP_SINGLE_USER"] = str(single_user).lower()
    if store:
        told["CITYMAP_STORE"] = store
    if trusted_proxy:
        told["CITYMAP_TRUSTED_PROXY"] = trusted_proxy
    return told


def _url(host: str, port: int, root_path: str, *, encrypted: bool) -> str:
    """Where a browser on this machine finds a process that listens there."""
    shown = WILDCARDS.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"{'https' if encrypted else 'http'}://{shown}:{port}{root_path.rstrip('/')}/"


def _stop(served: list[Served]) -> None:
    """All at once: ask every one, then wait for them together."""
    for one in served:
        one.ask_to_stop()
    until = time.monotonic() + STOP_S
    for one in served:
        one.wait_stopped(until)


@contextmanager
def _stopping_on_signals(stopping: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _wait_ready(both: list[Served], stopping: threading.Event, lang: str) -> None:
    until = time.monotonic() + READY_S
    waiting = list(both)
    while waiting and not stopping.is_set():
        waiting = [one for one in waiting if not _answers(one.url + "healthz")]
        for one in waiting:
            if not one.running() or time.monotonic() > until:
                name = t(f"serve.{one.name}", lang)
                raise CitymapError("not_started", name=name, seconds=READY_S)
        stopping.wait(0.1)


def _watch(
    served: list[Served],
    stopping: threading.Event,
    lang: str,
    say: Callable[[str], None],
    keeper: Keeper,
) -> None:
    while not stopping.wait(0.5):
        if keeper.damaged():
            say(t("serve.repairing", lang))
            _stop(served)
            keeper.repair()
            say(t("serve.repaired", lang))
            for one in served:
                one.start()
        for one in served:
            if one.running():
                continue
            now = time.monotonic()
            one.deaths = [at for at in one.deaths if now - at < RESTART_WINDOW_S] + [now]
            name = t(f"serve.{one.name}", lang)
            if len(one.deaths) > RESTARTS:
                raise CitymapError("keeps_dying", name=name)
            say(t("serve.restarting", lang, name=name))
            stopping.wait(min(2.0 ** (len(one.deaths) - 2), 10.0))
            if not stopping.is_set():
                one.start()


def register(app: typer.Typer) -> None:
    """Add `citymap serve`."""

    @app.command("serve")
    def serve_command(
        city: Annotated[Path | None, typer.Option(help="City folder")] = None,
        host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
        port: Annotated[int | None, typer.Option(help="Port of the public process")] = None,
        staff_port: Annotated[int | None, typer.Option(help="Port of the staff process")] = None,
        workers: Annotated[int | None, typer.Option(help="Public worker processes")] = None,
        open_browser: Annotated[bool, typer.Option("--open", help="Open the browser")] = False,
        tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM)")] = None,
        tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM)")] = None,
        trusted_proxy: Annotated[
            str | None, typer.Option(help="Address of the reverse proxy whose headers count")
        ] = None,
        single_user: Annotated[
            bool, typer.Option("--single-user", help="One PC, no log-in (127.0.0.1 only)")
        ] = False,
    ) -> None:
        """Serve the public map and the staff pages until Ctrl-C."""
        try:
            settings = Settings(city=city) if city else Settings()
            serve(
                settings.city,
                host=host or settings.host,
                port=port or settings.port,
                staff_port=staff_port or settings.staff_port,
                workers=workers or settings.workers,
                open_browser=open_browser,
                tls_cert=tls_cert or settings.tls_cert,
                tls_key=tls_key or settings.tls_key,
                trusted_proxy=trusted_proxy or settings.trusted_proxy or None,
                root_path=settings.root_path,
                store=settings.store or None,
                single_user=True if single_user else settings.single_user,
                job_workers=settings.job_workers,
                lang=settings.lang,
                say=typer.echo,
            )
        except CitymapError as error:
            typer.echo(error.message(terminal_language()), err=True)
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from error
