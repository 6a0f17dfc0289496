"""A read-only door to a folder of files: byte cache, ETag, gzip, and no way out of the folder.

Starlette's `StaticFiles` stats and opens the file in a thread for every request; tiles are asked
for a thousand times a second, so this answers from memory in one step.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import open_file
from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MIME = {
    ".bin": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".glb": "model/gltf-binary",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".mvt": "application/vnd.mapbox-vector-tile",
    ".parquet": "application/vnd.apache.parquet",
    ".pbf": "application/x-protobuf",
    ".png": "image/png",
    ".subtree": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
COMPRESSIBLE = frozenset(
    {".css", ".csv", ".glb", ".html", ".js", ".json", ".map", ".mjs", ".mvt", ".pbf", ".subtree",
     ".svg", ".txt", ".wasm", ".webmanifest", ".bin"}
)  # fmt: skip
IMMUTABLE = b"public, max-age=31536000, immutable"
NO_CACHE = b"no-cache"
SMALL_BYTES = 1024  # below this, compression costs more than it saves
CACHED_BYTES = 4 << 20  # a larger file is streamed, never held
CHUNK_BYTES = 256 << 10

Headers = list[tuple[bytes, bytes]]
Rewrite = Callable[[bytes], bytes]
SHARED: Headers = [
    (b"access-control-allow-origin", b"*"),  # no cookie goes with it: the same for everybody
    (b"cross-origin-resource-policy", b"cross-origin"),
]
PREFLIGHT: Headers = [
    *SHARED,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, x-api-key, *"),
    (b"access-control-max-age", b"86400"),
]


def as_it_is(body: bytes) -> bytes:
    """The rewrite that changes nothing."""
    return body


@dataclass(frozen=True, slots=True)
class Answer:
    """One file as it goes out; `stamp` (mtime in ns, size) tells whether it is still the file."""

    body: bytes
    headers: Headers
    not_modified: Headers
    etag: bytes
    path: Path
    stamp: tuple[int, int]
    immutable: bool


class ByteCache:
    """The files asked for last, bounded in bytes; used from one event loop, so without a lock."""

    def __init__(self, limit_bytes: int = 64 << 20) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[tuple[int, str, bool], Answer] = OrderedDict()

    def get(self, key: tuple[int, str, bool]) -> Answer | None:
        """The entry, made the youngest."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: tuple[int, str, bool], entry: Answer) -> None:
        """Keep an entry; the oldest go until the limit holds."""
        self.drop(key)
        self._entries[key] = entry
        self.held_bytes += len(entry.body)
        while self.held_bytes > self.limit_bytes and len(self._entries) > 1:
            _, old = self._entries.popitem(last=False)
            self.held_bytes -= len(old.body)

    def drop(self, key: tuple[int, str, bool]) -> None:
        """Forget an entry, if it is held."""
        old = self._entries.pop(key, None)
        if old is not None:
            self.held_bytes -= len(old.body)


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110: `*` and q-values count)."""
    allowed = {}
    for item in accept_encoding.decode("latin-1").lower().split(","):
        name, _, rest = item.strip().partition(";")
        quality = rest.replace(" ", "")
        allowed[name.strip()] = not (
            quality.startswith("q=") and quality[2:].rstrip("0") in {"", "0", "0.", "."}
        )
    return allowed.get("gzip", allowed.get("*", False))


def etag_matches(if_none_match: bytes, etag: bytes) -> bool:
    """Weak comparison of RFC 9110 for If-None-Match."""
    if if_none_match == etag:
        return True
    names = {item.strip().removeprefix(b"W/") for item in if_none_match.split(b",")}
    return b"*" in names or etag in names


def route_path(scope: Scope) -> str:
    """The request path below `root_path` (ASGI puts the prefix into both)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


def safe_relative(path: str) -> str | None:
    """`path` without leading slash; None where it could leave the folder or names a hidden file."""
    relative = path.lstrip("/")
    if "\\" in relative or "\0" in relative or ":" in relative:
        return None
    if any(part in {"", ".", ".."} or part.startswith(".") for part in relative.split("/")):
        return None
    return relative


def inside(path: Path, root: Path) -> bool:
    """Whether the real file behind `path` lies inside the real folder behind `root`."""
    return path.resolve().is_relative_to(root.resolve())


