"""Floods: depth of water from each river, from a water surface that follows its course.

The surface stands a given height above the plain beside the river and falls away from it; where
the ground is lower there is water. Land between the levees is left out, as in official maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from citymap.demo.ground import DATUM_M, SLOPE, Tin, breadth, plain_m
from citymap.demo.plan import EPSG, Array, Plan

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One river at one scale."""

    file_id: str
    folder: str  # below udx/fld
    river: str
    description: str  # code of RiverFloodingRiskAttribute_description.xml
    admin: str  # 1 = 国, 2 = 都道府県
    scale: str  # 1 = L1, 2 = L2
    tributary: int  # −1 is the main river
    above_plain_m: float
    fall: float  # of the water surface away from the river, m per m


MAIN, NORTH, SOUTH = "みどり川水系みどり川", "みどり川水系沢渡川", "みどり川水系葦原川"
SCENARIOS = (
    Scenario("midori-L1", "natl/midorigawa_midorigawa", MAIN, "1", "1", "1", -1, 1.7, 0.0019),
    Scenario("midori-L2", "natl/midorigawa_midorigawa", MAIN, "1", "1", "2", -1, 3.5, 0.0021),
    Scenario("sawatari-L1", "pref/midorigawa_sawatarigawa", NORTH, "2", "2", "1", 0, 0.7, 0.004),
    Scenario("sawatari-L2", "pref/midorigawa_sawatarigawa", NORTH, "2", "2", "2", 0, 1.8, 0.005),
    Scenario("ashihara-L2", "pref/midorigawa_ashiharagawa", SOUTH, "3", "2", "2", 1, 2.1, 0.003),
)


def depth_m(plan: Plan, sc: Scenario, s: Array, t: Array, ground_m: Array) -> tuple[Array, Array]:
    """Depth (NaN where dry or between levees) and duration above 0.5 m in hours."""
    r = plan.radius_m
    if sc.tributary < 0:
        away = np.clip(np.abs(t) - 90, 0, None)
        surface = DATUM_M - s * SLOPE + sc.above_plain_m - sc.fall / breadth(plan) * away
        if sc.scale == "1":  # the left bank holds upstream of the town and far downstream
            held = np.clip((np.abs(s - 0.25 * r) - 0.55 * r) / 150, 0, 1)
            surface = surface - np.where(t > 0, 3.5 * held, 0.0)
        allowed = np.abs(t) > 90
    else:
        at, side = plan.tributaries[sc.tributary]
        away = np.clip(np.abs(s - at) - 20, 0, None)
        surface = plain_m(plan, np.full_like(s, at), t) + sc.above_plain_m - sc.fall * away
        allowed = (t * side > 92) & (t * side < 0.8 * r) & (np.abs(s - at) > 20) & (away < 700)
    depth = np.round(surface - ground_m, 3)
    wet = allowed & (depth >= 0.01)
    for at, side in plan.tributaries:
        wet &= ~((np.abs(s - at) < 20) & (t * side > 90))
    wet &= np.abs(t) > 90
    depth = np.where(wet, depth, np.nan)
    pond = np.clip(DATUM_M - s * SLOPE - 0.8 - ground_m, 0, 3)  # low ground drains late
    hours = np.round(1.5 + 7.0 * np.clip(depth - 0.3, 0, None) + 36 * pond, 1)
    return depth, np.where(depth >= 0.5, hours, np.nan)


@dataclass(frozen=True)
class Flooding:
    """Depth and duration of every scenario on one grid of the zone (row 0 is the north)."""

    west: float
    north: float
    cell_m: float
    ground_m: Floats
    depth_m: dict[str, Floats]
    duration_h: dict[str, Floats]

    def at(self, grid: Floats, x: Array, y: Array) -> Array:
        """The cell value at east, north."""
        col = ((np.asarray(x) - self.west) / self.cell_m).astype(int)
        row = ((self.north - np.asarray(y)) / self.cell_m).astype(int)
        rows, cols = grid.shape
        inside = (col >= 0) & (col < cols) & (row >= 0) & (row < rows)
        out = grid[row.clip(0, rows - 1), col.clip(0, cols - 1)].astype(float)
        return np.asarray(np.where(inside, out, np.nan))


