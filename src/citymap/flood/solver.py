"""The shallow-water solver: a grid, its water, and steps in time. Arrays only.

Two schemes behind one interface: local-inertial equations on a staggered grid, and with `scheme="hllc"` the full
equations (`kernels.hllc`, one core, float64), several times dearer, for flows that the first cannot do. Sources: Bates, Horritt & Fewtrell 2010 (friction
semi-implicit); de Almeida, Bates, Freer & Souvignet 2012 (weighting θ of neighbouring discharges).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from citymap.errors import BadInputError
from citymap.flood import compiled
from citymap.flood.kernels import hllc, memory, peaks, sources, steps, tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Waiting threads sleep: where other programs want the cores, spinning makes two slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

GRAVITY = 9.80665
Precision = Literal["float32", "float64"]
Scheme = Literal["inertial", "hllc"]
Floats = NDArray[np.float64] if TYPE_CHECKING else Any
THETA = 0.9
ALPHA = 0.5
LEAST_DEPTH_M = 1e-5  # no flow through faces with less water than this
HEADROOM_M = 30.0  # of water above the highest ground that counts can hold at least
FAINTEST_M = 1e-300  # below it float64 has no digits left to share out what a cell holds
_CHUNK_S = 0.25  # seconds of work between two looks at cancel
_PEAK_STEPS, _PEAK_S = 32, 15.0
_BOTH_FROM_CELLS = 60_000


class UnstableError(ArithmeticError):
    """The water at a cell is no longer a depth that water can have."""

    def __init__(self, row: int, column: int, t_s: float) -> None:
        super().__init__(f"row {row}, column {column}, {t_s:.2f} s")
        self.row, self.column, self.t_s = row, column, t_s


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity in time: times (s, rising) and values; linear between, constant outside."""

    t_s: NDArray[np.float64]
    values: NDArray[np.float64]
    start_s: float = 0.0
    grow_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Points:
    """Cells where water enters or leaves: `kind` of `kernels.sources` (DISCHARGE, WEIR, PUMP, LEVEL, FREE).

    `part` is the cell's part of a discharge or pump, its width in metres of a breach, width · √slope / n
    of free outflow.
    """

    kind: int
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    part: NDArray[np.float64]
    series: Series


@dataclass(frozen=True, slots=True)
class Edge:
    """Cells along a side of the grid (0 west, 1 east, 2 north, 3 south) with a held level or outflow."""

    kind: int
    side: int
    cells: NDArray[np.int64]
    series: Series | None = None
    slope: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Rain:
    """A step function of time (s, m/s), times `factor` (rows, columns) where it is given."""

    t_s: NDArray[np.float64]
    m_per_s: NDArray[np.float64]
    factor: NDArray[np.float32] | None = None


@dataclass(slots=True)
class Account:
    """Volumes in m³ since the start."""

    initial: float
    inflow: float
    rain: float
    outflow: float
    stored: float
    wanted: float

    @property
    def error(self) -> float:
        """Stored − (initial + what was asked to come in − what left)."""
        return self.stored + self.outflow - self.initial - self.wanted


@dataclass(slots=True)
class Pace:
    """Whether all cores are faster than one right now: on a busy machine they often are not.

    The answer is the same either way, so the solver tries the other way now and then, the more
    rarely the more often it lost.
    """

    rate: dict[bool, float] = field(default_factory=dict)  # cells a second, by "all cores"
    all_cores: bool = False
    wait: int = 0
    patience: int = 16

    def next(self) -> tuple[bool, bool]:
        """Whether to use all cores for the next chunk, and whether that is only a trial."""
        self.wait -= 1
        trial = len(self.rate) == 1 or self.wait == 0
        return (self.all_cores != trial), trial

    def learn(self, all_cores: bool, rate: float) -> None:
        """Take in how fast a chunk was."""
        old = self.rate.get(all_cores, rate)
        trial = all_cores != self.all_cores
        self.rate[all_cores] = rate if trial else 0.7 * old + 0.3 * rate
        if len(self.rate) < 2:
            return
        if self.rate[not self.all_cores] > 1.05 * self.rate[self.all_cores]:
            self.all_cores, self.patience, self.wait = not self.all_cores, 16, 16
        elif trial:
            self.patience = min(1024, 2 * self.patience)
            self.wait = self.patience


