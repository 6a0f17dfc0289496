"""Kinds of warning zones, as exposure names them.

Source: 国土数値情報 A33 区域区分コード (A33_002) and uro:areaType, which number them alike:
1 土砂災害警戒区域（指定済）, 2 特別警戒区域（指定済）, 3 警戒区域（指定前）, 4 特別警戒区域（指定前）.
"""

from __future__ import annotations

LANDSLIDE_ZONES = {
    "1": "landslide_warning", "2": "landslide_special",
    "3": "landslide_warning_planned", "4": "landslide_special_planned",
}  # fmt: skip
UNKNOWN_ZONE = "zone_unknown"  # inside a zone whose kind is not known
TSUNAMI_ZONE = "tsunami"
ZONES = (*LANDSLIDE_ZONES.values(), UNKNOWN_ZONE, TSUNAMI_ZONE)
