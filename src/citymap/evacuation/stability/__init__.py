"""Limits beyond which a person cannot stand in water, one file each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from citymap.evacuation.person import Person
from citymap.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# (depth m, flow speed m/s, person) → whether the person can still walk there.
Limit = Callable[["NDArray[np.float64]", "NDArray[np.float64]", Person], "NDArray[np.bool_]"]
LIMITS: Registry[Limit] = Registry(__name__)
