"""New discharges through faces between cells (local-inertial, Manning friction, porous cells)."""

from __future__ import annotations

from numba import njit

from citymap.flood.kernels.counts import FAST, inverse_seven_thirds, minus, plus, type_of


@njit(cache=True, fastmath=FAST, error_model="numpy")
def x_faces(z, h, q, gn2, out, k_slope, k_friction, unit, hmin, theta, wing):
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
def y_faces(zl, hl, zr, hr, qm, qc, qp, nl, nr, out, k_slope, k_friction, unit, hmin, theta, wing):
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


@njit(cache=True, fastmath=FAST, error_model="numpy")
def porous_faces(
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
