"""Like the UK Environment Agency 2-D benchmark 5: a dam fails into a long valley.

Published: 0.8 × 17 km valley, 50 m cells, n 0.04, inflow along about 260 m, peak 3000 m³/s from 600 to 1200 s, then
back to nothing, 30 h. Reconstructed: how the inflow falls (to nothing at 6000 s) and the whole terrain, which is not
published as text (a valley of 1:100 falling to 1:1000 with sides of 1:10); 2.5 h. The flow is near-critical at the
top, where the inertial scheme is not to be trusted; the reference is the same run on half the cell.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Points, Series
from citymap.flood.validation import Result, Row, case


def _run(dx: float) -> tuple[solver.Solver, float, float]:
    columns, rows = round(17_000 / dx), round(800 / dx)
    x, y = (np.arange(columns) + 0.5) * dx, (np.arange(rows) + 0.5) * dx - 400
    fall = np.interp(x, [0, 6000, 17_000], [0.01, 0.004, 0.001])
    bed = 100 - np.cumsum(fall) * dx
    ground = bed[None] + np.abs(y)[:, None] / 10
    made = solver.build(ground, dx, manning_n=0.04, headroom_m=60)
    side = round(260 / dx)
    j = np.arange(rows // 2 - side // 2, rows // 2 + side // 2)
    flow = Series(np.array([0.0, 600, 1200, 6000]), np.array([0.0, 3000, 3000, 0]))
    made.points = [Points(k.DISCHARGE, j, np.zeros_like(j), np.full(j.size, 1 / j.size), flow)]
    solver.advance(made, 2.5 * 3600)
    column = round(10_000 / dx)
    peak = float(
        (made.peak_depth + ground)[:, column][made.peak_depth[:, column] > 0.5].max() - bed[column]
    )
    arrival = float(made.peak_arrival[:, column].min())
    return made, peak, arrival


@case("ea_5")
def run() -> Result:
    """Peak depth and arrival 10 km down the valley."""
    coarse, peak, arrival = _run(50.0)
    _, fine_peak, fine_arrival = _run(25.0)
    a = coarse.account()
    rows = [
        Row("ea_5", "error of the volume", abs(a.error) / a.wanted, 0.0, (0, 1e-7)),
        Row("ea_5", "peak level at 10 km, to that on half the cell", abs(peak - fine_peak), 0.0, (0, 0.5), unit="m"),
        Row("ea_5", "arrival at 10 km, to that on half the cell", arrival / fine_arrival, 1.0, (0.9, 1.1)),
    ]  # fmt: skip
    return rows, []
