"""退避期限: exact against a search forwards, and against people who really walk."""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from citymap.evacuation import _kernels
from citymap.evacuation.conditions import Conditions
from citymap.evacuation.leave_by import backwards, latest_departures, leave_by, spoken
from citymap.evacuation.network import Network
from citymap.evacuation.person import PEOPLE
from citymap.evacuation.slope import slope_factor
from tests.evacuation import towns
from tests.evacuation.test_movement import run as walk
from tests.evacuation.test_run import flood, scenario

SLICE_S = 60.0


def weather(
    network: Network, rng: np.random.Generator, share: float = 0.5, slices: int = 15
) -> Conditions:
    """Water that comes, slows, closes, and sometimes goes again."""
    wet = np.flatnonzero(rng.random(network.edges) < share)
    row = np.full(network.edges, -1, np.int32)
    row[wet] = np.arange(len(wet))
    speeds = np.full((5, slices, len(wet)), np.inf, np.float32)
    for k in range(len(wet)):
        first = int(rng.integers(0, slices))
        speeds[:, first:, k] = rng.uniform(0.1, 0.9)
        if rng.random() < 0.7:
            shut = int(rng.integers(first, slices + 1))
            speeds[:, shut:, k] = 0.0
            if rng.random() < 0.2:
                speeds[:, shut + 2 :, k] = 0.5
    return Conditions(row, speeds, SLICE_S)


