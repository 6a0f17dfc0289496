"""Stress test, replicates and comparison: certified, paired, and the same on every executor."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from citymap.errors import BadInputError
from citymap.evacuation.compare import compare
from citymap.evacuation.replicates import COUNTED, interval, paired, replicate, summarised
from citymap.evacuation.run import run
from citymap.evacuation.stress.assignment import TURNED_AWAY_S, assign
from citymap.evacuation.stress.plan import stress
from citymap.evacuation.town import prepare
from citymap.workspace import Workspace
from tests.evacuation import towns
from tests.evacuation.test_run import flood, scenario


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    workspace = towns.street_town(tmp_path / "city")
    towns.write_shelters(workspace, [("s1", 5, 5, 200), ("s2", 495, 495, 100), ("s3", 250, 255, 150)],
                         flood=[True, True, None])  # fmt: skip
    return workspace


def by_linear_programme(seconds: np.ndarray, size: np.ndarray, capacity: np.ndarray) -> float:
    """The least cost by scipy's HiGHS: an independent judge."""
    n, k = seconds.shape
    cost = np.hstack([np.where(np.isfinite(seconds), np.rint(np.nan_to_num(seconds, posinf=0)), 2 * TURNED_AWAY_S),
                      np.full((n, 1), TURNED_AWAY_S)])  # fmt: skip
    rows = np.kron(np.eye(n), np.ones(k + 1))
    columns = np.kron(np.ones(n), np.eye(k + 1))[:k]
    found = linprog(cost.ravel(), A_eq=rows, b_eq=size, A_ub=columns, b_ub=capacity, method="highs")
    return float(found.fun)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 14), k=st.integers(1, 5))
