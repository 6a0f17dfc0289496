"""What the map plays of a flood result: frames that say what the run said, for staff alone."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from tests import small_city
from tests.asgi_client import TestClient

from citymap import crs
from citymap.assess import flood_play
from citymap.errors import BadInputError
from citymap.flood import run as runs
from citymap.flood.scenario import parse
from citymap.settings import Settings
from citymap.web.public import create_app
from citymap.workspace import Workspace, write_text

EPSG = 6677
TEXT = """
[flood]
terrain = "terrain.tif"
duration_h = 0.2
output_every_min = 4
buildings = "ignore"
crs = "EPSG:6677"
[[flood.inflow]]
at = [{x}, {y}]
m3_per_s = [[0, 40], [1, 40]]
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = small_city.make(tmp_path_factory.mktemp("play") / "town")
    x0, y0 = (float(v) for v in crs.project(small_city.WEST, small_city.SOUTH, EPSG))
    z = 20 + 0.01 * np.mgrid[0:40, 0:60][1]
    z[5, 5] = np.nan  # enclosed: filled; a corner stays without ground
    z[:3, -3:] = np.nan
    with rasterio.open(
        workspace.terrain, "w", driver="GTiff", width=60, height=40, count=1, dtype="float32",
        crs=f"EPSG:{EPSG}", transform=Affine(10, 0, x0, 0, -10, y0 + 400), nodata=float("nan"),
    ) as out:  # fmt: skip
        out.write(z.astype(np.float32), 1)
    folder = workspace.scenario("左岸")
    text = TEXT.format(x=x0 + 105, y=y0 + 205)
    write_text(folder / "scenario.toml", text)
    scenario = parse(text, place="s", home=folder, city=workspace.root)
    runs.run(scenario, folder, epsg=EPSG)
    return workspace


def counts(body: bytes, one: flood_play.Result) -> np.ndarray:
    return np.frombuffer(body, "<u2").reshape(one.rows, one.columns)


def test_frames_say_what_the_run_said(town: Workspace) -> None:
    folder = town.scenario("左岸")
    one = flood_play.result(folder)
    assert (one.rows, one.columns, one.step) == (40, 60, 1)
    with netCDF4.Dataset(folder / "flood.nc") as data:
        last = np.ma.filled(data["depth"][-1], np.nan)
    got = counts(flood_play.frame(one, len(one.hours) - 1), one)
    assert (got[np.isnan(last)] == flood_play.WALL).all()
    assert np.isnan(last).sum() == 9
    known = ~np.isnan(last)
    assert np.abs(got[known] * flood_play.UNIT_M - last[known]).max() <= 0.0051
    assert ((got[known] > 0) >= (last[known] >= 0.01)).all()
    assert counts(flood_play.frame(one, 0), one)[known].max() == 0
    assert (counts(flood_play.peak(one), one)[known] >= got[known].astype(int) - 1).all()
    ground = np.frombuffer(flood_play.ground(one, town.terrain), "<f4").reshape(40, 60)
    assert ground[20, 30] == pytest.approx(20.3)
    assert np.isnan(ground[0, -1])
    with pytest.raises(IndexError):
        flood_play.frame(one, len(one.hours))


def test_a_large_grid_goes_out_coarser_and_never_shallower(
    town: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = town.scenario("左岸")
    fine = flood_play.result(folder)
    before = counts(flood_play.peak(fine), fine)
    monkeypatch.setattr(flood_play, "LONGEST", 16)
    one = flood_play.result(folder)
    assert (one.rows, one.columns, one.step) == (10, 15, 4)
    got = counts(flood_play.peak(one), one)
    dry_walls = np.where(before == flood_play.WALL, 0, before)
    assert (got == dry_walls.reshape(10, 4, 15, 4).max(axis=(1, 3))).all()
    assert flood_play.described(one)["box"][2] == 40


def test_the_nodes_lie_where_the_cells_lie(town: Workspace) -> None:
    one = flood_play.result(town.scenario("左岸"))
    about = flood_play.described(one)
    x0, y0, cell = about["box"]
    lon, lat = about["nodes"][0]
    x, y = crs.project(lon, lat, EPSG)
    assert float(x) == pytest.approx(x0 + cell / 2, abs=0.01)
    assert float(y) == pytest.approx(y0 - cell / 2, abs=0.01)
    x, y = crs.project(*about["nodes"][-1], EPSG)
    assert float(x) == pytest.approx(x0 + 600 - cell / 2, abs=0.01)
    assert float(y) == pytest.approx(y0 - 400 + cell / 2, abs=0.01)
    assert about["classes"][1]["min"] == 0.5
    assert len(about["differences"]["bounds"]) == len(about["differences"]["colours"]) == 6


def test_a_result_without_its_ground_takes_the_terrain_s(town: Workspace, tmp_path: Path) -> None:
    one = flood_play.result(town.scenario("左岸"))
    sampled = flood_play._sampled(town.terrain, one, (40, 60))
    assert sampled[20, 30] == pytest.approx(20.3, abs=0.02)
    assert np.isnan(flood_play._sampled(tmp_path / "none.tif", one, (40, 60))).all()
    with pytest.raises(BadInputError):
        flood_play.result(tmp_path)


def test_the_doors_are_for_staff_and_the_frames_keep(town: Workspace) -> None:
    public = TestClient(create_app(Settings(city=town.root)))
    for path in ("play.json", "curve.json?lon=139.8&lat=36.5", "0/peak.bin"):
        assert public.get(f"/api/flood/左岸/{path}").status_code == 401
    settings = Settings(city=town.root, single_user=True)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8500") as client:
        about = client.get("/api/flood/左岸/play.json").json()
        assert about["name"] == "左岸"
        part = about["parts"].replace("{part}", "3")
        answer = client.get(f"/api/flood/左岸/{part}")
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["cache-control"].startswith("private")
        assert len(answer.content) == 40 * 60 * 2
        assert client.get(f"/api/flood/左岸/{part}".replace("3.bin", "999.bin")).status_code == 404
        assert client.get("/api/flood/右岸/play.json").status_code == 404
        one = flood_play.result(town.scenario("左岸"))
        lon, lat = about["nodes"][8 * 17 + 3]
        curve = client.get(f"/api/flood/左岸/curve.json?lon={lon}&lat={lat}").json()
        assert len(curve["depths"]) == len(one.hours)
        assert curve["depths"][0] == 0
        assert client.get("/api/flood/左岸/curve.json?lon=0&lat=0").json()["depths"] is None
        assert client.get("/api/flood/左岸/curve.json?lon=x").status_code == 422
