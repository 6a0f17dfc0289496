"""Steady subcritical flow with friction over a varying bed (MacDonald et al. 1997, long channel).

h(x) = (4/g)^(1/3) (1 + ½ exp(−16 (x/1000 − ½)²)), q = 2 m²/s, n = 0.033; the bed follows from the full
equations. Near-critical at both ends, so the neglected convective acceleration shows.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.cases._channel import channel, inflow_west, level_east
from citymap.flood.validation import Curve, Result, Row, case

Q, N, LENGTH = 2.0, 0.033, 1000.0


@case("macdonald")
def run() -> Result:
    """Mean relative error of depth at 5 m cells."""
    g, dx = solver.GRAVITY, 5.0
    fine = np.linspace(0, LENGTH, 20001)
    bump = np.exp(-16 * (fine / LENGTH - 0.5) ** 2)
    h = (4 / g) ** (1 / 3) * (1 + 0.5 * bump)
    dh = (4 / g) ** (1 / 3) * 0.5 * bump * (-32 * (fine / LENGTH - 0.5) / LENGTH)
    fall = (1 - Q**2 / (g * h**3)) * dh + Q**2 * N**2 / h ** (10 / 3)
    bed = np.concatenate([[0], -np.cumsum(0.5 * (fall[1:] + fall[:-1]) * np.diff(fine))])
    x = (np.arange(int(LENGTH / dx)) + 0.5) * dx
    z, exact = np.interp(x, fine, bed - bed.min()), np.interp(x, fine, h)
    made = channel(z, dx, N, depth_m=exact)
    inflow_west(made, Q)
    level_east(made, float(np.interp(LENGTH, fine, bed - bed.min()) + h[-1]))
    solver.advance(made, 2 * 3600.0)
    depth = made.depth64_m()[0]
    error = float(np.mean(np.abs(depth / exact - 1)))
    rows = [Row("macdonald", "mean relative error of depth", error, 0.0, (0, 0.05))]
    curves = [
        Curve("macdonald", "citymap", x.tolist(), (z + depth).tolist(), "x (m)", "level (m)"),
        Curve("macdonald", "exact", x.tolist(), (z + exact).tolist(), "x (m)", "level (m)"),
        Curve("macdonald", "bed", x.tolist(), z.tolist(), "x (m)", "level (m)"),
    ]
    return rows, curves
