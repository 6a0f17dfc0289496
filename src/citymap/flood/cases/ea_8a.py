"""Like the UK Environment Agency 2-D benchmark 8A: a cloudburst and a burst pipe in a built-up area.

Published: 0.4 × 0.96 km of Glasgow, 2 m cells, 400 mm/h for 3 minutes and a point inflow of up to 5 m³/s. The
terrain is not published: reconstructed as a street grid on a slope with buildings as walls, 4 m cells, 1 h.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Points, Rain, Series
from citymap.flood.validation import Result, Row, case


@case("ea_8a")
def run() -> Result:
    """Water balance, no negative depth, and that the water gathers at the foot of the slope."""
    dx, rows, columns = 4.0, 100, 240
    y, x = np.mgrid[0:rows, 0:columns]
    ground = 30 - x * dx / 60 + 0.02 * np.sin(x / 3) * np.cos(y / 4)
    ground[(y % 20 > 5) & (x % 24 > 5)] = np.nan
    made = solver.build(ground, dx, manning_n=0.03)
    made.rain = Rain(np.array([0.0, 60, 240]), np.array([0, 400e-3 / 3600, 0]))
    flow = Series(np.array([0.0, 1600, 2300, 3000]), np.array([0.0, 0, 5, 0]))
    made.points = [Points(k.DISCHARGE, np.array([2]), np.array([20]), np.ones(1), flow)]
    solver.advance(made, 3600.0)
    a, depth = made.account(), made.depth64_m()
    low = depth[:, -40:].sum() / depth.sum()
    rows_found = [
        Row("ea_8a", "error of the volume", abs(a.error) / a.wanted, 0.0, (0, 1e-7)),
        Row("ea_8a", "least depth", float(depth.min()), 0.0, (0, np.inf), unit="m"),
        Row("ea_8a", "part of the water in the lowest sixth", float(low), "most of it", (0.6, 1.0)),
    ]
    return rows_found, []
