"""Every route and every page, as every role, in both processes: what is not declared stays shut."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).parent))
import citymap.ui
import small_city
from asgi_client import TestClient
from citymap.settings import Settings
from citymap.store import Store, accounts, engine, sessions, shared_store
from citymap.store.accounts import Role
from citymap.ui import who
from citymap.ui.asgi import middleware
from citymap.ui.pages import PAGES, SCREENS
from citymap.web import routes
from citymap.web.access import Guard, guarded
from citymap.web.identity import People
from citymap.web.public import create_app
from citymap.workspace import Workspace

UI = Path(citymap.ui.__file__).parent
SECRET = "a long phrase of mine"  # noqa: S105
REFUSED = {401, 403}
# What anybody may ask for. A route that is added is shut until it names its role, and then stands
# here or below on purpose.
OPEN = {
    "/map", "/tiles", "/3dtiles", "/api/messages.json", "/api/search",
    "/api/overlays.json", "/overlays/{id}/{stamp}/{z:int}/{x:int}/{y:int}.{suffix}",
    "/overlays/{id}/{stamp}/tileset/{path:path}",
    "/api/buildings/{gml_id:path}", "/api/view.json",
    "/api/place", "/status.json", "/search.json", "/area.json", "/shelters.json", "/wifi.json",
    "/site.json", "/words/{lang}.json", "/sw.js", "/home", "/paper/files",
    "/api/reports",  # anybody may report; with low trust
    "/api/reports/form.json", "/report", "/report/sw.js",
    "/ngsi-ld/v1/entities", "/ngsi-ld/v1/entities/{entity:path}", "/ngsi-ld/v1/types",
    "/ogc", "/ogc/conformance", "/ogc/api", "/ogc/collections", "/ogc/collections/{collection}",
    "/ogc/collections/{collection}/queryables", "/ogc/collections/{collection}/items",
    "/ogc/collections/{collection}/items/{feature:path}",
    "/open311/v2/discovery.{form}", "/open311/v2/services.{form}", "/open311/v2/services/{code}.{form}",
    "/open311/v2/requests.{form}", "/open311/v2/requests/{number}.{form}", "/open311/v2/tokens/{token}.{form}",
    "/ogc/collections/{collection}/map",
    "/ogc/collections/{collection}/coverage", "/ogc/tiles", "/ogc/tiles/WebMercatorQuad",
    "/ogc/tiles/WebMercatorQuad/tilejson.json", "/ogc/tiles/WebMercatorQuad/style.json",
    "/ogc/tiles/WebMercatorQuad/{matrix}/{row}/{column}", "/ogc/tileMatrixSets",
    "/ogc/tileMatrixSets/WebMercatorQuad", "/ogc/3dtiles/tileset.json", "/ogc/stac",
    "/ogc/stac/{collection}", "/ogc/dcat", "/ogc/processes", "/ogc/processes/{process}",
    "/ogc/processes/{process}/execution", "/ogc/jobs", "/ogc/jobs/{job}", "/ogc/jobs/{job}/results",
    "/feeds/reports.geojson", "/feeds/reports.rss", "/feeds/closures.geojson", "/feeds/photos/{name}",
    "/healthz", "/metrics", "/auth/login", "/auth/logout", "/auth/session",  # /metrics: by address
}  # fmt: skip
FIELD = {"/auth/password"}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_city.make(tmp_path_factory.mktemp("roles") / "city")


@pytest.fixture
def store(city: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    monkeypatch.setenv("CITYMAP_CITY", str(city.root))
    monkeypatch.setattr(who, "_people", People)  # nothing remembered from another test
    opened = shared_store(city)
    known = {a.name for a in accounts.listed(opened)}
    for role in set(Role) - {Role.PUBLIC}:
        if role.value not in known:
            accounts.add(opened, role.value, role, SECRET, by="test")
    yield opened
    if (
        used := engine._SHARED.pop(str(city.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


def cookie(store: Store, role: Role) -> str | None:
    if role is Role.PUBLIC:
        return None
    with store.read() as connection:
        account = accounts.find(connection, role.value)
    assert account is not None
    return sessions.start(store, account)


def leaves(listed: list[BaseRoute]) -> Iterator[Any]:
    for route in listed:
        if isinstance(route, Mount) and route.routes:
            yield from leaves(list(route.routes))
        else:
            yield route


def staff_process(settings: Settings) -> Any:
    """The staff process around a stand-in for Streamlit's own paths."""

    async def streamlit(request: Any) -> PlainTextResponse:
        return PlainTextResponse("streamlit")

    return Starlette(
        routes=[
            *routes(settings),
            Route("/{path:path}", streamlit, methods=["GET", "POST", "PUT"]),
        ],
        middleware=middleware(settings),
    )


