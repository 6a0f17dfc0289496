"""The one door in front of several cities: hands each connection to the city whose prefix it names.

Made for one machine in an office; behind the internet use nginx (`citymap cities nginx`). One request
is answered on a connection (`Connection: close`), so what follows it can never reach another city; a
WebSocket keeps its connection. What a client says of itself in `X-Forwarded-*` is dropped.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

MAX_HEAD_BYTES = 64 << 10
HEAD_S = 15.0
CONNECT_S = 5.0
IDLE_S = 150.0
SOCKET_IDLE_S = 3600.0
MAX_CONNECTIONS = 1000
CHUNK = 64 << 10
_DROPPED = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"forwarded", b"x-forwarded-for",
    b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-port",
    b"x-real-ip", b"upgrade",
})  # fmt: skip
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Asked:
    """The head of a request: `target` as sent, header names in small letters."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @property
    def path(self) -> str:
        """The path, as sent (not decoded)."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: bytes) -> bytes:
        """The first value of a header."""
        return next((v for n, v in self.headers if n == name), b"")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front says itself."""

    status: int
    body: bytes
    mime: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class NotHttpError(ValueError):
    """Bytes that are no request, or one that two readers could understand differently."""


REASONS = {200: "OK", 302: "Found", 304: "Not Modified", 308: "Permanent Redirect",
           400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
           503: "Service Unavailable"}  # fmt: skip


def parse(head: bytes) -> Asked:
    """The head of a request, strictly.

    Raises:
        NotHttpError: anything that could be read in two ways.
    """
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or words[2] not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise NotHttpError("request line")
    method, target, _ = words
    if not target.startswith(b"/") or any(c <= 32 or c >= 127 for c in target):
        raise NotHttpError("target")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if (
            not colon
            or not name
            or not set(name) <= _TOKEN
            or b"\n" in value
            or b"\r" in value
            or b"\0" in value
        ):
            raise NotHttpError("header")
        headers.append((name.lower(), value))
    names = [n for n, _ in headers]
    lengths = [v for n, v in headers if n == b"content-length"]
    if len(lengths) > 1 or (
        lengths and (not lengths[0].isdigit() or b"transfer-encoding" in names)
    ):
        raise NotHttpError("length")
    if names.count(b"host") != 1:
        raise NotHttpError("host")
    codings = [v.lower() for n, v in headers if n == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        raise NotHttpError("transfer-encoding")
    return Asked(method, target, tuple(headers))


def forwarded(asked: Asked, peer: str, scheme: str) -> tuple[bytes, bool]:
    """The head as the city is sent it, and whether it asks for a WebSocket."""
    socket = asked.header(b"upgrade").lower() == b"websocket" and asked.method == b"GET"
    kept = [(n, v) for n, v in asked.headers if n not in _DROPPED]
    kept += [(b"x-forwarded-for", peer.encode()), (b"x-forwarded-proto", scheme.encode())]
    kept += (
        [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
        if socket
        else [(b"connection", b"close")]
    )
    lines = [b"%s %s HTTP/1.1" % (asked.method, asked.target), *(b"%s: %s" % pair for pair in kept)]
    return b"\r\n".join(lines) + b"\r\n\r\n", socket


Own = Callable[[Asked], Answer]


class Front:
    """Serves on one port: `/<prefix>/…` goes to that city's port of this machine, the rest is `own`."""

    def __init__(
        self, cities: Mapping[str, int], own: Own, away: Callable[[Asked, str], Answer]
    ) -> None:
        self._cities = dict(cities)
        self._own = own
        self._away = away
        self._open = 0

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> asyncio.Server:
        """Listen."""
        return await asyncio.start_server(
            self._handle, host, port, ssl=tls, limit=MAX_HEAD_BYTES, backlog=512
        )

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            self._open -= 1
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), CONNECT_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            asked = parse(head)
        except (NotHttpError, asyncio.LimitOverrunError):
            await _say(writer, Answer(400, b""), body=True)
            return
        prefix = asked.path.split("/")[1]
        port = self._cities.get(prefix)
        if port is None:
            await _say(writer, self._own(asked), body=asked.method != b"HEAD")
            return
        try:
            inner, back = await asyncio.wait_for(
                asyncio.open_connection("127.0.0.1", port), CONNECT_S
            )
        except (OSError, TimeoutError):
            await _say(writer, self._away(asked, prefix), body=asked.method != b"HEAD")
            return
        peer = writer.get_extra_info("peername")
        scheme = "https" if writer.get_extra_info("ssl_object") is not None else "http"
        said, socket = forwarded(asked, str(peer[0]) if peer else "", scheme)
        back.write(said)
        idle_s = SOCKET_IDLE_S if socket else IDLE_S
        both = [
            asyncio.create_task(_pipe(reader, back, SOCKET_IDLE_S)),  # the city ends a slow sender
            asyncio.create_task(_pipe(inner, writer, idle_s)),
        ]
        try:  # whoever goes first ends it: nobody speaks to a client that is gone
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            back.close()
            with suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(back.wait_closed(), CONNECT_S)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle_s: float) -> None:
    while data := await asyncio.wait_for(reader.read(CHUNK), idle_s):
        writer.write(data)
        await writer.drain()


async def _say(writer: asyncio.StreamWriter, answer: Answer, *, body: bool) -> None:
    headers = [
        ("content-type", answer.mime), ("content-length", str(len(answer.body))),
        ("connection", "close"), ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"), *answer.headers,
    ]  # fmt: skip
    lines = [
        f"HTTP/1.1 {answer.status} {REASONS[answer.status]}",
        *(f"{n}: {v}" for n, v in headers),
    ]
    writer.write(
        "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (answer.body if body else b"")
    )
    await writer.drain()


async def run(
    fronts: Mapping[int, Front], host: str, tls: ssl.SSLContext | None,
    until: Callable[[], Awaitable[None]],
) -> None:  # fmt: skip
    """Serve each front on its port until `until` is done."""
    servers = [await front.start(host, port, tls) for port, front in fronts.items()]
    try:
        await until()
    finally:
        for server in servers:
            server.close()
