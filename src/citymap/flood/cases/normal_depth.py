"""Steady uniform flow on a slope runs at Manning's normal depth."""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.cases._channel import channel, inflow_west, open_east
from citymap.flood.validation import Result, Row, case


@case("normal_depth")
def run() -> Result:
    """h = (q n / √S)^(3/5) in the middle of a 2 km channel."""
    rows = []
    for q, n, slope in ((1.0, 0.03, 1e-3), (4.0, 0.05, 3e-4)):
        dx, columns = 20.0, 100
        made = channel((columns - np.arange(columns)) * dx * slope, dx, n)
        inflow_west(made, q)
        open_east(made, slope)
        solver.advance(made, 6 * 3600.0)
        normal = (q * n / np.sqrt(slope)) ** 0.6
        error = float(np.abs(made.depth64_m()[0, 20:80] / normal - 1).max())
        rows.append(
            Row(
                "normal_depth",
                f"relative error, q = {q:g} m²/s, S = {slope:g}",
                error,
                0.0,
                (0, 1e-3),
            )
        )
    return rows, []
