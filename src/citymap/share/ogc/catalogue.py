"""The catalogue of the layers: OGC API Records, STAC and DCAT from the same descriptions."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import shapely

from citymap.i18n import t
from citymap.share.ogc.collection import Collection
from citymap.share.ogc.documents import GEOJSON, HTML, JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from citymap.share.ogc.documents import Json, Speaker

ID = "catalogue"
GEOTIFF, PNG, TILES_3D = "image/tiff; application=geotiff", "image/png", "application/json+3dtiles"
STAC_VERSION = "1.0.0"


def ways(speaker: Speaker, one: Collection) -> list[Json]:
    """The ways to the data of a layer."""
    lang, path = speaker.lang, f"/collections/{one.id}"
    found = [
        speaker.link("items", f"{path}/items", GEOJSON, t("ogc.items", lang)),
        speaker.link("items", f"{path}/items?f=html", HTML, t("ogc.items", lang)),
    ]
    if one.raster is not None:
        found += [
            speaker.link("http://www.opengis.net/def/rel/ogc/1.0/map", f"{path}/map", PNG, t("ogc.map", lang)),
            speaker.link("http://www.opengis.net/def/rel/ogc/1.0/coverage", f"{path}/coverage", GEOTIFF,
                         t("ogc.coverage", lang)),
        ]  # fmt: skip
    if one.id == "buildings":
        found.append(speaker.link("enclosure", "/3dtiles/tileset.json", TILES_3D, "3D Tiles"))
    return found


def _about(speaker: Speaker, one: Collection) -> str:
    lang = speaker.lang
    said = [t("ogc.features", lang, count=one.count)]
    said += [f"{t('ogc.vintage', lang)}: {one.vintage}"] if one.vintage else []
    said += [f"{t('ogc.source', lang)}: {one.source}"] if one.source else []
    return " · ".join(said)


def records(speaker: Speaker, listed: Sequence[Collection]) -> Collection:
    """The catalogue as a collection: one record a layer, its extent as the shape."""
    boxes = [one.extent for one in listed]
    bounds = np.array([b or (np.nan,) * 4 for b in boxes], float).reshape(-1, 4)
    shapes = [None if b is None else shapely.to_wkb(shapely.box(*b)) for b in boxes]
    table = pa.table({
        "id": pa.array([one.id for one in listed], pa.string()),
        "type": pa.array(["dataset"] * len(listed), pa.string()),
        "title": pa.array([speaker.title(one) for one in listed], pa.string()),
        "description": pa.array([_about(speaker, one) for one in listed], pa.string()),
        "keywords": pa.array([[one.id.partition("-")[0]] for one in listed], pa.list_(pa.string())),
        "language": pa.array([speaker.lang] * len(listed), pa.string()),
        "updated": pa.array([one.updated or None for one in listed], pa.string()),
        "source": pa.array([one.source or None for one in listed], pa.string()),
        "vintage": pa.array([one.vintage or None for one in listed], pa.string()),
        "rights": pa.array([speaker.city.attribution or speaker.name] * len(listed), pa.string()),
    })  # fmt: skip
    versions = " ".join(one.version for one in listed)
    title = {lang: t("ogc.catalogue", lang) for lang in ("ja", "en")}
    return Collection(
        ID, title, table, pa.array(shapes, pa.binary()), bounds,
        blake2b(versions.encode(), digest_size=8).hexdigest(),
        members=tuple({"time": None, "links": [
            *ways(speaker, one), speaker.link("collection", f"/collections/{one.id}", JSON),
        ]} for one in listed),
    )  # fmt: skip


def stac(speaker: Speaker, listed: Sequence[Collection]) -> Json:
    """The root of the STAC catalogue."""
    lang = speaker.lang
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": f"citymap-{speaker.city.code}",
        "title": t("ogc.title", lang, city=speaker.name),
        "description": t("ogc.description", lang, city=speaker.name),
        "links": [
            speaker.link("self", "/stac", JSON),
            speaker.link("root", "/stac", JSON),
            *(speaker.link("child", f"/stac/{c.id}", JSON, speaker.title(c)) for c in listed),
        ],
    }


def stac_collection(speaker: Speaker, one: Collection) -> Json:
    """One layer as a STAC collection; its files are its assets."""
    box = one.extent or speaker.city.bbox or (122.0, 20.0, 154.0, 46.0)
    assets = {}
    for number, way in enumerate(ways(speaker, one)):
        name = {GEOJSON: "features", HTML: "page", PNG: "map", GEOTIFF: "coverage"}.get(
            way["type"], f"asset{number}"
        )
        if way["type"] == TILES_3D:
            name = "3dtiles"
        role = "overview" if name in {"page", "map"} else "data"
        assets[name] = {"href": way["href"], "type": way["type"], "roles": [role]}
    found: Json = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": one.id,
        "title": speaker.title(one),
        "description": _about(speaker, one),
        "license": "proprietary",  # STAC's word for "see the link": the rights are the city's
        "providers": [{"name": speaker.city.attribution or speaker.name, "roles": ["host"]}],
        "extent": {
            "spatial": {"bbox": [list(box)]},
            "temporal": {"interval": [[one.updated or None, None]]},
        },
        "assets": assets,
        "links": [
            speaker.link("self", f"/stac/{one.id}", JSON),
            speaker.link("root", "/stac", JSON),
            speaker.link("parent", "/stac", JSON),
            speaker.link("license", f"/collections/{one.id}?f=html", HTML),
        ],
    }
    return found


def dcat(speaker: Speaker, listed: Sequence[Collection]) -> Json:
    """DCAT 2 as JSON-LD, as CKAN harvests it."""
    return {
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/", "locn": "http://www.w3.org/ns/locn#",
            "gsp": "http://www.opengis.net/ont/geosparql#", "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": f"{speaker.base}/dcat",
        "@type": "dcat:Catalog",
        "dct:title": {"@value": t("ogc.title", speaker.lang, city=speaker.name), "@language": speaker.lang},
        "dct:publisher": {"@type": "foaf:Organization", "foaf:name": speaker.name},
        "dcat:dataset": [_dataset(speaker, one) for one in listed],
    }  # fmt: skip


def _dataset(speaker: Speaker, one: Collection) -> Json:
    found: Json = {
        "@id": f"{speaker.base}/collections/{one.id}",
        "@type": "dcat:Dataset",
        "dct:identifier": f"{speaker.city.code}-{one.id}",
        "dct:title": {"@value": speaker.title(one), "@language": speaker.lang},
        "dct:description": {"@value": _about(speaker, one), "@language": speaker.lang},
        "dct:publisher": {"@type": "foaf:Organization", "foaf:name": speaker.name},
        "dct:rights": speaker.city.attribution or speaker.name,
        "dcat:keyword": [one.id.partition("-")[0]],
        "dcat:landingPage": {"@id": f"{speaker.base}/collections/{one.id}?f=html"},
        "dcat:distribution": [
            {"@type": "dcat:Distribution", "dct:title": way.get("title", one.id),
             "dcat:accessURL": {"@id": way["href"]}, "dcat:mediaType": way["type"]}
            for way in ways(speaker, one) if way["type"] != HTML
        ],
    }  # fmt: skip
    if one.updated:
        found["dct:modified"] = {"@value": one.updated, "@type": "xsd:dateTime"}
    if one.extent is not None:
        found["dct:spatial"] = {
            "@type": "dct:Location",
            "dcat:bbox": {
                "@value": shapely.to_wkt(shapely.box(*one.extent), rounding_precision=7),
                "@type": "gsp:wktLiteral",
            },
        }
    return found
