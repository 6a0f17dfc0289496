"""UK Environment Agency 2-D benchmark 1: a tide fills a depression behind a sill, and leaves it full.

Published (SC080035, Néelz & Pender 2013): 700 × 100 m, 10 m cells, n 0.03, level 9.7 → 10.35 → 9.7 m in 20 h,
sill at 10.25 m; the disconnected water must stay at the level of the sill. Reconstructed: the profile
of the ground between the published levels.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Edge, Series
from citymap.flood.validation import Curve, Result, Row, case

SILL, HIGH, LOW = 10.25, 10.35, 9.7


@case("ea_1")
def run() -> Result:
    """Level in the depression at the height of the tide and at the end."""
    dx = 10.0
    x = (np.arange(70) + 0.5) * dx
    profile = np.interp(x, [0, 295, 305, 450, 600, 700], [9.0, SILL, SILL, 9.4, 9.4, 10.6])
    ground = np.tile(profile, (10, 1))
    made = solver.build(ground, dx, manning_n=0.03, depth_m=np.maximum(0, LOW - ground))
    hours = np.array([0.0, 1, 11, 12, 20])
    tide = Series(hours * 3600, np.array([LOW, HIGH, HIGH, LOW, LOW]))
    made.edges = [Edge(k.EDGE_STAGE, 0, np.arange(10), tide)]
    t, levels = [], []
    for hour in np.arange(0.25, 20.01, 0.25):
        solver.advance(made, float(hour) * 3600)
        t.append(float(hour))
        levels.append([float(made.depth64_m()[5, c] + profile[c]) for c in (40, 59)])
    full, end = np.array(levels[t.index(10.75)]), np.array(levels[-1])
    a = made.account()
    rows = [
        Row("ea_1", "level in the depression at high tide, largest error", float(np.abs(full - HIGH).max()), HIGH,
            (0, 0.01), unit="m"),
        Row("ea_1", "level in the depression at 20 h, largest error to the sill", float(np.abs(end - SILL).max()),
            SILL, (0, 0.02), unit="m"),
        Row("ea_1", "error of the volume", abs(a.error) / (a.initial + a.wanted), 0.0, (0, 1e-7)),
    ]  # fmt: skip
    curves = [
        Curve("ea_1", label, t, [row[n] for row in levels], "time (h)", "level (m)")
        for n, label in enumerate(("x = 405 m", "x = 595 m"))
    ]
    return rows, curves
