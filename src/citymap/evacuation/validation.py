"""Validation of the evacuation model: component tests in the manner of ISO 20414 and RiMEA."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from citymap.model.validation import Row, results
from citymap.registry import Registry

if TYPE_CHECKING:
    from citymap.progress import Progress


__all__ = ["CASES", "Row", "case", "near", "validate"]
CASES: Registry[Callable[[], list[Row]]] = Registry("citymap.evacuation.cases")


def case(case_id: str) -> Callable[[Callable[[], list[Row]]], Callable[[], list[Row]]]:
    """Decorator that enters a function as a validation case; it returns its rows."""
    return CASES.register(case_id)


def near(
    name: str, measure: str, value: float, reference: float, tolerance: float, *, unit: str = ""
) -> Row:
    """A row whose band is the reference, so much (relative) to either side."""
    half = abs(reference) * tolerance
    band = (reference - half, reference + half)
    return Row(name, measure, float(value), reference, band, unit=unit)


def validate(only: Iterable[str] = (), *, progress: Progress | None = None) -> list[Row]:
    """Run all cases, or those named, in the order of their files."""
    return [row for rows in results(CASES.load(), only, progress=progress) for row in rows]
