"""Compiled loops of the shallow-water solver; arrays in, arrays changed in place.

Water depth `h` and ground `z` are counts of a fixed unit: int32 counts of 2^-k m with float32
discharges, or float64 metres with float64 discharges. What leaves a cell through a face enters its
neighbour as the same count, so that in counts no water is made or lost by rounding, and the water
surface of a lake at rest is exactly level.

Cells are (row, column); `qx[j, i]` is the discharge per width (m²/s) through the face between cells
i − 1 and i of row j, positive to growing columns; `qy[j, i]` that between rows j − 1 and j.
"""

from __future__ import annotations

import numpy as np
from llvmlite.ir import Constant
from numba import njit, prange, types
from numba.extending import intrinsic, overload

FAST = {"contract", "nsz", "arcp", "reassoc"}
BAND = 16  # rows of a tile
TILE = 64  # columns of a tile
REFRESH = 8  # steps between two looks at which tiles are wet; must stay below BAND - 2
SIDE_ROWS = 4


@intrinsic
def _bits32(context, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int32))

    return types.int32(types.float32), codegen


@intrinsic
def _float32(context, i):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@intrinsic
def _bits64(context, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def _float64(context, i):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _inverse32(h):
    """h^(−7/3): a first guess of h^(−1/3) from the bits, then a polynomial; relative error 6e-7."""
    f = np.float32
    y = _float32(np.int32(f(0x54A1F800) - f(_bits32(h)) * f(1.0 / 3.0)))
    y3 = y * y * y
    e = f(1.0) - h * y3
    p = f(5.61633813) + e * (f(7.68293374) + e * f(9.71685393))
    p = f(1.00000048) + e * (f(2.33333391) + e * (f(3.88809378) + e * p))
    return y * y3 * y3 * p


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _inverse64(h):
    """The same to the round-off of float64: two rounds."""
    y = _float64(np.int64(0x553EF00000000000) - np.int64(np.float64(_bits64(h)) * (1.0 / 3.0)))
    e = 1.0 - h * y * y * y
    y = y * (1.0 + e * (1 / 3 + e * (2 / 9 + e * (14 / 81 + e * (35 / 243 + e * (91 / 729))))))
    y3 = y * y * y
    e = 1.0 - h * y3
    return y * y3 * y3 * (1.0 + e * (7 / 3 + e * (35 / 9 + e * (455 / 81))))


@intrinsic
def _unowned(context, array):
    """The same array without its owner: slices of it are not counted, which costs more than small rows."""

    def codegen(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = Constant(view.meminfo.type, None)
        return view._getvalue()

    return array(array), codegen


def inverse_seven_thirds(h):
    """h^(−7/3) of a positive number."""
    raise NotImplementedError


@overload(inverse_seven_thirds, inline="always")
def _inverse_seven_thirds(h):
    if h == types.float32:
        return lambda h: _inverse32(h)
    return lambda h: _inverse64(h)


def plus(a, b):
    """a + b of one type: numba would widen int32 to int64."""
    raise NotImplementedError


@overload(plus, inline="always")
def _plus(a, b):
    if isinstance(a, types.Integer):
        return lambda a, b: np.int32(a + b)
    return lambda a, b: a + b


def minus(a, b):
    """a − b of one type."""
    raise NotImplementedError


@overload(minus, inline="always")
def _minus(a, b):
    if isinstance(a, types.Integer):
        return lambda a, b: np.int32(a - b)
    return lambda a, b: a - b


def counted(x, like):
    """The real x as a count of the type of `like`: rounded where counts are integers."""
    raise NotImplementedError


@overload(counted, inline="always")
def _counted(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: np.int32(x + (np.float32(0.5) if x > 0 else np.float32(-0.5)))
    return lambda x, like: x


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _x_faces(z, h, q, gn2, out, k_slope, k_friction, unit, hmin, theta, wing):
    """New discharge of the n − 1 inner faces of n cells in a row. `q` has their n + 1 faces."""
    n = z.size - 1
    zl, zr, hl, hr = z[:n], z[1:], h[:n], h[1:]
    qm, qc, qp = q[:n], q[1 : n + 1], q[2 : n + 2]
    nl, nr = gn2[:n], gn2[1:]
    zero, one = unit - unit, unit / unit
    for i in range(n):
        a, b = plus(zl[i], hl[i]), plus(zr[i], hr[i])
        top = a if a > b else b
        sill = zl[i] if zl[i] > zr[i] else zr[i]
        depth = type_of(minus(top, sill), unit) * unit
        wet = depth > hmin
        safe = depth if wet else one
        num = theta * qc[i] + wing * (qm[i] + qp[i]) - k_slope * safe * type_of(minus(b, a), unit)
        den = one + k_friction * (nl[i] + nr[i]) * abs(qc[i]) * inverse_seven_thirds(safe)
        new = num / den
        out[i] = new if wet else zero


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _y_faces(zl, hl, zr, hr, qm, qc, qp, nl, nr, out, k_slope, k_friction, unit, hmin, theta, wing):
    """The same for the faces between two rows of cells."""
    zero, one = unit - unit, unit / unit
    for i in range(out.size):
        a, b = plus(zl[i], hl[i]), plus(zr[i], hr[i])
        top = a if a > b else b
        sill = zl[i] if zl[i] > zr[i] else zr[i]
        depth = type_of(minus(top, sill), unit) * unit
        wet = depth > hmin
        safe = depth if wet else one
        num = theta * qc[i] + wing * (qm[i] + qp[i]) - k_slope * safe * type_of(minus(b, a), unit)
        den = one + k_friction * (nl[i] + nr[i]) * abs(qc[i]) * inverse_seven_thirds(safe)
        new = num / den
        out[i] = new if wet else zero


def type_of(x, like):
    """x as a number of the type of `like`."""
    raise NotImplementedError


@overload(type_of, inline="always")
def _type_of(x, like):
    if like == types.float32:
        return lambda x, like: np.float32(x)
    return lambda x, like: np.float64(x)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _porous_faces(
    zl, hl, zr, hr, sl, sr, width, qm, qc, qp, nl, nr, out, k_slope, k_friction, unit, hmin, theta,
    wing,
):  # fmt: skip
    """The same where cells hold water on a part of their area and faces are open on a part.

    `sl`, `sr`: depth per stored water (1 / porosity); `width`: open part of the face (0: closed).
    Discharges are per full width. Source: Guinot & Soares-Frazão 2006 (porosity of storage and flow).
    """
    zero, one = unit - unit, unit / unit
    for i in range(out.size):
        dl, dr = type_of(hl[i], unit) * sl[i], type_of(hr[i], unit) * sr[i]
        step = type_of(minus(zr[i], zl[i]), unit)
        left, right = dl, dr + step  # levels above the left ground
        top = left if left > right else right
        depth = (top - (step if step > zero else zero)) * unit
        w = width[i]
        wet = (depth > hmin) & (w > zero)
        safe = depth if wet else one
        open_width = w if wet else one
        num = theta * qc[i] + wing * (qm[i] + qp[i]) - k_slope * safe * (right - left) * open_width
        den = one + k_friction * (nl[i] + nr[i]) * abs(qc[i]) / open_width * inverse_seven_thirds(
            safe
        )
        new = num / den
        out[i] = new if wet else zero


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _deepest(h, swell):
    """The deepest water of cells that store it on a part of their area (counts)."""
    deepest = type_of(0.0, swell[0])
    for i in range(h.size):
        d = type_of(h[i], swell[i]) * swell[i]
        deepest = deepest if deepest > d else d
    return counted(deepest, h[0])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _overdrawn(h, xw, xe, yn, ys, k, margin, slack):
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
def _share(h, xw, xe, yn, ys, share, k, margin, slack):
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
def _scale(q, share_before, share_behind):
    """Scale discharges by the share of the cell that gives."""
    zero = type_of(0.0, q[0])
    for i in range(q.size):
        q[i] *= share_before[i] if q[i] > zero else share_behind[i]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _to_counts(q, k, out):
    """Discharges as counts of water that pass in this step."""
    for i in range(q.size):
        out[i] = counted(q[i] * k, out[i])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _keep(q, k, keep, out):
    """The same, and the discharges kept for the next step."""
    for i in range(q.size):
        keep[i] = q[i]
        out[i] = counted(q[i] * k, out[i])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _move(h, xw, xe, yn, ys):
    """Add what came in; returns the deepest water (counts)."""
    deepest = minus(h[0], h[0])
    for i in range(h.size):
        new = plus(plus(minus(xw[i], xe[i]), minus(yn[i], ys[i])), h[i])
        h[i] = new
        deepest = deepest if deepest > new else new
    return deepest


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _move_and_rain(h, z, xw, xe, yn, ys, add, wall):
    """The same with rain on every cell that is not a wall."""
    none = minus(add, add)
    deepest = minus(h[0], h[0])
    for i in range(h.size):
        new = plus(plus(minus(xw[i], xe[i]), minus(yn[i], ys[i])), h[i])
        new = plus(new, add if z[i] < wall else none)
        h[i] = new
        deepest = deepest if deepest > new else new
    return deepest


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def _sweep(
    begin, end, block, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h, side_qx, side_qy,
    x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move, unit, hmin, theta, wing,
    margin, slack, add, wall,
):  # fmt: skip
    """One time step of rows begin … end − 1: discharges, what each cell can give, new depths.

    Goes down the rows once. Row j gets its new discharges; then the face row above it is final
    (both its cells are known); then row j − 1 gets its new depth. The rows just outside are done
    again for their shares, from copies (`side_…`) that the neighbour block does not touch.
    Returns the deepest water (counts) and the number of rows where a cell ran dry.
    """
    z, h, qx, qy, gn2 = _unowned(z), _unowned(h), _unowned(qx), _unowned(qy), _unowned(gn2)
    swell, width_x, width_y = _unowned(swell), _unowned(width_x), _unowned(width_y)
    side_h, side_qx, side_qy = _unowned(side_h), _unowned(side_qx), _unowned(side_qy)
    x_new, x_moved, y_new = _unowned(x_new), _unowned(x_moved), _unowned(y_new)
    y_moved, share = _unowned(y_moved), _unowned(share)
    rows, columns = z.shape
    zero, one = unit - unit, unit / unit
    deepest, limited = minus(h[begin, 0], h[begin, 0]), 0
    first = begin - 1 if begin > 0 else 0
    last = end if end < rows else rows - 1
    uniform = gn2.shape[0] == 1
    porous = swell.size > 1
    for ring in range(3):
        y_new[block, ring, :] = zero
        y_moved[block, ring, :] = 0
    share[block, :, :] = one
    was_limited = False
    dirty = 0
    for j in range(first, end + 1):
        here, below = j % 3, (j + 1) % 3
        row_limited = False
        if j <= last:
            band, at = j // BAND, j % BAND
            if band_run[band] == band_run[band + 1]:
                after = at == 0 and band > 0 and band_run[band - 1] < band_run[band]
                before = at == BAND - 1 and j + 1 < rows and band_run[band + 1] < band_run[band + 2]
                if not (after or before):  # nothing here, and no neighbour needs it
                    was_limited = False
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
            nj = gn2[0] if uniform else gn2[j]
            if j == first:  # the face row above: at the rim of the grid, or of the row before
                if j == 0:
                    y_new[block, here, :] = qy[0]
                else:
                    for r in range(band_run[(j - 1) // BAND], band_run[(j - 1) // BAND + 1]):
                        lo, hi = run_low[r], run_high[r]
                        ha = side_h[block, 0] if begin > 0 else h[j - 1]
                        na = gn2[0] if uniform else gn2[j - 1]
                        if porous:
                            _porous_faces(
                                z[j - 1, lo:hi], ha[lo:hi], z[j, lo:hi], hj[lo:hi],
                                swell[j - 1, lo:hi], swell[j, lo:hi], width_y[j, lo:hi],
                                side_qy[block, 0, lo:hi], side_qy[block, 1, lo:hi],
                                side_qy[block, 2, lo:hi], na[lo:hi], nj[lo:hi],
                                y_new[block, here, lo:hi], k_slope, k_friction, unit, hmin, theta,
                                wing,
                            )  # fmt: skip
                        else:
                            _y_faces(
                                z[j - 1, lo:hi], ha[lo:hi], z[j, lo:hi], hj[lo:hi],
                                side_qy[block, 0, lo:hi], side_qy[block, 1, lo:hi],
                                side_qy[block, 2, lo:hi], na[lo:hi], nj[lo:hi],
                                y_new[block, here, lo:hi], k_slope, k_friction, unit, hmin, theta,
                                wing,
                            )  # fmt: skip
            if (j + 1) % BAND == 0 and j + 1 < rows:
                for r in range(band_run[band + 1], band_run[band + 2]):
                    y_new[block, below, run_low[r] : run_high[r]] = zero
            for r in range(band_run[band], band_run[band + 1]):
                lo, hi = run_low[r], run_high[r]
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
                    nb = gn2[0] if uniform else gn2[k]
                    if porous:
                        _porous_faces(
                            z[j, lo:hi], hj[lo:hi], z[k, lo:hi], hb[lo:hi], swell[j, lo:hi],
                            swell[k, lo:hi], width_y[k, lo:hi], qa[lo:hi], qb[lo:hi], qc[lo:hi],
                            nj[lo:hi], nb[lo:hi], y_new[block, below, lo:hi], k_slope, k_friction,
                            unit, hmin, theta, wing,
                        )  # fmt: skip
                    else:
                        _y_faces(
                            z[j, lo:hi], hj[lo:hi], z[k, lo:hi], hb[lo:hi], qa[lo:hi], qb[lo:hi],
                            qc[lo:hi], nj[lo:hi], nb[lo:hi], y_new[block, below, lo:hi],
                            k_slope, k_friction, unit, hmin, theta, wing,
                        )  # fmt: skip
                x_new[block, lo] = qxj[0] if lo == 0 else zero
                x_new[block, hi] = qxj[columns] if hi == columns else zero
                if porous:
                    _porous_faces(
                        z[j, lo : hi - 1], hj[lo : hi - 1], z[j, lo + 1 : hi], hj[lo + 1 : hi],
                        swell[j, lo : hi - 1], swell[j, lo + 1 : hi], width_x[j, lo + 1 : hi],
                        qxj[lo : hi - 1], qxj[lo + 1 : hi], qxj[lo + 2 : hi + 1],
                        nj[lo : hi - 1], nj[lo + 1 : hi], x_new[block, lo + 1 : hi],
                        k_slope, k_friction, unit, hmin, theta, wing,
                    )  # fmt: skip
                else:
                    _x_faces(
                        z[j, lo:hi], hj[lo:hi], qxj[lo : hi + 1], nj[lo:hi],
                        x_new[block, lo + 1 : hi], k_slope, k_friction, unit, hmin, theta, wing,
                    )  # fmt: skip
                xw, xe = x_new[block, lo:hi], x_new[block, lo + 1 : hi + 1]
                yn, ys = y_new[block, here, lo:hi], y_new[block, below, lo:hi]
                if _overdrawn(hj[lo:hi], xw, xe, yn, ys, k_move, margin, slack):
                    own = share[block, 1 + here]
                    _share(hj[lo:hi], xw, xe, yn, ys, own[1 + lo : 1 + hi], k_move, margin, slack)
                    own[lo], own[hi + 1] = one, one
                    _scale(x_new[block, lo : hi + 1], own[lo : hi + 1], own[1 + lo : hi + 2])
                    row_limited = True
                if begin <= j < end:
                    _keep(
                        x_new[block, lo : hi + 1], k_move, qxj[lo : hi + 1],
                        x_moved[block, here, lo : hi + 1],
                    )  # fmt: skip
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
                    _scale(q, above[1 + lo : 1 + hi], under[1 + lo : 1 + hi])
                if begin <= j < end:
                    _keep(q, k_move, qy[j, lo:hi], y_moved[block, here, lo:hi])
                else:
                    _to_counts(q, k_move, y_moved[block, here, lo:hi])
        i = j - 1  # the row whose faces are all final
        if begin <= i < end:
            for r in range(band_run[i // BAND], band_run[i // BAND + 1]):
                lo, hi = run_low[r], run_high[r]
                xw, xe = x_moved[block, i % 3, lo:hi], x_moved[block, i % 3, lo + 1 : hi + 1]
                yn, ys = y_moved[block, i % 3, lo:hi], y_moved[block, here, lo:hi]
                if add > 0:
                    top = _move_and_rain(h[i, lo:hi], z[i, lo:hi], xw, xe, yn, ys, add, wall)
                else:
                    top = _move(h[i, lo:hi], xw, xe, yn, ys)
                if porous:
                    top = _deepest(h[i, lo:hi], swell[i, lo:hi])
                deepest = deepest if deepest > top else top
        was_limited = row_limited
    return deepest, limited


@njit(cache=True)
def _value(times, values, n, t):
    """A series at time t: linear between its points, constant before and after."""
    if t <= times[0]:
        return values[0]
    for k in range(1, n):
        if t < times[k]:
            w = (t - times[k - 1]) / (times[k] - times[k - 1])
            return values[k - 1] + w * (values[k] - values[k - 1])
    return values[n - 1]


@njit(cache=True)
def _integral(times, values, n, t0, t1):
    """The integral of a series (as `_value`) from t0 to t1, exact."""
    total, t = 0.0, t0
    while t < t1:
        nxt = t1
        for k in range(n):
            if times[k] > t:
                nxt = min(t1, times[k])
                break
        total += 0.5 * (_value(times, values, n, t) + _value(times, values, n, nxt)) * (nxt - t)
        t = nxt
    return total


@njit(cache=True)
def _steps_integral(times, values, n, t0, t1):
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


DISCHARGE, WEIR, PUMP, LEVEL = 0, 1, 2, 3  # kinds of points
EDGE_STAGE, EDGE_OPEN = 0, 1  # kinds of edges
IN, OUT, RAIN, WANTED_IN = 0, 1, 2, 3  # volumes in `totals`: m · cells, and what was asked for


@njit(cache=True, error_model="numpy")
def _points(
    t, dt, z, h, swell, unit, point_kind, point_row, point_column, point_part, point_series, point_carry,
    series_t, series_v, series_n, series_grow, cell, totals,
):  # fmt: skip
    """Inflows, breaches, pumps and held levels: change `h` and account for every count.

    `point_part`: the cell's part of a discharge, its width of a breach (m) or its part of a pump.
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
                amount = _integral(series_t[s], series_v[s], n, t, t + dt)
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
            level = _value(series_t[s], series_v[s], n, middle)
            ground = z[j, i] * unit
            want = honma_m3_s_m(level, ground, depth) * point_part[p] * opened * dt / area
            # one step must not carry the cell past the river's level, nor empty it below the river's
            room = level - (ground + depth)
            if want > 0.0:
                want = min(want, max(0.0, 0.5 * room) / stretch)
            else:
                want = max(want, min(0.0, 0.5 * room) / stretch, -0.5 * depth / stretch)
        else:
            level = _value(series_t[s], series_v[s], n, t + dt)
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


def counted_depth(x, like):
    """A float64 as a count of the type of `like`, rounded towards zero."""
    raise NotImplementedError


@overload(counted_depth, inline="always")
def _counted_depth(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: np.int32(x)
    return lambda x, like: x


@njit(cache=True, error_model="numpy")
def _edges(
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
            level = _value(
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
def _count_edges(h, qx, qy, k, unit, edge_side, edge_row, edge_column, totals):
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


@njit(cache=True)
def wet_tiles(h, least, always, active):
    """Which tiles must be computed: the wet ones, and those that water can reach before the next look.

    `active` is what was computed so far (water is nowhere else); returns the new map.
    """
    rows, columns = h.shape
    down, across = active.shape
    new = always.copy()
    reach = REFRESH + 2
    seen = np.zeros(TILE, np.bool_)
    for b in range(down):
        for c in range(across):
            if not active[b, c]:
                continue
            j0, j1 = b * BAND, min(rows, (b + 1) * BAND)
            i0, i1 = c * TILE, min(columns, (c + 1) * TILE)
            top, bottom = j1, j0 - 1
            seen[:] = False
            for j in range(j0, j1):
                hit = False
                for i in range(i0, i1):
                    w = h[j, i] > least
                    seen[i - i0] |= w
                    hit |= w
                if hit:
                    top = min(top, j)
                    bottom = j
            if bottom < j0:
                continue
            left, right = TILE, -1
            for i in range(i1 - i0):
                if seen[i]:
                    left = min(left, i)
                    right = i
            n = 1 if top - j0 < reach else 0
            s = 1 if j1 - 1 - bottom < reach else 0
            w = 1 if left < reach else 0
            e = 1 if i1 - i0 - 1 - right < reach else 0
            for bb in range(max(0, b - n), min(down, b + s + 1)):
                for cc in range(max(0, c - w), min(across, c + e + 1)):
                    new[bb, cc] = True
    return new


@njit(cache=True)
def runs_of(active, columns, band_run, run_low, run_high):
    """Write the runs of active columns of every band; returns the number of active cells / BAND."""
    total, r = 0, 0
    for b in range(active.shape[0]):
        band_run[b] = r
        c = 0
        while c < active.shape[1]:
            if active[b, c]:
                low = c
                while c < active.shape[1] and active[b, c]:
                    c += 1
                run_low[r], run_high[r] = low * TILE, min(columns, c * TILE)
                total += run_high[r] - run_low[r]
                r += 1
            else:
                c += 1
    band_run[active.shape[0]] = r
    return total


@njit(cache=True)
def quieten(old, new, qx, qy):
    """Discharges of tiles that fell dry are nil, also on their rim."""
    rows, columns = qx.shape[0], qy.shape[1]
    for b in range(old.shape[0]):
        for c in range(old.shape[1]):
            if old[b, c] and not new[b, c]:
                j0, j1 = b * BAND, min(rows, (b + 1) * BAND)
                i0, i1 = c * TILE, min(columns, (c + 1) * TILE)
                qx[j0:j1, i0 : i1 + 1] = 0
                qy[j0 : j1 + 1, i0:i1] = 0


@njit(cache=True)
def partition(band_run, run_low, run_high, rows, starts):
    """Cut the rows at bands into `starts.size − 1` blocks of about equal active cells."""
    bands = band_run.size - 1
    blocks = starts.size - 1
    total = 0
    for r in range(band_run[bands]):
        total += run_high[r] - run_low[r]
    starts[0], starts[blocks] = 0, rows
    done, k = 0, 1
    for b in range(bands):
        for r in range(band_run[b], band_run[b + 1]):
            done += run_high[r] - run_low[r]
        while k < blocks and done * blocks >= k * total and b + 1 < bands:
            starts[k] = (b + 1) * BAND
            k += 1
    while k < blocks:
        starts[k] = starts[k - 1]
        k += 1


@njit(cache=True, error_model="numpy", nogil=True, parallel=True)
def _blocks(
    blocks, starts, deepest, limited, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h,
    side_qx, side_qy, x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move, unit,
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
        deepest[b], limited[b] = _sweep(
            starts[b], starts[b + 1], b, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h,
            side_qx, side_qy, x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move,
            unit, hmin, theta, wing, margin, slack, add, wall,
        )  # fmt: skip


def whole(x, like):
    """x, or the whole number below it where counts are integers."""
    raise NotImplementedError


@overload(whole, inline="always")
def _whole(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: np.int64(np.floor(x))
    return lambda x, like: x


@njit(cache=True, error_model="numpy")
def _rain_map(h, factor, before, after, unit):
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


@njit(cache=True, error_model="numpy", nogil=True)
def advance(
    clock, counts, stop, max_steps, h, z, qx, qy, gn2, swell, width_x, width_y, real, unit, alpha, dt_max, cell, wall, deepest_allowed,
    everywhere, active, always, least, band_run, run_low, run_high, starts, deepest, limited,
    side_h, side_qx, side_qy, x_new, x_moved, y_new, y_moved, share,
    point_kind, point_row, point_column, point_part, point_series, point_carry, point_rise,
    edge_kind, edge_side, edge_row, edge_column, edge_series, edge_slope,
    series_t, series_v, series_n, series_grow,
    rain_t, rain_v, rain_factor, rain_open, totals,
):  # fmt: skip
    """Steps until `stop` (s) or `max_steps`. `clock`: time, deepest water (m), last dt, rain carried,
    rain depth since the map began. `counts`: steps, active cells · steps, rows limited, active cells.

    Returns 0, or 1 where the water is deeper than the counts can hold.
    """
    g = 9.80665
    hmin, theta, wing, margin, slack = real[1], real[2], real[3], real[4], real[5]
    rows, columns = z.shape
    blocks = starts.size - 1
    none = minus(z[0, 0], z[0, 0])
    one_unit = real[0]
    rained = rain_t.size > 0
    for _ in range(max_steps):
        t = clock[0]
        if t >= stop:
            return 0
        # the time step: the deepest water to come must not outrun it
        rise, depth = 0.0, max(clock[1], 0.02)
        for p in range(point_kind.size):
            rise = max(rise, point_rise[p])
            if point_kind[p] == WEIR or point_kind[p] == LEVEL:
                s = point_series[p]
                if t + dt_max >= series_grow[s, 0]:
                    level = _value(series_t[s], series_v[s], series_n[s], t)
                    depth = max(depth, level - z[point_row[p], point_column[p]] * unit)
        for e in range(edge_kind.size):
            if edge_kind[e] == EDGE_STAGE:
                s = edge_series[e]
                level = _value(series_t[s], series_v[s], series_n[s], t)
                depth = max(depth, level - z[edge_row[e], edge_column[e]] * unit)
        dt = min(dt_max, alpha * cell / np.sqrt(g * depth))
        dt = min(dt, alpha * cell / np.sqrt(g * (depth + rise * dt)))
        left = stop - t
        if left < dt:
            dt = left
        elif left < 2.0 * dt:
            dt = 0.5 * left
        end = stop if dt == left else t + dt
        add = none
        if rained:
            amount = _steps_integral(rain_t, rain_v, rain_t.size, t, end)
            if rain_factor.size > 1:
                totals[RAIN] += _rain_map(h, rain_factor, clock[4], clock[4] + amount, unit)
                clock[4] += amount
            else:
                clock[3] += amount
                add = counted_depth(clock[3] / unit, none)
                clock[3] -= add * unit
                totals[RAIN] += add * unit * rain_open
        if point_kind.size:
            _points(
                t, dt, z, h, swell, unit, point_kind, point_row, point_column, point_part, point_series,
                point_carry, series_t, series_v, series_n, series_grow, cell, totals,
            )  # fmt: skip
        if edge_kind.size:
            _edges(
                t, dt, z, h, swell, qx, qy, gn2, unit, cell, hmin, edge_kind, edge_side, edge_row,
                edge_column, edge_series, edge_slope, series_t, series_v, series_n,
            )  # fmt: skip
        k_slope = type_of(g * dt / cell * unit, one_unit)
        k_friction = type_of(dt, one_unit)
        k_move = type_of(dt / cell / unit, one_unit)
        if blocks == 1:
            deepest[0], limited[0] = _sweep(
                0, rows, 0, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h, side_qx,
                side_qy, x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move,
                one_unit, hmin, theta, wing, margin, slack, add, wall,
            )  # fmt: skip
        else:
            _blocks(
                blocks, starts, deepest, limited, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high,
                side_h, side_qx, side_qy, x_new, x_moved, y_new, y_moved, share, k_slope,
                k_friction, k_move, one_unit, hmin, theta, wing, margin, slack, add, wall,
            )  # fmt: skip
        if edge_kind.size:
            _count_edges(h, qx, qy, k_move, unit, edge_side, edge_row, edge_column, totals)
        top = deepest[0]
        for b in range(blocks):
            top = max(top, deepest[b])
            counts[2] += limited[b]
        clock[0], clock[1], clock[2] = end, top * unit, dt
        counts[0] += 1
        counts[1] += counts[3]
        if not clock[1] < deepest_allowed:
            return 1
        if not everywhere and counts[0] % REFRESH == 0:
            new = wet_tiles(h, least, always, active)
            quieten(active, new, qx, qy)
            active[:] = new
            counts[3] = runs_of(active, columns, band_run, run_low, run_high) * BAND
            if blocks > 1:
                partition(band_run, run_low, run_high, rows, starts)
    return 0