class FileDoor:
    """An ASGI application over `root`.

    `locate` turns a safe relative URL path into a safe relative file path (None: not found), and
    `is_immutable` says which URLs never change their content. `index` is served for a folder URL.
    A file `name.gz` beside or instead of `name` is what goes out where gzip is accepted. `sparse`
    answers 204 instead of 404 for a missing tile of these suffixes: "nothing drawn here". `passage`
    says for a located file path whether it may go out (None: not found) and what rewrites its body.
    With `shared` pages of other sites may read the files too (Cesium, PLATEAU VIEW, ArcGIS).
    """

    def __init__(
        self,
        root: Path | None,
        *,
        cache: ByteCache,
        is_immutable: Callable[[str], bool],
        locate: Callable[[str], str | None] = lambda path: path,
        index: str | None = None,
        sparse: frozenset[str] = frozenset(),
        passage: Callable[[str], Rewrite | None] = lambda _: as_it_is,
        shared: bool = False,
    ) -> None:
        self.passage = passage
        self.shared = shared
        self.root = root
        self.cache = cache
        self.is_immutable = is_immutable
        self.locate = locate
        self.index = index
        self.sparse = sparse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        del receive
        method = scope["method"]
        if self.shared and method == "OPTIONS":
            await _plain(send, 204, PREFLIGHT)
            return
        if method not in {"GET", "HEAD"}:
            await _plain(send, 405, [(b"allow", b"GET, HEAD")])
            return
        encoding, if_none_match = b"", None
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                encoding = value
            elif name == b"if-none-match":
                if_none_match = value
        gzip_ok = accepts_gzip(encoding)
        url = route_path(scope)
        key = (id(self), url, gzip_ok)
        entry = self.cache.get(key)
        if entry is not None and not entry.immutable and _stamp(entry.path) != entry.stamp:
            self.cache.drop(key)
            entry = None
        if entry is None:
            found = await run_sync(self._find, url)
            if found is None:
                await self._missing(url, send)
                return
            path, relative, rewrite = found
            try:
                if rewrite is as_it_is and path.stat().st_size > CACHED_BYTES:
                    await self._stream(path, relative, gzip_ok, method, send)
                    return
                entry = await run_sync(self._read, path, relative, gzip_ok, rewrite)
            except (
                OSError,
                ValueError,
            ):  # removed since the look (a rebuild is running), or broken
                await self._missing(url, send)
                return
            self.cache.put(key, entry)
        if if_none_match is not None and etag_matches(if_none_match, entry.etag):
            await send(
                {"type": "http.response.start", "status": 304, "headers": entry.not_modified}
            )
            await send({"type": "http.response.body"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": entry.headers})
        await send({"type": "http.response.body", "body": entry.body if method == "GET" else b""})

    def _find(self, url: str) -> tuple[Path, str, Rewrite] | None:
        """The file that answers a URL, its name without `.gz`, and its rewrite; None: there is none."""
        if self.root is None:
            return None
        if self.index is not None and (url in {"", "/"} or url.endswith("/")):
            url = url.rstrip("/") + "/" + self.index
        relative = safe_relative(url)
        if relative is None:
            return None
        located = self.locate(relative)
        if located is None:
            return None
        rewrite = self.passage(located)
        if rewrite is None:
            return None
        for name in (located, located + ".gz"):
            path = self.root / name
            try:
                if path.is_file() and inside(path, self.root):
                    return path, relative, rewrite
            except OSError:  # a name too long for the file system
                return None
        return None

    def _read(self, path: Path, relative: str, gzip_ok: bool, rewrite: Rewrite) -> Answer:
        stamp = _stamp(path)
        body = path.read_bytes()
        suffix = Path(relative).suffix.lower()
        zipped = path.name.endswith(".gz") and not relative.endswith(".gz")
        if rewrite is not as_it_is:
            body, zipped = rewrite(gzip.decompress(body) if zipped else body), False
        if zipped and not gzip_ok:
            body, zipped = gzip.decompress(body), False
        elif not zipped and gzip_ok and suffix in COMPRESSIBLE and len(body) > SMALL_BYTES:
            smaller = gzip.compress(body, 6, mtime=0)
            if len(smaller) < 0.9 * len(body):
                body, zipped = smaller, True
        digest = blake2b(body, digest_size=12).hexdigest()
        etag = f'"{digest}"'.encode()
        headers = self._headers(relative, zipped=zipped)
        headers.append((b"etag", etag))
        return Answer(
            body=body,
            headers=[*headers, (b"content-length", str(len(body)).encode())],
            not_modified=[h for h in headers if h[0] not in {b"content-type", b"content-encoding"}],
            etag=etag,
            path=path,
            stamp=stamp,
            immutable=self.is_immutable(relative),
        )

    def _headers(self, relative: str, *, zipped: bool) -> Headers:
        suffix = Path(relative).suffix.lower()
        headers: Headers = [
            (b"content-type", MIME.get(suffix, "application/octet-stream").encode()),
            (b"cache-control", IMMUTABLE if self.is_immutable(relative) else NO_CACHE),
        ]
        if suffix in COMPRESSIBLE:
            headers.append((b"vary", b"accept-encoding"))
        if zipped:
            headers.append((b"content-encoding", b"gzip"))
        if self.shared:
            headers += SHARED
        return headers

    async def _stream(
        self, path: Path, relative: str, gzip_ok: bool, method: str, send: Send
    ) -> None:  # fmt: skip
        zipped = path.name.endswith(".gz") and not relative.endswith(".gz")
        headers = self._headers(relative, zipped=zipped and gzip_ok)
        if not zipped or gzip_ok:
            headers.append((b"content-length", str(path.stat().st_size).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if method == "GET" and zipped and not gzip_ok:
            with gzip.open(path) as handle:
                while chunk := await run_sync(handle.read, CHUNK_BYTES):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        elif method == "GET":
            async with await open_file(path, "rb") as plain:
                while chunk := await plain.read(CHUNK_BYTES):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _missing(self, url: str, send: Send) -> None:
        sparse = Path(url).suffix.lower() in self.sparse and self.is_immutable(url.lstrip("/"))
        shared = SHARED if self.shared else []
        await _plain(send, 204 if sparse else 404, [(b"cache-control", b"no-store"), *shared])


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, -1)
    return (status.st_mtime_ns, status.st_size)


async def _plain(send: Send, status: int, headers: Headers) -> None:
    text = b"" if status == 204 else {404: b"not found", 405: b"method not allowed"}[status]
    more: Headers = [] if status == 204 else [(b"content-type", b"text/plain; charset=utf-8")]
    length = [] if status == 204 else [(b"content-length", str(len(text)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": headers + more + length}
    )
    await send({"type": "http.response.body", "body": text})
