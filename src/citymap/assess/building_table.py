"""The buildings of a city beside their exposure: search, filters, a page of rows, and totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.assess.exposure import COMBINED
from citymap.assess.verdict import ORDER
from citymap.errors import BadInputError
from citymap.hazard.legend import DEPTH, legends
from citymap.model.columns import EXPOSURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.workspace import Workspace

BUILDING = (
    "gml_id", "building_id", "name", "address", "district_id", "usage", "class", "structure",
    "storeys_above", "measured_height_m", "year_built", "footprint_area_m2", "total_floor_area_m2",
)  # fmt: skip
OUTSIDE_CLASS, UNKNOWN_CLASS = "outside", "unknown"  # besides the numbers of the standard legend
FloorArea = Literal["recorded", "estimated", "unknown"]
Sort = Literal["depth_max_m", "duration_h", "floor_area_m2", "storeys_above", "building_id"]
SORTS: tuple[Sort, ...] = ("depth_max_m", "duration_h", "floor_area_m2", "storeys_above", "building_id")  # fmt: skip
Grouping = Literal["district", "depth_class", "verdict", "usage"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to keep; empty means all. `classes` are those of `depth_classes()`; a building whose
    usage, district or storeys are not recorded is kept only where that is not asked for."""

    text: str = ""
    verdicts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    districts: tuple[str, ...] = ()
    storeys: tuple[int | None, int | None] = (None, None)
    disagreeing: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """One line of totals: buildings by verdict, and their floor area.

    `floor_area_m2` adds what is recorded and, where it is not, footprint × storeys (`estimated`
    buildings); `without_area` buildings have neither and are missing in it.
    """

    key: str
    label: str
    buildings: int
    verdicts: dict[str, int]
    floor_area_m2: float
    estimated: int
    without_area: int


def depth_classes() -> tuple[str, ...]:
    """Keys of the depth classes: the standard legend's from the shallowest, outside, not known."""
    return (*(str(i) for i in range(len(legends()[DEPTH].classes))), OUTSIDE_CLASS, UNKNOWN_CLASS)


def sets_with_tables(workspace: Workspace) -> list[str]:
    """The sets that have been computed, the combination first."""
    names = [p.stem for p in (workspace.root / "exposure").glob("*.parquet")]
    return sorted(names, key=lambda n: (n != COMBINED, n))


