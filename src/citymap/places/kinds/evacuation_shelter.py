"""指定避難所: shelters to stay in; lists without hazard columns."""

from __future__ import annotations

from citymap.places.kinds import KINDS, Kind, key
from citymap.places.kinds.evacuation_site import COLUMNS, shelter_values

_SIGNS = (
    "指定緊急避難場所との重複", "指定緊急避難場所との住所同一", "想定収容人数", "受入対象者",
    "対象となる町会・自治会",
)  # fmt: skip


def _evidence(header: frozenset[str]) -> int:
    return sum(key(s) in header for s in _SIGNS)


KINDS.register("evacuation_shelter")(Kind("shelters", _evidence, COLUMNS, shelter_values))
