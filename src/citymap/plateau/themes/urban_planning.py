"""Urban planning (urf): area classification, use districts and the other zones."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import BaseRow, Feature, Row
from citymap.plateau.themes import THEMES


@THEMES.register("urf")
@THEMES.register("area")
def urban_planning(feature: Feature) -> Iterable[Row]:
    """One row per zone; `function` (i-UR 2 and later) or `class` (1.4) is the kind."""
    code, kind = feature.own("function", "class", "usage")
    shape, _ = feature.surface("lod1MultiSurface", "lod0MultiSurface", "lod0Geometry")
    yield BaseRow("urban", kind or feature.name, code, feature.label(), shape)
