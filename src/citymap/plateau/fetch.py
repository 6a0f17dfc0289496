"""Download of a city's CityGML from an open catalogue: resumable, verified, then renamed into place.

The catalogue of the 3D city models is a trial service without guarantee, and its asset addresses
change; nothing here runs unless a person asks for it. Two answers are understood: the data list
of PLATEAU (`<catalogue>/plateau-datasets`, key `citygml`) and CKAN's `package_search`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import ipaddress
import json
import os
import re
import shutil
import socket
import ssl
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO

from citymap import __version__
from citymap.errors import BadInputError
from citymap.plateau.archive import MAX_MEMBERS, MAX_TOTAL_BYTES
from citymap.progress import Progress
from citymap.workspace import write_text

CATALOGUE = "https://api.plateauview.mlit.go.jp/datacatalog"
MAX_CATALOGUE_BYTES = 64 << 20  # the national list is about 10 MB
MAX_REDIRECTS = 5
BLOCK = 1 << 18
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient and how trusting a download is."""

    insecure_http: bool = False
    attempts: int = 6  # in a row without any new byte
    timeout_s: float = 60.0
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Dataset:
    """One zip of the catalogue. `sha256` and `bytes` are None where the catalogue is silent."""

    id: str
    city_code: str
    city: str
    year: int | None
    url: str
    bytes: int | None = None
    sha256: str | None = None
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A complete, verified file; `resumed_at` is where the last attempt went on (0: from the start)."""

    path: Path
    url: str
    bytes: int
    sha256: str
    resumed_at: int = 0
    was_there: bool = False


class _TryAgain(Exception):
    """An attempt that may succeed later."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


# --- the connection: which hosts may be reached ---


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _target(url: str, policy: Policy) -> urllib.parse.SplitResult:
    """The parts of an address that may be asked.

    Raises:
        BadInputError: not https (or http on this machine), or no host.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as e:
        raise BadInputError("fetch_bad_url", url=url) from e
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise BadInputError("fetch_bad_url", url=url)
    if parts.scheme == "http" and not (_is_loopback(host) or policy.insecure_http):
        raise BadInputError("fetch_not_https", url=url)
    return parts


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as e:
        raise _TryAgain(f"{host}: {e}") from e
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _connect(
    parts: urllib.parse.SplitResult, policy: Policy, *, trusted: bool
) -> http.client.HTTPConnection:
    """A connection; an untrusted host (a redirect, an address in the catalogue) must be public.

    The address that was checked is the one connected to, so a second name lookup cannot move it.
    """
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    proxy = (
        None if _is_loopback(host) or urllib.request.proxy_bypass(host) else _proxy(parts.scheme)
    )
    if proxy is not None:  # the proxy looks names up: only literal addresses can be judged here
        if not trusted:
            _refuse_private(host, [host] if _literal(host) else [])
        via = _plain_or_tls(parts.scheme, proxy[0], proxy[1], policy)
        if parts.scheme == "https":
            via.set_tunnel(host, port)
        return via
    addresses = _addresses(host, port)
    if not trusted:
        _refuse_private(host, addresses)
    connection = _plain_or_tls(parts.scheme, host, port, policy)
    connection._create_connection = _pinned(addresses)  # type: ignore[attr-defined]
    return connection


def _plain_or_tls(scheme: str, host: str, port: int, policy: Policy) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=policy.timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=policy.timeout_s)


def _pinned(addresses: list[str]) -> Callable[..., socket.socket]:
    def connect(
        address: tuple[str, int], timeout: float | None = None, *_: object
    ) -> socket.socket:
        last: OSError = OSError("no address")
        for ip in addresses:
            try:
                return socket.create_connection((ip, address[1]), timeout)
            except OSError as e:
                last = e
        raise last

    return connect


def _proxy(scheme: str) -> tuple[str, int] | None:
    """Host and port of the proxy that the environment names (town halls sit behind one)."""
    address = urllib.request.getproxies().get(scheme)
    if not address:
        return None
    parts = urllib.parse.urlsplit(address if "//" in address else f"//{address}")
    return (parts.hostname, parts.port or 8080) if parts.hostname else None


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse_private(host: str, addresses: Iterable[str]) -> None:
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        if not (mapped or address).is_global:
            raise BadInputError("fetch_private_address", host=host, address=text)


@dataclass(slots=True)
class _Answer:
    """The last answer of a chain of redirects."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    url: str

    @property
    def headers(self) -> Message:
        return self.response.headers

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def read(self, size: int) -> bytes:
        try:
            return self.response.read(size)
        except (OSError, http.client.HTTPException) as e:
            raise _TryAgain(str(e) or type(e).__name__) from e


