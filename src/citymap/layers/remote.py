"""Layers of other servers: fetched by ours, kept on disk, and served from there in an outage.

No address is asked unless the operator allowed its host (`remote_hosts`), and none that is private
or of this machine unless `remote_private` says so: the name is resolved once and the connection
goes to that very address, so that a name cannot turn into another in between.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import math
import os
import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import geopandas
import numpy as np
import pandas
import pyogrio
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.workspace import Workspace, replacing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from citymap.layers.catalogue import Layer

TIMEOUT_S = 8.0
TOTAL_S = 20.0
MAX_TILE_BYTES = 4 << 20
MAX_DOCUMENT_BYTES = 16 << 20
MAX_FEATURE_BYTES = 64 << 20
MAX_FEATURES = 200_000
PAGE = 5_000
REST_S = 30.0  # how long a server that failed is left alone
MAX_REDIRECTS = 3
HALF_WORLD_M = math.pi * 6378137.0
PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which servers may be asked: host names, or `.example.jp` for all below it; `host:8510` allows
    that port alone."""

    hosts: tuple[str, ...] = ()
    private: bool = False

    def host(self, name: str, port: int | None = None) -> bool:
        """Whether the operator allowed this host (at this port, where one is named)."""
        name = name.lower().rstrip(".")
        return any(
            name == h or (h.startswith(".") and name.endswith(h)) or f"{name}:{port}" == h
            for h in (x.strip().lower() for x in self.hosts)
            if h
        )


def address(host: str, port: int, allowed: Allowed) -> str:
    """The number to connect to for a host that is allowed; the connection must go to this very one.

    Raises:
        BadInputError: not allowed, private, or no such name.
    """
    if not allowed.host(host, port):
        raise BadInputError("remote_not_allowed", place=host)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as e:
        raise BadInputError("remote_unreachable", place=host, reason=e) from e
    for *_, where in found:
        found_at = ipaddress.ip_address(str(where[0]).partition("%")[0])
        inner = getattr(found_at, "ipv4_mapped", None) or found_at
        if allowed.private or (inner.is_global and not inner.is_multicast):
            return str(where[0])
    raise BadInputError("remote_private", place=host)


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked up before, speaking to the host by its name."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address, self._tls = address, tls

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_S)
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self.host
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    body: bytes
    mime: str
    url: str


def fetch(url: str, allowed: Allowed, *, limit: int = MAX_DOCUMENT_BYTES) -> Answer:
    """GET of an allowed address; redirections are checked like the first one.

    Raises:
        BadInputError: not allowed, private, unreachable, too slow, too large, or no 200.
    """
    until = time.monotonic() + TOTAL_S
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise BadInputError("remote_address", place=url[:200])
        try:
            port = parts.port or (443 if tls else 80)
        except ValueError as e:
            raise BadInputError("remote_address", place=url[:200]) from e
        connection = _Pinned(parts.hostname, port, address(parts.hostname, port, allowed), tls=tls)
        stack = ExitStack()
        stack.callback(connection.close)
        try:
            path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            connection.request("GET", path, headers={"User-Agent": "citymap", "Accept": "*/*"})
            answer = connection.getresponse()
            stack.callback(answer.close)
            if answer.status in {301, 302, 303, 307, 308}:
                url = urljoin(url, answer.getheader("Location") or "")
                continue
            if answer.status != 200:
                raise BadInputError("remote_status", place=parts.hostname, status=answer.status)
            body = bytearray()
            while chunk := answer.read(65536):
                body += chunk
                if len(body) > limit:
                    raise BadInputError("remote_too_large", place=parts.hostname, mb=limit >> 20)
                if time.monotonic() > until:
                    raise BadInputError("remote_slow", place=parts.hostname)
            if answer.length:  # less came than was promised
                raise http.client.IncompleteRead(bytes(body[:64]), answer.length)
            return Answer(bytes(body), (answer.getheader("Content-Type") or "").lower(), url)
        except (OSError, http.client.HTTPException, UnicodeError) as e:
            raise BadInputError("remote_unreachable", place=parts.hostname, reason=e) from e
        finally:
            stack.close()
    raise BadInputError("remote_redirects", place=url[:200])


