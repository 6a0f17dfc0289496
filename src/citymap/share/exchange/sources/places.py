"""`shelters`, `wifi` and every other list below `places/` that the gate describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.share.exchange.layer import SOURCES, Outgoing, Source
from citymap.share.gate import kinds, place_tables, release_table

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace


def _ids(workspace: Workspace) -> list[str]:
    described = place_tables("admin")
    return [p.stem for p in sorted(workspace.places.glob("*.parquet")) if p.stem in described]


def _load(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    if layer not in _ids(workspace) or layer not in place_tables(audience):
        return None
    table = release_table(layer, pq.read_table(workspace.places / f"{layer}.parquet"), audience)
    lon, lat = (table[n].to_numpy().astype(float) for n in ("lon", "lat"))
    known = np.isfinite(lon) & np.isfinite(lat)
    points = np.full(lon.size, None, object)
    points[known] = shapely.to_wkb(shapely.points(lon[known], lat[known]))
    if "geometry" in table.column_names:
        table = table.drop_columns(["geometry"])
    table = table.append_column("geometry", pa.array(points, pa.binary()))
    title = kinds()[layer].title
    return Outgoing(layer, {"ja": title.in_("ja"), "en": title.in_("en")}, table)


SOURCES.register("places")(Source(_ids, _load))
