"""`/ogc/…`: OGC API, the shareable layers as the asker's role may see them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import wraps
from hashlib import blake2b
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import numpy as np
from anyio.to_thread import run_sync
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

import citymap.share.ogc.doors  # noqa: F401  (enters them)
from citymap.errors import BadInputError, CitymapError
from citymap.share.ogc import catalogue, documents, geojson, html_page, raster, tile_style, tiles
from citymap.share.ogc import query as asked
from citymap.share.ogc.collection import Collection, Collections
from citymap.share.ogc.documents import GEOJSON, HTML, JSON, OPENAPI, SCHEMA, Speaker
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.web.access import by_key, needs
from citymap.web.answers import STATUS_CODES, language, said_to_anybody
from citymap.web.audience import audience
from citymap.web.file_door import accepts_gzip, etag_matches
from citymap.web.keys import Use
from citymap.workspace import Workspace, city_at

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.layers.catalogue import Audience
    from citymap.settings import Settings
    from citymap.share.ogc.query import Query

FORMS = ("json", "html")
GZIP_LEVEL = 3  # a page of a thousand buildings: a tenth of its size in a few milliseconds
SMALL_BYTES = 1024
# `*` alone does not stand for Authorization.
ALLOWED_HEADERS = "authorization, x-api-key, content-type, prefer, *"
CORS = {
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",  # no cookie goes with it: what anybody may see
    "access-control-expose-headers": "content-bbox, content-crs, etag, link",
}


class Ogc:
    """The routes of one city (their doors are declared in `citymap.share.ogc.doors`)."""

    def __init__(self, settings: Settings, collections: Collections | None = None) -> None:
        self._settings = settings
        self._collections = collections or Collections()
        self._version = version("citymap")

    def routes(self) -> list[BaseRoute]:
        """The routes under `/ogc`."""
        return by_key(Use(Scope.FEATURES), needs(
            Role.PUBLIC,
            self._route("/ogc", self.landing),
            self._route("/ogc/conformance", self.conformance),
            self._route("/ogc/api", self.api),
            self._route("/ogc/collections", self.collections),
            self._route("/ogc/collections/{collection}", self.collection),
            self._route("/ogc/collections/{collection}/queryables", self.queryables),
            self._route("/ogc/collections/{collection}/items", self.items),
            self._route("/ogc/collections/{collection}/items/{feature:path}", self.feature),
            self._route("/ogc/collections/{collection}/map", self.map, "png"),
            self._route("/ogc/collections/{collection}/coverage", self.coverage, "tiff"),
            self._route("/ogc/tiles", self.tilesets),
            self._route("/ogc/tiles/WebMercatorQuad", self.tileset),
            self._route("/ogc/tiles/WebMercatorQuad/tilejson.json", self.tilejson),
            self._route("/ogc/tiles/WebMercatorQuad/style.json", self.style),
            self._route("/ogc/tiles/WebMercatorQuad/{matrix}/{row}/{column}", self.tile),
            self._route("/ogc/tileMatrixSets", self.matrix_sets),
            self._route("/ogc/tileMatrixSets/WebMercatorQuad", self.matrix_set),
            self._route("/ogc/3dtiles/tileset.json", self.tileset_3d),
            self._route("/ogc/stac", self.stac),
            self._route("/ogc/stac/{collection}", self.stac_collection),
            self._route("/ogc/dcat", self.dcat),
        ))  # fmt: skip

    def _route(self, path: str, work: Callable[[Asked], Response], *forms: str) -> Route:
        """A route whose work is done in a thread; errors become answers of the standard.

        `forms` are the values of `f`, `json` and `html` where none are named.
        """

        @wraps(work)
        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                allowed = {"access-control-allow-methods": "GET, HEAD, OPTIONS",
                           "access-control-allow-headers": ALLOWED_HEADERS,
                           "access-control-max-age": "86400"}  # fmt: skip
                return Response(None, 204, {**CORS, **allowed})
            try:
                return await run_sync(
                    lambda: work(Asked(request, self._workspace(), forms or FORMS))
                )
            except CitymapError as error:
                return _error(error, request)

        return Route(path, endpoint, methods=["GET", "OPTIONS"])

    def _workspace(self) -> Workspace:
        return city_at(self._settings.city)

    def landing(self, call: Asked) -> Response:
        """`GET /ogc`."""
        return call.document(documents.landing(call.speaker), html_page.landing)

    def conformance(self, call: Asked) -> Response:
        """`GET /ogc/conformance`."""
        return call.document(documents.conformance(call.speaker), html_page.conformance)

    def api(self, call: Asked) -> Response:
        """`GET /ogc/api`: OpenAPI 3.0."""
        listed = self._all(call)
        listed.append(catalogue.records(call.speaker, listed))
        about = documents.openapi(call.speaker, listed, self._version)
        return call.document(about, html_page.service, media=OPENAPI)

    def collections(self, call: Asked) -> Response:
        """`GET /ogc/collections`."""
        listed = self._all(call)
        listed.append(catalogue.records(call.speaker, listed))
        return call.document(documents.collections(call.speaker, listed), html_page.collections)

    def _all(self, call: Asked) -> list[Collection]:
        return self._collections.all(call.workspace, call.audience)

    def _one(self, call: Asked) -> Collection:
        layer = call.request.path_params["collection"]
        if layer == catalogue.ID:
            return catalogue.records(call.speaker, self._all(call))
        return self._collections.get(call.workspace, layer, call.audience)

    def collection(self, call: Asked) -> Response:
        """`GET /ogc/collections/{collection}`."""
        about = documents.collection(call.speaker, self._one(call))
        return call.document(about, html_page.collection)

    def queryables(self, call: Asked) -> Response:
        """`GET /ogc/collections/{collection}/queryables`."""
        one = self._one(call)
        about = documents.queryables(call.speaker, one)
        return call.document(
            about, lambda speaker, value: html_page.queryables(speaker, value, one.id), media=SCHEMA
        )

    def items(self, call: Asked) -> Response:
        """`GET /ogc/collections/{collection}/items`: a page of features."""
        one = self._one(call)
        wanted = asked.read(call.given, one, documents.offered(call.speaker, one))
        tag = call.tag(one.version)
        if call.has(tag):
            return call.unchanged(tag)
        found = asked.matched(one, wanted)
        rows = found[wanted.offset : wanted.offset + wanted.limit]
        about = _about(call, one, wanted, len(found), len(rows))
        headers = {"etag": tag, "content-crs": f"<{wanted.crs}>"}
        if call.html:
            listed = list(zip(one.ids(rows), geojson.properties(one, rows), strict=True))
            body = html_page.items(
                call.speaker, call.speaker.title(one), listed, about, one.id, call.here()
            )
            return call.answer(body.encode(), HTML, headers)
        pieces = geojson.pages(one, rows, wanted.crs, about)
        if len(rows) > geojson.CHUNK_ROWS:
            return call.stream(pieces, GEOJSON, headers)
        return call.answer(b"".join(pieces), GEOJSON, headers)

    def feature(self, call: Asked) -> Response:
        """`GET /ogc/collections/{collection}/items/{feature}`."""
        one = self._one(call)
        call.only("f", "lang", "crs")
        crs = asked.crs_of(call.given, "crs", documents.offered(call.speaker, one))
        name = call.request.path_params["feature"]
        row = np.array([one.row(name)])
        path = f"/collections/{one.id}/items/{quote(name, safe='')}"
        headers = {"content-crs": f"<{crs}>"}
        if call.html:
            values = geojson.properties(one, row)[0]
            title = call.speaker.title(one)
            body = html_page.feature(call.speaker, title, name, values, path)
            return call.answer(body.encode(), HTML, headers)
        speaker = call.speaker
        links = [
            *speaker.both(path, GEOJSON),
            speaker.link("collection", f"/collections/{one.id}", JSON),
        ]
        text = next(geojson.features(one, row, crs))
        return call.answer(
            f'{text[:-1]},"links":{geojson.dumped(links)}}}'.encode(), GEOJSON, headers
        )

    def map(self, call: Asked) -> Response:
        """`GET /ogc/collections/{collection}/map`: a PNG in the legend's colours."""
        one = self._one(call)
        image, crs, box = raster.map_image(one, call.given, documents.offered(call.speaker, one))
        headers = {"content-crs": f"<{crs}>", "content-bbox": ",".join(f"{v:.10g}" for v in box)}
        return call.answer(image, "image/png", headers)

    def coverage(self, call: Asked) -> Response:
        """`GET /ogc/collections/{collection}/coverage`: the values as GeoTIFF."""
        one = self._one(call)
        body, crs = raster.coverage(one, call.given, documents.offered(call.speaker, one))
        named = {"content-disposition": f'attachment; filename="{one.id}.tif"'}
        return call.answer(body, catalogue.GEOTIFF, {"content-crs": f"<{crs}>", **named})

    def _manifest(self, call: Asked) -> dict[str, Any]:
        return tiles.manifest(call.workspace, "public")  # tiles are the same for everybody

    def tilesets(self, call: Asked) -> Response:
        """`GET /ogc/tiles`."""
        return call.document(tiles.tilesets(call.speaker, self._manifest(call)), None)

    def tileset(self, call: Asked) -> Response:
        """`GET /ogc/tiles/WebMercatorQuad`."""
        return call.document(tiles.tileset(call.speaker, self._manifest(call)), None)

    def tilejson(self, call: Asked) -> Response:
        """`GET /ogc/tiles/WebMercatorQuad/tilejson.json`: TileJSON 3.0."""
        return call.document(tile_style.tilejson(call.speaker, self._manifest(call)), None)

    def style(self, call: Asked) -> Response:
        """`GET /ogc/tiles/WebMercatorQuad/style.json`: how to draw them, for MapLibre, QGIS, ArcGIS."""
        return call.document(tile_style.style(call.speaker, self._manifest(call)), None)

    def tile(self, call: Asked) -> Response:
        """`GET /ogc/tiles/WebMercatorQuad/{matrix}/{row}/{column}`: the tile of today's version.

        Itself, not a redirect: QGIS does not follow one for vector tiles.
        """
        at = call.request.path_params
        path = tiles.tile_path(self._manifest(call), at["matrix"], at["row"], at["column"])
        body = tiles.tile(call.workspace, path)
        if body is None:  # nothing is drawn there
            return call.nothing()
        return call.answer(body, tiles.MVT, {})

    def matrix_sets(self, call: Asked) -> Response:
        """`GET /ogc/tileMatrixSets`."""
        return call.document(tiles.matrix_sets(call.speaker), None)

    def matrix_set(self, call: Asked) -> Response:
        """`GET /ogc/tileMatrixSets/WebMercatorQuad`."""
        return call.document(tiles.matrix_set(), None)

    def tileset_3d(self, call: Asked) -> Response:
        """`GET /ogc/3dtiles/tileset.json`: 3D Tiles of today's version at an address that stays."""
        prefix = call.speaker.base.removesuffix("/ogc")
        about = tiles.tileset_3d(call.workspace, self._manifest(call), prefix)
        return call.document(about, None)

    def stac(self, call: Asked) -> Response:
        """`GET /ogc/stac`."""
        return call.document(catalogue.stac(call.speaker, self._all(call)), None)

    def stac_collection(self, call: Asked) -> Response:
        """`GET /ogc/stac/{collection}`."""
        layer = call.request.path_params["collection"]
        one = self._collections.get(call.workspace, layer, call.audience)
        return call.document(catalogue.stac_collection(call.speaker, one), None)

    def dcat(self, call: Asked) -> Response:
        """`GET /ogc/dcat`: DCAT as JSON-LD, for the open-data portal."""
        about = catalogue.dcat(call.speaker, self._all(call))
        return call.document(about, None, media="application/ld+json")


