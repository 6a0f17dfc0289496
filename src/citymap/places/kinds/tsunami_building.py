"""津波避難ビル: buildings to climb when a tsunami comes."""

from __future__ import annotations

from collections.abc import Mapping

from citymap.places.kinds import KINDS, Kind, key, pick
from citymap.places.kinds.evacuation_site import COLUMNS, shelter_values


def _values(row: Mapping[str, str]) -> dict[str, object]:
    areas = pick(row, ("対象となる町会・自治会", "district", "地区"))
    return {**shelter_values(row), "tsunami": True, "target_areas": areas}


def _evidence(header: frozenset[str]) -> int:
    published = {"shelter", "capacity", "district"} <= header
    return 6 * published + 10 * (key("津波避難ビル名") in header)


KINDS.register("tsunami_building")(Kind("shelters", _evidence, COLUMNS, _values))
