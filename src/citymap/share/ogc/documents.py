"""The documents of the service as values of JSON: landing page, conformance, collections, queryables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from citymap.i18n import t
from citymap.share.ogc import crs_uri
from citymap.share.ogc.process_paths import EXECUTE, process_paths
from citymap.share.ogc.query import MAX_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from citymap.share.ogc.collection import Collection
    from citymap.workspace import City

JSON, HTML, GEOJSON = "application/json", "text/html", "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
SCHEMA = "application/schema+json"
_SPEC = "http://www.opengis.net/spec"
_CQL2 = f"{_SPEC}/cql2/1.0/conf"
CONFORMS_TO = (
    *(f"{_SPEC}/ogcapi-common-1/1.0/conf/{c}" for c in ("core", "landing-page", "json", "html", "oas30")),
    f"{_SPEC}/ogcapi-common-2/1.0/conf/collections",
    *(f"{_SPEC}/ogcapi-features-1/1.0/conf/{c}" for c in ("core", "geojson", "html", "oas30")),
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
    *(f"{_SPEC}/ogcapi-features-3/1.0/conf/{c}"
      for c in ("queryables", "queryables-query-parameters", "filter", "features-filter")),
    *(f"{_SPEC}/ogcapi-tiles-1/1.0/conf/{c}"
      for c in ("core", "tileset", "tilesets-list", "dataset-tilesets", "mvt")),
    *(f"{_SPEC}/ogcapi-maps-1/1.0/conf/{c}"
      for c in ("core", "collection-map", "spatial-subsetting", "scaling", "crs", "background", "png")),
    *(f"{_SPEC}/ogcapi-coverages-1/0.0/conf/{c}" for c in ("core", "geotiff")),
    *(f"{_SPEC}/ogcapi-records-1/1.0/conf/{c}"
      for c in ("record-core", "record-collection", "json", "html")),
    *(f"{_SPEC}/ogcapi-processes-1/1.0/conf/{c}"
      for c in ("core", "ogc-process-description", "json", "html", "oas30", "job-list", "dismiss")),
    *(f"{_CQL2}/{c}" for c in (
        "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators",
        "case-insensitive-comparison", "accent-insensitive-comparison", "basic-spatial-functions",
        "basic-spatial-functions-plus", "spatial-functions", "property-property", "arithmetic",
    )),
)  # fmt: skip
Json = dict[str, Any]
_REL = "http://www.opengis.net/def/rel/ogc/1.0"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Where the service stands (`base`, without a slash at its end) and in which language it speaks."""

    base: str
    lang: str
    city: City

    def link(self, rel: str, path: str, media: str, title: str = "", **more: object) -> Json:
        """One link; `path` begins with a slash or is empty."""
        said = {"title": title} if title else {}
        return {"rel": rel, "href": f"{self.base}{path}", "type": media, **said, **more}

    def both(self, path: str, media: str = JSON) -> list[Json]:
        """Links to a document itself and to its page."""
        mark = "&" if "?" in path else "?"
        return [
            self.link("self", path, media),
            self.link("alternate", f"{path}{mark}f=html", HTML, "HTML"),
        ]

    @property
    def name(self) -> str:
        """The city's name in the language."""
        return (self.city.name_en if self.lang == "en" else "") or self.city.name

    def title(self, collection: Collection) -> str:
        """A layer's title in the language."""
        return collection.title.get(self.lang) or collection.title.get("ja") or collection.id


def landing(speaker: Speaker) -> Json:
    """The landing page."""
    lang = speaker.lang
    return {
        "title": t("ogc.title", lang, city=speaker.name),
        "description": t("ogc.description", lang, city=speaker.name),
        "attribution": speaker.city.attribution or speaker.name,
        "links": [
            *speaker.both(""),
            speaker.link("service-desc", "/api", OPENAPI, "OpenAPI 3.0"),
            speaker.link("service-doc", "/api?f=html", HTML, t("ogc.service_doc", lang)),
            speaker.link("conformance", "/conformance", JSON, t("ogc.conformance", lang)),
            speaker.link("data", "/collections", JSON, t("ogc.collections", lang)),
            speaker.link(f"{_REL}/tilesets-vector", "/tiles", JSON, t("ogc.vector_tiles", lang)),
            speaker.link(f"{_REL}/tiling-schemes", "/tileMatrixSets", JSON, "TileMatrixSet"),
            speaker.link(f"{_REL}/ogc-catalog", "/collections/catalogue", JSON, t("ogc.catalogue", lang)),
            speaker.link(f"{_REL}/processes", "/processes", JSON, t("ogc_process.processes", lang)),
            speaker.link(f"{_REL}/job-list", "/jobs", JSON, t("ogc_process.jobs", lang)),
            speaker.link("describedby", "/stac", JSON, "STAC"),
            speaker.link("describedby", "/dcat", "application/ld+json", "DCAT"),
        ],
    }  # fmt: skip


