"""The keys of a scenario and their values in words, for tables that people read."""

from __future__ import annotations

import json
from typing import Any

from citymap.i18n import catalogue, t

_CHOICES = {
    "speed_law": "ui.evacuation.law_", "knowledge": "ui.evacuation.knowledge_",
    "stability": "evacuation.limit.", "hazard": "ui.shelter.hazard_name.",
    "curve": "ui.evacuation.curve_",
}  # fmt: skip
_SHARES = ("compliance", "car_share", "vertical_share")


def name_of(key: str, lang: str) -> str:
    """A key of `[evacuation]` in words; the key itself where the catalogue has none."""
    found = t(f"evacuation.key.{key}", lang)
    return key if found == f"evacuation.key.{key}" else found


def value_of(key: str, value: Any, lang: str) -> str:
    """A value of that key in words."""
    if value is None or value in ([], {}, ()):
        return "–"
    if isinstance(value, bool):
        return t("evacuation.yes" if value else "evacuation.no", lang)
    if isinstance(value, dict):
        parts = [f"{name_of(k, lang)} {value_of(k, v, lang)}" for k, v in value.items() if v is not None]  # fmt: skip
        return ("、" if lang == "ja" else ", ").join(parts)
    if isinstance(value, list | tuple):
        if all(isinstance(v, int | float) for v in value):
            return " – ".join(value_of(key, v, lang) for v in value)
        words = [value_of(key, v, lang) for v in value]
        return ("、" if lang == "ja" else ", ").join(words)
    if key in _SHARES:
        return f"{100 * value:g} %"
    if key == "flood":
        return t("ui.evacuation.flood_none", lang) if value == "none" else str(value).removeprefix("scenarios/")  # fmt: skip
    word = f"{_CHOICES.get(key, 'evacuation.mobility.' if key == 'mobility' else '')}{value}"
    if word in catalogue():
        return t(word, lang)
    return f"{value:g}" if isinstance(value, float) else str(value) if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False, default=str)  # fmt: skip
