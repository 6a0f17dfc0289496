"""How often somebody asks, counted over all processes in a small shared file without locks.

Each process writes only a row of its own (`shared_rows`) and adds up those of all, so that no count
is lost and nobody waits. A caller is a hash in
two places (a count-min sketch), never an address: another caller can only make a count too high,
and only if it meets ours in both places. Windows slide: the last minute is weighed from two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from citymap.web.shared_rows import SharedRows, shared_file

if TYPE_CHECKING:
    from citymap.settings import Settings

WINDOW_S = 60
PLACES = 1 << 13  # of the sketch, for each of the two hashes
_WORDS_A_ROW = PLACES * 2 * 2  # two hashes, this window and the one before
_COUNT = (1 << 32) - 1


def counters(settings: Settings) -> SharedCounters:
    """The counters of this city, shared where a folder for them can be written."""
    return SharedCounters(shared_file(settings, "rate"))


class SharedCounters(SharedRows):
    """Counts per caller and minute, shared by every process that opens the same file."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, _WORDS_A_ROW)
        self._clock = clock

    def _places(self, caller: str) -> tuple[int, int]:
        digest = blake2b(caller.encode(), key=self.key, digest_size=8).digest()
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
        own = self.row * _WORDS_A_ROW
        lowest = float("inf")
        words = self.words
        for place in self._places(caller):
            index = own + place * 2 + (window & 1)
            word = words[index]
            words[index] = (
                word + 1 if word >> 32 == window & _COUNT else (window & _COUNT) << 32 | 1
            )
            now = before = 0
            for row in range(self.rows):
                at_row = row * _WORDS_A_ROW + place * 2
                word = words[at_row + (window & 1)]
                if word >> 32 == window & _COUNT:
                    now += word & _COUNT
                word = words[at_row + (~window & 1)]
                if word >> 32 == (window - 1) & _COUNT:
                    before += word & _COUNT
            lowest = min(lowest, now + before * share)
        return lowest


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