def _get(url: str, headers: dict[str, str], policy: Policy, *, trusted: bool) -> _Answer:
    """GET with redirects followed by hand.

    Raises:
        BadInputError: an address that may not be asked, or too many redirects.
    """
    home_is_loopback = _is_loopback(_target(url, policy).hostname or "")
    for _ in range(MAX_REDIRECTS + 1):
        parts = _target(url, policy)
        # a test server on this machine may send to itself, a foreign server may not send here
        ours = trusted or (home_is_loopback and _is_loopback(parts.hostname or ""))
        connection = _connect(parts, policy, trusted=ours)
        through_proxy = parts.scheme == "http" and connection.host != parts.hostname
        path = (
            url
            if through_proxy
            else urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        )
        try:
            connection.request("GET", urllib.parse.quote(path, safe="/:?&=%+,;@!$'()*~#[]"), headers={
                "User-Agent": f"citymap/{__version__}", "Accept-Encoding": "identity", "Host": parts.netloc, **headers,
            })  # fmt: skip
            response = connection.getresponse()
        except ssl.SSLCertVerificationError as e:
            connection.close()
            raise BadInputError("fetch_certificate", url=url, reason=e.verify_message) from e
        except (OSError, http.client.HTTPException) as e:
            connection.close()
            raise _TryAgain(str(e) or type(e).__name__) from e
        if response.status not in (301, 302, 303, 307, 308):
            return _Answer(connection, response, url)
        there = response.headers.get("Location")
        response.close()
        connection.close()
        if not there:
            raise BadInputError("fetch_status", url=url, status=response.status)
        was_https = parts.scheme == "https"
        url = urllib.parse.urljoin(url, there)
        if was_https and urllib.parse.urlsplit(url).scheme != "https":
            raise BadInputError("fetch_not_https", url=url)
        trusted = False
    raise BadInputError("fetch_redirects", url=url, limit=MAX_REDIRECTS)


def _judge(answer: _Answer) -> None:
    """Raise for an error status; `_TryAgain` for those that pass."""
    status = answer.response.status
    if status in (408, 425, 429) or status >= 500:
        wait = answer.headers.get("Retry-After", "")
        raise _TryAgain(f"HTTP {status}", float(wait) if wait.isdigit() else None)
    if status >= 400:
        raise BadInputError("fetch_status", url=answer.url, status=status)


def _pause(seconds: float, progress: Progress, done: float, total: float, note: str) -> None:
    """Wait, while the person can still cancel."""
    until = time.monotonic() + seconds
    while True:
        progress.update(min(done, total * 0.999), total, note)
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, 0.2))


def _backoff(failure: _TryAgain, fails: int, policy: Policy) -> float:
    return min(policy.backoff_max_s, failure.wait_s or policy.backoff_s * 2.0 ** (fails - 1))


# --- the catalogue ---


def datasets(
    catalogue: str, city_code: str, *, policy: Policy, progress: Progress
) -> list[Dataset]:
    """What a catalogue offers for a city, newest first.

    Raises:
        BadInputError: the catalogue cannot be reached, is no catalogue, or lacks the city.
    """
    code = city_code.strip()[:5]
    if not re.fullmatch(r"\d{5}\d?", city_code.strip()):
        raise BadInputError("fetch_bad_code", code=city_code)
    base = catalogue.rstrip("/")
    ckan = "/api/3/action" in base or base.endswith("/ckan")
    if ckan:
        base = base if "/api/3/action" in base else base + "/api/3/action"
        url = f"{base.removesuffix('/package_search')}/package_search?q=plateau+{code}&rows=100"
    else:
        url = base if base.endswith((".json", "/plateau-datasets")) else f"{base}/plateau-datasets"
    answer = _json(url, policy, progress)
    try:
        found = _from_ckan(answer, code) if ckan else _from_plateau(answer, code)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise BadInputError(
            "fetch_bad_catalogue", url=url, reason=f"{type(e).__name__}: {e}"
        ) from e
    if not found:
        raise BadInputError("fetch_unknown_city", code=code, url=url)
    return sorted(found, key=lambda d: (d.year or 0, d.id), reverse=True)


