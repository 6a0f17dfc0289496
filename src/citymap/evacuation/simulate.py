"""One run of a plan: who leaves when and how, where they get to, and what the links saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from citymap.evacuation import _kernels
from citymap.evacuation.conditions import Conditions, dry_speeds
from citymap.evacuation.departure import CURVES
from citymap.evacuation.leave_by import backwards
from citymap.evacuation.movement import _kernels as movement
from citymap.evacuation.people import slowest
from citymap.evacuation.person import CAR, CAR_M_S, PEOPLE
from citymap.evacuation.slope import slope_factor
from citymap.evacuation.town import stream
from citymap.progress import Progress, Quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.network import Network
    from citymap.evacuation.scenario import Evacuation
    from citymap.evacuation.town import Town

STATUS = ("waiting", "en_route", "evacuated", "stranded", "vertical", "stayed")
WAITING, EN_ROUTE, EVACUATED, STRANDED, VERTICAL, STAYED = range(6)
REASON = (
    "", "on_link", "no_way", "road_closed", "home_cut_off", "no_place", "off_network",
    "stayed_in_water",
)  # fmt: skip
OFF_NETWORK, STAYED_IN_WATER = 6, 7
FLOW_M_S = 1.22  # people per metre of width and second: Weidmann (1993)
JAM_M2 = 5.4
CAR_M = 7.0  # of lane that a standing car takes
CAR_PER_S = 1500 / 3600  # per lane: saturation flow in streets
LANE_M = 3.0
REPLAN_S = 600.0
PATIENCE_S = 300.0
_BUCKETS = 1 << 18
_EPOCHS = 48
_KNOWLEDGE = {"full": movement.FULL, "on_arrival": movement.ON_ARRIVAL, "none": movement.NOTHING}


@dataclass(frozen=True, slots=True)
class Draw:
    """What one replicate draws from the spread of the plan."""

    replicate: int = 0
    order_delay_h: float = 0.0
    compliance: float = 1.0
    car_share: float = 0.0
    flood_delay_h: float = 0.0


def draw_of(given: Evacuation, seed: int, replicate: int) -> Draw:
    """The unknowns of a replicate: the same numbers for two plans of one seed."""
    u = stream(seed, replicate, "spread").random(4)

    def between(ends: tuple[float, float] | None, k: int, otherwise: float) -> float:
        return otherwise if ends is None else ends[0] + float(u[k]) * (ends[1] - ends[0])

    spread = given.spread
    return Draw(
        replicate, between(spread.order_delay_h, 0, 0.0),
        between(spread.compliance, 1, given.compliance),
        between(spread.car_share, 2, given.car_share), between(spread.flood_delay_h, 3, 0.0),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of every household and person, link and shelter; times in s, NaN where none.

    `place` is a node (en route, waiting on the way), a link (`on_link`), a shelter's row, or -1.
    """

    status: NDArray[np.int8]  # per household
    reason: NDArray[np.int8]
    depart_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    shelter: NDArray[np.int32]
    walked_m: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    by_car: NDArray[np.bool_]
    size: NDArray[np.int32]
    passed: NDArray[np.float64]  # per link of both modes together
    delay_s: NDArray[np.float64]
    peak: NDArray[np.float64]
    used: NDArray[np.int64]  # per listed shelter
    turned_away: NDArray[np.int64]
    full_at_s: NDArray[np.float64]
    forced: int
    log: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]

    def people(self, status: int) -> int:
        """Number of people of a status."""
        return int(self.size[self.status == status].sum())


