"""Taking a report in: photos to the disk, then the report with its first event, then the answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select

from citymap.reports import photos as photo_files
from citymap.reports.model import MAX_PHOTOS, NewReport, Receipt, ReportError, Sender
from citymap.store.tables import REPORT_EVENTS, REPORT_PHOTOS, REPORTS

if TYPE_CHECKING:
    from citymap.reports.photos import Checked
    from citymap.store import Store
    from citymap.workspace import Workspace


def accept(
    store: Store,
    workspace: Workspace,
    report: NewReport,
    photos: Sequence[Checked] = (),
    *,
    sender: Sender,
    at: datetime,
) -> Receipt:
    """Keep a report; everything is on the disk when this returns, or nothing counts.

    The same report again (same id, same digest) answers with the first receipt.

    Raises:
        ReportError: the id is taken by another report (`report_conflict`), or too many photos.
        StoreError: disk full, database away, …; the sender keeps it and tries again.
    """
    if len(photos) > MAX_PHOTOS:
        raise ReportError("report_photos", limit=MAX_PHOTOS)
    with store.read() as connection:
        before = _known(connection, report)
    if before is not None:
        return before
    for photo in photos:
        photo_files.keep(workspace, photo)
    return store.write_together(lambda connection: _entered(connection, report, photos, sender, at))


def _entered(
    connection: Connection,
    report: NewReport,
    photos: Sequence[Checked],
    sender: Sender,
    at: datetime,
) -> Receipt:
    """The report with its first event and the names of its photos, in one transaction."""
    before = _known(connection, report)  # another request may have been quicker
    if before is not None:
        return before
    number = (connection.execute(select(func.max(REPORTS.c.number))).scalar() or 0) + 1
    connection.execute(
        insert(REPORTS).values(
            id=report.id, number=number, digest=report.digest, category=report.category,
            lon=report.lon, lat=report.lat, accuracy_m=report.accuracy_m,
            position_source=report.position_source, observed_at=report.observed_at,
            received_at=at, clock_skew_s=report.clock_skew_s, depth_m=report.depth_m,
            severity=report.severity, text=report.text, contact=report.contact,
            source=sender.source, sender=sender.name, sender_role=sender.role,
            status="new", release="received", public_text="", assigned_to="",
            merged_into=None, version=1, changed_at=at, redacted_at=None,
        )
    )  # fmt: skip
    # What was said stands in the report itself, which keeps it; the event has no second copy.
    detail = {"source": sender.source, "role": sender.role, "photos": len(photos)}
    connection.execute(
        insert(REPORT_EVENTS).values(
            report_id=report.id, at=at, actor=sender.name, kind="received", detail=detail,
            redacted=False,
        )
    )  # fmt: skip
    rows = [
        {
            "report_id": report.id, "number": i, "sha256": c.photo.sha256,
            "media_type": c.photo.media_type, "width": c.photo.width,
            "height": c.photo.height, "orientation": c.photo.orientation,
            "size_bytes": c.photo.size_bytes, "public_name": "",
        }
        for i, c in enumerate(photos)
    ]  # fmt: skip
    if rows:
        connection.execute(insert(REPORT_PHOTOS), rows)
    return Receipt(report.id, number, "new", at, new=True)


def _known(connection: Connection, report: NewReport) -> Receipt | None:
    row = connection.execute(
        select(REPORTS.c.digest, REPORTS.c.number, REPORTS.c.status, REPORTS.c.received_at).where(
            REPORTS.c.id == report.id
        )
    ).first()
    if row is None:
        return None
    if row.digest != report.digest:
        raise ReportError("report_conflict")
    return Receipt(report.id, row.number, row.status, row.received_at, new=False)
