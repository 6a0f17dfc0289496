"""Compiled: how deep a grid says it is below polygons, cell by cell with exact shares of area."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _clip(x, y, n, axis, bound, keep_below, out_x, out_y):  # type: ignore[no-untyped-def]
    """Sutherland–Hodgman: the ring on one side of a line parallel to an axis; returns its length."""
    m = 0
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        a = x[i] if axis == 0 else y[i]
        b = x[j] if axis == 0 else y[j]
        inside_a = a <= bound if keep_below else a >= bound
        inside_b = b <= bound if keep_below else b >= bound
        if inside_a:
            out_x[m] = x[i]
            out_y[m] = y[i]
            m += 1
        if inside_a != inside_b:
            t = (bound - a) / (b - a)
            out_x[m] = x[i] + t * (x[j] - x[i])
            out_y[m] = y[i] + t * (y[j] - y[i])
            m += 1
    return m


@njit(cache=True)
def _area(x, y, n):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        total += x[i] * y[j] - x[j] * y[i]
    return total / 2


@njit(cache=True, parallel=True)
def zonal(xs, ys, ring_start, polygon_start, item_start, grid, left, top, size_x, size_y, out):  # type: ignore[no-untyped-def]
    """For each item fill `out`: maximum, area-weighted mean, area with a value, area inside the grid,
    minimum.

    Rings are open (last point not repeated) and in the grid's CRS; the first ring of a polygon is
    its shell, the others holes. `left`, `top` are the grid's corner, sizes positive. Cells that
    only touch an item (less than 1e-9 of a cell) do not count.
    """
    rows, columns = grid.shape
    for item in prange(item_start.size - 1):
        peak, least, total, known, covered = np.nan, np.nan, 0.0, 0.0, 0.0
        first, last = polygon_start[item_start[item]], polygon_start[item_start[item + 1]]
        a, b = ring_start[first], ring_start[last]
        if b > a:
            most = 0
            for ring in range(first, last):
                most = max(most, ring_start[ring + 1] - ring_start[ring])
            cap = 2 * most + 16
            px, py = np.empty(cap), np.empty(cap)
            qx, qy = np.empty(cap), np.empty(cap)
            rx, ry = np.empty(cap), np.empty(cap)
            low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
            for k in range(a, b):
                low_x, high_x = min(low_x, xs[k]), max(high_x, xs[k])
                low_y, high_y = min(low_y, ys[k]), max(high_y, ys[k])
            c0 = max(int(np.floor((low_x - left) / size_x)), 0)
            c1 = min(int(np.floor((high_x - left) / size_x)), columns - 1)
            r0 = max(int(np.floor((top - high_y) / size_y)), 0)
            r1 = min(int(np.floor((top - low_y) / size_y)), rows - 1)
            for r in range(r0, r1 + 1):
                north, south = top - r * size_y, top - (r + 1) * size_y
                for c in range(c0, c1 + 1):
                    west, east = left + c * size_x, left + (c + 1) * size_x
                    share = 0.0
                    for polygon in range(item_start[item], item_start[item + 1]):
                        for ring in range(polygon_start[polygon], polygon_start[polygon + 1]):
                            start = ring_start[ring]
                            n = ring_start[ring + 1] - start
                            for k in range(n):
                                px[k] = xs[start + k] - west
                                py[k] = ys[start + k] - south
                            m = _clip(px, py, n, 0, 0.0, False, qx, qy)
                            m = _clip(qx, qy, m, 0, east - west, True, rx, ry)
                            m = _clip(rx, ry, m, 1, 0.0, False, qx, qy)
                            m = _clip(qx, qy, m, 1, north - south, True, rx, ry)
                            part = abs(_area(rx, ry, m))
                            share += part if ring == polygon_start[polygon] else -part
                    if share > 1e-9 * size_x * size_y:
                        covered += share
                        value = grid[r, c]
                        if not np.isnan(value):
                            known += share
                            total += share * value
                            if np.isnan(peak) or value > peak:
                                peak = value
                            if np.isnan(least) or value < least:
                                least = value
        out[item, 0] = peak
        out[item, 1] = total / known if known > 0 else np.nan
        out[item, 2] = known
        out[item, 3] = covered
        out[item, 4] = least
