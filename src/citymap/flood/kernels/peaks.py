"""Statistics of a run: maximum depth, arrival, duration, depth × velocity."""

from __future__ import annotations

import numpy as np
from numba import njit

from citymap.flood.kernels.counts import type_of
from citymap.flood.kernels.tiles import BAND


@njit(cache=True, error_model="numpy", nogil=True)
def peaks(
    now, since, h, swell, qx, qy, band_run, run_low, run_high, unit, arrival_m, duration_m, depth, arrival,
    duration, dv,
):  # fmt: skip
    """Keep the maximum depth, first arrival (s), time above `duration_m` (s) and depth × velocity."""
    half = type_of(0.5, qx[0, 0])
    porous = swell.size > 1
    rows = h.shape[0]
    for j in range(rows):
        band = j // BAND
        for r in range(band_run[band], band_run[band + 1]):
            lo, hi = run_low[r], run_high[r]
            hj, qw, qe = h[j, lo:hi], qx[j, lo:hi], qx[j, lo + 1 : hi + 1]
            qn, qs = qy[j, lo:hi], qy[j + 1, lo:hi]
            pd, pa, pt, pv = depth[j, lo:hi], arrival[j, lo:hi], duration[j, lo:hi], dv[j, lo:hi]
            for i in range(hi - lo):
                d = np.float32(hj[i] * unit)
                if porous:
                    d *= np.float32(swell[j, lo + i])
                pd[i] = pd[i] if pd[i] > d else d
                pa[i] = min(pa[i], now) if d >= arrival_m else pa[i]
                pt[i] += since if d >= duration_m else np.float32(0.0)
                u, v = half * (qw[i] + qe[i]), half * (qn[i] + qs[i])
                s = np.float32(u * u + v * v)
                pv[i] = pv[i] if pv[i] > s else s
