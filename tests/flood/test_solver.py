"""Laws that the solver keeps: still water, no water made or lost, no negative depth, one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.errors import BadInputError
from citymap.flood import compiled, solver
from citymap.flood.kernels import counts
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Edge, Points, Precision, Rain, Series

BOTH = pytest.mark.parametrize("precision", ["float32", "float64"])


def bumpy(rows: int = 70, columns: int = 150, seed: int = 1) -> np.ndarray:
    """Irregular ground from 0 to about 4 m."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    return 2 + np.sin(x / 9) + np.cos(y / 7) + rng.uniform(0, 0.3, (rows, columns))


def at(kind: int, row: int, column: int, part: float, series: Series) -> Points:
    return Points(kind, np.array([row]), np.array([column]), np.array([part]), series)


def constant(value: float) -> Series:
    return Series(np.zeros(1), np.array([value]))


@BOTH
def test_a_lake_at_rest_stays_at_rest(precision: Precision) -> None:
    ground = bumpy()
    made = solver.build(ground, 5.0, depth_m=np.maximum(0, 2.7 - ground), precision=precision)
    surface = made.depth64_m() + made.ground_m()
    wet = made.depth64_m() > 0
    solver.advance(made, 600.0)
    moved = np.abs(made.depth64_m() + made.ground_m() - surface)[wet]
    assert moved.max() <= (1e-12 if precision == "float64" else 0)
    assert np.abs(made.qx).max() <= (1e-9 if precision == "float64" else 0)


@BOTH
def test_no_water_is_made_or_lost(precision: Precision) -> None:
    ground = bumpy()
    made = solver.build(ground, 5.0, precision=precision)
    made.points = [
        at(k.DISCHARGE, 20, 30, 1.0, Series(np.array([0.0, 300, 900]), np.array([0.0, 30, 1]))),
        at(k.PUMP, 50, 100, 1.0, constant(2.0)),
        at(k.WEIR, 60, 20, 15.0, Series(np.array([0.0, 900]), np.array([5.0, 3]), 60.0, 120.0)),
    ]
    made.edges = [
        Edge(k.EDGE_OPEN, 1, np.arange(70), None, np.full(70, 0.01)),
        Edge(k.EDGE_STAGE, 2, np.arange(150), constant(2.5)),
    ]
    made.rain = Rain(np.array([0.0, 400]), np.array([50e-3 / 3600, 0]))
    solver.advance(made, 900.0)
    a = made.account()
    assert a.outflow > 0
    assert a.inflow > 0
    assert abs(a.error) <= (1e-12 if precision == "float64" else 1e-7) * a.wanted
    exact = a.stored + a.outflow - a.initial - a.inflow - a.rain
    assert abs(exact) <= (1e-13 * a.wanted if precision == "float64" else 1e-9)
    assert made.h.min() >= 0


@BOTH
@pytest.mark.parametrize("side", range(4))
def test_a_rim_gives_no_more_than_its_cells_hold(side: int, precision: Precision) -> None:
    made = solver.build(np.full((24, 31), 30.0), 5.0, depth_m=0.4, precision=precision)
    made.edges = [Edge(k.EDGE_STAGE, side, np.arange(24 if side < 2 else 31), constant(0.0))]
    solver.advance(made, 120.0)
    a = made.account()
    assert a.outflow > 0.1 * a.initial
    assert abs(a.error) <= (1e-12 if precision == "float64" else 1e-7) * a.initial
    assert made.h.min() >= 0


@BOTH
def test_slow_rain_into_deep_water_is_not_lost(precision: Precision) -> None:
    made = solver.build(np.zeros((20, 20)), 10.0, depth_m=5.0, precision=precision)
    made.rain = Rain(np.zeros(1), np.array([1e-3 / 3600]))
    solver.advance(made, 24 * 3600.0)
    a = made.account()
    assert a.stored - a.initial == pytest.approx(0.024 * 400 * 100, rel=1e-5)
    assert abs(a.error) <= (1e-12 if precision == "float64" else 1e-7) * (a.initial + a.wanted)


