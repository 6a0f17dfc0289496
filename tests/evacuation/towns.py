"""Small networks and cities for the tests of evacuation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.transform import from_origin

from citymap import crs
from citymap.evacuation.network import Network, build, lines
from citymap.model.columns import BASE, BUILDINGS, DISTRICTS, EXPOSURE, ROADS
from citymap.workspace import City, Workspace, write_table

EPSG = 6677
WEST, SOUTH = 139.88, 36.55
X0, Y0 = (float(v) for v in crs.project(WEST, SOUTH, EPSG))


def grid(n: int = 4, step_m: float = 100.0, width_m: float = 4.0) -> Network:
    """A square town of n × n nodes; node of column i, row j lies at (i, j) · step."""
    shapes = []
    for k in range(n):
        for i in range(n - 1):
            shapes.append([(i * step_m, k * step_m), ((i + 1) * step_m, k * step_m)])
            shapes.append([(k * step_m, i * step_m), (k * step_m, (i + 1) * step_m)])
    geometry = np.array([shapely.LineString(s) for s in shapes], object)
    return build(lines(geometry, width_m=np.full(len(shapes), width_m)), epsg=EPSG)


def node_at(network: Network, x: float, y: float) -> int:
    """Number of the node at a place."""
    return int(np.argmin(np.hypot(network.x - x, network.y - y)))


def lon_lat(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape in metres from the town's corner as lon, lat."""
    return shapely.transform(
        shape, lambda p: np.column_stack(crs.unproject(p[:, 0] + X0, p[:, 1] + Y0, EPSG))
    )


def table(declared: Any, columns: dict[str, list[Any]], rows: int) -> pa.Table:
    """A declared table, nulls where nothing is given."""
    return pa.table(
        [pa.array(columns.get(f.name, [None] * rows), f.type) for f in declared.schema()],
        schema=declared.schema(),
    )


def write_roads(workspace: Workspace, edges: list[dict[str, Any]]) -> None:
    """Edges: points in metres from the corner, and any column of `roads.parquet`."""
    shapes = [shapely.LineString(e["points"]) for e in edges]
    ends: dict[tuple[float, float], int] = {}
    uv = [
        [ends.setdefault(tuple(c), len(ends)) for c in (s.coords[0], s.coords[-1])] for s in shapes
    ]
    columns: dict[str, list[Any]] = {
        "edge_id": list(range(len(edges))), "u": [a for a, _ in uv], "v": [b for _, b in uv],
        "length_m": [s.length for s in shapes],
        "geometry": [shapely.to_wkb(lon_lat(s)) for s in shapes],
    }  # fmt: skip
    for name in ("width_m", "kind", "name", "bridge", "tunnel"):
        columns[name] = [e.get(name) for e in edges]
    write_table(workspace.roads, table(ROADS, columns, len(edges)), ROADS)


def street_town(root: Path, *, n: int = 6, step_m: float = 100.0) -> Workspace:
    """A city of a street grid with one building of three storeys beside each street, two
    shelters at opposite corners, and a level terrain."""
    root.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(root)
    size = (n - 1) * step_m
    box = shapely.bounds(lon_lat(shapely.box(-50, -50, size + 50, size + 50)))
    workspace.write_city(
        City("格子市", "09999", EPSG, tuple(float(b) for b in box), fictional=True)
    )
    edges: list[dict[str, Any]] = []
    houses = []
    for k in range(n):
        for i in range(n - 1):
            edges.append({"points": [(i * step_m, k * step_m), ((i + 1) * step_m, k * step_m)]})
            edges.append({"points": [(k * step_m, i * step_m), (k * step_m, (i + 1) * step_m)]})
            houses.append(
                shapely.box(
                    (i + 0.45) * step_m, k * step_m + 6, (i + 0.55) * step_m, k * step_m + 14
                )
            )
    for e in edges:
        e |= {"width_m": 6.0, "kind": "市町村道", "bridge": False, "tunnel": False}
    write_roads(workspace, edges)
    count = len(houses)
    write_table(
        workspace.buildings,
        table(
            BUILDINGS,
            {
                "gml_id": [f"b{i}" for i in range(count)],
                "building_id": [f"b{i}" for i in range(count)],
                "usage": [("住宅", "共同住宅", "商業施設")[i % 3] for i in range(count)],
                "usage_code": [("411", "412", "402")[i % 3] for i in range(count)],
                "storeys_above": [3] * count, "footprint_area_m2": [80.0] * count,
                "district_id": ["d1" if i % 2 else "d2" for i in range(count)],
                "total_floor_area_m2": [240.0 if i % 4 else None for i in range(count)],
                "source_file": ["x.gml"] * count, "risks": [[]] * count,
                "geometry": [shapely.to_wkb(lon_lat(h)) for h in houses],
            },
            count,
        ),
        BUILDINGS,
    )  # fmt: skip
    write_table(
        workspace.districts,
        table(DISTRICTS, {
            "district_id": ["d1", "d2"], "name": ["一丁目", "二丁目"], "name_kana": ["いっちょうめ", "にちょうめ"],
            "geometry": [shapely.to_wkb(shapely.box(*box))] * 2,
        }, 2),
        DISTRICTS,
    )  # fmt: skip
    verdicts = ["stay_upstairs" if i % 3 == 1 else "leave" for i in range(count)]
    (root / "exposure").mkdir()
    write_table(
        root / "exposure/combined.parquet",
        table(EXPOSURE, {
            "building_id": [f"b{i}" for i in range(count)], "verdict": verdicts,
            "dry_floor": [2 if v == "stay_upstairs" else None for v in verdicts],
            "reasons": [[] for _ in range(count)],
        }, count),
        EXPOSURE,
    )  # fmt: skip
    write_shelters(workspace, [("s1", 5, 5, 200), ("s2", size - 5, size - 5, None)])
    return workspace