def _json(url: str, policy: Policy, progress: Progress) -> Any:
    fails = 0
    while True:
        try:
            answer = _get(url, {"Accept": "application/json"}, policy, trusted=True)
            try:
                _judge(answer)
                body = bytearray()
                while block := answer.read(BLOCK):
                    body += block
                    progress.update(0, 1, "catalogue")
                    if len(body) > MAX_CATALOGUE_BYTES:
                        raise BadInputError("fetch_bad_catalogue", url=url, reason="> 64 MB")
                length = answer.headers.get("Content-Length", "")
                if length.isdigit() and len(body) < int(length):
                    raise _TryAgain(f"{len(body)} of {length} bytes")
            finally:
                answer.close()
            return json.loads(body)
        except ValueError as e:
            raise BadInputError("fetch_bad_catalogue", url=url, reason=e) from e
        except _TryAgain as e:
            fails += 1
            if fails >= policy.attempts:
                raise BadInputError("fetch_unreachable", url=url, reason=e) from e
            _pause(_backoff(e, fails, policy), progress, 0, 1, f"catalogue: {e}")


def _from_plateau(answer: Any, code: str) -> list[Dataset]:
    found = []
    for entry in answer["citygml"]:
        if str(entry.get("city_code")) != code or not entry.get("url"):
            continue
        size, year = entry.get("file_size"), str(entry.get("year") or "")
        found.append(
            Dataset(
                id=str(entry.get("id") or code), city_code=code, city=str(entry.get("city") or ""),
                year=int(year) if year.isdigit() else None, url=str(entry["url"]),
                bytes=int(size) if size else None, sha256=_hex256(entry.get("sha256")),
                spec=str(entry.get("spec") or ""),
            )
        )  # fmt: skip
    return found


def _from_ckan(answer: Any, code: str) -> list[Dataset]:
    found = []
    for package in answer["result"]["results"]:
        name = str(package["name"])
        if not re.search(rf"(?:^|\D){code}(?:\D|$)", name):
            continue
        year = re.search(r"(20\d\d)$", name)
        for resource in package.get("resources", []):
            url = str(resource.get("url") or "")
            words = f"{resource.get('name') or ''} {url}".lower()
            if "citygml" not in words or not urllib.parse.urlsplit(url).path.lower().endswith(
                ".zip"
            ):
                continue
            size = str(resource.get("size") or "")
            found.append(
                Dataset(
                    id=str(resource.get("id") or name), city_code=code, city=str(package.get("title") or ""),
                    year=int(year[1]) if year else None, url=url,
                    bytes=int(size) if size.isdigit() else None, sha256=_hex256(resource.get("hash")),
                )
            )  # fmt: skip
    return found


def _hex256(value: object) -> str | None:
    text = str(value or "").lower().removeprefix("sha256:").removeprefix("sha-256:").strip()
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else None


def choose(found: list[Dataset], year: int | None) -> Dataset:
    """The newest data set, or that of a year.

    Raises:
        BadInputError: there is none of that year.
    """
    for dataset in found:
        if year is None or dataset.year == year:
            return dataset
    raise BadInputError(
        "fetch_unknown_year", year=year, years=", ".join(str(d.year) for d in found)
    )


# --- the file ---


