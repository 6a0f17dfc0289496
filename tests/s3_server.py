"""A real S3 server of our own for tests (`rclone serve s3`): on loopback, its objects in a folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

KEY, SECRET, NAME = "TESTKEYIDOFTHETESTS0", "test-secret-key-of-the-tests-0123456789abc", "photos"


class CannotStartError(Exception):
    """Why there is no server here."""


def binary() -> str:
    """The program, of a version that serves S3.

    Raises:
        CannotStartError: there is none.
    """
    found = os.environ.get("CITYMAP_TEST_RCLONE") or shutil.which("rclone")
    if not found:
        raise CannotStartError("rclone is not installed (CITYMAP_TEST_RCLONE names it)")
    said = subprocess.run([found, "serve", "s3", "--help"], capture_output=True, check=False)
    if said.returncode:
        raise CannotStartError(f"{found} is too old to serve S3")
    return found


@dataclass
class Server:
    """A server with one bucket; `stop` and `start` keep its objects."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a citymap that uses it."""
        return {"CITYMAP_PHOTOS": f"s3://{NAME}/sano", "CITYMAP_PHOTOS_ENDPOINT": self.endpoint,
                "CITYMAP_PHOTOS_KEY": KEY, "CITYMAP_PHOTOS_SECRET": SECRET}  # fmt: skip

    def files(self) -> list[Path]:
        """What lies in the bucket."""
        return sorted(p for p in (self.folder / NAME).rglob("*") if p.is_file())

    def start(self) -> None:
        command = [
            binary(), "serve", "s3", "--addr", f"127.0.0.1:{self.port}", "--auth-key",
            f"{KEY},{SECRET}", "--config", os.devnull, "--vfs-cache-mode", "off", "-q", str(self.folder),
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > until:
                raise CannotStartError("rclone does not come up")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A running server whose objects lie in `folder`.

    Raises:
        CannotStartError: with the reason.
    """
    binary()
    (folder / NAME).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = int(held.getsockname()[1])
    running = Server(folder, port)
    try:
        running.start()
        yield running
    finally:
        running.stop()