def simulate(
    town: Town,
    given: Evacuation,
    *,
    seed: int,
    draw: Draw | None = None,
    weather: Conditions | None = None,
    record: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Run the plan once.

    The same town, plan, seed and draw give the same result to the bit. `record` keeps every link
    that anybody entered, for playback.

    Raises:
        CancelledError: the person has stopped the work.
    """
    progress = progress or Quiet()
    draw = draw or draw_of(given, seed, 0)
    weather = weather or town.conditions(given, flood_delay_h=draw.flood_delay_h)
    people, homes, network = town.people, town.homes, town.network
    assert homes.attached is not None  # noqa: S101  (`prepare` attached them)
    cls = slowest(people)
    count = len(cls)
    first = np.searchsorted(people.household, np.arange(count))
    home = people.home[first]
    size = np.bincount(people.household, minlength=count).astype(np.int32)
    edge = homes.attached.edge[home]

    def uniform(purpose: str) -> NDArray[np.float64]:
        return stream(seed, draw.replicate, purpose).random(count)

    order_s = 3600 * (_orders(given, homes.district_id)[home] + draw.order_delay_h)
    delay_h = CURVES.load()[given.departure.curve](
        uniform("departure"), given.departure.parameters()
    )
    depart = order_s + 3600 * delay_h
    stays = homes.stays[home] & (uniform("vertical") < given.vertical_share)
    follows = uniform("compliance") < draw.compliance
    adult = np.zeros(count, bool)
    np.logical_or.at(adult, people.household, (people.age == 1) | (people.age == 2))
    drives = (uniform("car") < draw.car_share) & adult & (edge >= 0)
    drives &= (network.car_forward & network.car_backward)[np.maximum(edge, 0)]
    goes = follows & ~stays & (edge >= 0)
    depart = np.where(goes, depart, np.inf)

    world, rule = _world(
        town, given, weather, home, edge, size, cls, drives, count * 40 if record else 0
    )
    movement.begin(world, rule, depart)
    steps = 24
    progress.update(0, steps, "movement")
    for k in range(steps):
        until = rule.width_s * round(_BUCKETS * (k + 1) / steps)
        movement.move(world, rule, until)
        progress.update(k + 1, steps, "movement")
    if record and world.number[movement.LOGGED] >= len(world.log_agent):
        world, rule = _world(town, given, weather, home, edge, size, cls, drives, 4000 * count)
        movement.begin(world, rule, depart)
        movement.move(world, rule, town.horizon_s)
    return _outcome(town, weather, world, home, edge, stays, follows, depart, drives, size)


def _orders(given: Evacuation, district: list[str | None]) -> NDArray[np.float64]:
    orders = given.order_time_h
    if isinstance(orders, dict):
        otherwise = orders.get("default", max(orders.values(), default=0.0))
        return np.array([orders.get(d or "", otherwise) for d in district], float)
    return np.full(len(district), float(orders))


def edge_table(network: Network, row: NDArray[np.int32], *, cars: bool) -> NDArray[np.void]:
    """Storage and flow of every edge for the kernel; with cars, walkers keep to half the width."""
    ed = np.zeros(network.edges, movement.EDGE)
    length = np.maximum(network.length_m, 0.1)
    drivable = network.car_forward | network.car_backward
    width = np.where(drivable & cars, np.maximum(network.width_m / 2, 1.0), network.width_m)
    factor = slope_factor(network)
    lanes = np.maximum(np.floor(network.width_m / 2 / LANE_M), 1.0)
    ed["length"] = length
    ed["row"] = row
    ed["area_foot"] = length * width
    ed["rate_foot"] = FLOW_M_S * width
    ed["store_foot"] = np.maximum(JAM_M2 * length * width, 6.0)
    ed["rate_car"] = CAR_PER_S * lanes
    ed["store_car"] = np.maximum(np.floor(length * lanes / CAR_M), 1.0)
    ed["factor_0"], ed["factor_1"] = factor[0::2], factor[1::2]
    ed["foot"] = network.foot
    ed["car_0"], ed["car_1"] = network.car_forward, network.car_backward
    return ed


def link_table(edges: int) -> NDArray[np.void]:
    """Empty links of both modes for the kernel."""
    lk = np.zeros(4 * edges, movement.LINK)
    for name in ("qhead", "qtail", "whead", "wtail", "wnext", "wprev", "won"):
        lk[name] = -1
    return lk


def agent_table(count: int) -> NDArray[np.void]:
    """Agents at home that know nothing yet."""
    ag = np.zeros(count, movement.AGENT)
    for name in ("prev", "next", "listed", "left", "qnext", "known", "place"):
        ag[name] = -1
    ag["since"] = -1.0
    ag["door"] = ag["end"] = np.nan
    return ag


def world_of(
    network: Network,
    weather: Conditions,
    agents: NDArray[np.void],
    doors: NDArray[np.void],
    *,
    horizon_s: float,
    knowledge: str = "on_arrival",
    overtaking: bool = True,
    cars: bool = False,
    log: int = 0,
) -> tuple[movement.World, movement.Rule]:
    """Arrays of the kernel for agents on a network; nobody has moved yet."""
    ed = edge_table(network, weather.row, cars=cars)
    speeds = weather.speeds
    epoch_s = max(REPLAN_S, horizon_s / _EPOCHS)
    epochs = max(1, int(np.ceil(horizon_s / epoch_s)))
    slot = np.zeros(epochs, np.int32)
    last = speeds.shape[1] - 1
    for k in range(1, epochs):
        a = min(int((k - 1) * epoch_s / weather.slice_s), last)
        b = min(int(k * epoch_s / weather.slice_s), last)
        same = speeds.shape[2] == 0 or np.array_equal(speeds[:, a], speeds[:, b])
        slot[k] = slot[k - 1] + (not same)
    v_class = dry_speeds()
    slots = (int(slot[-1]) + 2) * len(v_class)
    limit = np.empty((0, network.nodes))
    limit_next = np.empty((0, network.nodes), np.int32)
    if knowledge == "full" and speeds.shape[2]:
        classes = np.unique(agents["cls"])
        limit = np.full((len(v_class), network.nodes), -np.inf)
        limit_next = np.full((len(v_class), network.nodes), -1, np.int32)
        factor = slope_factor(network)
        for c in classes:
            foot = np.repeat(network.foot, 2) * v_class[c] * factor
            v_link = np.where(network.car, v_class[c], 0.0) if c == CAR else foot
            worst = weather.worst(int(c))
            usable = np.flatnonzero(doors["node"] >= 0)
            length = ed["length"].copy()
            _kernels.latest_departure(
                network.start, network.out, *backwards(network, weather.row, worst, v_link, length), worst.speeds,
                weather.speeds.shape[1], weather.slice_s, doors["node"][usable], np.full(len(usable), np.inf),
                limit_next[c], limit[c], np.empty(network.nodes, np.int32),
            )  # fmt: skip
    world = movement.World(
        agents, link_table(network.edges), ed, doors, network.start, network.out, network.head,
        speeds, v_class, slot, np.empty((slots, network.nodes), np.int32),
        np.empty((slots, network.nodes), np.int32), np.empty((slots, network.nodes)),
        np.zeros(slots, np.int8), limit, limit_next, np.full(_BUCKETS + 1, -1, np.int32),
        np.zeros(4, np.int64), np.empty(log, np.int32), np.empty(log, np.int32), np.empty(log),
    )  # fmt: skip
    rule = movement.Rule(
        weather.slice_s, epoch_s, horizon_s, horizon_s / _BUCKETS, PATIENCE_S,
        _KNOWLEDGE[knowledge], int(overtaking),
    )  # fmt: skip
    return world, rule


def _world(
    town: Town,
    given: Evacuation,
    weather: Conditions,
    home: NDArray[np.int32],
    edge: NDArray[np.int64],
    size: NDArray[np.int32],
    cls: NDArray[np.int8],
    drives: NDArray[np.bool_],
    log: int,
) -> tuple[movement.World, movement.Rule]:
    network, at = town.network, town.homes.attached
    assert at is not None  # noqa: S101
    ag = agent_table(len(home))
    e = np.maximum(edge, 0)
    real = np.maximum(_line_length(network), 1e-9)
    along = at.at_m[home] * (network.length_m / real)[e]
    ag["size"] = size
    ag["load"] = np.where(drives, 1.0, size)
    ag["edge0"], ag["node_a"], ag["node_b"] = e, network.u[e], network.v[e]
    ag["leg_a"] = np.nan_to_num(at.off_m[home]) + along
    ag["leg_b"] = np.nan_to_num(at.off_m[home]) + np.maximum(network.length_m[e] - along, 0)
    ag["mode"] = drives
    ag["cls"] = np.where(drives, CAR, cls)
    speed = np.array([*(p.speed_m_s for p in PEOPLE), CAR_M_S])
    if given.night:
        speed[:CAR] *= 0.8  # 内閣府: by night
    ag["v_dry"] = speed[ag["cls"]]
    doors = np.zeros(town.shelters.count, movement.DOORS)
    doors["node"], doors["off_m"] = town.stop, town.stop_off_m
    doors["capacity"] = town.shelters.capacity
    doors["opens"] = 3600 * town.shelters.opens_h
    doors["full_at"] = np.nan
    return world_of(
        network, weather, ag, doors, horizon_s=town.horizon_s, knowledge=given.knowledge,
        overtaking=given.overtaking, cars=bool(drives.any()), log=log,
    )  # fmt: skip


def _line_length(network: Network) -> NDArray[np.float64]:
    step = np.hypot(*np.diff(network.points, axis=0).T)
    step[network.point_start[1:-1] - 1] = 0.0
    return np.asarray(np.add.reduceat(step, network.point_start[:-1]), float)


def _outcome(
    town: Town,
    weather: Conditions,
    world: movement.World,
    home: NDArray[np.int32],
    edge: NDArray[np.int64],
    stays: NDArray[np.bool_],
    follows: NDArray[np.bool_],
    depart: NDArray[np.float64],
    drives: NDArray[np.bool_],
    size: NDArray[np.int32],
) -> Outcome:
    ag, network, horizon = world.ag, town.network, town.horizon_s
    status, reason, end = ag["status"].copy(), ag["reason"].copy(), ag["end"].copy()
    under_way = status == EN_ROUTE
    standing = under_way & (reason > 0)
    links = 2 * network.edges
    on = under_way & (ag["left"] >= 0)
    row = weather.row[(ag["left"][on] % links) >> 1]
    last = (
        weather.speeds[ag["cls"][on], -1, np.maximum(row, 0)]
        if weather.speeds.shape[2]
        else np.ones(len(row))
    )
    caught = np.zeros(len(status), bool)
    caught[on] = (row >= 0) & (last <= 0)
    reason[caught], end[caught] = movement.ON_LINK, horizon
    ag["place"][caught] = ag["left"][caught] % links
    ag["share"][caught] = 1.0
    status[standing | caught] = STRANDED
    # Whoever has not yet set out when the run ends, with the water before the door by then.
    home_row = weather.row[np.maximum(edge, 0)]
    shut_in = (status == WAITING) & follows & ~stays & (edge >= 0) & (reason == 0) & (home_row >= 0)
    if weather.speeds.shape[2]:
        shut_in &= weather.speeds[ag["cls"], -1, np.maximum(home_row, 0)] <= 0
    for cls in np.unique(ag["cls"][shut_in]):
        own = shut_in & (ag["cls"] == cls)
        end[own] = weather.closes_s(int(cls))[edge[own]]
    reason[shut_in] = movement.HOME_CUT_OFF
    cut = (status == WAITING) & (reason == movement.HOME_CUT_OFF)
    status[cut] = STRANDED
    # Whoever does not set out: upstairs, at home, or at home in the water.
    off = follows & ~stays & (edge < 0)
    status[off], reason[off], end[off] = STRANDED, OFF_NETWORK, 0.0
    status[~follows & ~stays] = STAYED
    street = weather.closes_s(0)[np.maximum(edge, 0)]
    caught_home = ~follows & ~stays & (edge >= 0) & np.isfinite(street) & ~town.homes.stays[home]
    status[caught_home], reason[caught_home] = STRANDED, STAYED_IN_WATER
    end[caught_home] = street[caught_home]
    status[stays] = VERTICAL
    refuge = cut & town.homes.stays[home]
    status[refuge] = VERTICAL

    x, y = town.homes.x[home].copy(), town.homes.y[home].copy()
    place, arrived = ag["place"], status == EVACUATED
    x[arrived], y[arrived] = town.shelters.x[place[arrived]], town.shelters.y[place[arrived]]
    node = (place >= 0) & ~arrived & np.isfinite(ag["door"]) & (reason != movement.ON_LINK)
    x[node], y[node] = network.x[place[node]], network.y[place[node]]
    link = (reason == movement.ON_LINK) & (place >= 0)
    if link.any():
        px, py = _along(network, place[link], ag["share"][link])
        x[link], y[link] = px, py
    end[(status == EN_ROUTE) | (status == WAITING)] = np.nan
    both = world.lk.reshape(2, -1)
    number = int(world.number[movement.LOGGED])
    return Outcome(
        status, reason, np.where(np.isfinite(ag["door"]), ag["door"], np.where(np.isfinite(depart), depart, np.nan)),
        end, np.where(arrived, place, -1).astype(np.int32), ag["walked"].copy(), x, y, drives, size,
        both["passed"].sum(axis=0), both["delay"].sum(axis=0), both["peak"][0].copy(),
        world.sh["used"].copy(), world.sh["turned"].copy(), world.sh["full_at"].copy(),
        int(world.number[movement.FORCED]),
        (world.log_agent[:number], world.log_link[:number], world.log_time[:number]),
    )  # fmt: skip


def _along(
    network: Network, link: NDArray[np.int32], share: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres east and north of a place so far along each link."""
    import shapely  # noqa: PLC0415

    lines = network.geometries()[link >> 1]
    forward = np.where(link & 1, 1 - share, share).astype(float)
    points = shapely.get_coordinates(
        shapely.line_interpolate_point(lines, forward, normalized=True)
    )
    return points[:, 0], points[:, 1]