def write_shelters(
    workspace: Workspace, places: list[tuple[str, float, float, int | None]], **more: list[Any]
) -> None:
    """Shelters designated for floods: id, metres from the corner, capacity."""
    points = [lon_lat(shapely.Point(x, y)) for _, x, y, _ in places]
    n = len(places)
    columns = {
        "place_id": [p[0] for p in places], "kind": ["evacuation_site"] * n,
        "name": [f"避難場所{p[0]}" for p in places], "lon": [p.x for p in points],
        "lat": [p.y for p in points], "flood": pa.array([True] * n, pa.bool_()),
        "capacity": pa.array([p[3] for p in places], pa.int32()), "source_file": ["s.csv"] * n,
        "line": pa.array(range(n), pa.int32()), "raw": ["{}"] * n, **more,
    }  # fmt: skip
    workspace.places.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), workspace.places / "shelters.parquet")


def write_base(workspace: Workspace, theme: str, shapes: list[shapely.Geometry]) -> None:
    """Shapes in metres from the corner as `base/<theme>.parquet`."""
    columns = {
        "theme": [theme] * len(shapes), "geometry": [shapely.to_wkb(lon_lat(s)) for s in shapes],
    }  # fmt: skip
    workspace.base.mkdir(exist_ok=True)
    write_table(workspace.base / f"{theme}.parquet", table(BASE, columns, len(shapes)), BASE)


def write_depth(path: Path, values: np.ndarray, *, cell_m: float = 5.0) -> Path:
    """A depth raster whose south-west corner lies at (-50, -50) of the town."""
    values = np.asarray(values, np.float32)
    top = Y0 - 50 + values.shape[0] * cell_m
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1,
        dtype="float32", crs=f"EPSG:{EPSG}", nodata=float("nan"),
        transform=from_origin(X0 - 50, top, cell_m, cell_m),
    ) as out:  # fmt: skip
        out.write(values, 1)
    return path


def write_flood(
    folder: Path,
    depth: np.ndarray,
    times_s: list[float],
    *,
    cell_m: float = 5.0,
    epsg: int = EPSG,
    origin: tuple[float, float] = (X0 - 50, Y0 - 50),
    speed: float = 0.0,
) -> Path:
    """A flood result folder: `flood.nc` (CF) with depth(time, y, x), rows from north to south."""
    import netCDF4
    from pyproj import CRS

    folder.mkdir(parents=True, exist_ok=True)
    _, rows, columns = depth.shape
    with netCDF4.Dataset(folder / "flood.nc", "w") as nc:
        nc.Conventions = "CF-1.8"
        nc.createDimension("time", len(times_s))
        nc.createDimension("y", rows)
        nc.createDimension("x", columns)
        time = nc.createVariable("time", "f8", ("time",))
        time.units = "seconds since 2026-01-01 00:00:00"
        time[:] = times_s
        y = nc.createVariable("y", "f8", ("y",))
        y[:] = origin[1] + (rows - 0.5 - np.arange(rows)) * cell_m
        x = nc.createVariable("x", "f8", ("x",))
        x[:] = origin[0] + (np.arange(columns) + 0.5) * cell_m
        crs_variable = nc.createVariable("crs", "i4")
        crs_variable.crs_wkt = CRS.from_epsg(epsg).to_wkt()
        crs_variable.epsg_code = f"EPSG:{epsg}"
        top = origin[1] + rows * cell_m
        crs_variable.GeoTransform = f"{origin[0]} {cell_m} 0 {top} 0 {-cell_m}"
        for name, values in (("depth", depth), ("u", depth * 0 + speed), ("v", depth * 0)):
            variable = nc.createVariable(name, "f4", ("time", "y", "x"), fill_value=np.nan)
            variable.units = "m" if name == "depth" else "m s-1"
            variable.grid_mapping = "crs"
            variable[:] = values
    return folder


def write_closures(workspace: Workspace, features: list[dict[str, Any]]) -> None:
    """Features with `shape` in metres from the corner, and properties."""
    (workspace.root / "closures.geojson").write_text(
        json.dumps({
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "geometry": json.loads(shapely.to_geojson(lon_lat(f["shape"]))),
                 "properties": {k: v for k, v in f.items() if k != "shape"}}
                for f in features
            ],
        })
    )  # fmt: skip
