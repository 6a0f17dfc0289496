"""People on links: speeds, queues, water, full shelters; nobody is lost or made."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.evacuation.conditions import Conditions
from citymap.evacuation.movement import _kernels as movement
from citymap.evacuation.network import Network, build, lines
from citymap.evacuation.person import CAR, CAR_M_S, PEOPLE
from citymap.evacuation.simulate import agent_table, world_of
from tests.evacuation import towns

ARRIVED, STRANDED, EN_ROUTE, WAITING = (
    movement.ARRIVED,
    movement.STRANDED,
    movement.EN_ROUTE,
    movement.WAITING,
)


def street(*lengths: float, width: float = 4.0) -> Network:
    """Edges in a row from x = 0 eastward."""
    x = np.concatenate([[0.0], np.cumsum(lengths)])
    shapes = np.array([shapely.LineString([(a, 0), (b, 0)]) for a, b in itertools.pairwise(x)])
    return build(lines(shapes, width_m=np.full(len(shapes), width)), epsg=6677)


def dry(network: Network) -> Conditions:
    return Conditions(
        np.full(network.edges, -1, np.int32), np.full((5, 1, 0), np.inf, np.float32), 60.0
    )


def wet(network: Network, table: dict[int, list[float]], slice_s: float = 60.0) -> Conditions:
    """Speed limits of everybody by edge and slice."""
    row = np.full(network.edges, -1, np.int32)
    slices = max(len(v) for v in table.values())
    speeds = np.full((5, slices, len(table)), np.inf, np.float32)
    for k, (edge, values) in enumerate(table.items()):
        row[edge] = k
        for s in range(slices):
            speeds[:, s, k] = values[min(s, len(values) - 1)]
    return Conditions(row, speeds, slice_s)


def run(
    network: Network,
    starts: list[tuple[float, float]],
    goals: list[tuple[float, int]],
    *,
    weather: Conditions | None = None,
    cls: list[int] | None = None,
    size: list[int] | None = None,
    mode: int = 0,
    horizon_s: float = 3600.0,
    opens: float = 0.0,
    until: float | None = None,
    **more: Any,
) -> movement.World:
    """Agents (x of the first edge's node, departure) on a street or grid; goals (node, capacity)."""
    ag = agent_table(len(starts))
    for i, (x, _) in enumerate(starts):
        node = (
            towns.node_at(network, x, 0) if not isinstance(x, tuple) else towns.node_at(network, *x)
        )
        edge = int(network.out[network.start[node]]) >> 1
        ag[i]["edge0"], ag[i]["node_a"], ag[i]["node_b"] = edge, node, node
    ag["size"] = size or 1
    ag["load"] = 1 if mode else ag["size"]
    ag["cls"] = CAR if mode else (cls or 0)
    ag["mode"] = mode
    speed = np.array([*(p.speed_m_s for p in PEOPLE), CAR_M_S])
    ag["v_dry"] = speed[ag["cls"]]
    doors = np.zeros(len(goals), movement.DOORS)
    for k, (place, capacity) in enumerate(goals):
        at = place if isinstance(place, tuple) else (place, 0.0)
        doors[k]["node"], doors[k]["capacity"] = towns.node_at(network, *at), capacity
    doors["full_at"], doors["opens"] = np.nan, opens
    world, rule = world_of(
        network, weather or dry(network), ag, doors, horizon_s=horizon_s, log=100_000, **more
    )
    movement.begin(world, rule, np.array([t for _, t in starts], float))
    for share in (0.3, 0.7, 1.0):  # in parts, as the command does to show progress
        movement.move(world, rule, rule.width_s * round((len(world.bucket) - 1) * share))
    return world


@pytest.mark.parametrize("cls", range(4))
def test_one_person_walks_at_the_speed_of_the_class(cls: int) -> None:
    world = run(street(100, 100), [(0, 60.0)], [(200, 10)], cls=[cls])
    assert world.ag["status"].tolist() == [ARRIVED]
    assert world.ag["end"][0] == pytest.approx(60 + 200 / PEOPLE[cls].speed_m_s, rel=1e-4)
    assert world.ag["walked"][0] == pytest.approx(200, abs=0.1)


def test_a_bottleneck_lets_through_what_the_fundamental_diagram_says() -> None:
    network = street(50, 50, 50)
    network.width_m[:] = [8.0, 1.0, 8.0]
    people = 400
    world = run(network, [(0, 0.0)] * people, [(150, 1000)])
    assert (world.ag["status"] == ARRIVED).all()
    end = np.sort(world.ag["end"])
    flow = (people * 0.5) / (end[int(people * 0.75)] - end[int(people * 0.25)])
    assert flow == pytest.approx(1.22, rel=0.05)


def test_first_in_first_out_where_nobody_may_overtake() -> None:
    rng = np.random.default_rng(3)
    starts = [(0, float(t)) for t in np.sort(rng.uniform(0, 600, 120))]
    world = run(
        street(40, 60, 30),
        starts,
        [(130, 1000)],
        cls=[int(c) for c in rng.integers(0, 4, 120)],
        overtaking=False,
    )
    links: dict[int, list[tuple[float, int]]] = {}
    n = world.number[movement.LOGGED]
    for a, link, t in zip(world.log_agent[:n], world.log_link[:n], world.log_time[:n], strict=True):
        links.setdefault(int(link), []).append((float(t), int(a)))
    orders = [[a for _, a in v] for v in links.values()]
    assert len(orders) == 3
    assert orders[0] == orders[1] == orders[2]
    assert [a for _, a in sorted(zip(world.ag["end"], range(120), strict=True))] == orders[0]


def test_the_quick_pass_the_slow_on_an_empty_street() -> None:
    world = run(street(100, 100), [(0, 0.0), (0, 10.0)], [(200, 9)], cls=[3, 0])
    assert world.ag["end"][1] < world.ag["end"][0]


def test_a_full_link_holds_the_queue_back_and_lets_it_go_again() -> None:
    network = street(20, 5, 20)
    network.width_m[:] = [4.0, 0.5, 0.5]
    world = run(network, [(0, 0.0)] * 200, [(45, 500)], horizon_s=7200.0)
    assert (world.ag["status"] == ARRIVED).all()
    assert world.lk["peak"].max() <= max(5.4 * 20 * 4, 6) + 1
    assert world.lk["on"].tolist() == [0.0] * len(world.lk)
    assert world.number[movement.FORCED] == 0


def test_a_full_shelter_sends_people_to_the_next_with_its_way() -> None:
    world = run(street(100, 100, 100), [(100, 0.0)] * 5, [(0, 2), (300, 9)])
    assert world.sh["used"].tolist() == [2, 3]
    assert world.sh["turned"].tolist() == [3, 0]
    ends = np.sort(world.ag["end"])
    assert ends[:2] == pytest.approx([100, 100], abs=3)
    assert ends[2:] == pytest.approx([400] * 3, abs=5)
    assert world.sh["full_at"][0] == pytest.approx(100, abs=3)


def test_those_who_know_are_not_sent_to_a_full_shelter() -> None:
    starts = [(100, 0.0)] * 2 + [(100, 200.0)] * 3
    world = run(street(100, 100, 100), starts, [(0, 2), (300, 9)], knowledge="full")
    assert world.sh["turned"].tolist() == [0, 0]
    assert world.sh["used"].tolist() == [2, 3]


def test_a_household_goes_in_together_or_not_at_all() -> None:
    world = run(street(100, 100), [(100, 0.0), (100, 30.0)], [(0, 5), (200, 9)], size=[3, 4])
    assert world.sh["used"].tolist() == [3, 4]


def test_when_all_is_full_people_are_stranded_with_that_reason() -> None:
    world = run(street(100, 100), [(0, 0.0)] * 3, [(200, 1)])
    assert sorted(world.ag["reason"].tolist()) == [0, movement.NO_PLACE, movement.NO_PLACE]


def test_a_shelter_that_opens_later_lets_people_wait_at_the_door() -> None:
    world = run(street(100), [(0, 0.0)], [(100, 5)], opens=900.0)
    assert world.ag["end"].tolist() == [900.0]
    never = run(street(100), [(0, 0.0)], [(100, 5)], opens=9999.0)
    assert never.ag["status"].tolist() == [EN_ROUTE]
    assert never.ag["reason"].tolist() == [movement.NO_PLACE]


def test_water_slows_people_slice_by_slice() -> None:
    network = street(100)
    weather = wet(network, {0: [0.5, 0.25]})
    world = run(network, [(0, 0.0)], [(100, 5)], weather=weather)
    assert world.ag["end"][0] == pytest.approx(60 + 70 / 0.25, abs=0.5)


def test_a_link_that_closes_strands_those_on_it_where_they_are() -> None:
    network = street(100, 100)
    weather = wet(network, {1: [np.inf, np.inf, np.inf, 0.0]})
    world = run(network, [(0, 0.0), (0, 100.0)], [(200, 5)], weather=weather, knowledge="none")
    assert world.ag["status"].tolist() == [STRANDED, EN_ROUTE]
    assert world.ag["end"][0] == 180.0
    assert world.ag["place"][0] >> 1 == 1
    assert world.ag["share"][0] == pytest.approx(0.8, abs=0.01)
    assert world.ag["reason"].tolist() == [movement.ON_LINK, movement.ROAD_CLOSED]


@pytest.mark.parametrize(("knowledge", "metres", "status"), [
    ("full", 400.0, ARRIVED), ("on_arrival", 120.0, STRANDED), ("none", 100.0, EN_ROUTE),
])  # fmt: skip
def test_knowledge_decides_who_walks_into_a_dead_end(
    knowledge: str, metres: float, status: int
) -> None:
    network = towns.grid(3)
    bottom = sorted(
        (
            e
            for e in range(network.edges)
            if network.y[network.u[e]] == 0 == network.y[network.v[e]]
        ),
        key=lambda e: network.x[network.u[e]] + network.x[network.v[e]],
    )
    column = next(e for e in range(network.edges)
                  if network.x[network.u[e]] == 100 == network.x[network.v[e]]
                  and min(network.y[network.u[e]], network.y[network.v[e]]) == 0)  # fmt: skip
    weather = wet(
        network,
        {bottom[1]: [np.inf, 0.0], column: [np.inf, 0.0], bottom[0]: [np.inf, np.inf, 0.0]},
    )
    world = run(
        network,
        [((0, 0), 0.0)],
        [((200, 0), 5)],
        weather=weather,
        knowledge=knowledge,
        horizon_s=7200.0,
    )
    assert world.ag["status"].tolist() == [status]
    assert world.ag["walked"][0] == pytest.approx(metres, abs=1)


def test_whoever_is_shut_in_at_home_does_not_leave() -> None:
    network = street(100, 100)
    world = run(network, [(0, 600.0)], [(200, 5)], weather=wet(network, {0: [np.inf, 0.0]}))
    assert world.ag["status"].tolist() == [WAITING]
    assert world.ag["reason"].tolist() == [movement.HOME_CUT_OFF]


def test_cars_are_quicker_queue_and_stop_in_deep_water() -> None:
    network = street(500, 500)
    world = run(network, [(0, 0.0)], [(1000, 5)], mode=1)
    assert world.ag["end"][0] == pytest.approx(1000 / CAR_M_S, rel=0.02)
    many = run(network, [(0, 0.0)] * 100, [(1000, 500)], mode=1, horizon_s=7200.0)
    assert (many.ag["status"] == ARRIVED).all()
    assert many.ag["end"].max() > 100 / (1500 / 3600) - 10


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31), count=st.integers(1, 300), closures=st.integers(0, 12),
    knowledge=st.sampled_from(["full", "on_arrival", "none"]), overtaking=st.booleans(),
)  # fmt: skip
def test_nobody_is_lost_whatever_happens(
    seed: int, count: int, closures: int, knowledge: str, overtaking: bool
) -> None:
    rng = np.random.default_rng(seed)
    network = towns.grid(5)
    network.width_m[:] = rng.uniform(0.4, 3, network.edges)
    table = {
        int(e): [np.inf] * int(rng.integers(0, 20)) + [float(rng.choice([0.0, 0.3]))] + [float(rng.choice([0.0, np.inf]))]
        for e in rng.choice(network.edges, closures, replace=False)
    }  # fmt: skip
    starts = [
        (
            (float(rng.integers(0, 5) * 100), float(rng.integers(0, 5) * 100)),
            float(rng.uniform(0, 900)),
        )
        for _ in range(count)
    ]
    goals = [
        (
            (float(rng.integers(0, 5) * 100), float(rng.integers(0, 5) * 100)),
            int(rng.integers(0, 200)),
        )
        for _ in range(3)
    ]
    size = [int(s) for s in rng.integers(1, 6, count)]
    given_weather = wet(network, table) if table else dry(network)

    def once() -> movement.World:
        return run(network, starts, goals, weather=given_weather, size=size, knowledge=knowledge, overtaking=overtaking)  # fmt: skip

    world = once()
    ag = world.ag
    assert set(ag["status"].tolist()) <= {WAITING, EN_ROUTE, ARRIVED, STRANDED}
    assert world.sh["used"].sum() == ag["size"][ag["status"] == ARRIVED].sum()
    assert (world.sh["used"] <= world.sh["capacity"]).all()
    on = ag["left"] >= 0
    held = np.zeros(len(world.lk))
    np.add.at(held, ag["left"][on], ag["load"][on])
    assert np.allclose(held, world.lk["on"])
    assert (ag["end"][ag["status"] == ARRIVED] >= ag["door"][ag["status"] == ARRIVED]).all()
    again = once()
    assert ag.tobytes() == again.ag.tobytes()