def _about(call: Asked, one: Collection, wanted: Query, found: int, shown: int) -> dict[str, Any]:
    """Counts and links of a page of features."""
    path = f"/collections/{one.id}/items"
    media = HTML if call.html else GEOJSON
    other = "json" if call.html else "html"

    def turned(**changed: object) -> str:
        given = {**call.given, **{k: str(v) for k, v in changed.items()}}
        return f"{path}?{urlencode(given)}" if given else path

    speaker = call.speaker
    links = [
        speaker.link("self", turned(), media),
        speaker.link("alternate", turned(f=other), GEOJSON if call.html else HTML),
        speaker.link("collection", f"/collections/{one.id}", JSON),
    ]
    if wanted.offset + shown < found and shown:
        links.append(speaker.link("next", turned(offset=wanted.offset + shown), media))
    if wanted.offset:
        links.append(
            speaker.link("prev", turned(offset=max(0, wanted.offset - wanted.limit)), media)
        )
    return {"numberMatched": found, "numberReturned": shown, "links": links}


class Asked:
    """One request: who asks for what, in which form and language, and the ways to answer it."""

    def __init__(self, request: Request, workspace: Workspace, forms: tuple[str, ...]) -> None:
        self.request = request
        self.workspace = workspace
        self.audience: Audience = audience(request)
        pairs = request.query_params.multi_items()
        self.given = dict(pairs)
        if len(self.given) != len(pairs):
            twice = next(k for k, _ in pairs if [n for n, _ in pairs].count(k) > 1)
            raise BadInputError("ogc_parameter", place=twice[:100], value="2×")
        form = self.given.get("f")
        if form is not None and form not in forms:
            raise BadInputError("ogc_parameter", place="f", value=str(form)[:100])
        accept = request.headers.get("accept", "")
        self.html = form == "html" or (form is None and "text/html" in accept)
        self.speaker = Speaker(_base(request), language(request), workspace.city())
        encoding = request.headers.get("accept-encoding", "").encode("latin-1")
        self.gzip = accepts_gzip(encoding)

    def here(self) -> str:
        """The path below the service with its parameters, but without form and language."""
        rest = {k: v for k, v in self.given.items() if k not in {"f", "lang"}}
        path = self.request.url.path
        below = path[path.index("/ogc") + 4 :]
        return f"{quote(below)}?{urlencode(rest)}" if rest else quote(below)

    def only(self, *names: str) -> None:
        """Refuse parameters of other names.

        Raises:
            BadInputError: `ogc_unknown_parameter`.
        """
        unknown = set(self.given) - set(names)
        if unknown:
            raise BadInputError("ogc_unknown_parameter", place=min(unknown)[:100])

    def tag(self, *parts: str) -> str:
        """The ETag of the answer to this very request from data of these versions."""
        said = "\n".join(
            (*parts, str(self.request.url), self.speaker.lang, str(self.html), str(self.gzip),
             self.audience, version("citymap"))
        )  # fmt: skip
        return f'"{blake2b(said.encode(), digest_size=12).hexdigest()}"'

    def has(self, tag: str) -> bool:
        """Whether the asker holds the answer already."""
        theirs = self.request.headers.get("if-none-match")
        return theirs is not None and etag_matches(theirs.encode("latin-1"), tag.encode())

    def _headers(self) -> dict[str, str]:
        scope = "no-cache" if self.audience == "public" else "private, no-cache"
        return {
            **CORS,
            "cache-control": scope,
            "vary": "Accept, Accept-Language, Accept-Encoding, Cookie, Authorization, X-API-Key",
            "content-language": self.speaker.lang,
        }

    def unchanged(self, tag: str) -> Response:
        """304."""
        return Response(None, 304, {**self._headers(), "etag": tag})

    def answer(self, body: bytes, media: str, headers: dict[str, str]) -> Response:
        """A body, zipped where that is wanted; without an ETag it gets that of its bytes."""
        more = {**self._headers(), **headers}
        if "etag" not in more:
            more["etag"] = self.tag(blake2b(body, digest_size=12).hexdigest())
            if self.has(more["etag"]):
                return self.unchanged(more["etag"])
        if self.gzip and len(body) > SMALL_BYTES:
            packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
            body = packer.compress(body) + packer.flush()
            more["content-encoding"] = "gzip"
        return Response(body, 200, more, _media(media))

    def nothing(self) -> Response:
        """An answer without a body."""
        return Response(None, 204, self._headers())

    def stream(self, pieces: Iterator[bytes], media: str, headers: dict[str, str]) -> Response:
        """A long body piece by piece."""
        more = {**self._headers(), **headers}
        if self.gzip:
            pieces = _zipped(pieces)
            more["content-encoding"] = "gzip"
        return StreamingResponse(iterate_in_threadpool(pieces), 200, more, _media(media))

    def document(
        self,
        about: dict[str, Any],
        as_page: Callable[[Speaker, dict[str, Any]], str] | None,
        media: str = JSON,
    ) -> Response:
        """A document as JSON or (where it has one) as a page; its parameters are form and language.

        Raises:
            BadInputError: it was given another.
        """
        self.only("f", "lang")
        if self.html and as_page is not None:
            return self.answer(as_page(self.speaker, about).encode(), HTML, {})
        return self.answer(geojson.dumped(about).encode(), media, {})


def _media(media: str) -> str:
    return f"{media}; charset=utf-8" if media == HTML else media


def _zipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()


def _base(request: Request) -> str:
    """Where the service stands as the asker sees it, prefix and all."""
    path = request.url.path
    return f"{request.url.scheme}://{request.url.netloc}{path[: path.index('/ogc')]}/ogc"


def _error(error: CitymapError, request: Request) -> Response:
    lang = language(request)
    said = said_to_anybody(error, lang)
    text = f"{said['message']} → {said['remedy']}"
    status = STATUS_CODES.get(error.key, 500)
    body = geojson.dumped({"code": error.key, "description": text})
    return Response(body.encode(), status, {**CORS, "cache-control": "no-store"}, JSON)
