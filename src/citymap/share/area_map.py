"""The small map of the area that a phone keeps for the report form: lines and names, no tiles."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.errors import BadInputError
from citymap.share.doors import Door, declare
from citymap.share.gate import release_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

STEPS = 65_535  # of a coordinate over the width and the height of the area
TOLERANCES_M = (2.0, 4.0, 8.0, 16.0, 32.0)
MOST_POINTS = 60_000  # about 150 kB compressed
METRES_PER_DEGREE = 111_320.0
WIDE_M = 9.0
MOST_LANDMARKS = 300


def area_map(workspace: Workspace, audience: Audience = "public") -> dict[str, Any]:
    """Districts, roads, waters, rails and landmarks of the city, simplified until they are few.

    `bbox` is west, south, east, north (degrees, EPSG:6668). A line is `[x, y, dx, dy, …]` in steps
    of 1/65535 of the bbox, x from the west and y from the south; areas are closed lines.

    Raises:
        BadInputError: the city has no extent yet.
    """
    bbox = workspace.city().bbox
    if bbox is None:
        raise BadInputError("no_buildings", path=workspace.root)
    names, districts = _districts(workspace, bbox, audience)
    water = _shapes(workspace.base / "water.parquet", "base_map", audience)
    rail = _shapes(workspace.base / "rail.parquet", "base_map", audience)
    wide, narrow = _roads(workspace, audience)
    layers: dict[str, list[list[int]]] = {}
    for tolerance_m in TOLERANCES_M:
        layers = {
            "water": _lines(water, bbox, tolerance_m, polygons=True),
            "rail": _lines(rail, bbox, tolerance_m),
            "wide": _lines(wide, bbox, tolerance_m),
            "narrow": _lines(narrow, bbox, tolerance_m),
            "district": _lines(districts, bbox, tolerance_m),
        }
        if sum(len(line) for lines in layers.values() for line in lines) <= 2 * MOST_POINTS:
            break
    else:  # a whole prefecture: the lanes go
        layers["narrow"] = []
    return {
        "bbox": list(bbox), "steps": STEPS, "lines": layers, "districts": names,
        "landmarks": _landmarks(workspace, bbox, audience),
    }  # fmt: skip


def _table(path: Path, kind: str, audience: Audience) -> pa.Table | None:
    return release_table(kind, pq.read_table(path), audience) if path.is_file() else None


def _shapes(path: Path, kind: str, audience: Audience) -> NDArray[Any]:
    table = _table(path, kind, audience)
    if table is None or "geometry" not in table.column_names:
        return np.empty(0, object)
    return np.asarray(
        shapely.force_2d(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))), object
    )


def _roads(workspace: Workspace, audience: Audience) -> tuple[NDArray[Any], NDArray[Any]]:
    table = _table(workspace.roads, "roads", audience)
    if table is None:
        return np.empty(0, object), np.empty(0, object)
    shapes = _shapes(workspace.roads, "roads", audience)
    width_m = table["width_m"].to_numpy().astype(float)
    wide = np.nan_to_num(width_m) >= WIDE_M
    if not wide.any() and len(wide):  # nobody measured them: all are drawn alike
        return np.empty(0, object), shapes
    return shapes[wide], shapes[~wide]


def _districts(
    workspace: Workspace, bbox: Sequence[float], audience: Audience
) -> tuple[list[dict[str, Any]], NDArray[Any]]:
    """Names with a place to write them, and borders: each line once, though two areas share it."""
    table = _table(workspace.districts, "districts", audience)
    if table is None:
        return [], np.empty(0, object)
    shapes = _shapes(workspace.districts, "districts", audience)
    middles = shapely.point_on_surface(shapes)
    names = [
        {"name": name, "at": _step(shapely.get_x(p), shapely.get_y(p), bbox)}
        for name, p in zip(table["name"].to_pylist(), middles, strict=True)
        if name and p is not None and not shapely.is_empty(p)
    ]
    borders = shapely.union_all(shapely.boundary(shapes[~shapely.is_missing(shapes)]))
    return names, np.array([borders], object)


def _landmarks(
    workspace: Workspace, bbox: Sequence[float], audience: Audience
) -> list[dict[str, Any]]:
    table = _table(workspace.places / "shelters.parquet", "shelters", audience)
    if table is None or not {"name", "lon", "lat"} <= set(table.column_names):
        return []
    return [
        {"name": row["name"], "at": _step(row["lon"], row["lat"], bbox)}
        for row in table.select(["name", "lon", "lat"]).to_pylist()
        if row["name"] and _within(row["lon"], row["lat"], bbox)
    ][:MOST_LANDMARKS]


def _within(lon: Any, lat: Any, bbox: Sequence[float]) -> bool:
    known = isinstance(lon, float) and isinstance(lat, float) and math.isfinite(lon + lat)
    return known and bbox[0] <= lon <= bbox[2] and bbox[1] <= lat <= bbox[3]


def _step(lon: float, lat: float, bbox: Sequence[float]) -> list[int]:
    return [
        round((lon - bbox[0]) / (bbox[2] - bbox[0]) * STEPS),
        round((lat - bbox[1]) / (bbox[3] - bbox[1]) * STEPS),
    ]


def _lines(
    shapes: NDArray[Any], bbox: Sequence[float], tolerance_m: float, *, polygons: bool = False
) -> list[list[int]]:
    """The shapes inside the bbox as lines of steps, each joined with what follows it."""
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    if not len(shapes):
        return []
    west, south, east, north = bbox
    dimension = shapely.get_dimensions(shapes)
    if polygons:
        flat = shapely.get_parts(shapely.union_all(shapely.make_valid(shapes[dimension == 2])))
        rings = shapely.get_rings(flat[shapely.get_type_id(flat) == 3])
        shapes = np.concatenate([np.asarray(rings, object), shapes[dimension == 1]])
    else:
        shapes = np.where(dimension == 2, shapely.boundary(shapes), shapes)
        shapes = np.array([shapely.line_merge(shapely.union_all(shapes))], object)
    clipped = shapely.clip_by_rect(shapely.get_parts(shapes), west, south, east, north)
    simple = shapely.get_parts(shapely.simplify(clipped, tolerance_m / METRES_PER_DEGREE))
    simple = simple[(shapely.get_type_id(simple) == 1) | (shapely.get_type_id(simple) == 2)]
    out = []
    for line in simple:
        at = shapely.get_coordinates(line)
        steps = np.column_stack(
            [(at[:, 0] - west) / (east - west) * STEPS, (at[:, 1] - south) / (north - south) * STEPS]
        ).round().astype(int)  # fmt: skip
        moves = np.diff(steps, axis=0)
        moves = moves[np.any(moves != 0, axis=1)]
        if len(moves):
            out.append([*steps[0].tolist(), *moves.ravel().tolist()])
    return out


def stamps(workspace: Workspace) -> tuple[int, ...]:
    """Changes when the map would."""
    paths = (
        workspace.city_toml, workspace.districts, workspace.roads, workspace.base / "water.parquet",
        workspace.base / "rail.parquet", workspace.places / "shelters.parquet",
    )  # fmt: skip
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def _bytes(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    yield json.dumps(area_map(workspace, audience), ensure_ascii=False).encode()


declare(
    Door("area map", kinds=("districts", "roads", "base_map", "shelters"), emit=_bytes),
)
