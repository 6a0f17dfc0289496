"""The exposure of any points or polygons: shelters, halls, roads' midpoints, a drawn area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.assess.exposure import sets_of
from citymap.assess.look_up import look_up
from citymap.hazard.sets import hazard_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from citymap.progress import Progress
    from citymap.workspace import Workspace

EXPOSURE_OF = pa.schema([
    ("shape", pa.int64()), ("set", pa.string()), ("hazard", pa.string()), ("name", pa.string()),
    ("scale", pa.string()), ("surveyed", pa.bool_()), ("inside", pa.bool_()),
    ("depth_max_m", pa.float64()), ("depth_mean_m", pa.float64()), ("duration_h", pa.float64()),
    ("arrival_h", pa.float64()), ("collapse_flow", pa.bool_()), ("collapse_erosion", pa.bool_()),
    ("zones", pa.list_(pa.string())),
])  # fmt: skip


def exposure_of(
    points_or_polygons: Sequence[Any] | NDArray[Any], workspace: Workspace, *,
    hazard: str | None = None, progress: Progress | None = None,
) -> pa.Table:  # fmt: skip
    """What every hazard set says at shapely points or polygons (lon, lat, EPSG:6668).

    One row a shape and set, in the shapes' order within each set; `shape` is the shape's position.
    `hazard` keeps the sets of one hazard (`river_flood`, `tsunami`, `landslide` …).
    `inside`: in the assumed area or a zone of the set; null where nobody surveyed. `depth_max_m`
    null while `inside`: how deep is not known. Metres and hours; null is never dry.

    What only the attributes of buildings know (a city without hazard files) is taken from the
    building that holds the shape, or overlaps it; beyond buildings it is not surveyed.

    Raises:
        BadInputError: a description of a hazard cannot be read.
    """
    shapes = np.asarray(list(points_or_polygons), object)
    risks: list[list[dict[str, Any]] | None] = [None] * len(shapes)
    sets = hazard_sets(workspace)
    held = np.zeros(len(shapes), bool)
    if workspace.buildings.is_file():
        risks, held, every = _of_buildings(workspace, shapes)
        sets = sets_of(workspace, every)
    parts = []
    for one in sets:
        if hazard not in {None, one.hazard}:
            continue
        found = look_up(one, shapes, risks if held.any() else None, progress=progress)
        surveyed = found.surveyed & held if not one.layers else found.surveyed
        depth = found.depth_max_m
        zones: list[list[str]] = [sorted(found.zones.get(i, ())) for i in range(len(shapes))]
        wet = np.asarray(~np.isnan(depth) & (depth > 0)) | np.array([bool(z) for z in zones], bool)
        parts.append(pa.table({
            "shape": np.arange(len(shapes)), "set": [one.id] * len(shapes),
            "hazard": [one.hazard] * len(shapes), "name": [one.name.strip()] * len(shapes),
            "scale": [one.scale or None] * len(shapes), "surveyed": surveyed,
            "inside": [True if w else (False if s else None)
                       for w, s in zip(wet.tolist(), surveyed.tolist(), strict=True)],
            "depth_max_m": _known(np.where(np.isinf(depth), np.nan, depth)),
            "depth_mean_m": _known(found.depth_mean_m), "duration_h": _known(found.duration_h),
            "arrival_h": _known(found.arrival_h),
            "collapse_flow": _maybe(found.collapse_flow, len(shapes)),
            "collapse_erosion": _maybe(found.collapse_erosion, len(shapes)),
            "zones": zones,
        }, schema=EXPOSURE_OF))  # fmt: skip
    return pa.concat_tables(parts) if parts else EXPOSURE_OF.empty_table()


def _known(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)


def _maybe(values: NDArray[np.bool_] | None, count: int) -> list[bool | None]:
    return [None] * count if values is None else values.tolist()


def _of_buildings(
    workspace: Workspace, shapes: NDArray[Any]
) -> tuple[list[list[dict[str, Any]] | None], NDArray[np.bool_], list[list[dict[str, Any]] | None]]:
    """The attributes of the buildings below each shape, which shapes have one, and all attributes."""
    table = pq.read_table(workspace.buildings, columns=["risks", "geometry"])
    footprints = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    every: list[list[dict[str, Any]] | None] = table["risks"].to_pylist()
    tree = shapely.STRtree(footprints)
    shape, building = tree.query(shapes, predicate="intersects")
    risks: list[list[dict[str, Any]] | None] = [None] * len(shapes)
    for at, row in zip(shape.tolist(), building.tolist(), strict=True):
        risks[at] = [*(risks[at] or ()), *(every[row] or ())]
    held = np.zeros(len(shapes), bool)
    held[shape] = True
    return risks, held, every
