"""Speed in water falling in proportion to the depth, as CrowdWalk has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.person import Person
from citymap.evacuation.speed_laws import LAWS

NOBODY_WALKS_M = 1.0


@LAWS.register("crowdwalk")
def speed(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64], person: Person
) -> NDArray[np.float64]:
    """v = v0 (1 - d / 1.0 m), v0 the person's dry speed. Source: CrowdWalk, Flood.java."""
    del flow_m_s
    slowed = person.speed_m_s * np.maximum(1 - depth_m / NOBODY_WALKS_M, 0.0)
    return np.where(depth_m > 0, slowed, np.inf)
