"""Small networks with a few walkers: what the validation cases are made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import shapely

from citymap.evacuation.conditions import Conditions, dry_speeds
from citymap.evacuation.movement import _kernels as movement
from citymap.evacuation.network import Network, build, lines
from citymap.evacuation.simulate import agent_table, world_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EPSG = 6677


def street(*lengths_m: float, width_m: Sequence[float] | float = 4.0) -> Network:
    """Edges in a row from x = 0 eastward; node k lies at the end of edge k - 1."""
    x = np.concatenate([[0.0], np.cumsum(lengths_m)])
    shapes = np.array([shapely.LineString([(a, 0), (b, 0)]) for a, b in pairwise(x)], object)
    width = np.broadcast_to(np.asarray(width_m, float), len(shapes)).copy()
    return build(lines(shapes, width_m=width), epsg=EPSG)


def square_town(n: int, step_m: float) -> Network:
    """A town of n × n crossings."""
    shapes = []
    for k in range(n):
        for i in range(n - 1):
            a, b, c = i * step_m, (i + 1) * step_m, k * step_m
            shapes += [[(a, c), (b, c)], [(c, a), (c, b)]]
    return build(lines(np.array([shapely.LineString(s) for s in shapes], object)), epsg=EPSG)


def node_at(network: Network, x: float, y: float = 0.0) -> int:
    """Number of the node nearest to a place."""
    return int(np.argmin(np.hypot(network.x - x, network.y - y)))


def weather(network: Network, table: dict[int, list[float]] | None = None) -> Conditions:
    """Speed limits of everybody by edge and minute; without a table it is dry."""
    table = table or {}
    row = np.full(network.edges, -1, np.int32)
    slices = max((len(v) for v in table.values()), default=1)
    speeds = np.full((len(dry_speeds()), slices, len(table)), np.inf, np.float32)
    for k, (edge, values) in enumerate(table.items()):
        row[edge] = k
        speeds[:, :, k] = [values[min(s, len(values) - 1)] for s in range(slices)]
    return Conditions(row, speeds, 60.0)


@dataclass(frozen=True, slots=True)
class Walk:
    """What became of each walker: seconds of arrival (NaN: not), metres gone, status, reason."""

    arrive_s: NDArray[np.float64]
    metres: NDArray[np.float64]
    status: NDArray[np.int8]
    reason: NDArray[np.int8]
    used: NDArray[np.int64]


def walk(
    network: Network,
    start: NDArray[np.int64],
    depart_s: NDArray[np.float64],
    goals: Sequence[int],
    *,
    capacity: Sequence[int] | None = None,
    cls: NDArray[np.int8] | None = None,
    conditions: Conditions | None = None,
    knowledge: str = "on_arrival",
    horizon_s: float = 7200.0,
) -> Walk:
    """Walkers from nodes to the nearest of the goals (nodes)."""
    ag = agent_table(len(start))
    ag["edge0"] = network.out[network.start[start]] >> 1
    ag["node_a"] = ag["node_b"] = start
    ag["size"] = ag["load"] = 1
    if cls is not None:
        ag["cls"] = cls
    ag["v_dry"] = dry_speeds()[ag["cls"]]
    doors = np.zeros(len(goals), movement.DOORS)
    doors["node"], doors["full_at"] = goals, np.nan
    doors["capacity"] = len(start) if capacity is None else capacity
    world, rule = world_of(
        network, conditions or weather(network), ag, doors, horizon_s=horizon_s, knowledge=knowledge
    )
    movement.begin(world, rule, np.asarray(depart_s, float))
    movement.move(world, rule, horizon_s)
    arrived = ag["status"] == movement.ARRIVED
    return Walk(
        np.where(arrived, ag["end"], np.nan), ag["walked"].copy(), ag["status"].copy(),
        ag["reason"].copy(), doors["used"].copy(),
    )  # fmt: skip