@given(st.integers(0, 10_000), st.floats(0.5, 30.0))
@settings(max_examples=15, deadline=None)
def test_no_cell_is_ever_overdrawn(seed: int, cell_m: float) -> None:
    rng = np.random.default_rng(seed)
    ground = rng.uniform(0, 8, (40, 70))
    depth = np.where(rng.random((40, 70)) < 0.1, rng.uniform(0, 6, (40, 70)), 0.0)
    made = solver.build(ground, cell_m, depth_m=depth, precision="float32")
    before = int(made.h.sum(dtype=np.int64))
    for _ in range(20):
        solver.advance(made, made.t_s + 3.0)
        assert made.h.min() >= 0
    assert int(made.h.sum(dtype=np.int64)) == before


def test_the_answer_does_not_depend_on_the_number_of_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(solver, "_BOTH_FROM_CELLS", 1)
    monkeypatch.setattr(solver.Pace, "next", lambda self: (True, False))
    ground = bumpy(200, 260)
    answers = []
    for threads in (1, 2, 3):
        made = solver.build(ground, 5.0, threads=threads)
        made.points = [at(k.DISCHARGE, 100, 100, 1.0, constant(80.0))]
        solver.advance(made, 300.0)
        answers.append((made.h.copy(), made.qx.copy(), made.qy.copy(), made.steps))
    for other in answers[1:]:
        for one, two in zip(answers[0], other, strict=True):
            assert np.array_equal(one, two)


def test_computing_the_wet_part_only_changes_nothing() -> None:
    ground = bumpy(200, 260)
    answers = []
    for everywhere in (False, True):
        made = solver.build(ground, 5.0)
        made.points = [
            at(k.DISCHARGE, 100, 100, 1.0, Series(np.array([0, 60.0, 61]), np.array([90, 90.0, 0])))
        ]
        if everywhere:
            made.rain = Rain(np.zeros(1), np.zeros(1))
        solver.advance(made, 600.0)
        answers.append((made.h, made.qx, made.qy, made.cell_updates))
    for one, two in zip(answers[0][:3], answers[1][:3], strict=True):
        assert np.array_equal(one, two)
    assert answers[0][3] < 0.8 * answers[1][3]


def test_water_spreads_evenly_in_all_directions() -> None:
    made = solver.build(np.zeros((65, 65)), 2.0)
    made.points = [at(k.DISCHARGE, 32, 32, 1.0, constant(5.0))]
    solver.advance(made, 60.0)
    depth = made.h
    for other in (depth[::-1], depth[:, ::-1], depth.T):
        assert np.abs(depth - other).max() <= 4  # counts of 2^-24 m: sums in another order


