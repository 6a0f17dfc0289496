"""Departure evenly within a window of time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.departure import CURVES


@CURVES.register("window")
def hours(u: NDArray[np.float64], given: Mapping[str, float]) -> NDArray[np.float64]:
    """Parameters `from_h`, `to_h` after the order."""
    return np.asarray(given["from_h"] + u * (given["to_h"] - given["from_h"]))
