"""国土数値情報 P20 避難施設: its coded columns, 1 for a hazard that the facility is meant for."""

from __future__ import annotations

from collections.abc import Mapping

from citymap.places.kinds import KINDS, Kind, key, pick
from citymap.places.kinds.evacuation_site import COLUMNS, HAZARDS, people

# 災害分類: 1 = 対象, 0 = not said to be meant for it (never: unfit)
_HAZARDS = {"earthquake": "P20_007", "tsunami": "P20_008", "flood": "P20_009", "volcano": "P20_010"}


def _values(row: Mapping[str, str]) -> dict[str, object]:
    capacity = pick(row, ("P20_005",))
    capacity = None if capacity in ("-1", "0") else capacity  # -1: not known
    return {
        **dict.fromkeys(HAZARDS),
        **{
            hazard: True if pick(row, (column,)) == "1" else None
            for hazard, column in _HAZARDS.items()
        },
        "conditional": None,
        "also_designated": None,
        "capacity": people(capacity),
        "capacity_text": capacity,
        "target_areas": None,
    }


def _evidence(header: frozenset[str]) -> int:
    return 100 * all(key(c) in header for c in ("P20_002", "P20_009"))


KINDS.register("p20")(Kind("shelters", _evidence, COLUMNS, _values))