@dataclass(slots=True)
class Solver:
    """Water on a grid.

    Args of `build`: `ground_m` (rows, columns), NaN where there is no ground (a wall); `cell_m`;
    `manning_n` a number or an array of the same shape; `depth_m` of the start.
    """

    rows: int
    columns: int
    cell_m: float
    unit: float
    base_m: float
    theta: float
    alpha: float
    wall: Any
    z: NDArray[Any]
    h: NDArray[Any]
    qx: NDArray[Any]
    qy: NDArray[Any]
    gn2: NDArray[Any]
    swell: NDArray[Any]  # depth per stored water, 1 / porosity; (1, 1) where all cells are whole
    width_x: NDArray[Any]  # open part of the faces
    width_y: NDArray[Any]
    open_cells: NDArray[np.bool_]
    scheme: Scheme = "inertial"
    hu: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))  # of `hllc` only
    hv: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    threads: int = 1
    pace: Pace = field(default_factory=Pace)
    dt_max: float = 60.0
    points: list[Points] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    rain: Rain | None = None
    arrival_m: float = 0.1
    duration_m: float = 0.5
    wall_s: float = 0.0
    _prepared: dict[str, Any] = field(default_factory=dict)
    peak_depth: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    peak_arrival: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    peak_duration: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    peak_dv2: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    clock: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))
    totals: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    _initial_m: float = 0.0
    _rain_wanted_m: float = 0.0
    _peaked_at: float = 0.0
    _peaked_step: int = 0

    @property
    def t_s(self) -> float:
        """Simulated seconds."""
        return float(self.clock[0])

    @property
    def steps(self) -> int:
        """Steps so far."""
        return int(self.counts[0])

    @property
    def cell_updates(self) -> int:
        """Cells computed, summed over the steps."""
        return int(self.counts[1])

    def depth_m(self) -> NDArray[np.float32]:
        """Depth in metres."""
        return self.depth64_m().astype(np.float32)

    def depth64_m(self) -> NDArray[np.float64]:
        """The same in float64."""
        return np.asarray(self.h * np.float64(self.unit) * self.swell.astype(np.float64))

    def ground_m(self) -> NDArray[np.float64]:
        """Ground as the solver sees it (rounded to counts); NaN at walls."""
        ground = self.z * np.float64(self.unit) + self.base_m
        return np.where(self.open_cells, ground, np.nan)

    def velocity_m_s(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """u (to the east) and v (to the north) at cell centres; 0 where shallower than 1 mm."""
        depth = self.depth_m()
        safe = np.where(depth > 1e-3, depth, np.inf).astype(np.float32)
        u = 0.5 * (self.qx[:, :-1] + self.qx[:, 1:]) / safe
        v = -0.5 * (self.qy[:-1] + self.qy[1:]) / safe
        return u.astype(np.float32), v.astype(np.float32)

    def account(self) -> Account:
        """The volumes."""
        area = self.cell_m**2
        if self.h.dtype == np.int32:
            stored = int(self.h.sum(dtype=np.int64)) * self.unit
        else:
            stored = float(np.sum(self.h, dtype=np.longdouble))
        came, left, rain, wanted = self.totals
        return Account(
            self._initial_m * area, came * area, rain * area, left * area, stored * area,
            (wanted + self._rain_wanted_m) * area,
        )  # fmt: skip


def build(
    ground_m: NDArray[Any], cell_m: float, *, manning_n: float | NDArray[Any] = 0.05,
    depth_m: float | NDArray[Any] = 0.0, precision: Precision = "float32", theta: float = THETA,
    alpha: float = ALPHA, threads: int = 1, headroom_m: float = HEADROOM_M,
    porosity: NDArray[np.float64] | None = None, scheme: Scheme = "inertial",
) -> Solver:  # fmt: skip
    """A solver on a grid of ground heights (row 0 is the north).

    `porosity` is the part of each cell that can hold water (above 0 to 1); a face is open as far as
    the less open of its two cells.
    With float32 depths and heights are int32 counts of 2^-k m, k as large as the range of heights
    plus `headroom_m` of water allows. `hllc` computes in float64 whatever is asked.

    Raises:
        BadInputError: no cell has ground, or porosity is asked of `hllc`.
    """
    full = scheme == "hllc"
    if full and porosity is not None:
        raise BadInputError("flood_hllc_porosity")
    precision = "float64" if full else precision
    warm(scheme if full else precision)
    ground = np.asarray(ground_m, np.float64)
    rows, columns = ground.shape
    is_open = np.isfinite(ground)
    if not is_open.any():
        raise BadInputError("flood_no_ground")
    depth = np.broadcast_to(np.asarray(depth_m, np.float64), ground.shape)
    base = float(ground[is_open].min())
    span = float(ground[is_open].max()) - base + float(depth.max()) + headroom_m
    fixed = precision == "float32"
    unit = 2.0 ** -min(24, int(np.floor(30 - np.log2(span)))) if fixed else 1.0
    count: Any = np.int32 if fixed else np.float64
    real: Any = np.float32 if fixed else np.float64
    wall = count(2**30) if fixed else 1e30
    z = np.where(is_open, (ground - base) / unit, wall)
    z = np.rint(z).astype(count) if fixed else z
    if fixed:  # the surface is rounded, not the depth: a level lake is level in counts
        h = np.where(is_open, np.rint((ground - base + depth) / unit), z).astype(count) - z
    else:
        h = np.where(is_open, depth, 0.0)
    if porosity is not None:
        h = (h * porosity).astype(count)
    n = np.asarray(manning_n, np.float64)
    gn2 = 0.5 * GRAVITY * n**2
    gn2 = np.full((1, columns), float(gn2)) if gn2.ndim == 0 else gn2
    swell, width_x, width_y = _porous(porosity, real)
    momentum = tuple(np.zeros(ground.shape if full else (0, 0)) for _ in range(2))
    qx, qy = np.zeros((rows, columns + 1), real), np.zeros((rows + 1, columns), real)
    z, h, qx, qy = memory.side_by_side(z, h, qx, qy)
    solver = Solver(
        rows, columns, float(cell_m), unit, base, theta, alpha, wall, z, h, qx, qy,
        np.ascontiguousarray(gn2.astype(real)), swell, width_x, width_y, is_open, scheme,
        momentum[0], momentum[1], 1 if full else threads,
    )  # fmt: skip
    shape = (rows, columns)
    solver.peak_depth = solver.depth_m()
    solver.peak_arrival = np.full(shape, np.inf, np.float32)
    solver.peak_arrival[solver.peak_depth >= solver.arrival_m] = 0
    solver.peak_duration = np.zeros(shape, np.float32)
    solver.peak_dv2 = np.zeros(shape, np.float32)
    solver.clock[1] = float(h.max()) * unit
    area = cell_m**2
    solver._initial_m = solver.account().stored / area
    return solver


def _porous(
    porosity: NDArray[np.float64] | None, real: Any
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    if porosity is None:
        one = np.ones((1, 1), real)
        return one, one, one
    x = np.zeros((porosity.shape[0], porosity.shape[1] + 1), real)
    y = np.zeros((porosity.shape[0] + 1, porosity.shape[1]), real)
    x[:, 1:-1] = np.minimum(porosity[:, :-1], porosity[:, 1:])
    y[1:-1] = np.minimum(porosity[:-1], porosity[1:])
    return (1 / porosity).astype(real), x, y


def _tables(solver: Solver) -> dict[str, Any]:
    """The forcing as plain arrays for the kernel."""
    series: list[Series] = []

    def number(s: Series | None) -> int:
        if s is None:
            return 0
        series.append(s)
        return len(series) - 1

    kinds, rows, columns, parts, numbers, rises = [], [], [], [], [], []
    for p in solver.points:
        s = number(p.series)
        top = float(np.abs(p.series.values).max()) if p.kind in (sources.DISCHARGE,) else 0.0
        for r, c, part in zip(p.row.tolist(), p.column.tolist(), p.part.tolist(), strict=True):
            kinds.append(p.kind)
            rows.append(r)
            columns.append(c)
            parts.append(part)
            numbers.append(s)
            rises.append(top * part / solver.cell_m**2)
    ek, es, er, ec, en, slopes = [], [], [], [], [], []
    for e in solver.edges:
        s = number(e.series)
        for m, at in enumerate(e.cells.tolist()):
            ek.append(e.kind)
            es.append(e.side)
            er.append(at if e.side < 2 else 0 if e.side == 2 else solver.rows - 1)
            ec.append(at if e.side >= 2 else 0 if e.side == 0 else solver.columns - 1)
            en.append(s)
            slopes.append(0.0 if e.slope is None else float(e.slope[m]))
    longest = max((s.t_s.size for s in series), default=1)
    t, v = np.zeros((max(1, len(series)), longest)), np.zeros((max(1, len(series)), longest))
    n, grow = np.zeros(max(1, len(series)), np.int64), np.zeros((max(1, len(series)), 2))
    for m, s_ in enumerate(series):
        t[m, : s_.t_s.size], v[m, : s_.t_s.size] = s_.t_s, s_.values
        n[m], grow[m] = s_.t_s.size, (s_.start_s, s_.grow_s)
    i8, f8 = np.int64, np.float64
    level_shift = {sources.WEIR, sources.LEVEL}
    for p, m in zip(solver.points, range(len(solver.points)), strict=True):
        if p.kind in level_shift:
            v[m] -= solver.base_m
    done = len(solver.points)
    for e in solver.edges:
        if e.series is not None:
            v[done] -= solver.base_m
            done += 1
    rain = solver.rain
    factor = np.ones((1, 1), np.float32) if rain is None or rain.factor is None else rain.factor
    return {
        "points": (np.array(kinds, i8), np.array(rows, i8), np.array(columns, i8), np.array(parts, f8), np.array(numbers, i8),
                   np.zeros(len(kinds)), np.array(rises, f8)),
        "edges": (np.array(ek, i8), np.array(es, i8), np.array(er, i8), np.array(ec, i8), np.array(en, i8), np.array(slopes, f8)),
        "series": (t, v, n, grow),
        "rain": (np.zeros(0) if rain is None else rain.t_s, np.zeros(0) if rain is None else rain.m_per_s,
                 factor, float(solver.open_cells.sum())),
    }  # fmt: skip


def prepare(solver: Solver) -> None:
    """Lay out the work arrays and the forcing; call again after the forcing changed."""
    rows, columns = solver.rows, solver.columns
    real = solver.qx.dtype.type
    fixed = solver.h.dtype == np.int32
    bands, across = -(-rows // tiles.BAND), -(-columns // tiles.TILE)
    tables = _tables(solver)
    everywhere = solver.rain is not None
    always = np.zeros((bands, across), np.bool_)
    for r, c in (
        (tables["points"][1], tables["points"][2]),
        (tables["edges"][2], tables["edges"][3]),
    ):
        for dj in (-tiles.REFRESH - 2, 0, tiles.REFRESH + 2):
            for di in (-tiles.REFRESH - 2, 0, tiles.REFRESH + 2):
                jj, ii = np.clip(r + dj, 0, rows - 1), np.clip(c + di, 0, columns - 1)
                always[jj // tiles.BAND, ii // tiles.TILE] = True
    least = solver.h.dtype.type(LEAST_DEPTH_M / float(solver.swell.max()) / solver.unit)
    active = (
        np.ones_like(always) if everywhere
        else tiles.wet_tiles(solver.h, least, always, np.ones_like(always))
    )  # fmt: skip
    blocks = max(1, min(solver.threads, bands // 2))
    band_run = np.zeros(bands + 1, np.int64)
    most = bands * (across // 2 + 1)
    run_low, run_high = np.zeros(most, np.int64), np.zeros(most, np.int64)
    solver.counts[3] = tiles.runs_of(active, columns, band_run, run_low, run_high) * tiles.BAND
    count = solver.h.dtype
    margin, slack = (1 - 1e-6, 4.0) if fixed else (1 - 1e-12, FAINTEST_M)
    solver._prepared = {
        "real": np.array([solver.unit, LEAST_DEPTH_M, solver.theta, 0.5 * (1 - solver.theta), margin, slack], real),
        "everywhere": everywhere, "active": active, "always": always, "least": least,
        "runs": (band_run, run_low, run_high),
        "work": {
            b: (np.linspace(0, bands, b + 1).astype(np.int64) * tiles.BAND, np.zeros(b, count), np.zeros(b, np.int64),
                np.zeros((b + 1, 4, columns), count), np.zeros((b + 1, 2, columns + 1), real),
                np.zeros((b + 1, 5, columns), real), np.zeros((b, columns + 1), real),
                np.zeros((b, 3, columns + 1), count), np.zeros((b, 3, columns), real),
                np.zeros((b, 3, columns), count), np.ones((b, 4, columns + 2), real))
            for b in {1, blocks}
        },
        "blocks": blocks, **tables,
    }  # fmt: skip
    if solver.scheme == "hllc":
        longest = max(rows, columns)
        solver._prepared |= {
            "gains": (np.zeros_like(solver.hu), np.zeros_like(solver.hv)),
            "rims": (np.zeros((4, longest), np.int64), np.zeros((4, longest))),
        }
        solver.clock[5] = 2 * np.sqrt(GRAVITY * solver.clock[1]) + _fastest(solver)
    for b, work in solver._prepared["work"].items():
        work[0][b] = rows
        if b > 1:
            tiles.partition(band_run, run_low, run_high, rows, work[0])


def _fastest(solver: Solver) -> float:
    """The greatest |u| + |v| of the cells (m/s)."""
    deep = solver.h > hllc.THIN_M
    if not deep.any():
        return 0.0
    speed = np.abs(solver.hu) + np.abs(solver.hv)
    return float((speed[deep] / solver.h[deep]).max())


def _steps_in_full(solver: Solver, stop: float, most: int) -> None:
    p = solver._prepared
    begun = time.perf_counter()
    status = hllc.advance(
        solver.clock, solver.counts, float(stop), most, solver.h, solver.z, solver.hu, solver.hv, *p["gains"],
        solver.qx, solver.qy, solver.gn2, float(solver.dt_max), solver.cell_m, solver.wall, 1e4, p["everywhere"],
        p["active"], p["always"], p["least"], *p["runs"], *p["rims"], *p["points"], *p["edges"],
        *p["series"], *p["rain"], solver.totals,
    )  # fmt: skip
    solver.wall_s += time.perf_counter() - begun
    if status:
        check(solver, failed=True)


def _steps(solver: Solver, stop: float, most: int) -> None:
    if solver.scheme == "hllc":
        _steps_in_full(solver, stop, most)
        return
    p = solver._prepared
    all_cores, trial = False, False
    if p["blocks"] > 1 and solver.counts[3] >= _BOTH_FROM_CELLS:
        all_cores, trial = solver.pace.next()
    blocks = p["blocks"] if all_cores else 1
    if all_cores:
        work = p["work"][blocks]
        tiles.partition(*p["runs"], solver.rows, work[0])
    before, begun = solver.cell_updates, time.perf_counter()
    status = steps.advance(
        solver.clock, solver.counts, float(stop), min(most, 3) if trial else most, solver.h, solver.z, solver.qx,
        solver.qy, solver.gn2, solver.swell, solver.width_x, solver.width_y, p["real"], solver.unit, solver.alpha, float(solver.dt_max), solver.cell_m, solver.wall,
        1e4 if solver.unit == 1.0 else 2**30 * solver.unit, p["everywhere"], p["active"], p["always"],
        p["least"], *p["runs"], *p["work"][blocks], *p["points"], *p["edges"], *p["series"], *p["rain"],
        solver.totals,
    )  # fmt: skip
    spent = time.perf_counter() - begun
    solver.wall_s += spent
    if p["blocks"] > 1 and solver.counts[3] >= _BOTH_FROM_CELLS:
        solver.pace.learn(all_cores, (solver.cell_updates - before) / max(spent, 1e-9))
    if status:
        check(solver, failed=True)


def check(solver: Solver, *, failed: bool = False) -> None:
    """Stop with place and time where depths are no longer numbers that water can have.

    Raises:
        UnstableError: a cell is negative, not a number, or too deep.
    """
    h = solver.h
    bad = (h < 0) | ~np.isfinite(h) | (h * solver.unit > 1e4)
    if not (bad.any() or failed):
        return
    at = int(np.argmax(bad)) if bad.any() else int(np.argmax(h))
    row, column = divmod(at, solver.columns)
    raise UnstableError(row, column, solver.t_s)


def warm(variant: Precision | Scheme) -> None:
    """Compile the kernels, or load them compiled, so that a run's time is its own."""

    def drop() -> None:
        if variant == "hllc":
            made = build(np.zeros((2, 2)), 1.0, depth_m=1.0, scheme="hllc")
        else:
            made = build(np.zeros((2, 2)), 1.0, depth_m=1.0, precision=_precision(variant))
        advance(made, 0.1)

    compiled.ready(variant, drop)


def _precision(name: str) -> Precision:
    return "float64" if name == "float64" else "float32"


def advance(solver: Solver, until_s: float, *, pulse: Any = None) -> None:
    """Run to `until_s`, keeping the peaks; `pulse(t_s)` is called several times a second.

    Raises:
        UnstableError: the run became unstable.
    """
    if not solver._prepared:
        prepare(solver)
    p = solver._prepared
    chunk = 8
    while solver.t_s < until_s:
        due = solver._peaked_at + _PEAK_S
        stop = until_s
        t0, s0, begun = solver.t_s, solver.steps, time.perf_counter()
        left = max(1, _PEAK_STEPS - (solver.steps - solver._peaked_step))
        _steps(solver, stop, min(chunk, left))
        if solver.rain is not None:
            solver._rain_wanted_m += _rain_wanted(solver, t0, solver.t_s)
        if (
            solver.steps - solver._peaked_step >= _PEAK_STEPS
            or solver.t_s >= due
            or solver.t_s >= until_s
        ):
            peaks.peaks(
                np.float32(solver.t_s), np.float32(solver.t_s - solver._peaked_at), solver.h, solver.swell,
                solver.qx, solver.qy, *p["runs"], solver.unit, float(solver.arrival_m), float(solver.duration_m),
                solver.peak_depth, solver.peak_arrival, solver.peak_duration, solver.peak_dv2,
            )  # fmt: skip
            solver._peaked_at, solver._peaked_step = solver.t_s, solver.steps
        spent = time.perf_counter() - begun
        done = solver.steps - s0
        chunk = int(np.clip(done * _CHUNK_S / max(spent, 1e-6), 1, _PEAK_STEPS))
        if pulse is not None:
            pulse(solver.t_s)
    _settle_rain(solver)
    check(solver)


def _settle_rain(solver: Solver) -> None:
    """Let the part of a count of rain that every cell still waits for fall on as many of them."""
    if solver.h.dtype != np.int32 or not solver.clock[3]:
        return
    cells = np.flatnonzero(solver.open_cells.ravel())
    full = round(float(solver.clock[3]) / solver.unit * cells.size)
    if full > 0:
        solver.h.ravel()[cells[np.arange(full) * cells.size // full]] += 1
    solver.totals[sources.RAIN] += full * solver.unit
    solver.clock[3] = 0.0


def change_rain(solver: Solver, rain: Rain | None) -> None:
    """Put other rain in force from now on."""
    carry = solver._prepared["points"][5] if solver._prepared else None
    solver.rain = rain
    solver.clock[4] = 0.0
    prepare(solver)
    if carry is not None:
        solver._prepared["points"][5][:] = carry


def _rain_wanted(solver: Solver, t0: float, t1: float) -> float:
    """m · cells of rain asked for between two times."""
    rain = solver.rain
    if rain is None:
        return 0.0
    ends = np.append(rain.t_s[1:], np.inf)
    overlap = np.clip(np.minimum(ends, t1) - np.maximum(rain.t_s, t0), 0, None)
    amount = float(overlap @ rain.m_per_s)
    cells = solver.open_cells.sum() if rain.factor is None else rain.factor.sum(dtype=np.float64)
    return amount * float(cells)
