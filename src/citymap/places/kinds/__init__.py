"""Kinds of place lists: one file per kind, recognised by its column names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from citymap.model.columns import Column
from citymap.registry import Registry


def key(text: str) -> str:
    """A column name for comparing: NFKC without spaces."""
    return "".join(unicodedata.normalize("NFKC", text).split())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of list.

    `table` is the Parquet file below `places/`; `evidence` gives a number from a header (0 = not
    this kind; the highest wins); `extra` are its columns beyond the common ones; `values` fills
    them from a row.
    """

    table: str
    evidence: Callable[[frozenset[str]], int]
    extra: tuple[Column, ...]
    values: Callable[[Mapping[str, str]], dict[str, object]]


KINDS: Registry[Kind] = Registry("citymap.places.kinds")

_S = pa.string()
COMMON = (
    Column("place_id", _S, "id in the list, else its line", nullable=False),
    Column("kind", _S, "kind of list it came from", nullable=False),
    Column("name", _S, "name", nullable=False),
    Column("name_kana", _S, "reading"),
    Column("name_en", _S, "name in English"),
    Column("address", _S, "address as one line"),
    Column("lon", pa.float64(), "longitude", "deg", nullable=False),
    Column("lat", pa.float64(), "latitude", "deg", nullable=False),
    Column("source_file", _S, "file", nullable=False),
    Column("line", pa.int32(), "line in the file", nullable=False),
    Column("raw", _S, "the row as it stood, JSON", nullable=False),
)

NAMES: dict[str, tuple[str, ...]] = {
    "place_id": ("ID", "共通ID", "施設ID", "NO", "identification", "#"),
    "name": ("名称", "施設・場所名", "施設名", "避難所名", "name", "P20_002", "P04_002"),
    "name_kana": ("名称_カナ", "名称カナ", "施設・場所名_カナ", "fullNameInKana"),
    "name_en": ("名称_英字", "名称_英語", "fullNameInRomaji"),
    "address": ("所在地_連結表記", "住所", "所在地", "address", "P20_003", "P04_003"),
    "lon": ("経度", "longitude", "lon", "lng"),
    "lat": ("緯度", "latitude", "lat"),
    "lat_lon": ("location", "緯度経度"),
}


def pick(row: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Value of the first column of these names that is filled."""
    return next((v for n in names if (v := row.get(key(n), ""))), None)


def flag(text: str | None) -> bool | None:
    """1, ○ → True; 0, × → False; blank or anything conditional → None (not designated)."""
    mark = unicodedata.normalize("NFKC", text or "").strip().lower()
    if mark in ("1", "○", "〇", "◯", "●", "true", "有", "該当", "指定"):
        return True
    return False if mark in ("0", "×", "✕", "x", "false", "無", "非該当") else None
