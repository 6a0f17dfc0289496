"""The exposure of points and polygons that are no buildings: what shelters are audited with."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from tests import small_city
from tests.assess.test_exposure import X0, Y0, bring, lon_lat, raster

from citymap.assess.at_places import EXPOSURE_OF, exposure_of
from citymap.assess.look_up import look_up
from citymap.hazard.sets import HazardLayer, HazardSet
from citymap.workspace import Workspace

HERE = shapely.Point(small_city.WEST + 0.0001, small_city.SOUTH + 0.0001)  # in building 0
STREET = shapely.Point(small_city.WEST + 0.0005, small_city.SOUTH + 0.0001)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


def test_points_and_polygons_are_asked_of_every_set(city: Workspace, tmp_path: Path) -> None:
    depth = np.full((40, 260), np.nan)
    depth[:, :4] = 2.0
    bring(city, raster(tmp_path / "d.tif", depth), "kinu-L2_depth")
    far = lon_lat([shapely.Point(X0 + 9000, Y0)])[0]
    shapes = [HERE, HERE.buffer(0.0004), far]
    found = exposure_of(shapes, city).to_pandas()
    assert list(found.columns) == EXPOSURE_OF.names
    kinu = found[found["set"] == "kinu-L2"].set_index("shape")
    assert kinu["inside"].tolist() == [False, True, None]
    assert kinu["surveyed"].tolist() == [True, False, False]  # the polygon leaves the grid
    assert kinu.loc[1, "depth_max_m"] == 2.0
    assert np.isnan(kinu.loc[0, "depth_max_m"])


def test_attributes_of_the_building_below_speak_where_there_is_no_file(city: Workspace) -> None:
    found = exposure_of([HERE, STREET], city, hazard="river_flood").to_pandas()
    one = found[found["name"] == small_city.RIVER].set_index("shape")
    assert one.loc[0, "depth_max_m"] == pytest.approx(0.4)
    assert bool(one.loc[0, "inside"])
    assert one.loc[1, "inside"] is None  # in the street nobody surveyed: never dry
    assert not one.loc[1, "surveyed"]
    small = found[found["name"] == "小川"].set_index("shape")
    assert bool(small.loc[0, "inside"])


def test_areas_that_reach_none_of_the_shapes_give_no_depth_and_no_error(
    tmp_path: Path,
) -> None:
    path = tmp_path / "areas.parquet"
    area = shapely.box(
        small_city.WEST, small_city.SOUTH, small_city.WEST + 0.01, small_city.SOUTH + 0.01
    )
    table = geopandas.GeoDataFrame({"class_code": ["3"]}, geometry=[area], crs=6668)
    table.to_parquet(path)
    layer = HazardLayer("areas", path, "rank", {}, {"hazard": "river_flood"})
    away = np.array([shapely.Point(small_city.WEST - 1, small_city.SOUTH)], object)
    found = look_up(HazardSet("s", "river_flood", "", "", (layer,)), away)
    assert np.isnan(found.depth_max_m).all()
    assert np.isnan(found.depth_mean_m).all()


def test_no_hazard_of_that_kind_gives_an_empty_table(city: Workspace) -> None:
    assert exposure_of([HERE], city, hazard="tsunami").num_rows == 0
    assert exposure_of([], city).num_rows == 0
