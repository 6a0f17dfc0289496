"""Compiled loops of the full shallow-water equations: first-order Godunov with HLLC fluxes, float64.

Well balanced and positive by the hydrostatic reconstruction of Chen & Noelle 2017 (also right where water runs
down steps higher than it is deep); walls reflect. Wave speeds: Toro 2001, Einfeldt with the two-rarefaction
estimate and the dry fronts. Friction semi-implicit. What leaves a cell enters its neighbour; a cell that would
lose more than it holds (round-off only, at this time step) gives in proportion, so depths are never clipped.

Arrays as in the package's first lines; `hu`, `hv` (m²/s) are the discharges of the cells to growing columns and rows, `qx`, `qy`
the mass fluxes through the faces of the last step.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from citymap.flood.kernels import sources, tiles

G = 9.80665
THIN_M = 1e-5  # thinner water stays where it is: it also cannot leave the tiles that are looked at
CFL = 0.45
RIM_WALL, RIM_STATE, RIM_FLUX = 0, 1, 2


@njit(cache=True, error_model="numpy", inline="always")
def _flux(hl, ul, hr, ur):
    """Mass and normal momentum through a face between two states of equal bed."""
    if hl <= 0.0 and hr <= 0.0:
        return 0.0, 0.0
    al, ar = np.sqrt(G * hl), np.sqrt(G * hr)
    if hr <= 0.0:
        sl, sr = ul - al, ul + 2.0 * al
    elif hl <= 0.0:
        sl, sr = ur - 2.0 * ar, ur + ar
    else:
        between = max(0.0, 0.5 * (al + ar) + 0.25 * (ul - ur))  # √(g h) of the middle
        u = 0.5 * (ul + ur) + al - ar
        sl, sr = min(ul - al, u - between), max(ur + ar, u + between)
    ql, qr = hl * ul, hr * ur
    pl, pr = ql * ul + 0.5 * G * hl * hl, qr * ur + 0.5 * G * hr * hr
    if sl >= 0.0:
        return ql, pl
    if sr <= 0.0:
        return qr, pr
    over = 1.0 / (sr - sl)
    return (
        (sr * ql - sl * qr + sl * sr * (hr - hl)) * over,
        (sr * pl - sl * pr + sl * sr * (qr - ql)) * over,
    )


@njit(cache=True, error_model="numpy", inline="always")
def _face(zl, hl, ul, zr, hr, ur, wall):
    """Mass flux, and the momentum that the left cell loses and the right cell gains, through a face."""
    if zl >= wall and zr >= wall:
        return 0.0, 0.0, 0.0
    if zr >= wall:
        return 0.0, _flux(hl, ul, hl, -ul)[1], 0.0
    if zl >= wall:
        return 0.0, 0.0, _flux(hr, -ur, hr, ur)[1]
    if hl <= THIN_M and hr <= THIN_M:
        return 0.0, 0.0, 0.0
    left, right = zl + hl, zr + hr
    bed = min(max(zl, zr), min(left, right))
    deep_l, deep_r = max(0.0, min(left - bed, hl)), max(0.0, min(right - bed, hr))
    mass, push = _flux(deep_l, ul, deep_r, ur)
    return (
        mass,
        push + 0.5 * G * (hl + deep_l) * (bed - zl),
        push + 0.5 * G * (hr + deep_r) * (bed - zr),
    )


@njit(cache=True, error_model="numpy", inline="always")
def _velocity(q, h):
    return q / h if h > THIN_M else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _rim(kind, given, h, u, outward):
    """Mass and momentum through the rim. `u` to growing index, `outward` +1 at the far side, −1 at the near."""
    if kind == RIM_FLUX:  # `given`: discharge outwards
        q = outward * given
        return q, (q * q / h if h > THIN_M else 0.0) + 0.5 * G * h * h
    if kind == RIM_STATE:  # `given`: depth outside, moving as the cell does
        if outward > 0:
            return _flux(h, u, given, u)
        return _flux(given, u, h, u)
    if outward > 0:
        return 0.0, _flux(h, u, h, -u)[1]
    return 0.0, _flux(h, -u, h, u)[1]


@njit(cache=True, error_model="numpy", nogil=True)
def _fluxes(z, h, hu, hv, qx, qy, mu, mv, band_run, run_low, run_high, wall, rim_kind, rim_value):
    """Mass fluxes into `qx`, `qy`; what each cell gains of momentum (per dt / cell) into `mu`, `mv`."""
    rows, columns = z.shape
    for j in range(rows):
        band = j // tiles.BAND
        for r in range(band_run[band], band_run[band + 1]):
            for i in range(run_low[r], run_high[r]):
                mu[j, i] = 0.0
                mv[j, i] = 0.0
    for j in range(rows):
        band = j // tiles.BAND
        for r in range(band_run[band], band_run[band + 1]):
            lo, hi = run_low[r], run_high[r]
            for i in range(lo, hi):
                zc, hc = z[j, i], h[j, i]
                uc, vc = _velocity(hu[j, i], hc), _velocity(hv[j, i], hc)
                if i == 0 and zc < wall:
                    q, p = _rim(rim_kind[0, j], rim_value[0, j], hc, uc, -1.0)
                    qx[j, 0] = q
                    mu[j, 0] += p
                    mv[j, 0] += q * vc
                if i + 1 == columns:
                    if zc < wall:
                        q, p = _rim(rim_kind[1, j], rim_value[1, j], hc, uc, 1.0)
                        qx[j, columns] = q
                        mu[j, i] -= p
                        mv[j, i] -= q * vc
                elif i + 1 < hi:
                    hr = h[j, i + 1]
                    ur, vr = _velocity(hu[j, i + 1], hr), _velocity(hv[j, i + 1], hr)
                    q, p, gain = _face(zc, hc, uc, z[j, i + 1], hr, ur, wall)
                    qx[j, i + 1] = q
                    side = q * (vc if q >= 0.0 else vr)
                    mu[j, i] -= p
                    mv[j, i] -= side
                    mu[j, i + 1] += gain
                    mv[j, i + 1] += side
                if j == 0 and zc < wall:
                    q, p = _rim(rim_kind[2, i], rim_value[2, i], hc, vc, -1.0)
                    qy[0, i] = q
                    mv[0, i] += p
                    mu[0, i] += q * uc
                if j + 1 == rows:
                    if zc < wall:
                        q, p = _rim(rim_kind[3, i], rim_value[3, i], hc, vc, 1.0)
                        qy[rows, i] = q
                        mv[j, i] -= p
                        mu[j, i] -= q * uc
                else:
                    hr = h[j + 1, i]
                    ur, vr = _velocity(hu[j + 1, i], hr), _velocity(hv[j + 1, i], hr)
                    if hc > THIN_M or hr > THIN_M:
                        q, p, gain = _face(zc, hc, vc, z[j + 1, i], hr, vr, wall)
                        qy[j + 1, i] = q
                        side = q * (uc if q >= 0.0 else ur)
                        mv[j, i] -= p
                        mu[j, i] -= side
                        mv[j + 1, i] += gain
                        mu[j + 1, i] += side
                    else:
                        qy[j + 1, i] = 0.0


@njit(cache=True, error_model="numpy", nogil=True)
def _limited(h, qx, qy, band_run, run_low, run_high, rate):
    """Scale what cells give that would lose more than they hold; returns how many."""
    found = 0
    for j in range(h.shape[0]):
        band = j // tiles.BAND
        for r in range(band_run[band], band_run[band + 1]):
            for i in range(run_low[r], run_high[r]):
                out = max(qx[j, i + 1], 0.0) - min(qx[j, i], 0.0)
                out += max(qy[j + 1, i], 0.0) - min(qy[j, i], 0.0)
                if out * rate > h[j, i] * (1.0 - 1e-12):
                    share = h[j, i] * (1.0 - 1e-12) / (out * rate)
                    found += 1
                    if qx[j, i + 1] > 0.0:
                        qx[j, i + 1] *= share
                    if qx[j, i] < 0.0:
                        qx[j, i] *= share
                    if qy[j + 1, i] > 0.0:
                        qy[j + 1, i] *= share
                    if qy[j, i] < 0.0:
                        qy[j, i] *= share
    return found


@njit(cache=True, error_model="numpy", nogil=True)
def _update(
    z, h, hu, hv, qx, qy, mu, mv, gn2, band_run, run_low, run_high, rate, dt, add, wall,
):  # fmt: skip
    """New depths and discharges; returns the deepest water and the greatest sum of wave speeds."""
    deepest, fastest = 0.0, 0.0
    uniform = gn2.shape[0] == 1
    for j in range(h.shape[0]):
        band = j // tiles.BAND
        for r in range(band_run[band], band_run[band + 1]):
            for i in range(run_low[r], run_high[r]):
                new = h[j, i] + (
                    (qx[j, i] - qx[j, i + 1]) * rate + (qy[j, i] - qy[j + 1, i]) * rate
                )
                u, v = hu[j, i] + rate * mu[j, i], hv[j, i] + rate * mv[j, i]
                if z[j, i] < wall:
                    new += add
                h[j, i] = new
                if new > THIN_M:
                    rough = gn2[0, i] if uniform else gn2[j, i]
                    drag = 1.0 + 2.0 * dt * rough * np.sqrt(u * u + v * v) * new ** (-7.0 / 3.0)
                    u /= drag
                    v /= drag
                    hu[j, i], hv[j, i] = u, v
                    deepest = max(deepest, new)
                    fastest = max(fastest, (abs(u) + abs(v)) / new + 2.0 * np.sqrt(G * new))
                else:
                    hu[j, i], hv[j, i] = 0.0, 0.0
    return deepest, fastest


@njit(cache=True, error_model="numpy")
def _rims(
    t, z, h, gn2, edge_kind, edge_side, edge_row, edge_column, edge_series, edge_slope, series_t, series_v,
    series_n, hu, hv, rim_kind, rim_value,
):  # fmt: skip
    """What stands at the rim of the grid at time t."""
    for e in range(edge_kind.size):
        j, i, side = edge_row[e], edge_column[e], edge_side[e]
        at = j if side < 2 else i
        depth = h[j, i]
        if edge_kind[e] == sources.EDGE_STAGE:
            level = sources.value_at(
                series_t[edge_series[e]], series_v[edge_series[e]], series_n[edge_series[e]], t
            )
            rim_kind[side, at] = RIM_STATE
            rim_value[side, at] = max(0.0, level - z[j, i])
        else:
            two_gn2 = gn2[0, i] if gn2.shape[0] == 1 else gn2[j, i]
            normal = depth ** (5.0 / 3.0) * np.sqrt(edge_slope[e]) / np.sqrt(2.0 * two_gn2 / G)
            q = hu[j, i] if side < 2 else hv[j, i]
            q = -q if side == 0 or side == 2 else q
            # water that is faster than its waves takes no notice of what is downstream
            torrent = depth > THIN_M and q > depth * np.sqrt(G * depth)
            rim_kind[side, at] = RIM_FLUX
            rim_value[side, at] = 0.0 if depth <= THIN_M else q if torrent else normal


@njit(cache=True, error_model="numpy", nogil=True)
def advance(
    clock, counts, stop, max_steps, h, z, hu, hv, mu, mv, qx, qy, gn2, dt_max, cell, wall, deepest_allowed,
    everywhere, active, always, least, band_run, run_low, run_high, rim_kind, rim_value,
    point_kind, point_row, point_column, point_part, point_series, point_carry, point_rise,
    edge_kind, edge_side, edge_row, edge_column, edge_series, edge_slope,
    series_t, series_v, series_n, series_grow,
    rain_t, rain_v, rain_factor, rain_open, totals,
):  # fmt: skip
    """As `steps.advance`; `clock[5]` is the greatest sum of wave speeds |u| + |v| + 2c (m/s)."""
    columns = z.shape[1]
    one, held = np.ones((1, 1)), np.zeros(point_kind.size)
    rained = rain_t.size > 0
    for _ in range(max_steps):
        t = clock[0]
        if t >= stop:
            return 0
        rise, speed = 0.0, max(clock[5], 2.0 * np.sqrt(G * 0.02))
        for p in range(point_kind.size):
            rise = max(rise, point_rise[p])
            if point_kind[p] == sources.WEIR or point_kind[p] == sources.LEVEL:
                s = point_series[p]
                if t + dt_max >= series_grow[s, 0]:
                    level = sources.value_at(series_t[s], series_v[s], series_n[s], t)
                    depth = max(0.0, level - z[point_row[p], point_column[p]])
                    speed = max(speed, 2.0 * np.sqrt(G * depth))
        for e in range(edge_kind.size):
            if edge_kind[e] == sources.EDGE_STAGE:
                s = edge_series[e]
                level = sources.value_at(series_t[s], series_v[s], series_n[s], t)
                depth = max(0.0, level - z[edge_row[e], edge_column[e]])
                speed = max(speed, 3.0 * np.sqrt(G * depth))
        dt = min(dt_max, CFL * cell / speed)
        dt = min(dt, CFL * cell / (speed + 2.0 * np.sqrt(G * rise * dt)))
        left = stop - t
        if left < dt:
            dt = left
        elif left < 2.0 * dt:
            dt = 0.5 * left
        end = stop if dt == left else t + dt
        add = 0.0
        if rained:
            amount = sources.steps_integral(rain_t, rain_v, rain_t.size, t, end)
            if rain_factor.size > 1:
                totals[sources.RAIN] += sources.rain_on(
                    h, rain_factor, clock[4], clock[4] + amount, 1.0
                )
                clock[4] += amount
            else:
                add = amount
                totals[sources.RAIN] += add * rain_open
        if point_kind.size:
            for p in range(point_kind.size):
                held[p] = h[point_row[p], point_column[p]]
            sources.enter_points(
                t, dt, z, h, one, 1.0, point_kind, point_row, point_column, point_part, point_series,
                point_carry, series_t, series_v, series_n, series_grow, cell, totals,
            )  # fmt: skip
            for p in range(point_kind.size):  # water that is taken out takes its momentum along
                j, i = point_row[p], point_column[p]
                if h[j, i] < held[p]:
                    hu[j, i] *= h[j, i] / held[p]
                    hv[j, i] *= h[j, i] / held[p]
        if edge_kind.size:
            _rims(
                t, z, h, gn2, edge_kind, edge_side, edge_row, edge_column, edge_series, edge_slope, series_t,
                series_v, series_n, hu, hv, rim_kind, rim_value,
            )  # fmt: skip
        rate = dt / cell
        _fluxes(
            z, h, hu, hv, qx, qy, mu, mv, band_run, run_low, run_high, wall, rim_kind, rim_value
        )
        counts[2] += _limited(h, qx, qy, band_run, run_low, run_high, rate)
        deepest, fastest = _update(
            z, h, hu, hv, qx, qy, mu, mv, gn2, band_run, run_low, run_high, rate, dt, add, wall,
        )  # fmt: skip
        if edge_kind.size:
            sources.count_edges(h, qx, qy, rate, 1.0, edge_side, edge_row, edge_column, totals)
        clock[0], clock[1], clock[2], clock[5] = end, deepest, dt, fastest
        counts[0] += 1
        counts[1] += counts[3]
        if not (deepest < deepest_allowed and fastest < 1e4):
            return 1
        if not everywhere and counts[0] % tiles.REFRESH == 0:
            new = tiles.wet_tiles(h, least, always, active)
            tiles.quieten(active, new, qx, qy)
            for b in range(active.shape[0]):
                for c in range(active.shape[1]):
                    if active[b, c] and not new[b, c]:
                        hu[
                            b * tiles.BAND : (b + 1) * tiles.BAND,
                            c * tiles.TILE : (c + 1) * tiles.TILE,
                        ] = 0.0
                        hv[
                            b * tiles.BAND : (b + 1) * tiles.BAND,
                            c * tiles.TILE : (c + 1) * tiles.TILE,
                        ] = 0.0
            active[:] = new
            counts[3] = tiles.runs_of(active, columns, band_run, run_low, run_high) * tiles.BAND
    return 0