class BuildingTable:
    """The joined table of one set. `rows` is in the order of `buildings.parquet`.

    Raises:
        BadInputError: no buildings, or exposure is missing or was computed for other buildings.
    """

    def __init__(self, workspace: Workspace, set_name: str = COMBINED) -> None:
        if not workspace.buildings.is_file():
            raise BadInputError("no_buildings", path=workspace.root)
        path = workspace.root / "exposure" / f"{set_name}.parquet"
        if set_name not in sets_with_tables(workspace):
            raise BadInputError("exposure_missing", place=set_name)
        left = pq.read_table(workspace.buildings, columns=list(BUILDING))
        right = pq.read_table(path)
        if right.column_names != EXPOSURE.schema().names or not right["building_id"].equals(
            left["building_id"]
        ):
            raise BadInputError("exposure_missing", place=set_name)
        area, kind = _floor_area(left)
        left = left.append_column("district", _district_names(workspace, left["district_id"]))
        left = left.append_column("floor_area_m2", pa.array(area, from_pandas=True))
        left = left.append_column("floor_area", pa.array(kind))
        left = left.append_column("depth_class", pa.array(_depth_class(right)))
        for name in right.column_names[1:]:
            left = left.append_column(name, right[name])
        self.set_name = set_name
        self.rows: pa.Table = left.combine_chunks()
        self._folded: list[pa.Array] | None = None

    @property
    def count(self) -> int:
        """Buildings."""
        return int(self.rows.num_rows)

    def values(self, name: str) -> list[tuple[str, str, int]]:
        """(key, label, buildings) of `usage` or `district_id`, the most frequent first."""
        counted = pc.value_counts(self.rows[name].combine_chunks()).to_pylist()
        labels: dict[str, str] = {}
        if name == "district_id":
            pairs = zip(self.rows[name].to_pylist(), self.rows["district"].to_pylist(), strict=True)
            labels = {k: v for k, v in pairs if k is not None and v is not None}
        found = [
            (c["values"], labels.get(c["values"], c["values"]), c["counts"])
            for c in counted if c["values"] is not None
        ]  # fmt: skip
        return sorted(found, key=lambda f: (-f[2], f[0]))

    def choose(self, wanted: Wanted) -> NDArray[np.bool_]:
        """Which rows are wanted. The text is looked for in id, name and address."""
        keep = np.ones(self.count, bool)
        for name, values in (
            ("verdict", wanted.verdicts), ("depth_class", wanted.classes), ("usage", wanted.usages),
            ("district_id", wanted.districts),
        ):  # fmt: skip
            if values:
                keep &= _flags(pc.is_in(self.rows[name], value_set=pa.array(values, pa.string())))
        least, most = wanted.storeys
        if least is not None or most is not None:
            storeys = self.rows["storeys_above"].to_numpy().astype(float)
            with np.errstate(invalid="ignore"):
                keep &= storeys >= (least if least is not None else -np.inf)
                keep &= storeys <= (most if most is not None else np.inf)
        if wanted.disagreeing:
            keep &= _flags(self.rows["disagrees"])
        for word in wanted.text.casefold().split():
            found = np.zeros(self.count, bool)
            for column in self._searched():
                found |= _flags(pc.match_substring(column, word))
            keep &= found
        return keep

    def _searched(self) -> list[pa.Array]:
        if self._folded is None:
            self._folded = [
                pc.utf8_lower(self.rows[n].combine_chunks())
                for n in ("building_id", "name", "address")
            ]
        return self._folded

    def page(self, chosen: NDArray[np.bool_], *, sort: Sort, size: int, number: int) -> pa.Table:
        """The rows of page `number` (from 0), the largest first (ids: in their order); rows
        without a value come last."""
        at = np.flatnonzero(chosen)
        column = self.rows[sort]
        if pa.types.is_string(column.type):
            order = pc.sort_indices(column.take(pa.array(at))).to_numpy()
        else:
            values = column.to_numpy().astype(float)[at]
            order = np.argsort(-values, kind="stable")  # NaN last
        return self.rows.take(pa.array(at[order[number * size : (number + 1) * size]]))

    def totals(self, chosen: NDArray[np.bool_], by: Grouping) -> list[Total]:
        """Totals of the chosen rows by group; what is not recorded is a group of its own, last."""
        name = "district_id" if by == "district" else by
        keys = self.rows[name].combine_chunks().filter(pa.array(chosen)).dictionary_encode()
        labels: dict[str, str] = {}
        if by == "district":
            labels = {key: label for key, label, _ in self.values("district_id")}
        codes = pc.fill_null(keys.indices, -1).to_numpy()
        groups: list[str] = [str(v) for v in keys.dictionary.to_pylist()]
        slots = np.where(codes < 0, len(groups), codes)
        size = len(groups) + 1
        verdicts = self.rows["verdict"].filter(pa.array(chosen))
        area = self.rows["floor_area_m2"].to_numpy()[chosen]
        kind = self.rows["floor_area"].filter(pa.array(chosen))
        counted = {
            v: np.bincount(slots[_flags(pc.equal(verdicts, v))], minlength=size) for v in ORDER
        }
        sums = np.bincount(slots, weights=np.nan_to_num(area), minlength=size)
        kinds = {k: np.bincount(slots[_flags(pc.equal(kind, k))], minlength=size)
                 for k in ("estimated", "unknown")}  # fmt: skip
        number = np.bincount(slots, minlength=size)
        out = [
            Total(key, labels.get(key, key), int(number[i]), {v: int(counted[v][i]) for v in ORDER},
                  float(sums[i]), int(kinds["estimated"][i]), int(kinds["unknown"][i]))
            for i, key in enumerate([*groups, ""]) if number[i]
        ]  # fmt: skip
        if by == "depth_class":
            rank = {key: i for i, key in enumerate(depth_classes())}
            return sorted(out, key=lambda t: rank[t.key])
        if by == "verdict":
            return sorted(out, key=lambda t: [*ORDER, ""].index(t.key))
        return sorted(out, key=lambda t: (t.key == "", -t.buildings, t.label))


def _flags(values: pa.ChunkedArray | pa.Array) -> NDArray[np.bool_]:
    filled = pc.fill_null(values, False)
    return np.asarray(
        filled.to_numpy(zero_copy_only=False)
        if isinstance(filled, pa.Array)
        else filled.to_numpy(),
        bool,
    )


def _floor_area(table: pa.Table) -> tuple[NDArray[np.float64], list[FloorArea]]:
    """Square metres, and whether they are recorded or footprint × storeys."""
    recorded, footprint, storeys = (
        table[n].to_numpy().astype(float)
        for n in ("total_floor_area_m2", "footprint_area_m2", "storeys_above")
    )
    known = np.isfinite(recorded) & (recorded > 0)
    estimate = footprint * storeys
    can = ~known & np.isfinite(estimate) & (estimate > 0)
    area = np.where(known, recorded, np.where(can, estimate, np.nan))
    kinds: list[FloorArea] = [
        "recorded" if k else "estimated" if c else "unknown"
        for k, c in zip(known.tolist(), can.tolist(), strict=True)
    ]
    return area, kinds


def _depth_class(table: pa.Table) -> list[str]:
    """The standard class of the depth; outside only where the verdict says so."""
    depth = table["depth_max_m"].to_numpy().astype(float)
    number = legends()[DEPTH].classify(np.where(depth > 0, depth, np.nan))
    outside = _flags(pc.equal(table["verdict"], "outside_assumed_area"))
    return [
        str(n) if n >= 0 else OUTSIDE_CLASS if dry else UNKNOWN_CLASS
        for n, dry in zip(number.tolist(), outside.tolist(), strict=True)
    ]


def _district_names(workspace: Workspace, ids: pa.ChunkedArray) -> pa.Array:
    if not workspace.districts.is_file():
        return pa.nulls(len(ids), pa.string())
    table = pq.read_table(workspace.districts, columns=["district_id", "name"])
    at = pc.index_in(ids, value_set=table["district_id"].combine_chunks())
    return table["name"].combine_chunks().take(at.combine_chunks())
