"""A bbox page of 1,000 of 200,000 buildings by OGC API: ours, and pygeoapi's GeoPackage provider.

    python benchmarks/ogc.py [--buildings 200000] [--pygeoapi /path/to/venv/bin/python]

Both serve over HTTP on this machine, the same features of the same data; the first requests warm
them up. The other Python has pygeoapi and uvicorn; without it only ours is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.model.columns import BUILDINGS
from citymap.share.exchange import export
from citymap.workspace import City, Workspace, write_table

WEST, SOUTH = 139.80, 36.45
PORT = 19150
CONFIG = """
server: {{bind: {{host: 127.0.0.1, port: {port}}}, url: "http://127.0.0.1:{port}", mimetype: application/json, encoding: utf-8, gzip: false, languages: [en-US], pretty_print: false, limits: {{default_items: 1000, max_items: 10000}}, map: {{url: "http://127.0.0.1/", attribution: x}}}}
logging: {{level: ERROR}}
metadata:
  identification: {{title: {{en: t}}, description: {{en: d}}, keywords: {{en: [k]}}, keywords_type: theme, terms_of_service: x, url: "http://127.0.0.1"}}
  license: {{name: x, url: "http://127.0.0.1"}}
  provider: {{name: x, url: "http://127.0.0.1"}}
  contact: {{name: x, position: x, address: x, city: x, stateorprovince: x, postalcode: x, country: x, phone: x, fax: x, email: x, url: x, hours: x, instructions: x, role: x}}
