"""Confirmed road closures: a file of lines, areas or points with the time they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.evacuation.network import Network
    from citymap.workspace import Workspace

REACH_M = 15.0  # a point or line drawn beside the road closes the road within this distance


@dataclass(frozen=True, slots=True)
class Closure:
    """One closure: shape in lon, lat, and from when until when it holds (None: open end).

    `depth_m` is the depth reported there, None where the road is simply closed.
    """

    id: str
    shape: shapely.Geometry
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    depth_m: float | None = None

    def valid_at(self, at: datetime | None = None) -> bool:
        """Whether it holds at a time (None: now)."""
        at = at or datetime.now(UTC)
        after = self.valid_from is None or self.valid_from <= at
        return after and (self.valid_until is None or at < self.valid_until)


def _time(value: Any, place: str) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as e:
            raise BadInputError("evacuation_bad_closure", place=place, reason=value) from e
    if not isinstance(value, datetime):
        raise BadInputError("evacuation_bad_closure", place=place, reason=value)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def closure_files(workspace: Workspace) -> list[Path]:
    """Where closures are: the city's own files, and `live/closures.parquet` of confirmed reports."""
    names = ("closures.parquet", "closures.geojson", "live/closures.parquet")
    return [workspace.root / name for name in names if (workspace.root / name).is_file()]


def read_closures(workspace: Workspace) -> list[Closure]:
    """Closures of the city from all its files, none where it has no such file.

    Columns or properties: `id`, `valid_from`, `valid_until` (RFC 3339; without zone UTC),
    `depth_m`, `active` (False: switched off). Positions are lon, lat.

    Raises:
        BadInputError: the file cannot be read, or a time or shape in it is wrong.
    """
    return [closure for path in closure_files(workspace) for closure in _read(path)]


def _read(path: Path) -> list[Closure]:
    try:
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            shapes = [shapely.from_wkb(r["geometry"]) if r["geometry"] else None for r in rows]
        else:
            features = json.loads(path.read_text(encoding="utf-8"))["features"]
            rows = [{"id": f.get("id"), **(f.get("properties") or {})} for f in features]
            shapes = [
                shapely.geometry.shape(f["geometry"]) if f.get("geometry") else None
                for f in features
            ]
    except (OSError, ValueError, KeyError, TypeError, shapely.errors.ShapelyError) as e:
        raise BadInputError("evacuation_unreadable", place=path.name, reason=e) from e
    found = []
    for number, (row, shape) in enumerate(zip(rows, shapes, strict=True)):
        place = f"{path.name}, {row.get('id') or number}"
        if row.get("active") is False or shape is None or shape.is_empty:
            continue
        depth = row.get("depth_m")
        found.append(
            Closure(
                str(row.get("id") or number), shape, _time(row.get("valid_from"), place),
                _time(row.get("valid_until"), place), None if depth is None else float(depth),
            )
        )  # fmt: skip
    return found


def closed_edges(network: Network, shapes: Sequence[shapely.Geometry]) -> NDArray[np.bool_]:
    """Edges that shapes in lon, lat close: an area what it touches, a line or point what is near.

    A line closes the edges that run along it, not those it merely meets at a junction.
    """
    closed = np.zeros(network.edges, bool)
    if not shapes:
        return closed
    edges = network.geometries()
    tree = shapely.STRtree(edges)

    def to_zone(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(crs.project(points[:, 0], points[:, 1], network.epsg))

    for shape in shapes:
        there = shapely.transform(shape, to_zone)
        for part in shapely.get_parts(there):
            if part.geom_type == "Point":
                near = tree.query_nearest(part, max_distance=REACH_M, all_matches=True)
                closed[near] = True
            elif part.geom_type == "LineString":
                near = tree.query(part, predicate="dwithin", distance=REACH_M)
                beside = shapely.length(shapely.intersection(edges[near], part.buffer(REACH_M)))
                along = beside > np.minimum(2.5 * REACH_M, 0.5 * shapely.length(edges[near]))
                closed[near[along | shapely.crosses(edges[near], part)]] = True
            else:
                closed[tree.query(part, predicate="intersects")] = True
    return closed
