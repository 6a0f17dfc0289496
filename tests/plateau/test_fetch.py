"""Downloads from a server that misbehaves end complete and verified, or with a clear error."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citymap.errors import BadInputError, CancelledError
from citymap.plateau import fetch as fetching
from citymap.plateau.fetch import Dataset, Policy, choose, datasets, download, fetch, file_name
from citymap.progress import Quiet

CODE = "09999"
FAST = Policy(attempts=3, timeout_s=3.0, backoff_s=0.001, backoff_max_s=0.01)


def zip_bytes(seed: int = 1, size: int = 600_000) -> bytes:
    """A zip of one incompressible member."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("udx/bldg/a.gml", random.Random(seed).randbytes(size))
    return memory.getvalue()


class Server:
    """A local server whose answer to the n-th request for the zip is a function."""

    def __init__(self) -> None:
        self.body = zip_bytes()
        self.etag = '"one"'
        self.requests: list[dict[str, str]] = []
        self.behaviour: list[Callable[[BaseHTTPRequestHandler, int], None]] = []
        self.catalogue: bytes | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                if self.path.startswith(("/plateau-datasets", "/api/3")):
                    outer.answer(
                        self, 200, outer.catalogue or b"", {"Content-Type": "application/json"}
                    )
                    return
                outer.requests.append(dict(self.headers))
                n = len(outer.requests) - 1
                odd = outer.behaviour[n] if n < len(outer.behaviour) else None
                if odd is None:
                    outer.proper(self)
                else:
                    odd(self, n)

            def log_message(self, *_: object) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        threading.Thread(
            target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def answer(
        self, h: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]
    ) -> None:
        h.send_response(status)
        for k, v in {"Content-Length": str(len(body)), **headers}.items():
            if v:
                h.send_header(k, v)
        h.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            h.wfile.write(body)

    def proper(self, h: BaseHTTPRequestHandler, cut: int | None = None, **extra: str) -> None:
        """A server that honours Range and If-Range; `cut` drops the line after that many bytes."""
        wanted, condition = h.headers.get("Range"), h.headers.get("If-Range")
        start = (
            int(wanted.removeprefix("bytes=").rstrip("-"))
            if wanted and condition == self.etag
            else 0
        )
        body, n = self.body[start:], len(self.body)
        headers = {
            "ETag": self.etag,
            "Content-Length": str(len(body)),
            "Content-Type": "application/zip",
            **extra,
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{n - 1}/{n}"
        self.answer(h, 206 if start else 200, body[:cut], headers)

    def dataset(self, **more: object) -> Dataset:
        return Dataset(
            "x",
            CODE,
            "架空市",
            2024,
            f"{self.url}/a/{CODE}_x-shi_city_2024_citygml_1_op.zip",
            **more,
        )  # type: ignore[arg-type]

    def list_it(self, **more: object) -> None:
        entry = {
            "id": "09999_x", "city": "架空市", "city_code": CODE, "year": 2024, "url": self.dataset().url,
            "file_size": len(self.body), "feature_types": ["bldg"], **more,
        }  # fmt: skip
        other = {**entry, "year": 2020, "url": self.url + "/old.zip"}
        alien = {**entry, "city_code": "13101"}
        self.catalogue = json.dumps({"datasets": [], "citygml": [other, entry, alien]}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.httpd.shutdown()
    made.httpd.server_close()


def get(server: Server, folder: Path, **more: object) -> fetching.Download:
    return download(server.dataset(**more), folder, policy=FAST, progress=Quiet())


def finals(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix == ".zip")


def refused(server: Server, folder: Path, key: str, **more: object) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        get(server, folder, **more)
    assert caught.value.key == key
    assert finals(folder) == []
    assert "{" not in caught.value.message("ja") + caught.value.message("en")
    return caught.value


def test_a_healthy_server_gives_the_file(server: Server, tmp_path: Path) -> None:
    got = get(server, tmp_path)
    assert got.path.read_bytes() == server.body
    assert got.sha256 == hashlib.sha256(server.body).hexdigest()
    assert finals(tmp_path) == [got.path.name]
    assert not list(tmp_path.glob("*.part*"))


def test_a_verified_file_is_not_downloaded_again_but_a_damaged_one_is(
    server: Server, tmp_path: Path
) -> None:
    first = get(server, tmp_path)
    assert get(server, tmp_path).was_there
    assert len(server.requests) == 1
    damaged = bytearray(server.body)
    damaged[1000] ^= 1
    first.path.write_bytes(damaged)
    assert not get(server, tmp_path).was_there
    assert first.path.read_bytes() == server.body


def test_a_dropped_line_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.behaviour = [
        lambda h, n: server.proper(h, cut=200_000),
        lambda h, n: server.proper(h, cut=100_000),
    ]
    got = get(server, tmp_path)
    assert got.path.read_bytes() == server.body
    assert got.resumed_at == 300_000
    assert [r.get("Range") for r in server.requests] == [None, "bytes=200000-", "bytes=300000-"]


def test_a_later_run_goes_on_where_the_first_gave_up(server: Server, tmp_path: Path) -> None:
    def nothing(h: BaseHTTPRequestHandler, n: int) -> None:
        h.close_connection = True

    server.behaviour = [
        lambda h, n: server.proper(h, cut=250_000),
        nothing,
        nothing,
        nothing,
        nothing,
    ]
    refused(server, tmp_path, "fetch_incomplete")
    server.behaviour = []
    assert get(server, tmp_path).resumed_at == 250_000
    assert (tmp_path / file_name(server.dataset())).read_bytes() == server.body


def test_a_content_length_that_is_too_long_ends_in_an_error(server: Server, tmp_path: Path) -> None:
    long = str(len(server.body) + 10)
    server.behaviour = [
        lambda h, n: server.answer(h, 200, server.body, {"Content-Length": long, "ETag": '"x"'})
    ] * 9
    refused(server, tmp_path, "fetch_incomplete")


def test_a_content_length_that_is_too_short_ends_in_an_error(
    server: Server, tmp_path: Path
) -> None:
    short = str(len(server.body) - 10)
    server.behaviour = [lambda h, n: server.answer(h, 200, server.body, {"Content-Length": short})]
    refused(server, tmp_path, "fetch_broken_zip")


def test_a_server_without_content_length_is_verified_by_the_zip(
    server: Server, tmp_path: Path
) -> None:
    server.behaviour = [lambda h, n: server.answer(h, 200, server.body, {"Content-Length": ""})]
    assert get(server, tmp_path).path.read_bytes() == server.body
    server.behaviour += [
        lambda h, n: server.answer(h, 200, server.body[:-99], {"Content-Length": ""})
    ]
    refused(server, tmp_path / "two", "fetch_broken_zip")


def test_a_server_that_ignores_range_starts_from_the_beginning(
    server: Server, tmp_path: Path
) -> None:
    server.behaviour = [
        lambda h, n: server.proper(h, cut=200_000),
        lambda h, n: server.answer(h, 200, server.body, {"ETag": server.etag}),
    ]
    got = get(server, tmp_path)
    assert "Range" in server.requests[1]
    assert (got.resumed_at, got.path.read_bytes()) == (0, server.body)


def test_a_range_from_another_place_is_not_glued_on(server: Server, tmp_path: Path) -> None:
    n = len(server.body)
    wrong = {"ETag": server.etag, "Content-Range": f"bytes 100-{n - 1}/{n}"}
    server.behaviour = [
        lambda h, n: server.proper(h, cut=200_000),
        lambda h, n: server.answer(h, 206, server.body[100:], wrong),
    ]
    assert get(server, tmp_path).path.read_bytes() == server.body


def test_a_changed_file_is_never_mixed_with_the_old_part(server: Server, tmp_path: Path) -> None:
    def cut_then_change(h: BaseHTTPRequestHandler, n: int) -> None:
        server.proper(h, cut=200_000)
        server.body, server.etag = zip_bytes(seed=2), '"two"'

    server.behaviour = [cut_then_change]
    assert get(server, tmp_path).path.read_bytes() == zip_bytes(seed=2)

    def lying_206(h: BaseHTTPRequestHandler, n: int) -> None:
        size = len(server.body)
        headers = {"ETag": '"three"', "Content-Range": f"bytes 200000-{size - 1}/{size}"}
        server.answer(h, 206, zip_bytes(seed=3)[200_000:], headers)

    server.requests.clear()
    server.behaviour = [lambda h, n: server.proper(h, cut=200_000), lying_206]
    assert get(server, tmp_path / "two").path.read_bytes() == server.body


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/zip"])
def test_a_page_instead_of_a_zip_is_refused(server: Server, tmp_path: Path, kind: str) -> None:
    page = b"<!DOCTYPE html><title>login</title>"
    server.behaviour = [lambda h, n: server.answer(h, 200, page, {"Content-Type": kind})]
    refused(server, tmp_path, "fetch_html")
    assert not list(tmp_path.glob("*.part"))


def test_another_format_and_an_empty_answer_are_refused(server: Server, tmp_path: Path) -> None:
    server.behaviour = [
        lambda h, n: server.answer(h, 200, b"7z\xbc\xaf'\x1c" * 100, {}),
        lambda h, n: server.answer(h, 200, b"", {}),
    ]
    assert "7z" in refused(server, tmp_path, "fetch_not_zip").message("en")
    refused(server, tmp_path, "fetch_not_zip")


def test_errors_of_the_server_are_tried_again_and_then_told(server: Server, tmp_path: Path) -> None:
    def broken(h: BaseHTTPRequestHandler, n: int) -> None:
        server.answer(h, 503, b"later", {"Retry-After": "0"})

    server.behaviour = [broken, broken]
    assert get(server, tmp_path).path.exists()
    server.behaviour = [broken] * 20
    assert "503" in refused(server, tmp_path / "two", "fetch_incomplete").message("en")


def test_a_missing_file_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.behaviour = [lambda h, n: server.answer(h, 404, b"no", {})]
    refused(server, tmp_path, "fetch_status")
    assert len(server.requests) == 1


def test_a_server_that_falls_silent_is_left_and_resumed(server: Server, tmp_path: Path) -> None:
    def stall(h: BaseHTTPRequestHandler, n: int) -> None:
        h.send_response(200)
        h.send_header("Content-Length", str(len(server.body)))
        h.send_header("ETag", server.etag)
        h.end_headers()
        h.wfile.write(server.body[:300_000])
        h.wfile.flush()
        time.sleep(0.6)

    server.behaviour = [stall]
    quick = Policy(attempts=3, timeout_s=0.3, backoff_s=0.001)
    got = download(server.dataset(), tmp_path, policy=quick, progress=Quiet())
    assert got.path.read_bytes() == server.body
    assert got.resumed_at > 0


def test_a_flipped_bit_is_found(server: Server, tmp_path: Path) -> None:
    good = server.body
    server.body = good[:5000] + bytes([good[5000] ^ 4]) + good[5001:]
    refused(server, tmp_path, "fetch_broken_zip")
    assert not list(tmp_path.glob("*.part*"))


def test_named_checksums_must_agree(server: Server, tmp_path: Path) -> None:
    refused(server, tmp_path, "fetch_checksum", sha256="0" * 64)
    assert get(server, tmp_path, sha256=hashlib.sha256(server.body).hexdigest()).path.exists()
    server.behaviour = [None] * 2 + [  # type: ignore[list-item]
        lambda h, n: server.proper(h, **{"Repr-Digest": "sha-256=:" + "A" * 43 + "=:"})
    ]
    refused(server, tmp_path / "two", "fetch_checksum")


def test_cancelling_keeps_the_part(server: Server, tmp_path: Path) -> None:
    class Stopper(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            if done > 200_000:
                self.cancel()
            super().update(done, total, note)

    with pytest.raises(CancelledError):
        download(server.dataset(), tmp_path, policy=FAST, progress=Stopper())
    assert finals(tmp_path) == []
    assert get(server, tmp_path).resumed_at > 0


def test_progress_grows_and_ends_at_the_whole(server: Server, tmp_path: Path) -> None:
    shares: list[float] = []

    class Listener(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            shares.append(done / total)

    download(server.dataset(), tmp_path, policy=FAST, progress=Listener())
    assert max(shares) == pytest.approx(1.0)
    assert min(shares) >= 0


def redirect(server: Server, there: str) -> Callable[[BaseHTTPRequestHandler, int], None]:
    return lambda h, n: server.answer(h, 302, b"", {"Location": there})


def test_redirects_are_followed_but_not_for_ever(server: Server, tmp_path: Path) -> None:
    server.behaviour = [redirect(server, "/elsewhere.zip")]
    assert get(server, tmp_path).path.read_bytes() == server.body
    server.behaviour = [redirect(server, "/again.zip")] * 50
    refused(server, tmp_path / "two", "fetch_redirects")


@pytest.mark.parametrize(
    ("there", "key"),
    [
        ("https://10.0.0.1/x.zip", "fetch_private_address"),
        ("https://169.254.169.254/latest", "fetch_private_address"),
        ("https://[fd00::1]/x.zip", "fetch_private_address"),
        ("https://[::ffff:192.168.0.1]/x.zip", "fetch_private_address"),
        ("http://10.0.0.1/x.zip", "fetch_not_https"),
        ("file:///etc/passwd", "fetch_bad_url"),
        ("https://user@host.example/x.zip", "fetch_bad_url"),
    ],
)
def test_redirects_into_the_inner_network_are_refused(
    server: Server, tmp_path: Path, there: str, key: str
) -> None:
    server.behaviour = [redirect(server, there)]
    refused(server, tmp_path, key)


@pytest.mark.parametrize(
    "url", ["http://data.example/x.zip", "ftp://data.example/x.zip", "x.zip", "https://"]
)
def test_only_https_is_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInputError):
        download(Dataset("x", CODE, "", 2024, url), tmp_path, policy=FAST, progress=Quiet())


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fe80::1%eth0", "100.64.0.1"]
)
def test_a_foreign_host_may_not_lead_here(address: str) -> None:
    with pytest.raises(BadInputError, match="refused"):
        fetching._refuse_private("data.example", [address])


def test_the_newest_edition_is_taken_unless_a_year_is_named(server: Server) -> None:
    server.list_it()
    found = datasets(server.url, CODE + "7", policy=FAST, progress=Quiet())
    assert [d.year for d in found] == [2024, 2020]
    assert choose(found, None).year == 2024
    assert choose(found, 2020).year == 2020
    with pytest.raises(BadInputError, match="2024, 2020"):
        choose(found, 2019)


def test_a_ckan_catalogue_is_understood(server: Server) -> None:
    resources = [
        {
            "id": "a",
            "name": "CityGML (v4)",
            "url": server.url + "/09999_citygml.zip",
            "size": 7,
            "format": "ZIP",
        },
        {"id": "b", "name": "3D Tiles", "url": server.url + "/09999_3dtiles.zip"},
        {"id": "c", "name": "CityGML", "url": server.url + "/09999_citygml.7z"},
    ]
    packages = [
        {"name": f"plateau-{CODE}-kakuu-shi-2024", "title": "架空市", "resources": resources},
        {"name": "plateau-099991-other-2024", "title": "別", "resources": resources},
    ]
    server.catalogue = json.dumps({"success": True, "result": {"results": packages}}).encode()
    found = datasets(server.url + "/api/3/action", CODE, policy=FAST, progress=Quiet())
    assert [(d.id, d.year, d.bytes) for d in found] == [("a", 2024, 7)]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>maintenance</html>",
        b"[]",
        b'{"citygml": [{"city_code": "09999", "url": 3, "file_size": "x"}]}',
        b"{}",
    ],
)
def test_a_catalogue_that_is_none_is_told(server: Server, body: bytes) -> None:
    server.catalogue = body
    with pytest.raises(BadInputError) as caught:
        datasets(server.url, CODE, policy=FAST, progress=Quiet())
    assert caught.value.key == "fetch_bad_catalogue"


