"""`citymap …` as a person or a script meets it: exit codes, answers, reasons on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

INFO = {"code", "name", "epsg", "bbox", "buildings", "roads", "districts", "hazards", "places", "layers"}  # fmt: skip


def citymap(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "citymap.cli", *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("demo") / "city"
    done = citymap("demo", "--city", city, "--buildings", 120, "--json")
    assert done.returncode == 0, done.stderr
    return city


def test_info_answers_with_the_agreed_keys(demo: Path) -> None:
    done = citymap("info", "--city", demo, "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer.keys() >= INFO
    assert answer["buildings"] >= 100
    assert answer["name"] == "みどり川市（架空）"
    assert answer["name_en"] == "Midorikawa City (fictional)"
    assert isinstance(answer["hazards"], list) and isinstance(answer["places"], dict)


@pytest.mark.parametrize(
    "arguments",
    [("info", "--nothing"), ("nothing",), ("import",), ("demo", "--buildings", "few"), ("import", ".", "--as", "wish")],
)  # fmt: skip
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    done = citymap(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("info",), ("share", "export", "buildings", "--format", "xlsx", "--out", "x"), ("restore", "x.zip")],
)  # fmt: skip
def test_a_missing_city_or_an_impossible_option_is_wrong_usage(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CITYMAP_CITY", raising=False)
    monkeypatch.chdir(tmp_path)
    done = citymap(*arguments, "--json")
    assert done.returncode == 2
    assert json.loads(done.stderr)["remedy"]


def test_what_cannot_be_done_is_exit_1_with_place_and_remedy(tmp_path: Path) -> None:
    done = citymap("info", "--city", tmp_path, "--json")
    assert done.returncode == 1
    reason = json.loads(done.stderr)
    assert str(tmp_path) in reason["message"]
    assert reason["remedy"]
    spoken = citymap("import", tmp_path / "nothing.gml", "--city", tmp_path / "city")
    assert spoken.returncode == 1
    assert "nothing.gml" in spoken.stderr
    assert "Traceback" not in spoken.stderr


def raster(
    path: Path, bands: int, dtype: str, *, east: float = -11000, north: float = -5000
) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=32, height=24, count=bands, dtype=dtype, crs="EPSG:6677",
        transform=from_origin(east, north, 5, 5),
    ) as out:  # fmt: skip
        out.write(np.full((bands, 24, 32), 90, dtype))
    return path


def test_a_bare_geotiff_must_say_what_it_is(demo: Path, tmp_path: Path) -> None:
    done = citymap("import", raster(tmp_path / "x.tif", 1, "float32"), "--city", demo)
    assert done.returncode == 1
    assert "--as" in done.stderr


def test_the_first_raster_of_a_new_city_gives_its_zone_as_a_guess(tmp_path: Path) -> None:
    heights = raster(tmp_path / "h.tif", 1, "float32")
    bare = citymap("import", heights, "--city", tmp_path / "new")
    assert bare.returncode == 1
    assert "--as" in bare.stderr
    assert not (tmp_path / "new" / "city.toml").exists()
    done = citymap("import", heights, "--city", tmp_path / "new", "--as", "dem", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(citymap("info", "--city", tmp_path / "new", "--json").stdout)
    assert (said["epsg"], said["zone_is_guess"], said["terrain"]) == (6677, True, True)


def test_an_orthophoto_becomes_a_cloud_optimised_layer(demo: Path, tmp_path: Path) -> None:
    picture = raster(tmp_path / "drone.tif", 3, "uint8")
    done = citymap("import", picture, "--city", demo, "--as", "ortho", "--id", "drone-2026")
    assert done.returncode == 0, done.stderr
    with rasterio.open(demo / "layers" / "drone-2026.tif") as made:
        assert made.count >= 3
        assert made.crs.to_epsg() == 6677
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (made.read(1)[2:-2, 2:-2] == 90).all()
    refused = citymap(
        "import", raster(tmp_path / "d.tif", 1, "float32"), "--city", demo, "--as", "ortho"
    )
    assert refused.returncode == 1


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb", ".parquet", ".kml"])
def test_any_vector_becomes_a_layer(demo: Path, tmp_path: Path, suffix: str) -> None:
    shapes = [
        shapely.box(139.88, 36.55, 139.881, 36.551),
        shapely.box(139.89, 36.55, 139.891, 36.551),
    ]
    table = geopandas.GeoDataFrame(
        {"名称": ["地すべり跡", "池"], "n": [1, 2]}, geometry=shapes, crs=4326
    )
    path = tmp_path / f"own{suffix}"
    if suffix == ".shp":
        table.to_crs(6677).to_file(path, encoding="cp932")
        path.with_suffix(".cpg").unlink()
    elif suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_file(path)
    name = f"own-{suffix[1:]}"
    done = citymap("import", path, "--city", demo, "--as", "layer", "--id", name, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {f"layer-{name}": 2}
    read = geopandas.read_parquet(demo / "layers" / f"{name}.parquet")
    assert read.crs.to_epsg() == 6668
    if suffix != ".kml":
        assert sorted(read["名称"]) == ["地すべり跡", "池"]
    assert read.total_bounds == pytest.approx([139.88, 36.55, 139.891, 36.551], abs=1e-7)
    assert (demo / "layers" / f"{name}.toml").is_file()


def test_a_vector_with_swapped_axes_is_refused(demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "swapped.geojson"
    table = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(36.55, 139.88)], crs=4326)
    table.to_file(path)
    done = citymap("import", path, "--city", demo, "--as", "layer", "--json")
    assert done.returncode == 1
    assert not (demo / "layers" / "swapped.parquet").exists()


def test_a_list_whose_columns_say_little_goes_in_by_its_kind(demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("名称,緯度,経度\n仮設Wi-Fi,36.55,139.88\n", encoding="cp932")
    assert citymap("import", path, "--city", demo).returncode == 1
    done = citymap("import", path, "--city", demo, "--as", "places", "--id", "wifi", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["wifi"] == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs another user")
def test_a_command_works_from_a_folder_that_the_user_may_not_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    code = (
        "import os, sys\n"
        "from citymap.cli import _leave_a_closed_folder\n"
        "os.chdir(sys.argv[1]); os.setuid(65534)\n"
        "_leave_a_closed_folder(); print(os.getcwd())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(closed)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "/", done.stderr
