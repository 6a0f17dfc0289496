"""The town plan: where the rivers, the railway, the main roads and the quarters of the city lie.

Plans are drawn in (s, t): s along the main river downstream, t across it to the left bank, in
metres. `Plan.to_xy` bends that sheet into the plane-rectangular zone so that the river meanders
and the roads beside it follow; rivers, levees, railway and main roads are straight lines in (s, t).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from citymap import crs

Array = NDArray[np.float64]

EPSG = 6677
CITY_CODE = "09999"
CITY_NAME = "みどり川市"
CENTRE_LON_LAT = (139.88, 36.55)

RIVER_HALF_M = 95.0  # centreline to the riverside road
RIVER_ROAD_M = 10.0
TRIBUTARY_HALF_M = 22.0
RAIL_HALF_M = 22.0
TRUNK_M, AVENUE_M = 18.0, 12.0

Use = Literal["core", "centre", "grid", "curved", "newtown", "industry", "farm", "forest"]
BandKind = Literal["cell", "tributary", "rail"]


@dataclass(frozen=True, slots=True)
class Band:
    """A strip of the lattice between two main roads."""

    lo: float
    hi: float
    kind: BandKind


@dataclass(frozen=True, slots=True)
class Cell:
    """A quarter between four main roads: `side` +1 left bank, −1 right bank."""

    number: int
    side: int
    col: int
    row: int
    s0: float
    t0: float
    s1: float
    t1: float
    use: Use
    swirl: float  # how far the streets inside are turned at the middle, radians
    special: str = ""  # what stands on its largest lot: school, hospital, cityhall, park, temple

    @property
    def centre(self) -> tuple[float, float]:
        """(s, t) of the middle."""
        return (self.s0 + self.s1) / 2, (self.t0 + self.t1) / 2


@dataclass(frozen=True, slots=True)
class Lattice:
    """The main roads of one bank; rows count away from the river."""

    side: int
    cols: tuple[Band, ...]
    rows: tuple[Band, ...]


@dataclass(frozen=True)
class Plan:
    """The whole sheet."""

    seed: int
    radius_m: float
    lattices: tuple[Lattice, Lattice]
    cells: tuple[Cell, ...]
    rail_t: float
    station_s: float
    tributaries: tuple[tuple[float, int], ...]  # (s, side) of each tributary
    bridges: tuple[float, ...]  # s of the roads that cross the main river
    bounds: tuple[float, float, float, float]  # s0, t0, s1, t1
    phases: tuple[float, ...]

    @cached_property
    def origin(self) -> tuple[float, float]:
        """East, north of (0, 0) in the zone."""
        x, y = crs.project(*CENTRE_LON_LAT, EPSG)
        return float(x), float(y)

    def _meander(self, s: Array) -> tuple[Array, Array]:
        p = self.phases
        k1, k2, k3 = 2 * np.pi / 2300, 2 * np.pi / 1450, 2 * np.pi / 9000
        f = (
            115 * np.sin(k1 * s + p[0]) + 28 * np.sin(k2 * s + p[1]) + 300 * np.sin(k3 * s + p[2])
        ) - 300 * np.sin(p[2])
        df = (
            115 * k1 * np.cos(k1 * s + p[0])
            + 28 * k2 * np.cos(k2 * s + p[1])
            + 300 * k3 * np.cos(k3 * s + p[2])
        )
        return f, df

    def to_xy(self, s: Array, t: Array) -> tuple[Array, Array]:
        """East, north in the zone of points of the sheet."""
        f, df = self._meander(s)
        decay = np.exp(-((t / 1100.0) ** 2) / 2)
        p = self.phases
        wx = 22 * np.sin(t / 310 + p[3]) + 16 * np.sin(t / 170 + s / 900 + p[4])
        wy = 18 * np.sin(s / 330 + p[5]) * (1 - decay) + 14 * np.sin(s / 520 + t / 700 + p[6]) * (
            1 - decay
        )
        x = s - t * df * np.exp(-((t / 520.0) ** 2) / 2) + wx * (1 - np.exp(-((t / 260.0) ** 2)))
        y = t + f * (0.25 + 0.75 * decay) + wy
        ox, oy = self.origin
        return x + ox, y + oy

    def to_st(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The point of the sheet under east, north (fixed-point iteration, to a millimetre)."""
        s = np.asarray(x, float) - self.origin[0]
        t = np.asarray(y, float) - self.origin[1]
        step = 0.5
        for _ in range(12):  # Newton with a numerical Jacobian: robust where the river bends hard
            px, py = self.to_xy(s, t)
            ax, ay = self.to_xy(s + step, t)
            bx, by = self.to_xy(s, t + step)
            a, c = (ax - px) / step, (ay - py) / step
            b, d = (bx - px) / step, (by - py) / step
            det = a * d - b * c
            ex, ey = x - px, y - py
            ds = np.clip((d * ex - b * ey) / det, -400, 400)
            dt = np.clip((a * ey - c * ex) / det, -400, 400)
            s, t = s + ds, t + dt
            if max(np.abs(ds).max(initial=0), np.abs(dt).max(initial=0)) < 1e-4:
                break
        return s, t


