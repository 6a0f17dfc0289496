"""The ground: elevations of the valley on a TIN whose break lines follow levees and terraces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citymap.demo.plan import RIVER_HALF_M, TRIBUTARY_HALF_M, Array, Plan

MARGIN_M = 260.0  # of country around the built sheet
Indices = NDArray[np.intp]
DATUM_M = 86.0  # 標高 of the plain at the middle of the city
SLOPE = 1 / 420  # of the valley, downstream

# Main river, by distance from its centreline: bed, low-water bank, flood-plain terrace (高水敷),
# levee foot, crest (two lines), foot on the land side. Heights are above the plain.
RIVER_PROFILE = ((0, -4.2), (24, -4.0), (31, -1.6), (60, -1.1), (63, -1.0), (73, 4.2), (78, 4.2),
                 (90, 0.3))  # fmt: skip
TRIBUTARY_PROFILE = ((0, -2.6), (5, -2.5), (8, -0.6), (12, 1.9), (15, 1.9), (20, 0.1))
WATER_HALF_M = 27.2


def breadth(plan: Plan) -> float:
    """How much flatter than in a small town the valley floor is: larger cities lie on wider plains."""
    return float(max(1.0, plan.radius_m / 1200) ** 0.7)


def plain_m(plan: Plan, s: Array, t: Array) -> Array:
    """The land without rivers: plain, natural levee, back swamp, terraces, hills."""
    r, p = plan.radius_m, plan.phases
    a = np.abs(t)
    z = DATUM_M - s * SLOPE
    z = (
        z
        + 0.9 * np.exp(-(((a - 150) / 90) ** 2))
        - 1.5 * np.exp(-(((a - 430) / 170) ** 2)) * (0.7 + 0.3 * np.sin(s / 400 + p[7]))
    )
    z = z + np.where(t > 0, t / 330, a / 650) / breadth(plan)

    z = z + 0.35 * np.sin(s / 95 + t / 140 + p[3]) * np.sin(t / 110 + p[1]) * np.clip(
        (a - 100) / 100, 0, 1
    )

    def riser(at: Array, width: float, height: float) -> Array:
        u = np.clip((t - at) / width, 0, 1)
        return np.asarray(height * u * u * (3 - 2 * u))

    z = z + riser(0.56 * r + 45 * np.sin(s / 480 + p[4]), 55, 6.0)
    z = z + riser(0.80 * r + 60 * np.sin(s / 610 + p[5]), 120, 11.0)
    hill = np.clip((t - 0.84 * r) / 420, 0, 1)
    bumps = (
        20
        + 11 * np.sin(s / 210 + p[6]) * np.cos(t / 180 + p[2])
        + 7 * np.sin(s / 118 + t / 150 + p[1])
    )
    z = z + hill * hill * bumps
    # an old meander cut off on the right bank, downstream: the lowest and wettest place
    low = ((s - 0.28 * r) / (0.30 * r + 90)) ** 2 + ((t + 360) / (170 * breadth(plan))) ** 2
    return np.asarray(z - 2.3 * np.exp(-low))


def elevation_m(plan: Plan, s: Array, t: Array) -> Array:
    """標高 of the ground at points of the sheet."""
    z = plain_m(plan, s, t)
    a = np.abs(t)
    d, h = zip(*RIVER_PROFILE, strict=True)
    bank = plain_m(plan, s, np.sign(t + 1e-9) * RIVER_HALF_M)
    inside = a < 90
    z = np.where(inside, np.interp(a, d, h) + bank, z)
    for at, side in plan.tributaries:
        near = (np.abs(s - at) < 20) & (t * side > 70)
        d2, h2 = zip(*TRIBUTARY_PROFILE, strict=True)
        cut = np.interp(np.abs(s - at), d2, h2)
        ref = plain_m(plan, np.full_like(s, at), t)
        # the levee of the tributary fades into that of the river, its bed falls to the river's
        fade = np.clip((t * side - 70) / 60, 0, 1)
        z = np.where(near, np.minimum(z, ref + cut) * (1 - fade) + (ref + cut) * fade, z)
    return np.asarray(z)


@dataclass(frozen=True)
class Tin:
    """Vertices on a grid of sheet lines; each mesh is two triangles (SW–NE diagonal)."""

    plan: Plan
    s: Array
    t: Array
    x: Array  # (len(s), len(t))
    y: Array
    z: Array

    def elevation_m(self, x: Array, y: Array) -> Array:
        """標高 on the triangles at east, north of the zone (arrays of one shape)."""
        s, t = self.plan.to_st(x, y)
        return self.elevation_at(s, t, x, y)

    def elevation_at(self, s: Array, t: Array, x: Array, y: Array) -> Array:
        """The same where the points of the sheet are known already."""
        i = np.clip(np.searchsorted(self.s, s, side="right") - 1, 0, len(self.s) - 2)
        j = np.clip(np.searchsorted(self.t, t, side="right") - 1, 0, len(self.t) - 2)

        def plane(i1: Indices, j1: Indices) -> tuple[Array, Array]:
            ax, ay, az = self.x[i, j], self.y[i, j], self.z[i, j]
            cx, cy, cz = self.x[i + 1, j + 1], self.y[i + 1, j + 1], self.z[i + 1, j + 1]
            bx, by, bz = self.x[i1, j1], self.y[i1, j1], self.z[i1, j1]
            det = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            wb = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / det
            wc = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / det
            return az + wb * (bz - az) + wc * (cz - az), wb

        right, inside = plane(i + 1, j)
        left, _ = plane(i, j + 1)
        return np.asarray(np.where(inside >= 0, right, left))


def build(plan: Plan, *, spacing_m: float) -> Tin:
    """Sample the ground every `spacing_m` and on all break lines, heights to the centimetre."""
    s0, t0, s1, t1 = plan.bounds
    margin = MARGIN_M
    river = [d for d, _ in RIVER_PROFILE]
    t_breaks = sorted({v for d in (*river, RIVER_HALF_M) for v in (d, -d)})
    s_breaks = sorted(
        v for c, _ in plan.tributaries for d, _ in (*TRIBUTARY_PROFILE, (TRIBUTARY_HALF_M, 0))
        for v in {c - d, c + d}
    )  # fmt: skip

    def lines(lo: float, hi: float, breaks: list[float]) -> Array:
        regular = np.linspace(lo, hi, int((hi - lo) / spacing_m) + 2)
        b = np.asarray(breaks)
        far = np.abs(regular[:, None] - b[None, :]).min(axis=1) > spacing_m * 0.35
        return np.unique(np.round(np.concatenate([regular[far], b]), 3))

    s = lines(s0 - margin, s1 + margin, s_breaks)
    t = lines(t0 - margin, t1 + margin, t_breaks)
    ss, tt = np.meshgrid(s, t, indexing="ij")
    x, y = plan.to_xy(ss, tt)
    return Tin(plan, s, t, x, y, np.round(elevation_m(plan, ss, tt), 2))
