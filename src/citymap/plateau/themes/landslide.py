"""Landslide warning zones (lsld): generic objects of 2020, `SedimentDisasterProneArea` since."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import Feature, HazardRow, Row
from citymap.plateau.themes import THEMES

_ZONES = {
    "1": "土砂災害警戒区域（指定済）", "2": "土砂災害特別警戒区域（指定済）",
    "3": "土砂災害警戒区域（指定前）", "4": "土砂災害特別警戒区域（指定前）",
}  # fmt: skip


@THEMES.register("lsld")
def landslide(feature: Feature) -> Iterable[Row]:
    """One row per zone; the class is its kind of zone (yellow or red, designated or not yet)."""
    shape, _ = feature.surface(
        "lod1MultiSurface", "lod0MultiSurface", "lod0Geometry", "lod1Geometry"
    )
    code, kind = feature.own("areaType")
    if code is None and kind is None:
        code = feature.generic("区域区分")
    name = feature.text("zoneName") or feature.generic("区域名") or feature.generic("所在地")
    yield HazardRow(
        layer="lsld", hazard="landslide", name=None if name in (None, "-") else name, scale=None, admin=None,
        rank=None, class_code=code, kind=kind or _ZONES.get(code or ""), elevation_m=None, geometry=shape,
    )  # fmt: skip
