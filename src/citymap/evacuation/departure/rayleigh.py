"""Departure by the Rayleigh curve of a mean delay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from citymap.evacuation.departure import CURVES


@CURVES.register("rayleigh")
def hours(u: NDArray[np.float64], given: Mapping[str, float]) -> NDArray[np.float64]:
    """Parameter `mean_h`: sigma = mean √(2/π), t = √(-2 σ² ln(1 - u)). Source: TUNAMI-EVAC."""
    sigma = given["mean_h"] * np.sqrt(2 / np.pi)
    return np.asarray(np.sqrt(-2 * sigma**2 * np.log1p(-u)))
