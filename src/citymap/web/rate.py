"""How often somebody asks, counted over all processes in a small shared file without locks.

The file is a table of counters in memory that all processes map. Each process writes only rows of
its own and adds up those of all, so that no count is lost and nobody waits. A caller is a hash in
two places (a count-min sketch), never an address: another caller can only make a count too high,
and only if it meets ours in both places. Windows slide: the last minute is weighed from two.
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from citymap.settings import Settings

try:
    import fcntl
except ImportError:  # Windows: each process counts for itself
    fcntl = None  # type: ignore[assignment]

WINDOW_S = 60
PLACES = 1 << 13  # of the sketch, for each of the two hashes
ROWS = 80  # processes at most: 64 workers, the staff process, and room for restarts
_WORDS_A_ROW = PLACES * 2 * 2  # two hashes, this window and the one before
_HEAD_BYTES = 4096
_SIZE = _HEAD_BYTES + ROWS * _WORDS_A_ROW * 8
_COUNT = (1 << 32) - 1


def counters(settings: Settings) -> SharedCounters:
    """The counters of this city, shared where a folder for them can be written."""
    city = str(settings.city.resolve()) if settings.city is not None else ""
    name = blake2b(city.encode(), digest_size=6).hexdigest()
    folder = settings.run_folder
    if folder is None:
        who = os.getuid() if hasattr(os, "getuid") else 0
        folder = Path(tempfile.gettempdir()) / f"citymap-{who}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return SharedCounters(None)  # somebody else's folder under our name
        return SharedCounters(folder / f"rate-{name}")
    except OSError:  # nowhere to write: this process counts for itself
        return SharedCounters(None)


class SharedCounters:
    """Counts per caller and minute, shared by every process that opens the same file."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        if path is None or fcntl is None:
            self._map = mmap.mmap(-1, _SIZE)
            self._row, self._key = 0, secrets.token_bytes(16)
            self._words = memoryview(self._map)[_HEAD_BYTES:].cast("Q")
            return
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(path, flags, 0o600)
        self._prepare()
        self._map = mmap.mmap(self._file, _SIZE)
        self._key = bytes(self._map[:16])
        self._row = self._own_row()
        self._words = memoryview(self._map)[_HEAD_BYTES:].cast("Q")

    def _prepare(self) -> None:
        """Size and key, by whoever comes first."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, ROWS)
        if os.fstat(self._file).st_size != _SIZE:
            os.ftruncate(self._file, 0)
            os.ftruncate(self._file, _SIZE)
            os.pwrite(self._file, secrets.token_bytes(16), 0)
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, ROWS)

    def _own_row(self) -> int:
        """A row nobody holds; the lock goes with the process, however it dies."""
        for row in range(ROWS):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                continue
            self._map[16] = max(self._map[16], row + 1)
            return row
        raise OSError("more processes than rows")

    @property
    def _rows(self) -> int:
        return max(self._map[16], self._row + 1)

    def _places(self, caller: str) -> tuple[int, int]:
        digest = blake2b(caller.encode(), key=self._key, digest_size=8).digest()
        first = int.from_bytes(digest[:4], "big") % PLACES
        second = int.from_bytes(digest[4:], "big") % PLACES + PLACES
        return first, second

    def hit(self, caller: str) -> float:
        """Count one request; how many there were in the last minute, this one included.

        A word is the window's number (high half) and the count (low half), so that an old count
        is seen as old and nothing has to be cleared.
        """
        at = self._clock()
        window = int(at // WINDOW_S)
        share = 1.0 - (at / WINDOW_S - window)  # of the window before that still counts
        own = self._row * _WORDS_A_ROW
        lowest = float("inf")
        words = self._words
        for place in self._places(caller):
            index = own + place * 2 + (window & 1)
            word = words[index]
            words[index] = (
                word + 1 if word >> 32 == window & _COUNT else (window & _COUNT) << 32 | 1
            )
            now = before = 0
            for row in range(self._rows):
                at_row = row * _WORDS_A_ROW + place * 2
                word = words[at_row + (window & 1)]
                if word >> 32 == window & _COUNT:
                    now += word & _COUNT
                word = words[at_row + (~window & 1)]
                if word >> 32 == (window - 1) & _COUNT:
                    before += word & _COUNT
            lowest = min(lowest, now + before * share)
        return lowest

    def close(self) -> None:
        """Give the row back."""
        self._words.release()
        self._map.close()
        if hasattr(self, "_file"):
            os.close(self._file)


@lru_cache(maxsize=4096)
def caller_of(address: str) -> str:
    """Whom an address stands for: an IPv4 address, or the /64 that an IPv6 subscriber gets."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
