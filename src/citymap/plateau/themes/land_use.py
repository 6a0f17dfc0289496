"""Land use (luse): each parcel to the land-use, green or water table by its class."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import BaseRow, Feature, Row
from citymap.plateau.themes import THEMES

# Common_landUseType: fields, forest, other nature, public open space (parks), golf, farmland.
_GREEN = frozenset({"201", "202", "203", "205", "217", "220", "260"})
_WATER = frozenset({"204"})


@THEMES.register("luse")
def land_use(feature: Feature) -> Iterable[Row]:
    """Polygons with the class decoded; files of 2020 keep parks in a file of their own."""
    code, kind = feature.own("class", "function", "usage")
    shape, _ = feature.surface("lod1MultiSurface", "lod0MultiSurface", "lod2MultiSurface")
    if code in _WATER:
        table = "water"
    elif code in _GREEN or (code is None and "_park" in feature.path.name):
        table = "green"
    else:
        table = "landuse"
    yield BaseRow(table, kind, code, feature.label(), shape)
