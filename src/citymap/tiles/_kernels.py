"""Compiled kernels of the tile builder: WKB reading, planes, boxes, tile meshes."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

# WGS 84, the ellipsoid of EPSG:4979 (`crs.to_ecef` is the judge in tests).
_A = 6378137.0
_F = 1.0 / 298.257223563
_E2 = _F * (2.0 - _F)
_DEG = np.pi / 180.0
M_PER_DEG = _A * _DEG

WALL, ROOF, GROUND = 0, 1, 2


@njit(cache=True, nogil=True, inline="always")
def _u32(buf, at):
    return (
        np.int64(buf[at])
        | (np.int64(buf[at + 1]) << 8)
        | (np.int64(buf[at + 2]) << 16)
        | (np.int64(buf[at + 3]) << 24)
    )


@njit(cache=True, nogil=True)
def count_wkb(buf, offsets, totals):
    """Count polygons, rings and vertices (closing vertices left out) of polygonal WKB items.

    Returns the index of the first item that is not little-endian polygonal WKB, or -1.
    """
    polygons = 0
    rings = 0
    vertices = 0
    for i in range(offsets.size - 1):
        at = offsets[i]
        if offsets[i + 1] - at < 9:
            continue
        if buf[at] != 1:
            return i
        code = _u32(buf, at + 1)
        dims = 3 if (code & 0x80000000) or (code % 0x10000000) // 1000 == 1 else 2
        base = (code & 0x0FFFFFFF) % 1000
        if base == 6:
            n = _u32(buf, at + 5)
            at += 9
        elif base == 3:
            n = 1
        else:
            return i
        for _ in range(n):
            if buf[at] != 1:
                return i
            r = _u32(buf, at + 5)
            at += 9
            polygons += 1
            for _ in range(r):
                m = _u32(buf, at)
                at += 4 + 8 * dims * m
                rings += 1
                vertices += max(m - 1, 0)
    totals[0] = polygons
    totals[1] = rings
    totals[2] = vertices
    return -1


@njit(cache=True, nogil=True)
def read_wkb(buf, offsets, item_of_polygon, polygon_ring, ring_vertex, coords):
    """Fill flat arrays: rings of polygon p are polygon_ring[p]:polygon_ring[p+1], and so on."""
    scratch = np.empty(1, np.uint64)
    value = scratch.view(np.float64)
    p = 0
    r = 0
    v = 0
    for i in range(offsets.size - 1):
        at = offsets[i]
        if offsets[i + 1] - at < 9:
            continue
        code = _u32(buf, at + 1)
        dims = 3 if (code & 0x80000000) or (code % 0x10000000) // 1000 == 1 else 2
        n = 1
        if (code & 0x0FFFFFFF) % 1000 == 6:
            n = _u32(buf, at + 5)
            at += 9
        for _ in range(n):
            nr = _u32(buf, at + 5)
            at += 9
            item_of_polygon[p] = i
            polygon_ring[p] = r
            p += 1
            for _ in range(nr):
                m = _u32(buf, at)
                at += 4
                ring_vertex[r] = v
                r += 1
                for _ in range(max(m - 1, 0)):
                    for d in range(dims):
                        bits = np.uint64(0)
                        for z in range(8):
                            bits |= np.uint64(buf[at + z]) << np.uint64(8 * z)
                        scratch[0] = bits
                        coords[v, d] = value[0]
                        at += 8
                    v += 1
                if m > 0:
                    at += 8 * dims
    polygon_ring[p] = r
    ring_vertex[r] = v


@njit(cache=True, nogil=True)
def planes(polygon_ring, ring_vertex, coords, normals, convex, z_range):
    """Unit normal (east, north, up) by Newell over the outer ring, convexity, and lowest/highest z.

    convex: 1 a fan triangulates it, 0 it needs ear cutting, -1 it has no area.
    """
    for p in range(polygon_ring.size - 1):
        r = polygon_ring[p]
        a = ring_vertex[r]
        b = ring_vertex[r + 1]
        n = b - a
        lo = np.inf
        hi = -np.inf
        if n < 3:
            convex[p] = -1
            z_range[p, 0] = coords[a, 2] if n > 0 else np.nan
            z_range[p, 1] = z_range[p, 0]
            continue
        ky = M_PER_DEG
        kx = M_PER_DEG * np.cos(coords[a, 1] * _DEG)
        nx = 0.0
        ny = 0.0
        nz = 0.0
        for i in range(a, b):
            j = i + 1 if i + 1 < b else a
            x0 = (coords[i, 0] - coords[a, 0]) * kx
            y0 = (coords[i, 1] - coords[a, 1]) * ky
            z0 = coords[i, 2] - coords[a, 2]
            x1 = (coords[j, 0] - coords[a, 0]) * kx
            y1 = (coords[j, 1] - coords[a, 1]) * ky
            z1 = coords[j, 2] - coords[a, 2]
            nx += (y0 - y1) * (z0 + z1)
            ny += (z0 - z1) * (x0 + x1)
            nz += (x0 - x1) * (y0 + y1)
            lo = min(lo, coords[i, 2])
            hi = max(hi, coords[i, 2])
        z_range[p, 0] = lo
        z_range[p, 1] = hi
        size = np.sqrt(nx * nx + ny * ny + nz * nz)
        if not size > 1e-3:  # twice the area, m²
            convex[p] = -1
            continue
        nx /= size
        ny /= size
        nz /= size
        normals[p, 0] = nx
        normals[p, 1] = ny
        normals[p, 2] = nz
        if polygon_ring[p + 1] - r > 1:
            convex[p] = 0
            continue
        convex[p] = 1
        if n == 3:
            continue
        for i in range(a, b):
            j = i + 1 if i + 1 < b else a
            k = j + 1 if j + 1 < b else a
            ax = (coords[j, 0] - coords[i, 0]) * kx
            ay = (coords[j, 1] - coords[i, 1]) * ky
            az = coords[j, 2] - coords[i, 2]
            bx = (coords[k, 0] - coords[j, 0]) * kx
            by = (coords[k, 1] - coords[j, 1]) * ky
            bz = coords[k, 2] - coords[j, 2]
            turn = nx * (ay * bz - az * by) + ny * (az * bx - ax * bz) + nz * (ax * by - ay * bx)
            if turn < -1e-4:
                convex[p] = 0
                break


@njit(cache=True, nogil=True)
def fans(polygons, polygon_ring, ring_vertex, flip, triangle_start, triangles):
    """Triangles (vertex numbers within the polygon) of convex polygons."""
    for q in range(polygons.size):
        p = polygons[q]
        r = polygon_ring[p]
        n = ring_vertex[r + 1] - ring_vertex[r]
        t = triangle_start[p]
        for k in range(1, n - 1):
            triangles[t, 0] = 0
            triangles[t, 1] = k + 1 if flip[p] else k
            triangles[t, 2] = k if flip[p] else k + 1
            t += 1


@njit(cache=True, nogil=True)
def boxes(row_ring, ring_vertex, coords, bottom, top, out, error):
    """The smallest upright box around each row's footprint, as five quads of lon, lat, z.

    row_ring: first outer ring and one past the last (n, 2) of each row; out: (n, 20, 3), four
    walls then the roof; error: greatest distance of a box corner from the footprint (m), NaN
    where there is no footprint.
    """
    for row in range(row_ring.shape[0]):
        error[row] = np.nan
        r0 = row_ring[row, 0]
        r1 = row_ring[row, 1]
        if r1 <= r0:
            continue
        a = ring_vertex[r0]
        b = ring_vertex[r1]
        if b - a < 3:
            continue
        lon0 = coords[a, 0]
        lat0 = coords[a, 1]
        kx = M_PER_DEG * np.cos(lat0 * _DEG)
        best = np.inf
        c = 1.0
        s = 0.0
        x_lo = x_hi = y_lo = y_hi = 0.0
        edges = min(b - a, 64)
        for e in range(edges):
            i = a + e
            j = i + 1 if i + 1 < b else a
            dx = (coords[j, 0] - coords[i, 0]) * kx
            dy = (coords[j, 1] - coords[i, 1]) * M_PER_DEG
            size = np.sqrt(dx * dx + dy * dy)
            if size < 0.1:
                continue
            cc = dx / size
            ss = dy / size
            u0 = np.inf
            u1 = -np.inf
            v0 = np.inf
            v1 = -np.inf
            for k in range(a, b):
                x = (coords[k, 0] - lon0) * kx
                y = (coords[k, 1] - lat0) * M_PER_DEG
                u = x * cc + y * ss
                v = y * cc - x * ss
                u0 = min(u0, u)
                u1 = max(u1, u)
                v0 = min(v0, v)
                v1 = max(v1, v)
            area = (u1 - u0) * (v1 - v0)
            if area < best:
                best = area
                c = cc
                s = ss
                x_lo = u0
                x_hi = u1
                y_lo = v0
                y_hi = v1
        if not np.isfinite(best):
            continue
        us = (x_lo, x_hi, x_hi, x_lo)
        vs = (y_lo, y_lo, y_hi, y_hi)
        worst = 0.0
        for k in range(4):
            x = us[k] * c - vs[k] * s
            y = us[k] * s + vs[k] * c
            near = np.inf
            for r in range(r0, r1):
                for i in range(ring_vertex[r], ring_vertex[r + 1]):
                    j = i + 1 if i + 1 < ring_vertex[r + 1] else ring_vertex[r]
                    px = (coords[i, 0] - lon0) * kx
                    py = (coords[i, 1] - lat0) * M_PER_DEG
                    qx = (coords[j, 0] - lon0) * kx - px
                    qy = (coords[j, 1] - lat0) * M_PER_DEG - py
                    d2 = qx * qx + qy * qy
                    t = 0.0
                    if d2 > 0.0:
                        t = min(1.0, max(0.0, ((x - px) * qx + (y - py) * qy) / d2))
                    near = min(near, np.hypot(x - px - t * qx, y - py - t * qy))
            worst = max(worst, near)
            lon = lon0 + x / kx
            lat = lat0 + y / M_PER_DEG
            before = (k + 3) % 4
            # wall k runs from corner k to corner k+1: bottom k, bottom k+1, top k+1, top k
            out[row, 4 * k, 0] = lon
            out[row, 4 * k, 1] = lat
            out[row, 4 * k, 2] = bottom[row]
            out[row, 4 * before + 1, 0] = lon
            out[row, 4 * before + 1, 1] = lat
            out[row, 4 * before + 1, 2] = bottom[row]
            out[row, 4 * before + 2, 0] = lon
            out[row, 4 * before + 2, 1] = lat
            out[row, 4 * before + 2, 2] = top[row]
            out[row, 4 * k + 3, 0] = lon
            out[row, 4 * k + 3, 1] = lat
            out[row, 4 * k + 3, 2] = top[row]
            out[row, 16 + k, 0] = lon
            out[row, 16 + k, 1] = lat
            out[row, 16 + k, 2] = top[row]
        error[row] = worst


@njit(cache=True, nogil=True, inline="always")
def _ecef(lon, lat, h):
    sl = np.sin(lat * _DEG)
    cl = np.cos(lat * _DEG)
    n = _A / np.sqrt(1.0 - _E2 * sl * sl)
    return (
        (n + h) * cl * np.cos(lon * _DEG),
        (n + h) * cl * np.sin(lon * _DEG),
        (n * (1.0 - _E2) + h) * sl,
    )


@njit(cache=True, nogil=True)
def mesh(
    rows, first, last, vertex_start, coords, triangle_start, triangles, surface, geoid,
    origin, axes, positions, normals, features, surfaces, indices, feature_z
):  # fmt: skip
    """Vertices of the polygons first[r]:last[r] of each row r, in the tile's frame.

    origin: ECEF of the tile (3); axes: rows east, north, up (3, 3). positions: east, north, up (m,
    float64); normals likewise; feature_z: lowest and highest ellipsoidal height of each feature.
    Returns the number of vertices and of indices.
    """
    v = 0
    t = 0
    for f in range(rows.size):
        row = rows[f]
        feature_z[f, 0] = np.inf
        feature_z[f, 1] = -np.inf
        for p in range(first[row], last[row]):
            base = v
            for i in range(vertex_start[p], vertex_start[p + 1]):
                h = coords[i, 2] + geoid[row]
                feature_z[f, 0] = min(feature_z[f, 0], h)
                feature_z[f, 1] = max(feature_z[f, 1], h)
                x, y, z = _ecef(coords[i, 0], coords[i, 1], h)
                x -= origin[0]
                y -= origin[1]
                z -= origin[2]
                for d in range(3):
                    positions[v, d] = x * axes[d, 0] + y * axes[d, 1] + z * axes[d, 2]
                features[v] = f
                surfaces[v] = surface[p]
                v += 1
            nx = 0.0
            ny = 0.0
            nz = 0.0
            for k in range(triangle_start[p], triangle_start[p + 1]):
                a = base + triangles[k, 0]
                b = base + triangles[k, 1]
                c = base + triangles[k, 2]
                indices[t] = a
                indices[t + 1] = b
                indices[t + 2] = c
                t += 3
                ux = positions[b, 0] - positions[a, 0]
                uy = positions[b, 1] - positions[a, 1]
                uz = positions[b, 2] - positions[a, 2]
                wx = positions[c, 0] - positions[a, 0]
                wy = positions[c, 1] - positions[a, 1]
                wz = positions[c, 2] - positions[a, 2]
                nx += uy * wz - uz * wy
                ny += uz * wx - ux * wz
                nz += ux * wy - uy * wx
            size = np.sqrt(nx * nx + ny * ny + nz * nz)
            if size > 0.0:
                nx /= size
                ny /= size
                nz /= size
            else:
                nz = 1.0
            for i in range(base, v):
                normals[i, 0] = nx
                normals[i, 1] = ny
                normals[i, 2] = nz
    return v, t


@njit(cache=True, nogil=True)
def quantise(positions, normals, centre, scale, out_positions, out_normals):
    """int16 positions (x east, y up, z south, 4th value padding) and int8 normals, glTF's y-up."""
    for i in range(positions.shape[0]):
        out_positions[i, 0] = np.int16(np.rint((positions[i, 0] - centre[0]) / scale))
        out_positions[i, 1] = np.int16(np.rint((positions[i, 2] - centre[2]) / scale))
        out_positions[i, 2] = np.int16(np.rint(-(positions[i, 1] - centre[1]) / scale))
        out_normals[i, 0] = np.int8(np.rint(normals[i, 0] * 127.0))
        out_normals[i, 1] = np.int8(np.rint(normals[i, 2] * 127.0))
        out_normals[i, 2] = np.int8(np.rint(-normals[i, 1] * 127.0))
