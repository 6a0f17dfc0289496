"""Compiled kernels of the building reader: byte scanner, number parsing, WKB, string gathering.

Nothing here knows Python objects; `strict.py` holds the readable reference that tests compare with.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Status of a scan.
OK, ROOT_END, NEEDS_STRICT, GROW = 0, 1, 2, 3

_LT, _GT, _SLASH, _EQ, _BANG, _QUEST, _COLON, _DASH = 60, 62, 47, 61, 33, 63, 58, 45
_FNV, _PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)
_POW10 = 10.0 ** np.arange(23)
MAX_DEPTH = 96

# Meanings, from vocabulary.py (numba wants plain module constants).
_MODEL, _BUILDING, _PART, _INSTALLATION, _IMAGE, _SURFACE_BASE = 34, 2, 3, 4, 5, 10
_POLYGON, _RING, _POSLIST, _POS, _LOD_BASE = 30, 31, 32, 33, 100
_KIND_INSTALLATION, _KIND_FOOTPRINT, _KIND_ROOF_EDGE = 7, 8, 9


@njit(cache=True, nogil=True)
def hash_bytes(buf, start, end):
    """64-bit FNV-1a of buf[start:end]."""
    h = _FNV
    for i in range(start, end):
        h = (h ^ np.uint64(buf[i])) * _PRIME
    return h


@njit(cache=True, nogil=True, inline="always")
def _is_space(c):
    return c == 32 or c == 10 or c == 9 or c == 13


@njit(cache=True, nogil=True)
def parse_number(buf, i, end):
    """One decimal number at i: (value, next index); next index −1 when it is not a number."""
    sign = 1.0
    if i < end and (buf[i] == 45 or buf[i] == 43):
        if buf[i] == 45:
            sign = -1.0
        i += 1
    mantissa = np.uint64(0)
    digits = 0
    scale = 0
    seen = False
    while i < end:
        c = np.uint64(buf[i]) - np.uint64(48)
        if c > np.uint64(9):
            break
        if digits < 18:
            mantissa = mantissa * np.uint64(10) + c
            if mantissa > np.uint64(0):
                digits += 1
        else:
            scale += 1
        seen = True
        i += 1
    if i < end and buf[i] == 46:
        i += 1
        while i < end:
            c = np.uint64(buf[i]) - np.uint64(48)
            if c > np.uint64(9):
                break
            if digits < 18:
                mantissa = mantissa * np.uint64(10) + c
                if mantissa > np.uint64(0):
                    digits += 1
                scale -= 1
            seen = True
            i += 1
    if not seen:
        return 0.0, -1
    if i < end and (buf[i] == 69 or buf[i] == 101):
        j = i + 1
        esign = 1
        if j < end and (buf[j] == 45 or buf[j] == 43):
            if buf[j] == 45:
                esign = -1
            j += 1
        e = 0
        k = j
        while j < end and 48 <= buf[j] <= 57:
            if e < 10000:
                e = e * 10 + (buf[j] - 48)
            j += 1
        if j == k:
            return 0.0, -1
        scale += esign * e
        i = j
    value = float(mantissa)
    while scale < -22:
        value /= 1e22
        scale += 22
    while scale > 22:
        value *= 1e22
        scale -= 22
        if value == np.inf:
            return sign * value, i
    if scale < 0:
        value /= _POW10[-scale]
    elif scale > 0:
        value *= _POW10[scale]
    return sign * value, i


@njit(cache=True, nogil=True)
def parse_floats(buf, starts, ends):
    """float64 of each slice; NaN where it is not a number (or nothing)."""
    out = np.empty(starts.size, np.float64)
    for k in range(starts.size):
        i, e = starts[k], ends[k]
        out[k] = np.nan
        if i < e:
            v, j = parse_number(buf, i, e)
            if j == e:
                out[k] = v
    return out


@njit(cache=True, nogil=True)
def _parse_positions(buf, i, end, dim, coords, n):
    """Numbers of buf[i:end] into coords[n:], lat lon h → lon lat h: (new n, good)."""
    first = n
    k = 0
    a = 0.0
    b = 0.0
    cap = coords.shape[0]
    while True:
        while i < end and _is_space(buf[i]):
            i += 1
        if i >= end:
            break
        v, i = parse_number(buf, i, end)
        if i < 0 or (i < end and not _is_space(buf[i])):
            return first, False
        if k == 0:
            a = v
            k = 1
        elif k == 1:
            b = v
            k = 2
            if dim == 2:
                if n >= cap:
                    return -1, False
                coords[n, 0] = b
                coords[n, 1] = a
                coords[n, 2] = np.nan
                n += 1
                k = 0
        else:
            if n >= cap:
                return -1, False
            coords[n, 0] = b
            coords[n, 1] = a
            coords[n, 2] = v
            n += 1
            k = 0
    return n, k == 0


@njit(cache=True, nogil=True)
def _lookup(table_hash, table_value, h):
    mask = np.uint64(table_hash.size - 1)
    slot = h & mask
    while table_value[slot] >= 0:
        if table_hash[slot] == h:
            return table_value[slot]
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@njit(cache=True, nogil=True)
def put(table_hash, table_value, h, value):
    """Enter `value` under hash `h` in an open-addressing table (size a power of two)."""
    mask = np.uint64(table_hash.size - 1)
    slot = h & mask
    while table_value[slot] >= 0:
        slot = (slot + np.uint64(1)) & mask
    table_hash[slot] = h
    table_value[slot] = value


# Columns of the integer tables that `scan` fills.
B_START, B_END, B_ID0, B_ID1 = 0, 1, 2, 3  # building
L_BLDG, L_NAME, L_PARENT, L_ITEM, L_T0, L_T1, L_C0, L_C1, L_A0, L_A1, L_PART = range(11)
L_GRAND, L_GRANDITEM, L_G0, L_G1 = 11, 12, 13, 14
LEAF_COLUMNS = 15
P_BLDG, P_LOD, P_KIND, P_PART, P_RING, P_BAD, P_SOLID, P_START = range(8)
H_BLDG, H_LOD, H_KIND, H_SOLID = range(4)


@njit(cache=True, nogil=True)
def scan(
    buf, start, end, dim,
    local_hash, local_value,
    name_hash, name_value, name_meaning, name_span, counts,
    buildings, leaves, polygons, polygon_hash, rings, coords, hrefs, href_hash, declared,
):  # fmt: skip
    """Scan well-formed UTF-8 XML of whole cityObjectMembers into tables.

    `counts` holds how far each table is filled: names, buildings, leaves, polygons, rings, coords,
    hrefs, declared, element serial. Returns a status and the offset where it stopped.
    """
    n_name, n_b, n_l, n_p, n_r, n_c, n_h, n_d, serial = (
        counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], counts[7], counts[8],
    )  # fmt: skip
    s_name = np.empty(MAX_DEPTH, np.int64)
    s_serial = np.empty(MAX_DEPTH, np.int64)
    s_child = np.empty(MAX_DEPTH, np.int64)
    s_text = np.empty(MAX_DEPTH, np.int64)
    s_c0 = np.empty(MAX_DEPTH, np.int64)
    s_c1 = np.empty(MAX_DEPTH, np.int64)
    s_a0 = np.empty(MAX_DEPTH, np.int64)
    s_a1 = np.empty(MAX_DEPTH, np.int64)
    depth = 0
    b_depth = -1  # depth of the open building, −1 outside
    part = 0
    n_part = 0
    part_depth = -1
    lod_depth = -1
    lod = 0
    form = 0
    kind_depth = -1
    kind = 0
    inst_depth = -1
    poly_depth = -1
    bad_ring = False
    i = start
    while True:
        while i < end and buf[i] != _LT:
            i += 1
        if i + 1 >= end:
            if i < end:
                return NEEDS_STRICT, i
            break
        tag = i
        i += 1
        c = buf[i]
        if c == _SLASH:
            i += 1
            h = _FNV
            while i < end and buf[i] != _GT and not _is_space(buf[i]):
                h = (h ^ np.uint64(buf[i])) * _PRIME
                i += 1
            while i < end and buf[i] != _GT:
                if not _is_space(buf[i]):
                    return NEEDS_STRICT, tag
                i += 1
            if i >= end:
                return NEEDS_STRICT, tag
            i += 1
            if depth == 0:
                j = tag + 2
                while buf[j] != _COLON and buf[j] != _GT:
                    j += 1
                j = j + 1 if buf[j] == _COLON else tag + 2
                e = j
                while buf[e] != _GT and not _is_space(buf[e]):
                    e += 1
                if _lookup(local_hash, local_value, hash_bytes(buf, j, e)) == _MODEL:
                    counts[0], counts[1], counts[2], counts[3], counts[4] = (
                        n_name,
                        n_b,
                        n_l,
                        n_p,
                        n_r,
                    )
                    counts[5], counts[6], counts[7], counts[8] = n_c, n_h, n_d, serial
                    return ROOT_END, i
                return NEEDS_STRICT, tag
            depth -= 1
            nid = s_name[depth]
            if name_hash_of(name_span, nid) != h:
                return NEEDS_STRICT, tag
            meaning = name_meaning[nid]
            if meaning == 0 or (meaning == _IMAGE and b_depth < 0):
                if s_child[depth] == 0 and lod_depth < 0 and (b_depth >= 0 or meaning == _IMAGE):
                    t0 = s_text[depth]
                    t1 = tag
                    while t0 < t1 and _is_space(buf[t0]):
                        t0 += 1
                    while t1 > t0 and _is_space(buf[t1 - 1]):
                        t1 -= 1
                    if t1 > t0:
                        if n_l >= leaves.shape[0]:
                            return GROW, 2
                        row = leaves[n_l]
                        row[L_BLDG] = n_b if b_depth >= 0 else -1
                        row[L_NAME] = nid
                        row[L_PARENT] = s_name[depth - 1]
                        row[L_ITEM] = s_serial[depth - 1]
                        row[L_T0] = t0
                        row[L_T1] = t1
                        row[L_C0] = s_c0[depth]
                        row[L_C1] = s_c1[depth]
                        # the name="…" of this element or of its parent (generic attributes)
                        if s_a1[depth] > 0:
                            row[L_A0] = s_a0[depth]
                            row[L_A1] = s_a1[depth]
                        else:
                            row[L_A0] = s_a0[depth - 1]
                            row[L_A1] = s_a1[depth - 1]
                        row[L_PART] = part
                        if depth >= 2:
                            row[L_GRAND] = s_name[depth - 2]
                            row[L_GRANDITEM] = s_serial[depth - 2]
                            row[L_G0] = s_a0[depth - 2]
                            row[L_G1] = s_a1[depth - 2]
                        else:
                            row[L_GRAND] = -1
                            row[L_GRANDITEM] = -1
                            row[L_G0] = 0
                            row[L_G1] = 0
                        n_l += 1
            elif meaning == _POSLIST or meaning == _POS:
                if poly_depth >= 0:
                    m, good = _parse_positions(buf, s_text[depth], tag, s_c0[depth], coords, n_c)
                    if m < 0:
                        return GROW, 5
                    n_c = m
                    if not good:
                        bad_ring = True
            elif meaning == _POLYGON:
                if poly_depth == depth:
                    if bad_ring:
                        polygons[n_p, P_BAD] = 1
                    poly_depth = -1
                    n_p += 1
            elif meaning >= _LOD_BASE:
                if lod_depth == depth:
                    lod_depth = -1
            elif _SURFACE_BASE < meaning < 30:
                if kind_depth == depth:
                    kind_depth = -1
            elif meaning == _PART:
                if part_depth == depth:
                    part_depth = -1
                    part = 0
            elif meaning == _INSTALLATION:
                if inst_depth == depth:
                    inst_depth = -1
            elif meaning == _BUILDING and b_depth == depth:
                buildings[n_b, B_END] = i
                n_b += 1
                b_depth = -1
            if depth > 0:
                s_child[depth - 1] = 1
            continue
        if c == _BANG:
            if i + 2 < end and buf[i + 1] == _DASH and buf[i + 2] == _DASH:
                if depth > 0 and s_child[depth - 1] == 0:
                    # a comment inside a text would cut it in two: leave that to the strict reader
                    j = s_text[depth - 1]
                    while j < tag and _is_space(buf[j]):
                        j += 1
                    if j < tag:
                        return NEEDS_STRICT, tag
                j = i + 3
                while j + 2 < end and not (
                    buf[j] == _DASH and buf[j + 1] == _DASH and buf[j + 2] == _GT
                ):
                    j += 1
                if j + 2 >= end:
                    return NEEDS_STRICT, tag
                i = j + 3
                if depth > 0:
                    j = i
                    while j < end and _is_space(buf[j]):
                        j += 1
                    if j < end and buf[j] != _LT:
                        return NEEDS_STRICT, tag
                continue
            return NEEDS_STRICT, tag
        if c == _QUEST:
            return NEEDS_STRICT, tag
        # a start tag
        n0 = i
        h = _FNV
        colon = i
        while i < end:
            c = buf[i]
            if c == _GT or c == _SLASH or _is_space(c):
                break
            if c == _COLON:
                colon = i + 1
            h = (h ^ np.uint64(c)) * _PRIME
            i += 1
        if i >= end or i == n0:
            return NEEDS_STRICT, tag
        nid = _lookup(name_hash, name_value, h)
        if nid < 0:
            if n_name >= name_meaning.size:
                return NEEDS_STRICT, tag
            nid = n_name
            n_name += 1
            put(name_hash, name_value, h, nid)
            name_span[nid, 0] = n0
            name_span[nid, 1] = i
            name_span[nid, 2] = np.int64(h)
            m = _lookup(local_hash, local_value, hash_bytes(buf, colon, i))
            name_meaning[nid] = m if m >= 0 else 0
            # the caller keeps the names' bytes: their offsets hold for this buffer only
            name_span[nid, 3] = 1
        meaning = name_meaning[nid]
        if depth >= MAX_DEPTH:
            return NEEDS_STRICT, tag
        s_name[depth] = nid
        serial += 1
        s_serial[depth] = serial
        s_child[depth] = 0
        s_c0[depth] = 0
        s_c1[depth] = 0
        s_a0[depth] = 0
        s_a1[depth] = 0
        id0 = 0
        id1 = 0
        r0 = 0
        r1 = 0
        d0 = 0
        empty = False
        while True:
            while i < end and _is_space(buf[i]):
                i += 1
            if i >= end:
                return NEEDS_STRICT, tag
            c = buf[i]
            if c == _GT:
                i += 1
                break
            if c == _SLASH:
                if i + 1 >= end or buf[i + 1] != _GT:
                    return NEEDS_STRICT, tag
                empty = True
                i += 2
                break
            a0 = i
            while i < end and buf[i] != _EQ and not _is_space(buf[i]) and buf[i] != _GT:
                i += 1
            a1 = i
            while i < end and _is_space(buf[i]):
                i += 1
            if i >= end or buf[i] != _EQ:
                return NEEDS_STRICT, tag
            i += 1
            while i < end and _is_space(buf[i]):
                i += 1
            if i >= end or (buf[i] != 34 and buf[i] != 39):
                return NEEDS_STRICT, tag
            quote = buf[i]
            i += 1
            v0 = i
            while i < end and buf[i] != quote and buf[i] != _LT:
                i += 1
            if i >= end or buf[i] == _LT:
                return NEEDS_STRICT, tag
            v1 = i
            i += 1
            length = a1 - a0
            c = buf[a0]
            if length == 6 and c == 103 and buf[a0 + 4] == 105:  # gml:id
                id0, id1 = v0, v1
            elif length == 9 and c == 99 and buf[a0 + 1] == 111:  # codeSpace
                s_c0[depth] = v0
                s_c1[depth] = v1
            elif length == 4 and c == 110 and buf[a0 + 1] == 97:  # name
                s_a0[depth] = v0
                s_a1[depth] = v1
            elif length == 10 and c == 120 and buf[a0 + 6] == 104:  # xlink:href
                r0, r1 = v0, v1
            elif length == 12 and c == 115 and buf[a0 + 3] == 68:  # srsDimension
                d0 = buf[v0] - 48
            elif length >= 5 and c == 120 and buf[a0 + 1] == 109 and buf[a0 + 2] == 108:  # xmlns…
                if buf[a0 + 3] == 110:
                    if n_d >= declared.shape[0]:
                        return NEEDS_STRICT, tag
                    declared[n_d, 0] = a0
                    declared[n_d, 1] = a1
                    declared[n_d, 2] = v0
                    declared[n_d, 3] = v1
                    n_d += 1
        s_text[depth] = i
        if meaning != 0:
            if meaning == _BUILDING:
                if b_depth < 0 and not empty:
                    if n_b >= buildings.shape[0]:
                        return GROW, 1
                    b_depth = depth
                    buildings[n_b, B_START] = tag
                    buildings[n_b, B_END] = -1
                    buildings[n_b, B_ID0] = id0
                    buildings[n_b, B_ID1] = id1
                    part = 0
                    n_part = 0
                    part_depth = -1
                    lod_depth = -1
                    kind_depth = -1
                    inst_depth = -1
                    poly_depth = -1
            elif b_depth >= 0:
                if meaning == _POLYGON:
                    if lod_depth >= 0 and not empty and poly_depth < 0:
                        if n_p >= polygons.shape[0]:
                            return GROW, 3
                        poly_depth = depth
                        bad_ring = False
                        row = polygons[n_p]
                        row[P_BLDG] = n_b
                        row[P_LOD] = lod
                        row[P_SOLID] = 0
                        if form == 0:
                            row[P_KIND] = _KIND_FOOTPRINT
                        elif form == 1:
                            row[P_KIND] = _KIND_ROOF_EDGE
                        elif inst_depth >= 0:
                            row[P_KIND] = _KIND_INSTALLATION
                        elif kind_depth >= 0:
                            row[P_KIND] = kind
                        else:
                            row[P_KIND] = 0
                            row[P_SOLID] = 1
                        row[P_PART] = part
                        row[P_RING] = n_r
                        row[P_BAD] = 0
                        row[P_START] = tag
                        polygon_hash[n_p] = hash_bytes(buf, id0, id1)
                elif meaning == _RING:
                    if poly_depth >= 0:
                        if n_r + 1 >= rings.size:
                            return GROW, 4
                        rings[n_r] = n_c
                        n_r += 1
                elif meaning == _POSLIST or meaning == _POS:
                    s_c0[depth] = d0 if d0 else dim
                elif meaning >= _LOD_BASE:
                    if lod_depth < 0 and not empty:
                        lod_depth = depth
                        lod = (meaning - _LOD_BASE) // 10
                        form = (meaning - _LOD_BASE) % 10
                elif _SURFACE_BASE < meaning < 30:
                    if not empty:
                        kind_depth = depth
                        kind = meaning - _SURFACE_BASE
                elif meaning == _PART:
                    if not empty:
                        part_depth = depth
                        n_part += 1
                        part = n_part
                elif meaning == _INSTALLATION and not empty:
                    inst_depth = depth
        if r1 > r0 and lod_depth >= 0 and b_depth >= 0 and buf[r0] == 35:
            if n_h >= hrefs.shape[0]:
                return GROW, 6
            hrefs[n_h, H_BLDG] = n_b
            hrefs[n_h, H_LOD] = lod
            hrefs[n_h, H_KIND] = kind if kind_depth >= 0 else 0
            hrefs[n_h, H_SOLID] = 0 if kind_depth >= 0 else 1
            href_hash[n_h] = hash_bytes(buf, r0 + 1, r1)
            n_h += 1
        if empty:
            if depth > 0:
                s_child[depth - 1] = 1
        else:
            if depth > 0:
                # mixed content is not GML
                s_child[depth - 1] = 1
            depth += 1
    if depth != 0:
        return NEEDS_STRICT, end
    counts[0], counts[1], counts[2], counts[3], counts[4] = n_name, n_b, n_l, n_p, n_r
    counts[5], counts[6], counts[7], counts[8] = n_c, n_h, n_d, serial
    return OK, end


@njit(cache=True, nogil=True, inline="always")
def name_hash_of(name_span, nid):
    """The stored hash of a name."""
    return np.uint64(name_span[nid, 2])


@njit(cache=True, nogil=True)
def gather(buf, starts, ends, out, offsets):
    """Copy slices into `out` with Arrow offsets; returns True when one holds an '&'."""
    n = 0
    entity = False
    for k in range(starts.size):
        offsets[k] = n
        for i in range(starts[k], ends[k]):
            c = buf[i]
            if c == 38:
                entity = True
            out[n] = c
            n += 1
    offsets[starts.size] = n
    return entity


@njit(cache=True, nogil=True)
def ring_area(coords, a, b, k_lon, k_lat):
    """Signed area in m² of the ring coords[a:b] (lon, lat) by the shoelace formula."""
    if b - a < 3:
        return 0.0
    x0 = coords[a, 0]
    y0 = coords[a, 1]
    s = 0.0
    for i in range(a, b - 1):
        s += (coords[i, 0] - x0) * (coords[i + 1, 1] - y0) - (coords[i + 1, 0] - x0) * (
            coords[i, 1] - y0
        )
    return 0.5 * s * k_lon * k_lat


@njit(cache=True, nogil=True)
def metres_per_degree(lat):
    """Metres per degree of longitude and latitude on GRS80 at `lat` degrees."""
    phi = np.deg2rad(lat)
    e2 = 0.00669438002290
    w2 = 1.0 - e2 * np.sin(phi) ** 2
    n = 6378137.0 / np.sqrt(w2)
    m = n * (1.0 - e2) / w2
    return np.deg2rad(1.0) * n * np.cos(phi), np.deg2rad(1.0) * m


@njit(cache=True, nogil=True, inline="always")
def _put_u32(out, at, value):
    out[at] = value & 255
    out[at + 1] = (value >> 8) & 255
    out[at + 2] = (value >> 16) & 255
    out[at + 3] = (value >> 24) & 255
    return at + 4


@njit(cache=True, nogil=True)
def write_wkb(
    order,
    group_start,
    ring_start,
    ring_end_of_poly,
    coords,
    ring_coord_end,
    dims,
    single,
    orient,
    out,
    offsets,
):
    """WKB of one (multi)polygon per group of polygons.

    order: polygon indices sorted by group; group_start: first position of each group in `order`
    (len groups + 1); ring_start/ring_end_of_poly: rings of each polygon; dims 2 or 3; `single`:
    write a Polygon where a group has one polygon; `orient`: exteriors counter-clockwise.
    """
    at = 0
    code = np.int64(3) if dims == 2 else np.int64(1003)
    mcode = np.int64(6) if dims == 2 else np.int64(1006)
    value = np.empty(1, np.float64)
    raw = value.view(np.uint8)
    for g in range(group_start.size - 1):
        offsets[g] = at
        a = group_start[g]
        b = group_start[g + 1]
        if a == b:
            continue
        if not (single and b - a == 1):
            out[at] = 1
            at = _put_u32(out, at + 1, mcode)
            at = _put_u32(out, at, b - a)
        for k in range(a, b):
            p = order[k]
            out[at] = 1
            at = _put_u32(out, at + 1, code)
            r0 = ring_start[p]
            r1 = ring_end_of_poly[p]
            at = _put_u32(out, at, r1 - r0)
            for r in range(r0, r1):
                c0 = ring_start_coord(ring_coord_end, r)
                c1 = ring_coord_end[r]
                n = c1 - c0
                at = _put_u32(out, at, n)
                reverse = False
                if orient:
                    area = ring_area(coords, c0, c1, 1.0, 1.0)
                    reverse = (area < 0.0) if r == r0 else (area > 0.0)
                for q in range(n):
                    ci = c1 - 1 - q if reverse else c0 + q
                    for d in range(dims):
                        value[0] = coords[ci, d]
                        for z in range(8):
                            out[at + z] = raw[z]
                        at += 8
    offsets[group_start.size - 1] = at
    return at


@njit(cache=True, nogil=True, inline="always")
def ring_start_coord(ring_coord_end, r):
    """First coordinate of ring r (rings are stored back to back)."""
    return ring_coord_end[r - 1] if r > 0 else 0


@njit(cache=True, nogil=True)
def check_polygons(p_ring, p_ring_end, ring_coord_end, coords, bad, west, south, east, north):
    """Mark polygons whose rings are too short, open, not finite or outside the bounds.

    bad: 0 good, 1 unreadable numbers (already set), 2 ring not closed or under 4 positions,
    3 outside the bounds, 4 outside but inside with lon and lat swapped.
    """
    for p in range(p_ring.size):
        if bad[p]:
            continue
        if p_ring[p] == p_ring_end[p]:
            bad[p] = 2
            continue
        for r in range(p_ring[p], p_ring_end[p]):
            c0 = ring_start_coord(ring_coord_end, r)
            c1 = ring_coord_end[r]
            if (
                c1 - c0 < 4
                or coords[c0, 0] != coords[c1 - 1, 0]
                or coords[c0, 1] != coords[c1 - 1, 1]
            ):
                bad[p] = 2
                break
            for k in range(c0, c1):
                x = coords[k, 0]
                y = coords[k, 1]
                if not (west <= x <= east and south <= y <= north):
                    bad[p] = 4 if (west <= y <= east and south <= x <= north) else 3
                    break
            if bad[p]:
                break


@njit(cache=True, nogil=True)
def elevation_range(
    p_bldg, p_lod, p_bad, p_ring, p_ring_end, ring_coord_end, coords, low, high, at_lod
):
    """Lowest and highest vertex per building, from LOD1 where it has one, else the next LOD up."""
    rank = np.full(low.size, 9, np.int64)
    for p in range(p_bldg.size):
        if p_bad[p] or p_lod[p] == 0:
            continue
        b = p_bldg[p]
        if p_lod[p] < rank[b]:
            rank[b] = p_lod[p]
            low[b] = np.inf
            high[b] = -np.inf
        if p_lod[p] == rank[b]:
            for k in range(
                ring_start_coord(ring_coord_end, p_ring[p]), ring_coord_end[p_ring_end[p] - 1]
            ):
                z = coords[k, 2]
                if z < low[b]:
                    low[b] = z
                if z > high[b]:
                    high[b] = z
    for b in range(low.size):
        at_lod[b] = rank[b] if rank[b] < 9 else -1
        if not low[b] < np.inf:
            low[b] = np.nan
            high[b] = np.nan


@njit(cache=True, nogil=True)
def is_floor(p, p_ring, ring_coord_end, coords, low):
    """Whether polygon p lies flat at height `low` (within 1 cm)."""
    for k in range(ring_start_coord(ring_coord_end, p_ring[p]), ring_coord_end[p_ring[p]]):
        if abs(coords[k, 2] - low) > 0.01:
            return False
    return True


@njit(cache=True, nogil=True)
def choose_footprints(
    p_bldg, p_lod, p_kind, p_bad, p_ring, ring_coord_end, coords, low, at_lod, chosen
):
    """Mark the polygons that make each building's footprint.

    LOD0 footprint, else LOD0 roof edge, else ground surfaces, else the floor of the LOD1 solid.
    `chosen` per polygon: 1 where taken. Returns per building the source (0 none, 1 to 4).
    """
    source = np.zeros(low.size, np.int64)
    best = np.zeros(low.size, np.int64)
    for p in range(p_bldg.size):
        if p_bad[p]:
            continue
        b = p_bldg[p]
        s = 0
        if p_kind[p] == 8:
            s = 4
        elif p_kind[p] == 9:
            s = 3
        elif p_kind[p] == 3:
            s = 2
        elif (
            p_kind[p] == 0
            and p_lod[p] == at_lod[b]
            and is_floor(p, p_ring, ring_coord_end, coords, low[b])
        ):
            s = 1
        if s > best[b]:
            best[b] = s
        chosen[p] = s
    for p in range(p_bldg.size):
        b = p_bldg[p]
        if chosen[p] != 0 and chosen[p] == best[b]:
            chosen[p] = 1
        else:
            chosen[p] = 0
    for b in range(low.size):
        source[b] = 5 - best[b] if best[b] > 0 else 0
    return source


@njit(cache=True, nogil=True)
def footprint_areas(order, group_start, p_ring, p_ring_end, ring_coord_end, coords):
    """Planar area in m² of each group of polygons (holes subtracted), on GRS80 at its latitude."""
    out = np.zeros(group_start.size - 1)
    for g in range(group_start.size - 1):
        if group_start[g] == group_start[g + 1]:
            out[g] = np.nan
            continue
        for k in range(group_start[g], group_start[g + 1]):
            p = order[k]
            for r in range(p_ring[p], p_ring_end[p]):
                c0 = ring_start_coord(ring_coord_end, r)
                k_lon, k_lat = metres_per_degree(coords[c0, 1])
                a = abs(ring_area(coords, c0, ring_coord_end[r], k_lon, k_lat))
                out[g] += a if r == p_ring[p] else -a
    return out
