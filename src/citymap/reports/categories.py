"""The list of what can be reported: ours, or the city's own."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from citymap.workspace import Workspace

FILE = "report-categories.toml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Strict):
    """A name in Japanese, English and やさしい日本語; what is missing is said in Japanese."""

    ja: str
    en: str = ""
    easy: str = ""

    def in_(self, lang: str) -> str:
        """The name in `ja`, `en` or `easy`."""
        return {"en": self.en, "easy": self.easy}.get(lang, "") or self.ja


class Category(_Strict):
    """One thing that can be reported; `code` is also its Open311 service code."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    title: Title
    icon: str = "dots"
    group: str = "other"
    keywords: tuple[str, ...] = ()
    depth: bool = False
    severity: bool = False
    closes: bool = False
    valid_h: Annotated[float, Field(gt=0, le=8760)] = 24.0
    blur_m: Annotated[float, Field(ge=0, le=50_000)] = 250.0
    half_life_h: Annotated[float, Field(gt=0, le=8760)] = 24.0


class Answer(_Strict):
    """A ready text for the public."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    text: Title


class Catalogue(_Strict):
    """The whole file."""

    category: Annotated[tuple[Category, ...], Field(min_length=1, max_length=40)]
    answer: tuple[Answer, ...] = ()

    def by_code(self) -> dict[str, Category]:
        """The categories by code, in the order of the file."""
        return {category.code: category for category in self.category}

    def title(self, code: str, lang: str) -> str:
        """A category's name; the code itself where the list no longer has it."""
        found = self.by_code().get(code)
        return found.title.in_(lang) if found else code


def _checked(text: str, place: str) -> Catalogue:
    try:
        found = Catalogue.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as e:
        raise BadInputError("bad_categories", place=place, reason=e) from e
    codes = [c.code for c in found.category]
    if len(set(codes)) != len(codes):
        raise BadInputError("bad_categories", place=place, reason="a code stands twice")
    return found


@lru_cache(maxsize=8)
def _own(path: Path, stamp: int) -> Catalogue:
    del stamp
    return _checked(path.read_text(encoding="utf-8-sig"), str(path))


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    text = files("citymap.reports").joinpath("categories.toml").read_text(encoding="utf-8")
    return _checked(text, "categories.toml")


def catalogue(workspace: Workspace | None) -> Catalogue:
    """The list in force.

    Raises:
        BadInputError: the city's own file cannot be used.
    """
    path = workspace.root / FILE if workspace is not None else None
    try:
        stamp = path.stat().st_mtime_ns if path is not None else None
    except OSError:
        stamp = None
    found = _shipped() if path is None or stamp is None else _own(path, stamp)
    _LAST_GOOD[path] = found
    return found


_LAST_GOOD: dict[Path | None, Catalogue] = {}


def in_force(workspace: Workspace) -> Catalogue:
    """The list for those who send and read: a slip in the city's file must not shut the door.

    The last list that could be read, else ours; staff are told of the slip by `catalogue`.
    """
    try:
        return catalogue(workspace)
    except BadInputError:
        return _LAST_GOOD.get(workspace.root / FILE, _shipped())
