"""Compiled: how deep a grid says it is below polygons, cell by cell with exact shares of area."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

LEAST_SHARE = 1e-9  # of a cell: what is touched less is not overlapped


@njit(cache=True, inline="always")
def _edge(x0, y0, x1, y1, sign, rows, columns, cover):  # type: ignore[no-untyped-def]
    """Add one edge to `cover`, the change of the covered area from each cell to the next.

    Coordinates in cells, y down; what lies left of the window covers all of it, what lies right
    nothing. The running sum of a row of `cover` is then the share of each cell that is inside.
    Source: the signed-area accumulation of anti-aliased scan conversion (R. Levien, font-rs).
    """
    if y0 == y1:
        return
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
        sign = -sign
    if y1 <= 0.0 or y0 >= rows:
        return
    slope = (x1 - x0) / (y1 - y0)
    x = x0
    if y0 < 0.0:
        x -= y0 * slope
        y0 = 0.0
    last = min(rows, int(np.ceil(y1)))
    for row in range(int(y0), last):
        base = row * (columns + 2)
        dy = min(row + 1.0, y1) - max(float(row), y0)
        end = x + slope * dy
        d = dy * sign
        low, high = (x, end) if x < end else (end, x)
        x = end
        if low >= columns:
            continue
        if high <= 0.0:
            cover[base] += d
            continue
        if low < 0.0 or high > columns:  # the part beyond the window, by its share of the height
            width = high - low
            if low < 0.0:
                part = d * (-low / width)
                cover[base] += part
                d -= part
                low = 0.0
            if high > columns:
                d -= d * ((high - columns) / (high - low))
                high = float(columns)
            if low >= high:
                if low < columns:
                    cover[base + int(low)] += d
                continue
        first = int(low)
        stop = int(np.ceil(high))
        if stop <= first + 1:
            middle = 0.5 * (low + high) - first
            cover[base + first] += d - d * middle
            cover[base + first + 1] += d * middle
            continue
        s = 1.0 / (high - low)
        x0f = low - first
        a0 = 0.5 * s * (1.0 - x0f) * (1.0 - x0f)
        x1f = high - stop + 1.0
        am = 0.5 * s * x1f * x1f
        cover[base + first] += d * a0
        if stop == first + 2:
            cover[base + first + 1] += d * (1.0 - a0 - am)
        else:
            a1 = s * (1.5 - x0f)
            cover[base + first + 1] += d * (a1 - a0)
            for column in range(first + 2, stop - 1):
                cover[base + column] += d * s
            a2 = a1 + (stop - first - 3.0) * s
            cover[base + stop - 1] += d * (1.0 - a2 - am)
        cover[base + stop] += d * am


@njit(cache=True, parallel=True, nogil=True)
def extents(xs, ys, ring_start, polygon_start, item_start, bounds, area):  # type: ignore[no-untyped-def]
    """For each item fill `bounds` (west, south, east, north) and `area`; rings as in `zonal`."""
    for item in prange(item_start.size - 1):
        first, last = polygon_start[item_start[item]], polygon_start[item_start[item + 1]]
        a, b = ring_start[first], ring_start[last]
        if b == a:
            continue
        west, east, south, north = xs[a], xs[a], ys[a], ys[a]
        for at in range(a, b):
            west, east = min(west, xs[at]), max(east, xs[at])
            south, north = min(south, ys[at]), max(north, ys[at])
        bounds[item, 0], bounds[item, 1], bounds[item, 2], bounds[item, 3] = (
            west,
            south,
            east,
            north,
        )
        total = 0.0
        for polygon in range(item_start[item], item_start[item + 1]):
            for ring in range(polygon_start[polygon], polygon_start[polygon + 1]):
                start, stop = ring_start[ring], ring_start[ring + 1]
                twice = 0.0
                for i in range(start, stop):
                    j = i + 1 if i + 1 < stop else start
                    twice += (xs[i] - west) * (ys[j] - south) - (xs[j] - west) * (ys[i] - south)
                part = abs(twice) / 2
                total += part if ring == polygon_start[polygon] else -part
        area[item] = total


@njit(cache=True, parallel=True, nogil=True)
def zonal(xs, ys, ring_start, polygon_start, item_start, grid, left, top, size_x, size_y, out):  # type: ignore[no-untyped-def]
    """For each item fill `out`: maximum, area-weighted mean, area with a value, area inside the grid,
    minimum.

    Rings are open (last point not repeated) and in the grid's CRS; the first ring of a polygon is
    its shell, the others holes. `left`, `top` are the grid's corner, sizes positive. Cells that
    only touch an item (less than 1e-9 of a cell) do not count.
    """
    height, width = grid.shape
    cell = size_x * size_y
    for item in prange(item_start.size - 1):
        peak, least, total, known, covered = np.nan, np.nan, 0.0, 0.0, 0.0
        first, last = polygon_start[item_start[item]], polygon_start[item_start[item + 1]]
        a, b = ring_start[first], ring_start[last]
        low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
        for k in range(a, b):
            low_x, high_x = min(low_x, xs[k]), max(high_x, xs[k])
            low_y, high_y = min(low_y, ys[k]), max(high_y, ys[k])
        if b > a:
            c0 = max(int(np.floor((low_x - left) / size_x)), 0)
            c1 = min(int(np.floor((high_x - left) / size_x)), width - 1)
            r0 = max(int(np.floor((top - high_y) / size_y)), 0)
            r1 = min(int(np.floor((top - low_y) / size_y)), height - 1)
            rows, columns = r1 - r0 + 1, c1 - c0 + 1
            if rows > 0 and columns > 0:
                cover = np.zeros(rows * (columns + 2))
                west, north = left + c0 * size_x, top - r0 * size_y
                for polygon in range(item_start[item], item_start[item + 1]):
                    for ring in range(polygon_start[polygon], polygon_start[polygon + 1]):
                        start, stop = ring_start[ring], ring_start[ring + 1]
                        twice = 0.0
                        for k in range(start, stop):
                            j = k + 1 if k + 1 < stop else start
                            twice += (xs[k] - west) * (ys[j] - north) - (xs[j] - west) * (
                                ys[k] - north
                            )
                        shell = ring == polygon_start[polygon]
                        sign = 1.0 if (twice > 0.0) == shell else -1.0
                        for k in range(start, stop):
                            j = k + 1 if k + 1 < stop else start
                            _edge(
                                (xs[k] - west) / size_x, (north - ys[k]) / size_y,
                                (xs[j] - west) / size_x, (north - ys[j]) / size_y,
                                sign, rows, columns, cover,
                            )  # fmt: skip
                for r in range(rows):
                    share = 0.0
                    for c in range(columns):
                        share += cover[r * (columns + 2) + c]
                        if share > LEAST_SHARE:
                            covered += share
                            value = grid[r0 + r, c0 + c]
                            if not np.isnan(value):
                                known += share
                                total += share * value
                                if np.isnan(peak) or value > peak:
                                    peak = value
                                if np.isnan(least) or value < least:
                                    least = value
        out[item, 0] = peak
        out[item, 1] = total / known if known > 0 else np.nan
        out[item, 2] = known * cell
        out[item, 3] = covered * cell
        out[item, 4] = least
