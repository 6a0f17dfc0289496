"""The whole demo city: plan, ground, lots, buildings, floods, then every file."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from citymap.demo import building_files, buildings, ground, land_files, parcels, plan, streets
from citymap.progress import Progress

FOLDER = f"{plan.CITY_CODE}_midorikawa-shi_city_2024_citygml_1_op"


def _settle(
    count: int, seed: int
) -> tuple[plan.Plan, list[streets.Street], parcels.Parcels, buildings.Buildings]:
    """A plan whose lots hold just over `count` buildings, and those buildings less the excess."""
    radius = 1055 * (count / 5000) ** 0.5
    radius = max(radius, 620.0)
    for _ in range(12):
        drawn = plan.draw(radius_m=radius, seed=seed)
        roads, blocks = streets.lay_out(drawn)
        lots = parcels.divide(drawn, blocks)
        all_of, _at = buildings.place(drawn, lots)
        if len(all_of) >= count:
            break
        radius *= max((count / len(all_of)) ** 0.5, 1.004)
    excess = len(all_of) - count
    keep = np.ones(len(all_of), bool)
    if excess > 0:
        # vacant lots: houses and barns only, those far from the station first
        usual = np.isin(all_of.kind, [parcels.CODE[k] for k in ("house", "farmhouse", "barn")])
        draw = np.random.default_rng([seed, 61]).random(len(all_of)) + ~usual * 10.0
        keep[np.argsort(draw, kind="stable")[:excess]] = False
    chosen = {f.name: getattr(all_of, f.name)[keep] for f in fields(all_of)}
    return drawn, roads, lots, buildings.Buildings(**chosen)


def generate(out_dir: Path, *, buildings: int = 5000, seed: int = 1, progress: Progress) -> Path:
    """Write the source data set under `out_dir` and return its CityGML folder.

    The same `buildings` and `seed` give the same bytes. Beside the CityGML folder stand
    `opendata/` (CSV, GeoJSON) and `hazard/` (depth GeoTIFFs, EPSG:6677).
    """
    drawn, roads, lots, stock = _settle(buildings, seed)
    del lots
    folder = out_dir / FOLDER
    spacing = 25.0 if buildings <= 30000 else 40.0
    tin = ground.build(drawn, spacing_m=spacing)
    stock = replace(
        stock, ground_m=ground_under(tin, stock)
    )
    n = len(stock)
    building_files.write(
        folder, stock, names=[""] * n, addresses=[""] * n, land_use=["211"] * n, risks=[],
        seed=seed, progress=progress,
    )  # fmt: skip
    land_files.write_terrain(folder, tin, seed=seed, progress=progress)
    land_files.write_roads(folder, streets.segments(drawn, roads), seed=seed, progress=progress)
    return folder


def ground_under(tin: ground.Tin, stock: buildings.Buildings) -> plan.Array:
    """Ground of every building."""
    return buildings.ground_under(tin, stock.ring, stock.corners, stock.centre)