def turned(u: Array, v: Array, half_s: Array, half_t: Array, angle: Array) -> tuple[Array, Array]:
    """Turn points (u, v) about the middle of their cell, less and less towards its border.

    The outermost 10 m stay as they are: there run the main roads.
    """
    bump = (
        np.clip(1 - (u / (half_s - 10)) ** 2, 0, 1) ** 1.5
        * np.clip(1 - (v / (half_t - 10)) ** 2, 0, 1) ** 1.5
    )
    turn = angle * bump
    return (
        np.asarray(u * np.cos(turn) - v * np.sin(turn)),
        np.asarray(u * np.sin(turn) + v * np.cos(turn)),
    )


def swirl(cell: Cell, s: Array, t: Array) -> tuple[Array, Array]:
    """Turn the inside of a quarter about its middle; its border stays."""
    if cell.swirl == 0:
        return s, t
    cs, ct = cell.centre
    half_s, half_t = np.asarray((cell.s1 - cell.s0) / 2), np.asarray((cell.t1 - cell.t0) / 2)
    u, v = turned(s - cs, t - ct, half_s, half_t, np.asarray(cell.swirl))
    return cs + u, ct + v


def _edges(lo: float, hi: float, size: float, rng: np.random.Generator) -> list[float]:
    n = max(1, round((hi - lo) / size))
    at = np.linspace(lo, hi, n + 1)
    at[1:-1] += rng.uniform(-0.13, 0.13, n - 1) * (hi - lo) / n
    return [float(v) for v in at]


def _bands(edges: list[float], special: list[tuple[float, float, BandKind]]) -> tuple[Band, ...]:
    """Cells between the edges, with the special strips cut in and slivers merged away."""
    cuts = sorted(special)
    keep = [
        e
        for e in edges
        if e in (edges[0], edges[-1]) or all(abs(e - c) > h + 150 for c, h, _ in cuts)
    ]
    marks = sorted({*keep, *(c - h for c, h, _ in cuts), *(c + h for c, h, _ in cuts)})
    bands: list[Band] = []
    for a, b in itertools.pairwise(marks):
        kind: BandKind = "cell"
        for c, h, k in cuts:
            if abs((a + b) / 2 - c) < h:
                kind = k
        bands.append(Band(a, b, kind))
    return tuple(bands)


def _use(*, s: float, t: float, radius: float, rail_t: float, station_s: float, draw: float) -> Use:
    d = float(np.hypot((s - station_s) / 1.15, t - rail_t))
    far = float(np.hypot(s / 1.15, (t - 0.1 * radius) / 1.0)) / radius
    if t > 0.86 * radius:
        return "forest" if draw < 0.55 else "newtown"
    if d < max(0.13 * radius, 300):
        return "core"
    if d < max(0.27 * radius, 560):
        return "centre"
    if s > 0.62 * radius and -0.45 * radius < t < 0.55 * radius:
        return "industry"
    if t < 0:
        if abs(s) < 0.55 * radius and t > -0.5 * radius:
            return "grid" if draw < 0.5 else "curved"
        return "curved" if draw < 0.12 else "farm"
    if far > 0.95:
        return "farm" if draw < 0.7 else "curved"
    if far > 0.55:
        return "curved"
    return "grid" if draw < 0.6 else "curved"


