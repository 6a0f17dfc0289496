"""What staff do with reports: find, decide, assign, publish, merge, redact; every deed is an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update

from citymap.reports import photos as photo_files
from citymap.reports.model import (
    CONFIRMED,
    NEXT,
    Event,
    Photo,
    Report,
    ReportError,
    Status,
)
from citymap.store import audit
from citymap.store.tables import REPORT_EVENTS, REPORT_PHOTOS, REPORTS, now

if TYPE_CHECKING:
    from citymap.store import Store
    from citymap.workspace import Workspace

MAX_NOTE = 4000
_PHOTO = ("sha256", "media_type", "width", "height", "orientation", "size_bytes", "public_name")
_REPORT = tuple(name for name in Report.__slots__ if name != "photos")
BATCH = 400  # ids in one statement; SQLite knows a limit


@dataclass(frozen=True, slots=True)
class Filter:
    """Which reports: empty is all. `bounds` is west, south, east, north."""

    statuses: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    assigned_to: str | None = None
    sources: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    changed_since: datetime | None = None
    bounds: tuple[float, float, float, float] | None = None
    words: str = ""
    with_photos: bool = False
    ids: tuple[str, ...] = ()

    def _on(self, query: Select[Any]) -> Select[Any]:
        table = REPORTS.c
        if self.statuses:
            query = query.where(table.status.in_(self.statuses))
        if self.categories:
            query = query.where(table.category.in_(self.categories))
        if self.sources:
            query = query.where(table.source.in_(self.sources))
        if self.ids:
            query = query.where(table.id.in_(self.ids))
        if self.assigned_to is not None:
            query = query.where(table.assigned_to == self.assigned_to)
        if self.since is not None:
            query = query.where(table.received_at >= self.since)
        if self.until is not None:
            query = query.where(table.received_at < self.until)
        if self.changed_since is not None:
            query = query.where(table.changed_at >= self.changed_since)
        if self.bounds is not None:
            west, south, east, north = self.bounds
            query = query.where(table.lon.between(west, east), table.lat.between(south, north))
        for word in self.words.split()[:8]:
            like = f"%{word.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
            query = query.where(
                or_(table.text.ilike(like, escape="!"), table.public_text.ilike(like, escape="!"))
            )
        if self.with_photos:
            query = query.where(select(REPORT_PHOTOS.c.number).where(
                REPORT_PHOTOS.c.report_id == table.id).exists())  # fmt: skip
        return query


def listed(
    store: Store, wanted: Filter | None = None, *, limit: int = 1000, offset: int = 0
) -> list[Report]:
    """Reports, the newest first."""
    query = (wanted or Filter())._on(select(REPORTS))
    query = query.order_by(REPORTS.c.received_at.desc(), REPORTS.c.number.desc())
    with store.read() as connection:
        rows = connection.execute(query.limit(limit).offset(offset)).all()
        return _with_photos(connection, rows)


def count(store: Store, wanted: Filter | None = None) -> int:
    """How many there are."""
    query = (wanted or Filter())._on(select(func.count()).select_from(REPORTS))
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def stamp(store: Store) -> tuple[int, str]:
    """Changes whenever a report does: how many there are, and the last change."""
    with store.read() as connection:
        row = connection.execute(
            select(func.coalesce(func.sum(REPORTS.c.version), 0), func.max(REPORTS.c.changed_at))
        ).one()
        return int(row[0]), str(row[1])


def found(store: Store, report_id: str) -> Report | None:
    """One report."""
    with store.read() as connection:
        rows = connection.execute(select(REPORTS).where(REPORTS.c.id == report_id)).all()
        return next(iter(_with_photos(connection, rows)), None)


def by_number(store: Store, number: int) -> Report | None:
    """One report by the number that people are told."""
    with store.read() as connection:
        rows = connection.execute(select(REPORTS).where(REPORTS.c.number == number)).all()
        return next(iter(_with_photos(connection, rows)), None)


def _with_photos(connection: Connection, rows: Sequence[Row[Any]]) -> list[Report]:
    photos: dict[str, list[Photo]] = defaultdict(list)
    ids = [row.id for row in rows]
    for start in range(0, len(ids), BATCH):
        query = select(REPORT_PHOTOS).where(
            REPORT_PHOTOS.c.report_id.in_(ids[start : start + BATCH])
        )
        for row in connection.execute(query.order_by(REPORT_PHOTOS.c.number)):
            photos[row.report_id].append(Photo(*(getattr(row, name) for name in _PHOTO)))
    return [
        Report(**{name: getattr(row, name) for name in _REPORT}, photos=tuple(photos[row.id]))
        for row in rows
    ]


def history(store: Store, report_id: str) -> list[Event]:
    """Everything that happened to a report, oldest first."""
    query = (
        select(REPORT_EVENTS)
        .where(REPORT_EVENTS.c.report_id == report_id)
        .order_by(REPORT_EVENTS.c.seq)
    )
    with store.read() as connection:
        return [
            Event(row.seq, row.at, row.actor, row.kind, row.detail)
            for row in connection.execute(query)
        ]


def _row(connection: Connection, report_id: str, version: int | None) -> Row[Any]:
    row = connection.execute(select(REPORTS).where(REPORTS.c.id == report_id)).first()
    if row is None:
        raise ReportError("report_unknown")
    if version is not None and row.version != version:
        raise ReportError("report_changed", number=row.number)
    return row


def _change(
    connection: Connection,
    row: Row[Any],
    *,
    by: str,
    kind: str,
    detail: dict[str, Any],
    **values: Any,
) -> None:
    """Add the event, then let the report say the same."""
    at = now()
    connection.execute(
        insert(REPORT_EVENTS).values(
            report_id=row.id, at=at, actor=by, kind=kind, detail=detail, redacted=False
        )
    )
    connection.execute(
        update(REPORTS)
        .where(REPORTS.c.id == row.id)
        .values(version=REPORTS.c.version + 1, changed_at=at, **values)
    )


def move(
    store: Store,
    ids: Iterable[str],
    to: Status,
    *,
    by: str,
    note: str = "",
    version: int | None = None,
) -> int:
    """Bring reports into a state; those that are in it already stay. Returns how many moved.

    A report that is rejected or opened again is taken back from the public.

    Raises:
        ReportError: the state cannot follow, or somebody else was quicker (`version` differs).
    """
    moved = 0
    with store.write() as connection:
        for report_id in ids:
            row = _row(connection, report_id, version)
            if row.status == to:
                continue
            if to not in NEXT[row.status]:
                raise ReportError("report_state", number=row.number, now=row.status, wanted=to)
            values: dict[str, Any] = {"status": to}
            if to not in CONFIRMED and row.release == "released":
                values["release"] = "withheld"
            elif to in CONFIRMED and row.release == "received":
                values["release"] = "checked"
            detail = {"from": row.status, "to": to, "note": note[:MAX_NOTE]}
            _change(connection, row, by=by, kind="status", detail=detail, **values)
            audit.record(connection, actor=by, action=f"report.{to}", subject=report_id)
            moved += 1
    return moved


def assign(store: Store, ids: Iterable[str], to: str, *, by: str) -> None:
    """Name who works on it; an empty name takes it back.

    Raises:
        ReportError: there is no such report.
    """
    with store.write() as connection:
        for report_id in ids:
            row = _row(connection, report_id, None)
            if row.assigned_to != to:
                detail = {"from": row.assigned_to, "to": to[:128]}
                _change(
                    connection, row, by=by, kind="assigned", detail=detail, assigned_to=to[:128]
                )
                audit.record(connection, actor=by, action="report.assign", subject=report_id)


def note(store: Store, report_id: str, text: str, *, by: str) -> None:
    """Write a note for colleagues.

    Raises:
        ReportError: there is no such report.
    """
    with store.write() as connection:
        row = _row(connection, report_id, None)
        _change(connection, row, by=by, kind="note", detail={"text": text[:MAX_NOTE]})


def publish(store: Store, ids: Iterable[str], *, by: str, text: str | None = None) -> int:
    """Let the public see confirmed reports, with `text` as what staff say to it. How many changed.

    Raises:
        ReportError: a report is not confirmed, or its contents were removed.
    """
    changed = 0
    with store.write() as connection:
        for report_id in ids:
            row = _row(connection, report_id, None)
            if row.status not in CONFIRMED or row.redacted_at is not None:
                raise ReportError("report_not_confirmed", number=row.number)
            said = row.public_text if text is None else text[:MAX_NOTE]
            if row.release == "released" and said == row.public_text:
                continue
            detail = {"from": row.release, "text": said}
            _change(connection, row, by=by, kind="published", detail=detail,
                    release="released", public_text=said)  # fmt: skip
            audit.record(connection, actor=by, action="report.publish", subject=report_id)
            changed += 1
    return changed


def withhold(store: Store, ids: Iterable[str], *, by: str) -> None:
    """Take reports back from the public.

    Raises:
        ReportError: there is no such report.
    """
    with store.write() as connection:
        for report_id in ids:
            row = _row(connection, report_id, None)
            if row.release != "withheld":
                _change(
                    connection,
                    row,
                    by=by,
                    kind="withheld",
                    detail={"from": row.release},
                    release="withheld",
                )
                audit.record(connection, actor=by, action="report.withhold", subject=report_id)


def set_effect(
    store: Store, ids: Iterable[str], *, on: bool, by: str, until: datetime | None = None
) -> None:
    """Let confirmed reports close their roads (`until`: staff's own end), or switch that off.

    Raises:
        ReportError: there is no such report.
    """
    with store.write() as connection:
        for report_id in ids:
            row = _row(connection, report_id, None)
            effect = "auto" if on else "off"
            detail = {"effect": effect, "until": until.isoformat() if until else None}
            _change(connection, row, by=by, kind="effect", detail=detail, effect=effect,
                    effect_until=until)  # fmt: skip
            audit.record(connection, actor=by, action=f"report.effect_{effect}", subject=report_id)


def release_photo(
    store: Store, workspace: Workspace, report_id: str, number: int, *, by: str
) -> str:
    """Make the public copy of a photo and let it out; its name.

    Raises:
        ReportError: there is no such photo, or its file is gone.
        StoreError: it cannot be written.
    """
    report = found(store, report_id)
    if report is None or number >= len(report.photos):
        raise ReportError("report_unknown")
    name = photo_files.release(workspace, report.photos[number])
    _set_photo(store, report_id, number, name, by=by)
    return name


def withdraw_photo(
    store: Store, workspace: Workspace, report_id: str, number: int, *, by: str
) -> None:
    """Take a photo back from the public.

    Raises:
        ReportError: there is no such photo.
    """
    old = _set_photo(store, report_id, number, "", by=by)
    if old and not _shown_elsewhere(store, old):
        photo_files.public_path(workspace, old).unlink(missing_ok=True)


def _set_photo(store: Store, report_id: str, number: int, name: str, *, by: str) -> str:
    here = (REPORT_PHOTOS.c.report_id == report_id, REPORT_PHOTOS.c.number == number)
    with store.write() as connection:
        row = _row(connection, report_id, None)
        old = connection.execute(select(REPORT_PHOTOS.c.public_name).where(*here)).scalar()
        if old is None:
            raise ReportError("report_unknown")
        connection.execute(update(REPORT_PHOTOS).where(*here).values(public_name=name))
        kind = "photo_released" if name else "photo_withdrawn"
        _change(connection, row, by=by, kind=kind, detail={"photo": number})
        audit.record(connection, actor=by, action=f"report.{kind}", subject=report_id, photo=number)
        return str(old)


def _shown_elsewhere(store: Store, name: str) -> bool:
    query = (
        select(func.count()).select_from(REPORT_PHOTOS).where(REPORT_PHOTOS.c.public_name == name)
    )
    with store.read() as connection:
        return bool(connection.execute(query).scalar_one())


def public_photo(store: Store, name: str) -> Report | None:
    """The report that shows a released copy to the public; None where none does (any more)."""
    query = (
        select(REPORTS.c.id)
        .join(REPORT_PHOTOS, REPORT_PHOTOS.c.report_id == REPORTS.c.id)
        .where(REPORT_PHOTOS.c.public_name == name, REPORTS.c.release == "released",
               REPORTS.c.status.in_(CONFIRMED), REPORTS.c.redacted_at.is_(None))
        .limit(1)
    )  # fmt: skip
    with store.read() as connection:
        report_id = connection.execute(query).scalar()
    return found(store, report_id) if report_id is not None else None


def merge(store: Store, ids: Iterable[str], into: str, *, by: str) -> int:
    """Let one report stand for others that say the same; those stay, as `merged`. How many.

    Raises:
        ReportError: the one is itself merged, or not there.
    """
    merged = 0
    with store.write() as connection:
        target = _row(connection, into, None)
        if target.status == "merged":
            raise ReportError("report_state", number=target.number, now="merged", wanted="merged")
        for report_id in ids:
            if report_id == into:
                continue
            row = _row(connection, report_id, None)
            if row.status == "merged":
                continue
            chained = update(REPORTS).where(REPORTS.c.merged_into == report_id)
            connection.execute(chained.values(merged_into=into))
            detail = {"from": row.status, "into": into, "number": target.number}
            _change(connection, row, by=by, kind="merged", detail=detail, status="merged",
                    merged_into=into, release="withheld")  # fmt: skip
            _change(connection, target, by=by, kind="merged_here",
                    detail={"of": report_id, "number": row.number})  # fmt: skip
            audit.record(connection, actor=by, action="report.merge", subject=report_id, into=into)
            merged += 1
    return merged


def unmerge(store: Store, report_id: str, *, by: str) -> None:
    """Take a merge back: the report is open again.

    Raises:
        ReportError: it was not merged.
    """
    with store.write() as connection:
        row = _row(connection, report_id, None)
        if row.status != "merged":
            raise ReportError("report_state", number=row.number, now=row.status, wanted="reopened")
        _change(connection, row, by=by, kind="unmerged", detail={"out_of": row.merged_into},
                status="reopened", merged_into=None)  # fmt: skip
        audit.record(connection, actor=by, action="report.unmerge", subject=report_id)


def tell_apart(store: Store, first: str, second: str, *, by: str) -> None:
    """Keep that two reports are about different things, so that the pair is not offered again.

    Raises:
        ReportError: there is no such report.
    """
    with store.write() as connection:
        one, other = _row(connection, first, None), _row(connection, second, None)
        for row, beside in ((one, other), (other, one)):
            detail = {"from": beside.id, "number": beside.number}
            _change(connection, row, by=by, kind="apart", detail=detail)
        audit.record(connection, actor=by, action="report.apart", subject=first, other=second)


def told_apart(store: Store) -> frozenset[tuple[str, str]]:
    """Pairs of ids that staff said are different things; each pair both ways round."""
    query = select(REPORT_EVENTS.c.report_id, REPORT_EVENTS.c.detail).where(
        REPORT_EVENTS.c.kind == "apart"
    )
    with store.read() as connection:
        return frozenset((row.report_id, row.detail["from"]) for row in connection.execute(query))


def redact(store: Store, workspace: Workspace, report_id: str, *, by: str, why: str) -> None:
    """Remove what a person wrote and photographed, as privacy law asks; that it was done stays.

    Text, contact, sender, notes and photos go; category, place, times and states stay. Copies in
    older backups go when those are thrown away.

    Raises:
        ReportError: there is no such report.
    """
    with store.write() as connection:
        row = _row(connection, report_id, None)
        photos = [
            Photo(*(getattr(p, name) for name in _PHOTO))
            for p in connection.execute(
                select(REPORT_PHOTOS).where(REPORT_PHOTOS.c.report_id == report_id)
            )
        ]
        others = select(REPORT_PHOTOS.c.sha256).where(REPORT_PHOTOS.c.report_id != report_id)
        shared = set(connection.execute(others).scalars())
        connection.execute(REPORT_PHOTOS.delete().where(REPORT_PHOTOS.c.report_id == report_id))
        events = select(REPORT_EVENTS.c.seq).where(
            REPORT_EVENTS.c.report_id == report_id, REPORT_EVENTS.c.redacted.is_(False),
            REPORT_EVENTS.c.kind.in_(("note", "status", "published")),
        )  # fmt: skip
        for seq in connection.execute(events).scalars().all():
            blank = update(REPORT_EVENTS).where(REPORT_EVENTS.c.seq == seq)
            connection.execute(blank.values(redacted=True, detail={"redacted": True}))
        _change(connection, row, by=by, kind="redacted",
                detail={"why": why[:200], "photos": len(photos)}, text="", contact="", sender="",
                public_text="", release="withheld", redacted_at=now())  # fmt: skip
        audit.record(connection, actor=by, action="report.redact", subject=report_id)
    for photo in photos:
        if photo.sha256 not in shared:
            photo_files.forget(workspace, photo)
    store.forget_deleted()


def photo_names(store: Store) -> frozenset[str]:
    """SHA-256 of every photo that a report names."""
    with store.read() as connection:
        return frozenset(connection.execute(select(REPORT_PHOTOS.c.sha256).distinct()).scalars())


def photos_kept(store: Store) -> list[Photo]:
    """Every photo that a report names, once."""
    with store.read() as connection:
        rows = connection.execute(select(REPORT_PHOTOS).order_by(REPORT_PHOTOS.c.sha256)).all()
    return list(
        {row.sha256: Photo(*(getattr(row, name) for name in _PHOTO)) for row in rows}.values()
    )
