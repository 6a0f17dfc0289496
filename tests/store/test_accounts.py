"""Accounts: who is refused, how long, and that no clock locks anybody out for days."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from citymap.store import Store, accounts, audit, sessions
from citymap.store.accounts import AccountError, Role

PASSWORD = "a long phrase of mine"  # noqa: S105


def key(call: object, *arguments: object, **more: object) -> str:
    with pytest.raises(AccountError) as caught:
        call(*arguments, **more)  # type: ignore[operator]
    return caught.value.key


def add(store: Store, name: str = "hana", role: Role = Role.STAFF) -> accounts.Account:
    return accounts.add(store, name, role, PASSWORD, by="test")


def test_roles_hold_the_ones_before_them() -> None:
    roles = list(Role)
    for i, high in enumerate(roles):
        for j, low in enumerate(roles):
            assert high.reaches(low) is (i >= j)


def test_a_name_is_the_same_in_any_width_and_case(store: Store) -> None:
    add(store, "Ｈａｎａ@City")
    assert accounts.log_in(store, " hana@CITY ", PASSWORD).name == "hana@city"
    assert key(add, store, "HANA@city") == "account_exists"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\nb", "<b>", "a/b"])
def test_a_name_that_cannot_be_used_is_refused(store: Store, name: str) -> None:
    assert key(add, store, name) == "account_name"


@pytest.mark.parametrize(
    "word", ["short", "aaaaaaaaaaaa", "1234567890123", "password123", "hana-2026-x", "x" * 300]
)
def test_what_is_guessed_first_is_no_password(store: Store, word: str) -> None:
    assert key(accounts.add, store, "hana", Role.STAFF, word, by="t") == "password_weak"
    assert accounts.count(store) == 0


def test_a_password_is_kept_as_argon2id_and_renewed_when_the_cost_rises(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import select

    from citymap.store.tables import ACCOUNTS

    def kept() -> str:
        with store.read() as connection:
            return str(connection.execute(select(ACCOUNTS.c.password)).scalar_one())

    add(store)
    before = kept()
    assert before.startswith("$argon2id$")
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=2, memory_cost=1024))
    accounts.log_in(store, "hana", PASSWORD)
    assert "t=2" in kept()
    accounts.log_in(store, "hana", PASSWORD)


def test_the_default_hash_is_the_recommended_one() -> None:
    default = PasswordHasher()
    assert (default.memory_cost, default.time_cost) == (65536, 3)


def test_the_delay_grows_to_a_quarter_of_an_hour() -> None:
    delays = [accounts._delay_s(n) for n in range(20)]
    assert delays[: accounts.FREE_FAILURES] == [0] * accounts.FREE_FAILURES
    assert delays[5:8] == [5, 10, 20]
    assert delays[-1] == accounts.MAX_DELAY_S
    assert delays == sorted(delays)


def test_unknown_names_are_treated_like_known_ones(store: Store) -> None:
    add(store)
    for name in ("hana", "nobody"):
        for _ in range(accounts.FREE_FAILURES):
            assert key(accounts.log_in, store, name, "wrong") == "log_in_wrong"
        assert key(accounts.log_in, store, name, PASSWORD) == "log_in_locked"


def test_tries_side_by_side_all_count(store: Store) -> None:
    add(store)
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda: said.append(key(accounts.log_in, store, "hana", "wrong")))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("log_in_wrong") == accounts.FREE_FAILURES
    assert said.count("log_in_locked") == 12 - accounts.FREE_FAILURES


@pytest.mark.parametrize("days", [2, -2])
def test_a_wrong_clock_locks_nobody_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    add(store)
    true = accounts.now
    monkeypatch.setattr(accounts, "now", lambda: true() + timedelta(days=days))
    for _ in range(accounts.FREE_FAILURES):
        key(accounts.log_in, store, "hana", "wrong")
    monkeypatch.undo()
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    assert accounts.log_in(store, "hana", PASSWORD).name == "hana"


def test_too_many_hashes_at_once_are_refused_rather_than_filling_the_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store)
    monkeypatch.setattr(accounts, "_in_line", threading.BoundedSemaphore(1))
    accounts._in_line.acquire()
    assert key(accounts.log_in, store, "hana", PASSWORD) == "log_in_busy"


def test_a_session_is_over_in_time_and_none_is_from_the_future(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = add(store)
    cookie = sessions.start(store, account)
    true = sessions.now

    def after(seconds: float) -> sessions.Session | None:
        monkeypatch.setattr(sessions, "now", lambda: true() + timedelta(seconds=seconds))
        return sessions.find(store, cookie)

    assert after(0) is not None
    assert after(-3600) is None
    assert after(sessions.IDLE_S + 1) is None
    assert after(sessions.IDLE_S - 60) is not None  # and is seen now
    assert after(sessions.IDLE_S + 60) is not None
    assert after(sessions.LIFETIME_S + 1) is None


def test_the_audit_shows_every_step_and_a_tampered_row(store: Store) -> None:
    from sqlalchemy import text

    add(store)
    accounts.set_role(store, "hana", Role.PLANNER, by="boss")
    accounts.set_disabled(store, "hana", disabled=True, by="boss")
    accounts.end_sessions(store, "hana", by="boss")
    found = [(e.seq, e.actor, e.action) for e in audit.entries(store)]
    assert found == [
        (1, "test", "user.add"), (2, "boss", "user.role"), (3, "boss", "user.disable"),
        (4, "boss", "user.revoke"),
    ]  # fmt: skip
    assert audit.broken_at(store) is None
    with store.write() as connection:
        if store.postgresql:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET actor = 'nobody' WHERE seq = 2"))
    assert audit.broken_at(store) == 2


def test_the_export_is_safe_for_spreadsheets(store: Store) -> None:
    with store.write() as connection:
        audit.record(connection, actor="=cmd|' /C calc'!A0", action="x", subject="＝1+1", n=1)
    text = "".join(audit.written("csv", audit.entries(store)))
    assert text.startswith("\ufeffseq,at,actor")
    assert ",=cmd" not in text
    assert "'＝1+1" in text
    import json

    line = json.loads("".join(audit.written("jsonl", audit.entries(store))))
    assert (line["actor"], line["detail"]) == ("=cmd|' /C calc'!A0", {"n": 1})


def test_oidc_makes_an_account_only_where_the_provider_gives_a_role(store: Store) -> None:
    assert key(accounts.by_oidc, store, "iss sub1", "taro", None) == "log_in_wrong"
    made = accounts.by_oidc(store, "iss sub1", "taro", Role.STAFF)
    assert (made.name, made.local) == ("taro", False)
    assert accounts.by_oidc(store, "iss sub1", "renamed", None).name == "taro"
    assert accounts.by_oidc(store, "iss sub1", "taro", Role.PLANNER).role is Role.PLANNER
    assert key(accounts.log_in, store, "taro", "") == "log_in_wrong"
    accounts.set_disabled(store, "taro", disabled=True, by="t")
    assert key(accounts.by_oidc, store, "iss sub1", "taro", Role.ADMIN) == "log_in_wrong"
    assert key(accounts.by_oidc, store, "iss sub2", "taro", Role.STAFF) == "account_exists"
