"""The door in front of several cities: a request reaches the city it names, and no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citymap.web.front import Front, NotHttpError, forwarded, parse
from citymap.web.region import Listed, Region

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


class City:
    """A process of a city that tells what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[bytes] = []
        self.server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = int(self.server.sockets[0].getsockname()[1])

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard.append(head)
        if b"upgrade: websocket" in head:
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
            while data := await reader.read(1000):
                writer.write(self.name.encode() + b":" + data)
        else:
            length = next(
                (
                    int(h.partition(b":")[2])
                    for h in head.split(b"\r\n")
                    if h.startswith(b"content-length")
                ),
                0,
            )
            body = await reader.readexactly(length)
            text = self.name.encode() + b"|" + body
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def region() -> AsyncIterator[tuple[int, City, City]]:
    one, two = City("sano"), City("oyama")
    await one.start()
    await two.start()
    page = Region(
        "圏域",
        [
            Listed("sano", "佐野市", "Sano"),
            Listed("oyama", "小山市", "Oyama"),
            Listed("away", "留守市", ""),
        ],
    )
    front = Front({"sano": one.port, "oyama": two.port, "away": 1}, page, page.away)
    server = await front.start("127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1]), one, two
    finally:
        for running in (server, one.server, two.server):
            assert running is not None
            running.close()
        await asyncio.sleep(0.1)  # what is open is closed while the loop still runs


async def send(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


def within(work: Callable[[int, City, City], Awaitable[None]]) -> None:
    async def run() -> None:
        async with region() as (port, one, two):
            await work(port, one, two)

    asyncio.run(run())


def test_each_prefix_reaches_its_city_alone() -> None:
    async def work(port: int, one: City, two: City) -> None:
        assert (await send(port, GET % b"/sano/map/")).endswith(b"sano|")
        assert (await send(port, GET % b"/oyama/api?x=/sano/")).endswith(b"oyama|")
        assert (await send(port, GET % b"/sano")).endswith(b"sano|")
        assert len(one.heard) == 2
        assert len(two.heard) == 1
        for path in (b"/", b"/Sano/", b"/sanox/", b"//sano/", b"/%73ano/", b"/x/../sano/"):
            assert b"|" not in await send(port, GET % path)
        assert len(one.heard) + len(two.heard) == 3

    within(work)


def test_what_follows_on_the_connection_never_reaches_another_city() -> None:
    async def work(port: int, one: City, two: City) -> None:
        both = GET % b"/sano/" + GET % b"/oyama/secret"
        answer = await send(port, both)
        assert answer.count(b"HTTP/1.1 200") == 1
        assert two.heard == []
        hidden = GET % b"/oyama/secret"
        post = (
            b"POST /sano/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden
        )
        assert (await send(port, post)).endswith(b"sano|" + hidden)
        assert two.heard == []

    within(work)


def test_the_client_cannot_say_who_it_is() -> None:
    async def work(port: int, one: City, two: City) -> None:
        await send(port, b"GET /sano/ HTTP/1.1\r\nHost: h:1\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\n"
                         b"Forwarded: for=8.8.8.8\r\nX-Real-IP: 8.8.8.8\r\nConnection: keep-alive\r\nCookie: a=b\r\n\r\n")  # fmt: skip
        head = one.heard[0].lower()
        assert b"8.8.8.8" not in head
        assert head.count(b"x-forwarded-for: 127.0.0.1") == 1
        assert b"x-forwarded-proto: http\r\n" in head
        assert b"connection: close" in head
        assert b"host: h:1" in head
        assert b"cookie: a=b" in head

    within(work)


def test_a_web_socket_passes_both_ways() -> None:
    async def work(port: int, one: City, two: City) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /oyama/_stcore/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        for text in (b"one", b"two"):
            writer.write(text)
            assert await asyncio.wait_for(reader.readexactly(9), 10) == b"oyama:" + text
        writer.close()
        await writer.wait_closed()

    within(work)


def test_a_city_that_does_not_answer_is_said_and_the_others_go_on() -> None:
    async def work(port: int, one: City, two: City) -> None:
        answer = await send(port, GET % b"/away/")
        assert answer.startswith(b"HTTP/1.1 503")
        assert "留守市".encode() in answer
        assert b"retry-after" in answer
        assert (await send(port, GET % b"/sano/")).endswith(b"sano|")

    within(work)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2\r\nHost: a\r\n\r\n",
        b"rubbish\r\n\r\n",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(head: bytes) -> None:
    with pytest.raises(NotHttpError):
        parse(head)

    async def work(port: int, one: City, two: City) -> None:
        assert (await send(port, head)).startswith(b"HTTP/1.1 400")

    within(work)


@given(st.binary(max_size=200))
def test_rubbish_is_refused_or_sent_on_as_one_head(data: bytes) -> None:
    head = b"GET /sano/ HTTP/1.1\r\nHost: x\r\nX: " + data + b"\r\n\r\n"
    try:
        asked = parse(head)
    except NotHttpError:
        return
    said, _ = forwarded(asked, "1.2.3.4", "http")
    assert said.count(b"\r\n\r\n") == 1
    assert parse(said).target == b"/sano/"


def test_the_page_names_the_cities_in_both_languages_and_nothing_else_is_there() -> None:
    page = Region("県の<地図>", [Listed("sano", "佐野市</script>", "Sano City")])

    def body(target: bytes, accept: bytes = b"") -> tuple[int, str, dict[str, str]]:
        answer = page(
            parse(
                b"GET "
                + target
                + b" HTTP/1.1\r\nHost: x\r\nAccept-Language: "
                + accept
                + b"\r\n\r\n"
            )
        )
        return answer.status, answer.body.decode(), dict(answer.headers)

    status, ja, headers = body(b"/")
    assert status == 200
    assert 'lang="ja"' in ja
    assert "&lt;地図&gt;" in ja
    assert "佐野市\\u003c/script>" in ja
    assert "default-src 'none'" in headers["content-security-policy"]
    assert 'lang="en"' in body(b"/", b"en-US,en;q=0.9")[1]
    assert 'lang="en"' in body(b"/?lang=en", b"ja")[1]
    assert body(b"/cities/page.js")[0] == body(b"/cities/page.css")[0] == 200
    for target in (b"/cities/../region.py", b"/cities/", b"/cities/page.py", b"/etc/passwd"):
        assert body(target)[0] == 404
    assert page(parse(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")).status == 405
