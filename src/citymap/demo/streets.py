"""Streets and blocks: every quarter is cut into blocks by streets that end on other streets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from citymap.demo.plan import (
    AVENUE_M,
    RAIL_HALF_M,
    RIVER_HALF_M,
    RIVER_ROAD_M,
    TRUNK_M,
    Array,
    Cell,
    Plan,
    swirl,
)

_BRIDGES = ("若葉大橋", "瀬音橋", "みどり川大橋", "桜木橋", "東雲大橋", "葦原橋", "夕映橋")
Section = Literal["ground", "bridge", "crossing"]

# block length and depth (m, between street middles), street width
BLOCKS: dict[str, tuple[float, float, float]] = {
    "core": (104, 66, 9),
    "centre": (96, 52, 7),
    "grid": (112, 41, 6),
    "curved": (118, 40, 5.5),
    "newtown": (108, 42, 6),
    "industry": (230, 130, 10),
    "farm": (190, 105, 4.5),
    "forest": (1e9, 1e9, 4),
}


SPECIAL_M2 = {"school": 15500, "hospital": 11000, "cityhall": 9000, "park": 14000, "temple": 4600}


@dataclass(slots=True)
class Street:
    """A straight line of the sheet: along s at a fixed t (`along` = "s"), or along t."""

    along: Literal["s", "t"]
    at: float
    a: float
    b: float
    width_m: float
    function: str  # code of Road_function.xml
    section: Section = "ground"
    name: str = ""
    cell: Cell | None = None
    joints: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of land between streets (sheet rectangle, street land taken off)."""

    cell: Cell
    number: int
    s0: float
    t0: float
    s1: float
    t1: float
    trunk: bool  # one of its sides lies on a main road
    kind: str = ""  # the special use of the quarter, where it lies here


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of street from junction to junction: centreline and surface in the zone."""

    centre: Array  # (n, 2)
    surface: Array  # closed ring (m, 2)
    width_m: float
    function: str
    section: Section
    name: str
    u: int
    v: int


def _lattice(plan: Plan) -> tuple[list[Street], dict[tuple[int, str, int, int], Street]]:
    """Main roads, and those that bound a cell, by (side, which side of it, col, row)."""
    streets: list[Street] = []
    border: dict[tuple[int, str, int, int], Street] = {}
    wild = {(c.side, c.col, c.row) for c in plan.cells if c.use == "forest"}
    for lat in plan.lattices:
        marks = [lat.rows[0].lo, *(b.hi for b in lat.rows)]
        for j, mark in enumerate(marks):
            for i, col in enumerate(lat.cols):
                near = [(lat.side, i, k) for k in (j - 1, j) if 0 <= k < len(lat.rows)]
                hidden = all(n in wild for n in near)
                main = j == 0 or j % 2 == 1
                width = RIVER_ROAD_M if j == 0 else (TRUNK_M if main else AVENUE_M)
                section: Section = "bridge" if col.kind == "tributary" else "ground"
                road = Street("s", lat.side * mark, col.lo, col.hi, width,
                              "3" if main and j else "4", section)  # fmt: skip
                road.name = "みどり川沿岸通り" if j == 0 else ""
                border[lat.side, "near", i, j] = border[lat.side, "far", i, j - 1] = road
                if not hidden:
                    streets.append(road)
        marks = [lat.cols[0].lo, *(b.hi for b in lat.cols)]
        for i, mark in enumerate(marks):
            over = mark in plan.bridges
            for j, row in enumerate(lat.rows):
                near = [(lat.side, k, j) for k in (i - 1, i) if 0 <= k < len(lat.cols)]
                hidden = all(n in wild for n in near)
                a, b = sorted((lat.side * row.lo, lat.side * row.hi))
                section = "crossing" if row.kind == "rail" else "ground"
                road = Street("t", mark, a, b, TRUNK_M if over else AVENUE_M,
                              "2" if over else "4", section)  # fmt: skip
                border[lat.side, "west", i, j] = border[lat.side, "east", i - 1, j] = road
                if not hidden:
                    streets.append(road)
    for k, s in enumerate(plan.bridges):
        name = _BRIDGES[k] if k < len(_BRIDGES) else f"第{k + 1}みどり大橋"
        streets.append(Street("t", s, -RIVER_HALF_M, RIVER_HALF_M, TRUNK_M, "2", "bridge", name))
        for road in streets:
            ends_here = road.along == "s" and abs(abs(road.at) - RIVER_HALF_M) < 0.01
            if ends_here and road.a + 1 < s < road.b - 1:
                road.joints.append(s)
    return streets, border


def _snap(at: float, lo: float, hi: float, roads: tuple[Street, Street]) -> float:
    """The junction nearest to `at` on either road within 12 m, else `at`."""
    near = [j for road in roads for j in road.joints if abs(j - at) < 12 and lo < j < hi]
    return min(near, key=lambda j: abs(j - at)) if near else at


def lay_out(plan: Plan) -> tuple[list[Street], list[Block]]:
    """Streets and blocks of the whole city."""
    streets, border = _lattice(plan)
    blocks: list[Block] = []
    for cell in plan.cells:
        if cell.use == "forest":
            continue
        rng = np.random.default_rng([plan.seed, 21, cell.number])
        near = border[cell.side, "near", cell.col, cell.row]
        far = border[cell.side, "far", cell.col, cell.row]
        south, north = (near, far) if cell.side > 0 else (far, near)
        west = border[cell.side, "west", cell.col, cell.row]
        east = border[cell.side, "east", cell.col, cell.row]
        length, depth, width = BLOCKS[cell.use]
        turn = bool(rng.random() < 0.5) if cell.use != "core" else False
        stack = [(cell.s0, cell.t0, cell.s1, cell.t1, west, south, east, north)]
        number = 0
        special = cell.special
        while stack:
            s0, t0, s1, t1, w, s, e, n = stack.pop()
            ds, dt = s1 - s0, t1 - t0
            max_s, max_t = (depth, length) if turn else (length, depth)
            over_s, over_t = ds / (max_s * 1.25), dt / (max_t * 1.25)
            lot = special and ds * dt < 1.35 * SPECIAL_M2[special] and 0.4 < ds / dt < 2.5
            if lot or max(over_s, over_t) <= 1:
                ins = (
                    s0 + w.width_m / 2,
                    t0 + s.width_m / 2,
                    s1 - e.width_m / 2,
                    t1 - n.width_m / 2,
                )
                if ins[2] - ins[0] > 12 and ins[3] - ins[1] > 12:
                    number += 1
                    trunk = any(road.cell is None for road in (w, s, e, n))
                    blocks.append(Block(cell, number, *ins, trunk, special if lot else ""))
                    special = "" if lot else special
                continue
            wide = width + (2.5 if max(over_s, over_t) > 2.2 else 0)
            if over_s >= over_t:
                k = max(2, round(ds / max_s))
                at = s0 + ds * (k // 2) / k + float(rng.uniform(-0.06, 0.06)) * ds / k
                at = _snap(at, s0 + 14, s1 - 14, (s, n))
                road = Street("t", at, t0, t1, wide, "4", cell=cell)
                s.joints.append(at)
                n.joints.append(at)
                stack += [(at, t0, s1, t1, road, s, e, n), (s0, t0, at, t1, w, s, road, n)]
            else:
                k = max(2, round(dt / max_t))
                at = t0 + dt * (k // 2) / k + float(rng.uniform(-0.06, 0.06)) * dt / k
                at = _snap(at, t0 + 14, t1 - 14, (w, e))
                road = Street("s", at, s0, s1, wide, "4", cell=cell)
                w.joints.append(at)
                e.joints.append(at)
                stack += [(s0, at, s1, t1, w, road, e, n), (s0, t0, s1, at, w, s, e, road)]
            streets.append(road)
    return streets, _with_plaza(plan, blocks)


def _with_plaza(plan: Plan, blocks: list[Block]) -> list[Block]:
    """Turn the block before the station, on the river side, into its square."""

    def off(b: Block) -> float:
        gap = abs((b.s0 + b.s1) / 2 - plan.station_s) + 2 * abs(plan.rail_t - RAIL_HALF_M - b.t1)
        return gap if b.t1 < plan.rail_t and not b.kind else float("inf")

    at = min(range(len(blocks)), key=lambda k: off(blocks[k]))
    return [replace(b, kind="plaza") if k == at else b for k, b in enumerate(blocks)]


def to_xy(plan: Plan, cell: Cell | None, s: Array, t: Array) -> Array:
    """(n, 2) east, north of sheet points that belong to a cell (or to a main road)."""
    if cell is not None:
        s, t = swirl(cell, s, t)
    return np.stack(plan.to_xy(s, t), axis=-1)


def segments(plan: Plan, streets: list[Street]) -> list[Segment]:
    """Cut the streets at their junctions and bend them into the zone."""
    node_of: dict[tuple[int, int], int] = {}

    def node(p: Array) -> int:
        key = (round(float(p[0]) * 20), round(float(p[1]) * 20))
        return node_of.setdefault(key, len(node_of))

    out: list[Segment] = []
    for road in streets:
        marks = sorted({road.a, road.b, *(j for j in road.joints if road.a + 1 < j < road.b - 1)})
        for a, b in itertools.pairwise(marks):
            step = 7 if road.cell is not None and road.cell.swirl else 16
            n = max(2, int((b - a) / step) + 2)
            run = np.linspace(a, b, n)
            half = road.width_m / 2
            lines = []
            for off in (0.0, -half, half):
                side = np.full(n, road.at + off)
                s, t = (run, side) if road.along == "s" else (side, run)
                lines.append(to_xy(plan, road.cell, s, t))
            centre, right, left = lines
            ring = np.concatenate([right, left[::-1], right[:1]])
            if road.along == "t":
                ring = ring[::-1]
            out.append(
                Segment(
                    centre,
                    ring,
                    road.width_m,
                    road.function,
                    road.section,
                    road.name,
                    node(centre[0]),
                    node(centre[-1]),
                )
            )
    return out
