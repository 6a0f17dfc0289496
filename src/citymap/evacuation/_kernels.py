"""Compiled: shortest times over links, and which cells of a grid a line crosses."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def heap_push(keys, items, size, key, item):  # type: ignore[no-untyped-def]
    """Add to a binary heap in place; returns the new size."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if keys[parent] <= key:
            break
        keys[i] = keys[parent]
        items[i] = items[parent]
        i = parent
    keys[i] = key
    items[i] = item
    return size + 1


@njit(cache=True)
def heap_pop(keys, items, size):  # type: ignore[no-untyped-def]
    """Remove the least of a binary heap in place (it is keys[0], items[0] before the call)."""
    size -= 1
    key = keys[size]
    item = items[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i] = keys[child]
        items[i] = items[child]
        i = child
    keys[i] = key
    items[i] = item
    return size


@njit(cache=True)
def nearest(start, out, head, cost, sources, offset, reverse, next_link, distance, label):  # type: ignore[no-untyped-def]
    """Cost to go of every node to the nearest source, and the link to take.

    `cost` per link (infinite: closed); with `reverse` the links are walked towards the sources
    (cost of link l from its tail to its head), else away from them. `label` gets the number of
    the source, `next_link` the first link towards it (reverse) or the last from it; -1 where none.
    """
    n = start.size - 1
    keys = np.empty(out.size + sources.size + 1)
    items = np.empty(out.size + sources.size + 1, np.int32)
    size = 0
    for k in range(n):
        distance[k] = np.inf
        label[k] = -1
        next_link[k] = -1
    for k in range(sources.size):
        node = sources[k]
        if node >= 0 and offset[k] < distance[node]:
            distance[node] = offset[k]
            label[node] = k
            size = heap_push(keys, items, size, offset[k], node)
    while size > 0:
        key, node = keys[0], items[0]
        size = heap_pop(keys, items, size)
        if key > distance[node]:
            continue
        for k in range(start[node], start[node + 1]):
            link = out[k]
            step = cost[link ^ 1] if reverse else cost[link]
            other = head[link]
            reach = key + step
            if reach < distance[other]:
                distance[other] = reach
                label[other] = label[node]
                next_link[other] = link ^ 1 if reverse else link
                size = heap_push(keys, items, size, reach, other)


@njit(cache=True)
def cells_of_lines(x, y, line_start, left, top, size, rows, columns, cell, cell_start, write):  # type: ignore[no-untyped-def]
    """Cells (row * columns + column) that each line passes through, corner cases included.

    Call once with `write` False to fill `cell_start` (lines + 1), then with True to fill `cell`.
    Cells outside the grid are left out.
    """
    total = 0
    for line in range(line_start.size - 1):
        cell_start[line] = total
        last = -1
        for k in range(line_start[line], line_start[line + 1] - 1):
            ax, ay = (x[k] - left) / size, (top - y[k]) / size
            bx, by = (x[k + 1] - left) / size, (top - y[k + 1]) / size
            i, j = int(np.floor(ax)), int(np.floor(ay))
            ie, je = int(np.floor(bx)), int(np.floor(by))
            dx, dy = bx - ax, by - ay
            si = 1 if dx > 0 else -1
            sj = 1 if dy > 0 else -1
            tx = ((i + (1 if dx > 0 else 0)) - ax) / dx if dx != 0 else np.inf
            ty = ((j + (1 if dy > 0 else 0)) - ay) / dy if dy != 0 else np.inf
            ddx = abs(1 / dx) if dx != 0 else np.inf
            ddy = abs(1 / dy) if dy != 0 else np.inf
            for _ in range(abs(ie - i) + abs(je - j) + 1):
                if 0 <= i < columns and 0 <= j < rows:
                    here = j * columns + i
                    if here != last:
                        if write:
                            cell[total] = here
                        total += 1
                        last = here
                if tx < ty:
                    tx += ddx
                    i += si
                else:
                    ty += ddy
                    j += sj
    cell_start[line_start.size - 1] = total


@njit(cache=True)
def highest(values, cell, cell_start, out):  # type: ignore[no-untyped-def]
    """Largest value of the flat grid among each line's cells; NaN where no cell has a value."""
    for line in range(cell_start.size - 1):
        best = np.nan
        for k in range(cell_start[line], cell_start[line + 1]):
            value = values[cell[k]]
            if not np.isnan(value) and not value <= best:
                best = value
        out[line] = best
