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


@njit(cache=True)
def finish(t, length, v_dry, row, cls, speeds, slice_s):  # type: ignore[no-untyped-def]
    """When a person who enters a link at t reaches its end: (reached, time, share of the length).

    Speed is the lesser of `v_dry` and `speeds[cls, slice, row]` (row -1: always dry), slice by
    slice; the last slice lasts for ever. Speed 0 is a closed link: not reached, at what time, and
    how far they came.
    """
    if row < 0:
        return True, t + length / v_dry, 1.0
    slices = speeds.shape[1]
    s = min(int(t / slice_s), slices - 1)
    left, now = length, t
    while True:
        v = min(v_dry, speeds[cls, s, row])
        if v <= 0.0:
            return False, now, 1.0 - left / length
        if s == slices - 1:
            return True, now + left / v, 1.0
        end = (s + 1) * slice_s
        reach = v * (end - now)
        if reach >= left:
            return True, now + left / v, 1.0
        left -= reach
        now = end
        s += 1


@njit(cache=True)
def span_of_rows(speeds, first, count):  # type: ignore[no-untyped-def]
    """For speeds (slice, row) of which what has become worse stays so: the first slice in which
    each row limits anybody, and how many there are from it until the row is closed for good."""
    slices, rows = speeds.shape
    for r in range(rows):
        first[r] = slices
        count[r] = -1
    for s in range(slices):
        for r in range(rows):
            v = speeds[s, r]
            if first[r] == slices and v < np.inf:
                first[r] = s
            if count[r] < 0 and v <= 0.0:
                count[r] = s - first[r]
    for r in range(rows):
        if count[r] < 0:
            count[r] = slices - first[r]


@njit(cache=True)
def worst_of_rows(speeds, rows, worst):  # type: ignore[no-untyped-def]
    """Fill `worst` with the least speed so far of the slices of each row's span, row after row."""
    least = np.full(rows.size, np.inf, np.float32)
    for s in range(speeds.shape[0]):
        for r in range(rows.size):
            k = s - rows[r].first
            if 0 <= k < rows[r].count:
                least[r] = min(least[r], speeds[s, r])
                worst[rows[r].at + k] = least[r]


@njit(cache=True)
def latest_entry(deadline, length, v_dry, r, rows, worst, slice_s):  # type: ignore[no-untyped-def]
    """The latest time to enter a link so that its end is reached by the deadline; -inf: never.

    The inverse of `finish` for one class and speeds that never rise with time: `rows[r]` (r -1:
    always dry) limits from `calm` and is closed from `shut` (seconds); the speeds in between are
    `count` slices from `first`, `worst[at]` and on.
    """
    if r < 0:
        return deadline - length / v_dry
    deadline = min(deadline, rows[r].shut)
    if deadline == np.inf:
        return np.inf
    first = rows[r].first
    s = min(int(deadline / slice_s), first + rows[r].count - 1)
    if s * slice_s >= deadline:
        s -= 1
    left, now = length, deadline
    while s >= first:
        v = min(v_dry, worst[rows[r].at + s - first])
        begin = s * slice_s
        reach = v * (now - begin)
        if reach >= left:
            return now - left / v
        left -= reach
        now = begin
        s -= 1
    at = now - left / v_dry
    return at if at >= 0.0 else -np.inf


@njit(cache=True)
def latest_departure(start, out, links, length, limits, worst, slices, slice_s, sources, offset, next_link, latest, label):  # type: ignore[no-untyped-def]  # fmt: skip
    """Latest departure of every node for a person of one class who must reach a source in time.

    In the order of `out`, the links away from each node: `links` has the node beyond (`to`), the
    seconds without water from there (`dry`, infinite: not theirs) and until when water limits nobody
    (`calm`, infinite: never); `length` the metres, and `limits` with `worst` say how fast one is when,
    as for `latest_entry`; `slices` of time end the water's story.
    `offset` is the latest arrival at each source (infinite: at any time). `next_link` is the first
    link of the way, `label` the source; -1 and -inf where there is none, or only one that begins
    before time 0.
    """
    n = start.size - 1
    room = 2 * n + sources.size + 16
    while not _latest_departure(
        start, links, length, limits, worst, slices * slice_s, slice_s, sources, offset, next_link, latest, label,
        np.empty((room, 2), np.int32),
    ):  # fmt: skip
        room *= 2
    for k in range(n):
        if next_link[k] >= 0:
            next_link[k] = out[next_link[k]] ^ 1