@dataclass(slots=True)
class _Part:
    """The unfinished file and what is known of it, side by side on disk."""

    path: Path
    url: str
    etag: str | None = None
    modified: str | None = None
    total: int | None = None

    @property
    def notes(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self) -> str | None:
        """What `If-Range` may say: a strong ETag, else the date of change."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def save(self) -> None:
        write_text(self.notes, json.dumps({k: v for k, v in asdict(self).items() if k != "path"}))

    def forget(self) -> None:
        """Start from nothing."""
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)
        self.etag = self.modified = self.total = None


def _part_of(final: Path, url: str) -> _Part:
    part = _Part(final.with_name(final.name + ".part"), url)
    try:
        saved = json.loads(part.notes.read_text(encoding="utf-8"))
        if saved["url"] == url:
            part.etag, part.modified, part.total = saved["etag"], saved["modified"], saved["total"]
            return part
    except (OSError, ValueError, KeyError, TypeError):
        pass
    part.forget()
    return part


def file_name(dataset: Dataset) -> str:
    """A safe name for the download, from the address."""
    last = urllib.parse.unquote(urllib.parse.urlsplit(dataset.url).path).rsplit("/", 1)[-1]
    stem = re.sub(r"[^\w.-]+", "_", last.removesuffix(".zip")).strip("._")[:120]
    return f"{stem or dataset.city_code + '_citygml'}.zip"


def download(
    dataset: Dataset,
    folder: Path,
    *,
    policy: Policy,
    progress: Progress,
    same_host: str | None = None,
) -> Download:
    """Download a data set into `folder` and verify it; goes on where an earlier attempt stopped.

    Nothing stands under the final name unless it is complete: the length is that which the server
    names, given checksums agree, it is a zip, and the CRC of every member holds. `same_host` is the
    catalogue's host: it may be inside the town hall; any other host must have a public address.

    Raises:
        BadInputError: it cannot be had, or what came is not a sound zip.
        CancelledError: stopped by the person; the part stays for the next time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / file_name(dataset)
    there = _already(final, dataset)
    if there is not None:
        return there
    host = _target(dataset.url, policy).hostname or ""
    trusted = host == same_host
    part = _part_of(final, dataset.url)
    fails, resumed_at = 0, 0
    while True:
        before = part.size
        try:
            resumed_at, sums = _attempt(part, dataset, policy, progress, trusted=trusted)
            break
        except _TryAgain as e:
            fails = 1 if part.size > before else fails + 1
            if fails >= policy.attempts:
                raise BadInputError(
                    "fetch_incomplete",
                    url=dataset.url,
                    reason=e,
                    have=part.size,
                    total=part.total or "?",
                ) from e
            size = part.total or dataset.bytes or 1
            _pause(_backoff(e, fails, policy), progress, part.size, size, f"{final.name}: {e}")
    try:
        sha256 = _verify(part.path, final.name, dataset, sums, progress)
    except BadInputError:
        part.forget()
        raise
    with part.path.open("rb") as handle:
        os.fsync(handle.fileno())
    size = part.size
    record = {
        "url": dataset.url,
        "sha256": sha256,
        "bytes": size,
        "etag": part.etag,
        "dataset": asdict(dataset),
    }
    part.path.replace(final)
    write_text(
        final.with_name(final.name + ".json"), json.dumps(record, ensure_ascii=False, indent=1)
    )
    part.notes.unlink(missing_ok=True)
    return Download(final, dataset.url, size, sha256, resumed_at)


