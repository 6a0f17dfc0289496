"""Nobody is lost and nobody is made, whatever closes and fills."""

from __future__ import annotations

import numpy as np

from citymap.evacuation.movement import _kernels as movement
from citymap.evacuation.trial import square_town, walk, weather
from citymap.evacuation.validation import Row, case


@case("conservation")
def run() -> list[Row]:
    """People unaccounted for over forty random towns with closures and small shelters."""
    lost = overfull = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        town = square_town(6, 80.0)
        shut = {
            int(e): [np.inf] * int(rng.integers(1, 20)) + [0.0]
            for e in rng.choice(town.edges, 20, replace=False)
        }
        people = 500
        capacity = rng.integers(0, 200, 4)
        found = walk(
            town, rng.integers(0, town.nodes, people), rng.uniform(0, 1200, people),
            rng.choice(town.nodes, 4, replace=False).tolist(), capacity=capacity.tolist(),
            conditions=weather(town, shut), knowledge=("full", "on_arrival", "none")[seed % 3],
        )  # fmt: skip
        known = np.isin(found.status, (0, 1, 2, 3)).sum()
        lost += abs(people - int(known)) + abs(
            int((found.status == movement.ARRIVED).sum()) - int(found.used.sum())
        )
        overfull += int(np.maximum(found.used - capacity, 0).sum())
    return [
        Row("conservation", "people unaccounted for", float(lost), 0.0, (0.0, 0.0)),
        Row("conservation", "people beyond capacity", float(overfull), 0.0, (0.0, 0.0)),
    ]
