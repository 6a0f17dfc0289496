"""Parcels: blocks are cut into lots, each with what stands on it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citymap.demo.plan import RAIL_HALF_M, Array, Plan
from citymap.demo.streets import Block

# Everything that can stand on a lot. Order is the code kept in arrays.
KINDS = (
    "house", "rowshop", "office", "tower", "apartment", "bigbox", "factory", "warehouse", "school",
    "gym", "hospital", "cityhall", "temple", "annex", "station", "farmhouse", "barn", "utility", "hall",
    "parking", "park", "field", "yard", "plaza",
)  # fmt: skip
CODE = {k: i for i, k in enumerate(KINDS)}
OPEN = frozenset(CODE[k] for k in ("parking", "park", "field", "yard", "plaza"))

Rect = tuple[
    float, float, float, float, int, str
]  # s0, t0, s1, t1, front (0 S, 1 E, 2 N, 3 W), kind


@dataclass(frozen=True, slots=True)
class Parcels:
    """Lots in columns."""

    rect: Array  # (n, 4) sheet rectangle
    front: NDArray[np.int8]
    kind: NDArray[np.int8]
    cell: NDArray[np.int32]
    block: NDArray[np.int32]  # number within the cell (街区符号)
    number: NDArray[np.int32]  # number within the block (住居番号)


def _cuts(length: float, lo: float, hi: float, rng: np.random.Generator) -> list[float]:
    """Ends of lots between `lo` and `hi` wide along `length`."""
    n = max(1, round(length / ((lo + hi) / 2)))
    w = rng.uniform(lo, hi, n)
    return [0.0, *(float(v) for v in np.cumsum(w) / w.sum() * length)]


def _pick(rng: np.random.Generator, choice: dict[str, float]) -> str:
    draw = float(rng.random()) * sum(choice.values())
    for k, p in choice.items():
        draw -= p
        if draw < 0:
            return k
    return next(iter(choice))


HOMES = {"house": 0.90, "parking": 0.05, "rowshop": 0.02, "park": 0.008, "hall": 0.003}
MIX: dict[str, tuple[tuple[float, float], dict[str, float]]] = {
    "core": ((24, 38), {"office": 0.5, "tower": 0.22, "apartment": 0.14, "parking": 0.08}),
    "centre": ((11, 21), {"rowshop": 0.46, "office": 0.16, "apartment": 0.13, "house": 0.16,
                          "parking": 0.08}),
    "grid": ((10, 14.5), HOMES),
    "curved": ((10.5, 15.5), {**HOMES, "yard": 0.05}),
    "newtown": ((11.5, 14.5), {"house": 0.95, "yard": 0.05}),
    "industry": ((55, 105), {"factory": 0.62, "warehouse": 0.28, "parking": 0.06, "utility": 0.04}),
    "road": ((30, 52), {"bigbox": 0.42, "apartment": 0.3, "office": 0.1, "parking": 0.18}),
    "flats": ((38, 58), {"apartment": 0.9, "parking": 0.1}),
    "hamlet": ((21, 31), {"farmhouse": 0.88, "yard": 0.12}),
}  # fmt: skip


def _special(b: Block) -> list[Rect]:
    """Lots of a school, hospital, city hall, park or temple."""
    s0, t0, s1, t1 = b.s0, b.t0, b.s1, b.t1
    ds, dt = s1 - s0, t1 - t0
    if b.kind == "plaza":
        return [(s0, t0, s1, t1, 0, "plaza")]
    if b.kind == "park":
        return [(s0, t0, s1, t1, 0, "park")]
    if b.kind == "school":
        north = t1 - min(46.0, 0.45 * dt)
        side = s1 - min(46.0, 0.4 * ds)
        return [
            (s0, north, side, t1, 0, "school"), (side, north, s1, t1, 0, "gym"),
            (s0, t0, s1, north, 0, "yard"),
        ]  # fmt: skip
    if b.kind == "temple":
        mid = t0 + 0.45 * dt
        return [
            (s0, mid, s1 - 0.3 * ds, t1, 0, "temple"), (s1 - 0.3 * ds, mid, s1, t1, 0, "annex"),
            (s0, t0, s1, mid, 0, "park"),
        ]  # fmt: skip
    cut = t0 + 0.3 * dt
    return [(s0, cut, s1, t1, 0, b.kind), (s0, t0, s1, cut, 0, "parking")]


def _fields(s0: float, t0: float, s1: float, t1: float, rng: np.random.Generator) -> list[Rect]:
    """Strips of paddy across the longer side of a block."""
    if s1 - s0 >= t1 - t0:
        cuts = [s0 + c for c in _cuts(s1 - s0, 26, 44, rng)]
        return [(a, t0, z, t1, 0, "field") for a, z in itertools.pairwise(cuts)]
    cuts = [t0 + c for c in _cuts(t1 - t0, 26, 44, rng)]
    return [(s0, a, s1, z, 0, "field") for a, z in itertools.pairwise(cuts)]


def _lots(b: Block, rng: np.random.Generator) -> list[Rect]:
    if b.kind:
        return _special(b)
    use: str = b.cell.use
    s0, t0, s1, t1 = b.s0, b.t0, b.s1, b.t1
    along_s = s1 - s0 >= t1 - t0
    length, depth = (s1 - s0, t1 - t0) if along_s else (t1 - t0, s1 - s0)
    draw = float(rng.random())
    if use == "farm":
        if draw < 0.70:
            return _fields(s0, t0, s1, t1, rng)
        use = "hamlet"
    elif use in ("grid", "curved"):
        if b.trunk and draw < 0.16:
            use = "road"
        elif draw < (0.26 if use == "grid" else 0.20):
            use = "flats" if draw < 0.23 else use
        elif draw > 0.975:
            return [(s0, t0, s1, t1, 0, "park")]
    elif use == "core" and draw > 0.97:
        return [(s0, t0, s1, t1, 0, "park")]
    (lo, hi), mix = MIX[use]
    rows = 2 if depth > (95 if use == "industry" else 25) and use not in ("flats",) else 1
    if use == "road" and depth < 70:
        rows = 1
    out: list[Rect] = []
    if use == "hamlet":  # houses on one side, the rest of the block is field
        deep = min(depth, 34.0)
        if depth - deep > 20:
            field = (s0, t0 + deep, s1, t1) if along_s else (s0 + deep, t0, s1, t1)
            out += _fields(*field, rng)
            depth = deep
        rows = 1
    for row in range(rows):
        lo_d, hi_d = row * depth / rows, (row + 1) * depth / rows
        marks = _cuts(length, lo, hi, rng)
        for a, z in itertools.pairwise(marks):
            kind = _pick(rng, mix)
            # the front is the street: lots of the first row look out at the near side
            if along_s:
                rect = (s0 + a, t0 + lo_d, s0 + z, t0 + hi_d)
                front = 0 if row == 0 else 2
            else:
                rect = (s0 + lo_d, t0 + a, s0 + hi_d, t0 + z)
                front = 3 if row == 0 else 1
            if kind == "farmhouse" and rng.random() < 0.6:
                if along_s:
                    cut = rect[0] + 0.62 * (rect[2] - rect[0])
                    out.append((rect[0], rect[1], cut, rect[3], front, kind))
                    out.append((cut, rect[1], rect[2], rect[3], front, "barn"))
                else:
                    cut = rect[1] + 0.62 * (rect[3] - rect[1])
                    out.append((rect[0], rect[1], rect[2], cut, front, kind))
                    out.append((rect[0], cut, rect[2], rect[3], front, "barn"))
                continue
            out.append((*rect, front, kind))
    return out


def divide(plan: Plan, blocks: list[Block]) -> Parcels:
    """Divide every block into lots; the station comes last."""
    rects: list[Rect] = []
    cell: list[int] = []
    block: list[int] = []
    number: list[int] = []
    for b in blocks:
        rng = np.random.default_rng([plan.seed, 31, b.cell.number, b.number])
        lots = _lots(b, rng)
        rects += lots
        cell += [b.cell.number] * len(lots)
        block += [b.number] * len(lots)
        number += range(1, len(lots) + 1)
    half, deep = 48.0, RAIL_HALF_M - 11
    s, t = plan.station_s, plan.rail_t
    near = (c for c in plan.cells if 0 < c.centre[1] < t)
    home = min(near, key=lambda c: (c.centre[0] - s) ** 2 + (c.centre[1] - t) ** 2)
    rects.append((s - half, t - deep, s + half, t + deep, 0, "station"))
    cell.append(home.number)
    block.append(0)
    number.append(1)
    return Parcels(
        np.array([r[:4] for r in rects], float).reshape(-1, 4),
        np.array([r[4] for r in rects], np.int8),
        np.array([CODE[r[5]] for r in rects], np.int8),
        np.array(cell, np.int32), np.array(block, np.int32), np.array(number, np.int32),
    )  # fmt: skip
