"""Reading a report as a device sends it: every field checked, every refusal with its reason."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from citymap.reports.model import (
    MAX_CONTACT,
    MAX_TEXT,
    NewReport,
    PositionSource,
    ReportError,
)

if TYPE_CHECKING:
    from citymap.reports.categories import Catalogue

MAX_JSON_BYTES = 64 << 10
MARGIN_DEG = 0.02  # about 2 km around the city: a report from the bridge over the border
TOLERANCE = timedelta(minutes=10)  # of a device's clock, where it does not say what it shows
OLDEST = timedelta(days=400)
MAX_SKEW_S = 200 * 365 * 86_400.0
FIELDS = frozenset(
    {"id", "category", "lon", "lat", "accuracy_m", "position_source", "observed_at", "depth_m",
     "severity", "text", "contact"}
)  # fmt: skip
BBox = tuple[float, float, float, float]


def decoded(raw: bytes | str) -> dict[str, Any]:
    """The part `report` as an object.

    Raises:
        ReportError: it is none.
    """
    if len(raw) > MAX_JSON_BYTES:
        raise ReportError("report_too_long", limit=MAX_JSON_BYTES // 1024)
    try:
        data = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise ReportError("report_not_json") from e
    if not isinstance(data, dict):
        raise ReportError("report_not_json")
    return data


def _no_constant(name: str) -> float:
    raise ValueError(name)


def read(
    data: Mapping[str, Any],
    *,
    photos: Sequence[str],
    catalogue: Catalogue,
    bbox: BBox | None,
    at: datetime,
    clock: datetime | None = None,
) -> NewReport:
    """Check a report. `photos` are the SHA-256 of the pictures as they were sent, `at` is now, and
    `clock` is what the device's clock shows at this moment, where it says so.

    Raises:
        ReportError: a field is missing or cannot be; the key says which.
    """
    unknown = set(data) - FIELDS
    if unknown:
        raise ReportError("report_unknown_field", field=", ".join(sorted(map(str, unknown)))[:200])
    category = data.get("category")
    if not isinstance(category, str) or category not in catalogue.by_code():
        raise ReportError("report_category")
    lon, lat = _number(data, "lon", -180, 180), _number(data, "lat", -90, 90)
    if lon is None or lat is None:
        raise ReportError("report_no_position")
    if bbox is not None and not (
        bbox[0] - MARGIN_DEG <= lon <= bbox[2] + MARGIN_DEG
        and bbox[1] - MARGIN_DEG <= lat <= bbox[3] + MARGIN_DEG
    ):
        raise ReportError("report_outside")
    source = data.get("position_source", "unknown")
    if source not in get_args(PositionSource):
        raise ReportError("report_field", field="position_source")
    severity = data.get("severity")
    if severity is not None and (type(severity) is not int or severity not in {1, 2, 3}):
        raise ReportError("report_field", field="severity")
    skew_s = (at - clock).total_seconds() if clock is not None else 0.0
    return NewReport(
        id=_id(data.get("id")),
        category=category,
        lon=lon,
        lat=lat,
        accuracy_m=_number(data, "accuracy_m", 0, 1e6),
        position_source=source,
        observed_at=_observed(data.get("observed_at"), at=at, clock=clock, skew_s=skew_s),
        clock_skew_s=round(max(-MAX_SKEW_S, min(MAX_SKEW_S, skew_s)), 3),
        depth_m=_number(data, "depth_m", 0, 30),
        severity=severity,
        text=_text(data, "text", MAX_TEXT),
        contact=_text(data, "contact", MAX_CONTACT),
        digest=digest(data, photos),
    )


def digest(data: Mapping[str, Any], photos: Sequence[str]) -> str:
    """A hash of what a device said: the same report in other white space is the same."""
    said = json.dumps([dict(data), list(photos)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _id(value: Any) -> str:
    try:
        found = uuid.UUID(value) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        found = None
    if found is None or found.int == 0:
        raise ReportError("report_id")
    return str(found)


def _number(data: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ReportError("report_field", field=name)
    return float(value) if math.isfinite(value) else None


def _text(data: Mapping[str, Any], name: str, longest: int) -> str:
    """A text in NFC without control and direction characters (they hide what is written)."""
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ReportError("report_field", field=name)
    try:
        value.encode()
    except UnicodeEncodeError as e:  # half of a surrogate pair
        raise ReportError("report_field", field=name) from e
    kept = "".join(
        c for c in unicodedata.normalize("NFC", value.replace("\r\n", "\n"))
        if c in "\n\t" or not (unicodedata.category(c) == "Cc" or c in _HIDING)
    ).strip()  # fmt: skip
    if len(kept) > longest:
        raise ReportError("report_text_long", field=name, limit=longest)
    return kept


_HIDING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def moment(value: Any) -> datetime:
    """An RFC 3339 time with its zone.

    Raises:
        ReportError: it is none.
    """
    try:
        found = (
            datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 40 else None
        )
        if found is None or found.tzinfo is None:
            raise ValueError(value)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise ReportError("report_time") from e


def _observed(value: Any, *, at: datetime, clock: datetime | None, skew_s: float) -> datetime:
    """When it was seen, by our clock: a device's wrong clock is set right by what it shows now."""
    if value is None:
        return at
    seen = moment(value)
    if clock is not None and abs(skew_s) > 60:
        try:
            seen += timedelta(seconds=skew_s)
        except OverflowError as e:
            raise ReportError("report_time") from e
    if seen > at + TOLERANCE:
        raise ReportError("report_future")
    if seen < at - OLDEST:
        raise ReportError("report_too_old")
    return min(seen, at)
