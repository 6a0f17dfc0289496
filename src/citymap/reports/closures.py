"""What confirmed reports mean for roads: dated, expiring closures and depths, in a file that others read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.reports import desk
from citymap.reports.categories import in_force
from citymap.reports.desk import Filter
from citymap.reports.model import IN_FORCE, Report
from citymap.reports.trust import EARTH_M
from citymap.store.tables import now
from citymap.workspace import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.reports.categories import Category
    from citymap.store import Store
    from citymap.workspace import Workspace

CLOSED_FROM_M = 0.2  # water less deep than this does not close a road by itself
REACH_M = 60.0  # how far from a road a report may stand and still be of that road
SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("number", pa.int64()), ("category", pa.string()), ("road", pa.string()),
        ("valid_from", pa.timestamp("us", "UTC")), ("valid_until", pa.timestamp("us", "UTC")),
        ("depth_m", pa.float64()), ("active", pa.bool_()), ("release", pa.string()),
        ("public_text", pa.string()), ("changed_at", pa.timestamp("us", "UTC")),
        ("lon", pa.float64()), ("lat", pa.float64()), ("geometry", pa.binary()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Closure:
    """What one confirmed report means; lon, lat (EPSG:6668) are on the road where one is near.

    `active` is False where it is only a depth (shallow water) or was switched off.
    """

    id: str
    number: int
    category: str
    road: str
    valid_from: datetime
    valid_until: datetime
    depth_m: float | None
    active: bool
    release: str
    public_text: str
    changed_at: datetime
    lon: float
    lat: float
    line: shapely.LineString | None  # the road from junction to junction; None: none is near

    def valid_at(self, at: datetime) -> bool:
        """Whether it closes the road at a time."""
        return self.active and self.valid_from <= at < self.valid_until


def path_of(workspace: Workspace) -> Path:
    """Where the file lies."""
    return workspace.root / "live" / "closures.parquet"


def closures(workspace: Workspace, reports: Sequence[Report]) -> list[Closure]:
    """The closures and depths of confirmed reports; of the others none.

    One holds from the observation until the category's hours after the last change by staff, or
    until the time that staff named.

    """
    listed = in_force(workspace).by_code()
    meant = [
        (report, listed[report.category])
        for report in reports
        if report.status in IN_FORCE and report.category in listed
        and (listed[report.category].closes or report.depth_m is not None)
    ]  # fmt: skip
    if not meant:
        return []
    lon, lat, roads, lines = _on_roads(
        workspace,
        np.array([r.lon for r, _ in meant]),
        np.array([r.lat for r, _ in meant]),
        np.array([max(REACH_M, min(150.0, r.accuracy_m or 0.0)) for r, _ in meant]),
    )
    return [
        Closure(
            report.id, report.number, report.category, road, report.observed_at,
            report.effect_until or report.changed_at + timedelta(hours=category.valid_h),
            report.depth_m, _closes(report, category), report.release, report.public_text,
            report.changed_at, float(x), float(y), line,
        )
        for (report, category), x, y, road, line in zip(meant, lon, lat, roads, lines, strict=True)
    ]  # fmt: skip


def _closes(report: Report, category: Category) -> bool:
    shallow = category.depth and report.depth_m is not None and report.depth_m < CLOSED_FROM_M
    return category.closes and report.effect != "off" and not shallow


def _on_roads(
    workspace: Workspace,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    reach_m: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str], list[Any]]:
    """Positions moved onto the nearest road within reach, its name and line; the others stay."""
    on: list[Any] = [None] * len(lon)
    if not workspace.roads.is_file():
        return lon, lat, [""] * len(lon), on
    table = pq.read_table(workspace.roads, columns=["name", "geometry"])
    middle = float(lat.mean())
    scale = np.radians(1.0) * EARTH_M * np.array([np.cos(np.radians(middle)), 1.0])
    shapes = shapely.force_2d(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False)))
    lines = shapely.transform(shapes, lambda at: at * scale)
    points = shapely.points(lon * scale[0], lat * scale[1])
    nearest, away_m = shapely.STRtree(lines).query_nearest(
        points, return_distance=True, all_matches=False
    )
    names, roads = table["name"].to_pylist(), [""] * len(lon)
    lon, lat = lon.copy(), lat.copy()
    for (point, line), metres in zip(nearest.T, away_m, strict=True):
        if metres <= reach_m[point]:
            on_line = shapely.get_point(shapely.shortest_line(points[point], lines[line]), 1)
            lon[point] = shapely.get_x(on_line) / scale[0]
            lat[point] = shapely.get_y(on_line) / scale[1]
            name = names[line]
            roads[point] = name if isinstance(name, str) else ""
            on[point] = shapes[line]
    return lon, lat, roads, on


def current(store: Store, workspace: Workspace) -> list[Closure]:
    """What the confirmed reports of the store mean now.

    Raises:
        StoreError: the store cannot be read.
    """
    wanted = Filter(statuses=tuple(sorted(IN_FORCE)))
    return closures(workspace, desk.listed(store, wanted, limit=100_000))


def table_of(listed: Sequence[Closure]) -> pa.Table:
    """The closures as the file holds them."""
    rows: list[dict[str, Any]] = [
        {name: getattr(one, name) for name in Closure.__slots__ if name != "line"}
        | {"geometry": shapely.to_wkb(shapely.Point(one.lon, one.lat))}
        for one in listed
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def refresh(store: Store, workspace: Workspace) -> int:
    """Write `live/closures.parquet` anew after a deed of staff; how many closures hold now.

    Raises:
        StoreError: the store cannot be read.
    """
    listed = current(store, workspace)
    path = path_of(workspace)
    if listed or path.is_file():
        with replacing(path) as temporary:
            pq.write_table(table_of(listed), temporary)
    at = now()
    return sum(one.valid_at(at) for one in listed)
