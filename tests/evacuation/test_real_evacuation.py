"""Evacuation on a real town: network from `tran`, shelters, water, leave-by, stress, comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from citymap.evacuation.compare import compare
from citymap.evacuation.leave_by import leave_by
from citymap.evacuation.run import run
from citymap.evacuation.scenario import scenario_of
from citymap.evacuation.stress.plan import stress
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.share import plan_capsule
from citymap.workspace import Workspace
from tests.evacuation import towns

TOWN = "plateau_citygml/youryugi+shade-aware_route_planing"
SHELTERS = "shelters_gsi/motohasystem+jp-shelter-api/docs/api/v0/emergency/271004.json"
MESHES = ("51357353", "51357354")  # the dwellings of the island and the quays beside them


@pytest.fixture
def island(real_data: Path, tmp_path: Path) -> Workspace:
    """Two meshes of the Osaka bay town, with the designated places of the whole city."""
    files = [
        real_data / TOWN / theme / f"{mesh}_{theme}_6697_op.gml"
        for theme in ("bldg", "tran")
        for mesh in MESHES
    ]
    if not all(p.is_file() for p in [*files, real_data / SHELTERS]):
        pytest.skip("the Osaka town or its shelters are not among the real data here")
    workspace = Workspace(tmp_path / "osaka")
    import_sources(
        [*files, real_data / SHELTERS],
        workspace,
        options=ImportOptions(workers=1),
        progress=Quiet(),
    )
    return workspace


def high_water(workspace: Workspace, folder: Path, level_m: float) -> Path:
    """Water that rises to a level over the town's own ground in half an hour, one hour after the
    start; the buildings have no depth, as the flood solver leaves them."""
    import rasterio
    from rasterio.features import geometry_mask
    from shapely import from_wkb, transform

    from citymap import crs

    city = workspace.city()
    with rasterio.open(workspace.terrain) as source:
        ground = source.read(1, masked=True).filled(np.nan).astype(np.float32)
        west, north, cell, grid = *source.transform * (0, 0), source.res[0], source.transform
    footprints = from_wkb(pq.read_table(workspace.buildings, columns=["geometry"])["geometry"])
    metres = transform(
        footprints, lambda p: np.column_stack(crs.project(p[:, 0], p[:, 1], city.epsg))
    )
    walls = ~geometry_mask(metres, ground.shape, grid)
    levels = (-99.0, -99.0, level_m, level_m)
    depth = np.stack([np.clip(level - ground, 0, None) for level in levels])
    depth[:, walls] = np.nan
    south = north - ground.shape[0] * cell
    return towns.write_flood(
        folder, depth, [0.0, 3600.0, 5400.0, 10800.0], cell_m=cell, epsg=city.epsg,
        origin=(west, south),
    )  # fmt: skip


def plan(order_h: float, **more: Any) -> Any:
    return scenario_of({
        "scenario": {"name": f"指示 {order_h:g} 時間後", "seed": 1},
        "evacuation": {
            "flood": "scenarios/high", "hazard": "tsunami", "order_time_h": order_h, "night": True,
            "population": {"from_buildings": 2500}, "compliance": 0.8, "step_s": 120, "duration_h": 6, **more,
        },
    })  # fmt: skip


@pytest.mark.slow
def test_every_answer_on_a_real_town(island: Workspace, tmp_path: Path) -> None:
    high_water(island, island.scenario("high"), 4.5)
    out = tmp_path / "early"
    summary = run(island, plan(0.25), out)
    kinds = ("evacuated", "vertical", "stranded", "en_route", "waiting", "stayed")
    assert sum(summary[k] for k in kinds) == summary["people"] == 2500
    assert summary["network"]["largest_component"] > 0.8 * summary["network"]["nodes"] > 800
    why = list(summary["shelters_unused"].values())
    # The list is of the whole city, so most of it is far away; of those here some are designated
    # buildings whose ground the water reaches, though the flood has no depth inside them.
    assert summary["shelters_used"] + len(why) == pq.read_metadata(
        island.places / "shelters.parquet"
    ).num_rows  # fmt: skip
    assert {"off_network", "not_designated", "flooded"} <= set(why)
    assert summary["shelters_used"] > 0

    late = run(island, plan(1.25), tmp_path / "late")
    assert summary["stranded"] < late["stranded"]
    found = compare(out, tmp_path / "late", tmp_path / "both")
    assert found["counts"]["stranded"]["difference"] == late["stranded"] - summary["stranded"]

    times = leave_by(island, plan(0.25), out)
    table = pq.read_table(out / "leave_by.parquet").to_pandas()
    hours = table.pivot_table(index="building_id", columns="mobility", values="leave_by_h")
    both = hours.dropna()
    assert (both["adult"] >= both["impaired"]).all()
    assert times["mobility"]["adult"]["must_leave_in_time"] > 100
    assert (
        table.leave_by_h[np.isfinite(table.leave_by_h)] <= 2.0
    ).all()  # the water stands by then

    tight = stress(island, plan(0.25), out)
    assert tight["certificate"]["optimal"]
    assert tight["served"] + tight["turned_away"] == tight["people"]
    assert all(f["name"] for f in tight["fixes"] if f["kind"] == "shelter")
    wet = {i for i, w in summary["shelters_unused"].items() if w == "flooded"}
    assert not wet & {f["id"] for f in tight["fixes"]}

    page = plan_capsule.capsule(island, plan_capsule.find(island, str(out)), lang="ja")
    assert "指示 0.25 時間後" in page and "http://" not in page.replace("http://www.w3.org", "")
    json.loads((out / "summary.json").read_text(encoding="utf-8"))
