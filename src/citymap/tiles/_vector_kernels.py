"""Compiled kernel of the vector tile encoder."""

# mypy: disable-error-code="no-untyped-def,assignment"
from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _varint(out, at, n):
    n = np.uint64(n)
    while n > np.uint64(127):
        out[at] = np.uint8((n & np.uint64(127)) | np.uint64(128))
        at += 1
        n >>= np.uint64(7)
    out[at] = np.uint8(n)
    return at + 1


@njit(cache=True, nogil=True, inline="always")
def _zigzag(n):
    return np.uint64((n << 1) ^ (n >> 63))


@njit(cache=True, nogil=True, inline="always")
def _varint_size(n):
    n = np.uint64(n)
    size = 1
    while n > np.uint64(127):
        size += 1
        n >>= np.uint64(7)
    return size


@njit(cache=True, nogil=True)
def encode(kind, features, feature_part, part_vertex, xy, numbers, tags, scale, x0, y0, out):
    """Write the features of one layer (field 2 each) into `out`; returns the number of bytes.

    tags: key and value number, or −1, of each feature and column (n, columns, 2).

    Rings are written clockwise on the screen (y down) as they come: outer rings must have positive
    area in tile coordinates, holes negative; `vector.py` sees to that.
    """
    at = 0
    longest = 0
    total = 0
    for q in range(features.size):
        f = features[q]
        total = 0
        for p in range(feature_part[f], feature_part[f + 1]):
            total += part_vertex[p + 1] - part_vertex[p]
        longest = max(longest, total + 8 * (feature_part[f + 1] - feature_part[f]))
    geometry = np.empty(longest * 12 + 64, np.uint8)
    px = np.empty(longest + 1, np.int64)
    py = np.empty(longest + 1, np.int64)
    for q in range(features.size):
        f = features[q]
        g = 0
        cx = np.int64(0)
        cy = np.int64(0)
        alive = True
        if kind == 1:
            n = 0
            for p in range(feature_part[f], feature_part[f + 1]):
                n += part_vertex[p + 1] - part_vertex[p]
            if n == 0:
                continue
            g = _varint(geometry, g, (n << 3) | 1)
        for p in range(feature_part[f], feature_part[f + 1]):
            a = part_vertex[p]
            b = part_vertex[p + 1]
            n = 0
            for i in range(a, b):
                x = np.int64(np.floor((xy[i, 0] - x0) * scale + 0.5))
                y = np.int64(np.floor((xy[i, 1] - y0) * scale + 0.5))
                if kind != 1 and n > 0 and px[n - 1] == x and py[n - 1] == y:
                    continue
                px[n] = x
                py[n] = y
                n += 1
            if kind == 1:
                for i in range(n):
                    g = _varint(geometry, g, _zigzag(px[i] - cx))
                    g = _varint(geometry, g, _zigzag(py[i] - cy))
                    cx = px[i]
                    cy = py[i]
                continue
            if kind == 3:
                while n > 1 and px[n - 1] == px[0] and py[n - 1] == py[0]:
                    n -= 1
                area = np.int64(0)
                for i in range(n):
                    j = i + 1 if i + 1 < n else 0
                    area += px[i] * py[j] - px[j] * py[i]
                outer = p == feature_part[f] or _positive(xy, a, b)
                if outer:
                    alive = n >= 3 and area > 0
                if not alive or n < 3 or area == 0:
                    continue
                if (not outer) and area > 0:
                    continue
            elif n < 2:
                continue
            g = _varint(geometry, g, 9)
            g = _varint(geometry, g, _zigzag(px[0] - cx))
            g = _varint(geometry, g, _zigzag(py[0] - cy))
            g = _varint(geometry, g, ((n - 1) << 3) | 2)
            for i in range(1, n):
                g = _varint(geometry, g, _zigzag(px[i] - px[i - 1]))
                g = _varint(geometry, g, _zigzag(py[i] - py[i - 1]))
            cx = px[n - 1]
            cy = py[n - 1]
            if kind == 3:
                g = _varint(geometry, g, 15)
        if g == 0:
            continue
        tag_size = 0
        for j in range(tags.shape[1]):
            if tags[q, j, 1] >= 0:
                tag_size += _varint_size(tags[q, j, 0]) + _varint_size(tags[q, j, 1])
        size = 1 + _varint_size(numbers[q]) + 2 + 1 + _varint_size(g) + g
        if tag_size > 0:
            size += 1 + _varint_size(tag_size) + tag_size
        at = _varint(out, at, 18)
        at = _varint(out, at, size)
        at = _varint(out, at, 8)
        at = _varint(out, at, numbers[q])
        if tag_size > 0:
            at = _varint(out, at, 18)
            at = _varint(out, at, tag_size)
            for j in range(tags.shape[1]):
                if tags[q, j, 1] >= 0:
                    at = _varint(out, at, tags[q, j, 0])
                    at = _varint(out, at, tags[q, j, 1])
        at = _varint(out, at, 24)
        at = _varint(out, at, kind)
        at = _varint(out, at, 34)
        at = _varint(out, at, g)
        for i in range(g):
            out[at + i] = geometry[i]
        at += g
    return at


@njit(cache=True, nogil=True, inline="always")
def _positive(xy, a, b):
    area = 0.0
    for i in range(a, b):
        j = i + 1 if i + 1 < b else a
        area += (xy[i, 0] - xy[a, 0]) * (xy[j, 1] - xy[a, 1]) - (xy[j, 0] - xy[a, 0]) * (
            xy[i, 1] - xy[a, 1]
        )
    return area > 0.0
