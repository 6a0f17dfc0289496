"""Exposure of a small city: against shapely's own areas, over sets, and with parts missing."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from tests import small_city

from citymap import crs
from citymap.assess.exposure import compute, look_up
from citymap.assess.zonal import on_grid
from citymap.errors import BadInputError
from citymap.hazard.sets import HazardLayer, HazardSet, hazard_sets
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.workspace import Workspace

EPSG = 6677
X0, Y0 = (float(v) for v in crs.project(small_city.WEST, small_city.SOUTH, EPSG))


def raster(
    path: Path,
    values: np.ndarray,
    cell_m: float = 5.0,
    west: float = X0 - 20,
    north: float = Y0 + 60,
) -> Path:
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype="float32", crs=f"EPSG:{EPSG}",
        transform=from_origin(west, north, cell_m, cell_m), nodata=np.nan,
    ) as out:  # fmt: skip
        out.write(values.astype(np.float32), 1)
    return path


def lon_lat(shapes: list[shapely.Geometry]) -> np.ndarray:
    return shapely.transform(
        np.array(shapes, object), lambda c: np.column_stack(crs.unproject(c[:, 0], c[:, 1], EPSG))
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), min_size=3, max_size=8),
    st.floats(0.7, 9), st.integers(0, 10_000),
)  # fmt: skip
def test_maximum_and_mean_are_those_of_exact_overlaps(
    tmp_path_factory: pytest.TempPathFactory,
    points: list[tuple[float, float]],
    cell_m: float,
    seed: int,
) -> None:
    hull = shapely.convex_hull(shapely.multipoints(points))
    if hull.geom_type != "Polygon" or hull.area < 1:
        return
    inner = shapely.affinity.scale(hull, 0.4, 0.4) if hull.area > 50 else None
    shape = hull.difference(inner) if inner is not None else hull  # a courtyard
    values = np.random.default_rng(seed).random((14, 14)) * 5
    values[values < 1] = np.nan
    path = raster(tmp_path_factory.mktemp("z") / "g.tif", values, cell_m, -40, 40)
    found = on_grid(path, lon_lat([shape]))
    shares, kept = [], []
    for r in range(14):
        for c in range(14):
            cell = shapely.box(
                -40 + c * cell_m, 40 - (r + 1) * cell_m, -40 + (c + 1) * cell_m, 40 - r * cell_m
            )
            share = shape.intersection(cell).area
            if share > 1e-6 * cell_m**2 and not np.isnan(values[r, c]):
                shares.append(share)
                kept.append(np.float32(values[r, c]))
    if not shares or min(shares) < 1e-4 * cell_m**2:
        return
    assert found.peak[0] == pytest.approx(max(kept))
    assert found.mean[0] == pytest.approx(np.average(kept, weights=shares), rel=1e-5)
    assert found.known_share[0] == pytest.approx(sum(shares) / shape.area, rel=1e-5)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


def bring(city: Workspace, path: Path, layer_id: str) -> None:
    options = ImportOptions(kind="hazard", layer_id=layer_id)
    import_sources([path], city, options=options, progress=Quiet())


def verdicts(city: Workspace, name: str) -> list[str]:
    return pq.read_table(city.root / "exposure" / f"{name}.parquet")["verdict"].to_pylist()


def test_outside_one_river_never_hides_leave_for_another(city: Workspace, tmp_path: Path) -> None:
    wide = np.zeros((40, 260))
    deep = wide.copy()
    deep[:, :20] = 8.0  # over the first building only
    bring(city, raster(tmp_path / "a.tif", deep), "a-L2_depth")
    bring(city, raster(tmp_path / "b.tif", wide), "b-L2_depth")
    compute(city, progress=Quiet())
    assert verdicts(city, "a-L2")[0] == "leave"
    assert verdicts(city, "b-L2")[0] == "outside_assumed_area"
    combined = pq.read_table(city.root / "exposure" / "combined.parquet")
    assert combined["verdict"][0].as_py() == "leave"
    assert combined["depth_max_m"][0].as_py() == pytest.approx(8.0)
    assert (
        combined["building_id"].to_pylist()
        == pq.read_table(city.buildings)["building_id"].to_pylist()
    )


def test_beyond_the_grid_nothing_is_said_to_be_dry(city: Workspace, tmp_path: Path) -> None:
    bring(city, raster(tmp_path / "a.tif", np.zeros((40, 40))), "a-L2_depth")
    compute(city, progress=Quiet())
    found = verdicts(city, "a-L2")
    assert found[0] == "outside_assumed_area"
    assert found[-1] == "unknown"
    assert pq.read_table(city.root / "exposure/a-L2.parquet")["reasons"][-1].as_py() == [
        "depth_unsurveyed"
    ]


def test_a_set_needs_duration_and_both_collapse_zones_to_let_anyone_stay(
    city: Workspace, tmp_path: Path
) -> None:
    bring(city, raster(tmp_path / "d.tif", np.full((40, 260), 0.4)), "a-L2_depth")
    compute(city, progress=Quiet())
    assert set(verdicts(city, "a-L2")) == {"unknown"}
    bring(city, raster(tmp_path / "h.tif", np.full((40, 260), 12.0)), "a-L2_duration")
    far = geopandas.GeoDataFrame(geometry=[shapely.box(139.7, 36.5, 139.71, 36.51)], crs=4326)
    here = geopandas.GeoDataFrame(
        geometry=[shapely.box(139.8799, 36.5499, 139.8803, 36.5503)], crs=4326
    )
    for name, table in (("flow", far), ("erosion", here)):
        table.to_file(tmp_path / f"{name}.geojson")
        bring(city, tmp_path / f"{name}.geojson", f"a-L2_collapse_{name}")
    compute(city, progress=Quiet())
    found = verdicts(city, "a-L2")
    assert found[0] == "leave"
    assert set(found[1:]) == {"stay_upstairs"}
    table = pq.read_table(city.root / "exposure" / "a-L2.parquet")
    assert table["collapse_erosion"].to_pylist()[:2] == [True, False]
    assert table["reasons"][0].as_py()[0] == "collapse_erosion"


def test_classes_of_areas_and_the_model_are_read_and_disagreements_listed(
    city: Workspace, tmp_path: Path
) -> None:
    areas = geopandas.GeoDataFrame(
        {"class_code": ["3"], "river": [small_city.RIVER], "scale": ["L2"]},
        geometry=[shapely.box(139.8799, 36.5499, 139.8803, 36.5503)], crs=4326,
    )  # fmt: skip
    areas.to_file(tmp_path / "k.gpkg")
    bring(city, tmp_path / "k.gpkg", "midori_rank")
    compute(city, progress=Quiet())
    table = pq.read_table(city.root / "exposure" / "midori.parquet")
    assert table["depth_max_m"][0].as_py() == pytest.approx(5.0)  # 3–5 m: just below its end
    assert table["depth_max_m"][0].as_py() < 5.0
    listed = (city.root / "exposure" / "midori.disagreements.csv").read_text(encoding="utf-8")
    assert "attribute" in listed  # the model says 0.4 m there
    assert "risk-river_flood-小川-L1" in {
        p.stem for p in (city.root / "exposure").glob("*.parquet")
    }


def test_one_hazard_can_be_done_again_alone(city: Workspace, tmp_path: Path) -> None:
    bring(city, raster(tmp_path / "a.tif", np.zeros((40, 260))), "a-L2_depth")
    bring(city, raster(tmp_path / "b.tif", np.zeros((40, 260))), "b-L2_depth")
    compute(city, progress=Quiet())
    bring(city, raster(tmp_path / "b.tif", np.full((40, 260), 8.0)), "b-L2_depth")
    counts = compute(city, only="b-L2_depth", progress=Quiet())
    assert set(counts) == {"b-L2", "combined"}
    assert counts["combined"]["leave"] > 0
    with pytest.raises(BadInputError, match="c-L2"):
        compute(city, only="c-L2", progress=Quiet())


def test_a_smaller_flood_borrows_what_is_known_of_the_larger(city: Workspace) -> None:
    city.hazards.mkdir()
    for name, scale, quantity in (
        ("k-L1_depth", "L1", "depth"),
        ("k-L2_duration", "L2", "duration"),
    ):
        (city.hazards / f"{name}.parquet").touch()
        (city.hazards / f"{name}.toml").write_text(
            f'quantity = "{quantity}"\nname = "鬼怒川"\nhazard = "river_flood"\nscale = "{scale}"\n',
            encoding="utf-8",
        )
    small, large = hazard_sets(city)
    assert [s.id for s in (small, large)] == ["k-L1", "k-L2"]
    assert [x.id for x in small.of("duration")] == ["k-L2_duration"]


def test_points_are_asked_like_buildings(tmp_path: Path) -> None:
    """Shelters: the same question for any shapes."""
    values = np.full((10, 10), np.nan)
    values[:5] = 1.5
    path = raster(tmp_path / "d.tif", values, 10, X0, Y0)
    layer = HazardLayer("d", path, "depth", {}, {})
    shapes = lon_lat(
        [
            shapely.Point(X0 + 50, Y0 - 20),
            shapely.Point(X0 + 50, Y0 - 80),
            shapely.Point(X0 + 500, Y0),
        ]
    )
    found = look_up(HazardSet("s", "river_flood", "", "", (layer,)), shapes)
    assert found.depth_max_m[0] == pytest.approx(1.5)
    assert np.isnan(found.depth_max_m[1:]).all()
    assert found.surveyed.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("name", "key"), [("nothing", "hazard_quantity"), ("x_depth", "hazard_no_class")]
)
def test_areas_that_say_too_little_are_refused(
    city: Workspace, tmp_path: Path, name: str, key: str
) -> None:
    table = geopandas.GeoDataFrame(
        {"a": [1]}, geometry=[shapely.box(139.88, 36.55, 139.881, 36.551)], crs=4326
    )
    table.to_file(tmp_path / "x.geojson")
    with pytest.raises(BadInputError):
        bring(city, tmp_path / "x.geojson", name)
    record = max((city.root / "imports").glob("*.json")).read_text(encoding="utf-8")
    assert key in record
    assert not list(city.hazards.glob("*")) if city.hazards.exists() else True
