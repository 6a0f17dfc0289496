"""Departure by P(t) = 1 - exp(-a t^b)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.departure import CURVES


@CURVES.register("weibull")
def hours(u: NDArray[np.float64], given: Mapping[str, float]) -> NDArray[np.float64]:
    """Parameters `a`, `b` (t in hours). Source: Lindell et al. as in HEC-LifeSim."""
    return np.asarray((-np.log1p(-u) / given["a"]) ** (1 / given["b"]))