def asked(path: str) -> str:
    return path.replace("{gml_id:path}", "bldg_0001")


def test_every_route_declares_its_role_and_only_these_are_open(city: Workspace) -> None:
    found: dict[Role | None, set[str]] = {}
    for route in leaves(routes(Settings(city=city.root))):
        assert isinstance(route.app, Guard), route.path
        found.setdefault(route.app.role, set()).add(route.path)
    assert None not in found, f"declare the role of {found[None]} with `needs` in citymap.web"
    assert found.get(Role.PUBLIC) == OPEN
    assert found.get(Role.FIELD) == FIELD


@pytest.mark.parametrize("process", ["public", "staff"])
@pytest.mark.parametrize("role", list(Role))
def test_every_route_as_every_role(city: Workspace, store: Store, process: str, role: Role) -> None:
    settings = Settings(city=city.root)
    app = create_app(settings) if process == "public" else staff_process(settings)
    value = cookie(store, role)
    with TestClient(app, follow_redirects=False, raise_server_exceptions=True) as client:
        if value:
            client.cookies.set(sessions.COOKIE, value)
        for route in leaves(routes(settings)):
            needed = route.app.role
            methods = sorted(getattr(route, "methods", None) or {"GET"} - {"HEAD"})
            if "/auth/log" in route.path and "POST" in methods:
                continue  # ends or opens sessions; its own tests are in web/test_auth.py
            answer = client.request(
                methods[0], asked(route.path), headers={"sec-fetch-site": "same-origin"}
            )
            if role.reaches(needed):
                assert answer.status_code not in REFUSED, (process, role, route.path)
            else:
                assert answer.status_code in REFUSED, (process, role, route.path)


@pytest.mark.parametrize("role", list(Role))
def test_streamlits_own_paths_are_for_staff(city: Workspace, store: Store, role: Role) -> None:
    value = cookie(store, role)
    allowed = role.reaches(Role.STAFF)
    paths = [
        "/", "/jobs", "/public-map", "/_stcore/health", "/_stcore/host-config", "/static/x.js",
        "/_stcore/upload_file/a/b", "/media/x.png", "/component/x/y", "/no/such/path", "/apix",
    ]  # fmt: skip
    with TestClient(staff_process(Settings(city=city.root)), follow_redirects=False) as client:
        if value:
            client.cookies.set(sessions.COOKIE, value)
        for path in paths:
            assert (client.get(path).status_code == 200) is allowed, path
            page = client.get(path, headers={"accept": "text/html"})
            if not allowed:
                assert page.status_code == 303
                where = "/auth/login?next=" if role is Role.PUBLIC else "/auth/session?refused=1"
                assert page.headers["location"].startswith(where)


@pytest.mark.parametrize("process", ["public", "staff"])
@pytest.mark.parametrize("prefix", ["", "/tochigi"])
def test_our_addresses_that_no_route_answers_say_so_and_never_show_a_page(
    city: Workspace, store: Store, process: str, prefix: str
) -> None:
    settings = Settings(city=city.root, root_path=prefix)
    app = create_app(settings) if process == "public" else staff_process(settings)
    accept = {"accept": "text/html,*/*", "sec-fetch-site": "same-origin"}
    with TestClient(app, follow_redirects=False) as client:
        for path in ("/api", "/api/no/such", "/auth/x", "/ogc/x", "/feeds/x", "/words/x"):
            answer = client.get(prefix + path, headers=accept)
            assert (answer.status_code, answer.json()["error"]) == (404, "no_such_address"), path
        for method, path, allowed in (
            ("GET", "/api/reports", "POST"), ("GET", "/auth/logout", "POST"),
            ("POST", "/api/search", "GET, HEAD"),
        ):  # fmt: skip
            answer = client.request(method, prefix + path, headers=accept)
            assert (answer.status_code, answer.json()["error"]) == (405, "method_not_known"), path
            assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")
            assert method in answer.json()["message"]
        slash = client.get(prefix + "/ogc/collections/", headers=accept)
        assert slash.status_code == 307
        assert slash.headers["location"].endswith(f"{prefix}/ogc/collections")


