"""医療機関: hospitals and clinics, of municipal lists and of 国土数値情報 P04."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from citymap.model.columns import Column
from citymap.places.kinds import KINDS, Kind, key, pick
from citymap.places.kinds.evacuation_site import people


def _values(row: Mapping[str, str]) -> dict[str, object]:
    return {
        "category": pick(row, ("医療機関の種類", "医療機関種別", "P04_001")),
        "departments": pick(row, ("診療科目", "P04_004")),
        "beds": people(pick(row, ("病床数", "P04_008"))),
        "days": pick(row, ("診療曜日",)),
        "from_time": pick(row, ("診療開始時間",)),
        "to_time": pick(row, ("診療終了時間",)),
        "after_hours": pick(row, ("時間外における対応",)),
        "url": pick(row, ("URL",)),
    }


def _evidence(header: frozenset[str]) -> int:
    signs = ("診療科目", "医療機関の種類", "医療機関コード", "病床数", "診療曜日", "P04_004")
    return 15 * sum(key(s) in header for s in signs)


_S = pa.string()
KINDS.register("hospital")(
    Kind(
        "hospitals", _evidence,
        (
            Column("category", _S, "kind of institution"),
            Column("departments", _S, "departments"),
            Column("beds", pa.int32(), "beds"),
            *(Column(n, _S, n) for n in ("days", "from_time", "to_time", "after_hours", "url")),
        ),
        _values,
    )
)  # fmt: skip
