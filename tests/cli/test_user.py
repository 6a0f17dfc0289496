"""`citymap user` and `citymap audit`: passwords by standard input, every deed on record."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap import cli
from citymap.cli import serve as serving
from citymap.errors import BadInputError
from citymap.store import accounts, open_store
from citymap.workspace import Workspace

PASSWORD = "a long phrase of mine"  # noqa: S105


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    workspace = small_city.make(tmp_path / "city", 3)
    monkeypatch.setenv("CITYMAP_CITY", str(workspace.root))
    monkeypatch.setenv("CITYMAP_LANG", "en")
    if "user" not in {g.name for g in cli.app.registered_groups}:
        cli._register()
    return workspace


def run(*arguments: str, given: str | None = None, code: int = 0) -> str:
    done = CliRunner().invoke(cli.app, list(arguments), input=given)
    assert done.exit_code == code, done.output
    return done.output


def test_accounts_are_made_listed_changed_and_disabled(city: Workspace) -> None:
    run("user", "add", "Hana", "--role", "admin", given=f"{PASSWORD}\n")
    assert "hana" in run("user", "list")
    listed = json.loads(run("user", "list", "--json"))["users"]
    assert [(u["name"], u["role"], u["disabled"]) for u in listed] == [("hana", "admin", False)]
    run("user", "passwd", "hana", given="another long phrase\n")
    run("user", "role", "hana", "planner")
    run("user", "disable", "hana")
    assert "Disabled" in run("user", "list")
    run("user", "disable", "hana", "--enable")
    store = open_store(city)
    assert accounts.log_in(store, "hana", "another long phrase").role == "planner"
    store.close()
    lines = [json.loads(x) for x in run("audit", "export", "--format", "jsonl").splitlines()]
    assert [x["action"] for x in lines] == [
        "user.add", "user.password", "user.role", "user.disable", "user.enable", "log_in"
    ]  # fmt: skip


def test_mistakes_are_said_with_a_remedy(city: Workspace) -> None:
    assert "→" in run("user", "add", "hana", given="short\n", code=1)
    assert "user list" in run("user", "passwd", "nobody", given=f"{PASSWORD}\n", code=1)
    run("user", "add", "hana", "--role", "king", given=f"{PASSWORD}\n", code=2)


def test_the_audit_goes_into_a_file(city: Workspace, tmp_path: Path) -> None:
    run("user", "add", "hana", given=f"{PASSWORD}\n")
    run("audit", "export", "--out", str(tmp_path / "a.csv"), "--since", "2020-01-01")
    assert "user.add" in (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    run("audit", "export", "--since", "yesterday", code=2)


def test_serve_says_who_gets_in_without_a_log_in(city: Workspace) -> None:
    def notice(
        host: str = "127.0.0.1", single: bool | None = None, proxy: bool = False
    ) -> str | None:
        said, keeper = serving._prepare(city, host, single, behind_proxy=proxy)
        keeper.store.close()
        return said

    assert notice() == "serve.open_to_this_pc"
    assert notice("10.0.0.5") == "serve.no_account"
    assert notice(proxy=True) == "serve.no_account"
    assert notice(single=False) == "serve.no_account"
    assert notice(single=True) == "serve.single_user"
    for host, proxy in (("192.168.1.5", False), ("127.0.0.1", True)):
        with pytest.raises(BadInputError) as caught:
            notice(host, True, proxy)
        assert caught.value.key == "single_user_not_loopback"
    run("user", "add", "hana", given=f"{PASSWORD}\n")
    assert notice() is None
    assert notice("10.0.0.5") is None
