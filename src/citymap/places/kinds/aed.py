"""AED設置箇所: defibrillators."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from citymap.model.columns import Column
from citymap.places.kinds import KINDS, Kind, key, pick


def _values(row: Mapping[str, str]) -> dict[str, object]:
    return {
        "position": pick(row, ("設置位置", "installationPosition")),
        "days": pick(row, ("利用可能曜日", "availableDate")),
        "from_time": pick(row, ("開始時間", "startTime")),
        "to_time": pick(row, ("終了時間", "endTime")),
        "for_children": pick(row, ("小児対応設備の有無", "equipmentForChildren")),
    }


def _evidence(header: frozenset[str]) -> int:
    signs = ("小児対応設備の有無", "設置位置", "installationPosition", "equipmentForChildren")
    return 10 * sum(key(s) in header for s in signs)


_S = pa.string()
_COLUMNS = ("position", "days", "from_time", "to_time", "for_children")
KINDS.register("aed")(Kind("aed", _evidence, tuple(Column(n, _S, n) for n in _COLUMNS), _values))