def send(
    url: str, body: bytes, mime: str, allowed: Allowed, *, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """POST to an allowed address: the status and the first 64 kB of what came back.

    No redirection is followed: what we send goes where the operator said, or nowhere.

    Raises:
        BadInputError: not allowed, private, or unreachable.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    try:
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError
        port = parts.port or (443 if tls else 80)
    except ValueError as e:
        raise BadInputError("remote_address", place=url[:200]) from e
    connection = _Pinned(parts.hostname, port, address(parts.hostname, port, allowed), tls=tls)
    try:
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        said = {"User-Agent": "citymap", "Content-Type": mime, **(headers or {})}
        connection.request("POST", path, body=body, headers=said)
        answer = connection.getresponse()
        return answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException, UnicodeError) as e:
        raise BadInputError("remote_unreachable", place=parts.hostname, reason=e) from e
    finally:
        connection.close()


def _with(url: str, values: dict[str, str]) -> str:
    """The address with these parameters, replacing those of the same name in any case."""
    parts = urlsplit(url)
    names = {k.lower() for k in values}
    kept = [
        (k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k.lower() not in names
    ]
    return urlunsplit((*parts[:3], urlencode([*kept, *values.items()], safe=":/,"), ""))


def tile_url(layer: Layer, zoom: int, x: int, y: int) -> str:
    """The address of one 256-pixel Web Mercator tile at the other server."""
    source = layer.source
    if source.kind == "xyz" or (source.kind == "wmts" and "{z}" in source.url):
        filled = source.url.replace("{z}", str(zoom)).replace("{x}", str(x)).replace("{y}", str(y))
        return filled.replace("{-y}", str((1 << zoom) - 1 - y))
    if source.kind == "wmts":
        return _with(source.url, {
            "SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": source.layer or "",
            "STYLE": source.style, "FORMAT": source.format, "TILEMATRIXSET": source.matrix_set,
            "TILEMATRIX": str(zoom), "TILEROW": str(y), "TILECOL": str(x),
        })  # fmt: skip
    size = 2 * HALF_WORLD_M / (1 << zoom)
    west, north = x * size - HALF_WORLD_M, HALF_WORLD_M - y * size
    return _with(source.url, {
        "SERVICE": "WMS", "REQUEST": "GetMap", "VERSION": "1.3.0", "LAYERS": source.layer or "",
        "STYLES": source.style, "CRS": "EPSG:3857", "FORMAT": source.format, "TRANSPARENT": "TRUE",
        "BBOX": f"{west},{north - size},{west + size},{north}", "WIDTH": "256", "HEIGHT": "256",
    })  # fmt: skip


def tile_of(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    """Column and row of the Web Mercator tile that holds a place (degrees)."""
    n = 1 << zoom
    down = 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)
    return min(max(int((lon / 360 + 0.5) * n), 0), n - 1), min(max(int(down * n), 0), n - 1)


def picture_type(body: bytes) -> str | None:
    """The type of a picture by its first bytes; None for anything else (a page, an XML error)."""
    return next((mime for head, mime in PICTURES.items() if body.startswith(head)), None)


@dataclass(slots=True)
class _Resting:
    """Servers that failed a moment ago."""

    until: dict[str, tuple[float, BadInputError]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def check(self, host: str) -> None:
        with self.lock:
            until, error = self.until.get(host, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error

    def failed(self, host: str, error: BadInputError) -> None:
        with self.lock:
            self.until[host] = (time.monotonic() + REST_S, error)


_resting = _Resting()


def ask(url: str, allowed: Allowed, *, limit: int) -> Answer:
    """`fetch`, but a server that failed a moment ago is left alone.

    Raises:
        BadInputError: as `fetch`.
    """
    host = urlsplit(url).hostname or ""
    _resting.check(host)
    try:
        return fetch(url, allowed, limit=limit)
    except BadInputError as error:
        if error.key in {"remote_unreachable", "remote_slow"}:
            _resting.failed(host, error)
        raise


def copy_folder(workspace: Workspace, layer: Layer) -> Path:
    """Where the copies of a layer lie; another source is another folder."""
    mark = hashlib.sha256(layer.source.model_dump_json().encode()).hexdigest()[:12]
    return workspace.root / "cache" / "remote" / f"{layer.id}-{mark}"


def copy_age_h(path: Path) -> float:
    """Age of a copy in hours; infinite where there is none."""
    try:
        return max(0.0, (time.time() - path.stat().st_mtime) / 3600)
    except OSError:
        return math.inf


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture or table of another server: the copy, how old it is, and what is wrong if it is."""

    path: Path
    age_h: float
    error: BadInputError | None = None


def tile(
    workspace: Workspace, layer: Layer, allowed: Allowed, zoom: int, x: int, y: int
) -> tuple[bytes, str, Kept]:
    """One tile of a remote layer: the copy while it is fresh, else fetched; the last good one if not.

    Raises:
        BadInputError: it cannot be had and there is no copy.
    """
    if not (0 <= zoom <= 24 and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
        raise BadInputError("remote_address", place=layer.id)
    path = copy_folder(workspace, layer) / str(zoom) / str(x) / str(y)
    if copy_age_h(path) > layer.source.refresh_h:
        try:
            answer = ask(tile_url(layer, zoom, x, y), allowed, limit=MAX_TILE_BYTES)
            if picture_type(answer.body) is None:
                raise BadInputError("remote_no_picture", place=urlsplit(answer.url).hostname or "")
            with replacing(path) as temporary:
                temporary.write_bytes(answer.body)
        except BadInputError as error:
            if not path.is_file():
                raise
            body = path.read_bytes()
            return body, picture_type(body) or "image/png", Kept(path, copy_age_h(path), error)
    body = path.read_bytes()
    return body, picture_type(body) or "image/png", Kept(path, copy_age_h(path))


def table(workspace: Workspace, layer: Layer, allowed: Allowed) -> Kept:
    """The features of a WFS or OGC API layer as GeoParquet (EPSG:6668): fetched where the copy is old.

    Raises:
        BadInputError: they cannot be had and there is no copy.
    """
    path = copy_folder(workspace, layer) / "features.parquet"
    if copy_age_h(path) <= layer.source.refresh_h:
        return Kept(path, copy_age_h(path))
    try:
        found = _features(layer, allowed)
        with replacing(path) as temporary:
            found.to_parquet(temporary, schema_version="1.1.0", compression="zstd")
    except BadInputError as error:
        if not path.is_file():
            raise
        return Kept(path, copy_age_h(path), error)
    return Kept(path, 0.0)


def _features(layer: Layer, allowed: Allowed) -> geopandas.GeoDataFrame:
    source = layer.source
    return features(source.kind, source.url, source.layer or "", allowed, place=layer.id)


def features(
    kind: str, url: str, name: str, allowed: Allowed, *, place: str
) -> geopandas.GeoDataFrame:
    """The features of a WFS (`wfs`) or OGC API (`oapif`) layer in EPSG:6668 (lon, lat).

    Raises:
        BadInputError: not allowed, not to be had, empty, or outside Japan.
    """
    pages = list(_oapif(url, name, allowed) if kind == "oapif" else _wfs(url, name, allowed))
    tables = [_read(body, place) for body in pages]
    tables = [t for t in tables if len(t)]
    if not tables:
        raise BadInputError("vector_empty", place=place)
    first = tables[0] if len(tables) == 1 else pandas.concat(tables, ignore_index=True)
    box = shapely.total_bounds(np.asarray(first.geometry))
    west, south, east, north = crs.JAPAN_LON_LAT
    if west <= box[1] and box[3] <= east and south <= box[0] and box[2] <= north:
        # Servers that answer GeoJSON in the axis order of EPSG:4326: latitude first.
        first = first.set_geometry(
            shapely.transform(np.asarray(first.geometry), lambda c: c[:, ::-1])
        )
        box = box[[1, 0, 3, 2]]
    if not (west <= box[0] and box[2] <= east and south <= box[1] and box[3] <= north):
        raise BadInputError("vector_outside", place=place)
    plain = geopandas.GeoDataFrame(
        first.drop(columns=[first.geometry.name]), geometry=shapely.force_2d(np.asarray(first.geometry)),
        crs=f"EPSG:{crs.GEOGRAPHIC}",
    )  # fmt: skip
    return plain[~shapely.is_missing(np.asarray(plain.geometry))]


def _read(body: bytes, place: str) -> geopandas.GeoDataFrame:
    start = body[:2048].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"<") and b"<!DOCTYPE" in body[:65536].upper().replace(
        b"<!doctype", b"<!DOCTYPE"
    ):
        raise BadInputError("remote_no_features", place=place)
    if not start.startswith((b"{", b"<")) or start[:9].lower() in {b"<!doctype", b"<html"}:
        raise BadInputError("remote_no_features", place=place)
    try:
        found = pyogrio.read_dataframe(BytesIO(body))
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        ValueError,
        RuntimeError,
    ) as e:
        raise BadInputError("remote_no_features", place=place) from e
    # The id of GML comes as `gml_id`, before an attribute that may have the same name.
    found = found.loc[:, ~found.columns.duplicated(keep="last")]
    if found.crs is not None and found.crs.to_epsg() not in {4326, crs.GEOGRAPHIC, None}:
        found = found.to_crs(crs.GEOGRAPHIC)
    return found


