"""landlab's OverlandFlow on problem A, for `flood.py`: runs in an environment of its own.

flood_landlab.py GROUND.npy CELL_M SECONDS OUT.npy [DEPTH.npy]: with a depth there is no inflow (fully wet).
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from landlab import RasterModelGrid
from landlab.components import OverlandFlow


def hydrograph(t: float) -> float:
    """m³/s: a triangle of one hour from 50 to 1000."""
    return 50 + 950 * max(0.0, 1 - abs(t - 1800) / 1800)


def main() -> None:
    """Step with landlab's own stable time step; count its inner steps."""
    ground, cell, end = np.load(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    n = ground.shape[0]
    grid = RasterModelGrid((n + 2, n + 2), xy_spacing=cell)
    grid.add_field("topographic__elevation", np.pad(ground, 1, mode="edge").ravel(), at="node")
    h = grid.add_zeros("surface_water__depth", at="node")
    grid.set_closed_boundaries_at_grid_edges(True, True, True, True)
    wet = len(sys.argv) > 5
    flow = OverlandFlow(
        grid,
        mannings_n=0.05,
        alpha=0.5,
        theta=0.7,
        h_init=1e-5,
        steep_slopes=False,
        rainfall_intensity=0.0,
    )
    h[:] = np.pad(np.load(sys.argv[5]), 1, mode="edge").ravel() if wet else 1e-5
    row, column = int(0.95 * n), int((0.5 + 0.12 * np.sin(2 * np.pi * 0.95 / 0.6)) * n)
    mask = np.zeros((n + 2, n + 2), bool)
    mask[1:-1, 1:-1][row - 10 : row + 10, column - 10 : column + 10] = True
    source = np.flatnonzero(mask.ravel())
    area = source.size * cell**2
    own_step, calls = flow.calc_time_step, [0]

    def counted() -> float:
        calls[0] += 1
        return float(own_step())

    flow.calc_time_step = counted
    t, outer, volume = 0.0, 0, 0.0
    begun = time.perf_counter()
    busy = time.process_time()
    while t < end:
        flow.dt = None
        dt = min(flow.calc_time_step(), end - t, 10.0)
        asked = 1
        if not wet:
            q = hydrograph(t + 0.5 * dt)
            h[source] += q * dt / area
            shorter = 0.9999999 * flow.calc_time_step()
            asked = 2
            if shorter < dt:
                h[source] -= q * (dt - shorter) / area
                dt = shorter
            volume += q * dt
        flow.run_one_step(dt=dt)
        t += dt
        outer += asked
    spent, cpu = time.perf_counter() - begun, time.process_time() - busy
    steps = calls[0] - outer
    np.save(sys.argv[4], h.reshape(n + 2, n + 2)[1:-1, 1:-1])
    print(
        json.dumps(
            {"s": spent, "cpu_s": cpu, "steps": steps, "m_updates_s": n * n * steps / cpu / 1e6}
        )
    )


if __name__ == "__main__":
    main()