def reference_step(z: np.ndarray, h: np.ndarray, qx: np.ndarray, qy: np.ndarray, dt: float, cell: float,
                   n: float, theta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The scheme as the papers write it, one face after another (no cell runs dry here)."""
    g = solver.GRAVITY
    new_x, new_y = qx.copy(), qy.copy()

    def flux(zl: float, hl: float, zr: float, hr: float, q: float, qm: float, qp: float) -> float:
        hf = max(zl + hl, zr + hr) - max(zl, zr)
        if hf <= solver.LEAST_DEPTH_M:
            return 0.0
        slope = (zr + hr - zl - hl) / cell
        top = theta * q + (1 - theta) / 2 * (qm + qp) - g * hf * dt * slope
        return top / (1 + g * dt * n**2 * abs(q) / hf ** (7 / 3))

    rows, columns = z.shape
    for j in range(rows):
        for i in range(1, columns):
            new_x[j, i] = flux(
                z[j, i - 1], h[j, i - 1], z[j, i], h[j, i], qx[j, i], qx[j, i - 1], qx[j, i + 1]
            )
    for j in range(1, rows):
        for i in range(columns):
            new_y[j, i] = flux(
                z[j - 1, i], h[j - 1, i], z[j, i], h[j, i], qy[j, i], qy[j - 1, i], qy[j + 1, i]
            )
    new_h = h + dt / cell * (new_x[:, :-1] - new_x[:, 1:] + new_y[:-1] - new_y[1:])
    return new_h, new_x, new_y


@BOTH
def test_the_kernel_agrees_with_the_scheme_as_it_is_written(precision: Precision) -> None:
    rng = np.random.default_rng(3)
    z = rng.uniform(0, 1, (9, 11))
    h = rng.uniform(2, 3, (9, 11))
    made = solver.build(z, 4.0, depth_m=h, manning_n=0.03, precision=precision)
    z, h = made.ground_m() - made.base_m, made.depth64_m()
    qx, qy = np.zeros((9, 12)), np.zeros((10, 11))
    for _ in range(25):
        solver._steps(made, 1e9, 1) if made._prepared else solver.prepare(made)
        if made.steps == 0:
            solver._steps(made, 1e9, 1)
        h, qx, qy = reference_step(z, h, qx, qy, float(made.clock[2]), 4.0, 0.03, made.theta)
    near = 1e-11 if precision == "float64" else 2e-5
    assert np.abs(made.depth64_m() - h).max() < near
    assert np.abs(made.qx - qx).max() < 10 * near
    assert np.abs(made.qy - qy).max() < 10 * near


@pytest.mark.parametrize("h", [1e-5, 3e-4, 0.02, 0.9, 7.0, 120.0])
def test_the_quick_root_is_exact_to_round_off(h: float) -> None:
    single = np.float32(h)
    assert float(counts._root32(single)) == pytest.approx(float(single) ** (-1 / 3), rel=3e-7)
    assert counts._root64(h) == pytest.approx(h ** (-1 / 3), rel=1e-14)


def test_the_weir_of_honma_is_free_then_drowned_then_backwards() -> None:
    g = solver.GRAVITY
    assert k.honma_m3_s_m(3.0, 1.0, 0.0) == pytest.approx(0.35 * 2 * np.sqrt(2 * g * 2))
    assert k.honma_m3_s_m(3.0, 1.0, 1.8) == pytest.approx(0.91 * 1.8 * np.sqrt(2 * g * 0.2))
    assert k.honma_m3_s_m(1.2, 1.0, 1.0) < 0
    assert k.honma_m3_s_m(0.5, 1.0, 0.0) == 0


def test_an_unstable_run_stops_with_place_and_time() -> None:
    made = solver.build(np.zeros((30, 40)), 5.0, precision="float64", alpha=6.0)
    made.points = [at(k.DISCHARGE, 7, 9, 1.0, constant(1e7))]
    with pytest.raises(solver.UnstableError) as caught:
        solver.advance(made, 3600.0)
    assert 0 <= caught.value.row < 30
    assert caught.value.t_s > 0


def test_all_cores_are_used_only_while_they_are_faster() -> None:
    pace = solver.Pace()
    speed = {False: 100.0, True: 180.0}
    used = []
    for chunk in range(400):
        if chunk == 100:
            speed[True] = 40.0  # another program takes the second core
        all_cores, _ = pace.next()
        used.append(all_cores)
        pace.learn(all_cores, speed[all_cores])
    assert used[0] is False
    assert sum(used[3:100]) > 85
    assert sum(used[110:]) < 12


@BOTH
def test_built_up_cells_hold_and_let_through_less(precision: Precision) -> None:
    ground = np.zeros((40, 80))
    porosity = np.ones((40, 80))
    porosity[:, 40:] = 0.5
    made = solver.build(ground, 5.0, precision=precision, porosity=porosity)
    made.points = [
        at(k.DISCHARGE, 20, 5, 1.0, Series(np.array([0.0, 600, 601]), np.array([20.0, 20, 0])))
    ]
    solver.advance(made, 6 * 3600.0)
    a, depth = made.account(), made.depth64_m()
    assert abs(a.error) <= (1e-12 if precision == "float64" else 1e-7) * a.wanted
    level = a.stored / ((40 * 40 + 40 * 40 * 0.5) * 25)
    assert np.abs(depth / level - 1).max() < 0.05  # the level is one, the stored water is not
    whole = solver.build(ground, 5.0, precision=precision, porosity=np.ones((40, 80)))
    plain = solver.build(ground, 5.0, precision=precision)
    for other in (whole, plain):
        other.points = made.points
        solver.advance(other, 1800.0)
    assert np.abs(whole.depth64_m() - plain.depth64_m()).max() < 1e-4


def test_kernels_are_compiled_once_a_process_and_again_after_a_failure() -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        compiled.ready("test", fails)
    compiled.ready("test", lambda: calls.append(2))
    compiled.ready("test", lambda: calls.append(3))
    assert calls == [1, 2]
    compiled._READY.discard("test")


class TestHllc:
    """The full equations keep the same laws."""

    def test_a_lake_stays_at_rest_over_irregular_ground_with_islands_and_walls(self) -> None:
        z = bumpy()
        z[10:15, 10:20] = np.nan
        lake = solver.build(z, 5.0, depth_m=np.nan_to_num(np.maximum(0, 2.5 - z)), scheme="hllc")
        before = lake.h.copy()
        solver.advance(lake, 120.0)
        assert np.abs(lake.h - before).max() <= 1e-12
        assert (lake.h == 0).sum() > 100

    def test_no_water_is_made_or_clipped(self) -> None:
        z = bumpy()
        z[10:15, 10:20] = np.nan
        made = solver.build(z, 5.0, scheme="hllc")
        made.rain = Rain(np.zeros(1), np.array([50e-3 / 3600]))
        made.points = [
            at(k.DISCHARGE, 30, 40, 1.0, constant(40.0)),
            at(k.PUMP, 50, 90, 1.0, constant(1.0)),
        ]
        made.edges = [Edge(k.EDGE_OPEN, 1, np.arange(70), None, np.full(70, 1e-3)),
                      Edge(k.EDGE_STAGE, 0, np.arange(70), constant(2.5))]  # fmt: skip
        solver.advance(made, 300.0)
        account = made.account()
        assert account.inflow > 0
        assert account.outflow > 0
        assert abs(account.error) <= 1e-12 * account.wanted
        assert made.h.min() >= 0

    def test_only_the_wet_part_is_computed_with_the_same_answer(self) -> None:
        z = np.zeros((100, 300))
        some = []
        for rained in (False, True):
            made = solver.build(z, 5.0, scheme="hllc", manning_n=0.03)
            made.points = [at(k.DISCHARGE, 50, 20, 1.0, constant(30.0))]
            if rained:  # rain of nothing makes the solver look everywhere
                made.rain = Rain(np.zeros(1), np.zeros(1))
            solver.advance(made, 300.0)
            some.append(made)
        assert some[0].cell_updates < some[1].cell_updates / 2
        assert np.array_equal(some[0].h, some[1].h)

    def test_a_symmetric_flood_stays_symmetric(self) -> None:
        depth = np.zeros((81, 81))
        depth[36:45, 36:45] = 2.0
        made = solver.build(np.zeros_like(depth), 5.0, depth_m=depth, manning_n=0.03, scheme="hllc")
        solver.advance(made, 60.0)
        for other in (made.h[::-1], made.h[:, ::-1], made.h.T):
            assert np.abs(made.h - other).max() < 1e-12

    def test_it_does_not_take_porosity(self) -> None:
        with pytest.raises(BadInputError) as caught:
            solver.build(np.zeros((4, 4)), 5.0, porosity=np.full((4, 4), 0.5), scheme="hllc")
        assert caught.value.key == "flood_hllc_porosity"
