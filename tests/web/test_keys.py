"""Keys of GIS clients: what each scope opens, and that nothing else does."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyogrio
import pytest
from argon2 import PasswordHasher
from sqlalchemy import update
from starlette.routing import Mount

sys.path.insert(0, str(Path(__file__).parents[1]))
import ogc_service
from asgi_client import TestClient
from citymap.settings import Settings
from citymap.share.servers import write
from citymap.store import Store, accounts, audit, engine, keys, open_store, shared_store
from citymap.store.accounts import AccountError, Role
from citymap.store.keys import Scope
from citymap.store.tables import API_KEYS, now
from citymap.web import routes
from citymap.web.access import Guard
from citymap.web.public import create_app
from citymap.workspace import Workspace

PASSWORD = "a long phrase of mine"  # noqa: S105
TLS = "https://city.example.org"
STAFF_LAYER = "/ogc/collections/flood-breach"
DOORS = {  # one of each use, with the method that is asked
    Scope.FEATURES: ("GET", STAFF_LAYER),
    Scope.CITY_OS: ("GET", "/ngsi-ld/v1/entities?type=EvacuationSite"),
    Scope.SUBSCRIPTIONS: ("GET", "/ngsi-ld/v1/subscriptions"),
    Scope.OVERLAYS: ("GET", "/api/overlays.json"),
    Scope.MAP_SERVER: ("GET", "/auth/key"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("keys") / "city")


@pytest.fixture
def settings(made: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    accounts._nobody.cache_clear()
    return Settings(city=made.root, store=str(tmp_path / "store.sqlite"))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = shared_store(settings.store)
    for role in (Role.FIELD, Role.STAFF, Role.ADMIN):
        accounts.add(opened, role.value, role, PASSWORD, by="test")
    yield opened
    if (used := engine._SHARED.pop(str(settings.store), None)) is not None:
        used.close()


def basic(user: str, text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{text}".encode()).decode()}


def made_key(store: Store, *scopes: Scope, role: Role = Role.STAFF) -> str:
    return keys.add(store, "staff", scopes=scopes, role=role, by="test")[1]


def client(settings: Settings, base_url: str = TLS) -> TestClient:
    return TestClient(create_app(settings), base_url=base_url, follow_redirects=False)


@pytest.mark.parametrize("how", ["basic", "basic without a user", "bearer", "header"])
def test_a_key_shows_staff_layers_in_each_way_that_a_client_can_send_it(
    settings: Settings, store: Store, how: str
) -> None:
    text = made_key(store, Scope.FEATURES)
    headers = {
        "basic": basic("staff", text), "basic without a user": basic("", text),
        "bearer": {"authorization": f"Bearer {text}"}, "header": {"x-api-key": text},
    }[how]  # fmt: skip
    with client(settings) as to:
        assert to.get(STAFF_LAYER).status_code == 404
        answer = to.get(STAFF_LAYER, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["cache-control"].startswith("private")


def test_a_key_in_the_address_opens_nothing(settings: Settings, store: Store) -> None:
    text = made_key(store, *Scope)
    with client(settings) as to:
        assert to.get(f"/ngsi-ld/v1/subscriptions?api_key={text}").status_code == 401
        assert to.get(f"{STAFF_LAYER}?key={text}").status_code in {400, 404}


def test_a_wrong_key_is_refused_and_never_taken_for_the_public(
    settings: Settings, store: Store
) -> None:
    text = made_key(store, Scope.FEATURES)
    wrong = [
        basic("staff", text[:-1] + ("A" if text[-1] != "A" else "B")), basic("admin", text),
        basic("staff", PASSWORD), basic("staff", ""), {"authorization": "Basic ###"},
        {"authorization": "Digest x"}, {"x-api-key": "cmk_000000000000_" + "a" * 43},
        {"x-api-key": ""}, {"authorization": "Bearer " + "x" * 5000},
    ]  # fmt: skip
    with client(settings) as to:
        for headers in wrong:
            answer = to.get("/ogc/collections", headers=headers)
            assert answer.status_code == 401, headers
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert text not in answer.text


def test_a_key_is_taken_over_tls_or_on_this_machine_only(settings: Settings, store: Store) -> None:
    text = made_key(store, Scope.FEATURES)
    for base, status in ((TLS, 200), ("http://127.0.0.1:8500", 200), ("http://city.example.org", 403)):  # fmt: skip
        with client(settings, base) as to:
            answer = to.get(STAFF_LAYER, headers=basic("staff", text))
            assert answer.status_code == status, base
    assert answer.json()["error"] == "key_needs_tls"


@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_opens_its_own_doors_and_no_other(
    settings: Settings, store: Store, scope: Scope
) -> None:
    headers = basic("staff", made_key(store, scope))
    with client(settings) as to:
        for other, (method, path) in DOORS.items():
            answer = to.request(method, path, headers=headers)
            if other is scope:
                assert answer.status_code in {200, 204}, path
            else:
                assert answer.status_code == 403, path
                assert answer.json()["error"] == "key_scope"


def leaves(listed: Any) -> Iterator[Any]:
    for route in listed:
        if isinstance(route, Mount) and route.routes:
            yield from leaves(route.routes)
        else:
            yield route


def test_a_key_of_every_scope_opens_no_route_that_does_not_say_so(
    settings: Settings, store: Store
) -> None:
    headers = {**basic("admin", keys.add(store, "admin", scopes=list(Scope), role=Role.ADMIN, by="t")[1]),
               "sec-fetch-site": "same-origin"}  # fmt: skip
    shut = 0
    with client(settings) as to:
        for route in leaves(routes(settings)):
            assert isinstance(route.app, Guard)
            if route.app.use is None and route.app.role is not Role.PUBLIC:
                method = sorted(getattr(route, "methods", None) or {"GET"})[0]
                assert to.request(method, route.path, headers=headers).status_code == 401, (
                    route.path
                )
                shut += 1
        assert to.get("/auth/session", headers=headers).json()["role"] == "public"
    assert shut >= 2


def test_a_reading_key_writes_nothing(settings: Settings, store: Store) -> None:
    headers = basic("staff", made_key(store, *set(Scope) - {Scope.SUBSCRIPTIONS}))
    with client(settings) as to:
        answer = to.post("/ngsi-ld/v1/subscriptions", json={}, headers=headers)
        assert answer.status_code == 403


def test_a_key_ends_by_revoking_by_its_day_and_with_its_account(
    settings: Settings, store: Store
) -> None:
    made, text = keys.add(store, "staff", scopes=[Scope.FEATURES], by="test")
    headers = basic("staff", text)

    def status() -> int:
        with client(settings) as to:
            return int(to.get(STAFF_LAYER, headers=headers).status_code)

    assert status() == 200
    accounts.set_disabled(store, "staff", disabled=True, by="test")
    assert status() == 401
    accounts.set_disabled(store, "staff", disabled=False, by="test")
    accounts.set_role(store, "staff", Role.FIELD, by="test")  # the key never gives more than that
    assert status() == 404
    accounts.set_role(store, "staff", Role.STAFF, by="test")
    with store.write() as connection:
        connection.execute(update(API_KEYS).values(expires_at=now() - timedelta(seconds=1)))
    assert status() == 401
    with store.write() as connection:
        connection.execute(update(API_KEYS).values(expires_at=now() + timedelta(days=1)))
    assert status() == 200
    keys.revoke(store, made.id, by="test")
    assert status() == 401
    assert [k.in_force for k in keys.listed(store)] == [False]


def test_a_key_gives_no_more_than_its_own_role(settings: Settings, store: Store) -> None:
    headers = basic("admin", keys.add(store, "admin", scopes=[Scope.FEATURES], role=Role.FIELD, by="t")[1])  # fmt: skip
    with client(settings) as to:
        assert to.get(STAFF_LAYER, headers=headers).status_code == 404
    with pytest.raises(AccountError, match="field"):
        keys.add(store, "field", scopes=[Scope.FEATURES], role=Role.STAFF, by="test")
    with pytest.raises(AccountError):
        keys.add(store, "staff", scopes=[], by="test")


def test_the_store_holds_no_key_and_the_audit_its_life(settings: Settings, store: Store) -> None:
    made, text = keys.add(store, "staff", scopes=[Scope.FEATURES], title="QGIS", by="operator")
    with client(settings) as to:
        for _ in range(3):
            to.get(STAFF_LAYER, headers=basic("staff", text))
    keys.revoke(store, made.id, by="operator")
    secret = text.rpartition("_")[2] if "_" not in text[17:] else text[17:]
    with store.read() as connection:
        rows = [str(tuple(r)) for r in connection.execute(API_KEYS.select())]
    assert not any(secret in row for row in rows)
    life = [e.action for e in audit.entries(store) if e.action.startswith("key.")]
    assert life == ["key.add", "key.use", "key.revoke"]  # one entry for a day of use
    assert secret not in json.dumps([e.as_dict() for e in audit.entries(store)])


def test_requests_with_a_key_are_counted_with_the_key(settings: Settings, store: Store) -> None:
    limited = settings.model_copy(update={"rate_account_per_minute": 3, "rate_api_per_minute": 0})
    headers = basic("staff", made_key(store, Scope.FEATURES))
    with client(limited) as to:
        assert [to.get("/ogc", headers=headers).status_code for _ in range(4)] == [200] * 3 + [429]
        assert to.get("/ogc").status_code == 200


def test_a_proxy_before_a_map_server_can_ask_for_a_key(settings: Settings, store: Store) -> None:
    text = made_key(store, Scope.MAP_SERVER)
    with client(settings) as to:
        bare = to.get("/auth/key", headers={"accept": "text/html"})
        assert bare.status_code == 401
        assert bare.headers["www-authenticate"].startswith("Basic ")
        assert "www-authenticate" not in to.get("/auth/key", headers={"sec-fetch-mode": "cors"}).headers  # fmt: skip
        good = to.get("/auth/key", headers=basic("staff", text))
        assert (good.status_code, good.headers["x-citymap-role"], good.content) == (
            204,
            "staff",
            b"",
        )


def test_a_proxy_of_this_pc_lets_nobody_in_without_a_key(made: Workspace, tmp_path: Path) -> None:
    """Before the first account everybody on this PC is its user, and so its proxy would be."""
    settings = Settings(city=made.root, store=str(tmp_path / "empty.sqlite"))
    shared_store(settings.store)
    with client(settings, "http://127.0.0.1:8500") as to:
        assert to.get("/auth/session").json()["role"] == "admin"
        answer = to.get("/auth/key")
        assert (answer.status_code, answer.headers["www-authenticate"][:5]) == (401, "Basic")
    if (used := engine._SHARED.pop(settings.store, None)) is not None:
        used.close()


def test_a_key_of_field_workers_opens_no_map_server_of_staff(
    settings: Settings, store: Store
) -> None:
    text = keys.add(store, "field", scopes=[Scope.MAP_SERVER], role=Role.FIELD, by="test")[1]
    with client(settings) as to:
        assert to.get("/auth/key", headers=basic("field", text)).status_code == 403


def test_the_command_makes_lists_and_revokes(made: Workspace) -> None:
    def run(*words: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "citymap.cli", "user", *words, "--city", str(made.root), "--json"],
            input=f"{PASSWORD}\n", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    run("add", "gis", "--role", "staff")
    key = run("key", "add", "gis", "--scope", "features", "--scope", "processes", "--title", "QGIS")
    assert key["key"].startswith(f"cmk_{key['id']}_")
    assert run("key", "revoke", key["id"])["in_force"] is False
    (listed,) = run("key", "list", "gis")["keys"]
    assert listed["scopes"] == ["features", "processes"]
    assert "key" not in listed


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, str, str]]:
    """A city with an account, its public process, and a key of every scope."""
    workspace = ogc_service.make(tmp_path_factory.mktemp("served") / "city")
    opened = open_store(workspace)
    accounts.add(opened, "gis", Role.STAFF, None, by="test", oidc_subject="issuer gis")
    text = keys.add(opened, "gis", scopes=list(Scope), by="test")[1]
    opened.close()
    with ogc_service.serving(workspace) as address:
        yield workspace, address, text


@contextmanager
def gdal(**options: str) -> Iterator[None]:
    pyogrio.set_gdal_config_options(options)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(options))


@pytest.mark.parametrize("how", ["basic", "bearer"])  # GDAL's OAPIF drops GDAL_HTTP_HEADERS
def test_gdal_logs_in_and_reads_a_layer_of_staff(
    served: tuple[Workspace, str, str], how: str
) -> None:
    _, address, text = served
    source = f"OAPIF:{address}/ogc"
    layers = {name for name, _ in pyogrio.list_layers(source)}
    sent = {
        "basic": {"GDAL_HTTP_USERPWD": f"gis:{text}"},
        "bearer": {"GDAL_HTTP_AUTH": "BEARER", "GDAL_HTTP_BEARER": text},
    }[how]
    with gdal(**sent):
        more = {name for name, _ in pyogrio.list_layers(source)}
        found = pyogrio.read_dataframe(source, layer="flood-breach")
    assert more - layers == {"flood-breach"}
    assert len(found) == 2
    with gdal(GDAL_HTTP_USERPWD="gis:cmk_wrong"), pytest.raises(pyogrio.errors.DataSourceError):
        pyogrio.list_layers(source)


def test_owslib_logs_in(
    served: tuple[Workspace, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import owslib.ogcapi
    from owslib.ogcapi.features import Features
    from owslib.util import Authentication

    # OWSLib keeps the headers of one client in this module for all that follow.
    monkeypatch.setattr(owslib.ogcapi, "REQUEST_HEADERS", dict(owslib.ogcapi.REQUEST_HEADERS))
    _, address, text = served
    assert "flood-breach" not in Features(f"{address}/ogc").feature_collections()
    for client in (
        Features(f"{address}/ogc", auth=Authentication("gis", text)),
        Features(f"{address}/ogc", headers={"X-API-Key": text}),
    ):
        assert "flood-breach" in client.feature_collections()


MAPSERVER = Path("/usr/lib/cgi-bin/mapserv")


@pytest.mark.skipif(not MAPSERVER.exists(), reason="Debian's cgi-mapserver is not installed")
def test_gdal_logs_in_to_wfs_of_staff_layers_behind_a_proxy_that_asks_us(
    served: tuple[Workspace, str, str], tmp_path: Path
) -> None:
    workspace, address, text = served
    write(workspace, tmp_path, audience="staff")
    config = tmp_path / "mapserver.conf"
    config.write_text(
        f'CONFIG ENV MS_MAP_NO_PATH "1" END MAPS citymap "{tmp_path}/citymap.map" END END'
    )
    gate = Path(__file__).parents[1] / "share/cgi_gateway.py"
    port = ogc_service.free_port()
    process = subprocess.Popen(
        [sys.executable, str(gate), str(port), str(MAPSERVER), f"MAPSERVER_CONFIG_FILE={config}",
         "CGI_QUERY=map=citymap", f"ASK_FIRST={address}/auth/key"]
    )  # fmt: skip
    source = f"WFS:http://127.0.0.1:{port}/s?SERVICE=WFS&VERSION=2.0.0"
    try:
        ogc_service.wait_for(port)
        with pytest.raises(pyogrio.errors.DataSourceError):
            pyogrio.list_layers(source)
        with gdal(GDAL_HTTP_USERPWD=f"gis:{text}"):
            assert "ms:flood-breach" in {name for name, _ in pyogrio.list_layers(source)}
            found = pyogrio.read_dataframe(source, layer="ms:flood-breach", use_arrow=False)
        assert len(found) == 2
    finally:
        process.terminate()
        process.wait(10)
