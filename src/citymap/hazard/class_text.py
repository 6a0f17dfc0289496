"""Bounds of a depth class that is written out: 「0.3m以上1.0m未満」, 「5m以上～10m未満」, 「20m以上」."""

from __future__ import annotations

import re
import unicodedata

_NUMBER = r"(\d+(?:\.\d+)?)\s*(cm|m|メートル|センチメートル)?"
_FROM = re.compile(_NUMBER + r"\s*(?:以上|超)$")
_BELOW = re.compile(r"(?:0(?:\.0+)?\s*(?:m|cm)?\s*(?:超|以上)?\s*[~\-]\s*|[~\-])?\s*" + _NUMBER + r"\s*(?:未満|以下)$")  # fmt: skip
_BETWEEN = re.compile(_NUMBER + r"\s*(?:以上|超|から)?\s*[~\-]?\s*" + _NUMBER + r"\s*(?:未満|以下)?$")  # fmt: skip
_DASHES = str.maketrans(dict.fromkeys("〜～‐‑–—−ー", "~"))


def bounds_of(text: str) -> tuple[float, float | None] | None:
    """(least, end) in metres of a class in words, end None where it is open; None: not understood.

    >>> bounds_of("0.3m以上0.5m未満"), bounds_of("５ｍ以上"), bounds_of("30cm未満"), bounds_of("不明")
    ((0.3, 0.5), (5.0, None), (0.0, 0.3), None)
    """
    plain = unicodedata.normalize("NFKC", text)
    plain = (
        plain.replace("センチメートル", "cm").replace("メートル", "m").translate(_DASHES).strip()
    )
    plain = re.sub(r"\s+", "", plain).removesuffix("の区域")
    if found := _FROM.fullmatch(plain):
        return _metres(found[1], found[2], ""), None
    if found := _BELOW.fullmatch(plain):
        return 0.0, _metres(found[1], found[2], "")
    found = _BETWEEN.fullmatch(plain)
    if found is None or not (found[4] or found[2]):
        return None
    low, high = _metres(found[1], found[2], found[4]), _metres(found[3], found[4], found[2])
    return (low, high) if low < high else None


def _metres(number: str, unit: str | None, other: str | None) -> float:
    """A number in its unit, or in that of the other end of the class."""
    return float(number) / (100.0 if (unit or other) == "cm" else 1.0)
