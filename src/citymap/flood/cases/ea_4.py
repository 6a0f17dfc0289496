"""UK Environment Agency 2-D benchmark 4: a flood spreads over a wide flat plain from a breach.

Published: 1000 × 2000 m, flat, n 0.05, inflow on 20 m in the middle of the west side, peak 20 m³/s, time base about 6 h,
5 h. Reconstructed: the trapezoid of the inflow; here 10 m cells (published 5 m) and 3 h. The reference is the
same run on 20 m cells and symmetry.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Points, Series
from citymap.flood.validation import Curve, Result, Row, case


def _run(dx: float) -> tuple[solver.Solver, list[float], list[float]]:
    rows, columns = round(2000 / dx), round(1000 / dx)
    made = solver.build(np.zeros((rows, columns)), dx, manning_n=0.05)
    middle = (
        np.arange(rows // 2 - round(10 / dx), rows // 2 + round(10 / dx))
        if dx <= 10
        else np.array([rows // 2 - 1, rows // 2])
    )
    flow = Series(np.array([0.0, 3600, 14400, 18000]), np.array([0.0, 20, 20, 0]))
    part = np.full(middle.size, 1 / middle.size)
    made.points = [Points(k.DISCHARGE, middle, np.zeros_like(middle), part, flow)]
    reach = []
    for hour in (1.0, 3.0):
        solver.advance(made, hour * 3600)
        wet = made.depth64_m()[rows // 2] > 0.05
        reach.append(float(wet.sum() * dx))
    return made, reach, made.depth64_m()[rows // 2].tolist()


@case("ea_4")
def run() -> Result:
    """How far 5 cm of water reach after 1 h and 3 h."""
    fine, reach, along = _run(10.0)
    _, coarse, _ = _run(20.0)
    depth, a = fine.depth64_m(), fine.account()
    rows = [
        Row("ea_4", "error of the volume", abs(a.error) / a.wanted, 0.0, (0, 1e-7)),
        Row("ea_4", "difference to the mirror image", float(np.abs(depth - depth[::-1]).max()), 0.0, (0, 1e-5), unit="m"),
        Row("ea_4", "reach after 1 h, to that on 20 m cells", reach[0] / coarse[0], 1.0, (0.9, 1.1)),
        Row("ea_4", "reach after 3 h, to that on 20 m cells", reach[1] / coarse[1], 1.0, (0.9, 1.1)),
    ]  # fmt: skip
    x = [(n + 0.5) * 10.0 for n in range(len(along))]
    return rows, [Curve("ea_4", "3 h, along the axis", x, along, "x (m)", "depth (m)")]
