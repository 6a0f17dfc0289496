"""Headers, limits and the WebSocket origin check, on both processes."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_client import TestClient
from citymap.settings import Settings
from citymap.ui.asgi import inline_script_hashes
from citymap.web import hardening
from citymap.web.hardening import Hardening
from citymap.web.public import create_app
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
