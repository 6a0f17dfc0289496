"""A city's own wording: `messages.toml` in the city folder, checked against the catalogue."""

from __future__ import annotations

import string
import tomllib
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from citymap import i18n
from citymap.errors import BadInputError
from citymap.workspace import Workspace

FILE_NAME = "messages.toml"


def placeholders(text: str) -> set[str]:
    """The `{names}` of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def read(path: Path) -> dict[str, dict[str, str]]:
    """The wording of a file in the format of the catalogue; one language of a key is enough.

    Raises:
        BadInputError: not TOML, a key or language that does not exist, or a `{name}` that nobody fills.
    """
    try:
        found = dict(i18n._flatten("", tomllib.loads(path.read_text(encoding="utf-8-sig"))))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadInputError("bad_messages", place=str(path), reason=e) from e
    known = i18n.catalogue()
    for key, texts in found.items():
        if key not in known:
            nearest = get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise BadInputError("unknown_message", place=str(path), key=key, suggestion=nearest)
        for lang, text in texts.items():
            try:
                wrong = lang not in i18n.LANGUAGES or placeholders(text) - placeholders(
                    known[key]["ja"]
                )
            except ValueError as e:
                raise BadInputError("bad_messages", place=str(path), reason=f"{key}: {e}") from e
            if wrong:
                raise BadInputError("bad_messages", place=str(path), reason=f"{key}: {lang}")
    return found


@lru_cache(maxsize=8)
def _read(path: Path, _stamp: int) -> dict[str, dict[str, str]]:
    return read(path)


def use(workspace: Workspace) -> None:
    """Put the wording of this city in force; without a file, the catalogue's.

    Raises:
        BadInputError: the file is wrong (see `read`).
    """
    path = workspace.root / FILE_NAME
    i18n.override(_read(path, path.stat().st_mtime_ns) if path.is_file() else {})
