"""Grids of depth: MLIT's mesh CSV and shapefile, NetCDF, official tiles; and rasters that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine, from_origin

from citymap import crs, meshcode
from citymap.errors import BadInputError
from citymap.hazard.mesh_grid import squares, to_grid
from citymap.workspace import Workspace
from tests import small_city
from tests.hazard.test_layouts import bring, described, exposure

EPSG = 6677
X0, Y0 = (float(v) for v in crs.project(small_city.WEST, small_city.SOUTH, EPSG))
SHARED = Path(__file__).parents[3] / "shared" / "data"
KUMAMOTO = SHARED / (
    "kumamoto_evac/Project-PLATEAU+evacuation-simulation-tools/FME-Flood-3DTiles/data/high_tide/"
    "BP001_SHAPE/BP001_00020m.SHP"
)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


def raster(path: Path, values: np.ndarray, **more: Any) -> Path:
    height, width = values.shape
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32",
        "crs": f"EPSG:{EPSG}", "transform": from_origin(X0 - 20, Y0 + 60, 5, 5), "nodata": np.nan,
    } | more  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        out.write(values.astype(np.float32), 1)
    return path


def read(city: Workspace, name: str) -> np.ndarray:
    with rasterio.open(city.hazards / f"{name}.tif") as source:
        assert source.crs.to_epsg() == EPSG
        assert source.transform.e < 0
        values: np.ndarray = source.read(1)
        return values


# --- mesh CSV of 浸水想定区域図データ電子化ガイドライン


def mesh_of(lon: float, lat: float, flag: str, parts: int, digits: int) -> str:
    third = meshcode.encode(lon, lat)
    west, south, east, north = meshcode.bounds(third)
    column = int((lon - west) / (east - west) * parts)
    row = int((lat - south) / (north - south) * parts)
    return f"{third}{flag}{row:0{digits}d}{column:0{digits}d}"


@pytest.mark.parametrize(("flag", "parts", "digits"), [("3", 40, 2), ("7", 100, 2), ("2", 200, 3)])
def test_squares_lie_where_their_code_says(flag: str, parts: int, digits: int) -> None:
    lon, lat = 139.8801, 36.5501
    grid, transform = to_grid(
        [mesh_of(lon, lat, flag, parts, digits)], np.array([1.5], np.float32), "x"
    )
    west, north = transform * (0, 0)
    east, south = transform * (1, 1)
    assert grid.tolist() == [[1.5]]
    assert west <= lon < east
    assert south <= lat < north
    assert (east - west, north - south) == pytest.approx((1 / 80 / parts, 1 / 120 / parts))


@pytest.mark.parametrize(
    "code", ["5439", "5439001292", "543900120000A", "5439001290000", "5439001239999"]
)
def test_codes_that_are_no_square_are_refused(code: str) -> None:
    with pytest.raises(BadInputError, match="no code"):
        squares([code], "x")


def test_two_sizes_in_one_file_are_refused() -> None:
    with pytest.raises(BadInputError, match="several sizes"):
        squares(["5439001230000", "5439001270000"], "x")


@pytest.mark.parametrize("encoding", ["cp932", "utf-8-sig"])
def test_the_guidelines_csv_becomes_a_grid(city: Workspace, tmp_path: Path, encoding: str) -> None:
    here = mesh_of(139.8801, 36.5501, "3", 40, 2)
    there = mesh_of(139.8811, 36.5501, "3", 40, 2)
    dry = mesh_of(139.8821, 36.5501, "3", 40, 2)
    text = (
        "鬼怒川,想定最大規模\r\n2026\r\nメッシュコード,標高,浸水深,流速\r\n"
        f"{here},12.3,1.234,0.1\r\n{here},12.3,1.500,0.1\r\n{there},12.3,-9999,0\r\n{dry},12.0,0,0\r\n"
    )
    (tmp_path / "MAXALL.CSV").write_bytes(text.encode(encoding))
    record = bring(city, tmp_path / "MAXALL.CSV", layer_id="kinu-L2_depth")
    assert not record.failed
    assert any(encoding in note for note in record.notes)
    found = exposure(city, "kinu-L2")
    assert found["depth_max_m"][0] == pytest.approx(1.5)
    assert found["depth_max_m"][1] is None
    assert described(city, "kinu-L2_depth")["unit"] == "m"


def test_a_time_needs_its_unit(city: Workspace, tmp_path: Path) -> None:
    here = mesh_of(139.8801, 36.5501, "3", 40, 2)
    path = tmp_path / "t.csv"
    path.write_text(f"メッシュコード,浸水継続時間\n{here},90\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="unit"):
        bring(city, path, layer_id="k-L2_duration")
    path.write_text(f"メッシュコード,浸水継続時間（分）\n{here},90\n", encoding="utf-8")
    bring(city, path, layer_id="k-L2_duration")
    assert np.nanmax(read(city, "k-L2_duration")) == pytest.approx(1.5)


@pytest.mark.skipif(not KUMAMOTO.is_file(), reason="../shared/data has no Kumamoto high-tide mesh")
def test_the_real_mesh_shapefile_of_kumamoto(tmp_path: Path) -> None:
    city = small_city.make(tmp_path / "city")
    record = bring(city, KUMAMOTO, layer_id="kumamoto-high-tide_depth")
    assert not record.failed
    import pyogrio

    table = pyogrio.read_dataframe(KUMAMOTO, encoding="cp932")
    values = read(city, "kumamoto-high-tide_depth")
    assert np.nanmax(values) == pytest.approx(table["浸水深"].max(), abs=1e-3)
    assert np.isfinite(values).sum() > 0.9 * len(table)


# --- NetCDF


def netcdf(path: Path, *, units: str = "m", flip: bool = False, crs_code: int | None = EPSG, name: str = "max_depth",
           y_units: str = "m", x_units: str = "m", uneven: bool = False) -> Path:  # fmt: skip
    with netCDF4.Dataset(str(path), "w") as data:
        for dim, size in (("time", 2), ("y", 40), ("x", 60)):
            data.createDimension(dim, size)
        y = data.createVariable("y", "f8", ("y",))
        x = data.createVariable("x", "f8", ("x",))
        rows = Y0 + 60 - 5 * (np.arange(40) + 0.5)
        y[:], x[:] = rows[::-1] if flip else rows, X0 - 20 + 5 * (np.arange(60) + 0.5)
        if uneven:
            x[3] = x[3] + 2
        y.units, x.units = y_units, x_units
        v = data.createVariable(name, "f4", ("time", "y", "x"), fill_value=-999.0)
        v[0], v[1] = 0.1, np.ma.masked_less(np.tile(np.arange(60.0), (40, 1)), 3)
        v.units = units
        if crs_code is not None:
            data.createVariable("crs", "i4").epsg_code = f"EPSG:{crs_code}"
            v.grid_mapping = "crs"
    return path


@pytest.mark.parametrize("flip", [False, True])
def test_netcdf_gives_the_largest_depth_over_time(
    city: Workspace, tmp_path: Path, flip: bool
) -> None:
    bring(city, netcdf(tmp_path / "a.nc", flip=flip), layer_id="a-L2_depth")
    values = read(city, "a-L2_depth")
    assert values[0, :5].tolist() == pytest.approx([0.1, 0.1, 0.1, 3.0, 4.0])
    assert exposure(city, "a-L2")["depth_max_m"][0] == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"units": ""}, "hazard_unit"), ({"units": "kg"}, "hazard_unit"), ({"crs_code": None}, "raster_no_crs"),
        ({"name": "elevation"}, "netcdf_variable"), ({"uneven": True}, "netcdf_uneven"),
        ({"crs_code": None, "y_units": "degrees_east", "x_units": "degrees_north"}, "vector_swapped"),
    ],
)  # fmt: skip
def test_netcdf_that_says_too_little_is_refused(
    city: Workspace, tmp_path: Path, options: dict[str, Any], key: str
) -> None:
    with pytest.raises(BadInputError):
        bring(city, netcdf(tmp_path / "a.nc", **options), layer_id="a-L2_depth")
    assert key in failures(city)


def failures(city: Workspace) -> str:
    return max((city.root / "imports").glob("*.json")).read_text(encoding="utf-8")


# --- official tiles


def tiles(folder: Path, colour: tuple[int, int, int, int]) -> Path:
    zoom = 17
    n = 2**zoom
    lon, lat = 139.8801, 36.5501
    x = int((lon + 180) / 360 * n)
    y = int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * n)
    for dx in (0, 1):
        path = folder / str(zoom) / str(x + dx) / f"{y}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
        if dx == 0:
            picture.paste(colour, (0, 0, 256, 256))
        picture.save(path)
    return folder


@pytest.mark.parametrize(("legend", "end"), [("depth", 3.0), ("depth_detailed", 3.0)])
def test_tiles_are_read_by_the_legend_that_is_named(
    city: Workspace, tmp_path: Path, legend: str, end: float
) -> None:
    folder = tiles(tmp_path / "01_flood_l2", (255, 216, 192, 255))
    bring(city, folder, layer_id="tiles-L2_rank", legend=legend)
    entries = {c["value"]: c for c in described(city, "tiles-L2_rank")["legend"]}
    code = {"depth": "2", "depth_detailed": "4"}[legend]
    assert entries[code]["colour"] == [255, 216, 192]
    assert entries[code]["min_m"] == {"depth": 0.5, "depth_detailed": 1.0}[legend]
    found = exposure(city, "tiles-L2")
    assert end - 0.1 < found["depth_max_m"][0] < end


def test_a_colour_means_another_depth_in_the_other_legend(city: Workspace, tmp_path: Path) -> None:
    folder = tiles(tmp_path / "a", (247, 245, 169, 255))
    bring(city, folder, layer_id="standard_rank", legend="depth")
    bring(city, folder, layer_id="detailed_rank", legend="depth_detailed")
    low = {
        name: next(c["min_m"] for c in described(city, f"{name}_rank")["legend"] if c["colour"] == [247, 245, 169])
        for name in ("standard", "detailed")
    }  # fmt: skip
    assert low == {"standard": 0.0, "detailed": 0.3}


def test_tiles_without_a_legend_are_refused_and_unknown_colours_counted(
    city: Workspace, tmp_path: Path
) -> None:
    folder = tiles(tmp_path / "a", (1, 2, 3, 255))
    with pytest.raises(BadInputError):
        bring(city, folder, layer_id="a_rank")
    assert "tiles_legend" in failures(city)
    with pytest.raises(BadInputError):  # no colour at all is known
        bring(city, folder, layer_id="a_rank", legend="depth")
    bring(city, folder, layer_id="a_collapse_flow", legend="zone")
    assert exposure(city, "a")["collapse_flow"][0] is True


@pytest.mark.parametrize(
    ("folder", "legend", "hazard"),
    [("04_tsunami_newlegend_data", "depth", "tsunami"), ("03_hightide_l2_shinsuishin_data", "depth", "high_tide"),
     ("01_flood_l2_shinsuishin_data", "depth", "river_flood"), ("05_dosekiryukeikaikuiki", "zone", "landslide")],
)  # fmt: skip
def test_tiles_are_of_the_hazard_that_their_folder_names(
    city: Workspace, tmp_path: Path, folder: str, legend: str, hazard: str
) -> None:
    bring(city, tiles(tmp_path / folder, (255, 216, 192, 255)), layer_id="own", legend=legend)
    assert described(city, "own")["hazard"] == hazard
    found = exposure(city, "own")
    if hazard == "landslide":  # of which kind of zone, its colour was not asked
        assert found["zones"][0] == ["zone_unknown"] and found["verdict"][0] == "leave"


# --- rasters that are wrong


def test_feet_are_converted_and_reported(city: Workspace, tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", np.full((40, 60), 10.0))
    with rasterio.open(path, "r+") as out:
        out.update_tags(unit="feet")
    record = bring(city, path, layer_id="a-L2_depth")
    assert np.nanmax(read(city, "a-L2_depth")) == pytest.approx(3.048)
    assert any("feet" in note for note in record.notes)
    with rasterio.open(path, "r+") as out:
        out.update_tags(unit="")
        out.units = ("ft",)
    bring(city, path, layer_id="b-L2_depth")
    assert np.nanmax(read(city, "b-L2_depth")) == pytest.approx(3.048)
    with rasterio.open(path, "r+") as out:
        out.units = ("furlong",)
    with pytest.raises(BadInputError):
        bring(city, path, layer_id="c-L2_depth")
    assert "hazard_unit" in failures(city)


def test_upside_down_is_turned_and_says_the_same(city: Workspace, tmp_path: Path) -> None:
    values = np.arange(40 * 60, dtype=float).reshape(40, 60) / 100
    bring(city, raster(tmp_path / "a.tif", values), layer_id="a-L2_depth")
    south = Y0 + 60 - 5 * 40
    flipped = raster(tmp_path / "b.tif", values[::-1], transform=Affine(5, 0, X0 - 20, 0, 5, south))
    record = bring(city, flipped, layer_id="b-L2_depth")
    assert any("upside_down" in note for note in record.notes)
    np.testing.assert_array_equal(read(city, "a-L2_depth"), read(city, "b-L2_depth"))


def test_another_zone_or_degrees_keep_the_depth_at_the_place(
    city: Workspace, tmp_path: Path
) -> None:
    lon_lat = raster(
        tmp_path / "a.tif", np.full((50, 50), 2.5), crs="EPSG:6668", transform=from_origin(139.879, 36.552, 1e-4, 1e-4)
    )  # fmt: skip
    bring(city, lon_lat, layer_id="a-L2_depth")
    assert exposure(city, "a-L2")["depth_max_m"][0] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"crs": None}, "dem_no_crs"),
        ({"crs": "EPSG:4326", "transform": from_origin(36.54, 139.9, 1e-4, 1e-4)}, "vector_swapped"),
        ({"crs": "EPSG:4326", "transform": from_origin(2.3, 48.9, 1e-4, 1e-4)}, "vector_outside"),
    ],
)  # fmt: skip
def test_a_raster_that_cannot_be_placed_is_refused_and_harms_no_other(
    city: Workspace, tmp_path: Path, more: dict[str, Any], key: str
) -> None:
    good = raster(tmp_path / "good_depth.tif", np.full((40, 60), 1.0))
    bad = raster(tmp_path / "bad_depth.tif", np.full((40, 60), 1.0), **more)
    record = bring(city, good, bad)
    assert [f["error"] for f in record.failed] == [key]
    assert "hazard-good_depth" in record.counts
    assert not (city.hazards / "bad_depth.tif").exists()
    assert exposure(city, "good")["depth_max_m"][0] == pytest.approx(1.0)


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.02])
def test_a_truncated_raster_is_refused(city: Workspace, tmp_path: Path, keep: float) -> None:
    values = np.random.default_rng(1).random((400, 600))
    path = raster(
        tmp_path / "a.tif", values, compress="DEFLATE", tiled=True, blockxsize=64, blockysize=64
    )
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(BadInputError):
        bring(city, path, layer_id="a-L2_depth")
    assert not list(city.hazards.glob("a-*"))


def test_negative_depths_are_unknown_not_dry(city: Workspace, tmp_path: Path) -> None:
    record = bring(city, raster(tmp_path / "a.tif", np.full((40, 60), -1.0)), layer_id="a-L2_depth")
    assert any("negative" in note for note in record.notes)
    assert np.isnan(read(city, "a-L2_depth")).all()


def test_arrival_is_the_earliest_below_the_footprint(city: Workspace, tmp_path: Path) -> None:
    hours = np.tile(np.arange(60.0), (40, 1))
    bring(city, raster(tmp_path / "d.tif", np.full((40, 60), 1.0)), layer_id="a-L2_depth")
    bring(city, raster(tmp_path / "t.tif", hours), layer_id="a-L2_arrival")
    assert (
        exposure(city, "a-L2")["arrival_h"][0] == 3.0
    )  # the footprint leans over the edge of a cell
