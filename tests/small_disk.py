"""A file system of a few megabytes for tests, which can be filled to the last byte (a helper)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, megabytes: int = 24) -> Iterator[Path]:
    """A real file system of its own at `place`; skips where mounting is not allowed."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def filled(disk: Path, *, free_kb: int = 0) -> Iterator[None]:
    """The disk is full inside the block, but for `free_kb`."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as sink, suppress(OSError):
        while True:
            sink.write(b"x" * 65536)
    with ballast.open("ab", buffering=0) as sink, suppress(OSError):
        while True:
            sink.write(b"x" * 512)
    if free_kb:
        os.truncate(ballast, ballast.stat().st_size - free_kb * 1024)
    try:
        yield
    finally:
        ballast.unlink()
