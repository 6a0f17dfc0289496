"""`buildings`: footprints with their attributes and risks; `exposure-<set>` by building."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.i18n import LANGUAGES, t
from citymap.share.exchange.layer import SOURCES, Entry, Outgoing, Source, Style
from citymap.share.exchange.sources import hazard
from citymap.share.gate import may_see, release_table

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

# Colours that colour-blind people tell apart (Okabe and Ito 2008); unknown is grey, never pale.
VERDICTS = (
    Entry("leave", "立退き避難", (213, 94, 0)),
    Entry("unknown", "判定できない", (120, 120, 120)),
    Entry("stay_upstairs", "条件がそろえば屋内安全確保も可能", (86, 180, 233)),
    Entry("outside_assumed_area", "想定区域の外", (230, 230, 220)),
)


def _ids(workspace: Workspace) -> list[str]:
    return ["buildings"] if workspace.buildings.is_file() else []


def _load(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    if layer != "buildings" or not workspace.buildings.is_file():
        return None
    table = release_table("buildings", pq.read_table(workspace.buildings), audience)
    return Outgoing("buildings", {"ja": "建物", "en": "Buildings"}, table, source="Project PLATEAU")


SOURCES.register("buildings")(Source(_ids, _load, lambda w, _: [w.buildings]))


def joined(workspace: Workspace, rows: pa.Table) -> pa.Table:
    """The rows of a table by `building_id` with the footprints; buildings in the footprints' order."""
    shapes = pq.read_table(workspace.buildings, columns=["building_id", "geometry"])
    at = pc.index_in(rows["building_id"], value_set=shapes["building_id"].combine_chunks())
    geometry = shapes["geometry"].combine_chunks().take(at.combine_chunks())
    rows = rows.drop_columns(["geometry"]) if "geometry" in rows.column_names else rows
    rows = rows.append_column("geometry", geometry)
    return rows.replace_schema_metadata(shapes.schema.metadata)


def _exposure_ids(workspace: Workspace) -> list[str]:
    folder = workspace.root / "exposure"
    return [f"exposure-{p.stem}" for p in sorted(folder.glob("*.parquet"))]


def _exposure(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    name = layer.removeprefix("exposure-")
    path = workspace.root / "exposure" / f"{name}.parquet"
    if layer not in _exposure_ids(workspace) or not may_see("exposure", audience):
        return None
    table = release_table("exposure", joined(workspace, pq.read_table(path)), audience)
    return Outgoing(
        layer, {lang: t("share.exposure", lang, name=_set_name(workspace, name, lang)) for lang in LANGUAGES}, table,
        Style("verdict", VERDICTS),
    )  # fmt: skip


def _set_name(workspace: Workspace, name: str, lang: str) -> str:
    """How people call a hazard set; its id where no file says so."""
    if name == "combined":
        return t("share.worst_of_all", lang)
    of_set = workspace.hazards.glob(f"{name}_*.toml")
    found = next(iter(sorted(of_set)), None)
    return (hazard.title(hazard.described(found), lang, quantity=False) if found else "") or name


def _exposure_files(workspace: Workspace, layer: str) -> list[Path]:
    name = layer.removeprefix("exposure-")
    return [workspace.buildings, workspace.root / "exposure" / f"{name}.parquet"]


SOURCES.register("exposure")(Source(_exposure_ids, _exposure, _exposure_files))
