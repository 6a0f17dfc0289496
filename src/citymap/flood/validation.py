"""Validation of the solver: cases with a known answer, their results, and the expected failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from citymap.progress import Progress, Quiet
from citymap.registry import Registry


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of a case.

    `band` is the pass band (low, high) of `value`; `reference` is the exact or published figure that
    the value is compared with, in words where it is none. `expected_fail` marks what this scheme
    cannot do: there a miss is the expected result.
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


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a case's plot."""

    case: str
    label: str
    x: list[float]
    y: list[float]
    x_label: str
    y_label: str


Result = tuple[list[Row], list[Curve]]
CASES: Registry[Callable[[], Result]] = Registry("citymap.flood.cases")


def case(case_id: str) -> Callable[[Callable[[], Result]], Callable[[], Result]]:
    """Decorator that enters a function as a validation case; it returns its rows and curves."""
    return CASES.register(case_id)


def validate(
    only: Iterable[str] = (), *, progress: Progress | None = None
) -> tuple[list[Row], list[Curve]]:
    """Run all cases, or those named, in the order of their files."""
    progress = progress or Quiet()
    wanted = list(only)
    cases = {n: c for n, c in CASES.load().items() if not wanted or n in wanted}
    rows: list[Row] = []
    curves: list[Curve] = []
    for number, (name, run) in enumerate(cases.items()):
        progress.update(number, len(cases), name)
        found, drawn = run()
        rows += found
        curves += drawn
    progress.update(len(cases), len(cases), "")
    return rows, curves
