"""Reports as plain values: what comes in, what is kept, what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from citymap.errors import CitymapError

Status = Literal["new", "confirmed", "in_progress", "resolved", "rejected", "reopened", "merged"]
STATUSES: tuple[Status, ...] = get_args(Status)
# Which states may follow a state; `merged` is reached and left by merging alone.
NEXT: Mapping[Status, tuple[Status, ...]] = {
    "new": ("confirmed", "in_progress", "resolved", "rejected"),
    "confirmed": ("in_progress", "resolved", "rejected"),
    "in_progress": ("confirmed", "resolved", "rejected"),
    "resolved": ("reopened",),
    "rejected": ("reopened",),
    "reopened": ("confirmed", "in_progress", "resolved", "rejected"),
    "merged": (),
}
OPEN: frozenset[Status] = frozenset({"new", "confirmed", "in_progress", "reopened"})
CONFIRMED: frozenset[Status] = frozenset({"confirmed", "in_progress", "resolved"})

IN_FORCE: frozenset[Status] = frozenset({"confirmed", "in_progress"})

Release = Literal["received", "checked", "released", "withheld"]
Source = Literal["form", "staff", "open311", "images"]
PositionSource = Literal["gps", "map", "address", "photo", "unknown"]
MAX_PHOTOS = 5
MAX_TEXT = 4000
MAX_CONTACT = 300


class ReportError(CitymapError):
    """A report that is not taken; the key says why, `values` in what words."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent it: an account's name, or a hash of the device; `role` is `public` without log-in."""

    name: str = ""
    role: str = "public"
    source: Source = "form"


@dataclass(frozen=True, slots=True)
class NewReport:
    """A checked report on its way in; lon, lat in degrees (EPSG:6668), times with their zone.

    `digest` is of everything that the device said, so that the same id with another body is seen.
    """

    id: str
    category: str
    lon: float
    lat: float
    accuracy_m: float | None
    position_source: PositionSource
    observed_at: datetime
    clock_skew_s: float
    depth_m: float | None
    severity: int | None
    text: str
    contact: str
    digest: str


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture on the disk: `sha256` names its file, `public_name` the copy that is released."""

    sha256: str
    media_type: str
    width: int
    height: int
    orientation: int
    size_bytes: int
    public_name: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a sender, given when all of it is on the disk; `new` is False the second time."""

    id: str
    number: int
    status: Status
    received_at: datetime
    new: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a report's history."""

    seq: int
    at: datetime
    actor: str
    kind: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it stands now; everything before is in its events."""

    id: str
    number: int
    category: str
    lon: float
    lat: float
    accuracy_m: float | None
    position_source: str
    observed_at: datetime
    received_at: datetime
    clock_skew_s: float
    depth_m: float | None
    severity: int | None
    text: str
    contact: str
    source: str
    sender: str
    sender_role: str
    status: Status
    release: Release
    public_text: str
    assigned_to: str
    merged_into: str | None
    effect: str
    effect_until: datetime | None
    version: int
    changed_at: datetime
    redacted_at: datetime | None
    photos: tuple[Photo, ...] = field(default=())