resources:
  buildings:
    type: collection
    title: buildings
    description: buildings
    keywords: [b]
    links: []
    extents: {{spatial: {{bbox: [139, 36, 141, 37], crs: "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}}}
    providers:
      - {{type: feature, name: SQLiteGPKG, data: "{data}", id_field: fid, table: buildings}}
"""


def make(root: Path, count: int) -> Workspace:
    """A city of `count` L-shaped buildings with every column filled and two risks each."""
    workspace = Workspace(root)
    side = int(np.ceil(np.sqrt(count)))
    step = 0.25 / side
    rng = np.random.default_rng(1)
    i = np.arange(count)
    x = WEST + (i % side) * step + rng.uniform(0, step / 4, count)
    y = SOUTH + (i // side) * step + rng.uniform(0, step / 4, count)
    d = np.array([(0, 0), (6, 0), (6, 3), (3, 3), (3, 6), (0, 6), (0, 0)]) * step / 10
    shapes = shapely.polygons(np.stack([x, y], axis=1)[:, None, :] + d[None])
    risk = {"hazard": "river_flood", "name": "みどり川", "scale": "L2", "admin": "国", "rank": 2,
            "depth_m": 1.5, "duration_h": 12.0}  # fmt: skip
    words = {
        "gml_id": "bldg_{:06d}",
        "building_id": "09999-bldg-{}",
        "address": "みどり川市本町{}番地",
    }
    columns: dict[str, object] = {}
    for column in BUILDINGS.columns:
        if column.name in words:
            columns[column.name] = [words[column.name].format(n) for n in range(count)]
        elif column.name == "risks":
            columns[column.name] = pa.array([[risk, {**risk, "scale": "L1"}]] * count, column.type)
        elif column.name == "geometry":
            columns[column.name] = shapely.to_wkb(shapes)
        elif pa.types.is_string(column.type):
            columns[column.name] = [f"{column.name} 値"] * count
        else:
            columns[column.name] = pa.array(
                np.round(rng.uniform(1, 90, count), 2 if column.type == pa.float64() else 0)
            ).cast(column.type)
    schema = BUILDINGS.schema()
    table = pa.table({f.name: pa.array(columns[f.name], f.type) for f in schema}, schema=schema)
    root.mkdir(parents=True, exist_ok=True)
    box = (WEST, SOUTH, WEST + 0.25, SOUTH + 0.25)
    workspace.write_city(City("試験市", "09999", 6677, box, fictional=True))
    write_table(workspace.buildings, table, BUILDINGS)
    return workspace


def measured(url: str, times: int) -> dict[str, object]:
    """Seconds of `times` warm requests, and what came."""
    took, body = [], b""
    for n in range(times + 3):
        start = time.perf_counter()
        with urllib.request.urlopen(url, timeout=600) as answer:
            body = answer.read()
        if n >= 3:
            took.append(time.perf_counter() - start)
    found = json.loads(body)
    return {
        "features": len(found["features"]),
        "matched": found.get("numberMatched"),
        "bytes": len(body),
        "median_ms": round(1000 * statistics.median(took), 1),
        "worst_ms": round(1000 * max(took), 1),
    }


def serving(command: list[str], url: str, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:  # fmt: skip
    """A server that answers."""
    with log.open("wb") as handle:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stderr=handle, stdout=handle,
            start_new_session=True,
        )  # fmt: skip
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=60).read()
        except OSError as error:
            if process.poll() is not None:
                raise SystemExit(log.read_text()) from error
            time.sleep(0.2)
        else:
            return process
    raise SystemExit(f"no answer: {log.read_text()}")


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(x for x in text.splitlines() if x.startswith("VmRSS")).split()[1]) / 1024


def ours(
    workspace: Workspace, paths: dict[str, str], times: int, folder: Path
) -> dict[str, object]:
    url = f"http://127.0.0.1:{PORT}"
    process = serving(
        [sys.executable, "-m", "uvicorn", "--factory", "citymap.web.public:create_app", "--port", str(PORT), "--log-level", "error"],
        f"{url}/healthz", {"CITYMAP_CITY": str(workspace.root), "CITYMAP_RATE_API_PER_MINUTE": "0"}, folder / "ours.log",
    )  # fmt: skip
    try:
        start = time.perf_counter()
        urllib.request.urlopen(f"{url}/ogc/collections", timeout=600).read()
        first_s = time.perf_counter() - start
        found: dict[str, object] = {"first_request_s": round(first_s, 2)}
        for name, path in paths.items():
            found[name] = measured(f"{url}/ogc/collections/buildings/items?{path}", times)
        return {**found, "resident_mb": round(resident_mb(process))}
    finally:
        os.killpg(process.pid, signal.SIGTERM)


def pygeoapi(python: str, workspace: Workspace, paths: dict[str, str], times: int, folder: Path) -> dict[str, object]:  # fmt: skip
    data = folder / "buildings.gpkg"
    export(workspace, "buildings", "gpkg", data, epsg=4326)
    config, described = folder / "config.yml", folder / "openapi.json"
    port = PORT + 1
    config.write_text(CONFIG.format(port=port, data=data))
    described.write_text(json.dumps({"openapi": "3.0.2", "paths": {}, "info": {}}))
    environment = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(described)}
    url = f"http://127.0.0.1:{port}"
    process = serving(
        [python, "-m", "uvicorn", "pygeoapi.starlette_app:APP", "--port", str(port), "--log-level", "error"],
        f"{url}/conformance?f=json", environment, folder / "pygeoapi.log",
    )  # fmt: skip
    try:
        found: dict[str, object] = {}
        for name, path in paths.items():
            if "filter" not in path:
                found[name] = measured(f"{url}/collections/buildings/items?f=json&{path}", times)
        return {**found, "resident_mb": round(resident_mb(process))}
    finally:
        os.killpg(process.pid, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--buildings", type=int, default=200_000)
    parser.add_argument("--pygeoapi", help="a Python that has pygeoapi and uvicorn")
    parser.add_argument("--times", type=int, default=20)
    chosen = parser.parse_args()
    middle = (WEST + 0.1, SOUTH + 0.1, WEST + 0.15, SOUTH + 0.15)
    box = ",".join(f"{v:.4f}" for v in middle)
    paths = {
        "bbox_page_1000": f"bbox={box}&limit=1000",
        "deep_page_1000": f"bbox={box}&limit=1000&offset=5000",
        "plain_page_1000": "limit=1000&offset=150000",
        "filter_page_1000": "limit=1000&filter=measured_height_m%20%3E%2050%20AND%20storeys_above%20IN%20(3,4)",
        "page_10000": "limit=10000",
    }
    with tempfile.TemporaryDirectory(prefix="citymap-ogc-") as name:
        folder = Path(name)
        workspace = make(folder / "city", chosen.buildings)
        rows = pq.read_metadata(workspace.buildings).num_rows
        found: dict[str, object] = {"buildings": rows}
        found["ours"] = ours(workspace, paths, chosen.times, folder)
        if chosen.pygeoapi:
            found["pygeoapi"] = pygeoapi(chosen.pygeoapi, workspace, paths, max(3, chosen.times // 4), folder)  # fmt: skip
        print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
