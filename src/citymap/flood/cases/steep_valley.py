"""Like Malpasset and Toce: a dam breaks into a steep winding valley with a block of buildings in its way.

The surveyed terrains and gauges of the two are not ours to ship; this valley is reconstructed: 2 km long, falling
1:25 to 1:100, sides of 1:4, a reservoir 15 m deep behind x = 300 m, six buildings at 1.2 km, n 0.033. No exact answer
exists: the reference is the same run on half the cell, and the water of the start. The inertial scheme is run beside
it: its front comes late and its depths at the buildings are wrong.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.solver import Scheme
from citymap.flood.validation import Result, Row, case

STATIONS_M = (700.0, 1100.0, 1700.0)
END_S = 300.0


def _run(dx: float, scheme: Scheme) -> tuple[solver.Solver, list[float], list[float]]:
    columns, rows = round(2000 / dx), round(320 / dx)
    x, y = (np.arange(columns) + 0.5) * dx, (np.arange(rows) + 0.5) * dx
    bed = 60 - np.cumsum(np.interp(x, [0, 900, 2000], [0.04, 0.025, 0.01])) * dx
    axis = 160 + 40 * np.sin(2 * np.pi * x / 900)
    ground = bed[None] + np.abs(y[:, None] - axis[None]) / 4
    for k in range(6):
        west, north = 1200 + 40 * (k % 3), 110 + 60 * (k // 3)
        block = (x > west) & (x < west + 20)
        ground[np.ix_((y > north) & (y < north + 20), block)] = np.nan
    dam = 300.0
    top = float(np.interp(dam, x, bed)) + 15
    depth = np.where(x[None] < dam, np.maximum(0, top - np.nan_to_num(ground, nan=1e3)), 0.0)
    made = solver.build(
        ground, dx, manning_n=0.033, depth_m=depth, precision="float64", scheme=scheme
    )
    solver.advance(made, END_S)
    arrivals, peaks = [], []
    for at in STATIONS_M:
        column = int(at / dx)
        arrivals.append(float(made.peak_arrival[:, column].min()))
        peaks.append(float(made.peak_depth[:, column].max()))
    return made, arrivals, peaks


@case("steep_valley")
def run() -> Result:
    """Arrival and greatest depth at three stations, to those on half the cell."""
    _, arrival, peak = _run(5.0, "hllc")
    rows = []
    for scheme, dx in (("hllc", 10.0), ("inertial", 10.0)):
        made, found, deep = _run(dx, "hllc" if scheme == "hllc" else "inertial")
        a = made.account()
        late = max(abs(t / ref - 1) for t, ref in zip(found, arrival, strict=True))
        wrong = max(abs(d / ref - 1) for d, ref in zip(deep, peak, strict=True))
        outside = scheme == "inertial"
        rows += [
            Row("steep_valley", f"error of the volume ({scheme})", abs(a.error) / a.initial, 0.0, (0, 1e-12)),
            Row("steep_valley", f"least depth ({scheme})", float(made.h.min()), 0.0, (0, 1e9), unit="m"),
            Row("steep_valley", f"arrival, to hllc on half the cell ({scheme})", late, 0.0, (0, 0.15), outside),
            Row("steep_valley", f"greatest depth, to hllc on half the cell ({scheme})", wrong, 0.0, (0, 0.15), outside),
        ]  # fmt: skip
    return rows, []
