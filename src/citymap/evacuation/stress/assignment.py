"""Least-cost places in shelters, with the certificate that nothing better exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from citymap.evacuation.stress import _kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

TURNED_AWAY_S = 10_000_000  # more than any chain of walks: finding places for all comes first


@dataclass(frozen=True, slots=True)
class Assignment:
    """People of each group in each place (the last column: turned away), and the dual prices.

    `primal` and `dual` are equal to the second and person: the certificate of optimality.
    `gain_s` is what one more place at each shelter would save.
    """

    flow: NDArray[np.int64]
    cost_s: NDArray[np.int64]
    price_s: NDArray[np.int64]
    gain_s: NDArray[np.int64]
    primal: int
    dual: int

    @property
    def turned_away(self) -> int:
        """People without a place."""
        return int(self.flow[:, -1].sum())

    @property
    def walk_s(self) -> int:
        """Person-seconds of walking of those who find one."""
        return int((self.flow[:, :-1] * self.cost_s[:, :-1]).sum())

    def certified(self) -> bool:
        """Check optimality from the numbers alone: feasible both ways, and equal."""
        reduced = (self.cost_s + self.price_s[None, :]) - (self.cost_s + self.price_s[None, :]).min(
            axis=1, keepdims=True
        )
        return bool(
            self.primal == self.dual
            and (self.flow >= 0).all()
            and (self.price_s >= 0).all()
            and (reduced[self.flow > 0] == 0).all()
        )


def assign(
    seconds: NDArray[np.float64], size: NDArray[np.int64], capacity: NDArray[np.int64]
) -> Assignment:
    """Places for groups of people at the least total walking time, as many people as possible.

    `seconds` (groups, shelters) is the walk (infinite: no way), `size` people a group, `capacity`
    places a shelter. A group may be divided.
    """
    n, k = seconds.shape
    cost = np.full((n, k + 1), TURNED_AWAY_S, np.int64)
    reachable = np.isfinite(seconds)
    cost[:, :k] = np.where(reachable, np.rint(np.where(reachable, seconds, 0)), 2 * TURNED_AWAY_S)
    room = np.append(capacity, size.sum() + 1).astype(np.int64)
    flow = np.zeros((n, k + 1), np.int64)
    weight, mover = np.empty((k + 1, k + 1), np.int64), np.empty((k + 1, k + 1), np.int64)
    _kernels.assign(cost, size.astype(np.int64), room, flow, weight, mover)
    free = room - flow.sum(axis=0)
    price, gain = np.empty(k + 1, np.int64), np.empty(k + 1, np.int64)
    _kernels.prices(weight, free, price)
    _kernels.worth(weight, free, gain)
    price = np.minimum(price, 2 * TURNED_AWAY_S)  # an empty place of no capacity: nobody to move
    primal = int((flow * cost).sum())
    dual = int((size * (cost + price[None, :]).min(axis=1)).sum() - (room * price).sum())
    return Assignment(flow, cost, price, gain, primal, dual)
