"""A connection that never finishes asking is closed; one that asks properly is not."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from citymap.web import connections
from citymap.web.connections import GuardedHttp


async def _app(scope: dict[str, object], receive: object, send: object) -> None:
    if scope["type"] == "http":
        await asyncio.sleep(0.6)  # longer than the limit: a running request is not cut off
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"ok"})  # type: ignore[operator]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "HEADERS_S", 0.3)
    server = uvicorn.Server(
        uvicorn.Config(_app, port=0, http=GuardedHttp, log_level="error", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("first", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\nx-a:"])
def test_half_a_request_is_not_waited_for(port: int, first: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(first)
        assert line.recv(100) == b""  # closed


def test_a_whole_request_is_answered_and_a_second_half_one_is_not_waited_for(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        got = b""
        while b"ok" not in got:
            got += line.recv(1000)
        assert got.startswith(b"HTTP/1.1 200")
        line.sendall(b"GET / HTTP/1.1\r\nhost:")
        rest = b""
        while chunk := line.recv(1000):
            rest += chunk
        assert b"200" not in rest
