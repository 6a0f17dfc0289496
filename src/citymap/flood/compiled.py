"""One process at a time compiles the kernels.

numba numbers the files of its cache without a lock: two processes that compile float32 and float64 at
the same moment can write one's code under the other's name, and the next process dies of it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_READY: set[str] = set()


@contextmanager
def _alone() -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415

    path = Path(tempfile.gettempdir()) / f"citymap-kernels-{os.getuid()}.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # the system frees it when the process dies
        yield
    finally:
        os.close(descriptor)


def ready(variant: str, warm: Callable[[], None]) -> None:
    """Call `warm`, which compiles or loads the kernels of a variant, once in this process and alone."""
    if variant in _READY:
        return
    with _alone():
        _READY.add(variant)  # `warm` comes here again
        try:
            warm()
        except BaseException:
            _READY.discard(variant)
            raise
