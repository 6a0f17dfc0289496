"""Leave-by times against walking it: a second earlier arrives, a second later does not."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation import _kernels
from citymap.evacuation.conditions import Conditions, dry_speeds
from citymap.evacuation.leave_by import latest_departures
from citymap.evacuation.network import Network
from citymap.evacuation.trial import square_town
from citymap.evacuation.validation import Row, case


def _arrives(network: Network, worst: Conditions, v: float, node: int, t: float, goal: int) -> bool:
    """Search forwards from a node at t; every way is tried."""
    best: NDArray[np.float64] = np.full(network.nodes, np.inf)
    best[node] = t
    queue = [(t, node)]
    head = network.head
    while queue:
        now, at = heapq.heappop(queue)
        if at == goal:
            return True
        if now > best[at]:
            continue
        for link in network.out[network.start[at] : network.start[at + 1]]:
            e = link >> 1
            ok, reach, _ = _kernels.finish(
                now, network.length_m[e], v, worst.row[e], 0, worst.speeds, worst.slice_s
            )
            if ok and reach < best[head[link]]:
                best[head[link]] = reach
                heapq.heappush(queue, (reach, int(head[link])))
    return False


@case("leave_by")
def run() -> list[Row]:
    """Nodes of twenty small towns where the time is wrong by more than a second, either way."""
    wrong = finite = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        town = square_town(4, float(rng.uniform(30, 150)))
        row = np.arange(town.edges, dtype=np.int32)
        speeds = np.full((len(dry_speeds()), 15, town.edges), np.inf, np.float32)
        for e in range(town.edges):
            first = int(rng.integers(0, 15))
            speeds[:, first:, e] = rng.uniform(0.1, 0.9)
            speeds[:, int(rng.integers(first, 16)) :, e] = 0.0
        water = Conditions(row, speeds, 60.0)
        goal = int(rng.integers(0, town.nodes))
        found = latest_departures(town, water, np.array([goal], np.int32), cls=0)
        for node in range(town.nodes):
            t = float(found.at_s[node])
            if node == goal or not 1 < t < np.inf:
                continue
            finite += 1
            worst = water.monotone()
            wrong += not _arrives(town, worst, 1.0, node, t - 1, goal)
            wrong += _arrives(town, worst, 1.0, node, t + 1, goal)
    return [
        Row("leave_by", "wrong times", float(wrong), 0.0, (0.0, 0.0)),
        Row("leave_by", "times looked at", float(finite), None, (50.0, np.inf)),
    ]
