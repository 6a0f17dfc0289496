"""Speed in water by specific force, one law for everybody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.person import Person, specific_force
from citymap.evacuation.speed_laws import LAWS


@LAWS.register("specific_force")
def speed(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64], person: Person
) -> NDArray[np.float64]:
    """V = 0.53 M^-0.19 wherever there is water; the dry speed of the person must cap it.

    Source: the earlier single fit of the same experiments (Bernardini et al.).
    """
    del person
    force = specific_force(depth_m, flow_m_s)
    return np.where(force > 0, 0.53 * np.maximum(force, 1e-9) ** -0.19, np.inf)
