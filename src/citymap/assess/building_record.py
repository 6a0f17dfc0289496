"""Everything known about one building: its row, every risk, every decoded attribute."""

from __future__ import annotations

import math
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from citymap.workspace import Workspace


def plain(value: object) -> Any:
    """A value as JSON can hold it: NaN and infinity become null, nothing else changes."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


class RecordReader:
    """Reads single buildings from the Parquet tables; holds the ids and a few row groups."""

    def __init__(self, workspace: Workspace) -> None:
        if not workspace.buildings.is_file():
            raise BadInputError("no_buildings", path=workspace.root)
        self._workspace = workspace
        self._file = pq.ParquetFile(workspace.buildings, memory_map=True)
        self._ids = self._file.read(columns=["gml_id"])["gml_id"].combine_chunks()
        self._columns = [name for name in self._file.schema_arrow.names if name != "geometry"]
        groups = [
            self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)
        ]
        self._starts = np.concatenate([[0], np.cumsum(groups)])
        self._group: Callable[[int], pa.Table] = lru_cache(maxsize=2)(self._read_group)
        self._attributes: pq.ParquetFile | None = None
        self._spans: NDArray[np.int64] = np.empty((0, 2), np.int64)
        self._attribute_group: Callable[[int], pa.Table] = lru_cache(maxsize=2)(
            self._read_attribute_group
        )
        self._lock = Lock()

    def row_of(self, gml_id: str) -> int:
        """The row number of a building.

        Raises:
            BadInputError: no building has this id.
        """
        row = pc.index(self._ids, gml_id).as_py()
        if row < 0:
            raise BadInputError("unknown_building", gml_id=gml_id)
        return int(row)

    def id_of(self, row: int) -> str:
        """The gml:id of a row."""
        return str(self._ids[row].as_py())

    def read(self, gml_id: str) -> dict[str, Any]:
        """The record: the columns of `buildings.parquet`, `row`, and `attributes`.

        Raises:
            BadInputError: no building has this id.
        """
        row = self.row_of(gml_id)
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._lock:
            found = self._group(group).slice(row - int(self._starts[group]), 1)
            attributes = self._attributes_of(gml_id, row)
        record: dict[str, Any] = {"row": row, **plain(found.to_pylist()[0])}
        record["risks"] = record.get("risks") or []
        record["attributes"] = attributes
        return record

    def _read_group(self, group: int) -> pa.Table:
        return self._file.read_row_group(group, columns=self._columns)

    def _read_attribute_group(self, group: int) -> pa.Table:
        assert self._attributes is not None  # noqa: S101  (set by _attributes_of)
        return self._attributes.read_row_group(group)

    def _attributes_of(self, gml_id: str, row: int) -> list[dict[str, Any]]:
        if not self._workspace.building_attributes.is_file():
            return []
        if self._attributes is None:
            self._attributes = pq.ParquetFile(
                self._workspace.building_attributes, memory_map=True, read_dictionary=["gml_id"]
            )
            self._spans = self._attribute_spans(self._attributes)
        found: list[dict[str, Any]] = []
        for group in np.flatnonzero((self._spans[:, 0] <= row) & (row <= self._spans[:, 1])):
            table = self._attribute_group(int(group))
            mine = table.filter(pc.equal(table["gml_id"].cast(pa.string()), gml_id))
            found.extend(plain(mine.drop_columns(["gml_id"]).to_pylist()))
        return found

    def _attribute_spans(self, file: pq.ParquetFile) -> NDArray[np.int64]:
        """First and last building row that each row group speaks of, so that few must be read."""
        spans = np.empty((file.num_row_groups, 2), np.int64)
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, columns=["gml_id"])["gml_id"]
            names = pc.unique(column).cast(pa.string())
            rows = pc.drop_null(pc.index_in(names, value_set=self._ids)).to_numpy()
            spans[group] = (rows.min(), rows.max()) if len(rows) else (0, -1)
        return spans
