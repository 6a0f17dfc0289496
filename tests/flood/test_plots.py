"""The plots of the validation: round numbers along the axes."""

from __future__ import annotations

import pytest

from citymap.flood.plots import _ticks, svg
from citymap.flood.validation import Curve


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(-497.5, 497.5, [-400, -200, 0, 200, 400]), (9.39e-50, 5.76, [0, 2, 4]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1])],
)  # fmt: skip
def test_the_axes_have_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert _ticks(low, high) == pytest.approx(ticks)


def test_a_level_line_can_be_drawn() -> None:
    assert "<polyline" in svg("still", [Curve("still", "level", [0.0, 1.0], [2.0, 2.0], "x", "m")])
