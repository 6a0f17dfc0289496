"""Water bodies (wtr): rivers, lakes and ponds of the base map."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import BaseRow, Feature, Row
from citymap.plateau.themes import THEMES


@THEMES.register("wtr")
def water(feature: Feature) -> Iterable[Row]:
    """The water surface; where a file holds only curves, the curves."""
    code, kind = feature.own("class", "function")
    lines = feature.curves("lod0MultiCurve", "lod1MultiCurve")
    if lines and not any(feature.element.iter("{*}MultiSurface", "{*}Solid")):
        for line in lines:
            yield BaseRow("water", kind, code, feature.label(), line)
        return
    shape, _ = feature.surface("lod1MultiSurface", "lod0MultiSurface", "lod2Surface", "lod2MultiSurface",
                               "lod3MultiSurface", "lod1Solid", "lod2Solid")  # fmt: skip
    yield BaseRow("water", kind, code, feature.label(), shape)
