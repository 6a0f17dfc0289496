"""The door to files: nothing outside, the right encoding, validators, and a bounded cache."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_client import TestClient
from citymap.web.file_door import (
    Answer,
    ByteCache,
    FileDoor,
    accepts_gzip,
    etag_matches,
    safe_relative,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tiles"
    (folder / "v1").mkdir(parents=True)
    (folder / "v1/a.mvt.gz").write_bytes(gzip.compress(b"tile" * 500))
    (folder / "v1/plain.json").write_text("[" + "1," * 2000 + "1]")
    (folder / "v1/small.json").write_text("{}")
    (folder / "manifest.json").write_text('{"version": "v1"}')
    (folder / ".hidden").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "v1/link.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
def cache() -> ByteCache:
    return ByteCache(1 << 20)


@pytest.fixture
def client(root: Path, cache: ByteCache) -> TestClient:
    door = FileDoor(
        root,
        cache=cache,
        is_immutable=lambda p: p.startswith("v1/"),
        index="manifest.json",
        sparse=frozenset({".mvt"}),
    )
    return TestClient(door, raise_server_exceptions=True)


def test_a_compressed_file_goes_out_as_it_lies(client: TestClient) -> None:
    got = client.get("/v1/a.mvt", headers={"accept-encoding": "gzip"})
    assert got.headers["content-encoding"] == "gzip"
    assert got.content == b"tile" * 500
    assert got.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert got.headers["vary"] == "accept-encoding"


def test_a_client_without_gzip_gets_plain_bytes(client: TestClient) -> None:
    got = client.get("/v1/a.mvt", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in got.headers
    assert int(got.headers["content-length"]) == 2000
    assert got.content == b"tile" * 500


def test_a_plain_text_file_is_compressed_on_the_way(client: TestClient) -> None:
    got = client.get("/v1/plain.json", headers={"accept-encoding": "gzip, br"})
    assert got.headers["content-encoding"] == "gzip"
    assert int(got.headers["content-length"]) < 500
    assert len(got.json()) == 2001
    assert "content-encoding" not in client.get("/v1/small.json").headers


def test_versioned_files_are_immutable_and_the_manifest_is_not(client: TestClient) -> None:
    assert "immutable" in client.get("/v1/a.mvt").headers["cache-control"]
    assert client.get("/manifest.json").headers["cache-control"] == "no-cache"
    assert client.get("/").json() == {"version": "v1"}


def test_an_unchanged_file_answers_304_without_body(client: TestClient) -> None:
    etag = client.get("/v1/a.mvt").headers["etag"]
    got = client.get("/v1/a.mvt", headers={"if-none-match": f'"other", W/{etag}'})
    assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", etag)


def test_encodings_have_their_own_etag(client: TestClient) -> None:
    zipped = client.get("/v1/a.mvt", headers={"accept-encoding": "gzip"}).headers["etag"]
    plain = client.get("/v1/a.mvt", headers={"accept-encoding": "identity"}).headers["etag"]
    assert zipped != plain


def test_a_changed_manifest_is_seen_at_once(client: TestClient, root: Path) -> None:
    assert client.get("/manifest.json").json() == {"version": "v1"}
    (root / "manifest.json").write_text('{"version": "v2!"}')
    assert client.get("/manifest.json").json() == {"version": "v2!"}


def test_head_has_the_length_and_no_body(client: TestClient) -> None:
    got = client.head("/v1/small.json")
    assert (got.headers["content-length"], got.content) == ("2", b"")


def test_other_methods_are_refused(client: TestClient) -> None:
    assert client.post("/v1/a.mvt").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt", "/v1/../../outside.txt", "/%2e%2e/outside.txt",
        "/v1/..%2f..%2foutside.txt",
        "/.hidden", "/v1/link.txt", "//etc/passwd", "/v1\\..\\..\\outside.txt",
        "/c:/windows/win.ini",
        "/v1", "/nothing.json", "/v1/" + "x" * 5000, "/%00",
    ],
)  # fmt: skip
def test_nothing_outside_or_hidden_is_given_away(client: TestClient, path: str) -> None:
    got = client.get(path)
    assert got.status_code == 404
    assert b"secret" not in got.content


@given(st.text(st.sampled_from("./\\%2e:~\0av1\n"), max_size=30))
def test_a_safe_path_never_climbs(path: str) -> None:
    relative = safe_relative(path)
    if relative is not None:
        parts = Path(relative).parts
        assert not Path(relative).is_absolute()
        assert all(not part.startswith(".") for part in parts)


def test_a_missing_tile_is_empty_and_not_cached(client: TestClient, cache: ByteCache) -> None:
    got = client.get("/v1/9/9/9.mvt")
    assert (got.status_code, got.headers["cache-control"]) == (204, "no-store")
    assert cache.held_bytes == 0


def test_a_large_file_is_streamed_and_not_held(
    client: TestClient, root: Path, cache: ByteCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("citymap.web.file_door.CACHED_BYTES", 1000)
    (root / "v1/big.bin").write_bytes(bytes(5000))
    assert client.get("/v1/big.bin").content == bytes(5000)
    (root / "v1/big2.bin.gz").write_bytes(gzip.compress(bytes(range(256)) * 40, 0))
    for encoding in ("gzip", "identity"):
        got = client.get("/v1/big2.bin", headers={"accept-encoding": encoding})
        assert got.content == bytes(range(256)) * 40
    assert cache.held_bytes == 0


def test_no_city_means_not_found() -> None:
    door = FileDoor(None, cache=ByteCache(), is_immutable=lambda _: True)
    assert TestClient(door).get("/manifest.json").status_code == 404


def test_the_cache_never_holds_more_than_its_limit() -> None:
    cache = ByteCache(100)
    for number in range(50):
        body = bytes(7 * (number % 6))
        entry = Answer(body, [], [], b"", Path(), (0, 0), immutable=True)
        cache.put((1, str(number), True), entry)
        assert cache.held_bytes <= 100
    assert cache.get((1, "49", True)) is not None
    assert cache.get((1, "0", True)) is None


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (b"gzip", True), (b"br, gzip;q=0.5", True), (b"gzip;q=0", False), (b"", False),
        (b"*", True), (b"*;q=0, gzip", True), (b"identity", False), (b"gzip; q=0.0", False),
        (b"deflate, *;q=0", False), (b"x-gzip", False),
    ],
)  # fmt: skip
def test_accept_encoding_is_read_as_the_standard_says(header: bytes, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


def test_a_star_matches_any_etag() -> None:
    assert etag_matches(b"*", b'"a"')
    assert not etag_matches(b'"b", W/"c"', b'"a"')
