"""Every building as one dot, for views so wide that its block would be less than a pixel."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.tiles.shapes import Shapes
    from citymap.workspace import Workspace

GZIP_LEVEL = 6
STEPS = 65535
UNKNOWN_RADIUS_M = 5.0


def build(workspace: Workspace, shapes: Shapes, folder: Path) -> dict[str, Any]:
    """Write `dots.bin.gz`, four uint16 by row, little-endian; returns how to read them.

    x and y are fractions of `bbox` (lon, lat) in steps of 1/65535, z the ground's ellipsoidal
    height over `base_m` in decimetres, r the radius in decimetres of a disc as large as the
    footprint; r = 0 is a building without a place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    area = pq.read_table(workspace.buildings, columns=["footprint_area_m2"])["footprint_area_m2"]
    radius_m = np.sqrt(np.asarray(area.to_numpy(), float) / np.pi)
    radius_m = np.where(np.isfinite(radius_m) & (radius_m > 0), radius_m, UNKNOWN_RADIUS_M)
    placed = np.isfinite(shapes.lon) & np.isfinite(shapes.lat) & np.isfinite(shapes.bottom_m)
    if not placed.any():
        return {}
    ground_m = shapes.bottom_m + shapes.geoid_m
    lon, lat, base_m = shapes.lon[placed], shapes.lat[placed], float(ground_m[placed].min())
    west, east, south, north = lon.min(), lon.max(), lat.min(), lat.max()
    out = np.zeros((shapes.count, 4), "<u2")
    out[placed, 0] = np.rint((lon - west) / max(east - west, 1e-9) * STEPS)
    out[placed, 1] = np.rint((lat - south) / max(north - south, 1e-9) * STEPS)
    out[placed, 2] = np.clip(np.rint((ground_m[placed] - base_m) * 10), 0, STEPS)
    out[placed, 3] = np.clip(np.rint(radius_m[placed] * 10), 1, STEPS)
    (folder / "dots.bin.gz").write_bytes(gzip.compress(out.tobytes(), GZIP_LEVEL, mtime=0))
    return {
        "bbox": [float(west), float(south), float(east), float(north)],
        "base_m": round(base_m, 2),
    }
