"""Writes that share a transaction: all or none of each, and nobody pays for another's mistake."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, text

from citymap.store import Store, StoreError
from citymap.store.together import Together


def table(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("CREATE TABLE said (word VARCHAR(20) PRIMARY KEY)"))


def words(store: Store) -> list[str]:
    with store.read() as connection:
        return sorted(connection.execute(text("SELECT word FROM said")).scalars())


def many(store: Store, acts: list[Any]) -> list[Any]:
    """Each act in a thread of its own, all waiting for the same turn; results or errors."""
    out: list[Any] = [None] * len(acts)

    def one(number: int) -> None:
        try:
            out[number] = store.write_together(acts[number])
        except Exception as error:
            out[number] = error

    def slow(_: Connection) -> None:
        while len(store._together._deeds) < len(acts):
            time.sleep(0.01)  # until all of the others wait

    first = Thread(target=store.write_together, args=(slow,))
    threads = [Thread(target=one, args=(n,)) for n in range(len(acts))]
    first.start()
    for thread in threads:
        thread.start()
    for thread in (first, *threads):
        thread.join()
    return out


def say(word: str) -> Any:
    def act(connection: Connection) -> str:
        connection.execute(text("INSERT INTO said VALUES (:w)"), {"w": word})
        return word

    return act


def test_those_who_wait_share_one_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(store)
    begun, plain = [], Store.write

    def counted(self: Store, **more: Any) -> Any:
        begun.append(1)
        return plain(self, **more)

    monkeypatch.setattr(Store, "write", counted)
    wanted = [f"w{n:02}" for n in range(20)]
    assert many(store, [say(w) for w in wanted]) == wanted
    assert words(store) == wanted
    assert len(begun) == 2  # the slow first, then all the others


def test_one_bad_deed_costs_the_others_nothing(store: Store) -> None:
    table(store)

    def bad(connection: Connection) -> None:
        connection.execute(text("INSERT INTO said VALUES ('half')"))
        raise ValueError("no")

    out = many(store, [say("a"), bad, say("b"), say("a"), say("c")])
    assert isinstance(out[1], ValueError)
    assert words(store) == ["a", "b", "c"]
    assert sum(isinstance(o, Exception) for o in out) == 2  # the bad one, and one of the two "a"


def test_a_store_that_is_away_is_everybodys_answer() -> None:
    tried = []

    def write() -> Any:
        tried.append(1)
        raise StoreError("store_gone", place="x", reason="y")

    line = Together()
    for _ in range(3):
        with pytest.raises(StoreError):
            line.do(write, lambda _: None, gone=StoreError)
    assert len(tried) == 3


def test_what_is_acknowledged_is_there_after_a_reopen(store: Store) -> None:
    table(store)
    many(store, [say(f"w{n}") for n in range(8)])
    if store.path is not None:
        from citymap.store import open_store

        again = open_store(store.path, check=True)
        assert len(words(again)) == 8
        again.close()
    assert len(words(store)) == 8
