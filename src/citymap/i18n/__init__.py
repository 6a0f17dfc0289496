"""The one message catalogue: every text shown to a person, in Japanese first and English second.

The catalogue is the set of TOML files in `catalogue/`, one per area; each table is a key with one
string per language::

    [error.not_xml]
    ja = "{place}: XML ではありません"
    en = "{place}: not XML"

A key must be unique over all files: a duplicate raises at load.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from urllib.parse import parse_qsl, urlencode

LANGUAGES = ("ja", "en")
DEFAULT_LANGUAGE = "ja"


def _flatten(prefix: str, table: Mapping[str, object]) -> Iterable[tuple[str, dict[str, str]]]:
    if table and all(isinstance(v, str) for v in table.values()):
        yield prefix, {k: str(v) for k, v in table.items()}
        return
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(f"{prefix}.{key}" if prefix else key, value)


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """All messages as `{key: {language: text}}`.

    Raises:
        ValueError: a key stands in two files.
    """
    messages: dict[str, dict[str, str]] = {}
    for entry in sorted(files(__name__).joinpath("catalogue").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        for key, texts in _flatten("", tomllib.loads(entry.read_text(encoding="utf-8"))):
            if key in messages:
                raise ValueError(f"message key {key} stands twice (again in {entry.name})")
            messages[key] = texts
    return messages


_own: dict[str, dict[str, str]] = {}  # a city's wording, put in force at start by `city_messages`


def override(texts: Mapping[str, Mapping[str, str]]) -> None:
    """Put a city's own wording in force for this process; an empty mapping takes it back."""
    _own.clear()
    _own.update({key: dict(by_language) for key, by_language in texts.items()})


def own_wording(area: str) -> dict[str, dict[str, str]]:
    """The city's own wording of one area, `{key without the area: {language: text}}`."""
    start = f"{area}."
    return {key[len(start) :]: dict(v) for key, v in _own.items() if key.startswith(start)}


def t(key: str, lang: str = DEFAULT_LANGUAGE, /, **values: object) -> str:
    """The text of `key` in `lang`, with `{names}` filled in; falls back to English, then the key."""
    texts = catalogue().get(key)
    if texts is None:
        return key
    text = (
        _own.get(key, {}).get(lang)
        or texts.get(lang)
        or texts.get("en")
        or texts.get(DEFAULT_LANGUAGE)
        or key
    )
    if not values:
        return text
    return text.format_map(_Keep({k: _said(v, lang) for k, v in values.items()}))


@dataclass(frozen=True)
class Word:
    """A value of a text that is itself a text of the catalogue, said in the language of the whole.

    A tuple of them is a list: they are said one after the other.
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return t(self.key, "en", **self.values)


def _said(value: object, lang: str) -> object:
    if isinstance(value, tuple):
        return ("、" if lang == "ja" else ", ").join(str(_said(v, lang)) for v in value)
    return t(value.key, lang, **value.values) if isinstance(value, Word) else value


def note(key: str, **values: object) -> str:
    """A message that is worded only where it is read: its key and values as one line of text."""
    return f"{key}?{urlencode(values)}" if values else key


def worded(line: str, lang: str = DEFAULT_LANGUAGE) -> str:
    """What a `note`, or a step of `job.step`, says in `lang`; any other text stays as it is."""
    key, _, values = line.partition("?")
    if key in catalogue():
        return t(key, lang, **dict(parse_qsl(values)))
    step = f"job.step.{line}"
    return t(step, lang) if step in catalogue() else line


class _Keep(dict[str, object]):
    """Leaves an unknown `{name}` as it stands instead of raising in the middle of a message."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
