"""Compiled: least-cost places for groups of people, by shortest augmenting paths between shelters."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _better(cost, group, s, weight, mover):  # type: ignore[no-untyped-def]
    """Group is now (partly) at s: it may be the cheapest to move on from there."""
    for o in range(cost.shape[1]):
        step = cost[group, o] - cost[group, s]
        if step < weight[s, o]:
            weight[s, o] = step
            mover[s, o] = group


@njit(cache=True)
def _search(cost, flow, s, weight, mover, far):  # type: ignore[no-untyped-def]
    """Find the cheapest to move on from s anew."""
    k = cost.shape[1]
    for o in range(k):
        weight[s, o] = far
        mover[s, o] = -1
    for i in range(cost.shape[0]):
        if flow[i, s] > 0:
            for o in range(k):
                step = cost[i, o] - cost[i, s]
                if step < weight[s, o]:
                    weight[s, o] = step
                    mover[s, o] = i


@njit(cache=True)
def assign(cost, size, capacity, flow, weight, mover):  # type: ignore[no-untyped-def]
    """Fill `flow` (groups, places) with the least total cost; returns the number of augmentations.

    `cost` int64 seconds; the last place must have room for everybody (those turned away). `weight`
    and `mover` (places, places) are left as the cheapest moves between places of the result.
    """
    n, k = cost.shape
    far = np.int64(1) << 60
    free = capacity.copy()
    weight[:] = far
    mover[:] = -1
    distance = np.empty(k, np.int64)
    before = np.empty(k, np.int64)
    path = np.empty(k + 1, np.int64)
    count = 0
    for i in range(n):
        rest = size[i]
        while rest > 0:
            for s in range(k):
                distance[s] = cost[i, s]
                before[s] = -1
            changed = True
            while changed:
                changed = False
                for s in range(k):
                    d = distance[s]
                    if free[s] > 0:
                        continue  # a way through a place with room is never the best
                    for o in range(k):
                        w = weight[s, o]
                        if w < far and d + w < distance[o]:
                            distance[o] = d + w
                            before[o] = s
                            changed = True
            best = -1
            for s in range(k):
                if free[s] > 0 and (best < 0 or distance[s] < distance[best]):
                    best = s
            length = 0
            s = best
            while s >= 0:
                path[length] = s
                length += 1
                s = before[s]
            amount = min(rest, free[best])
            for j in range(length - 1):
                amount = min(amount, flow[mover[path[j + 1], path[j]], path[j + 1]])
            count += 1
            free[best] -= amount
            for j in range(length - 1):
                s, o = path[j + 1], path[j]
                g = mover[s, o]
                flow[g, s] -= amount
                flow[g, o] += amount
                _better(cost, g, o, weight, mover)
                if flow[g, s] == 0:
                    _search(cost, flow, s, weight, mover, far)
            first = path[length - 1]
            flow[i, first] += amount
            _better(cost, i, first, weight, mover)
            rest -= amount
    return count


@njit(cache=True)
def prices(weight, free, price):  # type: ignore[no-untyped-def]
    """Dual prices: the least cost of sending one person on from each place to one with room."""
    k = price.size
    far = np.int64(1) << 60
    for s in range(k):
        price[s] = 0 if free[s] > 0 else far
    changed = True
    while changed:
        changed = False
        for s in range(k):
            for o in range(k):
                if weight[s, o] < far and price[o] < far and price[o] + weight[s, o] < price[s]:
                    price[s] = price[o] + weight[s, o]
                    changed = True


@njit(cache=True)
def worth(weight, free, gain):  # type: ignore[no-untyped-def]
    """What one more place at each shelter saves: the dearest chain of moves into it, from any room."""
    k = gain.size
    far = np.int64(1) << 60
    cost = np.empty(k, np.int64)
    for s in range(k):
        cost[s] = 0 if free[s] > 0 else far
    changed = True
    while changed:
        changed = False
        for s in range(k):
            for o in range(k):
                if weight[s, o] < far and cost[s] < far and cost[s] + weight[s, o] < cost[o]:
                    cost[o] = cost[s] + weight[s, o]
                    changed = True
    for s in range(k):
        gain[s] = max(-cost[s], 0) if cost[s] < far else 0
