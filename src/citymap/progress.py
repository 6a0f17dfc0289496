"""Progress and cancellation of long work."""

from __future__ import annotations

import sys
import threading
import time
from typing import Protocol, TextIO

from citymap.errors import CancelledError
from citymap.i18n import DEFAULT_LANGUAGE, worded


class Progress(Protocol):
    """What long work reports to; `update` raises `CancelledError` once the person has stopped it."""

    def update(self, done: float, total: float, note: str = "") -> None:
        """Say that `done` of `total` units are finished."""


class Quiet:
    """Says nothing; can still be cancelled."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def __getstate__(self) -> dict[str, object]:
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._cancelled.set()

    def update(self, done: float, total: float, note: str = "") -> None:
        """See `Progress.update`."""
        del done, total, note
        if self._cancelled.is_set():
            raise CancelledError


class Part:
    """One step of a longer work: its own progress goes from one share of the whole to another."""

    def __init__(self, whole: Progress, low: float, high: float) -> None:
        self._whole, self._low, self._high = whole, low, high

    def update(self, done: float, total: float, note: str = "") -> None:
        """See `Progress.update`."""
        share = min(done / total, 1.0) if total else 1.0
        self._whole.update(self._low + (self._high - self._low) * share, 1.0, note)


class Terminal(Quiet):
    """One line on a terminal that rewrites itself; a plain line every 10 s elsewhere."""

    def __init__(self, stream: TextIO | None = None, lang: str = DEFAULT_LANGUAGE) -> None:
        super().__init__()
        self._lang = lang
        self._stream = stream or sys.stderr
        self._start = time.monotonic()
        self._last = 0.0

    def update(self, done: float, total: float, note: str = "") -> None:
        """See `Progress.update`."""
        super().update(done, total, note)
        now = time.monotonic()
        live = self._stream.isatty()
        finished = done >= total
        if not finished and now - self._last < (0.1 if live else 10.0):
            return
        self._last = now
        share = done / total if total else 1.0
        spent = now - self._start
        left = f", {spent / share - spent:.0f} s left" if 0.02 < share < 1 and spent > 2 else ""
        line = f"{share:4.0%} {worded(note, self._lang)}{left}"
        if live:
            self._stream.write("\r\x1b[2K" + line + ("\n" if finished else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
