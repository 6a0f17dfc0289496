"""Validation of the evacuation model: component tests in the manner of ISO 20414 and RiMEA."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from citymap.progress import Progress, Quiet
from citymap.registry import Registry


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of a case: our `value`, what it is compared with, and the band that passes.

    `expected_fail` marks what this model cannot do: there a miss is the expected result.
    """

    case: str
    measure: str
    value: float
    reference: float | str | None
    band: tuple[float, float]
    expected_fail: bool = False
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value lies in the band (a value that is no number does not)."""
        return self.band[0] <= self.value <= self.band[1]

    @property
    def as_expected(self) -> bool:
        """A pass, or a failure that was foretold."""
        return self.passed != self.expected_fail

    def as_dict(self) -> dict[str, Any]:
        """The row for machines."""
        return {
            "case": self.case, "measure": self.measure, "value": self.value, "unit": self.unit,
            "reference": self.reference, "band": list(self.band), "pass": self.passed,
            "expected_fail": self.expected_fail,
        }  # fmt: skip


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
    progress = progress or Quiet()
    wanted = list(only)
    cases = {n: c for n, c in CASES.load().items() if not wanted or n in wanted}
    rows: list[Row] = []
    for number, (name, run) in enumerate(cases.items()):
        progress.update(number, len(cases), name)
        rows += run()
    progress.update(len(cases), len(cases), "")
    return rows
