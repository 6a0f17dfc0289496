"""The Japanese limit of safe evacuation on foot: specific force 0.125 m²."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.person import Person, specific_force
from citymap.evacuation.stability import LIMITS

LIMIT_M2 = 0.125  # 0.5 m of still water


@LIMITS.register("specific_force")
def stands(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64], person: Person
) -> NDArray[np.bool_]:
    """M = v² d / g + d² / 2 below 0.125 m². Source: Toda, Ishigaki et al., KAKENHI 18510146."""
    del person
    return np.asarray(specific_force(depth_m, flow_m_s) < LIMIT_M2)
