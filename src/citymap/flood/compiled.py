"""The kernels made ahead: whether they stand compiled on disk, and one process at a time that compiles them.

numba numbers the files of its cache without a lock: two processes that compile float32 and float64 at
the same moment can write one's code under the other's name, and the next process dies of it. And it
looks at the age of a function's own file only: where any source of the kernels changed, all goes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Literal

Variant = Literal["float32", "float64", "hllc"]
VARIANTS: tuple[Variant, ...] = (
    "float32",
    "float64",
    "hllc",
)  # the one that most runs take comes first
LOOK_S = 0.5
_READY: set[str] = set()


def folder() -> Path:
    """Where numba keeps what it compiled of the kernels: beside them, else in the user's cache."""
    from citymap.flood.kernels import steps  # noqa: PLC0415

    return Path(steps.advance.stats.cache_path)


@contextmanager
def _alone(at: Path) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415

    try:
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW
        descriptor = os.open(at / "citymap-kernels.lock", flags, 0o600)
    except PermissionError:  # of another user of the same NUMBA_CACHE_DIR
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # the system frees it when the process dies
        yield
    finally:
        os.close(descriptor)


def _digest(*parts: bytes) -> str:
    return blake2b(b"\0".join(parts), digest_size=8).hexdigest()


def _sources() -> str:
    """The sources of the kernels in short, and their ages: numba compiles anew what is younger, unasked."""
    files = sorted((Path(__file__).parent / "kernels").glob("*.py"))
    return _digest(*(f"{f.stat().st_mtime_ns}".encode() + f.read_bytes() for f in files))


def _mark(variant: str) -> Path:
    """A file that stands once this variant was compiled from these sources for this machine and Python."""
    import llvmlite.binding as llvm  # noqa: PLC0415
    import numba  # noqa: PLC0415

    machine = _digest(
        *(part.encode() for part in (sys.version, numba.__version__, llvm.get_host_cpu_name()))
    )
    return folder() / f"citymap-kernels-{_sources()}-{variant}-{machine}"


def compiled_before(variant: str) -> bool:
    """Whether the kernels of a variant will be loaded (a second), not compiled (half a minute or more)."""
    return variant in _READY or _mark(variant).exists()


def _drop_old(at: Path) -> None:
    """Remove what was compiled from other sources."""
    if any(at.glob(f"citymap-kernels-{_sources()}-*")):
        return
    for pattern in ("*.nbi", "*.nbc", "citymap-kernels-*-*"):
        for path in at.glob(pattern):
            with suppress(FileNotFoundError):
                path.unlink()


def ready(variant: str, warm: Callable[[], None]) -> None:
    """Call `warm`, which compiles or loads the kernels of a variant, once in this process; compiles alone."""
    if variant in _READY:
        return
    at = folder()
    known = _mark(
        variant
    ).exists()  # only reading: no need to wait for who compiles another variant
    with nullcontext() if known else _alone(at):
        if not known:
            _drop_old(at)
        _READY.add(variant)  # `warm` comes here again
        try:
            warm()
        except BaseException:
            _READY.discard(variant)
            raise
        if not known:
            _mark(variant).touch()


def begin(variants: Sequence[str] = VARIANTS) -> subprocess.Popen[bytes]:
    """A process that compiles what is not compiled yet, and ends with this one."""
    command = [sys.executable, "-m", "citymap.flood.compiled", *variants]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop such a process, and wait until it is gone."""
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def make(variant: str, tick: Callable[[float], None]) -> None:
    """Have a variant compiled on disk; `tick(seconds)` is called meanwhile and may raise to give up.

    A process of its own does it: only so can the person be told how long it takes, and stop it.
    """
    begun = time.monotonic()
    process = begin([variant])
    try:
        while process.poll() is None:
            tick(time.monotonic() - begun)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_S)
    finally:
        end(process)


def main(asked: Sequence[str]) -> None:
    """Compile what is not compiled yet; end at once when whoever asked for it is gone."""
    from citymap.flood.solver import warm  # noqa: PLC0415

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)  # numba puts whole files in place: nothing is left half done

    threading.Thread(target=watch, name="asker", daemon=True).start()
    for variant in VARIANTS:
        if variant in asked and not compiled_before(variant):
            warm(variant)


if __name__ == "__main__":
    main(sys.argv[1:])
