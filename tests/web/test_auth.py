"""Log-in, sessions, refusals: what a browser and a stranger get."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

sys.path.insert(0, str(Path(__file__).parents[1]))
from asgi_client import TestClient
from citymap.settings import Settings
from citymap.store import Store, accounts, audit, engine, sessions, shared_store
from citymap.store.accounts import Role
from citymap.web.auth import safe_next
from citymap.web.identity import host_name
from citymap.web.public import create_app
from citymap.workspace import Workspace

PASSWORD = "a long phrase of mine"  # noqa: S105
HTML = {"accept": "text/html"}


@pytest.fixture
def settings(city: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    accounts._nobody.cache_clear()
    return Settings(city=city.root, store=str(tmp_path / "store.sqlite"))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = shared_store(settings.store)
    for role in (Role.FIELD, Role.STAFF, Role.PLANNER, Role.ADMIN):
        accounts.add(opened, role.value, role, PASSWORD, by="test")
    yield opened
    if (
        used := engine._SHARED.pop(str(settings.store), None)
    ) is not None:  # these tests alone may not need it
        used.close()


def client(settings: Settings, **options: object) -> TestClient:
    return TestClient(create_app(settings), follow_redirects=False, **options)  # type: ignore[arg-type]


def log_in(to: TestClient, name: str, password: str = PASSWORD, wanted: str = "") -> object:
    return to.post(
        "/auth/login", data={"name": name, "password": password, "next": wanted},
        headers={"sec-fetch-site": "same-origin"},
    )  # fmt: skip


def test_a_log_in_gives_a_cookie_that_scripts_and_other_sites_cannot_use(
    settings: Settings, store: Store
) -> None:
    with client(settings) as to:
        page = to.get("/auth/login", headers=HTML)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert (
            "style"
            not in page.headers["content-security-policy"].partition("script-src")[2].split(";")[0]
        )
        done = log_in(to, "staff", wanted="/map/?x=1")
        assert (done.status_code, done.headers["location"]) == (303, "/map/?x=1")
        cookie = done.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        assert to.get("/auth/session").json() == {
            "name": "staff",
            "role": "staff",
            "logged_in": True,
        }
    with client(settings, base_url="https://city.example.org") as to:
        assert "Secure" in log_in(to, "staff").headers["set-cookie"]


def test_a_wrong_password_is_refused_and_soon_takes_time(settings: Settings, store: Store) -> None:
    with client(settings) as to:
        for _ in range(accounts.FREE_FAILURES):
            assert log_in(to, "staff", "wrong").status_code == 401
        locked = log_in(to, "staff")
        assert locked.status_code == 429
        assert int(locked.headers["retry-after"]) > 0
        assert log_in(to, "admin").status_code == 303


def test_what_is_typed_comes_back_escaped_and_the_password_never(
    settings: Settings, store: Store
) -> None:
    with client(settings) as to:
        page = log_in(to, '"><script>alert(1)</script>', "secret-typed-text", '"/><script>')
        assert "<script>" not in page.text
        assert "secret-typed-text" not in page.text


def test_log_out_ends_the_session_on_the_server(settings: Settings, store: Store) -> None:
    with client(settings) as to:
        log_in(to, "staff")
        stolen = to.cookies[sessions.COOKIE]
        assert to.post("/auth/logout").status_code == 403  # a cookie, but neither header: refused
        origin = {"origin": "http://testserver"}
        assert to.post("/auth/logout", headers=origin).status_code == 303
        to.cookies.set(sessions.COOKIE, stolen)
        assert to.get("/auth/session").json()["logged_in"] is False


def test_a_new_password_ends_all_other_sessions(settings: Settings, store: Store) -> None:
    origin = {"origin": "http://testserver"}
    with client(settings) as here, client(settings) as there:
        log_in(here, "staff")
        log_in(there, "staff")
        assert here.get("/auth/password", headers=HTML).status_code == 200
        fields = {"old": PASSWORD, "new": "another long phrase", "again": "different one here"}
        assert here.post("/auth/password", data=fields, headers=origin).status_code == 422
        fields["again"] = fields["new"]
        assert here.post("/auth/password", data=fields, headers=origin).status_code == 303
        assert here.get("/auth/session").json()["logged_in"] is True
        assert there.get("/auth/session").json()["logged_in"] is False
        assert log_in(there, "staff").status_code == 401
    assert {"user.password", "log_in", "log_in.refused"} <= {e.action for e in audit.entries(store)}


def test_log_out_on_all_devices(settings: Settings, store: Store) -> None:
    with client(settings) as here, client(settings) as there:
        log_in(here, "staff")
        log_in(there, "staff")
        here.post("/auth/logout", data={"all": "1"}, headers={"sec-fetch-site": "same-origin"})
        assert there.get("/auth/session").json()["logged_in"] is False


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://testserver"}, 403),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://testserver"}, 401),
        ({"sec-fetch-site": "same-origin"}, 401),
        ({"sec-fetch-site": "none"}, 401),
        ({}, 401),
    ],
)
def test_another_sites_page_cannot_act(
    settings: Settings, store: Store, headers: dict[str, str], status: int
) -> None:
    with client(settings) as to:
        done = to.post("/auth/login", data={"name": "x", "password": "y"}, headers=headers)
        assert done.status_code == status


@pytest.mark.parametrize(
    "cookie", ["", "x", "x.y", "a" * 300, ".", "é", "x.y; citymap_session=z.z"]
)
def test_a_forged_cookie_is_nobody(settings: Settings, store: Store, cookie: str) -> None:
    with client(settings) as to:
        raw = to.get("/auth/session", headers={"cookie": f"{sessions.COOKIE}={cookie}".encode()})
        assert raw.json()["role"] == "public"


def test_a_signed_cookie_of_no_session_is_nobody(settings: Settings, store: Store) -> None:
    with client(settings) as to:
        to.cookies.set(sessions.COOKIE, sessions.signed(sessions.key(store), "guess"))
        assert to.get("/auth/session").json()["role"] == "public"


def test_a_disabled_account_and_a_changed_role_count_at_once(
    settings: Settings, store: Store
) -> None:
    with client(settings) as to:
        log_in(to, "staff")
        accounts.set_role(store, "staff", Role.PLANNER, by="test")
        assert to.get("/auth/session").json()["role"] == "planner"
        accounts.set_disabled(store, "staff", disabled=True, by="test")
        assert to.get("/auth/session").json()["role"] == "public"
        assert log_in(to, "staff").status_code == 401


def test_without_an_account_only_this_pc_gets_in(city: Workspace, tmp_path: Path) -> None:
    def role(settings: Settings, base_url: str) -> str:
        with client(settings, base_url=base_url) as to:
            found: str = to.get("/auth/session").json()["role"]
            return found

    def of(**more: object) -> Settings:
        return Settings(city=city.root, store=str(tmp_path / "empty.sqlite"), **more)

    here, elsewhere = "http://127.0.0.1:8501", "http://city.example.org"
    assert role(of(), here) == "admin"
    assert role(of(), "http://[::1]:8501") == "admin"
    assert role(of(), elsewhere) == "public"  # a stranger's name that points to this PC
    assert role(of(single_user=False), here) == "public"
    assert role(of(trusted_proxy="10.0.0.1"), here) == "public"
    with client(of(single_user=False)) as to:
        page = to.get("/auth/login", headers=HTML)
        assert page.status_code == 503
        assert "citymap user add" in page.text
    accounts.add(shared_store(tmp_path / "empty.sqlite"), "first", Role.ADMIN, PASSWORD, by="test")
    assert role(of(), here) == "public"
    assert role(of(single_user=True), here) == "admin"
    assert role(of(single_user=True), elsewhere) == "public"


def test_residents_are_served_without_a_store(city: Workspace, tmp_path: Path) -> None:
    settings = Settings(city=city.root, store=str(tmp_path / "no" / "folder" / "s.sqlite"))
    with client(settings) as to:
        to.cookies.set(sessions.COOKIE, "x.y")
        assert to.get("/api/search?q=本町").status_code == 200
        assert to.get("/map/").status_code in {200, 404}
        assert to.get("/auth/login", headers=HTML).status_code == 503


def test_next_leads_nowhere_else() -> None:
    assert safe_next("/map/?x=1", "") == "/map/?x=1"
    assert safe_next("/sano/x", "/sano") == "/sano/x"
    for text in (
        "https://evil.example.com",
        "//evil.example.com",
        "/\\evil",
        "/x\ny",
        "",
        "x",
        "/" * 3,
    ):
        assert safe_next(text, "") == "/"
    assert safe_next("/other", "/sano") == "/sano/"


def test_the_name_of_a_host_header() -> None:
    assert [host_name(h) for h in ("LocalHost:8501", "[::1]:8501", "127.0.0.1", "a.b:1")] == [
        "localhost", "::1", "127.0.0.1", "a.b"
    ]  # fmt: skip
