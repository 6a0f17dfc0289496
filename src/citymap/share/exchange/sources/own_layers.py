"""`layer-<id>`: the city's own vector layers, to those and with those columns that their TOML names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from citymap.layers.catalogue import own
from citymap.share.exchange.layer import SOURCES, Outgoing, Source
from citymap.share.gate import may_see

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.layers.catalogue import Audience, Layer
    from citymap.workspace import Workspace

START = "layer-"


def _layers(workspace: Workspace) -> dict[str, Layer]:
    """Own layers of shapes that lie in the city's folder, by their id as a door names it."""
    found = {}
    for layer in own(workspace)[0]:
        if layer.source.kind == "vector" and layer.source.path.endswith(".parquet"):
            path = workspace.root / layer.source.path
            if path.is_file() and path.resolve().is_relative_to(workspace.root.resolve()):
                found[START + layer.id] = layer
    return found


def _load(workspace: Workspace, name: str, audience: Audience) -> Outgoing | None:
    layer = _layers(workspace).get(name)
    if layer is None or audience not in layer.audience or not may_see("layers", audience):
        return None
    path = workspace.root / layer.source.path
    there = pq.read_schema(path)
    named = [c for c in layer.source.fields if c in there.names and c != "geometry"]
    table = pq.read_table(path, columns=[*named, "geometry"])
    kept = (
        {b"geo": table.schema.metadata[b"geo"]} if b"geo" in (table.schema.metadata or {}) else None
    )
    geometry = table["geometry"].cast(pa.binary())
    table = table.set_column(table.column_names.index("geometry"), "geometry", geometry)
    return Outgoing(
        name, {"ja": layer.title.in_("ja"), "en": layer.title.in_("en")},
        table.replace_schema_metadata(kept), source=layer.attribution.in_("ja"), vintage=layer.vintage,
    )  # fmt: skip


def _files(workspace: Workspace, name: str) -> list[Path]:
    layer = _layers(workspace)[name]
    return [workspace.layers / f"{layer.id}.toml", workspace.root / layer.source.path]


SOURCES.register("own-layers")(Source(lambda w: list(_layers(w)), _load, _files))
