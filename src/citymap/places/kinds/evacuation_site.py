"""指定緊急避難場所: emergency evacuation sites with the hazards each is designated for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import pyarrow as pa

from citymap.model.columns import Column
from citymap.places.kinds import KINDS, Kind, flag, key, pick

# hazard → column names: municipal standard ODS, GSI list, and lists with Latin names
HAZARDS: dict[str, tuple[str, ...]] = {
    "flood": ("災害種別_洪水", "洪水", "flood", "flood_L2"),
    "landslide": (
        "災害種別_崖崩れ、土石流及び地滑り", "崖崩れ、土石流及び地滑り", "災害種別_土砂災害", "sedimentDisaster",
    ),
    "storm_surge": ("災害種別_高潮", "高潮", "stormSurge"),
    "earthquake": ("災害種別_地震", "地震", "earthquake"),
    "tsunami": ("災害種別_津波", "津波", "tsunami", "tunami"),
    "fire": ("災害種別_大規模な火事", "大規模な火事", "fire"),
    "inland_flood": ("災害種別_内水氾濫", "内水氾濫", "inundation"),
    "volcano": ("災害種別_火山現象", "火山現象"),
}  # fmt: skip
_B, _S = pa.bool_(), pa.string()
COLUMNS = (
    *(Column(h, _B, f"designated for {h}; null = not designated or not said") for h in HAZARDS),
    Column("conditional", _S, "hazards with a mark that is neither yes nor no (△ …), joined by ;"),
    Column("also_designated", _B, "also the other kind (避難所 / 緊急避難場所)"),
    Column("capacity", pa.int32(), "people, where the text is a number"),
    Column("capacity_text", _S, "capacity as published"),
    Column("target_areas", _S, "neighbourhood associations served"),
)


def people(text: str | None) -> int | None:
    """A plain number of people in a text such as `1,200人`; None for anything else."""
    plain = unicodedata.normalize("NFKC", text or "").replace(",", "").strip()
    match = re.fullmatch(r"(?:約)?(\d{1,7})(?:人|名)?", plain)
    return int(match[1]) if match else None


def shelter_values(row: Mapping[str, str]) -> dict[str, object]:
    """Hazard flags and capacity of a row."""
    marks = {h: pick(row, names) for h, names in HAZARDS.items()}
    flags: dict[str, object] = {h: flag(m) for h, m in marks.items()}
    capacity = pick(row, ("想定収容人数", "収容人数", "収容可能人数", "capacity"))
    return {
        **flags,
        "conditional": ";".join(h for h, m in marks.items() if m and flags[h] is None) or None,
        "also_designated": flag(
            pick(
                row,
                (
                    "指定避難所との重複",
                    "指定緊急避難場所との重複",
                    "指定避難所との住所同一",
                    "指定緊急避難場所との住所同一",
                ),
            )
        ),
        "capacity": people(capacity),
        "capacity_text": capacity,
        "target_areas": pick(row, ("対象となる町会・自治会", "residentsAssociation")),
    }


def _evidence(header: frozenset[str]) -> int:
    return 2 * sum(any(key(n) in header for n in names) for names in HAZARDS.values())


KINDS.register("evacuation_site")(Kind("shelters", _evidence, COLUMNS, shelter_values))
