"""Which cell of the flood maps a place lies in: two reports of one cell tell of one water."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import rasterio

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.sets import hazard_sets
from citymap.reports.duplicates import CELL_M

if TYPE_CHECKING:
    from collections.abc import Sequence

    from citymap.workspace import Workspace

WATER = frozenset({"river_flood", "inland_flood", "high_tide", "tsunami"})


def flooded_cells(
    workspace: Workspace, lon: Sequence[float], lat: Sequence[float]
) -> list[tuple[str, int, int] | None]:
    """For each place (degrees, EPSG:6668) the wet cell of the city's depth grids it lies in.

    A cell is as large as the grid's own, or a square of its cells of at least 50 m, on the grid's own
    lines. Where several maps are wet the first by name speaks, so that two places are compared within
    one map. None: dry or not surveyed in all of them.
    """
    out: list[tuple[str, int, int] | None] = [None] * len(lon)
    try:
        layers = [
            layer
            for one in hazard_sets(workspace) if one.hazard in WATER
            for layer in one.of("depth", "rank") if layer.is_raster
        ]  # fmt: skip
    except BadInputError:
        return out  # the doctor says which description is wrong; a suggestion can do without
    for layer in layers:
        if not lon or None not in out:
            break
        with rasterio.open(layer.path, driver="GTiff") as source:
            x, y = np.array(lon, float), np.array(lat, float)
            if not source.crs.is_geographic:
                x, y = crs.project(x, y, source.crs.to_epsg())
            depth = np.ma.stack(list(source.sample(zip(x, y, strict=True), masked=True)))[:, 0]
            columns, rows = ~source.transform * (x, y)
            metres = _cell_m(source)
        many = max(1, int(np.ceil(CELL_M / metres)))
        for i, wet in enumerate(np.ma.filled(depth.astype(float), np.nan) > 0):
            if wet and out[i] is None:
                out[i] = (layer.id, int(rows[i]) // many, int(columns[i]) // many)
    return out


def _cell_m(source: rasterio.DatasetReader) -> float:
    size = abs(float(source.transform.a))
    return size * 111_320.0 if source.crs.is_geographic else size