def _already(final: Path, dataset: Dataset) -> Download | None:
    """The file of an earlier run, where its bytes are still those that were verified."""
    try:
        record = json.loads(final.with_name(final.name + ".json").read_text(encoding="utf-8"))
        if record["url"] != dataset.url or record["bytes"] != final.stat().st_size:
            return None
        with final.open("rb") as handle:
            if hashlib.file_digest(handle, "sha256").hexdigest() != record["sha256"]:
                return None
        return Download(final, dataset.url, record["bytes"], record["sha256"], was_there=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _attempt(
    part: _Part, dataset: Dataset, policy: Policy, progress: Progress, *, trusted: bool
) -> tuple[int, dict[str, bytes]]:
    """One request: from the start, or from the end of the part; ends with all bytes on disk."""
    have, validator = part.size, part.validator()
    headers = {}
    if have and validator:
        headers = {"Range": f"bytes={have}-", "If-Range": validator}
    answer = _get(dataset.url, headers, policy, trusted=trusted)
    try:
        if answer.response.status == 416:
            if part.total == have and have:
                return have, {}
            part.forget()
            raise _TryAgain("HTTP 416")
        _judge(answer)
        start = _start(answer, part, have if headers else 0)
        _not_a_page(answer, part)
        _room(part, start)
        part.save()
        with part.path.open("r+b" if start else "wb") as sink:
            sink.seek(start)
            sink.truncate()
            _copy(answer, sink, part, dataset, progress, start)
    finally:
        answer.close()
    if part.total is not None and part.size != part.total:
        if part.size > part.total:
            part.forget()
        raise _TryAgain(f"{part.size} of {part.total} bytes")
    return start, _checksums(answer.headers)


def _start(answer: _Answer, part: _Part, have: int) -> int:
    """Where this answer's bytes belong; the part's notes are brought up to date."""
    headers, status = answer.headers, answer.response.status
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    if status == 206:
        match = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
        total = int(match[3]) if match and match[3].isdigit() else None
        changed = (etag or part.etag) != part.etag or (total or part.total) != part.total
        if not have or match is None or int(match[1]) != have or changed:
            part.forget()  # another file, or another place in it, than was asked for
            raise _TryAgain("206: Content-Range / ETag")
        part.total = total or part.total
        return have
    if status != 200:
        raise BadInputError("fetch_status", url=answer.url, status=status)
    length = headers.get("Content-Length", "")
    part.etag, part.modified = etag, modified
    part.total = int(length) if length.isdigit() else None
    return 0


def _not_a_page(answer: _Answer, part: _Part) -> None:
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        part.forget()
        raise BadInputError("fetch_html", url=answer.url)


def _room(part: _Part, start: int) -> None:
    needed = (part.total or 0) - start
    free = shutil.disk_usage(part.path.parent).free
    if needed > free:
        raise BadInputError(
            "fetch_no_space",
            path=part.path.parent,
            needed=f"{needed / 1e9:.1f}",
            free=f"{free / 1e9:.1f}",
        )


def _copy(
    answer: _Answer, sink: BinaryIO, part: _Part, dataset: Dataset, progress: Progress, start: int
) -> None:
    done, head = start, b""
    size = part.total or dataset.bytes or 0
    while block := answer.read(BLOCK):
        if start == 0 and len(head) < 4:
            head += block[: 64 - len(head)]
            if len(head) >= 4:
                _magic(head, answer.url, part)
        sink.write(block)
        done += len(block)
        progress.update(
            min(done, size * 0.999), size or done * 2, f"{part.path.stem} {done / 1e6:,.0f} MB"
        )
    sink.flush()
    if start == 0:
        _magic(head, answer.url, part)


def _magic(head: bytes, url: str, part: _Part) -> None:
    if head.startswith(_ZIP_MAGIC):
        return
    part.forget()
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<!do", b"<htm")):
        raise BadInputError("fetch_html", url=url)
    raise BadInputError("fetch_not_zip", url=url, found=repr(head[:8]))


def _checksums(headers: Message) -> dict[str, bytes]:
    """Checksums of the whole file that a server may name."""
    sums: dict[str, bytes] = {}
    named = [
        *headers.get_all("Digest", []),
        *headers.get_all("Repr-Digest", []),
        *headers.get_all("x-goog-hash", []),
    ]
    for entry in ",".join(named).split(","):
        name, _, value = entry.strip().partition("=")
        kind = name.lower().replace("-", "")
        if kind in ("sha256", "md5"):
            try:
                sums[kind] = base64.b64decode(value.strip(":"), validate=True)
            except ValueError:
                continue
    return sums


def _verify(
    path: Path, name: str, dataset: Dataset, sums: dict[str, bytes], progress: Progress
) -> str:
    """SHA-256 of a sound zip.

    Raises:
        BadInputError: a checksum differs, or the zip is broken.
    """
    digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    total, done = path.stat().st_size, 0
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            for digest in digests.values():
                digest.update(block)
            done += len(block)
            progress.update(done * 0.499, total, f"sha256 {name}")
    wanted = dict(sums)
    if dataset.sha256:
        wanted["sha256"] = bytes.fromhex(dataset.sha256)
    for kind, value in wanted.items():
        if digests[kind].digest() != value:
            raise BadInputError(
                "fetch_checksum",
                place=name,
                kind=kind,
                wanted=value.hex(),
                got=digests[kind].hexdigest(),
            )
    try:
        _check_members(path, name, progress)
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
    ) as e:
        raise BadInputError("fetch_broken_zip", place=name, reason=e) from e
    return digests["sha256"].hexdigest()


def _check_members(path: Path, name: str, progress: Progress) -> None:
    """Read every member, so that its CRC is compared."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        total = sum(i.file_size for i in members)
        if total > MAX_TOTAL_BYTES or len(members) > MAX_MEMBERS or not members:
            raise zipfile.BadZipFile(f"{len(members):,} members, {total:,} bytes")
        done = 0
        for info in members:
            with archive.open(info) as member:
                while block := member.read(1 << 20):
                    done += len(block)
                    progress.update(total * 0.5 + done * 0.5, total, f"crc {name}")


def fetch(
    city_code: str,
    folder: Path,
    *,
    catalogue: str,
    year: int | None,
    policy: Policy,
    progress: Progress,
) -> tuple[Dataset, Download]:
    """Find a city in a catalogue and download its data set into `folder`."""
    found = datasets(catalogue, city_code, policy=policy, progress=progress)
    dataset = choose(found, year)
    host = urllib.parse.urlsplit(catalogue).hostname
    return dataset, download(dataset, folder, policy=policy, progress=progress, same_host=host)
