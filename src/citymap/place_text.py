"""One spelling for names and addresses, so that every way of typing one finds it.

Widths (NFKC), kana, case, hyphens, 大字/字, ヶ/ケ/が, kanji numbers before 丁目/番/号, and the
long form 「1丁目2番3号」 against 「1-2-3」 all fold together.
"""

from __future__ import annotations

import re
import unicodedata

# One pass over the letters: katakana to hiragana, every hyphen to one, no white space.
_LETTERS: dict[int, int | str | None] = {c: c - 0x60 for c in range(0x30A1, 0x30F7)}
_LETTERS |= dict.fromkeys(map(ord, "‐‑‒–—―−﹣"), "-")
_LETTERS |= {c: None for c in range(0x3001) if chr(c).isspace()}
_DIGITS = {
    "〇": 0,
    "零": 0,
    "一": 1,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_KANJI = "".join(_DIGITS) + "".join(_UNITS)
_KANJI_NUMBER = re.compile(rf"([{_KANJI}]+)(?=(丁目|番地|番|号|条|線|区))")
_DIGIT_LONG_VOWEL = re.compile(r"(?<=\d)[ーの](?=\d)")
_KE = re.compile(r"(?<=[\u4e00-\u9fff])[けがゖゕか](?=[\u4e00-\u9fff])")
_BLOCK = re.compile(r"(\d+)(?:丁目|番地の?|番|号)")
_HYPHENS = re.compile(r"-{2,}")
_AZA = re.compile(r"大字|(?<=[町村])字")


def kanji_number(text: str) -> int:
    """The value of a kanji number: 二十三 → 23, 一〇 → 10."""
    if not any(c in _UNITS for c in text):
        return int("".join(str(_DIGITS[c]) for c in text))
    total, digit = 0, 0
    for c in text:
        if c in _DIGITS:
            digit = _DIGITS[c]
        else:
            total += (digit or 1) * _UNITS[c]
            digit = 0
    return total + digit


def folded(text: str) -> str:
    """The search spelling of a text.

    >>> folded("本町一丁目２番３号"), folded("本町１－２－３")
    ('本町1-2-3', '本町1-2-3')
    """
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    if not text.isascii():
        text = _KANJI_NUMBER.sub(_numbered, text)
        if "字" in text:
            text = _AZA.sub("", text)
        text = _BLOCK.sub(r"\1-", text)
        text = _DIGIT_LONG_VOWEL.sub("-", text)
    if "--" in text:
        text = _HYPHENS.sub("-", text)
    text = text.rstrip("-")
    return text if text.isascii() else _KE.sub("が", text)


def _numbered(found: re.Match[str]) -> str:
    return str(kanji_number(found.group(1)))


def query_words(query: str) -> list[str]:
    """The folded words of a query, in order."""
    words = [folded(word) for word in unicodedata.normalize("NFKC", query).split()]
    return [word for word in words if word]
