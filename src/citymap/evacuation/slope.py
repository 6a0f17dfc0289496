"""How slopes and stairs slow people down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.network import Network

STAIRS_FACTOR = 0.6  # CrowdWalk
STEEPEST = 0.5  # beyond this the terrain model, not the road, is wrong


def slope_factor(network: Network) -> NDArray[np.float64]:
    """Speed on each link as a share of the speed on the level; never above 1.

    An unknown slope counts as level, and so do bridges and underpasses: the terrain is not theirs.
    Source: Tobler (1993), v = 6 exp(-3.5 |s + 0.05|) km/h, divided by its value at s = 0.
    """
    level = network.bridge | network.underpass
    rise = np.where(level | ~np.isfinite(network.rise_m), 0.0, network.rise_m)
    slope = np.clip(rise / np.maximum(network.length_m, 0.1), -STEEPEST, STEEPEST)
    both = np.stack([slope, -slope], axis=1).ravel()
    factor = np.minimum(np.exp(-3.5 * (np.abs(both + 0.05) - 0.05)), 1.0)
    stairs = np.repeat(network.stairs, 2)
    return np.asarray(np.where(stairs, STAIRS_FACTOR, factor), float)
