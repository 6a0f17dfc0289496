"""Compiled loops over triangles and cells; arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def rasterise_triangles(triangles, west, north, cell, out):  # type: ignore[no-untyped-def]
    """Write the plane of each triangle (n, 3, xyz) to the cell centres it holds."""
    rows, columns = out.shape
    hit = 0
    for t in range(triangles.shape[0]):
        x0, y0, z0 = triangles[t, 0, 0], triangles[t, 0, 1], triangles[t, 0, 2]
        x1, y1, z1 = triangles[t, 1, 0], triangles[t, 1, 1], triangles[t, 1, 2]
        x2, y2, z2 = triangles[t, 2, 0], triangles[t, 2, 1], triangles[t, 2, 2]
        d = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
        if abs(d) < 1e-9:
            continue
        i0 = max(0, int(np.floor((min(x0, x1, x2) - west) / cell - 0.5)))
        i1 = min(columns - 1, int(np.ceil((max(x0, x1, x2) - west) / cell - 0.5)))
        j0 = max(0, int(np.floor((north - max(y0, y1, y2)) / cell - 0.5)))
        j1 = min(rows - 1, int(np.ceil((north - min(y0, y1, y2)) / cell - 0.5)))
        for j in range(j0, j1 + 1):
            y = north - (j + 0.5) * cell
            for i in range(i0, i1 + 1):
                x = west + (i + 0.5) * cell
                a = ((y1 - y2) * (x - x2) + (x2 - x1) * (y - y2)) / d
                b = ((y2 - y0) * (x - x2) + (x0 - x2) * (y - y2)) / d
                c = 1.0 - a - b
                # The margin closes hairline gaps between triangles (about 1e-6 of their size).
                if a >= -1e-6 and b >= -1e-6 and c >= -1e-6:
                    out[j, i] = a * z0 + b * z1 + c * z2
                    hit += 1
    return hit


@njit(cache=True)
def bilinear(values, row, column, out):  # type: ignore[no-untyped-def]
    """Sample at fractional cell-centre indices; NaN outside and where the nearest cell is NaN."""
    rows, columns = values.shape
    for k in range(row.size):
        r, c = row[k], column[k]
        out[k] = np.nan
        if not (r >= -0.5 and c >= -0.5 and r <= rows - 0.5 and c <= columns - 0.5):
            continue
        nr, nc = (
            min(rows - 1, max(0, int(np.floor(r + 0.5)))),
            min(columns - 1, max(0, int(np.floor(c + 0.5)))),
        )
        if np.isnan(values[nr, nc]):
            continue
        r, c = min(max(r, 0.0), rows - 1.0), min(max(c, 0.0), columns - 1.0)
        r0, c0 = int(np.floor(r)), int(np.floor(c))
        fr, fc = r - r0, c - c0
        total, weights = 0.0, 0.0
        for dr in range(2):
            for dc in range(2):
                w = (fr if dr else 1.0 - fr) * (fc if dc else 1.0 - fc)
                if w <= 0.0:
                    continue
                v = values[r0 + dr, c0 + dc]
                if not np.isnan(v):
                    total += w * v
                    weights += w
        if weights > 0.0:
            out[k] = total / weights


@njit(cache=True)
def fill_slits(values, out):  # type: ignore[no-untyped-def]
    """Fill single missing cells that have at least six of eight neighbours with their mean."""
    rows, columns = values.shape
    filled = 0
    for j in range(rows):
        for i in range(columns):
            if not np.isnan(values[j, i]):
                continue
            total, count = 0.0, 0
            for dj in range(-1, 2):
                for di in range(-1, 2):
                    if 0 <= j + dj < rows and 0 <= i + di < columns:
                        v = values[j + dj, i + di]
                        if not np.isnan(v):
                            total += v
                            count += 1
            if count >= 6:
                out[j, i] = total / count
                filled += 1
    return filled
