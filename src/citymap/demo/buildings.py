"""Buildings: a footprint, roof and plausible attributes for every lot that is built on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citymap.demo.ground import Tin
from citymap.demo.parcels import CODE, KINDS, OPEN, Parcels
from citymap.demo.plan import Array, Plan, turned

Ints = NDArray[np.int32]

# footprint shapes
RECT, ELL, YOU, COURT, PARTS = range(5)
FLAT, GABLE, HIP = range(3)


@dataclass(frozen=True, slots=True)
class Kind:
    """What buildings of a kind look like; shares need not sum to 1."""

    usage: tuple[tuple[str, float], ...]
    size: tuple[float, float, float, float]  # width from, to, depth from, to (m)
    setback: tuple[float, float]  # at the sides, at front and back (m)
    storeys: tuple[tuple[int, float], ...]
    storey_m: float
    structure: tuple[tuple[str, float], ...]  # codes of buildingStructureType
    shape: tuple[float, float, float, float, float]  # RECT, ELL, YOU, COURT, PARTS
    roof: tuple[float, float, float]  # FLAT, GABLE, HIP (rectangles only)
    lod2: float


_WOOD = (("601", 0.84), ("604", 0.07), ("605", 0.06), ("603", 0.03))
_RC = (("603", 0.68), ("602", 0.14), ("604", 0.18))
_STEEL = (("604", 0.85), ("605", 0.12), ("603", 0.03))
LOOK: dict[str, Kind] = {
    "house": Kind((("411", 0.93), ("413", 0.035), ("415", 0.02), ("461", 0.015)),
                  (7.2, 11.8, 7, 10.5), (0.8, 1.6), ((1, 0.12), (2, 0.79), (3, 0.09)), 2.9, _WOOD,
                  (0.68, 0.32, 0, 0, 0), (0.16, 0.52, 0.32), 0.06),
    "rowshop": Kind((("413", 0.4), ("402", 0.4), ("414", 0.12), ("401", 0.08)),
                    (8, 19, 12, 20), (0.4, 1.0), ((2, 0.3), (3, 0.42), (4, 0.2), (5, 0.08)), 3.3,
                    _STEEL, (0.82, 0.18, 0, 0, 0), (0.9, 0.1, 0), 0.45),
    "office": Kind((("401", 0.58), ("402", 0.2), ("403", 0.1), ("414", 0.12)),
                   (14, 30, 14, 26), (1.2, 1.6),
                   ((4, 0.2), (5, 0.25), (6, 0.2), (8, 0.2), (9, 0.1), (10, 0.05)), 3.6, _RC,
                   (0.64, 0.18, 0.04, 0.05, 0.09), (1, 0, 0), 0.6),
    "tower": Kind((("401", 0.3), ("412", 0.35), ("403", 0.12), ("404", 0.23)),
                  (20, 34, 20, 30), (2.5, 3), ((11, 0.3), (13, 0.25), (15, 0.2), (19, 0.15),
                                               (24, 0.1)), 3.4, _RC,
                  (0.7, 0.06, 0, 0.04, 0.2), (1, 0, 0), 0.85),
    "apartment": Kind((("412", 0.86), ("414", 0.14)), (18, 46, 9.5, 13), (2, 3),
                      ((2, 0.22), (3, 0.28), (4, 0.16), (5, 0.18), (7, 0.1), (10, 0.06)), 3.0, _RC,
                      (0.84, 0.14, 0.02, 0, 0), (0.9, 0.1, 0), 0.2),
    "bigbox": Kind((("402", 0.9), ("404", 0.1)), (24, 60, 18, 45), (3, 4),
                   ((1, 0.6), (2, 0.32), (3, 0.08)), 4.6, _STEEL, (0.8, 0.2, 0, 0, 0), (1, 0, 0),
                   0.2),
    "factory": Kind((("441", 1),), (34, 82, 24, 60), (6, 7), ((1, 0.6), (2, 0.33), (3, 0.07)), 6.2,
                    _STEEL, (0.62, 0.2, 0.06, 0.02, 0.1), (0.6, 0.4, 0), 0.12),
    "warehouse": Kind((("431", 1),), (34, 85, 28, 60), (5, 6), ((1, 0.5), (2, 0.3), (3, 0.1),
                                                              (4, 0.1)), 6.0,
                      _STEEL, (0.88, 0.12, 0, 0, 0), (0.8, 0.2, 0), 0.1),
    "school": Kind((("422", 1),), (60, 95, 32, 40), (3, 3), ((3, 0.6), (4, 0.4)), 3.8,
                   (("603", 1),), (0, 0.7, 0.3, 0, 0), (1, 0, 0), 0.95),
    "gym": Kind((("422", 1),), (22, 28, 30, 38), (3, 3), ((1, 0.6), (2, 0.4)), 6.5,
                (("604", 1),), (1, 0, 0, 0, 0), (0, 1, 0), 0.95),
    "hospital": Kind((("422", 1),), (60, 90, 45, 60), (4, 4), ((6, 0.5), (7, 0.5)), 4.0,
                     (("603", 0.5), ("602", 0.5)), (0, 0, 0, 1, 0), (1, 0, 0), 1.0),
    "cityhall": Kind((("421", 1),), (50, 75, 36, 50), (4, 4), ((7, 0.5), (8, 0.5)), 4.0,
                     (("602", 1),), (0, 0, 0, 1, 0), (1, 0, 0), 1.0),
    "temple": Kind((("422", 1),), (16, 22, 15, 19), (3, 3), ((1, 1),), 9.5, (("601", 1),),
                   (1, 0, 0, 0, 0), (0, 0, 1), 1.0),
    "annex": Kind((("422", 0.5), ("411", 0.5)), (9, 13, 9, 12), (2, 2), ((1, 0.5), (2, 0.5)), 3.4,
                  (("601", 1),), (1, 0, 0, 0, 0), (0, 0.4, 0.6), 0.6),
    "station": Kind((("431", 1),), (90, 92, 16, 17), (1, 1), ((2, 1),), 6.0, (("604", 1),),
                    (1, 0, 0, 0, 0), (1, 0, 0), 1.0),
    "farmhouse": Kind((("411", 1),), (11, 16, 8.5, 12), (1.5, 4), ((1, 0.3), (2, 0.7)), 3.1,
                      (("601", 0.97), ("605", 0.03)), (0.8, 0.2, 0, 0, 0), (0, 0.55, 0.45), 0.05),
    "barn": Kind((("451", 1),), (5, 8, 7, 11), (1, 3), ((1, 0.8), (2, 0.2)), 3.4,
                 (("601", 0.5), ("604", 0.5)), (1, 0, 0, 0, 0), (0.2, 0.8, 0), 0.05),
    "hall": Kind((("422", 1),), (10, 18, 10, 15), (1, 1.5), ((1, 0.3), (2, 0.6), (3, 0.1)), 3.6,
                 _RC, (0.8, 0.2, 0, 0, 0), (0.7, 0.3, 0), 0.5),
    "utility": Kind((("452", 1),), (14, 26, 12, 20), (6, 6), ((1, 0.6), (2, 0.4)), 5.0, _RC,
                    (1, 0, 0, 0, 0), (1, 0, 0), 0.3),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Buildings:
    """Buildings in columns; coordinates east, north in the zone, heights 標高 in metres."""

    ring: Array  # (n, 8, 2) corners, counter-clockwise, the first `corners` count
    corners: Ints
    extra: Array  # (n, 4, 2) courtyard, ridge (first two), cuts between parts (two) or roof house
    shape: Ints
    roof: Ints
    kind: Ints
    usage: NDArray[np.str_]
    structure: NDArray[np.str_]
    storeys: Ints
    basement: Ints
    year: Ints
    eaves_m: Array  # above ground
    top_m: Array  # above ground
    part_m: Array  # height of the second part
    ground_m: Array
    area_m2: Array
    lod2: NDArray[np.bool_]
    cell: Ints
    block: Ints
    number: Ints
    centre: Array  # (n, 2)

    def __len__(self) -> int:
        return len(self.kind)


def _choose(
    rng: np.random.Generator, n: int, options: tuple[tuple[object, float], ...]
) -> NDArray[np.intp]:
    p = np.cumsum([w for _, w in options])
    return np.searchsorted(p / p[-1], rng.random(n), side="right").clip(0, len(options) - 1)


def corners_of(plan: Plan, parcels: Parcels, pick: NDArray[np.intp]) -> Array:
    """(n, 4, 2) corners of lots in the zone, counter-clockwise, the front edge first."""
    s0, t0, s1, t1 = parcels.rect[pick].T
    s = np.stack([s0, s1, s1, s0], axis=1)
    t = np.stack([t0, t0, t1, t1], axis=1)
    cs = np.array([(*c.centre, (c.s1 - c.s0) / 2, (c.t1 - c.t0) / 2, c.swirl) for c in plan.cells])
    mid_s, mid_t, half_s, half_t, angle = cs[parcels.cell[pick]].T
    angle = np.where(parcels.kind[pick] == CODE["station"], 0.0, angle)
    u, v = s - mid_s[:, None], t - mid_t[:, None]
    u, v = turned(u, v, half_s[:, None], half_t[:, None], angle[:, None])
    s, t = mid_s[:, None] + u, mid_t[:, None] + v
    xy = np.stack(plan.to_xy(s, t), axis=-1)
    order = (np.arange(4)[None, :] + parcels.front[pick].astype(int)[:, None]) % 4
    return np.asarray(np.take_along_axis(xy, order[:, :, None], axis=1))


def place(plan: Plan, parcels: Parcels) -> tuple[Buildings, NDArray[np.intp]]:
    """Buildings (ground still unknown) and the parcel of each."""
    built = np.flatnonzero(~np.isin(parcels.kind, list(OPEN)))
    quad = corners_of(plan, parcels, built)
    rng = np.random.default_rng([plan.seed, 41])
    n = len(built)
    kind = parcels.kind[built].astype(np.int32)
    desired = np.empty((n, 2))
    setback = np.empty((n, 2))
    usage = np.empty(n, "U3")
    structure = np.empty(n, "U3")
    storeys = np.empty(n, np.int32)
    storey_m = np.empty(n)
    shape = np.empty(n, np.int32)
    roof = np.empty(n, np.int32)
    lod2 = np.empty(n, bool)
    for code, name in enumerate(KINDS):
        at = np.flatnonzero(kind == code)
        if not len(at) or name not in LOOK:
            continue
        look, m = LOOK[name], len(at)
        w0, w1, d0, d1 = look.size
        desired[at] = np.stack([rng.uniform(w0, w1, m), rng.uniform(d0, d1, m)], axis=1) / 2
        setback[at] = look.setback
        usage[at] = np.array([u for u, _ in look.usage])[_choose(rng, m, look.usage)]
        structure[at] = np.array([u for u, _ in look.structure])[_choose(rng, m, look.structure)]
        storeys[at] = np.array([u for u, _ in look.storeys])[_choose(rng, m, look.storeys)]
        storey_m[at] = look.storey_m
        shape[at] = _choose(rng, m, tuple(enumerate(look.shape)))
        roof[at] = _choose(rng, m, tuple(enumerate(look.roof)))
        lod2[at] = rng.random(m) < look.lod2
    # a rectangle that looks at the street and fits in the lot, set back from its edges
    edge = np.roll(quad, -1, axis=1) - quad
    inward = np.stack([-edge[..., 1], edge[..., 0]], axis=-1)
    inward /= np.linalg.norm(inward, axis=-1, keepdims=True)
    u = edge[:, 0] - edge[:, 2]
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    v = np.stack([-u[:, 1], u[:, 0]], axis=-1)
    centre = quad.mean(axis=1)
    back = np.stack([setback[:, 1], setback[:, 0], setback[:, 1], setback[:, 0]], axis=1)
    # the lot is drawn with straight edges; a long edge of a bent street cuts its corner
    back = back + (edge**2).sum(axis=-1) / 2500

    def clearance(c: Array) -> Array:
        return np.asarray(np.einsum("nkd,nkd->nk", inward, c[:, None] - quad) - back)

    nu = np.abs(np.einsum("nkd,nd->nk", inward, u))
    nv = np.abs(np.einsum("nkd,nd->nk", inward, v))
    free = clearance(centre)
    # houses stand at the back or the front of the lot, the garden on the other side
    slack = np.clip(np.minimum(free[:, 0], free[:, 2]) - desired[:, 1], 0, None)
    centre = centre + v * (slack * rng.uniform(-0.9, 0.9, n))[:, None]
    free = clearance(centre)
    half_w, half_d = desired.T
    # first each side by itself, then both together (lots are not quite square)
    half_w = np.minimum(half_w, np.minimum(free[:, 1], free[:, 3]))
    half_d = np.minimum(half_d, np.minimum(free[:, 0], free[:, 2]))
    need = half_w[:, None] * nu + half_d[:, None] * nv
    scale = np.clip((free / np.maximum(need, 1e-6)).min(axis=1), 0, 1)
    half_w, half_d = half_w * scale, half_d * scale
    ok = (half_w > 1.9) & (half_d > 1.9) & (half_w * half_d > 5.5)
    shape = np.where((np.minimum(half_w, half_d) < 3) & (shape != RECT), RECT, shape)
    shape = np.where((np.minimum(half_w, half_d) < 9.5) & (shape == COURT), RECT, shape)
    roof = np.where(shape == RECT, roof, FLAT)
    base = storeys * storey_m * rng.normal(1.0, 0.045, n) + 0.4
    short = np.minimum(half_w, half_d)
    rise = np.where(roof == FLAT, 0.0, np.clip(short * rng.uniform(0.35, 0.6, n), 0.8, 4.5))
    part = np.round(base * rng.uniform(0.35, 0.7, n), 2)
    deep = (storeys > 5) & (rng.random(n) < 0.6)
    basement = np.where(deep, 1 + (storeys > 12), 0).astype(np.int32)
    year = _years(rng, kind)
    ring, corners, extra, area = _outline(
        rng, centre=centre, u=u, v=v, a=half_w, b=half_d, shape=shape, roof=roof
    )
    keep = np.flatnonzero(ok)
    cut = built[keep]
    out = Buildings(
        ring[keep], corners[keep], extra[keep], shape[keep], roof[keep], kind[keep], usage[keep],
        structure[keep], storeys[keep],
        basement[keep],
        year[keep], np.round(base, 2)[keep], np.round(base + rise, 2)[keep], part[keep],
        np.full(len(keep), np.nan), area[keep], lod2[keep], parcels.cell[cut], parcels.block[cut],
        parcels.number[cut], centre[keep],
    )  # fmt: skip
    return out, cut


def _years(rng: np.random.Generator, kind: Ints) -> Ints:
    n = len(kind)
    year = 2023 - np.floor(np.abs(rng.gamma(2.2, 13.5, n))).astype(np.int32)
    old = np.isin(kind, [CODE["farmhouse"], CODE["barn"]])
    year = np.where(old, 2012 - np.floor(rng.gamma(3, 16, n)).astype(np.int32), year)
    year = np.where(kind == CODE["temple"], 1890 - np.floor(rng.gamma(2, 70, n)), year)
    new = np.isin(kind, [CODE["tower"], CODE["hospital"], CODE["cityhall"]])
    year = np.where(new, 2024 - np.floor(rng.gamma(2, 8, n)), year)
    return np.asarray(np.maximum(year, 1600).astype(np.int32))


def _outline(
    rng: np.random.Generator, *, centre: Array, u: Array, v: Array, a: Array, b: Array,
    shape: Ints, roof: Ints,
) -> tuple[Array, Ints, Array, Array]:  # fmt: skip
    n = len(a)
    local = np.zeros((n, 8, 2))
    extra = np.zeros((n, 4, 2))
    corners = np.full(n, 4, np.int32)
    x, y = a[:, None], b[:, None]
    local[:, :4] = np.stack(
        [np.hstack([-x, -y]), np.hstack([x, -y]), np.hstack([x, y]), np.hstack([-x, y])], axis=1
    )
    p, q = rng.uniform(0.25, 0.5, n), rng.uniform(0.3, 0.55, n)
    flip = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    e = shape == ELL  # a corner at the back is missing
    xa, ya = a * (1 - 2 * p), b * (1 - 2 * q)
    ell = np.stack(
        [np.stack(c, axis=1) for c in
         ((-a, -b), (a, -b), (a, ya), (xa, ya), (xa, b), (-a, b))], axis=1)  # fmt: skip
    mirrored = ell * np.array([-1.0, 1.0])
    ell = np.where((flip > 0)[:, None, None], ell, mirrored[:, ::-1])
    local[e, :6] = ell[e]
    corners[e] = 6
    w = shape == YOU  # a bay open to the front
    xi, yi = a * rng.uniform(0.35, 0.6, n), b * rng.uniform(-0.1, 0.3, n)
    you = np.stack(
        [np.stack(c, axis=1) for c in
         ((-a, -b), (-xi, -b), (-xi, yi), (xi, yi), (xi, -b), (a, -b), (a, b), (-a, b))],
        axis=1)  # fmt: skip
    local[w] = you[w]
    corners[w] = 8
    c = shape == COURT  # the hole runs clockwise
    hx, hy = a * 0.42, b * 0.36
    hole = np.stack(
        [np.stack(k, axis=1) for k in ((-hx, -hy), (-hx, hy), (hx, hy), (hx, -hy))], axis=1
    )
    extra[c] = hole[c]
    flat = (shape == RECT) & (roof == FLAT)  # room for the lift and stairs on the roof
    px, py = a * 0.34, b * 0.38
    house = np.stack(
        [np.stack(k, axis=1) for k in ((-px, -py), (px, -py), (px, py), (-px, py))], axis=1
    )
    extra[flat] = house[flat]
    m = shape == PARTS  # cut across at xs: the part at the right is lower
    xs = a * rng.uniform(0.0, 0.35, n)
    cut = np.stack([np.stack([xs, -b], axis=1), np.stack([xs, b], axis=1)], axis=1)
    extra[m, :2] = cut[m]
    # the ridge runs along the longer side; hips take it in by the half depth
    long_x = a >= b
    inset = np.where(roof == HIP, np.minimum(a, b) * 0.92, 0.0)
    reach = np.maximum(a, b) - inset
    ridge = np.zeros((n, 2, 2))
    ridge[:, 0, 0] = np.where(long_x, -reach, 0)
    ridge[:, 1, 0] = np.where(long_x, reach, 0)
    ridge[:, 0, 1] = np.where(long_x, 0, -reach)
    ridge[:, 1, 1] = np.where(long_x, 0, reach)
    sloped = roof != FLAT
    extra[sloped, :2] = ridge[sloped]
    # sloped roofs are written with the ridge along the first edge
    swap = sloped & ~long_x
    local[swap, :4] = np.roll(local[swap, :4], -1, axis=1)

    def world(pts: Array) -> Array:
        return np.asarray(centre[:, None] + pts[..., :1] * u[:, None] + pts[..., 1:] * v[:, None])

    used = np.arange(8)[None, :] < corners[:, None]
    lx, ly = local[..., 0], local[..., 1]
    nxt = (np.arange(8)[None, :] + 1) % corners[:, None]
    nx, ny = np.take_along_axis(lx, nxt, axis=1), np.take_along_axis(ly, nxt, axis=1)
    area = ((lx * ny - nx * ly) * used).sum(axis=1) / 2
    area = area - np.where(c, 4 * hx * hy, 0)
    return world(local), corners, world(extra), area


def ground_under(tin: Tin, ring: Array, corners: Ints, centre: Array) -> Array:
    """Lowest 標高 of the TIN under the corners and the middle of each footprint."""
    used = np.arange(8)[None, :] < corners[:, None]
    z = tin.elevation_m(ring[..., 0], ring[..., 1])
    low = np.where(used, z, np.inf).min(axis=1)
    mid = tin.elevation_m(centre[:, 0], centre[:, 1])
    return np.asarray(np.round(np.minimum(low, mid), 2))


def centroid(b: Buildings) -> Array:
    """(n, 2) centroid of each outer ring."""
    k = np.arange(8)[None, :]
    nxt = np.where(k + 1 < b.corners[:, None], k + 1, 0)
    p = b.ring - b.ring[:, :1]
    q = np.take_along_axis(p, nxt[:, :, None], axis=1)
    cross = (p[..., 0] * q[..., 1] - q[..., 0] * p[..., 1]) * (k < b.corners[:, None])
    c = ((p + q) * cross[..., None]).sum(axis=1) / (3 * cross.sum(axis=1))[:, None]
    return np.asarray(c + b.ring[:, 0])
