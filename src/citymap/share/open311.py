"""Open311 GeoReport v2: our categories and public reports in the words of other cities' programs.

Source: the GeoReport v2 specification (open311); times carry a zone, lists are `[]` in JSON and
repeated elements in XML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from xml.sax.saxutils import escape

from citymap.i18n import t
from citymap.reports.categories import in_force
from citymap.reports.desk import Filter
from citymap.reports.model import CONFIRMED
from citymap.reports.place import store_of
from citymap.share.doors import Door, declare
from citymap.share.report_records import released
from citymap.store.tables import now

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.reports.categories import Catalogue, Category
    from citymap.store import Store
    from citymap.workspace import Workspace

Form = Literal["xml", "json"]
MEDIA = {"xml": "text/xml; charset=utf-8", "json": "application/json; charset=utf-8"}
MOST = 1000
DAYS = 90
DEPTH, SEVERITY = "depth_m", "severity"


def services(listed: Catalogue, lang: str) -> list[dict[str, Any]]:
    """The categories as services."""
    return [
        {
            "service_code": c.code, "service_name": c.title.in_(lang), "description": c.title.in_(lang),
            "metadata": "true" if c.depth or c.severity else "false", "type": "realtime",
            "keywords": ",".join(c.keywords), "group": c.group,
        }
        for c in listed.category
    ]  # fmt: skip


def definition(category: Category, lang: str) -> dict[str, Any]:
    """What a service asks besides the place and the description."""
    attributes: list[dict[str, Any]] = []
    if category.depth:
        attributes.append({
            "variable": "true", "code": DEPTH, "datatype": "number", "required": "false",
            "datatype_description": "m", "order": "1", "description": t("report.ask_depth", lang),
        })  # fmt: skip
    if category.severity:
        attributes.append({
            "variable": "true", "code": SEVERITY, "datatype": "singlevaluelist", "required": "false",
            "datatype_description": "", "order": "2", "description": t("report.ask_severity", lang),
            "values": [{"key": str(n), "name": t(f"ui.triage.severity_{n}", lang)} for n in (1, 2, 3)],
        })  # fmt: skip
    return {"service_code": category.code, "attributes": attributes}


def request_of(record: Mapping[str, Any], photos: str, lang: str) -> dict[str, Any]:
    """A public record as a service request; `photos` is the address of the folder of released copies."""
    images = record.get("images") or []
    return {
        "service_request_id": str(record["number"]),
        "status": "closed" if record["status"] == "resolved" else "open",
        "status_notes": t(f"report.status.{record['status']}", lang), "service_name": record["title"],
        "service_code": record["category"], "description": record.get("public_text") or "",
        "agency_responsible": "", "service_notice": "", "requested_datetime": record["observed_at"],
        "updated_datetime": record["changed_at"], "expected_datetime": "", "address": "",
        "address_id": "", "zipcode": "", "lat": record.get("lat"), "long": record.get("lon"),
        "media_url": f"{photos}/{images[0]}" if images else "",
    }  # fmt: skip


def requests(
    store: Store, workspace: Workspace, *, photos: str, lang: str = "ja",
    ids: Sequence[str] = (), codes: Sequence[str] = (), status: Sequence[str] = (),
    start: datetime | None = None, end: datetime | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Public reports by the filters of the specification: of the last 90 days, 1000 at most, unless
    ids or times are named. Ids override all other filters.

    Raises:
        StoreError: the store cannot be read.
    """
    if ids:
        codes, status, start, end = (), (), None, None
    elif start is None and end is None:
        start = now() - timedelta(days=DAYS)
    wanted = Filter(statuses=tuple(sorted(CONFIRMED)), categories=tuple(codes))
    records = released(store, workspace, "public", wanted, lang=lang, limit=10 * MOST)
    kept = []
    for one in records:
        seen = datetime.fromisoformat(one["observed_at"])
        if ids and str(one["number"]) not in ids:
            continue
        if (start is not None and seen < start) or (end is not None and seen > end):
            continue
        said = request_of(one, photos, lang)
        if not status or said["status"] in status:
            kept.append(said)
    return kept[:MOST]


def written(value: object, form: Form, root: str, item: str = "") -> bytes:
    """A document: a list under `root` with `item` elements, or one object named `root`."""
    if form == "json":
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    if isinstance(value, list):
        inner = "".join(_element(item, one) for one in value)
        return f'<?xml version="1.0" encoding="utf-8"?><{root}>{inner}</{root}>'.encode()
    return f'<?xml version="1.0" encoding="utf-8"?>{_element(root, value)}'.encode()


_LISTS = {
    "attributes": "attribute",
    "values": "value",
    "endpoints": "endpoint",
    "formats": "format",
}


def _element(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        inner = "".join(_element(str(k), v) for k, v in value.items())
    elif isinstance(value, list):
        inner = "".join(_element(_LISTS[name], one) for one in value)
    else:
        plain = "" if value is None else str(value)
        inner = escape("".join(c for c in plain if c in "\t\n\r" or " " <= c < "\ufffe"))
    return f"<{name}>{inner}</{name}>"


def _every_document(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    del audience  # the same for everybody
    store = store_of(workspace)
    listed = in_force(workspace)
    for form in ("xml", "json"):
        yield written(services(listed, "ja"), form, "services", "service")
        if store is not None:
            found = requests(store, workspace, photos="")
            yield written(found, form, "service_requests", "request")


declare(Door("open311 documents", kinds=("reports",), emit=_every_document))
