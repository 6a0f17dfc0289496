"""Water that comes and goes: series in time, points, the rim of the grid, rain that differs by cell."""

from __future__ import annotations

import numpy as np
from numba import njit

from citymap.flood.kernels.counts import counted, counted_depth, whole

DISCHARGE, WEIR, PUMP, LEVEL, FREE = 0, 1, 2, 3, 4  # kinds of points
EDGE_STAGE, EDGE_OPEN = 0, 1  # kinds of edges
IN, OUT, RAIN, WANTED_IN = 0, 1, 2, 3  # volumes in `totals`: m · cells, and what was asked for


@njit(cache=True)
def value_at(times, values, n, t):
    """A series at time t: linear between its points, constant before and after."""
    if t <= times[0]:
        return values[0]
    for k in range(1, n):
        if t < times[k]:
            w = (t - times[k - 1]) / (times[k] - times[k - 1])
            return values[k - 1] + w * (values[k] - values[k - 1])
    return values[n - 1]


@njit(cache=True)
def integral(times, values, n, t0, t1):
    """The integral of a series (as `_value`) from t0 to t1, exact."""
    total, t = 0.0, t0
    while t < t1:
        nxt = t1
        for k in range(n):
            if times[k] > t:
                nxt = min(t1, times[k])
                break
        total += 0.5 * (value_at(times, values, n, t) + value_at(times, values, n, nxt)) * (nxt - t)
        t = nxt
    return total


@njit(cache=True)
def steps_integral(times, values, n, t0, t1):
    """The integral of a step function (each value holds until the next time)."""
    total = 0.0
    for k in range(n):
        a = max(t0, times[k])
        b = min(t1, times[k + 1] if k + 1 < n else t1)
        if b > a:
            total += values[k] * (b - a)
    return total


@njit(cache=True)
def honma_m3_s_m(level, sill, h):
    """Flow over a broad sill per metre of width, outside level → inside depth h on the sill's level.

    Free: 0.35 h1 √(2 g h1) while h2/h1 < 2/3; drowned: 0.91 h2 √(2 g (h1 − h2)). Negative: back.
    Source: 本間公式, as in 洪水浸水想定区域図作成マニュアル.
    """
    h1, h2, sign = level - sill, h, 1.0
    if h2 > h1:
        h1, h2, sign = h2, max(h1, 0.0), -1.0
    if h1 <= 0.0:
        return 0.0
    h2 = max(h2, 0.0)
    if h2 < h1 * 2.0 / 3.0:
        return sign * 0.35 * h1 * np.sqrt(2 * 9.80665 * h1)
    return sign * 0.91 * h2 * np.sqrt(2 * 9.80665 * (h1 - h2))


@njit(cache=True, error_model="numpy")
def enter_points(
    t, dt, z, h, swell, unit, point_kind, point_row, point_column, point_part, point_series, point_carry,
    series_t, series_v, series_n, series_grow, cell, totals,
):  # fmt: skip
    """Inflows, breaches, pumps, held levels and free outflow: change `h` and account for every count.

    `point_part`: the cell's part of a discharge, its width of a breach (m), its part of a pump, or
    width · √S / n of free outflow.
    """
    area = cell * cell
    last, amount = -1, 0.0
    for p in range(point_kind.size):
        j, i, s = point_row[p], point_column[p], point_series[p]
        n, kind = series_n[s], point_kind[p]
        stretch = swell[j, i] if swell.size > 1 else 1.0
        depth = h[j, i] * unit * stretch
        if kind == DISCHARGE or kind == PUMP:
            if s != last:
                amount = integral(series_t[s], series_v[s], n, t, t + dt)
                last = s
        if kind == DISCHARGE:
            want = amount * point_part[p] / area
            totals[WANTED_IN] += want
        elif kind == PUMP:
            want = -amount * point_part[p] / area
        elif kind == WEIR:
            start, grow = series_grow[s, 0], series_grow[s, 1]
            middle = t + 0.5 * dt
            if middle < start:
                continue
            opened = 1.0 if grow <= 0.0 else min(1.0, (middle - start) / grow)
            level = value_at(series_t[s], series_v[s], n, middle)
            ground = z[j, i] * unit
            want = honma_m3_s_m(level, ground, depth) * point_part[p] * opened * dt / area
            # one step must not carry the cell past the river's level, nor empty it below the river's
            room = level - (ground + depth)
            if want > 0.0:
                want = min(want, max(0.0, 0.5 * room) / stretch)
            else:
                want = max(want, min(0.0, 0.5 * room) / stretch, -0.5 * depth / stretch)
        elif kind == FREE:  # Manning's flow at the bed slope: q = h^(5/3) √S / n
            want = -point_part[p] * depth ** (5.0 / 3.0) * dt / area / stretch
        else:
            level = value_at(series_t[s], series_v[s], n, t + dt)
            want = (max(0.0, level - z[j, i] * unit) - depth) / stretch
        want += point_carry[p]
        if want < 0.0:
            want = max(want, -h[j, i] * unit)
        given = counted_depth(want / unit, h[0, 0])
        real = given * unit
        point_carry[p] = want - real if kind == DISCHARGE else 0.0
        h[j, i] += given
        if kind != DISCHARGE:
            totals[WANTED_IN] += max(real, 0.0)
        if real > 0.0:
            totals[IN] += real
        else:
            totals[OUT] -= real


