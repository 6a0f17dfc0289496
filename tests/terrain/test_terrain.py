"""Terrain: three ways in, one raster out, and what is missing stays missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from citymap import crs
from citymap.errors import BadInputError
from citymap.model.grid import Grid
from citymap.terrain import raster, sample
from citymap.terrain.build import estimate_from_buildings, import_dem
from citymap.terrain.geotiff import read_geotiff_dem
from citymap.terrain.gsi import read_fg_gml
from citymap.terrain.tin import nominal_cell_m, read_tin
from citymap.workspace import Workspace
from tests.plateau.citygml import END, ROOT

EPSG = 6677
WEST, SOUTH, STEP = 139.88, 36.55, 0.001


def plane(lon: float, lat: float) -> float:
    return 100.0 + (lon - WEST) * 5000 + (lat - SOUTH) * 2000


def tin_file(path: Path, *, columns: tuple[int, int] = (0, 4), swap: bool = False) -> Path:
    """A TIN of the plane over some columns of a 4 x 4 lattice."""
    rings = []
    for i in range(*columns):
        for j in range(4):
            square = [
                (WEST + STEP * (i + a), SOUTH + STEP * (j + b))
                for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))
            ]
            for corners in ((0, 1, 2, 0), (0, 2, 3, 0)):
                points = [square[c] for c in corners]
                text = " ".join(
                    f"{x if swap else y} {y if swap else x} {plane(x, y)!r}" for x, y in points
                )
                rings.append(
                    "<gml:Triangle><gml:exterior><gml:LinearRing><gml:posList>"
                    f"{text}</gml:posList></gml:LinearRing></gml:exterior></gml:Triangle>"
                )
    body = "\n".join(rings)
    path.write_text(
        ROOT.replace(
            "<core:CityModel ",
            '<core:CityModel xmlns:dem="http://www.opengis.net/citygml/relief/2.0" ',
        )
        + '<core:cityObjectMember><dem:ReliefFeature gml:id="d"><dem:reliefComponent><dem:TINRelief>'
        f"<dem:tin><gml:TriangulatedSurface><gml:trianglePatches>{body}</gml:trianglePatches>"
        "</gml:TriangulatedSurface></dem:tin></dem:TINRelief></dem:reliefComponent></dem:ReliefFeature>"
        "</core:cityObjectMember>" + END,
        encoding="utf-8",
    )
    return path


def fg_gml(
    path: Path, west: float, heights: list[list[float | None]], start: tuple[int, int] = (0, 0)
) -> Path:
    """An FG-GML mesh of cells of STEP/2 whose south-west corner is (west, SOUTH)."""
    rows, columns = len(heights), len(heights[0])
    lines = [
        "データなし,-9999." if h is None else f"地表面,{h:.2f}" for row in heights for h in row
    ][start[1] * columns + start[0] :]  # fmt: skip
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Dataset xmlns="http://fgd.gsi.go.jp/spec/2008/FGD_GMLSchema" xmlns:gml="http://www.opengis.net/gml/3.2">'
        '<DEM><coverage><gml:boundedBy><gml:Envelope srsName="fguuid:jgd2011.bl">'
        f"<gml:lowerCorner>{SOUTH} {west}</gml:lowerCorner>"
        f"<gml:upperCorner>{SOUTH + rows * STEP / 2} {west + columns * STEP / 2}</gml:upperCorner>"
        "</gml:Envelope></gml:boundedBy><gml:gridDomain><gml:Grid><gml:limits><gml:GridEnvelope>"
        f"<gml:low>0 0</gml:low><gml:high>{columns - 1} {rows - 1}</gml:high></gml:GridEnvelope></gml:limits>"
        "</gml:Grid></gml:gridDomain><gml:rangeSet><gml:DataBlock><gml:tupleList>\n"
        + "\n".join(lines)
        + "\n</gml:tupleList></gml:DataBlock></gml:rangeSet><gml:coverageFunction><gml:GridFunction>"
        f"<gml:startPoint>{start[0]} {start[1]}</gml:startPoint></gml:GridFunction></gml:coverageFunction>"
        "</coverage></DEM></Dataset>\n",
        encoding="utf-8",
    )
    return path


def test_tin_becomes_a_cog_of_the_same_plane(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    report = import_dem(workspace, [tin_file(tmp_path / "543967_dem_6697_05_op.gml")], epsg=EPSG)
    assert (report.triangles, report.dropped_triangles, report.cell_m) == (32, 0, 5.0)
    lon, lat = np.meshgrid(
        WEST + STEP * np.linspace(0.2, 3.8, 9), SOUTH + STEP * np.linspace(0.2, 3.8, 9)
    )
    expected = np.vectorize(plane)(lon, lat)
    assert np.abs(sample(workspace.terrain, lon, lat) - expected).max() < 0.02
    assert np.isnan(sample(workspace.terrain, [WEST - 0.01], [SOUTH])).all()
    with rasterio.open(workspace.terrain) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (file.crs.to_epsg(), file.dtypes[0], np.isnan(file.nodata)) == (
            EPSG,
            "float32",
            True,
        )
        tags = file.tags()
    assert (tags["VERTICAL_DATUM"], tags["ESTIMATED"]) == ("T.P.", "no")
    assert "543967_dem_6697_05_op.gml" in tags["SOURCE"]


def test_neighbouring_meshes_join_without_a_seam(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    halves = [
        tin_file(tmp_path / f"{n}_dem_6697_op.gml", columns=c)
        for n, c in (("a", (0, 2)), ("b", (2, 4)))
    ]
    import_dem(workspace, halves[:1], epsg=EPSG)
    import_dem(workspace, halves[1:], epsg=EPSG)  # a later import adds, it does not replace
    lon = WEST + STEP * np.linspace(0.2, 3.8, 200)
    lat = np.full(200, SOUTH + 2 * STEP)
    found = sample(workspace.terrain, lon, lat)
    assert np.isfinite(found).all()
    assert np.abs(found - [plane(x, y) for x, y in zip(lon, lat, strict=True)]).max() < 0.02


def test_swapped_axes_and_files_without_triangles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as e:
        read_tin(tin_file(tmp_path / "a_dem_.gml", swap=True))
    assert e.value.key == "axes_swapped"
    (tmp_path / "b_dem_.gml").write_text(ROOT + END, encoding="utf-8")
    with pytest.raises(BadInputError) as e:
        read_tin(tmp_path / "b_dem_.gml")
    assert e.value.key == "dem_no_positions"


@pytest.mark.parametrize(
    ("name", "cell"), [("523965_dem_6697_05_op.gml", 5.0), ("533925_dem_6697_op.gml", None)]
)
def test_cell_size_in_the_file_name(name: str, cell: float | None) -> None:
    assert nominal_cell_m(name) == cell


def test_fg_gml_with_missing_cells_and_a_late_start(tmp_path: Path) -> None:
    heights: list[list[float | None]] = [[1.0, 2.0, 3.0], [4.0, None, 6.0]]
    grid = read_fg_gml(fg_gml(tmp_path / "a.xml", WEST, heights, start=(1, 0)))
    assert grid.values.tolist() == [
        [pytest.approx(np.nan, nan_ok=True), 2, 3],
        [4, pytest.approx(np.nan, nan_ok=True), 6],
    ]
    assert grid.bounds == pytest.approx((WEST, SOUTH, WEST + 3 * STEP / 2, SOUTH + STEP))
    assert (grid.epsg, grid.vertical_datum) == (6668, "T.P.")


def test_fg_gml_meshes_join_before_resampling(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    half = STEP / 2
    files = []
    for m in range(2):
        west = WEST + m * 6 * half
        heights: list[list[float | None]] = [
            [plane(west + (i + 0.5) * half, SOUTH + (5.5 - j) * half) for i in range(6)]
            for j in range(6)
        ]
        files.append(fg_gml(tmp_path / f"FG-GML-{m}.xml", west, heights))
    import_dem(workspace, files, epsg=EPSG, cell_m=5)
    lon = np.linspace(WEST + half, WEST + 11 * half, 100)
    found = sample(workspace.terrain, lon, np.full(100, SOUTH + 3 * half))
    assert np.abs(found - [plane(x, SOUTH + 3 * half) for x in lon]).max() < 0.05


def test_sea_and_bad_values_in_fg_gml(tmp_path: Path) -> None:
    path = fg_gml(tmp_path / "a.xml", WEST, [[1.0, 2.0]])
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("地表面,2.00", "海水面,0.00"), encoding="utf-8")
    assert np.isnan(read_fg_gml(path).values[0, 1])
    path.write_text(text.replace("地表面,2.00", "地表面,two"), encoding="utf-8")
    with pytest.raises(BadInputError) as e:
        read_fg_gml(path)
    assert e.value.key == "dem_bad_numbers" and e.value.place == "a.xml:4"
    path.write_text(text.replace("地表面,2.00", "地表面,2.00\n地表面,3.00"), encoding="utf-8")
    with pytest.raises(BadInputError):
        read_fg_gml(path)


def _geotiff(path: Path, *, epsg: int | None = EPSG, **tags: str) -> Path:
    x, y = crs.project(WEST, SOUTH, EPSG)
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=1, dtype="float32", nodata=-9999,
        crs=f"EPSG:{epsg}" if epsg else None, transform=from_origin(float(x), float(y), 10, 10),
    ) as out:  # fmt: skip
        values = np.full((8, 8), 12.5, dtype=np.float32)
        values[0, 0] = -9999
        out.write(values, 1)
        out.update_tags(**tags)
    return path


def test_geotiff_needs_crs_and_vertical_datum(tmp_path: Path) -> None:
    path = _geotiff(tmp_path / "a.tif")
    with pytest.raises(BadInputError) as e:
        read_geotiff_dem(path)
    assert e.value.key == "dem_no_vertical_datum"
    grid = read_geotiff_dem(path, vertical_datum="T.P.")
    assert np.isnan(grid.values[0, 0]) and grid.values[1, 1] == 12.5
    assert read_geotiff_dem(_geotiff(tmp_path / "b.tif", VERTICAL_DATUM="T.P.")).epsg == EPSG
    with pytest.raises(BadInputError) as e:
        read_geotiff_dem(_geotiff(tmp_path / "c.tif", VERTICAL_DATUM="ellipsoid"))
    assert e.value.key == "dem_other_vertical_datum"
    with pytest.raises(BadInputError) as e:
        read_geotiff_dem(_geotiff(tmp_path / "d.tif", epsg=None), vertical_datum="T.P.")
    assert e.value.key == "dem_no_crs"


def test_a_vrt_named_tif_is_refused(tmp_path: Path) -> None:
    real = _geotiff(tmp_path / "real.tif")
    (tmp_path / "evil.tif").write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:6677</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
        f'<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename>{real}</SourceFilename>'
        "</SimpleSource></VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    with pytest.raises(BadInputError) as e:
        read_geotiff_dem(tmp_path / "evil.tif", vertical_datum="T.P.")
    assert e.value.key == "dem_not_geotiff"


def test_bad_files_are_listed_and_the_others_used(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    good = tin_file(tmp_path / "a_dem_.gml")
    (tmp_path / "b_dem_.gml").write_text(
        "version https://git-lfs.github.com/spec/v1", encoding="utf-8"
    )
    report = import_dem(workspace, [good, tmp_path / "b_dem_.gml"], epsg=EPSG)
    assert [f["error"] for f in report.failed] == ["file_lfs"] and report.files == 1
    with pytest.raises(BadInputError):
        import_dem(workspace, [tmp_path / "b_dem_.gml"], epsg=EPSG)
    assert workspace.terrain.is_file()


def test_terrain_estimated_from_buildings_says_so_and_ignores_sunken_ones(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    random = np.random.default_rng(1)
    lon, lat = WEST + 0.01 * random.random(400), SOUTH + 0.01 * random.random(400)
    ground = np.array([plane(x, y) for x, y in zip(lon, lat, strict=True)])
    ground[::40] -= 80
    ground[5] = np.nan
    report = estimate_from_buildings(workspace, lon, lat, ground, epsg=EPSG)
    assert report is not None and report.estimated and report.dropped_triangles == 10
    inside = sample(workspace.terrain, WEST + 0.005, SOUTH + 0.005)
    assert float(inside) == pytest.approx(plane(WEST + 0.005, SOUTH + 0.005), abs=0.3)
    assert np.isnan(sample(workspace.terrain, WEST + 0.02, SOUTH))
    assert raster.read(workspace.terrain)[1]["ESTIMATED"] == "yes"
    import_dem(
        workspace, [tin_file(tmp_path / "a_dem_.gml")], epsg=EPSG
    )  # measured replaces estimated
    assert np.isnan(sample(workspace.terrain, WEST + 0.008, SOUTH + 0.008))


def test_no_terrain_from_files_whose_heights_are_all_zero(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    lon = WEST + np.linspace(0, 0.01, 50)
    assert estimate_from_buildings(workspace, lon, lon - 103.3, np.zeros(50), epsg=EPSG) is None
    assert not workspace.terrain.exists()


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.4, 3.4), st.floats(-0.4, 3.4), st.integers(0, 15))
def test_a_sample_lies_within_its_neighbours(row: float, column: float, hole: int) -> None:
    from citymap.terrain import _kernels

    values = np.arange(16, dtype=np.float32).reshape(4, 4) % 7
    values[hole // 4, hole % 4] = np.nan
    out = np.empty(1)
    _kernels.bilinear(values, np.array([row]), np.array([column]), out)
    assert np.isnan(out[0]) or 0 <= out[0] <= 6
    if (int(np.floor(row + 0.5)), int(np.floor(column + 0.5))) == (hole // 4, hole % 4):
        assert np.isnan(out[0])  # where the ground is not known no neighbour answers for it


def test_a_grid_must_be_north_up_and_is_read_only() -> None:
    grid = Grid(
        np.zeros((2, 2), np.float32),
        (1, 0, 0, 0, -1, 2),
        EPSG,
        "T.P.",
        "elevation",
        "m",
        float("nan"),
    )
    with pytest.raises(ValueError, match="read-only"):
        grid.values[0, 0] = 1
    with pytest.raises(ValueError, match="north up"):
        Grid(
            np.zeros((2, 2), np.float32),
            (1, 0, 0, 0, 1, 2),
            EPSG,
            "T.P.",
            "elevation",
            "m",
            float("nan"),
        )


def test_real_dem_files(real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "plateau_citygml").rglob("*_dem_*.gml"))
    assert len(files) == 2
    for path in files:
        tin = read_tin(path)
        assert len(tin.triangles) + tin.dropped == path.read_bytes().count(b"<gml:Triangle>")
        assert tin.dropped == 0
    workspace = Workspace(tmp_path / "city")
    report = import_dem(workspace, [p for p in files if "523965" in p.name], epsg=EPSG)
    tin = read_tin(next(p for p in files if "523965" in p.name))
    centre = tin.triangles.mean(axis=1)
    error = np.abs(sample(workspace.terrain, centre[:, 0], centre[:, 1]) - centre[:, 2])
    assert report.failed == () and np.nanmedian(error) < 0.5
