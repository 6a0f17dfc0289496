"""What exposure says of one building, set by set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from citymap.assess.building_record import plain
from citymap.assess.exposure import COMBINED
from citymap.hazard.sets import hazard_sets

if TYPE_CHECKING:
    from citymap.workspace import Workspace


def of_building(workspace: Workspace, row: int, building_id: str) -> list[dict[str, Any]]:
    """The rows of `exposure/*.parquet` for a row of `buildings.parquet`, `set` and `title` added;
    the combined one first. Empty where exposure was not computed for these buildings.

    Raises:
        BadInputError: a description of a hazard cannot be read.
    """
    folder = workspace.root / "exposure"
    named = {s.id: s for s in hazard_sets(workspace)}
    out = []
    for path in sorted(folder.glob("*.parquet"), key=lambda p: (p.stem != COMBINED, p.stem)):
        with pq.ParquetFile(path, memory_map=True) as file:
            record = _row(file, row)
        if record is None or record["building_id"] != building_id:
            continue
        known = named.get(path.stem)
        out.append({
            "set": path.stem, "name": known.name if known else "", "scale": known.scale if known else "",
            **plain(record),
        })  # fmt: skip
    return out


def _row(file: pq.ParquetFile, row: int) -> dict[str, Any] | None:
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if row < size:
            found: dict[str, Any] = file.read_row_group(group).slice(row, 1).to_pylist()[0]
            return found
        row -= size
    return None
