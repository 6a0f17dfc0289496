"""New discharges through faces between cells (local-inertial, Manning friction, porous cells).

Depths here are counts as they are stored; the caller folds the unit into `k_slope` (g Δt / Δx · unit²),
`k_friction` (Δt · unit^(−7/3)) and `hmin`.
"""

from __future__ import annotations

from numba import njit, types
from numba.extending import overload

from citymap.flood.kernels.counts import (
    FAST,
    inverse_cube_root,
    minus,
    plus,
    rank,
    type_of,
    valued,
)


def _friction(k, nl, nr, i):
    """`k` times the friction of both cells: arrays, or one number each for the whole grid."""
    raise NotImplementedError


@overload(_friction, inline="always")
def _friction_of(k, nl, nr, i):
    if isinstance(nl, types.Array):
        return lambda k, nl, nr, i: k * (nl[i] + nr[i])
    return lambda k, nl, nr, i: k * (nl + nr)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _faces(zl, hl, zr, hr, qm, qc, qp, nl, nr, out, k_slope, k_friction, hmin, theta, wing):
    zero, one = type_of(0.0, theta), type_of(1.0, theta)
    most, least = rank(zero), rank(hl[0])
    for i in range(out.size):
        a, b = plus(zl[i], hl[i]), plus(zr[i], hr[i])
        top = a if a > b else b
        sill = zl[i] if zl[i] > zr[i] else zr[i]
        depth = type_of(minus(top, sill), theta)
        wet = depth > hmin
        safe = depth if wet else one
        num = theta * qc[i] + wing * (qm[i] + qp[i]) - k_slope * safe * type_of(minus(b, a), theta)
        square = safe * safe
        drag = _friction(k_friction, nl, nr, i) * abs(qc[i]) * inverse_cube_root(safe)
        new = num * square / (square + drag)
        new = new if wet else zero
        out[i] = new
        size, held = rank(abs(new)), rank(hl[i])
        most = most if most > size else size
        least = least if least < held else held
    return valued(most, theta), valued(least, hl[0])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def faces(
    even, zl, hl, zr, hr, qm, qc, qp, nl, nr, out, k_slope, k_friction, hmin, theta, wing
):  # fmt: skip
    """New discharges from cells `l` to cells `r`; `qm`, `qp`: of the faces before and behind.

    `even`: friction is the same everywhere. Returns the greatest discharge (NaN counts as the
    greatest) and the least water of the cells `l` (counts).
    """
    if even:
        return _faces(
            zl, hl, zr, hr, qm, qc, qp, nl[0], nr[0], out, k_slope, k_friction, hmin, theta, wing
        )
    return _faces(zl, hl, zr, hr, qm, qc, qp, nl, nr, out, k_slope, k_friction, hmin, theta, wing)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def porous_faces(
    zl, hl, zr, hr, sl, sr, width, qm, qc, qp, nl, nr, out, k_slope, k_friction, hmin, theta, wing
):
    """The same where cells hold water on a part of their area and faces are open on a part.

    `sl`, `sr`: depth per stored water (1 / porosity); `width`: open part of the face (0: closed).
    Discharges are per full width. Source: Guinot & Soares-Frazão 2006 (porosity of storage and flow).
    """
    zero, one = type_of(0.0, theta), type_of(1.0, theta)
    for i in range(out.size):
        dl, dr = type_of(hl[i], theta) * sl[i], type_of(hr[i], theta) * sr[i]
        step = type_of(minus(zr[i], zl[i]), theta)
        left, right = dl, dr + step  # levels above the left ground
        top = left if left > right else right
        depth = top - (step if step > zero else zero)
        w = width[i]
        wet = (depth > hmin) & (w > zero)
        safe = depth if wet else one
        open_width = w if wet else one
        num = theta * qc[i] + wing * (qm[i] + qp[i]) - k_slope * safe * (right - left) * open_width
        square = safe * safe * open_width
        drag = k_friction * (nl[i] + nr[i]) * abs(qc[i]) * inverse_cube_root(safe)
        new = num * square / (square + drag)
        out[i] = new if wet else zero
