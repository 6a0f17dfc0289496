"""`shelters`, `wifi` and every other list below `places/` that the gate describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.share.exchange.layer import SOURCES, Outgoing, Source
from citymap.share.gate import kinds, place_tables, release, release_table

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace


def _ids(workspace: Workspace) -> list[str]:
    described = place_tables("admin")
    return [p.stem for p in sorted(workspace.places.glob("*.parquet")) if p.stem in described]


def _load(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    if layer not in _ids(workspace) or layer not in place_tables(audience):
        return None
    stored = pq.read_table(workspace.places / f"{layer}.parquet")
    table = release_table(layer, stored, audience)
    lon, lat = (table[n].to_numpy().astype(float) for n in ("lon", "lat"))
    known = np.isfinite(lon) & np.isfinite(lat)
    points = np.full(lon.size, None, object)
    points[known] = shapely.to_wkb(shapely.points(lon[known], lat[known]))
    if "geometry" in table.column_names:
        table = table.drop_columns(["geometry"])
    table = table.append_column("geometry", pa.array(points, pa.binary()))
    title = kinds()[layer].title
    published = tuple(release("standard_columns", map(_cells, _raw(stored)), audience))
    return Outgoing(
        layer, {"ja": title.in_("ja"), "en": title.in_("en")}, table, published=published
    )


def _raw(table: pa.Table) -> list[str | None]:
    if "raw" not in table.column_names:
        return [None] * table.num_rows
    texts: list[str | None] = table["raw"].to_pylist()
    return texts


def _cells(raw: str | None) -> dict[str, str]:
    """The row as it stood; empty where it is no row."""
    try:
        found = json.loads(raw or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


SOURCES.register("places")(Source(_ids, _load, lambda w, layer: [w.places / f"{layer}.parquet"]))
