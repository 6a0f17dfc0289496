"""A PostgreSQL server of our own for tests and benchmarks: temporary, on loopback, never as root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


class CannotStartError(Exception):
    """Why there is no server here."""


def binaries() -> Path:
    """The folder with `postgres` and `initdb`.

    Raises:
        CannotStartError: PostgreSQL is not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: p.parts[-3])
    if found:
        return found[-1].parent
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    raise CannotStartError(
        "PostgreSQL is not installed (Debian: postgresql postgresql-15-postgis-3)"
    )


def _unprivileged() -> list[str]:
    """The prefix of a command that must not run as root."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        runuser = shutil.which("runuser", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if runuser:
            return [runuser, "-u", name, "--"]
    raise CannotStartError("running as root without `runuser` and an unprivileged user")


@dataclass
class Server:
    """A running cluster; `url` names its database `postgres`."""

    folder: Path
    port: int
    pid: int = 0

    @property
    def url(self) -> str:
        return f"postgresql://citymap@127.0.0.1:{self.port}/postgres"

    def database(self, name: str) -> str:
        """A new empty database."""
        self.sql(f'CREATE DATABASE "{name}"')
        return self.url.rpartition("/")[0] + "/" + name

    def sql(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def start(self) -> None:
        command = [
            *_unprivileged(), str(binaries() / "postgres"), "-D", str(self.folder / "data"),
            "-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1",
            "-c", "max_connections=200", "-c", "shared_buffers=32MB",
        ]  # fmt: skip
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
        )
        log.close()
        until = time.monotonic() + 60
        lock = self.folder / "data" / "postmaster.pid"
        while True:
            if self.process.poll() is not None or time.monotonic() > until:
                said = (self.folder / "log").read_text(errors="replace")
                raise CannotStartError(f"the server does not start: {said[-500:]}")
            try:
                lines = lock.read_text().splitlines()
                if len(lines) >= 8 and lines[7].strip() == "ready":
                    self.pid = int(lines[0])
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast shutdown; SIGQUIT: as a crash, with recovery at the next start."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)
        self.process.wait(30)
        self.pid = 0


@contextmanager
def server() -> Iterator[Server]:
    """A new cluster, gone afterwards.

    Raises:
        CannotStartError: with the reason.
    """
    place = Path(tempfile.mkdtemp(prefix="citymap-pg-"))
    try:
        prefix = _unprivileged()
        if prefix:
            shutil.chown(place, prefix[2], prefix[2])
        made = subprocess.run(
            [*prefix, str(binaries() / "initdb"), "-D", str(place / "data"), "-U", "citymap",
             "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"],
            cwd=place, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise CannotStartError(made.stderr[-500:])
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = int(held.getsockname()[1])
        running = Server(place, port)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def or_skip() -> Iterator[Server]:
    """The body of a fixture: a new cluster, or the test skipped with the reason."""
    import pytest

    with ExitStack() as stack:
        try:
            running = stack.enter_context(server())
        except CannotStartError as why:
            pytest.skip(f"no PostgreSQL server can be started: {why}")
        yield running
