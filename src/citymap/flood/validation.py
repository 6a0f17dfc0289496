"""Validation of the solver: cases with a known answer, their results, and the expected failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from citymap.flood.solver import Scheme
from citymap.i18n import t
from citymap.model.validation import Row, results
from citymap.registry import Registry

if TYPE_CHECKING:
    from citymap.progress import Progress


__all__ = [
    "CASES",
    "SCHEMES",
    "Curve",
    "Result",
    "Row",
    "case",
    "published",
    "reconstructed",
    "validate",
]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a case's plot."""

    case: str
    label: str
    x: list[float]
    y: list[float]
    x_label: str
    y_label: str


SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
Result = tuple[list[Row], list[Curve]]
CASES: Registry[Callable[[], Result]] = Registry("citymap.flood.cases")


def case(case_id: str) -> Callable[[Callable[[], Result]], Callable[[], Result]]:
    """Decorator that enters a function as a validation case; it returns its rows and curves."""
    return CASES.register(case_id)


def validate(
    only: Iterable[str] = (), *, progress: Progress | None = None
) -> tuple[list[Row], list[Curve]]:
    """Run all cases, or those named, in the order of their files."""
    rows: list[Row] = []
    curves: list[Curve] = []
    for found, drawn in results(CASES.load(), only, progress=progress):
        rows += found
        curves += drawn
    return rows, curves


def reconstructed(case_id: str, lang: str) -> str | None:
    """Which inputs of a case are ours, not published; None where all are."""
    return _text(f"flood.reconstructed.{case_id}", lang)


def published(case_id: str, lang: str) -> str | None:
    """What others have published for a case, with its source, or that we know of no figure."""
    return _text(f"flood.published.{case_id}", lang)


def _text(key: str, lang: str) -> str | None:
    said = t(key, lang)
    return None if said == key else said
