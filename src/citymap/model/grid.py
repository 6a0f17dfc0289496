"""`Grid`: a raster that always says where it lies, what it measures, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """Values by row (north to south) and column; all fields are required, nothing is guessed.

    `transform` is the affine (a, b, c, d, e, f) of rasterio: x = a·col + b·row + c of a cell's
    upper left corner. `vertical_datum` is "T.P." for 標高, "" where the quantity is not a height.
    `nodata` is the value that means missing (NaN for floats).
    """

    values: NDArray[np.float32]
    transform: Transform
    epsg: int
    vertical_datum: str
    quantity: str
    unit: str
    nodata: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"a grid has two dimensions, not {self.values.ndim}")
        if not (
            self.transform[0] > 0 > self.transform[4]
            and self.transform[1] == self.transform[3] == 0
        ):
            raise ValueError("a grid is north up")
        self.values.flags.writeable = False

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in units of the CRS."""
        a, _, c, _, e, f = self.transform
        rows, columns = self.values.shape
        return c, f + e * rows, c + a * columns, f
