"""Water poured on a flat plain spreads evenly and none is lost at the wetting front."""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Points, Series
from citymap.flood.validation import Result, Row, case


@case("spreading")
def run() -> Result:
    """20 m³/s for 10 minutes into the middle of a dry plain; then a rough one."""
    rows = []
    middle = np.array([100], np.int64)
    for name, ground in (
        ("flat", np.zeros((201, 201))),
        ("rough", np.random.default_rng(5).uniform(0, 0.5, (201, 201))),
    ):
        made = solver.build(ground, 5.0, manning_n=0.04)
        source = Series(np.zeros(1), np.array([20.0]))
        made.points = [Points(k.DISCHARGE, middle, middle, np.ones(1), source)]
        solver.advance(made, 600.0)
        a, depth = made.account(), made.depth64_m()
        rows.append(
            Row(
                "spreading", f"error of the volume, {name}", abs(a.error) / a.wanted, 0.0, (0, 1e-7)
            )
        )
        rows.append(
            Row("spreading", f"least depth, {name}", float(depth.min()), 0.0, (0, np.inf), unit="m")
        )
        if name == "flat":
            uneven = max(np.abs(depth - o).max() for o in (depth[::-1], depth[:, ::-1], depth.T))
            rows.append(
                Row(
                    "spreading",
                    "difference to its mirror images",
                    float(uneven),
                    0.0,
                    (0, 1e-5),
                    unit="m",
                )
            )
            wet = depth > 0.05
            along = wet[100].sum() * 0.5
            across = np.diagonal(wet).sum() * 0.5 * np.sqrt(2)
            rows.append(Row("spreading", "reach along the axes ÷ along the diagonal", float(along / across), 1.0,
                            (0.85, 1.15)))  # fmt: skip
    return rows, []