def crosses(t: float, length: float, v: float, speeds: np.ndarray | None) -> float:
    """When a link entered at t is left; infinite if it closes first. Readable twin of the kernel."""
    if speeds is None:
        return t + length / v
    left, k = length, min(int(t // SLICE_S), len(speeds) - 1)
    while True:
        now = min(v, float(speeds[k]))
        end = float("inf") if k == len(speeds) - 1 else (k + 1) * SLICE_S
        if now <= 0:
            return float("inf")
        if left <= now * (end - t):
            return t + left / now
        left -= now * (end - t)
        t, k = end, k + 1


def arrives(
    network: Network,
    table: np.ndarray,
    row: np.ndarray,
    v: np.ndarray,
    start: int,
    t: float,
    goals: set[int],
) -> bool:
    """Whether the earliest-arrival search forwards from a node at t reaches a goal."""
    best = {start: t}
    queue = [(t, start)]
    while queue:
        now, node = heapq.heappop(queue)
        if now > best[node]:
            continue
        if node in goals:
            return True
        for link in network.out[network.start[node] : network.start[node + 1]]:
            e = link >> 1
            speeds = None if row[e] < 0 else table[:, row[e]]
            reach = crosses(now, float(network.length_m[e]), float(v[link]), speeds)
            other = int(network.head[link])
            if reach < best.get(other, float("inf")):
                best[other] = reach
                heapq.heappush(queue, (reach, other))
    return False


@pytest.mark.parametrize("seed", range(30))
def test_a_second_earlier_arrives_and_a_second_later_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = towns.grid(4, step_m=float(rng.uniform(20, 150)))
    water = weather(network, rng, share=float(rng.uniform(0.3, 1.0)))
    goals = rng.choice(network.nodes, 2, replace=False).astype(np.int32)
    cls = int(rng.integers(0, 4))
    found = latest_departures(network, water, goals, cls=cls)
    worst = np.minimum.accumulate(water.speeds[cls], axis=0)
    v = PEOPLE[cls].speed_m_s * slope_factor(network)
    known = set(goals.tolist())
    finite = 0
    for node in range(network.nodes):
        t = found.at_s[node]

        def reaches(at: float, node: int = node) -> bool:
            return arrives(network, worst, water.row, v, node, at, known)

        if t == np.inf:
            assert reaches(1e6)
        elif t < 0:
            assert not reaches(0.01)
        else:
            finite += 1
            assert reaches(max(t - 1e-3, 0.0)), (node, t)
            assert not reaches(t + 1e-3), (node, t)
    assert (found.shelter[found.at_s > -np.inf] >= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_whoever_knows_and_leaves_in_time_gets_there(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    network = towns.grid(4, step_m=60.0)
    water = weather(network, rng, share=0.8).monotone()
    goal = int(rng.integers(0, network.nodes))
    found = latest_departures(network, water, np.array([goal], np.int32), cls=0)
    for node in range(network.nodes):
        t = found.at_s[node]
        if node == goal or not np.isfinite(t) or t < 1:
            continue
        place = (float(network.x[node]), float(network.y[node]))
        there = (float(network.x[goal]), float(network.y[goal]))
        walker: dict[str, Any] = {"weather": water, "knowledge": "full", "horizon_s": 3000.0}
        # The kernel's agents first step out of the door: 1 cm.
        in_time = walk(network, [(place, t - 0.5)], [(there, 5)], **walker)
        home = int(in_time.ag["edge0"][0])
        shut = (
            water.row[home] >= 0
            and (water.speeds[0, : int(t // SLICE_S) + 1, water.row[home]] <= 0).any()
        )
        if not shut:
            assert in_time.ag["status"].tolist() == [2], (seed, node, t)
        late = walk(network, [(place, t + 0.5)], [(there, 5)], **walker)
        assert late.ag["status"].tolist() != [2], (seed, node, t)


def test_a_place_that_only_cars_reach_has_no_leave_by_time_on_foot() -> None:
    streets = towns.grid(4)
    lonely = streets.nodes - 1
    foot = np.array(streets.foot) & (streets.u != lonely) & (streets.v != lonely)
    network = replace(streets, foot=foot)
    dry = Conditions(
        np.full(network.edges, -1, np.int32), np.empty((5, 15, 0), np.float32), SLICE_S
    )
    found = latest_departures(network, dry, np.array([0], np.int32), cls=0)
    assert found.at_s[lonely] == -np.inf
    assert found.shelter[lonely] == -1
    assert (np.delete(found.at_s, lonely) == np.inf).all()


def test_a_search_that_needs_more_room_is_done_again_with_it() -> None:
    rng = np.random.default_rng(9)
    network = towns.grid(12, step_m=60.0)
    water = weather(network, rng, share=1.0)
    goals, worst = rng.choice(network.nodes, 5, replace=False).astype(np.int32), water.worst(0)
    search = backwards(
        network, water.row, worst, np.repeat(network.foot, 2) * 1.0, network.length_m
    )
    found = []
    for room in (len(goals) + 1, 100 * network.nodes):
        at, label = np.empty(network.nodes), np.empty(network.nodes, np.int32)
        rest = (worst.speeds, 900.0, SLICE_S, goals, np.full(5, 900.0), label.copy(), at, label)
        enough = _kernels._latest_departure(
            network.start, *search, *rest, np.empty((room, 2), np.int32)
        )
        found.append((enough, at))
    assert [enough for enough, _ in found] == [False, True]
    whole, next_link = np.empty(network.nodes), np.empty(network.nodes, np.int32)
    _kernels.latest_departure(
        network.start, network.out, *search, worst.speeds, 15, SLICE_S, goals, np.full(5, 900.0), next_link, whole,
        np.empty(network.nodes, np.int32),
    )  # fmt: skip
    assert np.array_equal(whole, found[1][1])


def test_slower_people_must_leave_earlier() -> None:
    rng = np.random.default_rng(5)
    network = towns.grid(5)
    water = weather(network, rng, share=0.9)
    goal = np.array([0], np.int32)
    adult, impaired = (latest_departures(network, water, goal, cls=c).at_s for c in (0, 3))
    assert (impaired <= adult).all()
    assert (impaired < adult).any()


def test_every_building_and_class_gets_a_row(tmp_path: Path) -> None:
    town = towns.street_town(tmp_path / "city")
    towns.write_shelters(town, [("s1", 5, 5, 900)])
    wet = str(flood(tmp_path / "flood", from_s=1800.0))
    summary = leave_by(town, scenario(flood=wet), tmp_path / "out")
    table = pq.read_table(tmp_path / "out/leave_by.parquet").to_pandas()
    assert len(table) == 3 * summary["buildings"]
    assert table.columns.tolist() == [
        "building_id",
        "mobility",
        "leave_by_h",
        "shelter_id",
        "route_length_m",
    ]
    by = table.pivot_table(index="building_id", columns="mobility", values="leave_by_h")
    assert (by.impaired <= by.adult).all()
    assert np.isinf(by.adult.max())
    finite = table[np.isfinite(table.leave_by_h)]
    assert finite.leave_by_h.between(0, 2400 / 3600).all()
    assert (finite.route_length_m > 100).all()
    assert set(finite.shelter_id) == {"s1"}
    counted = summary["mobility"]["adult"]
    assert sum(counted.values()) == summary["buildings"]


def test_what_residents_read_is_early_and_round() -> None:
    start = datetime.fromisoformat("2026-11-21T13:00:00+09:00")
    said = spoken(1.6, start=start, margin_min=10)
    assert said == datetime.fromisoformat("2026-11-21T14:20:00+09:00")
    assert spoken(float("inf"), start=start, margin_min=10) is None
    assert spoken(float("nan"), start=start, margin_min=10) is None