def test_no_better_plan_exists(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = rng.integers(1, 4000, (n, k)).astype(float)
    seconds[rng.random((n, k)) < 0.15] = np.inf
    size, capacity = rng.integers(1, 9, n), rng.integers(0, 25, k)
    found = assign(seconds, size, capacity)
    assert (found.flow.sum(axis=1) == size).all()
    assert (found.flow[:, :-1].sum(axis=0) <= capacity).all()
    assert found.certified()
    assert found.primal == pytest.approx(by_linear_programme(seconds, size, capacity), rel=1e-9)
    assert not found.flow[:, :-1][~np.isfinite(seconds)].any()


def test_one_more_place_saves_what_the_price_says() -> None:
    rng = np.random.default_rng(4)
    seconds = rng.integers(60, 3000, (30, 4)).astype(float)
    size, capacity = rng.integers(1, 9, 30), np.array([20, 30, 25, 10])
    before = assign(seconds, size, capacity)
    for s in range(4):
        more = capacity.copy()
        more[s] += 1
        assert before.primal - assign(seconds, size, more).primal == before.gain_s[s]


def test_a_wrong_plan_has_no_certificate() -> None:
    from dataclasses import replace

    found = assign(np.array([[100.0, 300.0]]), np.array([5]), np.array([9, 9]))
    assert found.certified()
    worse = replace(found, flow=np.array([[0, 5, 0]]), primal=1500)
    assert not worse.certified()


def test_the_stress_test_names_who_is_turned_away_and_what_helps(
    town: Workspace, tmp_path: Path
) -> None:
    summary = stress(town, scenario(order_time_h=1.0), tmp_path / "out")
    assert summary["certificate"]["optimal"]
    assert summary["certificate"]["primal"] == summary["certificate"]["dual"]
    assert summary["places"] == 300
    assert summary["served"] == 300
    assert summary["turned_away"] == summary["people"] - 300 > 0
    table = pq.read_table(tmp_path / "out/stress.parquet").to_pandas()
    assert table.people.sum() == summary["people"]
    assert table[table.shelter_id.isna()].people.sum() == summary["turned_away"]
    best = summary["fixes"][0]
    assert (best["kind"], best["id"], best["people"]) == ("shelter", "s3", 150)
    assert best["note"] == "not_designated"
    rows = list(csv.DictReader((tmp_path / "out/fixes.csv").read_text().splitlines()))
    assert {r["kind"] for r in rows} >= {"shelter", "order_earlier"}
    shelters = list(csv.DictReader((tmp_path / "out/stress_shelters.csv").read_text().splitlines()))
    assert [int(r["assigned"]) for r in shelters] == [200, 100]


def test_a_footpath_is_worth_the_walk_it_saves(town: Workspace, tmp_path: Path) -> None:
    shut = shapely.MultiLineString([[(-20, 250), (210, 250)], [(290, 250), (520, 250)]])
    towns.write_closures(town, [{"id": "c", "shape": shut}])
    towns.write_shelters(town, [("s1", 5, 5, 2000)])
    ends = [towns.lon_lat(shapely.Point(x, y)) for x, y in ((233, 202), (233, 298))]
    path = {"line": [[p.x, p.y] for p in ends], "cost": 2.0}
    summary = stress(town, scenario(extra_paths=[path]), tmp_path / "out")
    found = next(f for f in summary["fixes"] if f["kind"] == "path")
    assert found["people"] > 200  # those north of the closed streets had no way at all
    assert found["cost"] == 2.0


def spread(**keys: Any) -> Any:
    return scenario(
        replicates=10,
        compliance=0.7,
        spread={"order_delay_h": [0.0, 0.4], "compliance": [0.5, 0.9]},
        **keys,
    )


def test_replicates_are_the_same_whatever_runs_them(town: Workspace, tmp_path: Path) -> None:
    plan = spread(flood=str(flood(tmp_path / "flood")))
    ready = prepare(town, plan)
    alone = replicate(ready, plan, workers=1)
    pool = replicate(ready, plan, workers=2)
    assert alone == pool
    assert len({r["stranded"] for r in alone}) > 1
    assert [r["replicate"] for r in alone] == list(range(10))


@pytest.mark.slow
def test_replicates_are_the_same_on_a_cluster(town: Workspace, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    plan = spread(flood=str(flood(tmp_path / "flood")))
    ready = prepare(town, plan)
    file = tmp_path / "scheduler.json"
    started = []

    def start(*arguments: str) -> None:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{arguments[0]}", *arguments[1:],
                 "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip

    try:
        start("scheduler", "--port", "0")
        while not (file.exists() and file.stat().st_size):
            assert started[0].poll() is None
            time.sleep(0.05)
        start("worker", "--nthreads", "1")
        address = json.loads(file.read_text())["address"]
        remote = replicate(ready, plan, scheduler=address)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
    assert remote == replicate(ready, plan, workers=1)


def test_the_stop_rule_ends_early_and_at_the_same_number(town: Workspace) -> None:
    plan = scenario(replicates=50, spread={"compliance": [0.69, 0.71]}, stop_ci=15.0)
    ready = prepare(town, plan)
    rows = replicate(ready, plan, workers=1)
    assert 8 <= len(rows) < 50
    assert rows == replicate(ready, plan, workers=2)
    low, high = interval([r["stranded"] for r in rows])
    assert (high - low) / 2 <= 15.0


def test_no_interval_of_a_count_leaves_nobody_to_everybody() -> None:
    zeros = dict.fromkeys(COUNTED, 0)
    rows = [{**zeros, "stranded": 0, "stayed": 100, "mean_travel_min": None},
            {**zeros, "stranded": 10, "stayed": 90, "mean_travel_min": 3.0}]  # fmt: skip
    found = summarised(rows, people=100)
    half = 12.706 * np.sqrt(50 / 2)  # Student's t with one degree of freedom
    assert interval([0, 10]) == pytest.approx((5 - half, 5 + half), rel=1e-4)
    assert found["replicates"] == 2
    assert found["stranded"] == 5
    assert found["ci95"]["stranded"] == pytest.approx([0, 5 + half], rel=1e-4)
    assert found["ci95"]["stayed"] == pytest.approx([95 - half, 100], rel=1e-4)
    assert found["ci95"]["mean_travel_min"] == [3.0, 3.0]


def test_pairs_of_common_numbers_tell_plans_apart(town: Workspace, tmp_path: Path) -> None:
    wet = str(flood(tmp_path / "flood", from_s=2400.0))
    late = run(town, spread(flood=wet, order_time_h=0.6), tmp_path / "late", workers=1)
    run(town, spread(flood=wet, order_time_h=0.2), tmp_path / "soon", workers=1)
    found = compare(tmp_path / "late", tmp_path / "soon", tmp_path / "both")
    row = found["counts"]["stranded"]
    assert row["pairs"] == 10
    assert row["difference"] < 0
    assert row["ci95"][1] < 0
    a = json.loads((tmp_path / "late/replicates.json").read_text())
    b = json.loads((tmp_path / "soon/replicates.json").read_text())
    assert [r["compliance"] for r in a] == [r["compliance"] for r in b]
    width = row["ci95"][1] - row["ci95"][0]
    apart = np.hypot(*(np.diff(interval([r["stranded"] for r in rows]))[0] for rows in (a, b)))
    assert width < apart  # pairing is worth its while
    assert found["changed"]["order_time_h"] == [0.6, 0.2]
    assert late["ci95"]["stranded"][0] <= late["stranded"] <= late["ci95"]["stranded"][1]
    rows = list(csv.DictReader((tmp_path / "both/compare.csv").read_text().splitlines()))
    assert "stranded" in {r["measure"] for r in rows}
    unsafe = found["counts"]["not_safe"]
    kinds = ("stranded", "en_route", "waiting")
    parts = [found["counts"][k]["difference"] for k in kinds]
    assert unsafe["difference"] == pytest.approx(sum(parts))
    assert unsafe["pairs"] == 10


def test_what_cannot_be_compared_is_refused(town: Workspace, tmp_path: Path) -> None:
    run(town, scenario(), tmp_path / "a")
    run(town, scenario(population={"from_buildings": 500}), tmp_path / "b")
    with pytest.raises(BadInputError) as caught:
        compare(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    assert caught.value.key == "evacuation_not_comparable"
    with pytest.raises(BadInputError):
        compare(tmp_path / "a", tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(BadInputError):
        paired([{"replicate": 0, "stranded": 1}], [{"replicate": 1, "stranded": 1}], "stranded")


def test_the_interval_is_students() -> None:
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-3)
    assert interval([7.0]) == (7.0, 7.0)
