"""What is best where nobody can set out any more: up the own stairs, next door, or as high as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq
import shapely
from scipy.spatial import cKDTree

from citymap import crs
from citymap.assess.exposure import COMBINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from citymap.assess.exposure import City
    from citymap.workspace import Workspace

NEAR_M = 100.0  # next door: a minute or two, whatever the water does
Action = Literal["upstairs", "nearby", "highest", "outdoors", "stay"]


class Refuges:
    """Buildings of the city with a floor that stays dry and walls that stay standing."""

    def __init__(self, workspace: Workspace, city: City) -> None:
        """By `exposure/combined.parquet`; without it only the own floors and shelters count."""
        self._epsg = workspace.city().epsg
        self._rows: list[int] = []
        self._floors: list[int] = []
        self._at: list[list[float]] = []
        path = workspace.root / "exposure" / f"{COMBINED}.parquet"
        if not path.is_file():
            return
        table = pq.read_table(path, columns=["building_id", "verdict", "dry_floor"]).to_pydict()
        row_of = {b: i for i, b in enumerate(city.building_id)}
        for building, verdict, floor in zip(*table.values(), strict=True):
            if verdict == "stay_upstairs" and floor is not None and building in row_of:
                self._rows.append(row_of[building])
                self._floors.append(int(floor))
        middle = shapely.get_coordinates(shapely.centroid(city.shapes[self._rows]))
        self._at = middle.tolist()
        self._tree = cKDTree(self._metres(middle)) if self._rows else None

    def _metres(self, lon_lat: Any) -> Any:
        return np.column_stack(crs.project(lon_lat[:, 0], lon_lat[:, 1], self._epsg))

    def action(
        self, lon: float, lat: float, row: int, record: Mapping[str, Any],
        shelters: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:  # fmt: skip
        """The action for a place (row of `buildings.parquet`, -1 outdoors) with its verdict.

        `shelters` are those that may be used, with `use`, `dry_floor`, `name`, `lon`, `lat`.
        """
        if record["verdict"] == "stay_upstairs" and record["dry_floor"] is not None:
            return _said("upstairs", floor=int(record["dry_floor"]))
        if record["verdict"] == "outside_assumed_area":
            return _said("stay")
        here = self._metres(np.array([[lon, lat]]))[0]
        best, found = NEAR_M, None
        for s in shelters:
            away = float(np.hypot(*(self._metres(np.array([[s["lon"], s["lat"]]]))[0] - here)))
            if away <= best:
                best, found = away, _said("nearby", floor=s["dry_floor"] if s["use"] == "upper_floors" else None, name=s["name"], away_m=round(away), lon=s["lon"], lat=s["lat"])  # fmt: skip
        if self._rows and self._tree is not None:
            away, near = self._tree.query(
                here, k=min(2, len(self._rows)), distance_upper_bound=best
            )
            for m, i in zip(np.atleast_1d(away), np.atleast_1d(near), strict=True):
                if np.isfinite(m) and m < best and self._rows[int(i)] != row:
                    lon_b, lat_b = self._at[int(i)]
                    best, found = float(m), _said("nearby", floor=self._floors[int(i)], away_m=round(float(m)), lon=round(lon_b, 6), lat=round(lat_b, 6))  # fmt: skip
        return found or _said("outdoors" if row < 0 else "highest")


def _said(
    action: Action, *, floor: int | None = None, name: str | None = None,
    away_m: int | None = None, lon: float | None = None, lat: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "action": action,
        "floor": floor,
        "name": name,
        "away_m": away_m,
        "lon": lon,
        "lat": lat,
    }
