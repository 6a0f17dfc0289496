"""公共施設: public facilities."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from citymap.model.columns import Column
from citymap.places.kinds import KINDS, Kind, key, pick


def _values(row: Mapping[str, str]) -> dict[str, object]:
    return {
        "common_name": pick(row, ("名称_通称",)),
        "category": pick(row, ("POIコード", "施設分類")),
        "days": pick(row, ("利用可能曜日", "開館曜日")),
        "from_time": pick(row, ("開始時間",)),
        "to_time": pick(row, ("終了時間",)),
        "about": pick(row, ("説明",)),
        "barrier_free": pick(row, ("バリアフリー情報",)),
        "url": pick(row, ("URL",)),
    }


def _evidence(header: frozenset[str]) -> int:
    return 4 * sum(key(s) in header for s in ("POIコード", "バリアフリー情報", "名称_通称"))


_COLUMNS = (
    "common_name", "category", "days", "from_time", "to_time", "about", "barrier_free", "url",
)  # fmt: skip
KINDS.register("public_facility")(
    Kind("facilities", _evidence, tuple(Column(n, pa.string(), n) for n in _COLUMNS), _values)
)