def conformance(speaker: Speaker) -> Json:
    """The classes that the service conforms to."""
    return {"links": speaker.both("/conformance"), "conformsTo": list(CONFORMS_TO)}


def collections(speaker: Speaker, listed: Iterable[Collection]) -> Json:
    """All collections that the asker may see."""
    return {
        "links": speaker.both("/collections"),
        "collections": [collection(speaker, one) for one in listed],
    }


def offered(speaker: Speaker, one: Collection) -> list[str]:
    """The coordinate systems of a collection."""
    return crs_uri.offered(speaker.city.epsg, heights=one.heights)


def collection(speaker: Speaker, one: Collection) -> Json:
    """One collection."""
    from citymap.share.ogc.catalogue import ID, ways  # noqa: PLC0415  (it speaks by this module)

    lang, path = speaker.lang, f"/collections/{one.id}"
    box = one.extent or speaker.city.bbox
    about = [t("ogc.features", lang, count=one.count)]
    about += [f"{t('ogc.vintage', lang)}: {one.vintage}"] if one.vintage else []
    about += [f"{t('ogc.source', lang)}: {one.source}"] if one.source else []
    return {
        "id": one.id,
        "title": speaker.title(one),
        "description": " · ".join(about),
        "attribution": speaker.city.attribution or speaker.name,
        "itemType": "record" if one.id == ID else "feature",
        "extent": {"spatial": {"bbox": [list(box)] if box else [], "crs": crs_uri.CRS84}},
        "crs": offered(speaker, one),
        "storageCrs": crs_uri.uri(6668),
        "links": [
            *speaker.both(path),
            *ways(speaker, one),
            speaker.link(
                f"{_REL}/queryables",
                f"{path}/queryables",
                SCHEMA,
                t("ogc.queryables", lang),
            ),
        ],
    }


def _schema_of(kind: pa.DataType) -> Json:
    if pa.types.is_boolean(kind):
        return {"type": "boolean"}
    if pa.types.is_integer(kind):
        return {"type": "integer"}
    if pa.types.is_floating(kind):
        return {"type": "number"}
    if pa.types.is_timestamp(kind):
        return {"type": "string", "format": "date-time"}
    return {"type": "string"}


def filterable(one: Collection) -> dict[str, Json]:
    """The columns that a filter may name, with their JSON Schema."""
    return {
        f.name: {"title": f.name, **_schema_of(f.type)}
        for f in one.table.schema
        if f.name not in one.nested
    }


