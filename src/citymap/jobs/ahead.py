"""What an idle worker does ahead: it has the kernels of floods compiled, so that the first run need not wait."""

from __future__ import annotations

import subprocess
import time

from citymap.flood import compiled

AFTER_S = 20.0  # since the worker began: pages and maps of a server that starts go first


class Ahead:
    """Compiles in a process of its own, which gives way as the worker does; once in a worker's life."""

    def __init__(self, after_s: float = AFTER_S) -> None:
        self._due = time.monotonic() + after_s
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False

    def look(self) -> None:
        """Begin when it is time, and clear away what has ended."""
        if self._over:
            return
        if self._process is None:
            if time.monotonic() >= self._due:
                try:
                    self._process = compiled.begin()
                except OSError:  # no memory for it: the first run will say that it compiles
                    self._over = True
        elif self._process.poll() is not None:
            self.stop()

    def stop(self) -> None:
        """Leave nothing running."""
        self._over = True
        if self._process is not None:
            compiled.end(self._process)
            self._process = None
