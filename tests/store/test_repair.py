"""A spoiled page, a lost log, a full disk: everything acknowledged comes back, and nothing else."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update

from citymap.store import Store, StoreError, audit, jobs, open_store, redo
from citymap.store.repair import Keeper, open_or_repair, repair
from citymap.store.tables import FACTS


def keep(store: Store, name: str, value: str = "x") -> None:
    with store.write() as connection:
        connection.execute(insert(FACTS).values(name=name, value=value))


def kept(store: Store) -> dict[str, str]:
    with store.read() as connection:
        return {row.name: row.value for row in connection.execute(select(FACTS))}


def spoil(path: Path, chance: random.Random, pages: int = 2) -> None:
    """Overwrite pages of the file with noise, as a failing disk would."""
    count = path.stat().st_size // 4096
    with path.open("r+b") as handle:
        for page in chance.sample(range(count), min(pages, count)):
            handle.seek(page * 4096)
            handle.write(chance.randbytes(4096))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.mark.parametrize("seed", range(5))
def test_a_spoiled_file_comes_back_with_everything_acknowledged(path: Path, seed: int) -> None:
    store = open_store(path, check=True)
    for i in range(60):
        keep(store, f"n{i}", "y" * 300)
    job = jobs.submit(store, "x", {"a": [1, 2]}, by="a")
    taken = jobs.claim(store, "w")
    assert taken is not None
    jobs.log(store, taken, "日本語の行")
    with store.write() as connection:
        connection.execute(update(FACTS).where(FACTS.c.name == "n1").values(value="changed"))
        connection.execute(insert(FACTS), [{"name": f"m{i}", "value": "z"} for i in range(5)])
    before = kept(store)
    store.close()
    spoil(path, random.Random(seed), pages=3)
    again, repaired = open_or_repair(path)
    assert repaired
    assert kept(again) == before
    assert jobs.get(again, job.id).state == "running"
    assert [line.text for line in jobs.log_of(again, job.id)] == ["日本語の行"]
    assert audit.broken_at(again) is None
    assert audit.newest(again)[0].action == "store.repaired"
    again.close()
    assert list(path.parent.glob("store.sqlite.damaged-*"))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_lost_log_is_made_good(path: Path) -> None:
    store = open_store(path)
    keep(store, "a")
    store.close()
    old = path.read_bytes()
    store = open_store(path)
    keep(store, "b")
    keep(store, "c")
    store.close()
    path.write_bytes(old)  # as if the log with the last commits had gone
    store = open_store(path)
    assert set(kept(store)) == {"a", "b", "c"}
    store.close()


def test_what_was_not_committed_does_not_come_back(path: Path) -> None:
    store = open_store(path)
    keep(store, "a")
    with pytest.raises(RuntimeError), store.write() as connection:
        connection.execute(insert(FACTS).values(name="never", value="x"))
        raise RuntimeError
    keep(store, "b")
    store.close()
    store = open_store(path)
    assert set(kept(store)) == {"a", "b"}
    store.close()


def test_a_torn_record_at_the_end_is_left_out(path: Path) -> None:
    store = open_store(path)
    keep(store, "a")
    store.close()
    whole = redo.redo_of(path).read_bytes()
    for cut in (1, 5, len(whole.splitlines(keepends=True)[-1]) - 1):
        redo.redo_of(path).write_bytes(whole[:-cut])
        assert len(list(redo.records(path))) == len(whole.splitlines()) - 1
        opened = open_store(path)
        assert set(kept(opened)) == {"a"}
        opened.close()


def test_without_a_copy_damage_is_said_and_nothing_is_touched(path: Path) -> None:
    store = open_store(path)
    keep(store, "a")
    store.close()
    redo.mirror_of(path).unlink()
    path.write_bytes(os.urandom(8192))
    content = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        open_or_repair(path)
    assert caught.value.key == "store_damaged"
    assert path.read_bytes() == content


def test_a_full_disk_is_said_and_leaves_no_ghost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(path)
    keep(store, "a")
    with store.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    with store.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    size = redo.redo_of(path).stat().st_size
    with pytest.raises(StoreError) as caught:
        keep(store, "big", "x" * 100_000)
    assert caught.value.key == "store_full"
    assert redo.redo_of(path).stat().st_size == size

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(redo.os, "write", full)
    with pytest.raises(StoreError) as caught:
        keep(store, "small")
    assert caught.value.key == "store_full"
    monkeypatch.undo()
    assert set(kept(store)) == {"a"}
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    keep(store, "b")
    store.close()
    store = open_store(path)
    assert set(kept(store)) == {"a", "b"}
    store.close()


def test_a_new_copy_begins_the_record_anew(path: Path) -> None:
    store = open_store(path)
    keep(store, "a")
    assert redo.redo_of(path).stat().st_size > 0
    store.refresh_mirror()
    assert redo.redo_of(path).stat().st_size == 0
    keep(store, "b")
    store.close()
    path.unlink()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert repair(path) == 1
    store = open_store(path)
    assert set(kept(store)) == {"a", "b"}
    store.close()


def test_a_damaged_file_is_never_copied_over_the_good_copy(path: Path) -> None:
    store = open_store(path)
    for i in range(60):
        keep(store, f"n{i}", "y" * 300)
    store.close()
    store = open_store(path)
    good = redo.mirror_of(path).read_bytes()
    spoil(path, random.Random(3), pages=6)
    with pytest.raises(StoreError):
        store.refresh_mirror()
    assert redo.mirror_of(path).read_bytes() == good
    store.close()


def test_the_keeper_notices_and_repairs(path: Path) -> None:
    store, repaired = open_or_repair(path)
    assert not repaired
    for i in range(60):
        keep(store, f"n{i}", "y" * 300)
    keeper = Keeper(path, store, every_s=0)
    assert not keeper.damaged()
    store.close()
    spoil(path, random.Random(1), pages=4)
    assert keeper.damaged()
    keeper.repair()
    assert len(kept(keeper.store)) == 60
    assert not keeper.damaged()
    keeper.store.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=5)), max_size=12),
    st.integers(0, 12),
)
def test_copy_and_record_always_give_the_file_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], copy_at: int
) -> None:
    path = tmp_path_factory.mktemp("law") / "s.sqlite"
    store = open_store(path)
    for i, (name, value) in enumerate(steps):
        if i == copy_at:
            store.refresh_mirror()
        with store.write() as connection:
            done = connection.execute(update(FACTS).where(FACTS.c.name == name).values(value=value))
            if not done.rowcount:
                connection.execute(insert(FACTS).values(name=name, value=value))
    before = kept(store)
    store.close()
    redo.rebuilt(path, path.with_name("other"))
    with closing(sqlite3.connect(path.with_name("other"))) as other:
        assert dict(other.execute("SELECT name, value FROM facts").fetchall()) == before
