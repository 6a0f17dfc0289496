"""The classes of people that move differently, and the force of water on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

G_M_S2 = 9.81


@dataclass(frozen=True, slots=True)
class Person:
    """A class of people: id, dry walking speed, age, body, and whether counted as vulnerable."""

    id: str
    speed_m_s: float
    age: int
    height_m: float
    mass_kg: float
    vulnerable: bool = False


# Speeds: 消防庁 1.0 m/s and 0.5 m/s for people with walking difficulty; 内閣府 0.74 m/s for the
# elderly; children 0.8 of adults (TUNAMI-EVAC). Bodies are assumptions of ours, near the means of
# the national health survey. The order is that of the kernels; cars come after them.
PEOPLE = (
    Person("adult", 1.0, 40, 1.65, 60.0),
    Person("child", 0.8, 8, 1.25, 26.0, vulnerable=True),
    Person("elderly", 0.74, 72, 1.57, 55.0, vulnerable=True),
    Person("impaired", 0.5, 80, 1.53, 50.0, vulnerable=True),
)
MOBILITY = tuple(p.id for p in PEOPLE)
CAR = len(PEOPLE)
CAR_M_S = 25 / 3.6  # in streets, when many leave at once
CAR_IN_WATER_M_S = 1.8  # LifeSim: stop and go (4 mph) in any water
CAR_STOPS_M = 0.3  # below the 0.46 m at which a small car floats


def too_deep(depth_m: NDArray[np.float64], person: Person) -> NDArray[np.bool_]:
    """Half the body or more: nobody walks there, though some limits know no such end. Ours."""
    return np.asarray(depth_m >= 0.5 * person.height_m)


def specific_force(
    depth_m: NDArray[np.float64], flow_m_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """M = v² d / g + d² / 2 per unit width, m²."""
    return np.asarray(flow_m_s**2 * depth_m / G_M_S2 + depth_m**2 / 2)