def _wfs(url: str, name: str, allowed: Allowed) -> Iterable[bytes]:
    asked = {"SERVICE": "WFS", "VERSION": "2.0.0", "REQUEST": "GetFeature", "TYPENAMES": name,
             "SRSNAME": "urn:ogc:def:crs:OGC:1.3:CRS84", "COUNT": str(MAX_FEATURES)}  # fmt: skip
    try:
        answer = ask(
            _with(url, asked | {"OUTPUTFORMAT": "application/json"}),
            allowed,
            limit=MAX_FEATURE_BYTES,
        )
        if answer.body.lstrip()[:1] == b"{":
            yield answer.body
            return
    except BadInputError as error:
        if error.key != "remote_status":
            raise
    asked["SRSNAME"] = "EPSG:4326"
    yield ask(_with(url, asked), allowed, limit=MAX_FEATURE_BYTES).body


def _oapif(url: str, name: str, allowed: Allowed) -> Iterable[bytes]:
    page: str | None = _with(f"{url.partition('?')[0].rstrip('/')}/collections/{name}/items", {"limit": str(PAGE), "f": "json"})  # fmt: skip
    read = size = 0
    while page is not None:
        answer = ask(page, allowed, limit=MAX_FEATURE_BYTES)
        try:
            said = json.loads(answer.body)
            links = {x.get("rel"): x.get("href") for x in said.get("links", [])}
            read += len(said["features"])
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise BadInputError("remote_no_features", place=name) from e
        size += len(answer.body)
        if read > MAX_FEATURES or size > MAX_FEATURE_BYTES:
            raise BadInputError("remote_too_large", place=name, mb=MAX_FEATURE_BYTES >> 20)
        yield answer.body
        page = (
            urljoin(answer.url, links["next"]) if links.get("next") and said["features"] else None
        )


