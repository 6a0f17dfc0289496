"""Curves of departure after the order, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from citymap.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# (uniform numbers in [0, 1), parameters) → hours from the order to departure.
Curve = Callable[["NDArray[np.float64]", Mapping[str, float]], "NDArray[np.float64]"]
CURVES: Registry[Curve] = Registry(__name__)
