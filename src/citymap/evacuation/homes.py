"""Where people start: the buildings with their floor area, verdict, and place on the network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.attach import Attached, Joiner
    from citymap.workspace import Workspace

_STOREY_M = 3.0


@dataclass(frozen=True, slots=True)
class Homes:
    """One row a building, in the order of `buildings.parquet`; x, y the middle in metres."""

    building_id: list[str]
    district_id: list[str | None]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    usage: list[str | None]
    usage_code: list[str | None]
    floor_area_m2: NDArray[np.float64]
    footprint: NDArray[np.object_]
    stays: NDArray[np.bool_]  # verdict stay_upstairs
    verdict: list[str | None]
    attached: Attached | None = None

    @property
    def count(self) -> int:
        """Number of buildings."""
        return len(self.building_id)

    def joined(self, joiner: Joiner) -> Homes:
        """The same, with the place of each on the network."""
        return replace(self, attached=joiner.attach(self.x, self.y))


def read_homes(workspace: Workspace, *, epsg: int) -> Homes:
    """Buildings of the city with the verdict of `exposure/combined.parquet` where there is one.

    Floor area: total floor area, else footprint times storeys (or height / 3 m), else footprint.

    Raises:
        BadInputError: there are no buildings.
    """
    path = workspace.buildings
    if not path.is_file():
        raise BadInputError("evacuation_no_buildings")
    columns = [
        "building_id", "district_id", "usage", "usage_code", "total_floor_area_m2",
        "footprint_area_m2", "storeys_above", "measured_height_m", "geometry",
    ]  # fmt: skip
    table = pq.read_table(path, columns=columns)

    def number(name: str) -> NDArray[np.float64]:
        return np.array([np.nan if v is None else v for v in table[name].to_pylist()], float)

    footprint = np.asarray(shapely.from_wkb(table["geometry"].to_pylist()), object)
    middle = shapely.get_coordinates(shapely.centroid(footprint))
    if len(middle) != len(footprint):
        raise BadInputError("evacuation_unreadable", place=path.name, reason="geometry")
    x, y = crs.project(middle[:, 0], middle[:, 1], epsg)
    base = number("footprint_area_m2")
    storeys = number("storeys_above")
    storeys = np.where(
        np.isfinite(storeys), storeys, np.floor(number("measured_height_m") / _STOREY_M)
    )
    storeys = np.maximum(np.nan_to_num(storeys, nan=1.0), 1.0)
    area = number("total_floor_area_m2")
    area = np.where(np.isfinite(area), area, np.nan_to_num(base) * storeys)
    ids = table["building_id"].to_pylist()
    verdict: list[str | None] = [None] * len(ids)
    exposure = workspace.root / "exposure" / "combined.parquet"
    if exposure.is_file():
        rows = pq.read_table(exposure, columns=["building_id", "verdict"])
        known = dict(zip(rows["building_id"].to_pylist(), rows["verdict"].to_pylist(), strict=True))
        verdict = [known.get(i) for i in ids]
    return Homes(
        ids, table["district_id"].to_pylist(), np.atleast_1d(x), np.atleast_1d(y), middle[:, 0],
        middle[:, 1], table["usage"].to_pylist(), table["usage_code"].to_pylist(), area, footprint,
        np.array([v == "stay_upstairs" for v in verdict]), verdict,
    )  # fmt: skip
