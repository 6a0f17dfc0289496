"""Rows of numbers in a small file that all processes of a city map: one row each, no locks.

A process writes its own row only and reads all, so that sums are exact and nobody waits. The row's
lock goes with the process, however it dies; the next process goes on in it.
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from citymap.settings import Settings

try:
    import fcntl
except ImportError:  # Windows: each process counts for itself
    fcntl = None  # type: ignore[assignment]

ROWS = 80  # processes at most: 64 workers, the staff process, and room for restarts
_HEAD_BYTES = 4096
KEY_BYTES = 16


def shared_file(settings: Settings, purpose: str) -> Path | None:
    """The file of a city for a purpose, in a private folder; None where none can be had."""
    city = str(settings.city.resolve()) if settings.city is not None else ""
    name = blake2b(city.encode(), digest_size=6).hexdigest()
    folder = settings.run_folder
    if folder is None:
        who = os.getuid() if hasattr(os, "getuid") else 0
        folder = Path(tempfile.gettempdir()) / f"citymap-{who}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return None  # somebody else's folder under our name
    except OSError:
        return None
    return folder / f"{purpose}-{name}"


class SharedRows:
    """`words` unsigned 64-bit numbers for each process; `key` is random, the same for all."""

    def __init__(self, path: Path | None, words: int) -> None:
        self.width = words
        self._size = _HEAD_BYTES + ROWS * words * 8
        self._file: int | None = None
        if path is not None and fcntl is not None:
            try:
                self._open(path)
            except OSError:  # a folder we may not write: this process counts for itself
                self._file = None
        if self._file is None:
            self._map = mmap.mmap(-1, self._size)
            self.row, self.key = 0, secrets.token_bytes(KEY_BYTES)
        self.words = memoryview(self._map)[_HEAD_BYTES:].cast("Q")

    def _open(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(path, flags, 0o600)
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, ROWS)
        if os.fstat(self._file).st_size != self._size:  # whoever comes first
            os.ftruncate(self._file, 0)
            os.ftruncate(self._file, self._size)
            os.pwrite(self._file, secrets.token_bytes(KEY_BYTES), 0)
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, ROWS)
        self._map = mmap.mmap(self._file, self._size)
        self.key = bytes(self._map[:KEY_BYTES])
        self.row = self._own_row(self._file)

    def _own_row(self, file: int) -> int:
        for row in range(ROWS):
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                continue
            self._map[KEY_BYTES] = max(self._map[KEY_BYTES], row + 1)
            return row
        raise OSError("more processes than rows")

    @property
    def rows(self) -> int:
        """How many rows were ever used."""
        return max(self._map[KEY_BYTES], self.row + 1)

    def total(self, word: int) -> int:
        """The sum of a number over all processes."""
        return sum(self.words[row * self.width + word] for row in range(self.rows))

    def close(self) -> None:
        """Give the row back."""
        self.words.release()
        self._map.close()
        if self._file is not None:
            os.close(self._file)
