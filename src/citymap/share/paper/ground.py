"""What the hazard maps say of the ground of a sheet: areas by class, and what nobody surveyed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio import Affine, features

from citymap.assess.look_up import look_up, must_leave
from citymap.hazard.legend import DEPTH, classify, legends
from citymap.share.paper.frame import HEIGHT_MM, WIDTH_MM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from citymap.hazard.sets import HazardSet
    from citymap.share.paper.frame import Frame

STEP_MM = 1.25  # of the points that are asked
POINT_DEG = 5e-7  # half side of the square that stands for a point: ten centimetres
DRY, NOT_SURVEYED, UNKNOWN_DEPTH, ZONE, SPECIAL_ZONE = (
    0,
    100,
    101,
    102,
    103,
)  # beside 1, 2, … of the legend


@dataclass(frozen=True, slots=True)
class Ground:
    """Areas on paper (mm): by class, and the two collapse zones (None: nobody drew one)."""

    classes: dict[int, NDArray[Any]]
    collapse_flow: NDArray[Any] | None
    collapse_erosion: NDArray[Any] | None


def ground(frame: Frame, sets: Sequence[HazardSet]) -> Ground:
    """The worst over all sets of one hazard, by the same look-up that answers for a building.

    What no set says is inside is only dry where every set was surveyed.
    """
    columns, rows = round(WIDTH_MM / STEP_MM), round(HEIGHT_MM / STEP_MM)
    x, y = np.meshgrid((np.arange(columns) + 0.5) * STEP_MM, (np.arange(rows) + 0.5) * STEP_MM)
    at = frame.lon_lat(np.column_stack([x.ravel(), y.ravel()]))
    points = shapely.box(at[:, 0] - POINT_DEG, at[:, 1] - POINT_DEG, at[:, 0] + POINT_DEG, at[:, 1] + POINT_DEG)  # fmt: skip
    worst = np.full(len(points), -np.inf)
    unsaid = np.full(len(points), not sets)
    special = np.zeros(len(points), bool)
    collapse: dict[str, NDArray[np.bool_] | None] = {
        "collapse_flow": None,
        "collapse_erosion": None,
    }
    for one in sets:
        found = look_up(one, points)
        wet = found.depth_max_m > 0
        worst = np.fmax(worst, np.where(wet, found.depth_max_m, -np.inf))
        unsaid |= (~found.surveyed & ~wet) | (found.unclear & ~wet)
        if must_leave(one.hazard):
            rows_special = [
                r for r, names in found.zones.items() if any("special" in n for n in names)
            ]
            special[rows_special] = True
        for name, flags in collapse.items():
            said = getattr(found, name)
            if said is not None:
                collapse[name] = said if flags is None else flags | said
    classes = _classes(worst, unsaid, special, leave=bool(sets) and must_leave(sets[0].hazard))
    shape = (rows, columns)
    return Ground(
        {k: _areas(classes == k, shape) for k in np.unique(classes).tolist() if k != DRY},
        *(None if c is None else _areas(c, shape) for c in collapse.values()),
    )


def _classes(
    worst: NDArray[np.float64], unsaid: NDArray[np.bool_], special: NDArray[np.bool_], *, leave: bool
) -> NDArray[np.int16]:  # fmt: skip
    wet = worst > 0
    finite = wet & np.isfinite(worst)
    out = np.where(unsaid & ~wet, NOT_SURVEYED, DRY).astype(np.int16)
    out[wet] = ZONE if leave else UNKNOWN_DEPTH
    known = classify(np.where(finite, worst, np.nan), DEPTH)
    out[finite & (known >= 0)] = known[finite & (known >= 0)] + 1
    out[special] = SPECIAL_ZONE
    return out


def _areas(flags: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[Any]:
    """Polygons in mm around the cells that are set."""
    grid = flags.reshape(shape)
    found = features.shapes(grid.astype(np.uint8), mask=grid, transform=Affine.scale(STEP_MM))
    return np.array([shapely.geometry.shape(s) for s, _ in found], object)


def depth_classes() -> list[tuple[int, dict[str, str], tuple[int, int, int]]]:
    """Number, label and colour of the official classes of depth."""
    return [(k + 1, dict(c.label), c.colour) for k, c in enumerate(legends()[DEPTH].classes)]
