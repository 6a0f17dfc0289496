"""Still water over an irregular bed with islands stays still."""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.validation import Result, Row, case


@case("lake_at_rest")
def run() -> Result:
    """One hour; the surface must not move (float32 counts: not at all)."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:80, 0:120]
    ground = 10 + np.sin(x / 7) * np.cos(y / 11) + rng.uniform(0, 0.4, x.shape)
    rows = []
    precisions: tuple[solver.Precision, ...] = ("float32", "float64")
    for precision in precisions:
        lake = solver.build(ground, 5.0, depth_m=np.maximum(0, 10.6 - ground), precision=precision)
        wet = lake.depth64_m() > 0
        before = lake.depth64_m() + lake.ground_m()
        solver.advance(lake, 3600.0)
        moved = np.abs(lake.depth64_m() + lake.ground_m() - before)[wet]
        rows.append(
            Row("lake_at_rest", f"largest move of the surface, {precision}", float(moved.max()), 0.0,
                (0, 1e-12), unit="m")
        )  # fmt: skip
    return rows, []
