"""What the cells of a row give and get: limits so that none gives more than it holds, and new depths."""

from __future__ import annotations

import numpy as np
from numba import njit

from citymap.flood.kernels.counts import FAST, counted, minus, plus, type_of


@njit(cache=True, fastmath=FAST, error_model="numpy")
def deepest(h, swell):
    """The deepest water of cells that store it on a part of their area (counts)."""
    deepest = type_of(0.0, swell[0])
    for i in range(h.size):
        d = type_of(h[i], swell[i]) * swell[i]
        deepest = deepest if deepest > d else d
    return counted(deepest, h[0])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def overdrawn(h, xw, xe, yn, ys, k, margin, slack):
    """Whether any cell would lose more than it holds (`k` turns m²/s into counts)."""
    zero = k - k
    hits = np.int32(0)
    for i in range(h.size):
        a, b, c, d = xw[i], xe[i], yn[i], ys[i]
        out = (b if b > zero else zero) - (a if a < zero else zero)
        out += (d if d > zero else zero) - (c if c < zero else zero)
        short = out * k > type_of(h[i], k) * margin - slack
        hits = np.int32(hits | np.int32(short & (out > zero)))
    return hits != 0


@njit(cache=True, fastmath=FAST, error_model="numpy")
def share(h, xw, xe, yn, ys, share, k, margin, slack):
    """The part of its outflow that each cell can give."""
    zero, one = k - k, k / k
    for i in range(h.size):
        a, b, c, d = xw[i], xe[i], yn[i], ys[i]
        out = (b if b > zero else zero) - (a if a < zero else zero)
        out += (d if d > zero else zero) - (c if c < zero else zero)
        out *= k
        has = type_of(h[i], k) * margin - slack
        has = has if has > zero else zero
        share[i] = one if out <= has else has / out


@njit(cache=True, fastmath=FAST, error_model="numpy")
def scale(q, share_before, share_behind):
    """Scale discharges by the share of the cell that gives."""
    zero = type_of(0.0, q[0])
    for i in range(q.size):
        q[i] *= share_before[i] if q[i] > zero else share_behind[i]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def to_counts(q, k, out):
    """Discharges as counts of water that pass in this step."""
    for i in range(q.size):
        out[i] = counted(q[i] * k, out[i])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def keep(q, k, keep, out):
    """The same, and the discharges kept for the next step."""
    for i in range(q.size):
        keep[i] = q[i]
        out[i] = counted(q[i] * k, out[i])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def move(h, xw, xe, yn, ys):
    """Add what came in; returns the deepest water (counts)."""
    deepest = minus(h[0], h[0])
    for i in range(h.size):
        new = plus(plus(minus(xw[i], xe[i]), minus(yn[i], ys[i])), h[i])
        h[i] = new
        deepest = deepest if deepest > new else new
    return deepest


@njit(cache=True, fastmath=FAST, error_model="numpy")
def move_and_rain(h, z, xw, xe, yn, ys, add, wall):
    """The same with rain on every cell that is not a wall."""
    none = minus(add, add)
    deepest = minus(h[0], h[0])
    for i in range(h.size):
        new = plus(plus(minus(xw[i], xe[i]), minus(yn[i], ys[i])), h[i])
        new = plus(new, add if z[i] < wall else none)
        h[i] = new
        deepest = deepest if deepest > new else new
    return deepest
