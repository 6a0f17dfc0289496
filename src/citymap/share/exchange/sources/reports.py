"""`reports` and `closures`: what people reported and what it means for roads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import shapely

from citymap.reports.place import store_of
from citymap.share.exchange.layer import SOURCES, Outgoing, Source
from citymap.share.gate import fields, kinds, may_see
from citymap.share.report_records import released, released_closures

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

ALL = 1_000_000
_TYPES = {
    "number": pa.int64(), "severity": pa.int64(), "lon": pa.float64(), "lat": pa.float64(),
    "depth_m": pa.float64(), "accuracy_m": pa.float64(), "trust": pa.float64(),
    "images": pa.list_(pa.string()), "photos": pa.list_(pa.struct([
        ("sha256", pa.string()), ("width", pa.int64()), ("height", pa.int64())])),
}  # fmt: skip
# Made here, or not part of a layer: whom to reach about a report is for the staff pages alone, not for
# a GIS, its key or its database.
_ELSEWHERE = frozenset({"geometry", "history", "trust", "contact"})


def _ids(workspace: Workspace) -> list[str]:
    return ["reports", "closures"] if store_of(workspace) is not None else []


def _load(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    if layer not in {"reports", "closures"} or not may_see(layer, audience):
        return None
    store = store_of(workspace)
    if store is None:
        return None
    if layer == "reports":
        records = released(store, workspace, audience, limit=ALL)
    else:
        records = released_closures(store, workspace, audience)
    title = kinds()[layer].title
    return Outgoing(
        layer, {"ja": title.in_("ja"), "en": title.in_("en")}, _table(layer, records, audience)
    )


def _table(kind: str, records: list[dict[str, Any]], audience: Audience) -> pa.Table:
    """The records with the same columns whether there are any or not; `geometry` as WKB points."""
    names = [name for name in fields(kind, audience) if name not in _ELSEWHERE]
    table = pa.table({
        name: pa.array([r.get(name) for r in records], _TYPES.get(name, pa.string()))
        for name in names
    })  # fmt: skip
    points = [_wkb(r) for r in records]
    return table.append_column("geometry", pa.array(points, pa.binary()))


def _wkb(record: dict[str, Any]) -> bytes | None:
    if record.get("geometry") is not None:
        return bytes(shapely.to_wkb(shapely.geometry.shape(record["geometry"])))
    if record.get("lon") is None or record.get("lat") is None:
        return None
    return bytes(shapely.to_wkb(shapely.Point(record["lon"], record["lat"])))


SOURCES.register("reports")(Source(_ids, _load))
