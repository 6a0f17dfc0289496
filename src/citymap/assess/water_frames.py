"""The water of a flood result for playing in the browser: classes of depth, all times, one small file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from citymap.assess import flood_view
from citymap.assess.depth_classes import STANDARD
from citymap.evacuation.playback import write_arrays
from citymap.flood.results import FLOODED_FROM_M

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 400  # cells of the longer side
MOST_FRAMES = 60


def write_water(path: Path, folder: Path) -> None:
    """Write the depth classes (0 dry or unknown, then the standard ones) of at most 60 times.

    The head names `corners` (lon, lat: lower left, upper left, upper right, lower right), `rows`,
    `columns`, `time_s` and `colours`; the array `class` is times × rows × columns, north first.
    Where cells are joined the deepest counts.

    Raises:
        BadInputError: there is no finished result.
    """
    bounds = [max(c.min_m, FLOODED_FROM_M) for c in STANDARD]
    hours = flood_view.hours(folder)
    chosen = np.unique(
        np.linspace(0, len(hours) - 1, min(len(hours), MOST_FRAMES)).round().astype(int)
    )
    frames = []
    corners: list[list[float]] = []
    for number in chosen:
        values, corners = flood_view.depths(folder, int(number), longest=LONGEST)
        frames.append(np.searchsorted(bounds, np.nan_to_num(values), side="right").astype("u1"))
    rows, columns = frames[0].shape
    write_arrays(path, {
        "version": 1, "corners": corners, "rows": rows, "columns": columns,
        "time_s": [round(hours[k] * 3600, 1) for k in chosen], "colours": [list(c.colour) for c in STANDARD],
    }, {"class": np.concatenate([f.ravel() for f in frames])})  # fmt: skip