def _place_specials(cells: list[Cell], station_s: float, rail_t: float) -> list[Cell]:
    """Give schools, a hospital, the city hall, parks and temples to quarters."""

    def distance(c: Cell) -> float:
        return float(np.hypot(c.centre[0] - station_s, c.centre[1] - rail_t))

    out: dict[int, str] = {}
    for use, kind in (("core", "cityhall"), ("centre", "hospital"), ("centre", "park")):
        free = [c for c in cells if c.use == use and c.number not in out]
        if free:
            out[max(free, key=distance).number] = kind
    homes = sorted(
        (c for c in cells if c.use in ("grid", "curved", "newtown") and c.number not in out),
        key=distance,
    )
    for i, c in enumerate(homes):
        out[c.number] = ("school", "park", "temple", "", "park", "school", "")[i % 7]
    return [replace(c, special=out.get(c.number, "")) for c in cells]


def draw(*, radius_m: float, seed: int) -> Plan:
    """Draw the plan of a city of about `radius_m`."""
    rng = np.random.default_rng([seed, 11])
    r = radius_m
    phases = tuple(float(v) for v in rng.uniform(0, 2 * np.pi, 8))
    s_lo, s_hi, t_lo, t_hi = -1.15 * r, 1.15 * r, -0.95 * r, 1.12 * r
    rail_t = RIVER_HALF_M + float(np.clip(0.42 * r, 420, 1400))
    station_s = 0.0
    tributaries = ((-0.5 * r, 1), (0.4 * r, -1))
    lattices = []
    bridges: list[float] = []
    for side in (1, -1):
        cols = _edges(s_lo, s_hi, 380, rng)
        special: list[tuple[float, float, BandKind]] = [
            (s, TRIBUTARY_HALF_M, "tributary") for s, at in tributaries if at == side
        ]
        if side == -1:  # the roads of the right bank meet the bridges
            for b in bridges:
                i = 1 + int(np.argmin([abs(c - b) for c in cols[1:-1]]))
                cols[i] = b
            cols = sorted(set(cols))
        col_bands = _bands(cols, special)
        rows: list[tuple[float, float, BandKind]] = []
        if side == 1:
            rows = [(rail_t, RAIL_HALF_M, "rail")]
        reach = t_hi if side == 1 else -t_lo
        if side == 1:  # the station lies in the middle of a strip, so that no road runs through it
            home = min(
                (b for b in col_bands if b.kind == "cell"),
                key=lambda b: abs((b.lo + b.hi) / 2 + 0.05 * r),
            )
            station_s = (home.lo + home.hi) / 2
        row_bands = _bands(_edges(RIVER_HALF_M, reach, 300, rng), rows)
        lattices.append(Lattice(side, col_bands, row_bands))
        if side == 1:
            inner = [b.lo for b in col_bands[1:] if abs(b.lo) < 0.95 * r]
            inner = [s for s in inner if all(abs(s - c) > 60 for c, *_ in special)]
            wanted = max(3, round(2 * r / 750))
            for at in np.linspace(-0.75 * r, 0.75 * r, wanted):
                best = min(inner, key=lambda s: abs(s - at))
                if best not in bridges:
                    bridges.append(best)
    cells: list[Cell] = []
    for lattice in lattices:
        for j, row in enumerate(lattice.rows):
            for i, col in enumerate(lattice.cols):
                if row.kind != "cell" or col.kind != "cell":
                    continue
                t0, t1 = sorted((lattice.side * row.lo, lattice.side * row.hi))
                use = _use(
                    s=(col.lo + col.hi) / 2, t=(t0 + t1) / 2, radius=r, rail_t=rail_t,
                    station_s=station_s, draw=float(rng.random()),
                )  # fmt: skip
                angle = 0.0
                if use in ("curved", "newtown"):
                    angle = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.5))
                cells.append(
                    Cell(len(cells), lattice.side, i, j, col.lo, t0, col.hi, t1, use, angle)
                )
    cells = _place_specials(cells, station_s, rail_t)
    return Plan(
        seed, r, (lattices[0], lattices[1]), tuple(cells), rail_t, station_s, tributaries,
        tuple(sorted(bridges)), (s_lo, t_lo, s_hi, t_hi), phases,
    )  # fmt: skip