def test_an_unknown_city_and_a_bad_code_are_told(server: Server) -> None:
    server.list_it()
    for code, key in (
        ("47201", "fetch_unknown_city"),
        ("sano", "fetch_bad_code"),
        ("1", "fetch_bad_code"),
    ):
        with pytest.raises(BadInputError) as caught:
            datasets(server.url, code, policy=FAST, progress=Quiet())
        assert caught.value.key == key


def test_an_unreachable_catalogue_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        fetch(
            CODE, tmp_path, catalogue="http://127.0.0.1:9", year=None, policy=FAST, progress=Quiet()
        )
    assert caught.value.key == "fetch_unreachable"


def test_names_from_the_catalogue_stay_inside_the_folder() -> None:
    for url in (
        "https://h.example/../../etc/cron.zip",
        "https://h.example/..%2f..%2fx.zip",
        "https://h.example/",
    ):
        name = file_name(Dataset("x", CODE, "", 2024, url))
        assert "/" not in name
        assert not name.startswith(".")


def test_the_command_downloads_and_imports(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from citymap.cli import _register, app
    from citymap.plateau import importer

    seen: list[Path] = []

    def fake(
        sources: list[Path], workspace: object, *, options: importer.ImportOptions, progress: object
    ) -> importer.ImportRecord:
        seen.extend(sources)
        assert options.edition == "2024"
        return importer.ImportRecord("id", "now", counts={"buildings": 3})

    monkeypatch.setattr(importer, "import_sources", fake)
    _register()
    server.list_it()
    base = ["fetch", CODE, "--city", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, [*base, "--catalogue", server.url])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["counts"] == {"buildings": 3}
    assert seen == [Path(data["path"])]
    listed = CliRunner().invoke(app, [*base, "--list"], env={"CITYMAP_CATALOGUE": server.url})
    assert [d["year"] for d in json.loads(listed.stdout)["datasets"]] == [2024, 2020]
    failed = CliRunner().invoke(
        app, ["fetch", "x", "--city", str(tmp_path), "--catalogue", server.url]
    )
    assert failed.exit_code == 1