def compute(plan: Plan, tin: Tin, *, cell_m: float) -> Flooding:
    """All scenarios on a grid over the terrain, in strips to bound memory."""
    west = float(np.floor(tin.x.min() / cell_m) * cell_m)
    north = float(np.ceil(tin.y.max() / cell_m) * cell_m)
    cols = int(np.ceil((tin.x.max() - west) / cell_m))
    rows = int(np.ceil((north - tin.y.min()) / cell_m))
    depth = {sc.file_id: np.full((rows, cols), np.nan, np.float32) for sc in SCENARIOS}
    hours = {
        sc.file_id: np.full((rows, cols), np.nan, np.float32) for sc in SCENARIOS if sc.scale == "2"
    }
    ground = np.full((rows, cols), np.nan, np.float32)
    strip = max(1, 150_000 // cols)
    for top in range(0, rows, strip):
        part = slice(top, min(rows, top + strip))
        y = north - (np.arange(part.start, part.stop) + 0.5) * cell_m
        x = west + (np.arange(cols) + 0.5) * cell_m
        xx, yy = np.meshgrid(x, y)
        s, t = plan.to_st(xx, yy)
        inside = (s >= tin.s[0]) & (s <= tin.s[-1]) & (t >= tin.t[0]) & (t <= tin.t[-1])
        xx, yy, s, t = xx[inside], yy[inside], s[inside], t[inside]
        z = tin.elevation_at(s, t, xx, yy)
        block = np.full(inside.shape, np.nan, np.float32)
        block[inside] = z
        ground[part] = block
        for sc in SCENARIOS:
            d, h = depth_m(plan, sc, s, t, z)
            block = np.full(inside.shape, np.nan, np.float32)
            block[inside] = d
            depth[sc.file_id][part] = block
            if sc.scale == "2":
                block = np.full(inside.shape, np.nan, np.float32)
                block[inside] = h
                hours[sc.file_id][part] = block
    return Flooding(west, north, cell_m, ground, depth, hours)


def north_up(west: float, north: float, cell_m: float) -> Affine:
    """The transform of a north-up grid (rasterio's own helper warns under affine 3)."""
    return Affine(cell_m, 0.0, west, 0.0, -cell_m, north)


def write_rasters(folder: Path, flooding: Flooding) -> None:
    """Write {id}_depth.tif and, for L2, {id}_duration.tif (float32, nodata NaN, EPSG:6677)."""
    import rasterio  # noqa: PLC0415  (GDAL is slow to load and only this needs it)

    folder.mkdir(parents=True, exist_ok=True)
    transform = north_up(flooding.west, flooding.north, flooding.cell_m)
    for sc in SCENARIOS:
        grids = [("depth", "m", flooding.depth_m[sc.file_id])]
        if sc.file_id in flooding.duration_h:
            grids.append(("duration", "h", flooding.duration_h[sc.file_id]))
        for quantity, unit, grid in grids:
            with rasterio.open(
                folder / f"{sc.file_id}_{quantity}.tif", "w", driver="GTiff", dtype="float32",
                count=1, height=grid.shape[0], width=grid.shape[1], crs=f"EPSG:{EPSG}",
                transform=transform, nodata=float("nan"), compress="deflate", predictor=3,
                tiled=True, blockxsize=256, blockysize=256,
            ) as out:  # fmt: skip
                out.write(grid, 1)
                out.update_tags(
                    quantity=quantity, unit=unit, river=sc.river, scale=f"L{sc.scale}",
                    admin={"1": "国", "2": "都道府県"}[sc.admin], hazard="river_flood",
                    fictional="yes",
                )  # fmt: skip
