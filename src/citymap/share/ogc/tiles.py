"""Our vector tiles by OGC API – Tiles, and the 3D Tiles of today under an address that stays."""

from __future__ import annotations

import gzip
import json
from math import asinh, floor, pi, radians, tan
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.share.gate import may_see, release_one
from citymap.share.ogc.documents import JSON
from citymap.share.tile_files import passage

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.share.ogc.documents import Json, Speaker
    from citymap.workspace import Workspace

SET = "WebMercatorQuad"
SET_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{SET}"
MVT = "application/vnd.mapbox-vector-tile"
HALF_M = 20037508.342789244  # of the square world of Web Mercator
TILE_PIXELS = 256
PIXEL_M = 0.00028  # of the standardised rendering
MAX_ZOOM = 24


def manifest(workspace: Workspace, audience: Audience) -> dict[str, Any]:
    """The tile manifest as the audience may see it.

    Raises:
        BadInputError: the city has no tiles.
    """
    path = workspace.tiles / "manifest.json"
    try:
        found = release_one("tile_manifest", json.loads(path.read_text("utf-8")), audience)
    except (OSError, ValueError) as e:
        raise BadInputError("no_tiles") from e
    if found is None or not may_see("buildings", audience):
        raise BadInputError("no_tiles")
    return found


def matrix_set() -> Json:
    """The definition of WebMercatorQuad."""
    matrices = []
    for zoom in range(MAX_ZOOM + 1):
        cell_m = 2 * HALF_M / TILE_PIXELS / 2**zoom
        matrices.append({
            "id": str(zoom), "scaleDenominator": cell_m / PIXEL_M, "cellSize": cell_m,
            "cornerOfOrigin": "topLeft", "pointOfOrigin": [-HALF_M, HALF_M],
            "tileWidth": TILE_PIXELS, "tileHeight": TILE_PIXELS, "matrixWidth": 2**zoom,
            "matrixHeight": 2**zoom,
        })  # fmt: skip
    return {
        "id": SET,
        "title": "Google Maps Compatible for the World",
        "uri": SET_URI,
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "orderedAxes": ["X", "Y"],
        "tileMatrices": matrices,
    }


def matrix_sets(speaker: Speaker) -> Json:
    """The list of the one."""
    link = speaker.link("self", f"/tileMatrixSets/{SET}", JSON)
    return {"tileMatrixSets": [{"id": SET, "title": SET, "uri": SET_URI, "links": [link]}]}


def tileset(speaker: Speaker, about: dict[str, Any]) -> Json:
    """The vector tiles of the whole city."""
    vector = about["vector"]
    limits = [{"tileMatrix": str(z), **_limits(about["bbox"], z)}
              for z in range(vector["minzoom"], vector["maxzoom"] + 1)]  # fmt: skip
    west, south, east, north = about["bbox"]
    return {
        "title": t("ogc.vector_tiles", speaker.lang),
        "dataType": "vector",
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "tileMatrixSetURI": SET_URI,
        "tileMatrixSetLimits": limits,
        "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north],
                        "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
        "layers": [{"id": name, "dataType": "vector"} for name in vector["layers"]],
        "links": [
            speaker.link("self", f"/tiles/{SET}", JSON),
            speaker.link("http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme", f"/tileMatrixSets/{SET}", JSON),
            speaker.link("describedby", f"/tiles/{SET}/tilejson.json", JSON, "TileJSON"),
            speaker.link("http://www.opengis.net/def/rel/ogc/1.0/stylesheet", f"/tiles/{SET}/style.json", JSON, "MapLibre"),
            speaker.link("item", f"/tiles/{SET}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", MVT, templated=True),
        ],
    }  # fmt: skip


def tilesets(speaker: Speaker, about: dict[str, Any]) -> Json:
    """The list of the one set of tiles."""
    whole = tileset(speaker, about)
    named = {k: whole[k] for k in ("title", "dataType", "crs", "tileMatrixSetURI")}
    links = [link for link in whole["links"] if link["rel"] != "item"]
    return {
        "links": [speaker.link("self", "/tiles", JSON)],
        "tilesets": [{**named, "links": links}],
    }


def _limits(box: list[float], zoom: int) -> dict[str, int]:

    size: int = 2**zoom

    def column(lon: float) -> int:
        return int(min(size - 1, max(0, floor((lon + 180) / 360 * size))))

    def row(lat: float) -> int:
        return int(min(size - 1, max(0, floor((1 - asinh(tan(radians(lat))) / pi) / 2 * size))))

    return {"minTileRow": row(box[3]), "maxTileRow": row(box[1]),
            "minTileCol": column(box[0]), "maxTileCol": column(box[2])}  # fmt: skip


def tile_path(about: dict[str, Any], matrix: str, row: str, column: str) -> str:
    """Where a tile lies below `/tiles/`.

    Raises:
        BadInputError: outside of the matrix set, or of the zoom levels that were built.
    """
    texts = (matrix, row, column)
    if not all(v.isascii() and v.isdigit() and len(v) < 9 for v in texts):
        raise BadInputError("ogc_no_tile", place="/".join(texts)[:100])
    z, y, x = map(int, texts)
    vector = about["vector"]
    if not vector["minzoom"] <= z <= vector["maxzoom"] or max(x, y) >= 2**z:
        raise BadInputError("ogc_no_tile", place=f"{z}/{y}/{x}")
    return str(vector["tiles"]).format(z=z, x=x, y=y)


def tile(workspace: Workspace, path: str) -> bytes | None:
    """The tile at a path of `tile_path`; None where nothing is drawn."""
    if passage(path, "public") is None:
        return None
    file = workspace.tiles / path
    try:
        return gzip.decompress(file.with_name(f"{file.name}.gz").read_bytes())
    except FileNotFoundError:
        return None


def tileset_3d(workspace: Workspace, about: dict[str, Any], prefix: str) -> Json:
    """`tileset.json` of today's version with addresses that hold wherever it is read from.

    Raises:
        BadInputError: the city has no 3D Tiles.
    """
    version = about["version"]
    path = workspace.tiles / version / "3d" / "tileset.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise BadInputError("no_tiles") from e
    return dict(_absolute(found, f"{prefix}/3dtiles/{version}/"))


def _absolute(value: Any, start: str) -> Any:
    if isinstance(value, dict):
        return {
            k: start + v if k in {"uri", "url"} and isinstance(v, str) else _absolute(v, start)
            for k, v in value.items()
        }
    return [_absolute(v, start) for v in value] if isinstance(value, list) else value
