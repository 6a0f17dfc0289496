"""Rows of the validation cases of a model, and the way their cases are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from citymap.progress import Progress, Quiet

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of a case.

    `band` is the pass band (low, high) of `value`; `reference` is the exact or published figure that the value is
    compared with, in words where it is none. `expected_fail` marks what the model cannot do: there a miss is the
    expected result.
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


def results(
    cases: Mapping[str, Callable[[], R]], only: Iterable[str] = (), *, progress: Progress | None = None
) -> Iterator[R]:  # fmt: skip
    """Run all cases, or those named, in the order given."""
    progress = progress or Quiet()
    wanted = set(only)
    chosen = {n: c for n, c in cases.items() if not wanted or n in wanted}
    for number, (name, run) in enumerate(chosen.items()):
        progress.update(number, len(chosen), name)
        yield run()
    progress.update(len(chosen), len(chosen), "")