@dataclass(frozen=True, slots=True)
class Offered:
    """A layer that another server offers, with what a definition of it needs."""

    name: str
    title: str
    source: dict[str, Any]
    attribution: str = ""


def offered(url: str, kind: str, allowed: Allowed) -> list[Offered]:
    """What a WMS, WMTS, WFS or OGC API Features service lists.

    Raises:
        BadInputError: not allowed, unreachable, or no such service.
    """
    try:
        if kind == "oapif":
            return _collections(url, allowed)
        service = {"wms": "WMS", "wmts": "WMTS", "wfs": "WFS"}[kind]
        version = {"wms": "1.3.0", "wmts": "1.0.0", "wfs": "2.0.0"}[kind]
        asked = _with(url, {"SERVICE": service, "REQUEST": "GetCapabilities", "VERSION": version})
        body = fetch(asked, allowed).body
        if b"<!DOCTYPE" in body[:4096] or b"<!ENTITY" in body[:65536]:
            raise BadInputError("remote_no_service", place=url[:200], kind=kind)
        return {"wms": _of_wms, "wmts": _of_wmts, "wfs": _of_wfs}[kind](url, body)
    except BadInputError:
        raise
    except Exception as e:  # OWSLib raises what its XML reader and its own slips raise
        raise BadInputError("remote_no_service", place=url[:200], kind=kind) from e


