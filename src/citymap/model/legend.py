"""Legends: classes of a number with colours and names, and codes with colours and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

UNKNOWN = -1  # the class of a missing value: never the lowest class, never "safe"


@dataclass(frozen=True, slots=True)
class LegendClass:
    """From `minimum` (included) to `maximum` (not included, None without end)."""

    minimum: float
    maximum: float | None
    label: Mapping[str, str]
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Legend:
    """Classes in rising order without gaps; `unit` is that of the bounds."""

    id: str
    title: Mapping[str, str]
    quantity: str
    unit: str
    source: str
    classes: tuple[LegendClass, ...]

    def classify(self, values: ArrayLike) -> NDArray[np.int16]:
        """Number of the class of each value; a bound belongs to the class above it.

        NaN and what lies below the first class are `UNKNOWN`.
        """
        array = np.asarray(values, float)
        lower = np.array([c.minimum for c in self.classes])
        out = np.searchsorted(lower, array, side="right").astype(np.int16) - 1
        top = self.classes[-1].maximum
        outside = np.isnan(array) | (array < lower[0])
        if top is not None:
            outside |= array >= top
        return np.where(outside, UNKNOWN, out).astype(np.int16)
