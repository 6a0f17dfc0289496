"""The flood hazard rating of the UK: d (v + 0.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.person import Person, too_deep
from citymap.evacuation.stability import LIMITS

SOME, MOST = 0.75, 1.5  # dangerous for some (children, the elderly), for most


@LIMITS.register("hazard_rating")
def stands(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64], person: Person
) -> NDArray[np.bool_]:
    """HR below 1.5, below 0.75 for children, the elderly and those with walking difficulty.

    The debris factor of the full formula is left out, and nobody walks where the water reaches half
    the body: in still water the rating alone would let adults walk in 2.9 m.
    Source: DEFRA FD2320/FD2321.
    """
    limit = SOME if person.vulnerable else MOST
    return np.asarray((depth_m * (flow_m_s + 0.5) < limit) & ~too_deep(depth_m, person))
