"""The building table as files to take away, and the list of disagreements; both pass the gate."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from citymap.assess.building_table import BuildingTable, sets_with_tables
from citymap.assess.exposure import COMBINED
from citymap.assess.table_files import TableFormat, encoded
from citymap.share.doors import Door, declare
from citymap.share.gate import release_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

KIND = "building_exposure"
LIST = ("set", "building_id", "source", "says", "other")


def released(table: pa.Table, audience: Audience) -> pa.Table:
    """Rows of a building table as far as the audience may see them."""
    return release_table(KIND, table, audience)


def download_table(
    workspace: Workspace, table: BuildingTable, chosen: NDArray[np.bool_], form: TableFormat,
    audience: Audience, titles: Mapping[str, str],
) -> bytes:  # fmt: skip
    """The chosen rows; a GeoPackage has the footprints too."""
    rows = table.rows
    if form == "gpkg":
        rows = rows.append_column(
            "geometry", pq.read_table(workspace.buildings, columns=["geometry"])["geometry"]
        )
    return encoded(released(rows.filter(pa.array(chosen)), audience), form, titles)


def disagreements(workspace: Workspace, set_name: str, audience: Audience) -> pa.Table:
    """Where sources disagree: building, which source says what, and what the others say.

    For `combined` the lists of all sets.
    """
    names = sets_with_tables(workspace)[1:] if set_name == COMBINED else [set_name]
    columns: dict[str, list[str]] = {name: [] for name in LIST}
    for name in names:
        path = workspace.root / "exposure" / f"{name}.disagreements.csv"
        if not path.is_file():
            continue
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                columns["set"].append(name)
                for key in LIST[1:]:
                    columns[key].append(row[key])
    table = pa.table({n: pa.array(v, pa.string()) for n, v in columns.items()})
    return released(table, audience)


def _every_format(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    for name in sets_with_tables(workspace):
        table = BuildingTable(workspace, name)
        for form in get_args(TableFormat):
            yield download_table(workspace, table, np.ones(table.count, bool), form, audience, {})
        yield encoded(disagreements(workspace, name, audience), "csv", {})


declare(Door("download of the building table", kinds=(KIND,), emit=_every_format))
