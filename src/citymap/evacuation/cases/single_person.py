"""One person alone on 40 m (RiMEA test 1): the time is the length over the speed of the class."""

from __future__ import annotations

import numpy as np

from citymap.evacuation.person import PEOPLE
from citymap.evacuation.trial import street, walk
from citymap.evacuation.validation import Row, case, near


@case("single_person")
def run() -> list[Row]:
    """The time of each class."""
    rows = []
    for k, person in enumerate(PEOPLE):
        found = walk(
            street(20.0, 20.0), np.zeros(1, int), np.zeros(1), [2], cls=np.full(1, k, np.int8)
        )
        rows.append(
            near("single_person", f"time of {person.id} over 40 m", found.arrive_s[0],
                 40 / person.speed_m_s, 0.01, unit="s")
        )  # fmt: skip
    return rows
