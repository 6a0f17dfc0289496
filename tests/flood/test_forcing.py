"""Every kind of forcing moves the water that it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from test_run import CELL, COLUMNS, ROWS, terrain, write

from citymap import crs
from citymap.errors import BadInputError
from citymap.flood import forcing, ground
from citymap.flood import run as runs
from citymap.flood.scenario import read
from citymap.model.columns import BASE
from citymap.workspace import write_table

HEAD = 'terrain = "terrain.tif"\ncrs = "EPSG:6677"\nduration_h = 0.2\noutput_every_min = 6\n'


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    terrain(tmp_path / "terrain.tif", np.full((ROWS, COLUMNS), 5.0))
    return tmp_path


def run(folder: Path, more: str, head: str = HEAD) -> dict[str, float]:
    return runs.run(read(write(folder, head + more)), folder / "out")


def test_rain_rasters_fall_from_their_time_on(flat: Path) -> None:
    half = np.zeros((ROWS, COLUMNS))
    half[:, : COLUMNS // 2] = 36.0
    terrain(flat / "r0.tif", np.zeros((ROWS, COLUMNS)))
    terrain(flat / "r1.tif", half)
    summary = run(flat, '[flood.rain]\nrasters = [[0, "r0.tif"], [0.1, "r1.tif"]]')
    assert summary["rain_m3"] == pytest.approx(0.036 * 0.1 * ROWS * COLUMNS / 2 * CELL**2, rel=1e-5)
    assert abs(summary["mass_error_m3"]) < 1e-6 * summary["rain_m3"]


def test_a_hydrograph_from_csv_along_a_line(flat: Path) -> None:
    (flat / "q.csv").write_text("h,m3/s\n0,4\n0.2,8\n", encoding="utf-8")
    summary = run(flat, '[[flood.inflow]]\nline = [[1100, 1900], [1300, 1900]]\nm3_per_s = "q.csv"')
    assert summary["inflow_m3"] == pytest.approx(6 * 720, rel=1e-6)


def test_a_broken_csv_names_its_line(flat: Path) -> None:
    (flat / "q.csv").write_text("h,m3/s\n0,4\nx,8\n", encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        run(flat, '[[flood.inflow]]\nat = [1100, 1900]\nm3_per_s = "q.csv"')
    assert caught.value.key == "flood_series_number"
    assert "q.csv:3" in str(caught.value)


def test_a_breach_opens_at_its_time_and_grows(flat: Path) -> None:
    breach = "[[flood.breach]]\nat = [1300, 1800]\nwidth_m = 40\nstart_h = 0.1\n"
    late = run(flat, breach + "river_stage_m = [[0, 7]]")
    slow = run(flat, breach + "growth_h = 0.1\nriver_stage_m = [[0, 7]]")
    free = 0.35 * 2 * np.sqrt(2 * 9.80665 * 2) * 40 * 360
    assert 0.5 * free < late["inflow_m3"] <= free
    assert 0.3 < slow["inflow_m3"] / late["inflow_m3"] < 0.8
    given = run(flat, breach + "m3_per_s = [[0, 10]]")
    assert given["inflow_m3"] == pytest.approx(10 * 360, rel=1e-3)


def test_a_pump_takes_no_more_than_there_is(flat: Path) -> None:
    deep, water = HEAD + "initial_depth_m = 0.5\n", HEAD + "initial_depth_m = 0.01\n"
    small = run(flat, "[[flood.sink]]\nat = [1300, 1800]\nm3_per_s = 0.1", deep)
    assert small["outflow_m3"] == pytest.approx(72, rel=1e-3)
    great = run(flat, "[[flood.sink]]\nat = [1300, 1800]\nm3_per_s = 1e4", water)
    assert great["outflow_m3"] <= great["initial_m3"]
    assert great["stored_m3"] >= 0


def test_levels_are_held_on_a_side_and_on_a_line(flat: Path) -> None:
    side = run(
        flat, '[[flood.boundary]]\nside = "west"\ntype = "stage"\nstage_m = [[0, 5], [0.1, 6]]'
    )
    assert side["inflow_m3"] > 0
    assert side["max_depth_m"] <= 1.0 + 1e-3
    line = "[[flood.boundary]]\nline = [[1300, 1950], [1300, 1700]]\ntype = 'stage'\nstage_m = [[0, 5.5]]"
    inner = run(flat, line)
    assert 0.4 < inner["max_depth_m"] <= 0.5  # held at the start of a step, before water leaves
    assert inner["inflow_m3"] == pytest.approx(inner["stored_m3"] + inner["outflow_m3"], rel=1e-6)


def test_an_open_side_lets_the_flood_out(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    head = HEAD + "initial_depth_m = 0.3\n"
    closed = run(tmp_path, "", head)
    opened = run(tmp_path, '[[flood.boundary]]\nside = "south"\ntype = "open"', head)
    assert closed["outflow_m3"] == 0
    assert opened["outflow_m3"] > 0.02 * opened["initial_m3"]
    with pytest.raises(BadInputError):
        run(
            tmp_path,
            '[[flood.boundary]]\nside="south"\ntype="open"\n[[flood.boundary]]\nside="south"\ntype="wall"',
        )


@pytest.mark.parametrize("scheme", ["inertial", "hllc"])
def test_the_side_of_a_terrain_that_lies_askew_is_where_its_ground_ends(
    tmp_path: Path, scheme: str
) -> None:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    askew = (y + 0.1 * x > 7) & (y + 0.1 * x < 42) & (x - 0.1 * y > 2) & (x - 0.1 * y < 54)
    terrain(tmp_path / "terrain.tif", np.where(askew, 20 - 0.05 * y, np.nan))
    head = HEAD + f'initial_depth_m = 0.3\nscheme = "{scheme}"\n'
    side = '[[flood.boundary]]\nside = "{}"\ntype = "{}"\n'
    closed = run(tmp_path, "", head)
    assert closed["outflow_m3"] == 0
    south = run(tmp_path, side.format("south", "open"), head)
    assert 0.1 * south["initial_m3"] < south["outflow_m3"] < 0.9 * south["initial_m3"]
    assert abs(south["mass_error_m3"]) < 1e-6 * south["initial_m3"]
    assert south["max_depth_m"] < closed["max_depth_m"]
    assert run(tmp_path, side.format("north", "open"), head)["outflow_m3"] < south["outflow_m3"]
    tide = run(tmp_path, side.format("south", "stage") + "stage_m = [[0, 19.5]]", head)
    assert tide["inflow_m3"] > 1000
    assert tide["max_depth_m"] < 20 - (20 - 0.05 * ROWS)


def test_ground_behind_a_building_is_not_the_side(flat: Path) -> None:
    land = ground.read_terrain(flat / "terrain.tif", cell_m=None, epsg=None)
    land.elevation_m[-3:, :] = np.nan
    land.elevation_m[:, :2] = np.nan
    land.building = np.zeros(land.shape, bool)
    land.building[-3, 10:20] = True
    for name, wanted in (("south", ROWS - 4), ("west", 2), ("north", 0), ("east", COLUMNS - 1)):
        row, column, behind = forcing._outermost(land, forcing.SIDES[name])
        assert set((row if name in {"south", "north"} else column).tolist()) == {wanted}
        assert (behind == 5).all()
        if name == "south":
            assert sorted(column.tolist()) == [*range(2, 10), *range(20, COLUMNS)]


def test_roughness_from_a_raster_and_by_land_use(flat: Path) -> None:
    n = np.full((ROWS, COLUMNS), 0.03)
    terrain(flat / "n.tif", n)
    given = read(write(flat, HEAD + 'manning_n = { raster = "n.tif" }'))
    assert np.allclose(ground.prepare(given, epsg=None).manning_n, 0.03)
    for wrong in (0.0, 5.0):
        n[3, 4] = wrong
        terrain(flat / "n.tif", n)
        with pytest.raises(BadInputError) as caught:
            ground.prepare(given, epsg=None)
        assert caught.value.key == "flood_manning"
    by_use = read(write(flat, HEAD + 'manning_n = "landuse"'), city=flat)
    with pytest.raises(BadInputError) as caught:
        ground.prepare(by_use, epsg=6677)
    assert caught.value.key == "flood_no_land_use"
    box = shapely.box(1000, 1600, 1300, 2000)
    lon_lat = shapely.transform(
        box, lambda c: np.column_stack(crs.unproject(c[:, 0], c[:, 1], 6677))
    )
    row = {"theme": "landuse", "kind_code": "203", "geometry": shapely.to_wkb(lon_lat)}
    columns = [pa.array([row.get(f.name)], f.type) for f in BASE.schema()]
    write_table(flat / "base" / "landuse.parquet", pa.table(columns, schema=BASE.schema()), BASE)
    used = ground.prepare(by_use, epsg=6677).manning_n
    assert used[20, 10] == ground.LAND_USE_N["203"]  # type: ignore[index]
    assert used[20, 50] == ground.OTHER_N  # type: ignore[index]


def test_water_at_the_start_from_a_raster(flat: Path) -> None:
    depth = np.zeros((ROWS, COLUMNS))
    depth[:10] = 0.5
    terrain(flat / "d.tif", depth)
    summary = run(flat, "", HEAD + 'initial_depth_m = { raster = "d.tif" }\n')
    assert summary["initial_m3"] == pytest.approx(0.5 * 10 * COLUMNS * CELL**2, rel=1e-6)
    with rasterio.open(flat / "out" / "max_depth.tif", driver="GTiff") as source:
        assert source.read(1)[12:].max() > 0.05


def test_rain_in_an_area_falls_only_there(flat: Path) -> None:
    ring = "[[1100, 1900], [1200, 1900], [1200, 1800], [1100, 1800]]"
    rain = "[flood.rain]\nmm_per_h = [[0, 36]]\narea = "
    summary = run(flat, rain + ring)
    assert summary["rain_m3"] == pytest.approx(0.036 * 0.2 * 100 * 100, rel=1e-5)
    assert abs(summary["mass_error_m3"]) < 1e-6 * summary["rain_m3"]
    with pytest.raises(BadInputError) as caught:
        run(flat, rain + "[[9100, 1900], [9200, 1900], [9200, 1800]]")
    assert caught.value.key == "flood_outside"


@pytest.mark.parametrize("cell_m", [5.0, 10.0, 20.0])
def test_the_form_knows_the_cells_that_buildings_will_block(tmp_path: Path, cell_m: float) -> None:
    path = terrain(tmp_path / "terrain.tif", np.full((ROWS, COLUMNS), 5.0))
    rng = np.random.default_rng(7)
    boxes = []
    for x, y in zip(rng.uniform(1020, 1560, 40), rng.uniform(1620, 1980, 40), strict=True):
        ring = np.array([[x, y], [x + 23, y + 4], [x + 19, y + 21], [x - 4, y + 17]])
        boxes.append(shapely.Polygon(np.column_stack(crs.unproject(*ring.T, 6677))))
    count = len(boxes)
    table = tmp_path / "buildings.parquet"
    columns = {"geometry": shapely.to_wkb(boxes), "measured_height_m": [6.0] * count}
    pq.write_table(pa.table(columns), table)
    entered = ground.read_terrain(path, cell_m=cell_m, epsg=6677)
    ground.buildings(entered, table, "block")
    assert entered.building is not None
    assert 0.02 < entered.building.mean() < 0.5
    x, y = rng.uniform(1001, 1599, 300), rng.uniform(1601, 1999, 300)
    for lon, lat, row, column in zip(
        *crs.unproject(x, y, 6677), ((2000 - y) // cell_m).astype(int),
        ((x - 1000) // cell_m).astype(int), strict=True,
    ):  # fmt: skip
        asked = ground.on_building(path, table, (float(lon), float(lat)), cell_m)
        assert asked == entered.building[row, column]


@pytest.mark.parametrize("water", ["river_stage_m = [[0, 8]]", "m3_per_s = [[0, 40]]"])
def test_a_breach_beside_the_crown_leaves_the_river_dry(tmp_path: Path, water: str) -> None:
    z = np.full((ROWS, COLUMNS), 5.0)
    z[18:20] = 9.0  # the crown; the river runs north of it
    terrain(tmp_path / "terrain.tif", z)
    foot = (1300, 2000 - 20.5 * CELL)
    breach = f"[[flood.breach]]\nat = [{foot[0]}, {foot[1]}]\nwidth_m = 300\n{water}\n"
    assert run(tmp_path, breach)["inflow_m3"] > 1000
    with rasterio.open(tmp_path / "out" / "max_depth.tif") as source:
        depth = np.nan_to_num(source.read(1), nan=0.0)
    assert depth[20:].max() > 0.1
    assert not (depth[:20] > 0).any()


def test_where_a_raster_says_nothing_is_reported(flat: Path) -> None:
    depth = np.full((ROWS, COLUMNS), np.nan)
    depth[:10] = 0.5
    terrain(flat / "d.tif", depth)
    silent = (ROWS - 10) * COLUMNS
    started = run(flat, "", HEAD + 'initial_depth_m = { raster = "d.tif" }\n')
    assert started["repairs"] == {"depth_not_said_cells": silent}
    rained = run(flat, '[flood.rain]\nrasters = [[0, "d.tif"]]')
    assert rained["repairs"] == {"rain_not_said_cells": silent}
    replayed = run(flat, '[flood.replay]\nrasters = [[0, "d.tif"], [0.2, "d.tif"]]')
    assert replayed["repairs"] == {"depth_not_said_cells": silent}
