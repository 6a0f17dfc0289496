"""Which part of the grid is computed: tiles that are wet or that water can reach, and their runs."""

from __future__ import annotations

from numba import njit

from citymap.flood.kernels.counts import rank, valued

BAND = 16  # rows of a tile
TILE = 64  # columns of a tile
LEAST_ROWS = 2  # of a block
REFRESH = 8  # steps between two looks at which tiles are wet; must stay below BAND - 2


@njit(cache=True)
def _wetter(row, least):
    """Whether any cell holds more than `least`."""
    most = rank(row[0])
    for i in range(row.size):
        most = max(most, rank(row[i]))
    return valued(most, least) > least


@njit(cache=True)
def wet_tiles(h, least, always, active):
    """Which tiles must be computed: the wet ones, and those that water can reach before the next look.

    `active` is what was computed so far (water is nowhere else); returns the new map.
    """
    rows, columns = h.shape
    down, across = active.shape
    new = always.copy()
    reach = REFRESH + 2
    for b in range(down):
        for c in range(across):
            if not active[b, c]:
                continue
            j0, j1 = b * BAND, min(rows, (b + 1) * BAND)
            i0, i1 = c * TILE, min(columns, (c + 1) * TILE)
            n = s = w = e = False  # wet so near to this side that water may cross it
            some = False
            for j in range(j0, j1):
                if n and s and w and e:
                    break
                if not _wetter(h[j, i0:i1], least):
                    continue
                some = True
                n |= j < j0 + reach
                s |= j >= j1 - reach
                w |= _wetter(h[j, i0 : min(i1, i0 + reach)], least)
                e |= _wetter(h[j, max(i0, i1 - reach) : i1], least)
            if not some:
                continue
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
        cut = (b + 1) * BAND
        # a block of one row at the end would have its outer rim done by two at once
        while k < blocks and done * blocks >= k * total and rows - cut >= LEAST_ROWS:
            starts[k] = cut
            k += 1
    while k < blocks:
        starts[k] = starts[k - 1]
        k += 1
