"""Vegetation (veg): plant covers as green areas."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import BaseRow, Feature, FeatureSkippedError, Row
from citymap.plateau.themes import THEMES


@THEMES.register("veg")
def vegetation(feature: Feature) -> Iterable[Row]:
    """Plant covers; single trees have no area and are left out."""
    if feature.name != "PlantCover":
        raise FeatureSkippedError("theme_feature", feature.name)
    code, kind = feature.own("class", "function")
    shape, _ = feature.surface("lod0MultiSurface", "lod1MultiSurface", "lod1MultiSolid", "lod2MultiSurface",
                               "lod2MultiSolid", "lod3MultiSurface")  # fmt: skip
    yield BaseRow("green", kind, code, feature.label(), shape)
