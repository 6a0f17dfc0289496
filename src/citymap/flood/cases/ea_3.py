"""Like the UK Environment Agency 2-D benchmark 3: a wave carries water over a small obstruction by its momentum.

Published: 300 × 100 m, slope 1:200 into two depressions (x = 150 and 250 m) with an obstruction between, an inflow whose
volume just fills the first, 15 minutes; some of the water must pass. The reference is HLLC on half the cell. Reconstructed: n 0.01, 5 m cells, the depth of
the depressions (1 m), the height of the obstruction (0.25 m above the rim) and the triangle of the inflow.
"""

from __future__ import annotations

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Points, Scheme, Series
from citymap.flood.validation import SCHEMES, Result, Row, case

DX = 5.0


def _run(scheme: Scheme, dx: float = DX) -> tuple[float, float]:
    """The part of the water that ends up behind the obstruction, and the error of the volume."""
    x = (np.arange(round(300 / dx)) + 0.5) * dx
    bed = np.interp(x, [0, 100, 150, 200, 250, 300], [1.75, 1.25, 0.0, 1.25, 0.0, 1.75])
    top = x[(x > 150) & (x < 250)][np.argmax(bed[(x > 150) & (x < 250)])]
    sill = float(bed[x == top][0])
    made = solver.build(
        np.repeat(bed[None], round(100 / dx), axis=0),
        dx,
        manning_n=0.01,
        precision="float64",
        scheme=scheme,
    )
    volume = float(np.maximum(0, sill - bed)[x < top].sum()) * dx * 100.0
    end = 60.0
    j = np.arange(round(100 / dx))
    flow = Series(np.array([0.0, end / 2, end]), np.array([0.0, 2 * volume / end, 0.0]))
    made.points = [Points(k.DISCHARGE, j, np.zeros_like(j), np.full(j.size, 1 / j.size), flow)]
    solver.advance(made, 900.0)
    depth = made.depth64_m()
    a = made.account()
    return float(depth[:, x > top].sum() / depth.sum()), abs(a.error) / a.wanted


@case("ea_3")
def run() -> Result:
    """The part of the water that passed the obstruction."""
    rows = []
    fine, _ = _run("hllc", DX / 2)
    for scheme in SCHEMES:
        share, error = _run(scheme)
        outside = scheme == "inertial"
        rows += [
            Row("ea_3", f"part that passed the obstruction, to hllc on half the cell ({scheme})", share - fine, 0.0, (-0.1, 0.1), outside),
            Row("ea_3", f"error of the volume ({scheme})", error, 0.0, (0, 1e-12)),
        ]  # fmt: skip
    return rows, []
