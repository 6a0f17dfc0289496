"""One time step of the local-inertial scheme over rows, and over blocks of rows side by side."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from citymap.flood.kernels import cells, faces
from citymap.flood.kernels.counts import FAST, minus, type_of
from citymap.flood.kernels.memory import fetch, unowned
from citymap.flood.kernels.tiles import BAND

AHEAD = 2  # rows


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def sweep(
    begin, end, block, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h, side_qx, side_qy,
    x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move, hmin, theta, wing,
    margin, slack, add, wall,
):  # fmt: skip
    """One time step of rows begin … end − 1: discharges, what each cell can give, new depths.

    Goes down the rows once. Row j gets its new discharges; then the face row above it is final
    (both its cells are known); then row j − 1 gets its new depth. The rows just outside are done
    again for their shares, from copies (`side_…`) that the neighbour block does not touch.
    Returns the deepest water (counts) and the number of rows where a cell ran dry.
    """
    z, h, qx, qy, gn2 = unowned(z), unowned(h), unowned(qx), unowned(qy), unowned(gn2)
    swell, width_x, width_y = unowned(swell), unowned(width_x), unowned(width_y)
    side_h, side_qx, side_qy = unowned(side_h), unowned(side_qx), unowned(side_qy)
    x_new, x_moved, y_new = unowned(x_new), unowned(x_moved), unowned(y_new)
    y_moved, share = unowned(y_moved), unowned(share)
    rows, columns = z.shape
    zero, one, far = type_of(0.0, theta), type_of(1.0, theta), type_of(np.inf, theta)
    upwards = type_of(1.0 + 1e-6, theta)
    deepest, limited = minus(h[begin, 0], h[begin, 0]), 0
    first = begin - 1 if begin > 0 else 0
    last = end if end < rows else rows - 1
    even = gn2.shape[0] == 1 and rows > 1  # of one row the friction may differ all the same
    porous = swell.size > 1
    for ring in range(3):
        y_new[block, ring, :] = zero
        y_moved[block, ring, :] = 0
    share[block, :, :] = one
    was_limited = False
    dirty = 0
    most_above = far  # no discharge of the face row above is greater
    for j in range(first, end + 1):
        here, below = j % 3, (j + 1) % 3
        row_limited = False
        if j <= last:
            band, at = j // BAND, j % BAND
            if band_run[band] == band_run[band + 1]:
                after = at == 0 and band > 0 and band_run[band - 1] < band_run[band]
                before = at == BAND - 1 and j + 1 < rows and band_run[band + 1] < band_run[band + 2]
                if not (after or before):  # nothing here, and no neighbour needs it
                    was_limited, most_above = False, far
                    continue
        if dirty & (1 << here):
            share[block, 1 + here, :] = one
            dirty &= ~(1 << here)
        if j <= last:
            band = j // BAND
            hj = (
                side_h[block, j - begin + 2] if j < begin
                else side_h[block + 1, j - end + 2] if j >= end else h[j]
            )  # fmt: skip
            qxj = side_qx[block, 0] if j < begin else side_qx[block + 1, 1] if j >= end else qx[j]
            nj = gn2[0] if even else gn2[j]
            if j == first:  # the face row above: at the rim of the grid, or of the row before
                if j == 0:
                    y_new[block, here, :] = qy[0]
                else:
                    for r in range(band_run[(j - 1) // BAND], band_run[(j - 1) // BAND + 1]):
                        lo, hi = run_low[r], run_high[r]
                        ha = side_h[block, 0] if begin > 0 else h[j - 1]
                        na = gn2[0] if even else gn2[j - 1]
                        if porous:
                            faces.porous_faces(
                                z[j - 1, lo:hi], ha[lo:hi], z[j, lo:hi], hj[lo:hi],
                                swell[j - 1, lo:hi], swell[j, lo:hi], width_y[j, lo:hi],
                                side_qy[block, 0, lo:hi], side_qy[block, 1, lo:hi],
                                side_qy[block, 2, lo:hi], na[lo:hi], nj[lo:hi],
                                y_new[block, here, lo:hi], k_slope, k_friction, hmin, theta, wing,
                            )  # fmt: skip
                        else:
                            faces.faces(
                                even, z[j - 1, lo:hi], ha[lo:hi], z[j, lo:hi], hj[lo:hi],
                                side_qy[block, 0, lo:hi], side_qy[block, 1, lo:hi],
                                side_qy[block, 2, lo:hi], na[lo:hi], nj[lo:hi],
                                y_new[block, here, lo:hi], k_slope, k_friction, hmin, theta, wing,
                            )  # fmt: skip
            if (j + 1) % BAND == 0 and j + 1 < rows:
                for r in range(band_run[band + 1], band_run[band + 2]):
                    y_new[block, below, run_low[r] : run_high[r]] = zero
            most_below = zero
            for r in range(band_run[band], band_run[band + 1]):
                lo, hi = run_low[r], run_high[r]
                most_y, most_x, least = far, far, hj[lo]
                if j + AHEAD < rows:
                    k = j + AHEAD
                    fetch(z[k, lo:hi], h[k, lo:hi], qx[k, lo:hi], qy[k + 1, lo:hi])
                # y faces below the row
                if j + 1 == rows:
                    y_new[block, below, lo:hi] = qy[rows, lo:hi]
                else:
                    k = j + 1
                    hb = (
                        side_h[block, k - begin + 2] if k < begin
                        else side_h[block + 1, k - end + 2] if k >= end else h[k]
                    )  # fmt: skip
                    qa = (
                        side_qy[block, k - 1 - begin + 2] if k - 1 < begin
                        else side_qy[block + 1, k - 1 - end + 2] if k - 1 >= end else qy[k - 1]
                    )  # fmt: skip
                    qb = (
                        side_qy[block, k - begin + 2] if k < begin
                        else side_qy[block + 1, k - end + 2] if k >= end else qy[k]
                    )  # fmt: skip
                    qc = (
                        side_qy[block, k + 1 - begin + 2] if k + 1 < begin
                        else side_qy[block + 1, k + 1 - end + 2] if k + 1 >= end else qy[k + 1]
                    )  # fmt: skip
                    nb = gn2[0] if even else gn2[k]
                    if porous:
                        faces.porous_faces(
                            z[j, lo:hi], hj[lo:hi], z[k, lo:hi], hb[lo:hi], swell[j, lo:hi],
                            swell[k, lo:hi], width_y[k, lo:hi], qa[lo:hi], qb[lo:hi], qc[lo:hi],
                            nj[lo:hi], nb[lo:hi], y_new[block, below, lo:hi], k_slope, k_friction,
                            hmin, theta, wing,
                        )  # fmt: skip
                    else:
                        most_y, least = faces.faces(
                            even, z[j, lo:hi], hj[lo:hi], z[k, lo:hi], hb[lo:hi], qa[lo:hi],
                            qb[lo:hi], qc[lo:hi], nj[lo:hi], nb[lo:hi], y_new[block, below, lo:hi],
                            k_slope, k_friction, hmin, theta, wing,
                        )  # fmt: skip
                x_new[block, lo] = qxj[0] if lo == 0 else zero
                x_new[block, hi] = qxj[columns] if hi == columns else zero
                if porous:
                    faces.porous_faces(
                        z[j, lo : hi - 1], hj[lo : hi - 1], z[j, lo + 1 : hi], hj[lo + 1 : hi],
                        swell[j, lo : hi - 1], swell[j, lo + 1 : hi], width_x[j, lo + 1 : hi],
                        qxj[lo : hi - 1], qxj[lo + 1 : hi], qxj[lo + 2 : hi + 1],
                        nj[lo : hi - 1], nj[lo + 1 : hi], x_new[block, lo + 1 : hi],
                        k_slope, k_friction, hmin, theta, wing,
                    )  # fmt: skip
                else:
                    most_x, _ = faces.faces(
                        even, z[j, lo : hi - 1], hj[lo : hi - 1], z[j, lo + 1 : hi],
                        hj[lo + 1 : hi], qxj[lo : hi - 1], qxj[lo + 1 : hi], qxj[lo + 2 : hi + 1],
                        nj[lo : hi - 1], nj[lo + 1 : hi], x_new[block, lo + 1 : hi],
                        k_slope, k_friction, hmin, theta, wing,
                    )  # fmt: skip
                    most_x = max(most_x, abs(x_new[block, lo]), abs(x_new[block, hi]))
                xw, xe = x_new[block, lo:hi], x_new[block, lo + 1 : hi + 1]
                yn, ys = y_new[block, here, lo:hi], y_new[block, below, lo:hi]
                # most rows of deep water need no look at each cell; rounded up, so that it never
                # says less than that look would (another cut into blocks looks at other rows)
                could_leave = (most_x + most_x + most_above + most_y) * k_move * upwards
                if not could_leave <= type_of(least, k_move) * margin - slack and cells.overdrawn(
                    hj[lo:hi], xw, xe, yn, ys, k_move, margin, slack
                ):
                    own = share[block, 1 + here]
                    cells.share(
                        hj[lo:hi], xw, xe, yn, ys, own[1 + lo : 1 + hi], k_move, margin, slack
                    )
                    own[lo], own[hi + 1] = one, one
                    cells.scale(x_new[block, lo : hi + 1], own[lo : hi + 1], own[1 + lo : hi + 2])
                    row_limited = True
                if begin <= j < end:
                    cells.keep(
                        x_new[block, lo : hi + 1], k_move, qxj[lo : hi + 1],
                        x_moved[block, here, lo : hi + 1],
                    )  # fmt: skip
                most_below = max(most_below, most_y)
            most_above = most_below
            if row_limited:
                dirty |= 1 << here
                limited += 1
        if j > first or begin == 0:
            # the face row above j is final now: both its rows know what they can give
            if j % BAND == 0 and 0 < j < rows:
                for r in range(band_run[(j - 1) // BAND], band_run[(j - 1) // BAND + 1]):
                    y_moved[block, here, run_low[r] : run_high[r]] = 0
            band = min(j, rows - 1) // BAND
            for r in range(band_run[band], band_run[band + 1]):
                lo, hi = run_low[r], run_high[r]
                q = y_new[block, here, lo:hi]
                if row_limited or was_limited:
                    above = share[block, 1 + (j - 1) % 3] if j > first else share[block, 0]
                    under = share[block, 1 + here] if j <= last else share[block, 0]
                    cells.scale(q, above[1 + lo : 1 + hi], under[1 + lo : 1 + hi])
                if (
                    begin <= j < end or j == rows
                ):  # the last rim has no row of its own that keeps it
                    cells.keep(q, k_move, qy[j, lo:hi], y_moved[block, here, lo:hi])
                else:
                    cells.to_counts(q, k_move, y_moved[block, here, lo:hi])
        i = j - 1  # the row whose faces are all final
        if begin <= i < end:
            for r in range(band_run[i // BAND], band_run[i // BAND + 1]):
                lo, hi = run_low[r], run_high[r]
                xw, xe = x_moved[block, i % 3, lo:hi], x_moved[block, i % 3, lo + 1 : hi + 1]
                yn, ys = y_moved[block, i % 3, lo:hi], y_moved[block, here, lo:hi]
                if add > 0:
                    top = cells.move_and_rain(h[i, lo:hi], z[i, lo:hi], xw, xe, yn, ys, add, wall)
                else:
                    top = cells.move(h[i, lo:hi], xw, xe, yn, ys)
                if porous:
                    top = cells.deepest(h[i, lo:hi], swell[i, lo:hi])
                deepest = deepest if deepest > top else top
        was_limited = row_limited
    return deepest, limited


@njit(cache=True, error_model="numpy", nogil=True, parallel=True)
def blocks_abreast(
    blocks, starts, deepest, limited, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h,
    side_qx, side_qy, x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move,
    hmin, theta, wing, margin, slack, add, wall,
):  # fmt: skip
    """One step of several blocks of rows side by side. The answer does not depend on their number."""
    for cut in range(1, blocks):
        j = starts[cut]
        for k in range(4):
            side_h[cut, k] = h[j - 2 + k]
        for k in range(2):
            side_qx[cut, k] = qx[j - 1 + k]
        for k in range(5):
            side_qy[cut, k] = qy[j - 2 + k]
    for number in prange(blocks):
        b = np.int64(number)  # prange counts in uint64: one compiled sweep is enough
        deepest[b], limited[b] = sweep(
            starts[b], starts[b + 1], b, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h,
            side_qx, side_qy, x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move,
            hmin, theta, wing, margin, slack, add, wall,
        )  # fmt: skip