@njit(cache=True)
def _latest_departure(start, links, length, limits, worst, top_time, slice_s, sources, offset, next_link, latest, label, pool):  # type: ignore[no-untyped-def]  # fmt: skip
    """The search itself: False where `pool` is too small for it (one that grows in here would take
    a third more time). `next_link` gets the position in `links`.

    Nodes stand in buckets of time, worked off from the latest; within a bucket a node whose time
    improves is worked off again, so the result is exact whatever the width of the buckets. `pool`
    holds a node and the next entry of its bucket.
    """
    n = start.size - 1
    done = np.full(n, np.inf)  # the time with which each node was last worked off
    stack = np.empty(n, np.int32)
    for k in range(n):
        latest[k] = -np.inf
        label[k] = -1
        next_link[k] = -1
    for k in range(sources.size):
        node = sources[k]
        if node >= 0 and offset[k] >= 0.0 and (offset[k] > latest[node] or label[node] < 0):
            latest[node] = offset[k]
            label[node] = k
            if offset[k] < np.inf:
                top_time = max(top_time, offset[k])
    # Nodes that can wait for ever: a search in any order.
    top = 0
    for k in range(sources.size):
        node = sources[k]
        if node >= 0 and label[node] == k and latest[node] == np.inf:
            stack[top] = node
            top += 1
    first = 0
    while first < top:
        node = stack[first]
        first += 1
        for k in range(start[node], start[node + 1]):
            other = links[k].to
            if latest[other] == np.inf or links[k].dry == np.inf or limits[k].shut < np.inf:
                continue
            latest[other] = np.inf
            label[other] = label[node]
            next_link[other] = k
            stack[top] = other
            top += 1
    total, count = 0.0, 0
    for k in range(0, links.size, 64):
        if links[k].dry < np.inf:
            total += links[k].dry
            count += 1
    per_s = 1.0 / max(total / max(count, 1), top_time / 65536.0, 1e-6)
    buckets = int(top_time * per_s) + 2
    bucket = np.full(buckets, -1, np.int32)
    used = 0
    for k in range(sources.size):
        node = sources[k]
        if node >= 0 and label[node] == k and latest[node] < np.inf:
            b = int(latest[node] * per_s)
            pool[used, 0], pool[used, 1] = node, bucket[b]
            bucket[b] = used
            used += 1
    # The endless region reaches its border first.
    for i in range(top + buckets):
        here = top + buckets - 1 - i
        entry = -2 - stack[i] if i < top else bucket[here]
        while entry != -1:
            if entry < -1:
                node = -2 - entry
            else:
                bucket[here] = pool[entry, 1]
                node = pool[entry, 0]
            key = latest[node]
            if entry < -1 or (key != done[node] and int(key * per_s) == here):
                done[node] = key
                goal = label[node]
                for k in range(start[node], start[node + 1]):
                    other, dry = links[k].to, links[k].dry
                    at = key - dry  # water never makes it later
                    known = latest[other]
                    if not at > known or at < 0.0:  # neither where both are endless
                        continue
                    if key > links[k].calm:
                        at = min(key, limits[k].shut) - dry
                        if at <= known or at < 0.0:
                            continue
                        at = latest_entry(
                            key, length[k], length[k] / dry, k, limits, worst, slice_s
                        )
                        if at <= known or at < 0.0:
                            continue
                    if used == len(pool):
                        return False
                    latest[other] = at
                    label[other] = goal
                    next_link[other] = k
                    b = int(at * per_s)
                    pool[used, 0], pool[used, 1] = other, bucket[b]
                    bucket[b] = used
                    used += 1
            entry = -1 if i < top else bucket[here]
    return True


@njit(cache=True)
def lengths_of_ways(next_link, head, length, out):  # type: ignore[no-untyped-def]
    """Metres from each node along `next_link` to the end of its way; the links form a forest."""
    n = next_link.size
    stack = np.empty(n, np.int32)
    for k in range(n):
        out[k] = -1.0
    for k in range(n):
        top, node = 0, k
        while out[node] < 0 and next_link[node] >= 0:
            stack[top] = node
            top += 1
            node = head[next_link[node]]
        if out[node] < 0:
            out[node] = 0.0
        far = out[node]
        while top > 0:
            top -= 1
            far += length[next_link[stack[top]] >> 1]
            out[stack[top]] = far
    return out


@njit(cache=True)
def latest_from_homes(latest, label, far, node, leg, edge, v, row, rows, worst, slice_s, when, goal, metres):  # type: ignore[no-untyped-def]  # fmt: skip
    """Latest departure of each home over the better of its two nodes (n, 2); -inf where none.

    `leg` are the metres to either node, walked along `edge`; `far` the metres on from each node.
    """
    for i in range(edge.size):
        when[i] = -np.inf
        goal[i] = -1
        metres[i] = np.nan
        if edge[i] < 0:
            continue
        for side in range(2):
            at = node[i, side]
            if latest[at] == -np.inf:
                continue
            t = latest_entry(
                latest[at], max(leg[i, side], 0.01), v, row[edge[i]], rows, worst, slice_s
            )
            way = leg[i, side] + far[at]
            if t > when[i] or (t == when[i] and t > -np.inf and way < metres[i]):
                when[i] = t
                goal[i] = label[at]
                metres[i] = way
