"""What closures do to a way: the same way without them, and those that lie on it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.evacuation.closures import REACH_M, Closure, closure_files, read_closures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from citymap.evacuation.routing import Route
    from citymap.workspace import Workspace

_READ: dict[str, tuple[tuple[int, ...], list[Closure]]] = {}
_READING = Lock()


def holding(workspace: Workspace) -> list[Closure]:
    """The closures that hold now; the files are read again when they change.

    Raises:
        BadInputError: a file of closures cannot be read.
    """
    stamp, name = closure_stamp(workspace), str(workspace.root)
    with _READING:
        if name not in _READ or _READ[name][0] != stamp:
            _READ[name] = (stamp, read_closures(workspace))
        known = _READ[name][1]
    return [c for c in known if c.valid_at()]


def closures_now(workspace: Workspace) -> tuple[object, ...]:
    """Changes whenever a file of closures does, and when one of them begins or ends to hold."""
    try:
        return (*closure_stamp(workspace), *(c.id for c in holding(workspace)))
    except BadInputError:
        return closure_stamp(workspace)


def closure_stamp(workspace: Workspace) -> tuple[int, ...]:
    """Changes whenever a file of closures does."""
    return tuple(p.stat().st_mtime_ns for p in closure_files(workspace))


def detour(
    way: Route | None, free: Route | None, closures: Sequence[Closure], epsg: int
) -> dict[str, Any] | None:
    """What to say of a way that goes round closures: metres more (None where there is no way), and
    the depth reported there; None where the closures make no difference.

    `free` is the way as it would be without them, `epsg` the plane zone in which they are compared.
    """
    if free is None or (way is not None and way.lon_lat == free.lon_lat):
        return None
    line = shapely.LineString(_plane(np.array(free.lon_lat), epsg))
    on_it = [
        c for c in closures
        if shapely.dwithin(shapely.transform(c.shape, lambda at: _plane(at, epsg)), line, REACH_M)
    ]  # fmt: skip
    if not on_it:
        return None
    depths = [c.depth_m for c in on_it if c.depth_m is not None]
    return {
        "more_m": None if way is None else round(way.length_m) - round(free.length_m),
        "depth_m": round(max(depths), 1) if depths else None,
    }


def _plane(lon_lat: Any, epsg: int) -> Any:
    return np.column_stack(crs.project(lon_lat[:, 0], lon_lat[:, 1], epsg))
