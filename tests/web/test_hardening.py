"""Headers, limits and the WebSocket origin check, on both processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_client import TestClient
from citymap.settings import Settings
from citymap.ui import asgi
from citymap.ui.asgi import PageBase, base_script, inline_script_hashes
from citymap.web import hardening, routes
from citymap.web.hardening import Hardening, Limits
from citymap.web.public import create_app
from citymap.web.rate import SharedCounters
from citymap.workspace import Workspace


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    app = Starlette(
        routes=[
            Route("/api/echo", _echo, methods=["POST"]),
            Route("/page", _echo, methods=["GET", "POST"]),
            WebSocketRoute("/_stcore/stream", _socket),
        ]
    )
    return TestClient(Hardening(app, script_hashes=["sha256-abc="]))


def limited(**limits: object) -> TestClient:
    """The same routes under limits."""
    app = Starlette(
        routes=[
            Route("/api/echo", _echo, methods=["GET", "POST"]),
            Route("/tiles/echo", _echo),
            Route("/healthz", _echo),
            Route("/_stcore/upload_file/a/b", _echo, methods=["PUT"]),
            Route("/_stcore/agent/interact", _echo, methods=["GET", "POST"]),
            WebSocketRoute("/_stcore/stream", _staying),
        ]
    )
    counters = SharedCounters(None, clock=lambda: 600.0)
    return TestClient(Hardening(app, script_hashes=[], limits=Limits(counters=counters, **limits)))  # type: ignore[arg-type]


async def _staying(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()


def policy(client: TestClient, path: str) -> dict[str, str]:
    text = client.get(path).headers["content-security-policy"]
    return dict(part.split(" ", 1) for part in text.split("; "))


def test_every_answer_carries_the_headers(small: Workspace) -> None:
    client = TestClient(create_app(Settings(city=small.root)))
    for path in ("/healthz", "/tiles/manifest.json", "/nothing", "/api/buildings/none"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "geolocation=(self)" in headers["permissions-policy"]
        assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_our_paths_run_no_inline_script_no_eval_and_name_no_foreign_host(
    client: TestClient,
) -> None:
    ours = policy(client, "/api/echo")
    assert ours["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert ours["worker-src"] == "'self' blob:"
    assert not any("http" in value or "*" in value for value in ours.values())


def test_streamlit_paths_allow_only_its_own_inline_script(client: TestClient) -> None:
    theirs = policy(client, "/page")
    assert theirs["script-src"] == "'self' 'wasm-unsafe-eval' blob: 'sha256-abc='"
    assert not any("http" in value or "*" in value for value in theirs.values())
    assert inline_script_hashes()


def test_the_online_base_adds_one_host_for_pictures_only() -> None:
    client = TestClient(Hardening(Starlette(), online_base=True))
    csp = policy(client, "/map/")
    assert "cyberjapandata.gsi.go.jp" in csp["img-src"]
    assert "cyberjapandata" not in csp["script-src"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(
    client: TestClient, chunked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardening, "MAX_BODY_BYTES", 1000)
    small, large = b"x" * 900, b"x" * 1100
    body = (lambda b: iter([b])) if chunked else (lambda b: b)
    assert client.post("/api/echo", content=body(small)).text == "900"
    assert client.post("/api/echo", content=body(large)).status_code == 413


def test_a_wrong_length_is_refused(client: TestClient) -> None:
    assert client.post("/api/echo", headers={"content-length": "-5"}).status_code == 413


def test_a_long_url_is_refused(client: TestClient) -> None:
    assert client.get("/page?q=" + "x" * 9000).status_code == 414


@pytest.mark.parametrize(
    "origin", [None, "http://evil.example", "null", "http://testserver.evil.example", "file://"]
)
def test_a_socket_from_elsewhere_is_refused(client: TestClient, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers=headers),
    ):
        pass


def test_a_socket_from_our_own_page_is_accepted(client: TestClient) -> None:
    with client.websocket_connect("/_stcore/stream", headers={"origin": "http://testserver"}):
        pass


def test_too_many_requests_of_one_address_are_refused_and_told_when_to_come_back() -> None:
    client = limited(api_per_minute=3)
    codes = [client.get("/api/echo").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    got = client.get("/api/echo")
    assert got.headers["retry-after"] == "30"
    assert "content-security-policy" in got.headers
    assert client.get("/tiles/echo").status_code == 200  # tiles have a limit of their own
    assert client.get("/healthz").status_code == 200


def test_writing_has_its_own_limit() -> None:
    client = limited(write_per_minute=2, api_per_minute=100)
    assert [client.post("/api/echo").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/api/echo").status_code == 200


def test_a_log_in_has_a_limit_wherever_it_comes_from() -> None:
    client = limited(account_per_minute=2)
    cookie = {"cookie": "citymap_session=abc.def"}
    assert [client.get("/api/echo", headers=cookie).status_code for _ in range(3)] == [
        200,
        200,
        429,
    ]
    assert client.get("/api/echo", headers={"cookie": "citymap_session=other"}).status_code == 200
    assert client.get("/api/echo").status_code == 200


def test_limits_hold_over_the_processes_of_a_city(small: Workspace, tmp_path: Path) -> None:
    settings = Settings(city=small.root, rate_api_per_minute=5, run_folder=tmp_path)
    one, two = TestClient(create_app(settings)), TestClient(create_app(settings))
    codes = [c.get("/api/search?q=a").status_code for c in (one, two) * 4]
    assert codes == [200] * 5 + [429] * 3


def test_many_headers_or_long_ones_are_refused(client: TestClient) -> None:
    assert client.get("/page", headers={"x-a": "b" * 40_000}).status_code == 431
    assert client.get("/page", headers={f"x-{i}": "b" for i in range(200)}).status_code == 431


def test_an_upload_has_the_limit_of_the_settings_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = limited(upload_bytes=3 << 20)
    body = b"x" * (2 << 20)
    assert client.put("/_stcore/upload_file/a/b", content=body).status_code == 200
    assert client.put("/_stcore/upload_file/a/b", content=body * 3).status_code == 413
    assert client.post("/api/echo", content=body).status_code == 413


def test_a_body_that_does_not_come_is_given_up() -> None:
    """ASGI, by hand: the client sends a head and then nothing."""
    sent: list[dict[str, object]] = []

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            await asyncio.sleep(30)
            raise AssertionError

        async def send(message: object) -> None:
            sent.append(message)  # type: ignore[arg-type]

        app = Hardening(
            Starlette(routes=[Route("/api/echo", _echo, methods=["POST"])]),
            limits=Limits(request_timeout_s=0.05),
        )
        scope = {"type": "http", "method": "POST", "path": "/api/echo", "query_string": b"",
                 "headers": [(b"content-length", b"10")], "client": ("10.0.0.1", 1)}  # fmt: skip
        await app(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    assert sent[0]["status"] == 408
    assert len(sent) == 2


def test_one_address_cannot_hold_all_sockets() -> None:
    client = limited(sockets_per_address=2)
    origin = {"origin": "http://testserver"}
    one = client.websocket_connect("/_stcore/stream", headers=origin)
    two = client.websocket_connect("/_stcore/stream", headers=origin)
    three = client.websocket_connect("/_stcore/stream", headers=origin)
    with one, two, pytest.raises(WebSocketDisconnect), three:
        pass
    with client.websocket_connect("/_stcore/stream", headers=origin):  # a place is free again
        pass


@pytest.mark.parametrize("path", ["/_stcore/agent/interact", "/_stcore/agent/mcp"])
def test_streamlits_door_for_programs_is_closed(path: str) -> None:
    assert limited().post(path).status_code == 404
    assert limited().get(path).status_code == 404


def test_streamlits_page_is_told_where_its_server_is() -> None:
    page = b'<!DOCTYPE html><html><head><title>x</title></head><body><div id="root"></div></body>'

    async def html(request: Request) -> Response:
        assert "accept-encoding" not in request.headers
        return Response(page, media_type="text/html", headers={"etag": '"a"'})

    for prefix in ("", "/sano"):
        client = TestClient(PageBase(Starlette(routes=[Route("/jobs", html)]), root_path=prefix))
        got = client.get("/jobs", headers={"accept": "text/html"})
        script = base_script(prefix).decode()
        assert f"<head><script>{script}</script><title>" in got.text
        assert f'location.origin+"{prefix}"' in script
        assert int(got.headers["content-length"]) == len(got.content)
        assert "etag" not in got.headers


def test_an_address_that_is_no_page_of_its_own_leads_to_the_root() -> None:
    """Streamlit would call it "not found", in English; so it calls the first page's own address."""
    for prefix in ("", "/sano"):
        client = TestClient(PageBase(Starlette(), root_path=prefix), follow_redirects=False)
        got = client.get(f"{prefix}/public-map?lang=en", headers={"accept": "text/html"})
        assert (got.status_code, got.headers["location"]) == (307, f"{prefix}/?lang=en")
        got = client.get(f"{prefix}/no-such-page?lang=en", headers={"accept": "text/html"})
        assert (got.status_code, got.headers["location"]) == (307, f"{prefix}/?lang=en&missing=1")
        assert (
            client.get(f"{prefix}/component/x/y.html", headers={"accept": "text/html"}).status_code
            == 404
        )


