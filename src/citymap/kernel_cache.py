"""A place for compiled kernels where neither the package's folder nor the user's cache can be written.

numba keeps them beside the package, else in the user's cache, and refuses to load without either.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parent
VARIABLE = "NUMBA_CACHE_DIR"


def _can_write(path: Path) -> bool:
    """Whether `path` is a folder that can be written, or can be made as one."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _users_cache() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    except RuntimeError:  # a user without a home
        return Path("/nonexistent/numba")


def _own(path: Path) -> Path:
    """A folder that nobody else can put files into: numba runs what it finds there."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if (
            not stat.S_ISDIR(found.st_mode)
            or found.st_uid != os.getuid()
            or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            return Path(tempfile.mkdtemp(prefix="citymap-numba-"))
    return path


def settle() -> None:
    """Point numba to a folder of ours under the system's temporary one where it would find none."""
    if os.environ.get(VARIABLE) or sys.platform == "win32":
        return
    if _can_write(PACKAGE / "flood" / "kernels" / "__pycache__") or _can_write(_users_cache()):
        return
    os.environ[VARIABLE] = str(_own(Path(tempfile.gettempdir()) / f"citymap-numba-{os.getuid()}"))
