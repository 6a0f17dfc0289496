"""Roads, railways, tracks, squares and waterways (tran, rwy, trk, squr, wwy)."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import BaseRow, Feature, FeatureSkippedError, LinkRow, Row
from citymap.plateau.themes import THEMES

_TABLE = {"Railway": "rail", "Waterway": "water"}
_SURFACES = (
    "lod1MultiSurface",
    "lod2MultiSurface",
    "lod3MultiSurface",
    "lod4MultiSurface",
    "lod0MultiSurface",
)


def _section(feature: Feature, *words: str) -> bool | None:
    """Whether the section type names one of the words; None where it is not recorded."""
    _, text = feature.coded("sectionType")
    return None if text is None else any(w in text for w in words)


@THEMES.register("tran")
@THEMES.register("rwy")
@THEMES.register("trk")
@THEMES.register("squr")
@THEMES.register("wwy")
def transport(feature: Feature) -> Iterable[Row]:
    """Surfaces of the lowest LOD to the base map, LOD0 curves to the road network."""
    table = _TABLE.get(feature.name, "road")
    code, kind = feature.own("function", "class")
    name = feature.label()
    lines = feature.curves("lod0Network", "lod0MultiCurve")
    try:
        shape, _ = feature.surface(*_SURFACES)
    except FeatureSkippedError as e:
        if not lines or e.reason == "axis_order":
            raise
    else:
        yield BaseRow(table, kind, code, name, shape)
    if table == "road":
        width = feature.number("width")
        bridge, tunnel = (
            _section(feature, "橋", "高架"),
            _section(feature, "トンネル", "アンダーパス", "地下"),
        )
        for line in lines:
            yield LinkRow(kind, name, width, bridge, tunnel, line)
    else:
        for line in lines:
            yield BaseRow(table, kind, code, name, line)
