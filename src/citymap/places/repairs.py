"""Faults of published lists that have one sure remedy, each mended and told."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from citymap import crs
from citymap.places.kinds import key

CODE_COLUMNS = (
    "全国地方公共団体コード", "所在地_全国地方公共団体コード", "市区町村コード", "都道府県コード又は市区町村コード",
)  # fmt: skip
PHONE_COLUMNS = ("電話番号", "FAX番号", "telephoneNumber")
POST_COLUMNS = ("郵便番号",)
TOWN_COLUMNS = ("町字ID",)
_NUMBERS = (*CODE_COLUMNS, *PHONE_COLUMNS, *POST_COLUMNS, *TOWN_COLUMNS, "内線番号", "標高")
_PREFECTURES = range(1, 48)


@dataclass(frozen=True, slots=True)
class Repair:
    """What was mended in a row: the reason (a catalogue key `repair.<reason>`), before and after."""

    file: str
    line: int
    id: str
    reason: str
    before: str
    after: str


def narrow(text: str) -> str:
    """Full-width digits and signs as half-width ones."""
    return unicodedata.normalize("NFKC", text).replace("−", "-").replace("‐", "-").strip()


def municipality_code(text: str, city_code: str = "") -> str:
    """A municipality code with the leading zero that a spreadsheet took; others as they are.

    A code has 6 digits with its check digit, 5 without, and begins with a prefecture, 01 to 47:
    `92011` has lost its zero; `11002` could be both, and is restored only for that very city.
    """
    if not text.isdecimal() or len(text) not in (4, 5):
        return text
    with_zero = f"0{text}"
    if len(text) == 4:
        return with_zero
    if crs.check_digit(with_zero[:5]) != with_zero:
        return text
    own = bool(city_code) and crs.check_digit(city_code) == with_zero
    return with_zero if own or int(text[:2]) not in _PREFECTURES else text


def _phone(text: str) -> str:
    digits = re.sub(r"\D", "", text)
    plain = re.fullmatch(r"[1-9][\d()-]*", text)
    return f"0{text}" if plain and len(digits) in (9, 10) and not text.startswith("+") else text


def _postal(text: str) -> str:
    return f"0{text}" if text.isdecimal() and len(text) == 6 else text


def _town(text: str) -> str:
    return text.zfill(7) if text.isdecimal() and 4 <= len(text) < 7 else text


_ZEROS = ((PHONE_COLUMNS, _phone), (POST_COLUMNS, _postal), (TOWN_COLUMNS, _town))


def mended(
    values: Mapping[str, str], city_code: str = ""
) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """A row with narrow digits and its lost zeros back; and (reason, before, after) of each change."""
    out = dict(values)
    told: list[tuple[str, str, str]] = []

    def change(column: str, reason: str, after: str) -> None:
        told.append((reason, f"{column}={out[column]}", after))
        out[column] = after

    for column in map(key, _NUMBERS):
        text = out.get(column, "")
        if text and narrow(text) != text and re.fullmatch(r"[\d()+\-.]+", narrow(text)):
            change(column, "full_width", narrow(text))
    codes = (CODE_COLUMNS, lambda text: municipality_code(text, city_code))
    for columns, restore in (codes, *_ZEROS):
        for column in map(key, columns):
            text = out.get(column, "")
            if text and restore(text) != text:
                change(column, "leading_zero", restore(text))
    return out, told


def padded_ids(ids: Iterable[str]) -> int | None:
    """The width that ids had before a spreadsheet took their zeros; None where nothing tells.

    Only a list that still holds some zero-padded ids of one width says so.
    """
    numbers = [i for i in ids if i.isdecimal()]
    padded = {len(i) for i in numbers if i.startswith("0") and len(i) > 1}
    if len(padded) != 1:
        return None
    width = padded.pop()
    return width if any(len(i) < width for i in numbers) else None