@pytest.mark.parametrize("role", list(Role))
def test_the_websocket_of_the_pages_is_for_staff(city: Workspace, store: Store, role: Role) -> None:
    value, reached, sent = cookie(store, role), [], []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["state"]["role"])

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    app: Any = inner
    for one in reversed(middleware(Settings(city=city.root))):
        app = one.cls(app, *one.args, **one.kwargs)
    headers = [(b"host", b"city.example.org"), (b"origin", b"http://city.example.org")]
    if value:
        headers.append((b"cookie", f"{sessions.COOKIE}={value}".encode()))
    scope = {
        "type": "websocket", "path": "/_stcore/stream", "headers": headers, "query_string": b"",
        "client": ("10.0.0.9", 1), "server": ("10.0.0.1", 8501), "scheme": "ws", "state": {},
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    if role.reaches(Role.STAFF):
        assert reached == [role.value]
    else:
        assert reached == []
        assert sent[0]["type"] == "websocket.close"


def test_a_route_that_names_no_role_is_shut_for_everybody(city: Workspace, store: Store) -> None:
    async def leak(request: Any) -> PlainTextResponse:
        return PlainTextResponse("secret")

    people = People(Settings(city=city.root))
    with TestClient(Starlette(routes=guarded([Route("/leak", leak)], people))) as client:
        client.cookies.set(sessions.COOKIE, cookie(store, Role.ADMIN) or "")
        answer = client.get("/leak")
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_every_page_file_is_listed_with_a_role() -> None:
    files = {p.stem for p in SCREENS.glob("*.py")} - {"__init__"}
    assert files == {page.name for page in PAGES}, "list the page in citymap.ui.pages"
    assert {page.name for page in PAGES if page.role in {Role.PUBLIC, Role.FIELD}} == set()


@pytest.mark.parametrize("role", list(Role))
def test_every_page_as_every_role(
    city: Workspace, store: Store, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = cookie(store, role)
    monkeypatch.setattr(
        "streamlit.context.__class__.cookies", {sessions.COOKIE: value} if value else {}
    )
    listed: list[list[str]] = []
    shut: list[tuple[str, str]] = []  # addresses where only the refusal stands

    def navigation(groups: dict[str, list[Any]], **_: Any) -> Any:
        pages = [page for group in groups.values() for page in group]
        listed.append(sorted(p.url_path for p in pages if isinstance(p.file, Path)))
        shut.extend((p.url_path, p.visibility) for p in pages if not isinstance(p.file, Path))
        return pages[0]

    monkeypatch.setattr("streamlit.navigation", navigation)
    monkeypatch.setattr(
        "streamlit.Page",
        lambda file, url_path, title, visibility, **_: _Quiet(file, url_path, title, visibility),
    )
    at = AppTest.from_file(str(UI / "main.py"), default_timeout=30).run()
    assert not at.exception
    allowed = sorted(p.url_path for p in PAGES if role.reaches(p.role))
    assert listed == ([allowed] if role.reaches(Role.STAFF) else [])
    others = [(p.url_path, "hidden") for p in PAGES if not role.reaches(p.role)]
    assert shut == (others if role.reaches(Role.STAFF) else [])


class _Quiet:
    def __init__(self, file: Any, url_path: str, title: str, visibility: str) -> None:
        self.file, self.url_path, self.title, self.visibility = file, url_path, title, visibility

    def run(self) -> None:
        pass


def test_a_page_for_another_role_says_so_in_the_language_of_the_person(
    city: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = cookie(store, Role.STAFF)
    monkeypatch.setattr("streamlit.context.__class__.cookies", {sessions.COOKIE: value})

    def page() -> None:
        from citymap.store.accounts import Role
        from citymap.ui import who

        who.no_entry(Role.PLANNER)

    at = AppTest.from_function(page)
    at.query_params["lang"] = "en"
    at.run()
    assert "Planner" in at.error[0].value
    assert "administrator" in at.info[0].value
