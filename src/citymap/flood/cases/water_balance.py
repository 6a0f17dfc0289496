"""Rain too slow for the digits of a float32 depth still raises deep water."""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.solver import Rain
from citymap.flood.validation import Result, Row, case


@case("water_balance")
def run() -> Result:
    """1 mm/h for 24 h into a basin 5 m deep."""
    rows = []
    precisions: tuple[tuple[solver.Precision, float], ...] = (("float32", 1e-7), ("float64", 1e-12))
    for precision, band in precisions:
        made = solver.build(np.zeros((30, 30)), 20.0, depth_m=5.0, precision=precision)
        made.rain = Rain(np.zeros(1), np.array([1e-3 / 3600]))
        solver.advance(made, 24 * 3600.0)
        a = made.account()
        error = abs(a.error) / (a.initial + a.wanted)
        rows.append(
            Row("water_balance", f"error of the volume, {precision}", error, 0.0, (0, band))
        )
        rise = (a.stored - a.initial) / (900 * 400)
        rows.append(
            Row(
                "water_balance",
                f"rise of the level, {precision}",
                rise,
                0.024,
                (0.0239999, 0.0240001),
                unit="m",
            )
        )
    return rows, []
