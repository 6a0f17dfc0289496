"""The store keeps what it acknowledged, moves forward from every revision, and says what is wrong."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text

sys.path.insert(0, str(Path(__file__).parents[1]))
import postgres_server
from citymap.store import Store, StoreError, audit, engine, open_store
from citymap.store.tables import FACTS, METADATA
from citymap.workspace import Workspace

MADE_BY_POSTGIS = {"geom", "ix_reports_geom"}


def keep(store: Store, name: str, value: str = "x") -> None:
    with store.write() as connection:
        connection.execute(insert(FACTS).values(name=name, value=value))


def kept(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(select(FACTS.c.name)).scalars())


def test_what_is_written_is_there_after_opening_again(where: str | Path) -> None:
    first = open_store(where)
    keep(first, "a")
    first.close()
    again = open_store(where, check=True)
    assert kept(again) == {"a"}
    again.close()


def test_a_block_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as connection:
        connection.execute(insert(FACTS).values(name="a", value="x"))
        raise RuntimeError
    assert kept(store) == set()


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError) as caught, store.read() as connection:
        connection.execute(insert(FACTS).values(name="a", value="x"))
    assert caught.value.key == "store_read_only"
    keep(store, "b")
    assert kept(store) == {"b"}


def test_a_read_sees_one_moment(store: Store) -> None:
    if store.postgresql:
        pytest.skip("read committed on PostgreSQL")
    with store.read() as connection:
        before = connection.execute(select(FACTS)).all()
        keep(store, "a")
        assert connection.execute(select(FACTS)).all() == before
    assert kept(store) == {"a"}


@pytest.mark.parametrize("revision", [None, *engine.revisions()[:-1]])
def test_tables_move_forward_from_every_revision(where: str | Path, revision: str | None) -> None:
    if revision is not None:
        found = engine.location(where)
        old = (
            Store(engine._postgresql(found), None)
            if isinstance(found, str)
            else Store(engine._sqlite(found), found)
        )
        engine.migrate(old, revision)
        assert old.revision() == revision
        keep(old, "from before")
        old.close()
    store = open_store(where)
    assert store.revision() == engine.revisions()[-1]
    if revision is not None:
        assert kept(store) == {"from before"}
    with store.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    name in METADATA.tables if kind == "table" else name not in MADE_BY_POSTGIS
                )
            },
        )
        assert compare_metadata(context, METADATA) == []
        schemas = inspect(connection).get_schema_names() if store.postgresql else []
    if revision is not None:
        if store.path is None:
            assert any(s.startswith(f"citymap_before_{revision}_") for s in schemas)
        else:
            copies = list((store.path.parent / "backups").iterdir())
            assert len(copies) == 1
            with closing(sqlite3.connect(copies[0])) as copy:
                assert copy.execute("SELECT name FROM facts").fetchall() == [("from before",)]
            assert stat.S_IMODE(copies[0].stat().st_mode) == 0o600
    store.close()


def test_a_migration_that_breaks_off_leaves_the_old_tables(
    where: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = engine.location(where)
    old = (
        Store(engine._postgresql(found), None)
        if isinstance(found, str)
        else Store(engine._sqlite(found), found)
    )
    engine.migrate(old, "0001")
    upgrade = engine.command.upgrade

    def half(config: object, revision: str) -> None:
        upgrade(config, revision)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.command, "upgrade", half)
    with pytest.raises(KeyboardInterrupt):
        engine.migrate(old)
    assert old.revision() == "0001"
    monkeypatch.undo()
    engine.migrate(old)
    assert old.revision() == engine.revisions()[-1]
    old.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError) as caught:
        engine.migrate(store)
    assert caught.value.key == "store_newer"
    assert store.revision() == "9999"


def test_processes_that_open_an_empty_store_together_all_succeed(where: str | Path) -> None:
    code = "import sys; from citymap.store import open_store; print(open_store(sys.argv[1]).revision())"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(where)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert {p.communicate(timeout=120)[0].strip() for p in started} == {engine.revisions()[-1]}


@pytest.mark.slow
def test_sixteen_clients_that_read_and_write_lose_nothing(where: str | Path) -> None:
    """Each reads a number and writes one more: a lost update would show in the sum."""
    store = open_store(where)
    keep(store, "sum", "0")
    code = textwrap.dedent("""
        import sys, threading
        from sqlalchemy import select, update
        from citymap.store import open_store
        from citymap.store.tables import FACTS
        store = open_store(sys.argv[1])
        query = select(FACTS.c.value).where(FACTS.c.name == "sum")
        def add():
            for _ in range(25):
                with store.write(patience_s=60) as connection:
                    value = int(connection.execute(query).scalar_one())
                    connection.execute(update(FACTS).where(FACTS.c.name == "sum").values(value=str(value + 1)))
        threads = [threading.Thread(target=add) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
    """)
    processes = [subprocess.Popen([sys.executable, "-c", code, str(where)]) for _ in range(4)]
    assert [p.wait(120) for p in processes] == [0] * 4
    with store.read() as connection:
        found = connection.execute(select(FACTS.c.value).where(FACTS.c.name == "sum")).scalar_one()
    assert found == "400"
    store.close()


def test_threads_that_wait_too_long_hear_that_it_is_busy(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s.sqlite")
    said: list[str] = []

    def late() -> None:
        try:
            with store.write(patience_s=0.05):
                pass
        except StoreError as error:
            said.append(error.key)

    with store.write():
        thread = threading.Thread(target=late)
        thread.start()
        thread.join()
    assert said == ["store_busy"]


def test_the_audit_cannot_be_changed(store: Store) -> None:
    with store.write() as connection:
        audit.record(connection, actor="a", action="x")
    changes = ["UPDATE audit SET actor = 'b'", "DELETE FROM audit"]
    changes += ["TRUNCATE audit"] if store.postgresql else []
    for change in changes:
        with pytest.raises(Exception, match="append-only"), store.write() as connection:
            connection.execute(text(change))
    assert audit.newest(store)[0].actor == "a"


def test_sqlite_is_private_durable_and_checks_references(tmp_path: Path) -> None:
    store = open_store(Workspace(tmp_path))
    assert store.path == tmp_path / "store.sqlite"
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    with store.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    keep(store, "a")
    for file in tmp_path.glob("store.sqlite*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.close()


def test_a_damaged_file_is_said_and_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s.sqlite")
    for i in range(200):
        keep(store, f"n{i}", "y" * 500)
    store.close()
    with (tmp_path / "s.sqlite").open("r+b") as handle:
        handle.seek(4096 * 5)
        handle.write(os.urandom(4096 * 3))
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "s.sqlite", check=True)
    assert caught.value.key == "store_damaged"
    (tmp_path / "t.sqlite").write_text("this is not a database, but a text " * 100)
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "t.sqlite")
    assert caught.value.key == "store_damaged"


def test_an_unusable_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for where, key in (
        (tmp_path / "no" / "such" / "folder.sqlite", "store_read_only"),
        ("mysql://localhost/x", "store_url"),
        ("postgresql://nobody@127.0.0.1:1/x", "store_gone"),
    ):
        with pytest.raises(StoreError) as caught:
            open_store(where, patience_s=0.1)
        assert caught.value.key == key


def test_a_copy_taken_while_others_write_is_whole(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s.sqlite")
    for i in range(50):
        keep(store, f"n{i}")
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            keep(store, f"m{number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    store.backup(tmp_path / "copy.sqlite")
    done.set()
    writer.join()
    copy = open_store(tmp_path / "copy.sqlite", check=True)
    assert {f"n{i}" for i in range(50)} <= kept(copy)
    copy.close()
    store.close()


def test_postgis_is_there_where_the_server_has_it(where: str | Path) -> None:
    store = open_store(where)
    if not store.postgresql:
        pytest.skip("SQLite has no PostGIS")
    with store.read() as connection:
        has = connection.execute(
            text("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'")
        ).scalar_one()
        if not has:
            pytest.skip("PostGIS is not installed beside this PostgreSQL")
        assert connection.execute(text("SELECT PostGIS_Lib_Version()")).scalar_one()
    store.close()


@pytest.mark.slow
def test_a_database_that_was_away_is_said_and_found_again(
    postgres: postgres_server.Server,
) -> None:
    store = open_store(postgres.database("away"))
    keep(store, "before")
    postgres.stop()
    try:
        with pytest.raises(StoreError) as caught, store.write(patience_s=0.1):
            pass
        assert caught.value.key == "store_gone"
    finally:
        postgres.start()
    keep(store, "after")
    assert kept(store) == {"before", "after"}
    store.close()
