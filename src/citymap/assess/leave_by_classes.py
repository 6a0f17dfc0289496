"""Classes of 退避期限 for colouring the buildings of the map, row by row of `buildings.parquet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

UNKNOWN = 255
BOUNDS_H = (0.5, 1.0, 2.0, 3.0, 6.0)
# The sooner the darker; blue where no way is ever cut off, violet where there is none.
CLASSES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("h0", (103, 0, 13)), ("h1", (203, 24, 29)), ("h2", (241, 105, 19)), ("h3", (253, 174, 97)),
    ("h6", (254, 217, 118)), ("later", (255, 245, 200)), ("never", (86, 160, 211)), ("no_way", (96, 20, 120)),
)  # fmt: skip
NEVER, NO_WAY = (next(k for k, (n, _) in enumerate(CLASSES) if n == name) for name in ("never", "no_way"))  # fmt: skip


def classes(workspace: Workspace, path: Path, mobility: str) -> NDArray[np.uint8]:
    """The class (row of `CLASSES`) of every building for a class of people; `UNKNOWN` where the
    result does not speak of it."""
    ids = pq.read_table(workspace.buildings, columns=["building_id"])["building_id"]
    table = pq.read_table(path, columns=["building_id", "mobility", "leave_by_h"])
    table = table.filter(pc.equal(table["mobility"], mobility))
    hours = table["leave_by_h"].to_numpy().astype(float)
    found = np.searchsorted(BOUNDS_H, hours, side="right").astype(np.uint8)
    found[hours == np.inf] = NEVER
    found[np.isnan(hours)] = NO_WAY
    at = pc.index_in(ids, value_set=table["building_id"].combine_chunks()).to_numpy()
    known = ~np.isnan(at.astype(float))
    out = np.full(len(ids), UNKNOWN, np.uint8)
    out[known] = found[at[known].astype(np.int64)]
    return out
