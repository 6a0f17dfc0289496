"""Comparing two editions of 200,000 buildings: all ids new, every footprint moved by 0.2 m.

python benchmarks/model_compare.py [--buildings 200000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from citymap import crs
from citymap.model.columns import BUILDINGS
from citymap.plateau.compare import compare
from citymap.progress import Quiet
from citymap.workspace import write_table

EPSG = 6677


def write(path: Path, count: int, prefix: str, shift_m: float) -> None:
    """A town of boxes on a grid of 14 m."""
    rng = np.random.default_rng(1)
    x, y = (np.arange(count) % 500) * 14.0 + shift_m, (np.arange(count) // 500) * 14.0 + shift_m
    boxes = shapely.box(x, y, x + rng.uniform(6, 12, count), y + rng.uniform(6, 12, count))

    def degrees(metres: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:  # fmt: skip
        return np.stack(crs.unproject(metres[:, 0], metres[:, 1], EPSG), axis=1)

    ids = [f"{prefix}{i}" for i in range(count)]
    known = {
        "gml_id": ids, "building_id": ids, "source_file": ["a"] * count, "lod": [1] * count,
        "measured_height_m": rng.uniform(3, 30, count), "geometry": shapely.to_wkb(shapely.transform(boxes, degrees)),
    }  # fmt: skip
    columns = [pa.array(known.get(f.name, [None] * count), f.type) for f in BUILDINGS.schema()]
    write_table(path, pa.table(columns, schema=BUILDINGS.schema()), BUILDINGS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--buildings", type=int, default=200_000)
    count = parser.parse_args().buildings
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "old.parquet", Path(folder) / "new.parquet"
        write(old, count, "a", 0.0)
        write(new, count, "b", 0.2)
        wall, cpu = time.perf_counter(), time.process_time()
        found = compare(old, new, Path(folder) / "out", epsg=EPSG, progress=Quiet())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{count:,} buildings: {wall:.1f} s wall, {cpu:.1f} s CPU, peak {peak} MB; {found}")


if __name__ == "__main__":
    main()
