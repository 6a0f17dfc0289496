"""Which building a damage report speaks of, kept through new editions of the city model.

A report has a position; the building is the one it lies in, else the nearest within `NEAR_M`. At a
change of edition the reference follows the building by the comparison of the two editions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from sqlalchemy import select

from citymap import crs
from citymap.model.columns import Column, Table
from citymap.plateau.matching import MOVED_M
from citymap.store.tables import REPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.store import Store
    from citymap.workspace import Workspace

NEAR_M = 10.0
LOST = "lost"
_S = pa.string()
REFERENCES = Table(
    "report_buildings",
    (
        Column("report_id", _S, "report", nullable=False),
        Column("number", pa.int64(), "its number", nullable=False),
        Column("gml_id", _S, "its building in this edition; null: the building is gone"),
        Column("building_id", _S, "likewise"),
        Column("edition", _S, "edition in force", nullable=False),
        Column("rule", _S, "building_id, gml_id, overlap, split, merged, or lost", nullable=False),
        Column("overlap", pa.float64(), "overlap of the footprints of both editions"),
        Column("from_gml_id", _S, "its building in the edition before"),
        Column("from_building_id", _S, "likewise"),
    ),
)  # fmt: skip


def _reports(store: Store | None) -> list[Any]:
    if store is None:
        return []
    query = select(REPORTS.c.id, REPORTS.c.number, REPORTS.c.lon, REPORTS.c.lat)
    with store.read() as connection:
        return list(connection.execute(query.order_by(REPORTS.c.number)).all())


class _Buildings:
    """Footprints of an edition in metres, to find the one at a place."""

    def __init__(self, workspace: Workspace, epsg: int) -> None:
        columns = ["gml_id", "building_id", "geometry"]
        table = pq.read_table(workspace.buildings, columns=columns)
        self.epsg = epsg
        self.gml_id, self.building_id = (table[n].to_pylist() for n in columns[:2])
        self.row = {g: i for i, g in enumerate(self.gml_id)}
        shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        self.shapes = shapely.transform(shapely.force_2d(shapes), self._metres)
        self._tree = shapely.STRtree(self.shapes)

    def _metres(self, lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(crs.project(lon_lat[:, 0], lon_lat[:, 1], self.epsg), axis=1)

    def point(self, lon: float, lat: float) -> shapely.Point:
        x, y = crs.project([lon], [lat], self.epsg)
        return shapely.Point(float(x[0]), float(y[0]))

    def at(self, lon: float, lat: float) -> int | None:
        """Row of the building at a place; the nearest within `NEAR_M`, None without one."""
        where = self.point(lon, lat)
        found = self._tree.query_nearest(where, max_distance=NEAR_M)
        return int(found.min()) if len(found) else None

    def is_near(self, gml_id: str | None, lon: float, lat: float) -> bool:
        """Whether a building of this id stands where the report is: an id may be given anew."""
        row = self.row.get(gml_id or "")
        if row is None:
            return False
        return bool(shapely.distance(self.shapes[row], self.point(lon, lat)) <= MOVED_M + NEAR_M)


def read(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What was carried over at the last change of edition, by report."""
    if not workspace.report_buildings.is_file():
        return {}
    return {r["report_id"]: r for r in pq.read_table(workspace.report_buildings).to_pylist()}


def carried(
    workspace: Workspace, stage: Workspace, mapping: pandas.DataFrame, store: Store | None, *, edition: str
) -> list[dict[str, Any]]:  # fmt: skip
    """The references of all reports in the edition that lies in `stage`, with the rule of each.

    A report without a building in the edition in force has none in the new one. Where a building was
    split, the part at the report's position counts, else the largest overlap.
    """
    reports = _reports(store)
    if not reports:
        return []
    epsg = workspace.city().epsg
    old, new = _Buildings(workspace, epsg), _Buildings(stage, epsg)
    known = read(workspace)
    by_old = dict(list(mapping.dropna(subset=["old_gml_id"]).groupby("old_gml_id")))
    out = []
    for report in reports:
        before = known.get(report.id)
        if before is not None:
            gml_id = before["gml_id"]
            if before["rule"] == LOST:  # the building may have come back: a rollback
                origin = before["from_gml_id"]
                if new.is_near(origin, report.lon, report.lat):
                    out.append(_row(report, new, new.row[origin], edition, "gml_id", None, before))
                else:
                    out.append({**before, "edition": edition})
                continue
        else:
            row = old.at(report.lon, report.lat)
            gml_id = old.gml_id[row] if row is not None else None
        if gml_id is None or gml_id not in old.row:
            continue  # speaks of no building
        was = {"gml_id": gml_id, "building_id": old.building_id[old.row[gml_id]]}
        found = by_old[gml_id].dropna(subset=["new_gml_id"])
        if found.empty:
            out.append(_row(report, new, None, edition, LOST, None, was))
            continue
        chosen = found.loc[found["overlap"].fillna(0).idxmax()]
        if len(found) > 1:
            where = new.point(report.lon, report.lat)
            rows = [new.row[g] for g in found["new_gml_id"]]
            apart = shapely.distance(new.shapes[rows], where)
            if np.nanmin(apart) <= NEAR_M:
                chosen = found.iloc[int(np.nanargmin(apart))]
        at = new.row[chosen["new_gml_id"]]
        rule = "split" if chosen["kind"] == "split" else str(chosen["rule"])
        overlap = None if np.isnan(chosen["overlap"]) else float(chosen["overlap"])
        out.append(_row(report, new, at, edition, rule, overlap, was))
    return out


def _row(
    report: Any, new: _Buildings, at: int | None, edition: str, rule: str, overlap: float | None,
    was: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    return {
        "report_id": report.id, "number": report.number,
        "gml_id": None if at is None else new.gml_id[at],
        "building_id": None if at is None else new.building_id[at],
        "edition": edition, "rule": rule, "overlap": overlap,
        "from_gml_id": was["gml_id"], "from_building_id": was["building_id"],
    }  # fmt: skip


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the references to a (temporary) path."""
    pq.write_table(pa.Table.from_pylist(rows, REFERENCES.schema()), path, compression="zstd")


def summary(rows: list[dict[str, Any]]) -> tuple[dict[str, int], list[str]]:
    """How many reports were carried by which rule, and the numbers of those without a building."""
    counts = Counter(row["rule"] for row in rows)
    return dict(sorted(counts.items())), [str(r["number"]) for r in rows if r["rule"] == LOST]
