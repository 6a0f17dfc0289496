"""Jōsō 2015: the share of residents who left, carried through the chain of the model.

The published share of those who left (58.5 %) is an input here, the ceiling of compliance; what is
tested is that order, delay, way and shelter do not lose or add to it. The flood of that day, the
roads and the homes are not public in the form that this model reads, so that no more is compared.
"""

from __future__ import annotations

import numpy as np

from citymap.evacuation.departure import CURVES
from citymap.evacuation.town import stream
from citymap.evacuation.trial import square_town, walk
from citymap.evacuation.validation import Row, case, near

SHARE_LEFT = 0.585
PEOPLE = 20_000
ORDER_BEFORE_BREACH_H = 10.5  # 02:20 to 12:50


@case("joso_2015")
def run() -> list[Row]:
    """Share of the residents at a shelter when the levee breaks."""
    town = square_town(20, 150.0)
    u = stream(2015, 0, "compliance").random(PEOPLE)
    hours = CURVES.load()["weibull"](
        stream(2015, 0, "departure").random(PEOPLE), {"a": 0.5, "b": 1.2}
    )
    goes = u < SHARE_LEFT
    home = stream(2015, 0, "home").integers(0, town.nodes, PEOPLE)
    found = walk(
        town, home[goes], hours[goes] * 3600, [0, town.nodes - 1, town.nodes // 2],
        horizon_s=ORDER_BEFORE_BREACH_H * 3600,
    )  # fmt: skip
    share = float(np.isfinite(found.arrive_s).sum()) / PEOPLE
    return [
        near("joso_2015", "share that left (an input, carried through)", share, SHARE_LEFT, 0.02)
    ]
