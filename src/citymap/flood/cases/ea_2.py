"""UK Environment Agency 2-D benchmark 2: a small flood fills a chain of shallow depressions.

Published: 2000 × 2000 m, 20 m cells, 4 × 4 depressions 0.5 m deep on a plain of 1:1500 (north to south)
and 1:3000 (west to east), n 0.03, inflow on 100 m at the north-west corner, peak 20 m³/s, 48 h.
Reconstructed: the sinusoids of the ground and the trapezoid of the inflow (85 min). No exact answer exists; the
same run on half the cell is the reference.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Points, Series
from citymap.flood.validation import Result, Row, case

HOURS = 12.0  # of the published 48: the water stands still after about ten


def _run(dx: float) -> tuple[solver.Solver, np.ndarray]:
    n = round(2000 / dx)
    y, x = np.mgrid[0:n, 0:n]
    east, south = (x + 0.5) * dx, (y + 0.5) * dx
    waves = -0.25 * (
        np.cos(2 * np.pi * (east / 500 - 0.5)) + np.cos(2 * np.pi * (south / 500 - 0.5))
    )
    ground = 10 - south / 1500 - east / 3000 + waves
    made = solver.build(ground, dx, manning_n=0.03)
    rows = np.arange(round(100 / dx))
    flow = Series(np.array([0.0, 300, 3900, 5100]), np.array([0.0, 20, 20, 0]))
    made.points = [
        Points(k.DISCHARGE, rows, np.zeros_like(rows), np.full(rows.size, 1 / rows.size), flow)
    ]
    solver.advance(made, HOURS * 3600)
    centres = ((np.arange(4) + 0.5) * 500 / dx).astype(int)
    return made, made.depth64_m()[np.ix_(centres, centres)]


@case("ea_2")
def run() -> Result:
    """Which of the sixteen depressions hold water, how much, and that none is lost."""
    coarse, depths = _run(20.0)
    _, reference = _run(10.0)
    a = coarse.account()
    filled = (depths > 0.05) == (reference > 0.05)
    rows = [
        Row("ea_2", "error of the volume", abs(a.error) / a.wanted, 0.0, (0, 1e-7)),
        Row("ea_2", "depressions filled as with half the cell, of 16", float(filled.sum()), 16.0, (15, 16)),
        Row("ea_2", "mean difference of depth in them to half the cell", float(np.abs(depths - reference).mean()),
            0.0, (0, 0.03), unit="m"),
    ]  # fmt: skip
    return rows, []
