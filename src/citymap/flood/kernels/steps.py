"""Time steps of the local-inertial scheme: the length of each, what comes in, the sweep, what is wet."""

from __future__ import annotations

import numpy as np
from numba import njit

from citymap.flood.kernels import sources, sweep, tiles
from citymap.flood.kernels.counts import counted_depth, minus, type_of


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
    thin = type_of(hmin / unit, one_unit)
    rained = rain_t.size > 0
    for _ in range(max_steps):
        t = clock[0]
        if t >= stop:
            return 0
        # the time step: the deepest water to come must not outrun it
        rise, depth = 0.0, max(clock[1], 0.02)
        for p in range(point_kind.size):
            rise = max(rise, point_rise[p])
            if point_kind[p] == sources.WEIR or point_kind[p] == sources.LEVEL:
                s = point_series[p]
                if t + dt_max >= series_grow[s, 0]:
                    level = sources.value_at(series_t[s], series_v[s], series_n[s], t)
                    depth = max(depth, level - z[point_row[p], point_column[p]] * unit)
        for e in range(edge_kind.size):
            if edge_kind[e] == sources.EDGE_STAGE:
                s = edge_series[e]
                level = sources.value_at(series_t[s], series_v[s], series_n[s], t)
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
            amount = sources.steps_integral(rain_t, rain_v, rain_t.size, t, end)
            if rain_factor.size > 1:
                totals[sources.RAIN] += sources.rain_on(
                    h, rain_factor, clock[4], clock[4] + amount, unit
                )
                clock[4] += amount
            else:
                clock[3] += amount
                add = counted_depth(clock[3] / unit, none)
                clock[3] -= add * unit
                totals[sources.RAIN] += add * unit * rain_open
        if point_kind.size:
            sources.enter_points(
                t, dt, z, h, swell, unit, point_kind, point_row, point_column, point_part, point_series,
                point_carry, series_t, series_v, series_n, series_grow, cell, totals,
            )  # fmt: skip
        if edge_kind.size:
            sources.enter_edges(
                t, dt, z, h, swell, qx, qy, gn2, unit, cell, hmin, edge_kind, edge_side, edge_row,
                edge_column, edge_series, edge_slope, series_t, series_v, series_n,
            )  # fmt: skip
        k_slope = type_of(g * dt / cell * unit * unit, one_unit)
        k_friction = type_of(dt * unit ** (-7.0 / 3.0), one_unit)
        k_move = type_of(dt / cell / unit, one_unit)
        if blocks == 1:
            deepest[0], limited[0] = sweep.sweep(
                0, rows, 0, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high, side_h, side_qx,
                side_qy, x_new, x_moved, y_new, y_moved, share, k_slope, k_friction, k_move,
                thin, theta, wing, margin, slack, add, wall,
            )  # fmt: skip
        else:
            sweep.blocks_abreast(
                blocks, starts, deepest, limited, z, h, qx, qy, gn2, swell, width_x, width_y, band_run, run_low, run_high,
                side_h, side_qx, side_qy, x_new, x_moved, y_new, y_moved, share, k_slope,
                k_friction, k_move, thin, theta, wing, margin, slack, add, wall,
            )  # fmt: skip
        if edge_kind.size:
            sources.count_edges(h, qx, qy, k_move, unit, edge_side, edge_row, edge_column, totals)
        top = deepest[0]
        for b in range(blocks):
            top = max(top, deepest[b])
            counts[2] += limited[b]
        clock[0], clock[1], clock[2] = end, top * unit, dt
        counts[0] += 1
        counts[1] += counts[3]
        if not clock[1] < deepest_allowed:
            return 1
        if not everywhere and counts[0] % tiles.REFRESH == 0:
            new = tiles.wet_tiles(h, least, always, active)
            tiles.quieten(active, new, qx, qy)
            active[:] = new
            counts[3] = tiles.runs_of(active, columns, band_run, run_low, run_high) * tiles.BAND
            if blocks > 1:
                tiles.partition(band_run, run_low, run_high, rows, starts)
    return 0
