"""Floods: depth of water from each river, from a water surface that follows its course.

The surface stands a given height above the plain beside the river and falls away from it; where
the ground is lower there is water. Land between the levees is left out, as in official maps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from citymap import crs
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


@dataclass(frozen=True, slots=True)
class CollapseZone:
    """A strip beside a levee, as 家屋倒壊等氾濫想定区域 are drawn: `quantity` is collapse_flow or
    collapse_erosion; from `near_m` to `far_m` off the river's axis over a part of its length."""

    scenario: str
    quantity: str
    near_m: float
    far_m: float
    begin: float  # of the town's radius along the river
    end: float


ZONES = (
    CollapseZone("midori-L2", "collapse_flow", 88, 170, -0.55, 0.35),
    CollapseZone("midori-L2", "collapse_erosion", 88, 125, -0.9, 0.9),
    CollapseZone("sawatari-L2", "collapse_flow", 18, 40, 0.1, 0.45),
    CollapseZone("sawatari-L2", "collapse_erosion", 18, 32, 0.1, 0.8),
    CollapseZone("ashihara-L2", "collapse_flow", 18, 40, 0.1, 0.4),
    CollapseZone("ashihara-L2", "collapse_erosion", 18, 32, 0.1, 0.8),
)


def write_collapse_zones(folder: Path, plan: Plan) -> None:
    """Write {id}_{quantity}.geojson (lon, lat) for every zone: one polygon on either bank."""
    folder.mkdir(parents=True, exist_ok=True)
    scenarios = {sc.file_id: sc for sc in SCENARIOS}
    for zone in ZONES:
        sc = scenarios[zone.scenario]
        along = np.linspace(zone.begin, zone.end, 60) * plan.radius_m
        features = []
        for bank in (-1.0, 1.0):
            near, far = np.full(60, bank * zone.near_m), np.full(60, bank * zone.far_m)
            if sc.tributary < 0:
                s, t = np.concatenate([along, along[::-1]]), np.concatenate([near, far])
            else:
                at, side = plan.tributaries[sc.tributary]
                away = np.clip(np.abs(along), 92, None) * side
                s, t = np.concatenate([at + near, at + far]), np.concatenate([away, away[::-1]])
            lon, lat = crs.unproject(*plan.to_xy(s, t), EPSG)
            ring = [[round(float(a), 7), round(float(b), 7)] for a, b in zip(lon, lat, strict=True)]
            features.append({
                "type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
                "properties": {
                    "quantity": zone.quantity, "hazard": "river_flood", "river": sc.river,
                    "scale": f"L{sc.scale}", "admin": {"1": "国", "2": "都道府県"}[sc.admin],
                },
            })  # fmt: skip
        text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
        path = folder / f"{zone.scenario}_{zone.quantity}.geojson"
        path.write_text(text, encoding="utf-8", newline="\n")
