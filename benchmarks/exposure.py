"""Exposure of 200,000 footprints on a 10,000 × 10,000 depth grid, beside rasterstats on a sample.

`--peer` installs rasterstats into an environment of its own; without it only ours is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from citymap import crs
from citymap.assess.exposure import City, answers, look_up, table_of
from citymap.assess.verdict import Building
from citymap.hazard.sets import HazardLayer, HazardSet

EPSG, WEST, NORTH = 6677, -20_000.0, 20_000.0
BENCH = Path(__file__).parent.parent / ".bench"
PEER = """
import json, sys, time, geopandas
from rasterstats import zonal_stats
shapes = geopandas.read_parquet(sys.argv[2])
begun = time.perf_counter()
found = zonal_stats(shapes, sys.argv[1], stats=["max", "mean"], all_touched=True)
print(json.dumps({"s": time.perf_counter() - begun, "max": [f["max"] for f in found]}))
"""


def prepare(folder: Path, count: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Write grids and zones; returns the footprints in metres and in lon, lat."""
    rng = np.random.default_rng(1)
    cell_m = 40_000 / cells
    for name, scale in (("depth", 6.0), ("duration", 60.0)):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", width=cells, height=cells, count=1, dtype="float32",
            crs=f"EPSG:{EPSG}", transform=from_origin(WEST, NORTH, cell_m, cell_m), nodata=np.nan, tiled=True,
            compress="DEFLATE",
        ) as out:  # fmt: skip
            for top in range(0, cells, 1000):
                y, x = np.mgrid[top : top + 1000, 0:cells] / cells
                block = (np.sin(9 * x) * np.cos(7 * y) * scale).astype(np.float32)
                block[block <= 0] = np.nan
                out.write(block, 1, window=((top, top + block.shape[0]), (0, cells)))
    x, y = rng.uniform(WEST + 50, -WEST - 50, (2, count))
    w, h = rng.uniform(6, 25, (2, count))
    metres = shapely.box(x, y, x + w, y + h)
    lon_lat = shapely.transform(
        metres, lambda c: np.column_stack(crs.unproject(c[:, 0], c[:, 1], EPSG))
    )
    for name in ("collapse_flow", "collapse_erosion"):
        a, b = rng.uniform(WEST, -WEST, (2, 300))
        zones = shapely.buffer(shapely.points(a, b), 300)
        zones = shapely.transform(
            zones, lambda c: np.column_stack(crs.unproject(c[:, 0], c[:, 1], EPSG))
        )
        geopandas.GeoDataFrame(geometry=zones, crs=6668).to_parquet(folder / f"{name}.parquet")
    return metres, lon_lat


def rasterstats(folder: Path, shapes: np.ndarray) -> dict[str, Any]:
    """The peer on the same shapes, in its own environment."""
    home = BENCH / "rasterstats"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "rasterstats", "geopandas", "pyarrow"],
            check=True,
        )
    geopandas.GeoDataFrame(geometry=shapes, crs=EPSG).to_parquet(folder / "sample.parquet")
    done = subprocess.run(
        [python, "-c", PEER, folder / "depth.tif", folder / "sample.parquet"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(done.stdout))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--buildings", type=int, default=200_000)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=20_000)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="citymap-bench-") as name:
        folder = Path(name)
        metres, lon_lat = prepare(folder, options.buildings, options.cells)
        layers = tuple(
            HazardLayer(
                q, folder / f"{q}{'.tif' if q in {'depth', 'duration'} else '.parquet'}", q, {}, {}
            )  # type: ignore[arg-type]
            for q in ("depth", "duration", "collapse_flow", "collapse_erosion")
        )
        one = HazardSet("bench", "river_flood", "", "", layers)
        look_up(one, lon_lat[:100])  # compiles
        city = City(
            [str(i) for i in range(len(lon_lat))],
            lon_lat,
            [Building(2, 7.5)] * len(lon_lat),
            [None] * len(lon_lat),
        )
        begun = time.perf_counter()
        found = look_up(one, lon_lat)
        looked = time.perf_counter() - begun
        table_of(city, found, answers(found, city, "river_flood"))
        result = {
            "buildings": len(lon_lat), "cells": options.cells**2, "look_up_s": looked,
            "all_s": time.perf_counter() - begun,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
        }  # fmt: skip
        if options.peer:
            sample = metres[: options.sample]
            peer = rasterstats(folder, sample)
            begun = time.perf_counter()
            ours = look_up(
                HazardSet("d", "river_flood", "", "", layers[:1]), lon_lat[: options.sample]
            )
            seconds = time.perf_counter() - begun
            theirs = np.array([np.nan if v is None else v for v in peer["max"]], float)
            same = np.isclose(ours.depth_max_m, theirs, equal_nan=True)
            result |= {
                "sample": len(sample), "rasterstats_s": peer["s"], "ours_s": seconds,
                "times_rasterstats": peer["s"] / seconds, "same_maximum": float(same.mean()),
            }  # fmt: skip
        print(json.dumps(result, indent=1))
        print("  target: all_s ≤ 20, peak_mb ≤ 2000, times_rasterstats ≥ 20")
    return result


if __name__ == "__main__":
    main()
