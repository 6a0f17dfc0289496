"""The frame of a sheet: its scale, what of the ground it shows, and its grid of references."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from citymap import crs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WIDTH_MM, HEIGHT_MM = 288.0, 248.0  # of the map inside its border
COLUMNS, ROWS = 8, 7
SCALES = (500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 7500, 10_000, 12_500,
          15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 75_000, 100_000, 200_000)  # fmt: skip
MARGIN = 1.08  # ground around the district
SMALLEST_SCALE = 1000  # a single block is not drawn larger: its surroundings belong on the sheet


@dataclass(frozen=True, slots=True)
class Frame:
    """Ground (metres of the zone `epsg`, x east, y north) on paper (mm from the upper left corner)."""

    epsg: int
    scale: int
    left_m: float
    top_m: float

    @classmethod
    def around(cls, bounds_m: tuple[float, float, float, float], epsg: int) -> Frame:
        """The largest common scale that shows all of west, south, east, north, in the middle."""
        west, south, east, north = bounds_m
        needed = MARGIN * 1000 * max((east - west) / WIDTH_MM, (north - south) / HEIGHT_MM)
        scale = next((s for s in SCALES if s >= max(needed, SMALLEST_SCALE)), None)
        scale = scale or math.ceil(needed / 100_000) * 100_000
        return cls(
            epsg, scale,
            (west + east) / 2 - WIDTH_MM * scale / 2000, (south + north) / 2 + HEIGHT_MM * scale / 2000,
        )  # fmt: skip

    def paper(self, x_m: ArrayLike, y_m: ArrayLike) -> NDArray[np.float64]:
        """Millimetres (n, 2) of metres in the zone."""
        per = 1000 / self.scale
        return np.column_stack(
            [(np.asarray(x_m, float) - self.left_m) * per, (self.top_m - np.asarray(y_m, float)) * per]
        )  # fmt: skip

    def of_lon_lat(self, lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Millimetres (n, 2) of degrees (n, 2: lon, lat)."""
        if not len(lon_lat):
            return np.empty((0, 2))
        return self.paper(*crs.project(lon_lat[:, 0], lon_lat[:, 1], self.epsg))

    def lon_lat(self, mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees (n, 2: lon, lat) of millimetres (n, 2)."""
        per = self.scale / 1000
        lon, lat = crs.unproject(
            self.left_m + mm[:, 0] * per, self.top_m - mm[:, 1] * per, self.epsg
        )
        return np.column_stack([lon, lat])

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees, around all of the frame."""
        corners = np.array([(0, 0), (WIDTH_MM, 0), (0, HEIGHT_MM), (WIDTH_MM, HEIGHT_MM)], float)
        at = self.lon_lat(corners)
        west, south = at.min(axis=0)
        east, north = at.max(axis=0)
        return float(west), float(south), float(east), float(north)


def inside(mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (n, 2) lie on the map."""
    x, y = mm[:, 0], mm[:, 1]
    return np.asarray((x >= 0) & (x <= WIDTH_MM) & (y >= 0) & (y <= HEIGHT_MM))


def reference(x_mm: float, y_mm: float) -> str:
    """The cell of the grid: a letter from the west and a number from the north, as `C4`.

    >>> reference(0, 0), reference(288, 248)
    ('A1', 'H7')
    """
    column = min(COLUMNS - 1, max(0, int(x_mm / WIDTH_MM * COLUMNS)))
    row = min(ROWS - 1, max(0, int(y_mm / HEIGHT_MM * ROWS)))
    return f"{chr(ord('A') + column)}{row + 1}"


def bar_m(scale: int) -> int:
    """A round length for the scale bar, 32 to 80 mm on paper.

    >>> bar_m(2500), bar_m(10_000)
    (200, 500)
    """
    most = 0.08 * scale
    step = 10 ** math.floor(math.log10(most))
    return int(next(k * step for k in (5, 2, 1) if k * step <= most))