def queryables(speaker: Speaker, one: Collection) -> Json:
    """The queryables of a collection, as JSON Schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{speaker.base}/collections/{one.id}/queryables",
        "type": "object",
        "title": speaker.title(one),
        "properties": {
            **filterable(one),
            "geometry": {
                "title": "geometry",
                "format": f"geometry-{one.geometry_type}",
                "x-ogc-role": "primary-geometry",
            },
        },
        "additionalProperties": False,
    }


def _parameter(name: str, schema: Json, **more: object) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, **more}


def openapi(speaker: Speaker, listed: list[Collection], version: str) -> Json:
    """The OpenAPI 3.0 document, every collection by its own path."""
    lang = speaker.lang
    forms = {"image/png": ["png"], "image/tiff; application=geotiff": ["tiff"]}
    language = _parameter("lang", {"type": "string", "enum": ["ja", "en"]})
    error = {
        "description": t("ogc.error", lang),
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/exception"}}},
    }
    common = {"4XX": error, "5XX": error}

    def get(summary: str, media: str, *parameters: Json, operation: str, **answers: Json) -> Json:
        done = {
            "description": summary,
            "content": {
                media: {"schema": {"type": "object"}},
                HTML: {"schema": {"type": "string"}},
            },
        }
        return {
            "get": {
                "summary": summary, "operationId": operation,
                "parameters": [_parameter("f", {"type": "string", "enum": forms.get(media, ["json", "html"])}),
                               language, *parameters],
                "responses": {"200": done, **answers, **common},
            }
        }  # fmt: skip

    paths: Json = {
        "/": get(t("ogc.landing", lang), JSON, operation="landing"),
        "/conformance": get(t("ogc.conformance", lang), JSON, operation="conformance"),
        "/api": get(t("ogc.service_doc", lang), OPENAPI, operation="api"),
        "/collections": get(t("ogc.collections", lang), JSON, operation="collections"),
    }
    paths |= _other_paths(get, lang)
    paths |= process_paths(get, common, lang)
    for one in listed:
        title, path = speaker.title(one), f"/collections/{one.id}"
        crs = {"type": "string", "format": "uri", "enum": offered(speaker, one)}
        paths[path] = get(title, JSON, operation=f"collection.{one.id}")
        paths[f"{path}/queryables"] = get(
            f"{title}: {t('ogc.queryables', lang)}", SCHEMA, operation=f"queryables.{one.id}"
        )
        own = [_parameter(n, _plain(s)) for n, s in filterable(one).items() if n not in _TAKEN]
        paths[f"{path}/items"] = get(
            f"{title}: {t('ogc.items', lang)}", GEOJSON,
            {"$ref": "#/components/parameters/limit"}, {"$ref": "#/components/parameters/offset"},
            {"$ref": "#/components/parameters/bbox"}, {"$ref": "#/components/parameters/datetime"},
            {"$ref": "#/components/parameters/filter"}, {"$ref": "#/components/parameters/filter-lang"},
            _parameter("crs", crs), _parameter("bbox-crs", crs), _parameter("filter-crs", crs), *own,
            operation=f"items.{one.id}",
        )  # fmt: skip
        feature = {
            "name": "featureId",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
        paths[f"{path}/items/{{featureId}}"] = get(
            f"{title}: {t('ogc.feature', lang)}", GEOJSON, feature, _parameter("crs", crs),
            operation=f"feature.{one.id}",
        )  # fmt: skip
        if one.raster is not None:
            box = {"$ref": "#/components/parameters/bbox"}
            side = {"type": "integer", "minimum": 1, "maximum": 4096}
            paths[f"{path}/map"] = get(
                f"{title}: {t('ogc.map', lang)}", "image/png", box, _parameter("bbox-crs", crs),
                _parameter("crs", crs), _parameter("width", side), _parameter("height", side),
                _parameter("transparent", {"type": "boolean"}), _parameter("bgcolor", {"type": "string"}),
                operation=f"map.{one.id}",
            )  # fmt: skip
            paths[f"{path}/coverage"] = get(
                f"{title}: {t('ogc.coverage', lang)}", "image/tiff; application=geotiff", box,
                _parameter("bbox-crs", crs), operation=f"coverage.{one.id}",
            )  # fmt: skip
    return {
        "openapi": "3.0.3",
        "info": {
            "title": t("ogc.title", lang, city=speaker.name),
            "description": t("ogc.description", lang, city=speaker.name),
            "version": version,
        },
        "servers": [{"url": speaker.base}],
        "paths": paths,
        "components": {
            "parameters": _PARAMETERS,
            "schemas": {"exception": _EXCEPTION, "execute": EXECUTE},
        },
    }


def _other_paths(get: Callable[..., Json], lang: str) -> Json:
    """Tiles and catalogues."""
    numbers = [
        {"name": n, "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
        for n in ("tileMatrix", "tileRow", "tileCol")
    ]
    tiles = t("ogc.vector_tiles", lang)
    set_of = "/tileMatrixSets/WebMercatorQuad"
    return {
        "/tiles": get(tiles, JSON, operation="tilesets"),
        "/tiles/WebMercatorQuad": get(tiles, JSON, operation="tileset"),
        "/tiles/WebMercatorQuad/{tileMatrix}/{tileRow}/{tileCol}": get(
            tiles, "application/vnd.mapbox-vector-tile", *numbers, operation="tile"
        ),
        "/tileMatrixSets": get("TileMatrixSet", JSON, operation="tileMatrixSets"),
        "/tiles/WebMercatorQuad/tilejson.json": get("TileJSON", JSON, operation="tilejson"),
        "/tiles/WebMercatorQuad/style.json": get("Style", JSON, operation="tileStyle"),
        set_of: get("WebMercatorQuad", JSON, operation="tileMatrixSet"),
        "/3dtiles/tileset.json": get("3D Tiles", "application/json", operation="tileset3d"),
        "/stac": get("STAC", JSON, operation="stac"),
        "/dcat": get("DCAT", "application/ld+json", operation="dcat"),
    }


def _plain(schema: Json) -> Json:
    return {k: v for k, v in schema.items() if k != "title"}


_TAKEN = frozenset({"f", "lang", "limit", "offset", "crs", "filter", "bbox", "datetime"})
_EXCEPTION = {
    "type": "object",
    "required": ["code"],
    "properties": {"code": {"type": "string"}, "description": {"type": "string"}},
}
_PARAMETERS: Json = {
    "limit": _parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 10}),
    "offset": _parameter("offset", {"type": "integer", "minimum": 0, "default": 0}),
    "bbox": _parameter(
        "bbox",
        {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}},
        style="form",
        explode=False,
    ),
    "datetime": _parameter("datetime", {"type": "string"}),
    "filter": _parameter("filter", {"type": "string"}),
    "filter-lang": _parameter(
        "filter-lang",
        {"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"},
    ),
}  # fmt: skip
