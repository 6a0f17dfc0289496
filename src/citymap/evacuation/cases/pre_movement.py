"""Times before people set out (RiMEA test 5): the drawn curves against their distributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from citymap.evacuation.departure import CURVES
from citymap.evacuation.town import stream
from citymap.evacuation.validation import Row, case

COUNT = 20_000


@case("pre_movement")
def run() -> list[Row]:
    """Kolmogorov–Smirnov distance of each curve; 1.95 / √n is its 0.1 % limit."""
    sigma = 0.8 * np.sqrt(2 / np.pi)
    known: dict[str, tuple[dict[str, float], Callable[[np.ndarray], np.ndarray]]] = {
        "weibull": ({"a": 1.2, "b": 1.7}, lambda t: 1 - np.exp(-1.2 * t**1.7)),
        "rayleigh": ({"mean_h": 0.8}, lambda t: 1 - np.exp(-(t**2) / (2 * sigma**2))),
        "window": ({"from_h": 0.5, "to_h": 1.5}, lambda t: np.clip(t - 0.5, 0, 1)),
    }
    rows = []
    for name, (given, distribution) in known.items():
        hours = CURVES.load()[name](stream(1, 0, f"case {name}").random(COUNT), given)
        distance = float(stats.kstest(hours, distribution).statistic)
        limit = 1.95 / float(np.sqrt(COUNT))
        rows.append(Row("pre_movement", f"distance of {name}", distance, 0.0, (0.0, limit)))
    return rows
