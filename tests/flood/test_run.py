"""A scenario file in, a result folder out; and everything wrong with a scenario is said."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray
from rasterio.transform import Affine
from typer.testing import CliRunner

from citymap import cli
from citymap.errors import BadInputError, CancelledError
from citymap.flood import compiled, gridding, solver
from citymap.flood import run as runs
from citymap.flood.scenario import read
from citymap.i18n import worded
from citymap.progress import Quiet

ROWS, COLUMNS, CELL = 40, 60, 10.0


def terrain(path: Path, values: np.ndarray | None = None, *, crs: str | None = "EPSG:6677",
            **tags: str) -> Path:  # fmt: skip
    """A valley that falls to the south, 10 m cells."""
    if values is None:
        y, x = np.mgrid[0:ROWS, 0:COLUMNS]
        values = 20 - 0.05 * y + 0.02 * np.abs(x - COLUMNS / 2)
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="float32",
        crs=crs, transform=Affine(CELL, 0, 1000, 0, -CELL, 2000), nodata=float("nan"),
    ) as out:  # fmt: skip
        out.write(values.astype(np.float32), 1)
        out.update_tags(VERTICAL_DATUM="T.P.", **tags)
    return path


def write(folder: Path, flood: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(f'[scenario]\nname = "試験"\n[flood]\n{flood}', encoding="utf-8")
    return path


BASIC = """terrain = "terrain.tif"
crs = "EPSG:6677"
duration_h = 0.5
output_every_min = 10
[flood.rain]
mm_per_h = [[0, 30], [0.2, 0]]
[[flood.inflow]]
at = [1300, 1900]
m3_per_s = [[0, 0], [0.1, 20], [0.5, 5]]
[[flood.boundary]]
side = "south"
type = "open"
"""


DRY = 'terrain = "terrain.tif"\ncrs = "EPSG:6677"\nduration_h = 0.05\n'


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flood")
    terrain(folder / "terrain.tif")
    out = folder / "out"
    runs.run(read(write(folder, BASIC)), out)
    return out


def test_the_summary_says_what_happened_to_the_water(result: Path) -> None:
    s = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    wanted = {"cells", "steps", "wall_s", "cell_updates_per_s", "inflow_m3", "rain_m3", "outflow_m3",
              "stored_m3", "mass_error_m3", "max_depth_m", "flooded_area_m2"}  # fmt: skip
    assert wanted <= set(s)
    assert s["cells"] == ROWS * COLUMNS
    assert s["rain_m3"] == pytest.approx(30e-3 * 0.2 * ROWS * COLUMNS * CELL**2, rel=1e-4)
    assert s["inflow_m3"] == pytest.approx(3600 * (0.1 * 10 + 0.4 * 12.5), rel=1e-6)
    balance = s["inflow_m3"] + s["rain_m3"] - s["outflow_m3"] - s["stored_m3"]
    assert abs(balance) < 1e-6
    assert abs(s["mass_error_m3"]) < 1e-7 * (s["inflow_m3"] + s["rain_m3"])
    assert sum(s["flooded_area_by_class_m2"].values()) == pytest.approx(s["flooded_area_m2"])
    assert s["outflow_m3"] > 0


def test_a_scenario_with_the_full_equations_writes_the_same_files(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    summary = runs.run(read(write(tmp_path, 'scheme = "hllc"\n' + BASIC)), tmp_path / "out")
    assert summary["method"] == "hllc"
    assert summary["precision"] == "float64"
    assert abs(summary["mass_error_m3"]) < 1e-12 * (summary["inflow_m3"] + summary["rain_m3"])
    for name in ("flood.nc", "max_depth.tif", "arrival.tif", "duration.tif", "max_dv.tif"):
        assert (tmp_path / "out" / name).is_file()


def test_the_netcdf_is_cf_and_lies_where_the_terrain_lies(result: Path) -> None:
    with xarray.open_dataset(result / "flood.nc") as data:
        assert data.attrs["Conventions"] == "CF-1.8"
        assert dict(data.sizes) == {"time": 4, "y": ROWS, "x": COLUMNS}
        seconds = (data.time - data.time[0]).values / np.timedelta64(1, "s")
        assert seconds.tolist() == [0, 600, 1200, 1800]
        assert float(data.x[0]) == 1005
        assert float(data.y[0]) == 1995
        assert data.depth.attrs["units"] == "m"
        assert data.depth.attrs["grid_mapping"] == "crs"
        assert "6677" in data.crs.attrs["spatial_ref"]
        assert float(data.depth[-1].max()) > 0.05
        assert float(data.v.min()) < -0.05  # to the south
    with netCDF4.Dataset(result / "flood.nc") as raw:
        assert raw["time"][:].tolist() == [0, 600, 1200, 1800]


def test_the_rasters_have_crs_unit_and_no_data(result: Path) -> None:
    with rasterio.open(result / "max_depth.tif", driver="GTiff") as source:
        deepest = source.read(1)
        assert source.crs.to_epsg() == 6677
        assert source.transform == Affine(CELL, 0, 1000, 0, -CELL, 2000)
        assert np.isnan(source.nodata)
        assert source.units == ("m",)
        assert (deepest >= 0).all()
    with xarray.open_dataset(result / "flood.nc") as data:
        assert (deepest >= data.depth.max("time").values - 1e-6).all()
    with rasterio.open(result / "arrival.tif", driver="GTiff") as source:
        arrival = source.read(1)
        assert source.tags()["threshold_m"] == "0.1"
    assert np.array_equal(np.isfinite(arrival), deepest >= 0.1)
    assert np.nanmax(arrival) <= 0.5
    for name, unit in (("duration", "h"), ("max_dv", "m2 s-1")):
        with rasterio.open(result / f"{name}.tif", driver="GTiff") as source:
            assert source.units == (unit,)
            assert np.isfinite(source.read(1)).all()


def test_the_command_writes_and_says_it(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    cli._register()
    scenario = write(tmp_path, BASIC)
    done = CliRunner().invoke(
        cli.app, ["flood", "run", str(scenario), "--out", str(tmp_path / "o"), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["steps"] > 10
    assert (tmp_path / "o" / "max_dv.tif").exists()
    scenario = write(tmp_path, BASIC.replace("0.5\n", "-1\n", 1))
    done = CliRunner().invoke(
        cli.app, ["flood", "run", str(scenario), "--out", str(tmp_path / "o")]
    )
    assert done.exit_code == 1


def _nan(values: np.ndarray, *where: slice) -> np.ndarray:
    values = np.full((ROWS, COLUMNS), 5.0) if values is None else values
    values[where] = np.nan
    return values


BAD = [
    ("duration_h = 0.5", "duration_h = -1", "flood_out_of_range"),
    ("duration_h = 0.5", "durationh = 1", "flood_unknown_key"),
    ("duration_h = 0.5", "manning_n = 0", "flood_out_of_range"),
    ("duration_h = 0.5", "manning_n = nan", "flood_no_number"),
    ("duration_h = 0.5", "cell_size_m = 0", "flood_out_of_range"),
    ("[0, 30], [0.2, 0]", "[0, -3], [0.2, 0]", "flood_series_negative"),
    ("[0, 30], [0.2, 0]", "[0, 3], [0, 0]", "flood_series_time"),
    ("[0.1, 20], [0.5, 5]", "[0.1, 20], [0.05, 5]", "flood_series_time"),
    ("[0.1, 20]", "[0.1, nan]", "flood_no_number"),
    ("at = [1300, 1900]", "at = [13000, 1900]", "flood_outside"),
    ('crs = "EPSG:6677"', "", "flood_not_lon_lat"),
    ('crs = "EPSG:6677"', 'crs = "JGD"', "flood_bad_crs"),
    ('crs = "EPSG:6677"', 'crs = "EPSG:99999999"', "flood_bad_crs"),
    ("duration_h = 0.5", 'buildings = "blocks"', "flood_no_choice"),
    ("duration_h = 0.5", 'manning_n = "grass"', "flood_no_number"),
    ("[flood.rain]", "[flood.rain]\nrasters = [[0, 'a.tif']]", "flood_one_of"),
    ('terrain = "terrain.tif"', 'terrain = "other.tif"', "flood_no_file"),
    ('type = "open"', 'type = "stage"', "flood_stage_type"),
    ("[flood]", "[flood", "flood_not_toml"),
    ("output_every_min = 10", "output_every_min = 1e-9", "flood_too_many_outputs"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "key"), BAD, ids=[f"{n}-{k}" for n, (_, _, k) in enumerate(BAD)]
)
def test_a_wrong_scenario_is_refused_with_its_field(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    terrain(tmp_path / "terrain.tif")
    path = write(tmp_path, BASIC)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        runs.run(read(path), tmp_path / "out")
    assert caught.value.key == key
    assert key == "flood_not_toml" or "flood." in str(caught.value)
    assert not re.search(r"constrained|list\[|Input should", caught.value.message("ja"))
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize(
    ("flood", "said"),
    [
        ("[[flood.breach]]\nat = [1, 2]\nriver_stage_m = [[0, 5]]", "flood.breach.0.width_m"),
        ("manning_n = { rastr = 'n.tif' }", "flood.manning_n"),
        ("manning_n = -1", "> 0"),
    ],
)
def test_what_is_wrong_is_named_as_it_is_written(tmp_path: Path, flood: str, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read(write(tmp_path, flood))
    assert said in str(caught.value)
    assert "float" not in str(caught.value)


AT = "[[flood.inflow]]\nat = [1, 2]\nm3_per_s = "


@pytest.mark.parametrize(
    ("flood", "key"),
    [
        (AT + "5", "flood_no_list"),
        (AT + "[[0, 1, 2]]", "flood_too_long"),
        (AT + "[[0]]", "flood_missing_key"),
        ('[[flood.inflow]]\nat = "ここ"\nm3_per_s = [[0, 1]]', "flood_no_list"),
        ("[[flood.inflow]]\nline = [[1, 2]]\nm3_per_s = [[0, 1]]", "flood_line_short"),
        ("[[flood.inflow]]\nm3_per_s = [[0, 1]]", "flood_one_of"),
        ("inflow = 3", "flood_no_list"),
        ("rain = 3", "flood_no_table_there"),
        ("terrain = 3", "flood_no_text"),
        ("[flood.rain]\nmm_per_h = [[0, 1]]\narea = [[1, 2], [3, 4]]", "flood_too_short"),
        ("[flood.replay]\nrasters = []", "flood_too_short"),
        ('[[flood.boundary]]\nside = "west"\ntype = "stage"', "flood_stage_type"),
        ('[[flood.boundary]]\nline = [[1, 2], [3, 4]]\ntype = "open"', "flood_line_stage"),
        ("[scenario]\nseed = 1", "flood_not_toml"),  # the table stands already
        ("terrain = [", "flood_not_toml"),
    ],
)
def test_no_refusal_is_in_the_words_of_a_library(tmp_path: Path, flood: str, key: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read(write(tmp_path, flood))
    assert caught.value.key == key
    for line in caught.value.message("ja").splitlines():
        assert not re.search(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", line), line
    assert "{" not in caught.value.message("en").replace("{ raster", "")


def test_an_error_in_a_series_names_the_scenario_the_key_and_the_file(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    (tmp_path / "q.csv").write_text("時刻,流量\n0,1\n2,3\n1,3\n", encoding="utf-8")
    flood = (
        'terrain="terrain.tif"\ncrs="EPSG:6677"\n[[flood.inflow]]\nat=[1300,1900]\nm3_per_s="q.csv"'
    )
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, flood)), tmp_path / "out")
    assert caught.value.place == "scenario.toml: flood.inflow.0.m3_per_s: q.csv"


def test_cells_larger_than_the_terrain_are_refused(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, "cell_size_m = 5000\n" + BASIC)), tmp_path / "out")
    assert caught.value.key == "flood_cell_too_large"


def test_a_scenario_without_water_says_so(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    dry = write(tmp_path, 'terrain = "terrain.tif"\nduration_h = 0.02\n')
    assert "no_water" in runs.run(read(dry), tmp_path / "out")["notes"]
    wet = write(tmp_path, 'terrain = "terrain.tif"\nduration_h = 0.02\ninitial_depth_m = 0.2\n')
    assert "no_water" not in runs.run(read(wet), tmp_path / "out")["notes"]


def test_a_scenario_without_flood_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[evacuation]", encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read(tmp_path / "s.toml")
    assert caught.value.key == "flood_no_table"


def test_a_breach_on_a_wall_is_refused(tmp_path: Path) -> None:
    values = np.full((ROWS, COLUMNS), 5.0)
    values[5:20, 20:40] = np.nan
    terrain(tmp_path / "terrain.tif", values)
    flood = 'terrain="terrain.tif"\ncrs="EPSG:6677"\n[[flood.breach]]\nat=[1300,1900]\nwidth_m=20\nriver_stage_m=[[0,9]]'
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, flood)), tmp_path / "out")
    assert caught.value.key == "flood_on_wall"
    assert "breach.0" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "key"),
    [({"crs": None}, "dem_no_crs"), ({"crs": "EPSG:6668"}, "flood_degrees"), ({"crs": "EPSG:3857"}, "flood_web_mercator"), ({"UNIT": "ft"}, "flood_vertical_unit"),
     ({"values": np.full((5, 5), 123456.0)}, "flood_heights"), ({"values": np.full((5, 5), np.nan)}, "flood_no_ground")],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_a_terrain_that_cannot_be_used_is_refused(
    tmp_path: Path, change: dict[str, object], key: str
) -> None:
    terrain(tmp_path / "terrain.tif", **change)  # type: ignore[arg-type]
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, BASIC)), tmp_path / "out")
    assert caught.value.key == key


BREACH = "[[flood.breach]]\nat = [1300, 1800]\nwidth_m = 40\n"


@pytest.mark.parametrize(
    "water",
    [
        BREACH + "river_stage_m = [[0, 2100]]",
        '[[flood.boundary]]\nside = "west"\ntype = "stage"\nstage_m = [[0, 1], [1, 2100]]',
        '[[flood.boundary]]\nline = [[1100, 1900], [1300, 1900]]\ntype = "stage"\nstage_m = [[0, 2100]]',
    ],
)
def test_a_level_in_centimetres_is_refused(tmp_path: Path, water: str) -> None:
    terrain(tmp_path / "terrain.tif")
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, DRY + water)), tmp_path / "out")
    assert caught.value.key == "flood_level"
    assert "_m" in str(caught.value.place)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_high_level_finds_room_in_the_counts(tmp_path: Path, precision: str) -> None:
    terrain(tmp_path / "terrain.tif")
    head = DRY + f'precision = "{precision}"\n' + BREACH
    summary = runs.run(read(write(tmp_path, head + "river_stage_m = [[0, 210]]")), tmp_path / "out")
    assert 20 < summary["max_depth_m"] < 192
    assert abs(summary["mass_error_m3"]) < 1e-6 * summary["inflow_m3"]


def test_an_account_that_does_not_balance_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terrain(tmp_path / "terrain.tif")
    monkeypatch.setattr(solver.Account, "error", 1e6)
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, BASIC)), tmp_path / "out")
    assert caught.value.key == "flood_balance"
    assert [p.name for p in (tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize(
    "breach", ["river_stage_m = [[0, 5]]", "start_h = 9\nriver_stage_m = [[0, 25]]"]
)
def test_a_breach_that_lets_nothing_in_says_so(tmp_path: Path, breach: str) -> None:
    terrain(tmp_path / "terrain.tif")
    summary = runs.run(read(write(tmp_path, DRY + BREACH + breach)), tmp_path / "out")
    assert "no_water_came" in summary["notes"]


@pytest.mark.parametrize(
    "flood",
    [
        'manning_n = { raster = "far.tif" }',
        'initial_depth_m = { raster = "far.tif" }',
        '[flood.rain]\nrasters = [[0, "far.tif"]]',
        '[flood.replay]\nrasters = [[0, "far.tif"], [1, "far.tif"]]',
    ],
)
def test_a_raster_of_another_place_is_not_taken_for_dry(tmp_path: Path, flood: str) -> None:
    terrain(tmp_path / "terrain.tif")
    terrain(tmp_path / "far.tif", np.ones((ROWS, COLUMNS)), crs="EPSG:6670")
    with pytest.raises(BadInputError) as caught:
        runs.run(read(write(tmp_path, DRY + flood)), tmp_path / "out")
    assert caught.value.key == "flood_raster_elsewhere"
    assert caught.value.place == "far.tif"


def test_small_holes_are_filled_large_ones_are_walls_and_both_are_reported(tmp_path: Path) -> None:
    values = np.full((ROWS, COLUMNS), 5.0)
    values[3:5, 3:5] = np.nan
    values[20:35, 5:25] = -9999
    terrain(tmp_path / "terrain.tif", values)
    summary = runs.run(read(write(tmp_path, BASIC)), tmp_path / "out")
    assert summary["repairs"] == {"holes_filled_cells": 4, "cells_without_ground": 300}
    with rasterio.open(tmp_path / "out" / "max_depth.tif", driver="GTiff") as source:
        assert int(np.isnan(source.read(1)).sum()) == 300


def test_coarser_cells_than_the_terrain(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    flood = BASIC.replace("duration_h", "cell_size_m = 20\nduration_h")
    summary = runs.run(read(write(tmp_path, flood)), tmp_path / "out")
    assert (summary["rows"], summary["columns"], summary["cell_size_m"]) == (20, 30, 20)
    assert summary["repairs"] == {"resampled_to_m": 20}


def test_a_stopped_run_leaves_no_result(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")

    class Stopped(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            if done > 0:
                self.cancel()
            super().update(done, total, note)

    with pytest.raises(CancelledError):
        runs.run(read(write(tmp_path, BASIC)), tmp_path / "out", progress=Stopped())
    assert [p.name for p in (tmp_path / "out").iterdir()] == []


def test_reading_the_terrain_says_how_far_it_is_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gridding, "STRIP_CELLS", 2 * COLUMNS)
    terrain(tmp_path / "terrain.tif")
    heard: list[tuple[float, str]] = []

    class Stopped(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            heard.append((done / total, worded(note, "ja")))
            if len(heard) == ROWS:
                self.cancel()
            super().update(done, total, note)

    coarser = BASIC.replace("duration_h", "cell_size_m = 5.0\nduration_h")
    with pytest.raises(CancelledError):
        runs.run(read(write(tmp_path, coarser)), tmp_path / "out", progress=Stopped())
    assert {words for _, words in heard} == {"地形を読んでいます"}
    assert [share for share, _ in heard] == sorted(share for share, _ in heard)
    assert heard[-1][0] < runs.READING
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_stopped_leaves_the_result_before_it(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    scenario, out = read(write(tmp_path, BASIC)), tmp_path / "out"
    runs.run(scenario, out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    class Stopped(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            if done / total > 0.5:
                self.cancel()
            super().update(done, total, note)

    (out / ".flood.nc.123.tmp").write_bytes(b"of a run that a crash broke off")
    (out / "live.tif").write_bytes(b"")
    with pytest.raises(CancelledError):
        runs.run(scenario, out, progress=Stopped())
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_given_depths_are_replayed_without_a_solver(tmp_path: Path) -> None:
    terrain(tmp_path / "terrain.tif")
    for n, depth in enumerate((0.0, 1.0, 0.4)):
        terrain(tmp_path / f"d{n}.tif", np.full((ROWS, COLUMNS), depth))
    flood = (
        'terrain="terrain.tif"\n[flood.replay]\nrasters=[[0,"d0.tif"],[1,"d1.tif"],[2,"d2.tif"]]'
    )
    summary = runs.run(read(write(tmp_path, flood)), tmp_path / "out")
    assert summary["method"] == "replay"
    with netCDF4.Dataset(tmp_path / "out" / "flood.nc") as data:
        assert "nothing was computed" in data.source
    assert summary["max_depth_m"] == 1
    with rasterio.open(tmp_path / "out" / "arrival.tif", driver="GTiff") as source:
        assert np.allclose(source.read(1), 0.1)
    with rasterio.open(tmp_path / "out" / "duration.tif", driver="GTiff") as source:
        assert np.allclose(source.read(1), 0.5 + 5 / 6)


def test_the_first_run_says_that_it_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []

    class Heard(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            notes.append(note)

    terrain(tmp_path / "terrain.tif")
    monkeypatch.setattr(compiled, "compiled_before", lambda _: False)
    runs.run(read(write(tmp_path, BASIC)), tmp_path / "out", progress=Heard())
    assert any("機械語" in worded(n, "ja") and "compiling" in worded(n, "en") for n in notes)
    assert compiled._mark("float32").exists()


def test_compiling_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    begin = compiled.begin

    def remembered(variants: Sequence[str]) -> subprocess.Popen[bytes]:
        begun.append(begin(variants))
        return begun[-1]

    monkeypatch.setattr(compiled, "compiled_before", lambda _: False)
    monkeypatch.setattr(compiled, "begin", remembered)
    quiet = Quiet()
    quiet.cancel()
    with pytest.raises(CancelledError):
        runs.prepare_kernels("float32", quiet)
    assert begun[0].poll() is not None
