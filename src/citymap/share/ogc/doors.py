"""The doors of `/ogc`, and how a test knocks at them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import numpy as np

from citymap.share.doors import Door, Knock, declare
from citymap.share.exchange.export import layer_ids
from citymap.share.ogc.collection import Collections
from citymap.workspace import Workspace

KINDS = (
    "buildings", "exposure", "hazard", "leave_by", "released_leave_by", "shelters", "wifi", "aed", "reports", "closures",
)  # fmt: skip
_PATH = "/ogc/collections/{collection}"


def _each(*ends: str) -> Callable[[Workspace], list[Knock]]:
    return lambda workspace: [
        Knock(f"/ogc/collections/{layer}{end}") for layer in layer_ids(workspace) for end in ends
    ]


def _feature_knocks(workspace: Workspace) -> list[Knock]:
    found = Collections().all(workspace, "public")
    return [
        Knock(f"/ogc/collections/{c.id}/items/{quote(one, safe='')}{form}")
        for c in found
        for one in c.ids(np.arange(min(c.count, 5)))
        for form in ("", "?f=html")
    ]


def _plain(path: str) -> Callable[[Workspace], list[Knock]]:
    return lambda _: [Knock(path), Knock(f"{path}?f=html")]


def _grid_knocks(end: str) -> Callable[[Workspace], list[Knock]]:
    return lambda workspace: [
        Knock(f"/ogc/collections/{one.id}{end}")
        for one in Collections().all(workspace, "public")
        if one.raster is not None
    ]


def _tile_knocks(workspace: Workspace) -> list[Knock]:
    """Every tile there is."""
    found = []
    for path in sorted(workspace.tiles.glob("*/mvt/*/*/*.mvt.gz")):
        zoom, x, y = path.parts[-3:]
        found.append(Knock(f"/ogc/tiles/WebMercatorQuad/{zoom}/{y.split('.')[0]}/{x}"))
    return found


declare(
    Door("/ogc", kinds=KINDS, knocks=_plain("/ogc")),
    Door("/ogc/conformance", nothing="the names of standards"),
    Door("/ogc/api", kinds=KINDS, knocks=_plain("/ogc/api")),
    Door("/ogc/collections", kinds=KINDS, knocks=_plain("/ogc/collections")),
    Door(_PATH, kinds=KINDS, knocks=_each("", "?f=html")),
    Door(f"{_PATH}/queryables", kinds=KINDS, knocks=_each("/queryables", "/queryables?f=html")),
    Door(f"{_PATH}/items", kinds=KINDS, knocks=_each("/items?limit=10000", "/items?limit=100&f=html")),
    Door(f"{_PATH}/items/{{feature}}", kinds=KINDS, knocks=_feature_knocks),
    Door(f"{_PATH}/map", kinds=("hazard",), knocks=_grid_knocks("/map?width=64")),
    Door(f"{_PATH}/coverage", kinds=("hazard",), knocks=_grid_knocks("/coverage")),
    Door("/ogc/tiles", kinds=("tile_manifest",), knocks=_plain("/ogc/tiles")),
    Door("/ogc/tiles/WebMercatorQuad", kinds=("tile_manifest",),
         knocks=_plain("/ogc/tiles/WebMercatorQuad")),
    Door("/ogc/tiles/WebMercatorQuad/tilejson.json", kinds=("tile_manifest",),
         knocks=lambda _: [Knock("/ogc/tiles/WebMercatorQuad/tilejson.json")]),
    Door("/ogc/tiles/WebMercatorQuad/style.json", kinds=("tile_manifest",),
         knocks=lambda _: [Knock("/ogc/tiles/WebMercatorQuad/style.json")]),
    Door("/ogc/tiles/WebMercatorQuad/{matrix}/{row}/{column}",
         kinds=("base_map", "roads", "districts", "buildings"), knocks=_tile_knocks),
    Door("/ogc/tileMatrixSets", nothing="the grid that every map of the world uses"),
    Door("/ogc/tileMatrixSets/WebMercatorQuad", nothing="the grid that every map of the world uses"),
    Door("/ogc/3dtiles/tileset.json", kinds=("buildings",), knocks=_plain("/ogc/3dtiles/tileset.json")),
    Door("/ogc/stac", kinds=KINDS, knocks=_plain("/ogc/stac")),
    Door("/ogc/stac/{collection}", kinds=KINDS, knocks=lambda workspace: [
        Knock(f"/ogc/stac/{layer}") for layer in layer_ids(workspace)]),
    Door("/ogc/dcat", kinds=KINDS, knocks=_plain("/ogc/dcat")),
)  # fmt: skip
