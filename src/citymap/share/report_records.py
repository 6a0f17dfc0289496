"""Reports and closures as records for the gate, and the feeds made of what it lets through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import shapely

from citymap.i18n import t
from citymap.reports import closures, desk
from citymap.reports.categories import in_force
from citymap.reports.desk import Filter
from citymap.reports.model import CONFIRMED
from citymap.reports.place import store_of
from citymap.share.doors import Door, declare
from citymap.share.gate import blurred, release
from citymap.store.tables import now

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.reports.categories import Catalogue
    from citymap.reports.closures import Closure
    from citymap.reports.model import Report
    from citymap.store import Store
    from citymap.workspace import Workspace

MOST = 1000
LEAST_BLUR_M = 50.0  # of a closure that is on no road of ours


def stamped(at: datetime) -> str:
    """A time as RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(report: Report, listed: Catalogue, lang: str = "ja") -> dict[str, Any]:
    """A report with everything it has; only what the gate releases of it goes anywhere."""
    category = listed.by_code().get(report.category)
    return {
        "id": report.id, "number": report.number, "category": report.category,
        "title": listed.title(report.category, lang), "lon": report.lon, "lat": report.lat,
        "accuracy_m": report.accuracy_m, "position_source": report.position_source,
        "observed_at": stamped(report.observed_at), "received_at": stamped(report.received_at),
        "changed_at": stamped(report.changed_at), "depth_m": report.depth_m,
        "severity": report.severity, "text": report.text, "contact": report.contact,
        "source": report.source, "sender_role": report.sender_role, "status": report.status,
        "release": report.release, "public_text": report.public_text,
        "assigned_to": report.assigned_to, "merged_into": report.merged_into,
        "photos": [{"sha256": p.sha256, "width": p.width, "height": p.height} for p in report.photos],
        "images": [p.public_name for p in report.photos if p.public_name],
        "blur_m": category.blur_m if category is not None else None,
    }  # fmt: skip


def released(
    store: Store, workspace: Workspace, audience: Audience, wanted: Filter | None = None,
    *, lang: str = "ja", limit: int = MOST,
) -> list[dict[str, Any]]:  # fmt: skip
    """Reports as an audience may see them, newest first; the public sees confirmed ones alone.

    Raises:
        StoreError: the store cannot be read.
    """
    listed, offset = in_force(workspace), 0
    kept: list[dict[str, Any]] = []
    while len(kept) < limit:
        batch = desk.listed(store, wanted, limit=MOST, offset=offset)
        offset += len(batch)
        shown = [
            record(r, listed, lang) for r in batch
            if audience != "public" or (r.status in CONFIRMED and r.redacted_at is None)
        ]  # fmt: skip
        kept += release("reports", shown, audience)
        if len(batch) < MOST:
            break
    return kept[:limit]


def closure_record(one: Closure, at: datetime, blur_m: float) -> dict[str, Any]:
    """A closure as a road from junction to junction, never the place where somebody stood.

    Where no road is near, the middle of a cell of `blur_m`.
    """
    if one.line is not None:
        middle = shapely.line_interpolate_point(one.line, 0.5, normalized=True)
        lon, lat = round(middle.x, 7), round(middle.y, 7)
        geometry: dict[str, Any] = shapely.geometry.mapping(one.line)
    else:
        lon, lat = map(float, blurred(one.lon, one.lat, max(blur_m, LEAST_BLUR_M)))
        geometry = {"type": "Point", "coordinates": [lon, lat]}
    return {
        "id": f"report-{one.number}", "road": one.road, "reason": one.category,
        "from_time": stamped(one.valid_from), "until_time": stamped(one.valid_until),
        "depth_m": one.depth_m, "lon": lon, "lat": lat, "as_of": stamped(at),
        "public_text": one.public_text, "release": one.release,
        "geometry": geometry,
    }  # fmt: skip


def released_closures(
    store: Store, workspace: Workspace, audience: Audience
) -> list[dict[str, Any]]:
    """The closures that hold at this moment, as an audience may see them.

    Raises:
        StoreError: the store cannot be read.
    """
    at = now()
    there = [c for c in closures.current(store, workspace) if c.valid_at(at)]
    listed = in_force(workspace).by_code()
    records = [closure_record(c, at, listed[c.category].blur_m) for c in there]
    return release("closures", records, audience)


def geojson(records: Sequence[Mapping[str, Any]], at: datetime) -> bytes:
    """Records with `lon`, `lat` as a GeoJSON FeatureCollection (WGS 84)."""
    features = [
        {
            "type": "Feature",
            "id": one.get("number", one.get("id")),
            "geometry": _shape(one),
            "properties": {k: v for k, v in one.items() if k not in {"lon", "lat", "geometry"}},
        }
        for one in records
    ]
    said = {"type": "FeatureCollection", "timeStamp": stamped(at), "features": features}
    return json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _shape(one: Mapping[str, Any]) -> Any:
    if one.get("geometry") is not None:
        return one["geometry"]
    if one.get("lon") is None or one.get("lat") is None:
        return None
    return {"type": "Point", "coordinates": [one["lon"], one["lat"]]}


def rss(
    records: Sequence[Mapping[str, Any]], *, city: str, link: str, lang: str, at: datetime
) -> bytes:
    """Public reports as RSS 2.0 with GeoRSS points; `link` is the address of the feed's page."""
    items = []
    for one in records:
        when = format_datetime(datetime.fromisoformat(str(one["observed_at"])), usegmt=True)
        state = t(f"report.status.{one['status']}", lang)
        point = (
            f"<georss:point>{one['lat']} {one['lon']}</georss:point>"
            if one.get("lon") is not None
            else ""
        )
        items.append(
            f"<item><title>{_xml(one['title'])}（{_xml(state)}）</title>"
            f"<description>{_xml(one.get('public_text') or '')}</description>"
            f"<link>{_xml(link)}</link><pubDate>{when}</pubDate>"
            f'<guid isPermaLink="false">citymap-report-{one["number"]}</guid>'
            f"<category>{_xml(one['category'])}</category>{point}</item>"
        )
    head = t("report.feed", lang, city=city)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<rss version="2.0" xmlns:georss="http://www.georss.org/georss"><channel>'
        f"<title>{_xml(head)}</title><link>{_xml(link)}</link><description>{_xml(head)}</description>"
        f"<language>{lang}</language><lastBuildDate>{format_datetime(at, usegmt=True)}</lastBuildDate>"
        f"{''.join(items)}</channel></rss>"
    ).encode()


def _xml(value: object) -> str:
    """Text for XML: escaped, without the characters that XML does not know."""
    text = "".join(c for c in str(value) if c in "\t\n\r" or ord(c) >= 32)
    return escape(text.replace("\ufffe", "").replace("\uffff", ""), {'"': "&quot;"})


def _every_feed(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    store = store_of(workspace)
    if store is None:
        return
    at = now()
    records = released(store, workspace, audience)
    yield geojson(records, at)
    yield rss(records, city="", link="", lang="ja", at=at)
    yield geojson(released_closures(store, workspace, audience), at)


declare(Door("report feeds", kinds=("reports", "closures"), emit=_every_feed))
