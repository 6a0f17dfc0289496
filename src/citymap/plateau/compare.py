"""Two editions of the buildings side by side: what was added, removed and changed, and which is which.

`compare` writes `mapping.parquet` (a row for every building of either edition), `changes.parquet` (those
that differ, with their footprint) and `summary.json` into a folder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.model.columns import Column, Table
from citymap.plateau.matching import ADDED, MERGED, ONE_TO_ONE, REMOVED, SPLIT, Matches, Side, match
from citymap.workspace import write_table, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.progress import Progress

SAME, RENAMED, CHANGED = "same", "renamed", "changed"
KINDS = (ADDED, REMOVED, CHANGED, SPLIT, MERGED, RENAMED, SAME)
SHAPE = 0.95  # below this overlap a footprint counts as drawn anew
HEIGHT_M = 0.1  # less is rounding
# Columns whose change is a change of the building; the ids are told apart as `renamed`.
COMPARED = (
    "name", "class_code", "usage_code", "structure_code", "address", "measured_height_m",
    "storeys_above", "storeys_below", "year_built", "lod", "risks",
)  # fmt: skip
SHOWN = ("measured_height_m", "storeys_above", "usage", "year_built")
_S, _F = pa.string(), pa.float64()

MAPPING = Table(
    "model_mapping",
    (
        Column("kind", _S, "added, removed, changed, split, merged, renamed or same", nullable=False),
        Column("rule", _S, "building_id, gml_id, overlap, split or merged; empty without a counterpart", nullable=False),
        Column("old_gml_id", _S, "in the edition in force"),
        Column("new_gml_id", _S, "in the new edition"),
        Column("old_building_id", _S, "in the edition in force"),
        Column("new_building_id", _S, "in the new edition"),
        Column("overlap", _F, "intersection over union of the footprints"),
        Column("centroid_m", _F, "distance of the centroids", "m"),
        Column("columns", _S, "what differs, joined by ;", nullable=False),
    ),
)  # fmt: skip
CHANGES = Table(
    "model_changes",
    (
        *MAPPING.columns,
        *(Column(f"{side}_{name}", _S if name == "usage" else _F, f"{name}, {where}")
          for name in SHOWN for side, where in (("old", "before"), ("new", "after"))),
        Column("address", _S, "address after, else before"),
        Column("geometry", pa.binary(), "footprint after; of a removed building before"),
    ),
    geometry=("Polygon", "MultiPolygon"),
)  # fmt: skip


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise BadInputError("no_buildings", path=path.parent)
    names = ["gml_id", "building_id", "usage", *COMPARED, "geometry"]
    return pq.read_table(path, columns=names)


def _side(table: pa.Table, epsg: int) -> Side:
    """Ids and footprints in the zone's metres."""
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))

    def metres(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(crs.project(lon_lat[:, 0], lon_lat[:, 1], epsg), axis=1)

    shapes = shapely.transform(shapely.force_2d(shapes), metres)
    building_id, gml_id = (
        table[n].to_numpy(zero_copy_only=False).astype(object) for n in ("building_id", "gml_id")
    )
    return Side(building_id, gml_id, shapes)


def _differs(name: str, old: pa.Table, new: pa.Table) -> NDArray[np.bool_]:
    """Row by row whether a column says something else; both missing is the same."""
    a, b = old[name], new[name]
    if name == "risks":  # nested: no kernel compares them
        seen: dict[str, int] = {}
        codes = [
            np.array([seen.setdefault(repr(sorted(map(repr, v or ()))), len(seen)) for v in c.to_pylist()])
            for c in (a, b)
        ]  # fmt: skip
        return np.asarray(codes[0] != codes[1])
    if name == "measured_height_m":
        x, y = a.to_numpy().astype(float), b.to_numpy().astype(float)
        return np.asarray((np.abs(x - y) > HEIGHT_M) | (np.isnan(x) != np.isnan(y)))
    unequal = pc.fill_null(pc.not_equal(a, b), False).to_numpy()
    one_missing = pc.not_equal(pc.is_null(a), pc.is_null(b)).to_numpy()
    return np.asarray(unequal | one_missing)


def _take(table: pa.Table, rows: NDArray[np.int64], names: tuple[str, ...]) -> pa.Table:
    """The rows, null where −1."""
    index = pa.array(rows, pa.int64(), mask=rows < 0)
    return table.select(list(names)).take(index)


def _columns_and_kinds(
    old: pa.Table, new: pa.Table, found: Matches
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What differs in each pair, and the kind that follows from it."""
    both = np.flatnonzero((found.old >= 0) & (found.new >= 0))
    a = _take(old, found.old[both], ("gml_id", "building_id", *COMPARED))
    b = _take(new, found.new[both], ("gml_id", "building_id", *COMPARED))
    columns, kinds = np.full(len(found.kind), "", object), found.kind.copy()
    texts = np.full(len(both), "", object)
    ids, real = np.zeros(len(both), bool), np.zeros(len(both), bool)
    flags = [(n, _differs(n, a, b)) for n in ("gml_id", "building_id", *COMPARED)]
    flags.append(("geometry", found.overlap[both] < SHAPE))
    for name, flag in flags:
        texts[flag] += name + ";"
        if name in {"gml_id", "building_id"}:
            ids |= flag
        else:
            real |= flag
    columns[both] = [t[:-1] for t in texts]
    one = kinds[both] == ONE_TO_ONE
    kinds[both[one]] = np.select([real[one], ids[one]], [CHANGED, RENAMED], SAME)
    return columns, kinds


def compare(old_file: Path, new_file: Path, out: Path, *, epsg: int, progress: Progress) -> dict[str, Any]:  # fmt: skip
    """Compare two `buildings.parquet` (footprints lon, lat; `epsg` their metric zone) into `out`.

    Returns:
        The summary: rows by kind (`split` counts parts, `merged` the buildings that were joined),
        the totals of both editions, and ids that now name another building.

    Raises:
        BadInputError: one of the files is missing.
    """
    progress.update(0, 4, "compare: read")
    old, new = _read(old_file), _read(new_file)
    progress.update(1, 4, "compare: match")
    sides = _side(old, epsg), _side(new, epsg)
    found = match(*sides)
    progress.update(2, 4, "compare: attributes")
    columns, kinds = _columns_and_kinds(old, new, found)
    a = _take(old, found.old, ("gml_id", "building_id", "address", "geometry", *SHOWN))
    b = _take(new, found.new, ("gml_id", "building_id", "address", "geometry", *SHOWN))
    values: dict[str, Any] = {
        "kind": pa.array(kinds, _S), "rule": pa.array(found.rule, _S),
        "old_gml_id": a["gml_id"], "new_gml_id": b["gml_id"],
        "old_building_id": a["building_id"], "new_building_id": b["building_id"],
        "overlap": pa.array(found.overlap, from_pandas=True),
        "centroid_m": pa.array(found.centroid_m, from_pandas=True), "columns": pa.array(columns, _S),
    }  # fmt: skip
    progress.update(3, 4, "compare: write")
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "mapping.parquet", pa.table(values), MAPPING)
    for name in SHOWN:
        values[f"old_{name}"], values[f"new_{name}"] = a[name], b[name]
    values["address"] = pc.coalesce(b["address"], a["address"])
    values["geometry"] = pc.coalesce(b["geometry"], a["geometry"])
    rank = {k: n for n, k in enumerate(KINDS)}
    listed = np.flatnonzero(kinds != SAME)
    listed = listed[np.argsort([rank[k] for k in kinds[listed]], kind="stable")]
    write_table(out / "changes.parquet", pa.table(values).take(pa.array(listed)), CHANGES)
    counted = pandas.Series(kinds).value_counts()
    summary = {
        **{k: int(counted.get(k, 0)) for k in KINDS},
        "old_total": old.num_rows, "new_total": new.num_rows,
        "split_from": len(np.unique(found.old[kinds == SPLIT])),
        "merged_into": len(np.unique(found.new[kinds == MERGED])),
        "reused_ids": [str(sides[0].building_id[i]) for i, _ in found.reused],
    }  # fmt: skip
    write_text(out / "summary.json", json.dumps(summary, ensure_ascii=False, indent=1))
    progress.update(4, 4, "compare")
    return summary
