"""What an edition would change, as rows for the page, as a file, and as a layer of the staff map."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pandas
import pyarrow.parquet as pq
import pyogrio
from pandas.api.types import is_numeric_dtype

from citymap.assess.selection_files import guarded
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.operations.editions import comparison, edition
from citymap.plateau.compare import KINDS, SAME
from citymap.workspace import replacing

if TYPE_CHECKING:
    from collections.abc import Collection

    from citymap.workspace import Workspace

# Told apart by colour-blind people (Okabe and Ito 2008); hatched is left to what is not surveyed.
COLOURS: dict[str, tuple[int, int, int]] = {
    "added": (0, 158, 115), "removed": (213, 94, 0), "changed": (0, 114, 178),
    "split": (204, 121, 167), "merged": (140, 86, 175), "renamed": (150, 150, 150),
}  # fmt: skip
LISTED = tuple(k for k in KINDS if k != SAME)
FORMATS = {".gpkg": "GPKG", ".csv": "CSV", ".parquet": "Parquet"}


def rows(
    workspace: Workspace, name: str, kinds: Collection[str] = LISTED
) -> geopandas.GeoDataFrame:
    """The buildings that differ, with the columns of `citymap.plateau.compare.CHANGES`.

    Raises:
        BadInputError: there is no such edition.
    """
    edition(workspace, name)
    path = comparison(workspace, name) / "changes.parquet"
    found: geopandas.GeoDataFrame = geopandas.read_parquet(path)
    return found[found["kind"].isin(list(kinds))]


def searched(found: geopandas.GeoDataFrame, text: str) -> geopandas.GeoDataFrame:
    """The rows whose ids or address hold the text."""
    wanted = text.strip().casefold()
    if not wanted:
        return found
    columns = ("old_building_id", "new_building_id", "old_gml_id", "new_gml_id", "address")
    hit = np.zeros(len(found), bool)
    for name in columns:
        values = found[name].fillna("").astype(str).str.casefold()
        hit |= values.str.contains(wanted, regex=False).to_numpy()
    return found[hit]


def export(workspace: Workspace, name: str, out: Path, kinds: Collection[str] = LISTED) -> int:
    """Write them as GeoPackage, GeoParquet or CSV (UTF-8 with BOM, formulas defused, with `lon`,
    `lat` of the centre); returns how many.

    Raises:
        BadInputError: no such edition, or another ending.
    """
    form = FORMATS.get(out.suffix.lower())
    if form is None:
        raise BadInputError("model_format", place=str(out), formats=", ".join(FORMATS))
    found = rows(workspace, name, kinds)
    with replacing(out) as temporary:
        if form == "GPKG":
            with TemporaryDirectory(dir=out.parent, prefix=".model-") as folder:
                made = Path(folder) / "changes.gpkg"  # GDAL wants the ending
                pyogrio.write_dataframe(found, made, layer="model_changes", driver="GPKG")
                made.replace(temporary)
        elif form == "Parquet":
            found.to_parquet(temporary, schema_version="1.1.0", compression="zstd")
        else:
            temporary.write_bytes(csv_bytes(found))
    return len(found)


def csv_bytes(found: geopandas.GeoDataFrame) -> bytes:
    """The rows as CSV for a spreadsheet: UTF-8 with BOM, with `lon`, `lat` of a point inside."""
    table = pandas.DataFrame(found.drop(columns="geometry"))
    inside = found.geometry.representative_point()
    table["lon"], table["lat"] = inside.x.round(7), inside.y.round(7)
    for column in table:
        if not is_numeric_dtype(table[column]):
            table[column] = table[column].map(_defused)
    text: str = table.to_csv(index=False, lineterminator="\r\n")
    return text.encode("utf-8-sig")


def _defused(value: Any) -> Any:
    return guarded(value) if isinstance(value, str) else value


def lost_reports(workspace: Workspace) -> list[dict[str, Any]]:
    """Reports whose building is gone since the last change of edition."""
    if not workspace.report_buildings.is_file():
        return []
    found = pq.read_table(workspace.report_buildings).to_pylist()
    return [row for row in found if row["rule"] == "lost"]


def legend(lang: str) -> list[tuple[str, str, tuple[int, int, int]]]:
    """Kind, its name and its colour."""
    return [(k, t(f"model.kind.{k}", lang), COLOURS[k]) for k in LISTED]
