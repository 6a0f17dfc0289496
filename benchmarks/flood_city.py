"""Issue 7, scale: a whole scenario of a city of 4000 × 4000 cells through the command, with its peak memory.

python benchmarks/flood_city.py [--cells 4000] [--hours 0.1] [--scheme inertial] [--folder DIR]

Makes a terrain, runs `citymap flood run` in a process of its own, and prints its peak resident memory, seconds,
lines of progress and mass error. Files go to `--folder` (default: a temporary one; about 0.5 GB).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from flood import CELL, ground

SCENARIO = """
[flood]
terrain = "terrain.tif"
crs = "EPSG:6677"
duration_h = {hours}
output_every_min = {every}
scheme = "{scheme}"
[flood.rain]
mm_per_h = [[0, 60]]
[[flood.breach]]
at = [{x}, {y}]
width_m = 100
river_stage_m = [[0, {stage}]]
[[flood.boundary]]
side = "north"
type = "open"
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=4000, help="of a side")
    parser.add_argument("--hours", type=float, default=0.1, help="simulated")
    parser.add_argument("--scheme", default="inertial")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="citymap-city-") as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        n = options.cells
        z = ground(n).astype(np.float32)
        with rasterio.open(
            folder / "terrain.tif", "w", driver="GTiff", width=n, height=n, count=1, dtype="float32",
            crs="EPSG:6677", transform=Affine(CELL, 0, 0, 0, -CELL, n * CELL), nodata=float("nan"), tiled=True,
        ) as out:  # fmt: skip
            out.write(z, 1)
            out.update_tags(VERTICAL_DATUM="T.P.")
        row, column = n // 2, n // 2
        text = SCENARIO.format(
            hours=options.hours, every=options.hours * 20, scheme=options.scheme,
            x=(column + 0.5) * CELL, y=n * CELL - (row + 0.5) * CELL, stage=float(z[row, column]) + 3,
        )  # fmt: skip
        del z
        (folder / "scenario.toml").write_text(text, encoding="utf-8")
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "citymap.cli", "flood", "run", str(folder / "scenario.toml"), "--out",
             str(folder / "out"), "--json"], check=True, text=True, capture_output=True,
        )  # fmt: skip
        spent = time.perf_counter() - begun
        summary = json.loads(done.stdout)
        result = {
            "cells": n * n,
            "peak_memory_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
            "seconds": spent,
            "solver_seconds": summary["wall_s"],
            "steps": summary["steps"],
            "m_updates_per_s": summary["cell_updates_per_s"] / 1e6,
            "progress_said": len(done.stderr.replace("\r", "\n").splitlines()),
            "volume_error": abs(summary["mass_error_m3"])
            / (summary["rain_m3"] + summary["inflow_m3"]),
        }
    print(json.dumps(result, indent=1))
    print("  target: peak_memory_gb ≤ 6 (of 1024³ bytes), volume_error ≤ 1e-7")


if __name__ == "__main__":
    main()
