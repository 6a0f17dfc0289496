"""One report, once; what staff do with it; and a history that nobody can change."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_samples import AT, LAT, LON, body, checked, exif, picture
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from citymap.reports import desk, duplicates, photos, receive
from citymap.reports.categories import catalogue
from citymap.reports.desk import Filter
from citymap.reports.model import NEXT, STATUSES, Receipt, Report, ReportError, Sender
from citymap.reports.trust import trust
from citymap.store import Store, audit
from citymap.workspace import Workspace

PERSON = Sender("device:a", "public")


def send(
    store: Store, city: Workspace, data: dict[str, Any], *pictures: bytes, sender: Sender = PERSON
) -> Receipt:
    kept = [photos.check(p) for p in pictures]
    report = checked(data, photos=[k.sent_sha256 for k in kept])
    return receive.accept(store, city, report, kept, sender=sender, at=AT)


def sent(store: Store, city: Workspace, *pictures: bytes, **changed: Any) -> Report:
    report = desk.found(store, send(store, city, body(**changed), *pictures).id)
    assert report is not None
    return report


def test_a_report_is_there_as_it_was_said(store: Store, city: Workspace) -> None:
    report = sent(store, city, picture(exif=exif()), picture("PNG"))
    assert (report.number, report.status, report.release) == (1, "new", "received")
    assert (report.lon, report.lat, report.text) == (LON, LAT, "橋の下が通れません")
    assert [p.media_type for p in report.photos] == ["image/jpeg", "image/png"]
    assert all(photos.path_of(city, p).is_file() for p in report.photos)
    assert [e.kind for e in desk.history(store, report.id)] == ["received"]


def test_sent_again_it_is_the_same_and_another_body_is_refused(
    store: Store, city: Workspace
) -> None:
    data, picked = body(), picture()
    first = send(store, city, data, picked)
    again = send(store, city, data, picked)
    assert (first.new, again.new) == (True, False)
    assert (again.id, again.number, again.received_at) == (
        first.id,
        first.number,
        first.received_at,
    )
    for other in ((data | {"text": "x"}, picked), (data,)):
        with pytest.raises(ReportError, match="another report"):
            send(store, city, *other)  # type: ignore[arg-type]
    assert desk.count(store) == 1


def test_many_at_once_with_one_id_make_one(store: Store, city: Workspace) -> None:
    data, got = body(), []
    threads = [Thread(target=lambda: got.append(send(store, city, data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.new for r in got].count(True) == 1
    assert len(got) == 8
    assert desk.count(store) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(sends=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b"])), max_size=12))
def test_any_order_of_sending_and_sending_again(
    sends: list[tuple[int, str]], lite: Store, city: Workspace
) -> None:
    """The first body of an id wins, every repetition gets its receipt, the other body a 422."""
    run = uuid.uuid4().hex[:8]
    before, first = desk.count(lite), dict[int, str]()
    for who, said in sends:
        data = body(id=f"{run}-0000-4000-8000-{who:012d}", text=said)
        if first.setdefault(who, said) == said:
            send(lite, city, data)
        else:
            with pytest.raises(ReportError, match="another report"):
                send(lite, city, data)
    assert desk.count(lite) - before == len(first)


def test_the_history_cannot_be_changed(store: Store, city: Workspace) -> None:
    report = sent(store, city)
    for statement in (
        "UPDATE report_events SET actor = 'me'",
        "UPDATE report_events SET kind = 'x', redacted = true",
        "DELETE FROM report_events",
    ):
        with pytest.raises(DBAPIError, match="only added to"), store.write() as connection:
            connection.execute(text(statement))
    assert [e.kind for e in desk.history(store, report.id)] == ["received"]


def test_every_step_of_the_workflow_and_no_other(store: Store, city: Workspace) -> None:
    for start in STATUSES:
        for to in STATUSES:
            report = sent(store, city)
            with store.write() as connection:
                connection.execute(
                    text("UPDATE reports SET status = :s WHERE id = :i"),
                    {"s": start, "i": report.id},
                )
            if to in NEXT[start]:
                assert desk.move(store, [report.id], to, by="ono", note="見た") == 1
                last = desk.history(store, report.id)[-1]
                assert (last.kind, last.actor, last.detail["to"]) == ("status", "ono", to)
            elif to == start:
                assert desk.move(store, [report.id], to, by="ono") == 0
            else:
                with pytest.raises(ReportError, match="cannot go from"):
                    desk.move(store, [report.id], to, by="ono")
    assert audit.broken_at(store) is None


def test_two_people_cannot_overwrite_each_other(store: Store, city: Workspace) -> None:
    report = sent(store, city)
    desk.move(store, [report.id], "confirmed", by="ono", version=report.version)
    with pytest.raises(ReportError, match="somebody else"):
        desk.move(store, [report.id], "rejected", by="abe", version=report.version)
    now = desk.found(store, report.id)
    assert now is not None
    assert now.status == "confirmed"


def test_a_bulk_change_happens_whole_or_not_at_all(store: Store, city: Workspace) -> None:
    one, other = sent(store, city), sent(store, city)
    desk.move(store, [other.id], "rejected", by="ono")
    with pytest.raises(ReportError):
        desk.move(store, [one.id, other.id], "confirmed", by="ono")
    now = desk.found(store, one.id)
    assert now is not None
    assert now.status == "new"


def test_only_what_is_confirmed_is_published_and_rejecting_takes_it_back(
    store: Store, city: Workspace
) -> None:
    report = sent(store, city)
    with pytest.raises(ReportError, match="not confirmed"):
        desk.publish(store, [report.id], by="ono")
    desk.move(store, [report.id], "confirmed", by="ono")
    assert desk.publish(store, [report.id], by="ono", text="通行止めです") == 1
    assert desk.publish(store, [report.id], by="ono") == 0
    desk.move(store, [report.id], "rejected", by="ono")
    now = desk.found(store, report.id)
    assert now is not None
    assert (now.release, now.public_text) == ("withheld", "通行止めです")


def test_merging_keeps_both_and_can_be_taken_back(store: Store, city: Workspace) -> None:
    one, two, three = (sent(store, city) for _ in range(3))
    assert desk.merge(store, [two.id], one.id, by="ono") == 1
    assert desk.merge(store, [one.id], three.id, by="ono") == 1  # the chain is drawn tight
    assert {desk.found(store, r.id).merged_into for r in (one, two)} == {three.id}  # type: ignore[union-attr]
    with pytest.raises(ReportError):
        desk.merge(store, [three.id], two.id, by="ono")
    desk.unmerge(store, two.id, by="ono")
    back = desk.found(store, two.id)
    assert back is not None
    assert (back.status, back.merged_into) == ("reopened", None)
    assert [e.kind for e in desk.history(store, two.id)] == ["received", "merged", "unmerged"]


def test_photos_are_public_only_while_released(store: Store, city: Workspace) -> None:
    report = sent(store, city, picture(exif=exif()))
    name = desk.release_photo(store, city, report.id, 0, by="ono")
    assert desk.public_photo(store, name) is None  # the report itself is not public
    desk.move(store, [report.id], "confirmed", by="ono")
    desk.publish(store, [report.id], by="ono")
    assert desk.public_photo(store, name) is not None
    desk.withdraw_photo(store, city, report.id, 0, by="ono")
    assert desk.public_photo(store, name) is None
    assert not photos.public_path(city, name).exists()


def test_redaction_removes_what_a_person_said_and_says_that_it_did(
    store: Store, city: Workspace
) -> None:
    shared = picture()
    other = sent(store, city, shared)
    report = sent(store, city, picture(exif=exif()), shared, text="himitsu", contact="himitsu")
    desk.note(store, report.id, "himitsu desu", by="ono")
    desk.redact(store, city, report.id, by="ono", why="本人の申出")
    now = desk.found(store, report.id)
    assert now is not None
    assert (now.text, now.contact, now.sender, now.photos, now.release) == (
        "",
        "",
        "",
        (),
        "withheld",
    )
    assert not photos.path_of(city, report.photos[0]).exists()
    assert photos.path_of(city, other.photos[0]).exists()
    events = desk.history(store, report.id)
    assert [e.kind for e in events] == ["received", "note", "redacted"]
    assert "himitsu" not in repr(events)
    if store.path is not None:
        for path in store.path.parent.glob("store.sqlite*"):
            assert b"himitsu" not in path.read_bytes(), path.name
    # Sent again by the device, it stays removed.
    with pytest.raises(ReportError):
        send(store, city, body(id=report.id))


def test_filters(store: Store, city: Workspace) -> None:
    a = sent(store, city, text="橋 100%")
    b = sent(store, city, picture(), category="breach", depth_m=None, text="堤防")
    desk.assign(store, [b.id], "ono", by="abe")
    desk.move(store, [b.id], "confirmed", by="abe")

    def ids(**wanted: Any) -> set[str]:
        return {r.id for r in desk.listed(store, Filter(**wanted))}

    assert ids() == {a.id, b.id}
    assert ids(statuses=("new",)) == {a.id}
    assert ids(categories=("breach",)) == {b.id} == ids(assigned_to="ono") == ids(with_photos=True)
    assert ids(words="100%") == {a.id}
    assert ids(words="%") == {a.id}
    assert ids(words="' OR 1=1 --") == set()
    assert ids(bounds=(0, 0, 1, 1)) == set()
    assert ids(since=AT + timedelta(seconds=1)) == set()
    assert ids(ids=(a.id,)) == {a.id}
    before = desk.stamp(store)
    desk.note(store, a.id, "x", by="ono")
    assert desk.stamp(store) != before


def test_an_integrated_gis_reads_the_geometry(store: Store, city: Workspace) -> None:
    if not store.postgresql:
        pytest.skip("PostGIS only")
    sent(store, city)
    with store.read() as connection:
        row = connection.execute(
            text("SELECT ST_X(geom), ST_Y(geom), ST_SRID(geom) FROM reports")
        ).one()
        index = connection.execute(
            text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_reports_geom'")
        ).scalar_one()
    assert tuple(row) == (LON, LAT, 6668)
    assert "gist" in index


def test_trust_grows_with_others_and_fades_with_time(lite: Store, city: Workspace) -> None:
    known = catalogue(None)
    ids = [send(lite, city, body(), sender=Sender(f"device:{n}", "public")).id for n in "aabc"]
    one, same_device, b, c = (desk.found(lite, i) for i in ids)
    assert one and same_device and b and c
    alone = trust(one, [], known, at=AT)
    assert trust(one, [same_device], known, at=AT).level == alone.level
    two = trust(one, [same_device, b], known, at=AT)
    three = trust(one, [same_device, b, c], known, at=AT)
    assert alone.level < two.level < three.level < 1
    assert (two.others, three.others) == (1, 2)
    later = trust(one, [], known, at=AT + timedelta(hours=3))
    assert later.level == pytest.approx(alone.level / 2, rel=0.01)
    desk.move(lite, [one.id], "confirmed", by="ono")
    confirmed = desk.found(lite, one.id)
    assert confirmed is not None
    assert trust(confirmed, [], known, at=one.observed_at).level == 1


def test_duplicates_are_suggested_by_place_time_and_kind(lite: Store, city: Workspace) -> None:
    known = catalogue(None)
    one = sent(lite, city)
    near = sent(lite, city, lon=LON + 0.0002)
    far = sent(lite, city, lon=LON + 0.01)
    other = sent(lite, city, category="lifeline")
    old = sent(lite, city, observed_at=(AT - timedelta(hours=9)).isoformat())
    found = duplicates.pairs([one, near, far, other, old], known)
    assert [(p.first, p.second) for p in found] == [(one.id, near.id)]
    assert 10 < found[0].distance_m < 30
    desk.merge(lite, [near.id], one.id, by="ono")
    assert duplicates.pairs(desk.listed(lite), known) == []


def test_a_store_from_before_reports_is_moved_forward(where: str | Path, city: Workspace) -> None:
    from citymap.store import engine, open_store

    found = engine.location(where)
    old = (
        Store(engine._postgresql(found), None)
        if isinstance(found, str)
        else Store(engine._sqlite(found), found)
    )
    engine.migrate(old, "0002")
    old.close()
    new = open_store(where)
    assert sent(new, city).number == 1
    new.close()
