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
from hashlib import blake2b
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


def _mark(variant: str) -> Path:
    """A file that stands once this variant was compiled from these sources by this numba and Python."""
    import numba  # noqa: PLC0415

    here = Path(__file__).parent
    sources = b"".join((here / n).read_bytes() for n in ("_kernels.py", "_hllc.py"))
    name = f"{sys.version}{numba.__version__}{here}".encode()
    digest = blake2b(sources + name, digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"citymap-kernels-{os.getuid()}-{variant}-{digest}"


def compiled_before(variant: str) -> bool:
    """Whether the kernels of a variant will be loaded (a second), not compiled (half a minute or more)."""
    return variant in _READY or sys.platform == "win32" or _mark(variant).exists()


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
        if sys.platform != "win32":
            _mark(variant).touch()