@njit(cache=True, error_model="numpy")
def enter_edges(
    t, dt, z, h, swell, qx, qy, gn2, unit, cell, hmin, edge_kind, edge_side, edge_row, edge_column,
    edge_series, edge_slope, series_t, series_v, series_n,
):  # fmt: skip
    """Discharges through the rim of the grid (sides: 0 west, 1 east, 2 north, 3 south)."""
    g = 9.80665
    for e in range(edge_kind.size):
        j, i, side = edge_row[e], edge_column[e], edge_side[e]
        depth, ground = h[j, i] * unit, z[j, i] * unit
        if swell.size > 1:
            depth *= swell[j, i]
        two_gn2 = gn2[0, i] if gn2.shape[0] == 1 else gn2[j, i]
        if side == 0:
            out = -qx[j, 0]
        elif side == 1:
            out = qx[j, qx.shape[1] - 1]
        elif side == 2:
            out = -qy[0, i]
        else:
            out = qy[qy.shape[0] - 1, i]
        if edge_kind[e] == EDGE_OPEN:
            # Manning's flow at the bed slope: q = h^(5/3) √S / n
            n = np.sqrt(2.0 * two_gn2 / g)
            out = 0.0 if depth <= hmin else depth ** (5.0 / 3.0) * np.sqrt(edge_slope[e]) / n
        else:
            level = value_at(
                series_t[edge_series[e]], series_v[edge_series[e]], series_n[edge_series[e]], t
            )
            hf = max(level, ground + depth) - ground
            if hf <= hmin:
                out = 0.0
            else:
                slope = (level - ground - depth) / (0.5 * cell)
                out = (out - g * hf * dt * slope) / (
                    1.0 + dt * 2.0 * two_gn2 * abs(out) * hf ** (-7.0 / 3.0)
                )
        if side == 0:
            qx[j, 0] = -out
        elif side == 1:
            qx[j, qx.shape[1] - 1] = out
        elif side == 2:
            qy[0, i] = -out
        else:
            qy[qy.shape[0] - 1, i] = out


@njit(cache=True, error_model="numpy")
def count_edges(h, qx, qy, k, unit, edge_side, edge_row, edge_column, totals):
    """Add what passed the rim in this step (after the sweep limited it)."""
    for e in range(edge_side.size):
        j, i, side = edge_row[e], edge_column[e], edge_side[e]
        if side == 0:
            q = qx[j, 0]
        elif side == 1:
            q = qx[j, qx.shape[1] - 1]
        elif side == 2:
            q = qy[0, i]
        else:
            q = qy[qy.shape[0] - 1, i]
        passed = counted(q * k, h[0, 0]) * unit
        if side == 1 or side == 3:
            passed = -passed
        if passed > 0.0:
            totals[IN] += passed
            totals[WANTED_IN] += passed
        else:
            totals[OUT] -= passed


@njit(cache=True, error_model="numpy")
def rain_on(h, factor, before, after, unit):
    """Rain that differs from cell to cell: `factor` times an amount (m) that grew; returns m · cells.

    Each cell rounds from an offset of its own (golden ratio), so that the sum is not biased.
    """
    given = 0.0
    for j in range(h.shape[0]):
        for i in range(h.shape[1]):
            f = factor[j, i]
            if f > 0.0:
                offset = (j * h.shape[1] + i) * 0.6180339887498949
                offset -= np.floor(offset)
                add = whole(after * f / unit + offset, h[0, 0]) - whole(
                    before * f / unit + offset, h[0, 0]
                )
                h[j, i] += add
                given += add * unit
    return given
