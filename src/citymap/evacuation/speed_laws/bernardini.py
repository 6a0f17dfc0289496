"""Speed in water by age, from walking experiments (Bernardini et al. 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.person import Person, specific_force
from citymap.evacuation.speed_laws import LAWS

FROM_DEPTH_M = 0.2
# Last age of the bracket, alpha, beta of V = alpha M^beta.
_BRACKETS = (
    (12, 0.54, -0.07), (20, 0.54, -0.07), (28, 0.36, -0.13), (36, 0.35, -0.19), (44, 0.43, -0.13),
    (52, 0.57, -0.03), (60, 0.32, -0.17), (999, 0.16, -0.43),
)  # fmt: skip


@LAWS.register("bernardini")
def speed(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64], person: Person
) -> NDArray[np.float64]:
    """V = alpha M^beta from 0.2 m of depth; beyond 68 years divided by 1 + 0.016 (age - 68).

    The curves of the young and the old cross near 0.4 m: the dry speed of the person must cap it.
    Ages 13 to 20, which the experiments left out, take the curve of children.
    Source: Bernardini et al. (2020), Safety Science, doi:10.1016/j.ssci.2020.104956, walking.
    """
    alpha, beta = next((a, b) for last, a, b in _BRACKETS if person.age <= last)
    force = np.maximum(specific_force(depth_m, flow_m_s), 1e-9)
    v = alpha * force**beta / (1 + 0.016 * max(person.age - 68, 0))
    return np.where(depth_m >= FROM_DEPTH_M, v, np.inf)
