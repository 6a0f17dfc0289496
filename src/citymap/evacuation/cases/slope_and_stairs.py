"""Walking up, down and on stairs (RiMEA tests 2 and 3): Tobler's function and the factor 0.6."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from citymap.evacuation.trial import street, walk
from citymap.evacuation.validation import Row, case, near


@case("slope_and_stairs")
def run() -> list[Row]:
    """Times over 100 m."""
    flat = street(100.0)
    name, rows = "slope_and_stairs", []
    for slope, what, reference in (
        (0.10, "10 % uphill", 100 * np.exp(0.35)),
        (-0.20, "20 % downhill", 100 * np.exp(0.35)),
        (-0.05, "5 % downhill, no faster than level", 100.0),
    ):
        town = replace(flat, rise_m=np.array([100 * slope]))
        time = walk(town, np.zeros(1, int), np.zeros(1), [1]).arrive_s[0]
        rows.append(near(name, what, time, float(reference), 0.01, unit="s"))
    town = replace(flat, stairs=np.array([True]))
    time = walk(town, np.zeros(1, int), np.zeros(1), [1]).arrive_s[0]
    rows.append(near(name, "stairs", time, 100 / 0.6, 0.01, unit="s"))
    return rows
