"""The velocity at which water moves a person off the feet (Xia et al. 2014)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.person import Person, too_deep
from citymap.evacuation.stability import LIMITS

_RHO = 1000.0
_A, _B = 0.633, 0.367
_C, _D = 1.015e-3, 4.927e-3


def incipient_velocity(depth_m: NDArray[np.float64], person: Person) -> NDArray[np.float64]:
    """The lesser of the sliding and the toppling velocity (m/s); 0 where the person floats.

    Source: Xia, Falconer, Wang & Xiao (2014), J. Hydraul. Res. 52(5), eqs. for a human body.
    """
    h, height, mass = np.asarray(depth_m, float), person.height_m, person.mass_kg
    volume = _C * mass - _D
    with np.errstate(divide="ignore", invalid="ignore"):
        slide = 7.975 * (h / height) ** 0.018 * np.sqrt(
            mass / (_RHO * height * h) - (_A * h / height + _B) * volume / height**2
        )  # fmt: skip
        topple = 3.472 * (h / height) ** 0.188 * np.sqrt(
            mass / (_RHO * h**2) - (_A / height**2 + _B / (height * h)) * volume
        )  # fmt: skip
    least = np.nan_to_num(np.minimum(slide, topple), nan=0.0, posinf=np.inf)
    return np.where(h <= 0, np.inf, least)


@LIMITS.register("xia")
def stands(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64], person: Person
) -> NDArray[np.bool_]:
    """The flow is slower than the incipient velocity, and the water below half the body."""
    return np.asarray((flow_m_s < incipient_velocity(depth_m, person)) & ~too_deep(depth_m, person))
