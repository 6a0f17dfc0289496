"""Backup and restore: complete, checked, taken while the city runs, all or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import postgres_server
from citymap.errors import BadInputError, CancelledError, CitymapError
from citymap.operations import backup as backups
from citymap.progress import Quiet
from citymap.store import Store, audit, open_store
from citymap.workspace import Workspace, write_text


def files(workspace: Workspace) -> dict[str, bytes]:
    return {
        p.relative_to(workspace.root).as_posix(): p.read_bytes()
        for p in workspace.root.rglob("*")
        if p.is_file() and not p.name.startswith(("store.sqlite", "."))
    }


def subjects(where: str | Path | Workspace) -> list[str]:
    store = open_store(where)
    try:
        return [entry.subject for entry in audit.entries(store)]
    finally:
        store.close()


def test_what_was_there_is_there_again(city: Workspace, tmp_path: Path) -> None:
    made = backups.back_up(city, tmp_path / "b.zip", progress=Quiet())
    other = Workspace(tmp_path / "other")
    backups.restore(tmp_path / "b.zip", other, progress=Quiet())
    left_out = ("downloads/", "quarantine/", "backups/", ".hidden/")
    assert files(other) == {k: v for k, v in files(city).items() if not k.startswith(left_out)}
    assert subjects(other) == subjects(city)
    assert subjects(other)[-1] == ""  # the row that says a backup was made
    assert made.code == "09999"
    assert (other.root / "store.sqlite").stat().st_mode & 0o077 == 0
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0
    store = open_store(other)
    assert audit.broken_at(store) is None
    store.close()


def test_tiles_can_be_left_out(city: Workspace, tmp_path: Path) -> None:
    backups.back_up(city, tmp_path / "b.zip", tiles=False, progress=Quiet())
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert not [n for n in archive.namelist() if n.startswith("tiles/")]


@pytest.mark.parametrize("way", ["to", "from"])
def test_a_store_moves_between_sqlite_and_postgresql(
    city: Workspace,
    tmp_path: Path,
    way: str,
    postgres: postgres_server.Server,
) -> None:
    url = postgres.database(f"t{uuid.uuid4().hex[:12]}")
    wanted = subjects(city)
    backups.back_up(city, tmp_path / "b.zip", progress=Quiet())
    other = Workspace(tmp_path / "other")
    backups.restore(tmp_path / "b.zip", other, store_url=url, progress=Quiet())
    assert not list(other.root.glob("store.sqlite*"))
    assert subjects(url)[: len(wanted)] == wanted
    store = open_store(url)
    with store.write() as connection:  # the numbering goes on
        audit.record(connection, actor="a", action="test.after")
    assert audit.broken_at(store) is None
    store.close()
    if way == "from":
        backups.back_up(other, tmp_path / "pg.zip", store_url=url, progress=Quiet())
        back = Workspace(tmp_path / "back")
        backups.restore(tmp_path / "pg.zip", back, progress=Quiet())
        assert subjects(back)[: len(wanted)] == wanted
        with pytest.raises(BadInputError) as caught:
            backups.restore(
                tmp_path / "pg.zip", Workspace(tmp_path / "x"), store_url=url, progress=Quiet()
            )
        assert caught.value.key == "restore_store_not_empty"
        assert not (tmp_path / "x").exists()


def test_a_backup_under_fire_is_one_moment(city: Workspace, tmp_path: Path) -> None:
    """Rows and files keep changing; each row's file is in the archive, and nothing is half."""
    stop = threading.Event()
    store = open_store(city)

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write_text(city.root / "photos" / f"{number}.txt", f"{number} " * 50)
            with store.write() as connection:
                audit.record(connection, actor="a", action="photo.kept", subject=str(number))
            write_text(city.root / "status.json", f'{{"n": {number}}}')
            stop.wait(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(3):
            backups.back_up(city, tmp_path / f"{turn}.zip", progress=Quiet())
    finally:
        stop.set()
        writer.join()
        store.close()
    for turn in range(3):
        other = Workspace(tmp_path / f"r{turn}")
        backups.restore(tmp_path / f"{turn}.zip", other, progress=Quiet())
        opened = open_store(other)
        for entry in audit.entries(opened):
            if entry.action == "photo.kept":
                assert (other.root / "photos" / f"{entry.subject}.txt").is_file()
        assert audit.broken_at(opened) is None
        opened.close()
    assert not list(city.root.glob(".backup-*"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import small_city

    folder = tmp_path_factory.mktemp("archived")
    city = small_city.make(folder / "city", 3)
    open_store(city).close()
    backups.back_up(city, folder / "b.zip", progress=Quiet())
    return (folder / "b.zip").read_bytes()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_archive_is_refused_and_leaves_nothing(
    archive: bytes, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    at = data.draw(st.integers(0, len(archive) - 1))
    bad = bytearray(archive)
    if data.draw(st.booleans()):
        bad[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del bad[at:]
    (folder / "b.zip").write_bytes(bad)
    target = Workspace(folder / "city")
    try:
        backups.restore(folder / "b.zip", target, progress=Quiet())
    except BadInputError as error:
        assert error.key in {"backup_damaged", "backup_unreadable"}
        assert [p.name for p in folder.iterdir()] == ["b.zip"]
    else:  # a bit of the zip that nothing depends on: times, attributes
        with zipfile.ZipFile(folder / "b.zip") as read:
            listed = backups.read_list(read, "b.zip")
        assert set(listed.files) <= {*files(target), "store.sqlite"}


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    import json
    from dataclasses import asdict

    listed = backups.BackupList(1, "0", "", "x", "09999", False, "", None,
                                {"../evil": {"bytes": 1, "sha256": ""}})  # fmt: skip
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("backup.json", json.dumps(asdict(listed)))
        archive.writestr("../evil", "x")
    with pytest.raises(BadInputError) as caught:
        backups.restore(tmp_path / "b.zip", Workspace(tmp_path / "a" / "city"), progress=Quiet())
    assert caught.value.key == "backup_unreadable"
    assert not list(tmp_path.rglob("evil"))


def test_a_place_that_is_not_empty_is_left_alone(city: Workspace, tmp_path: Path) -> None:
    backups.back_up(city, tmp_path / "b.zip", progress=Quiet())
    before = files(city)
    with pytest.raises(BadInputError) as caught:
        backups.restore(tmp_path / "b.zip", city, progress=Quiet())
    assert caught.value.key == "restore_not_empty"
    assert files(city) == before


def test_a_cancelled_backup_leaves_the_old_one(city: Workspace, tmp_path: Path) -> None:
    backups.back_up(city, tmp_path / "b.zip", progress=Quiet())
    before = (tmp_path / "b.zip").read_bytes()
    progress = Quiet()
    progress.cancel()
    with pytest.raises(CancelledError):
        backups.back_up(city, tmp_path / "b.zip", progress=progress)
    assert (tmp_path / "b.zip").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.zip", "city"]
    assert not list(city.root.glob(".backup-*"))


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_is_said_and_nothing_half_written_is_left(
    city: Workspace, tmp_path: Path
) -> None:
    """A process that may write 4 kB a file: what a full disk does, without one."""
    script = (
        "import resource, signal, sys\n"
        "from citymap.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "sys.argv = ['citymap', 'backup', sys.argv[1], '--city', sys.argv[2]]\n"
        "main()\n"
    )
    (city.root / "store.sqlite").unlink()  # the store has words of its own for it
    target = tmp_path / "out" / "b.zip"
    target.parent.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(target), str(city.root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(target.parent.iterdir()) == []


def test_too_little_room_is_known_before_anything_is_written(
    city: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups.back_up(city, tmp_path / "b.zip", progress=Quiet())

    class Usage:
        free = 1000

    monkeypatch.setattr(backups.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(CitymapError) as caught:
        backups.restore(tmp_path / "b.zip", Workspace(tmp_path / "r" / "c"), progress=Quiet())
    assert caught.value.key == "no_room"
    assert list((tmp_path / "r").iterdir()) == []


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for day in range(1, 6):
        (tmp_path / f"citymap-09999-202601{day:02d}T000000Z.zip").write_text("")
    (tmp_path / "mine.zip").write_text("")
    backups.prune(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "citymap-09999-20260104T000000Z.zip", "citymap-09999-20260105T000000Z.zip", "mine.zip"
    ]  # fmt: skip


def test_a_store_is_not_opened_for_nothing(city: Workspace, tmp_path: Path) -> None:
    for path in city.root.glob("store.sqlite*"):
        path.unlink()
    made = backups.back_up(city, tmp_path / "b.zip", progress=Quiet())
    assert made.store == ""
    assert not (city.root / "store.sqlite").exists()
    assert isinstance(Store, type)
