"""The reports on a staff member's screen as a file to take away, through the gate."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import geopandas
import shapely

from citymap import crs
from citymap.assess.selection_files import guarded
from citymap.reports import desk
from citymap.reports.desk import Filter
from citymap.reports.place import store_of
from citymap.share.doors import Door, declare
from citymap.share.gate import fields
from citymap.share.report_records import released

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from citymap.layers.catalogue import Audience
    from citymap.store import Store
    from citymap.workspace import Workspace

Format = Literal["csv", "gpkg"]
MIME = {"csv": "text/csv", "gpkg": "application/geopackage+sqlite3"}
ALL = 1_000_000
# What a person looks for first; the other fields follow by their names.
_LEADING = (
    "number", "status", "title", "text", "observed_at", "received_at", "lat", "lon", "depth_m",
    "severity", "assigned_to", "contact", "public_text",
)  # fmt: skip
_NESTED = {"photos", "images", "history", "geometry"}


def download(
    store: Store, workspace: Workspace, wanted: Filter, form: Format, audience: Audience,
    *, lang: str = "ja",
) -> bytes:  # fmt: skip
    """The reports of a filter as far as the audience may see them.

    Raises:
        StoreError: the store cannot be read.
    """
    records = released(store, workspace, audience, wanted, lang=lang, limit=ALL)
    allowed = {n for n in fields("reports", audience) if n not in _NESTED and n != "trust"}
    names = [n for n in _LEADING if n in allowed] + sorted(allowed.difference(_LEADING))
    return _csv(records, names) if form == "csv" else _geopackage(records, names)


def _csv(records: list[dict[str, Any]], names: list[str]) -> bytes:
    """UTF-8 with BOM; no cell is a formula."""
    out = io.StringIO()
    sheet = csv.writer(out)
    sheet.writerow([*names, "images"])
    for one in records:
        cells = [one.get(name) for name in names] + [" ".join(one.get("images") or [])]
        sheet.writerow([guarded(c) if isinstance(c, str) else c for c in cells])
    return ("\ufeff" + out.getvalue()).encode()


def _geopackage(records: list[dict[str, Any]], names: list[str]) -> bytes:
    columns = {
        name: [one.get(name) for one in records] for name in names if name not in {"lon", "lat"}
    }
    points = [
        shapely.Point(one["lon"], one["lat"]) if one.get("lon") is not None else None
        for one in records
    ]
    frame = geopandas.GeoDataFrame(columns, geometry=points, crs=f"EPSG:{crs.GEOGRAPHIC}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reports.gpkg"
        frame.to_file(path, layer="reports", driver="GPKG", engine="pyogrio")
        return path.read_bytes()


def _every_format(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    store = store_of(workspace)
    if store is None or desk.count(store) == 0:
        return
    for form in get_args(Format):
        yield download(store, workspace, Filter(), form, audience)


declare(Door("download of reports", kinds=("reports",), emit=_every_format))
