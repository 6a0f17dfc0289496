"""The nginx configuration that we ship, run for real: cache headers, packed twins, nothing hidden."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[1] / "deploy/nginx/citymap-site.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = [
    pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed"),
    pytest.mark.enable_socket,
]
FILES = {
    "index.html": b"<!doctype html>" + b"x" * 500, "site.json": b"{}" * 300, "status.json": b"[1]" * 200,
    "data/a1b2c3d4/search.json": b"[2]" * 300, "tiles/a1b2c3d4/mvt/1/0/0.mvt": b"tile" * 300,
    "tiles/manifest.json": b"{}" * 300, "home/assets/index-x.js": b"let a;" * 200, "words/ja.json": b"{}" * 200,
    ".secret": b"no",
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx")
    site = folder / "site"
    for name, body in FILES.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        if not name.startswith("."):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(body))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = SHIPPED.read_text(encoding="utf-8")
    assert "listen 80;" in ours and "/srv/www/map" in ours
    ours = ours.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(
        "/srv/www/map", str(site)
    )
    paths = "".join(
        f"{n}_temp_path {folder}/{n}; "
        for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\nhttp {{ access_log off; {paths}\n{ours} }}",
        encoding="utf-8",
    )
    command = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    tried = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0 and "warn" not in tried.stderr, tried.stderr
    process = subprocess.Popen(command)
    for _ in range(100):
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.wait(15)


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(  # noqa: S310
        url, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, b""


@pytest.mark.parametrize(
    ("path", "cache", "kind"),
    [
        ("", "no-cache", "text/html; charset=utf-8"),
        ("site.json", "no-cache", "application/json; charset=utf-8"),
        ("status.json", "no-store", "application/json; charset=utf-8"),
        ("words/ja.json", "no-cache", "application/json; charset=utf-8"),
        ("tiles/manifest.json", "no-cache", "application/json; charset=utf-8"),
        ("tiles/a1b2c3d4/mvt/1/0/0.mvt", "public, max-age=31536000, immutable", "application/vnd.mapbox-vector-tile"),
        ("data/a1b2c3d4/search.json", "public, max-age=31536000, immutable", "application/json; charset=utf-8"),
        ("home/assets/index-x.js", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"),
    ],
)  # fmt: skip
def test_each_file_with_its_cache_header_and_as_it_was_packed(
    base: str, path: str, cache: str, kind: str
) -> None:
    status, headers, body = get(base + path, accept_encoding="gzip")
    assert status == 200
    assert headers["cache-control"] == cache
    assert headers["content-type"] == kind
    assert headers["content-encoding"] == "gzip" and "accept-encoding" in headers["vary"].lower()
    assert gzip.decompress(body) == FILES[path or "index.html"]
    assert "script-src 'self'" in headers["content-security-policy"]
    plain = get(base + path)
    assert "content-encoding" not in plain[1] and plain[2] == FILES[path or "index.html"]


@pytest.mark.parametrize(
    "path", [".secret", "site.json.gz", "none.json", "data/", "../../etc/passwd"]
)
def test_nothing_else_is_given(base: str, path: str) -> None:
    assert get(base + path)[0] in {400, 403, 404}