def test_the_script_in_the_page_is_allowed_by_the_policy(small: Workspace) -> None:
    middleware = asgi.middleware(Settings(city=small.root, root_path="/sano"))
    hashes = next(m.kwargs["script_hashes"] for m in middleware if m.cls is Hardening)
    assert asgi.script_hash(base_script("/sano")) in hashes


@pytest.mark.parametrize("sent", ["/sano", ""])
def test_both_halves_of_the_staff_process_answer_under_the_prefix(
    small: Workspace, sent: str
) -> None:
    """Streamlit answers at the root only; the shared routes stand below the prefix."""
    settings = Settings(city=small.root, root_path="/sano")

    async def streamlit(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"page {request.url.path}")

    app: ASGIApp = Starlette(
        routes=[*routes(settings), Route("/{path:path}", streamlit)],
        middleware=asgi.middleware(settings),
    )
    client = TestClient(app, base_url="http://127.0.0.1")  # the one user of this PC
    assert client.get(f"{sent}/api/search?q=a").status_code == 200
    assert client.get(f"{sent}/tiles/manifest.json").json()["code"] == "09999"
    assert client.get(f"{sent}/hazard-buildings").text == "page /hazard-buildings"
    assert client.get(f"{sent}/_stcore/health").text == "page /_stcore/health"
    got = client.get("/sano", follow_redirects=False)
    assert (got.status_code, got.headers["location"]) == (308, "/sano/")
