"""Shelters that count: designated for the hazard, open, on the network, and not under water."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.places.kinds.evacuation_site import HAZARDS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.evacuation.homes import Homes
    from citymap.evacuation.scenario import Evacuation

M2_PER_PERSON = 3.5  # 内閣府 guideline of 2024-12-13
FLOODED_M = 0.1


@dataclass(frozen=True, slots=True)
class Shelters:
    """One row a listed place; `why_not` is empty for those that count.

    `capacity_from`: given, building (floor area / 3.5 m²) or assumed.
    """

    id: list[str]
    name: list[str]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    capacity: NDArray[np.int64]
    capacity_from: list[str]
    opens_h: NDArray[np.float64]
    why_not: list[str]

    @property
    def count(self) -> int:
        """Number of places listed, whether they count or not."""
        return len(self.id)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Whether each place counts."""
        return np.array([w == "" for w in self.why_not], bool)

    def without(self, rows: NDArray[np.bool_], why: str, *, first: bool = False) -> Shelters:
        """The same list; the marked rows no longer count. An earlier reason stays, unless this
        one comes `first`."""
        why_not = [
            why if bad and (first or not w) else w
            for w, bad in zip(self.why_not, rows, strict=True)
        ]
        return replace(self, why_not=why_not)


def designations(path: Path) -> dict[str, int]:
    """How many listed places are designated for each hazard; empty where there is no list."""
    if not path.is_file():
        return {}
    columns = [h for h in HAZARDS if h in pq.read_schema(path).names]
    table = pq.read_table(path, columns=columns)
    return {h: sum(v is True for v in table[h].to_pylist()) for h in columns}


def read_shelters(path: Path, given: Evacuation, homes: Homes, *, epsg: int) -> Shelters:
    """The places of `shelters.parquet` and those that the scenario adds.

    Not designated, or the designation left blank: does not count. Unknown capacity is the floor
    area of the building it stands in at 3.5 m² a person, else the scenario's assumption.

    Raises:
        BadInputError: the file or the hazard's column is absent, or an id is unknown.
    """
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as e:
        raise BadInputError("evacuation_unreadable", place=path.name, reason=e) from e
    known = [h for h in HAZARDS if h in table.column_names]
    if given.hazard not in known:
        raise BadInputError(
            "evacuation_no_hazard", place=path.name, hazard=given.hazard, known=", ".join(known)
        )
    missing = {"place_id", "lon", "lat"} - set(table.column_names)
    if missing:
        raise BadInputError(
            "evacuation_columns", place=path.name, columns=", ".join(sorted(missing))
        )
    rows = table.to_pylist()
    rows += [
        {"place_id": s.id, "name": s.name or s.id, "lon": s.lon, "lat": s.lat,
         "capacity": s.capacity, given.hazard: True}
        for s in given.extra_shelters
    ]  # fmt: skip
    ids = [str(r["place_id"]) for r in rows]
    if unknown := (set(given.closed_shelters) | set(given.opening_h)) - set(ids):
        raise BadInputError("evacuation_unknown_shelter", id=", ".join(sorted(unknown)))
    lon, lat = (np.array([r[n] for r in rows], float) for n in ("lon", "lat"))
    x, y = crs.project(lon, lat, epsg) if len(rows) else (lon, lat)
    inside = _building_at(homes, lon, lat)
    capacity, source = [], []
    for row, home in zip(rows, inside, strict=True):
        if row.get("capacity") is not None:
            capacity.append(max(int(row["capacity"]), 0))
            source.append("given")
        elif home >= 0 and homes.floor_area_m2[home] > 0:
            capacity.append(int(homes.floor_area_m2[home] // M2_PER_PERSON))
            source.append("building")
        else:
            capacity.append(given.unknown_capacity)
            source.append("assumed")
    why = [
        "closed" if i in given.closed_shelters
        else "not_designated" if r.get(given.hazard) is not True
        else "no_capacity" if n == 0
        else ""
        for i, r, n in zip(ids, rows, capacity, strict=True)
    ]  # fmt: skip
    return Shelters(
        ids, [str(r.get("name") or i) for r, i in zip(rows, ids, strict=True)], lon, lat,
        np.atleast_1d(x), np.atleast_1d(y), np.array(capacity, np.int64), source,
        np.array([given.opening_h.get(i, 0.0) for i in ids], float), why,
    )  # fmt: skip


def _building_at(
    homes: Homes, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.int64]:
    out = np.full(len(lon), -1, np.int64)
    if homes.count and len(lon):
        point, building = shapely.STRtree(homes.footprint).query(
            shapely.points(lon, lat), predicate="intersects"
        )
        out[point[::-1]] = building[::-1]
    return out
