"""A city with every sort of layer, and the public process serving it, for the tests of OGC API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from rasterio.transform import from_origin

sys.path.insert(0, str(Path(__file__).parent))
import small_city
from citymap import crs
from citymap.model.columns import EXPOSURE
from citymap.workspace import Workspace, write_table

SHELTERS = [("s1", "緑川小学校", 139.8801234, 36.5501234), ("s2", "𠮷田公民館", 139.8812345, 36.5512345),
            ("s3", "場所不明の集会所", None, None)]  # fmt: skip


def make(root: Path) -> Workspace:
    """Buildings with ground elevations, a verdict, shelters (one without a place) and a depth grid."""
    workspace = small_city.make(root, 30)
    table = pq.read_table(workspace.buildings)
    elevation = [None if i % 5 == 0 else 100.0 + i for i in range(30)]
    at = table.column_names.index("ground_elevation_m")
    table = table.set_column(at, "ground_elevation_m", pa.array(elevation, pa.float64()))
    pq.write_table(table, workspace.buildings)
    rows = pa.Table.from_pylist(
        [{"building_id": f"09999-bldg-{i}", "depth_max_m": 0.1 * i, "depth_mean_m": None, "duration_h": None,
          "collapse_flow": None, "collapse_erosion": None, "verdict": "leave" if i % 2 else "unknown",
          "dry_floor": None, "reasons": ["depth_below_floor"]} for i in range(30)],
        schema=EXPOSURE.schema(),
    )  # fmt: skip
    write_table(workspace.root / "exposure/combined.parquet", rows, EXPOSURE)
    workspace.places.mkdir()
    names = ("place_id", "name", "lon", "lat")
    listed = [
        dict(zip(names, row, strict=True)) | {"flood": True, "raw": "secret"} for row in SHELTERS
    ]
    pq.write_table(pa.Table.from_pylist(listed), workspace.places / "shelters.parquet")
    workspace.hazards.mkdir()
    depth_grid(workspace.hazards / "river-L2.tif")
    (workspace.hazards / "river-L2.toml").write_text(
        'id = "river-L2"\nquantity = "depth"\nhazard = "river_flood"\nlegend = "depth"\nname = "みどり川"\nscale = "L2"\nvintage = "2024"\n', encoding="utf-8"
    )  # fmt: skip
    (workspace.root / "scenarios/breach").mkdir(parents=True)
    depth_grid(workspace.root / "scenarios/breach/max_depth.tif")
    return workspace


def depth_grid(path: Path) -> None:
    """20 × 20 cells of 10 m: two wet patches (0.3 m, 3 m), one dry cell, the rest without a value."""
    x, y = crs.project(small_city.WEST, small_city.SOUTH, 6677)
    depth = np.full((20, 20), np.nan, np.float32)
    depth[2:6, 2:6], depth[10:14, 3:9], depth[18, 18] = 0.3, 3.0, 0.0
    with rasterio.open(
        path, "w", driver="GTiff", width=20, height=20, count=1, dtype="float32", crs="EPSG:6677",
        transform=from_origin(float(x), float(y) + 200, 10, 10), nodata=np.nan,
    ) as out:  # fmt: skip
        out.write(depth, 1)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody listens at a port of this machine."""
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at {port}")


@contextmanager
def serving(workspace: Workspace) -> Iterator[str]:
    """The address of a public process of its own, for clients that hold our process while they wait."""
    port = free_port()
    environment = {
        **os.environ,
        "CITYMAP_CITY": str(workspace.root),
        "CITYMAP_RATE_API_PER_MINUTE": "0",
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "citymap.web.public:create_app", "--port", str(port),
               "--log-level", "warning"]  # fmt: skip
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).close()
                break
            except OSError:
                assert process.poll() is None, "the server did not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
