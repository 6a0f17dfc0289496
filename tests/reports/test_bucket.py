"""Photos on a real S3 server: there before the report is, never lost while it is away, checked when read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import killed_server
import pytest
from report_samples import AT, LAT, LON, body, checked, exif, picture

import s3_server
from citymap.operations import backup, doctor
from citymap.progress import Quiet
from citymap.reports import bucket, desk, photos, receive
from citymap.reports.bucket import Address, AwayError, Bucket
from citymap.reports.model import Photo, Report, ReportError, Sender
from citymap.settings import Settings
from citymap.store import Store, open_store
from citymap.workspace import Workspace


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[s3_server.Server]:
    try:
        running = s3_server.server(tmp_path / "s3")
        server = running.__enter__()
    except s3_server.CannotStartError as why:
        pytest.skip(f"no S3 server can be started: {why}")
    yield server
    running.__exit__(None, None, None)


@pytest.fixture
def used(s3: s3_server.Server, city: Workspace) -> Iterator[Bucket]:
    """The bucket of the city; after a failure it is asked again at once."""
    address = Address(
        s3_server.NAME, "sano-", s3.endpoint, "", s3_server.KEY, s3_server.SECRET
    )  # fmt: skip
    made = Bucket(address, patience_s=20.0, away_s=0.0)
    bucket.use(city, made)
    yield made
    bucket.use(city, None)


def sent(store: Store, city: Workspace, *pictures: bytes) -> Report:
    kept = [photos.check(p) for p in pictures]
    data = checked(body(), photos=[k.sent_sha256 for k in kept])
    receipt = receive.accept(store, city, data, kept, sender=Sender("device:a"), at=AT)
    report = desk.found(store, receipt.id)
    assert report is not None
    return report


def local(city: Workspace) -> list[Path]:
    return photos.waiting(city)


def test_a_photo_is_on_the_server_before_the_report_is(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket
) -> None:
    report = sent(lite, city, picture(exif=exif()))
    (photo,) = report.photos
    (path,) = s3.files()
    assert path.name == f"sano-{photos.path_of(city, photo).name}"
    assert path.stat().st_size == photo.size_bytes
    assert b"himitsu" not in path.read_bytes()
    assert local(city) == []
    assert photos.read(city, photo) == path.read_bytes()
    assert photos.shown(city, photo) is not None
    assert photos.public_path(city, photos.release(city, photo)).is_file()


def test_while_the_server_is_away_the_folder_takes_the_photos(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket
) -> None:
    s3.stop()
    report = sent(lite, city, picture())
    assert len(local(city)) == 1
    assert photos.shown(city, report.photos[0]) is not None
    with pytest.raises(AwayError):
        photos.move(city)
    assert len(local(city)) == 1
    s3.start()
    assert photos.move(city) == 1
    assert local(city) == []
    assert photos.shown(city, report.photos[0]) is not None
    assert photos.move(city) == 0


def test_a_wrong_key_or_a_missing_bucket_loses_nothing(
    lite: Store, city: Workspace, s3: s3_server.Server
) -> None:
    for folder, key in ((s3_server.NAME, "WRONGKEYIDOFTHETESTS"), ("nowhere", s3_server.KEY)):
        address = Address(folder, "", s3.endpoint, "", key, s3_server.SECRET)
        bucket.use(city, Bucket(address, away_s=0.0))
        try:
            report = sent(lite, city, picture())
            assert photos.shown(city, report.photos[0]) is not None
        finally:
            bucket.use(city, None)
    assert len(local(city)) == 2


def test_a_photo_that_was_altered_on_the_server_is_not_shown(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket
) -> None:
    report = sent(lite, city, picture())
    (path,) = s3.files()
    altered = bytearray(path.read_bytes())
    altered[len(altered) // 2] ^= 1
    path.write_bytes(altered)
    assert photos.read(city, report.photos[0]) is None
    with pytest.raises(ReportError, match="photo"):
        photos.release(city, report.photos[0])


def test_a_damaged_photo_of_the_folder_is_not_brought_over(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket
) -> None:
    s3.stop()
    sent(lite, city, picture())
    (path,) = local(city)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    s3.start()
    assert photos.move(city) == 0
    assert local(city) == [path]
    assert s3.files() == []


def test_a_redaction_reaches_the_server_also_later(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket
) -> None:
    first, second = sent(lite, city, picture()), sent(lite, city, picture())
    desk.redact(lite, city, first.id, by="a", why="asked")
    assert len(s3.files()) == 1
    s3.stop()
    desk.redact(lite, city, second.id, by="a", why="asked")
    s3.start()
    photos.move(city)
    assert s3.files() == []


def test_sweep_removes_what_no_report_names(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket
) -> None:
    report = sent(lite, city, picture())
    photos.keep(city, photos.check(picture()))
    assert photos.sweep(city, desk.photo_names(lite)) == 0  # a report may be on its way
    s3.stop()
    for path in s3.files():
        os.utime(path, (time.time() - 7200,) * 2)
    s3.start()
    assert photos.sweep(city, desk.photo_names(lite)) == 1
    assert [p.stem for p in s3.files()] == ["sano-" + report.photos[0].sha256]


def test_the_backup_holds_the_photos_of_the_server(
    lite: Store, city: Workspace, s3: s3_server.Server, used: Bucket, tmp_path: Path
) -> None:
    store = open_store(city)
    report = sent(store, city, picture())
    store.close()
    made = backup.back_up(city, tmp_path / "a.zip", progress=Quiet())
    assert made.photos_left_out == 0
    back = Workspace(tmp_path / "back")
    backup.restore(tmp_path / "a.zip", back, progress=Quiet())
    assert photos.read(back, report.photos[0]) == photos.read(city, report.photos[0])
    s3.stop()
    with pytest.raises(AwayError):
        backup.back_up(city, tmp_path / "b.zip", progress=Quiet())
    assert not (tmp_path / "b.zip").exists()
    without = backup.back_up(city, tmp_path / "c.zip", photos=False, progress=Quiet())
    assert without.photos_left_out == 1


def test_the_doctor_tries_the_server(
    city: Workspace, s3: s3_server.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    look = lambda: list(doctor._photos(city, Settings(city=city.root)))  # noqa: E731
    (fine,) = look()
    assert (fine.id, fine.level) == ("photos_fine", "ok")
    assert s3.files() == []
    assert s3_server.SECRET not in repr(Settings(city=city.root))
    s3.stop()
    (bad,) = look()
    assert (bad.id, bad.level) == ("photos_away", "failed")
    assert s3_server.SECRET not in bad.message("ja")


@pytest.mark.slow
def test_kill_minus_nine_with_photos_on_the_server(
    city: Workspace, s3: s3_server.Server, used: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    out = killed_server.rounds(city.root, "", 5, picture(size=(800, 600)), lon=LON, lat=LAT)
    assert out.fine, out
    assert out.acknowledged >= 5
    assert len(s3.files()) >= 5


def test_without_a_server_everything_stays_in_the_folder(lite: Store, city: Workspace) -> None:
    report = sent(lite, city, picture())
    assert len(local(city)) == 1
    assert photos.move(city) == 0
    assert photos.read(city, report.photos[0]) is not None
    assert photos.read(city, Photo("0" * 64, "image/jpeg", 1, 1, 1, 1)) is None
