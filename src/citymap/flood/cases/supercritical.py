"""Steady supercritical flow with friction over a varying bed (MacDonald et al. 1997; SWASHES 3.2.1).

h(x) = (4/g)^(1/3) (1 − ⅕ exp(−36 (x/1000 − ½)²)), q = 2.5 m²/s, n = 0.04; the bed follows from the full
equations. Water enters without momentum, so the first fifth, where it gathers speed, is not measured.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.cases._channel import channel, inflow_west, open_east
from citymap.flood.validation import SCHEMES, Curve, Result, Row, case

Q, N, LENGTH, DX = 2.5, 0.04, 1000.0, 2.5


@case("supercritical")
def run() -> Result:
    """Mean relative error of depth beyond 200 m."""
    g = solver.GRAVITY
    fine = np.linspace(0, LENGTH, 20001)
    bump = np.exp(-36 * (fine / LENGTH - 0.5) ** 2)
    h = (4 / g) ** (1 / 3) * (1 - 0.2 * bump)
    dh = (4 / g) ** (1 / 3) * 0.2 * bump * (72 * (fine / LENGTH - 0.5) / LENGTH)
    fall = (1 - Q**2 / (g * h**3)) * dh + Q**2 * N**2 / h ** (10 / 3)
    bed = np.concatenate([[0], -np.cumsum(0.5 * (fall[1:] + fall[:-1]) * np.diff(fine))])
    x = (np.arange(int(LENGTH / DX)) + 0.5) * DX
    z, exact = np.interp(x, fine, bed - bed.min()), np.interp(x, fine, h)
    seen = (x > 200) & (x < LENGTH - 20)
    rows, curves = [], [Curve("supercritical", "exact", x.tolist(), exact.tolist(), "x (m)", "depth (m)")]  # fmt: skip
    for scheme in SCHEMES:
        made = channel(z, DX, N, depth_m=exact, scheme=scheme)
        inflow_west(made, Q)
        open_east(made, float(fall[-1]))
        solver.advance(made, 1800.0)
        depth = made.depth64_m()[0]
        error = float(np.mean(np.abs(depth / exact - 1)[seen]))
        outside = scheme == "inertial"
        rows.append(
            Row("supercritical", f"mean relative error of depth ({scheme})", error, 0.0, (0, 0.05), outside)
        )  # fmt: skip
        curves.append(
            Curve("supercritical", scheme, x.tolist(), depth.tolist(), "x (m)", "depth (m)")
        )
    return rows, curves