def _of_wms(url: str, body: bytes) -> list[Offered]:
    from owslib.wms import WebMapService  # noqa: PLC0415  (slow to import)

    service = WebMapService(url, version="1.3.0", xml=body)
    by = getattr(service.provider, "name", "") or ""
    return [
        Offered(name, layer.title or name, {"kind": "wms", "url": url, "layer": name}, by)
        for name, layer in service.contents.items()
    ]


def _of_wfs(url: str, body: bytes) -> list[Offered]:
    from owslib.wfs import WebFeatureService  # noqa: PLC0415

    service = WebFeatureService(url, version="2.0.0", xml=body)
    by = getattr(service.provider, "name", "") or ""
    return [
        Offered(name, layer.title or name, {"kind": "wfs", "url": url, "layer": name}, by)
        for name, layer in service.contents.items()
    ]


def _of_wmts(url: str, body: bytes) -> list[Offered]:
    from owslib.wmts import WebMapTileService  # noqa: PLC0415

    service = WebMapTileService(url, xml=body)
    by = getattr(getattr(service, "provider", None), "name", "") or ""
    out = []
    for name, layer in service.contents.items():
        for set_name in layer.tilematrixsetlinks:
            matrices = service.tilematrixsets[set_name].tilematrix
            prefix = _web_mercator(matrices)
            if prefix is None:
                continue
            wanted = "image/png" if "image/png" in layer.formats else layer.formats[0]
            source = {"kind": "wmts", "url": url, "layer": name, "matrix_set": set_name,
                      "format": wanted, "style": next(iter(layer.styles), "")}  # fmt: skip
            template = next(
                (r["template"] for r in layer.resourceURLs if r["format"] == wanted), None
            )
            if template:
                filled = {"TileMatrixSet": set_name, "Style": source["style"], "style": source["style"],
                          "TileMatrix": prefix + "{z}", "TileRow": "{y}", "TileCol": "{x}"}  # fmt: skip
                for key, value in filled.items():
                    template = template.replace("{" + key + "}", value)
                source["url"] = template
            elif prefix:
                source["url"] = _with(url, {
                    "SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": "1.0.0", "LAYER": name,
                    "STYLE": source["style"], "FORMAT": wanted, "TILEMATRIXSET": set_name,
                }) + f"&TILEMATRIX={prefix}{{z}}&TILEROW={{y}}&TILECOL={{x}}"  # fmt: skip
            out.append(Offered(name, layer.title or name, source, by))
            break
    return out


def _web_mercator(matrices: dict[str, Any]) -> str | None:
    """What stands before the zoom in the names of a Web Mercator pyramid; None for another one."""
    prefix = None
    for name, matrix in matrices.items():
        digits = len(name) - len(name.rstrip("0123456789"))
        if not digits:
            return None
        zoom, before = int(name[-digits:]), name[:-digits]
        scale = 559082264.0287178 / (1 << zoom)
        if abs(matrix.scaledenominator - scale) > 1e-3 * scale or matrix.tilewidth != 256:
            return None
        if prefix not in {None, before}:
            return None
        prefix = before
    return prefix


def _collections(url: str, allowed: Allowed) -> list[Offered]:
    base = url.partition("?")[0].rstrip("/")
    said = json.loads(fetch(_with(f"{base}/collections", {"f": "json"}), allowed).body)
    return [
        Offered(
            str(c["id"]), str(c.get("title") or c["id"]),
            {"kind": "oapif", "url": base, "layer": str(c["id"])}, str(c.get("attribution") or ""),
        )
        for c in said["collections"]
        if c.get("itemType", "feature") == "feature"
    ]  # fmt: skip


def forget(workspace: Workspace, layer: Layer) -> None:
    """Make the copies old, so that the next request fetches anew (they stay as the last good ones)."""
    for path in copy_folder(workspace, layer).rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))
