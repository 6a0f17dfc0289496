"""The card of a building says what each hazard set says of it: zones, arrival, and where sources disagree."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from streamlit.testing.v1 import AppTest
from tests.hazard.test_layouts import bring

import citymap.ui
import small_city
from citymap.assess.exposure import compute
from citymap.progress import Quiet

PAGE = Path(citymap.ui.__file__).parent / "screens" / "hazard_buildings.py"


def card(gml_id: str) -> str:
    at = AppTest.from_file(str(PAGE), default_timeout=60)
    at.session_state["selected"] = gml_id
    at.run()
    assert not at.exception, at.exception
    return " ".join(element.proto.body for element in at.get("html"))


def grid(path: Path, value: float) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=200, height=40, count=1, dtype="float32", crs="EPSG:6668",
        transform=from_origin(small_city.WEST - 0.0005, small_city.SOUTH + 0.001, 1e-4, 1e-4), nodata=np.nan,
    ) as out:  # fmt: skip
        out.write(np.full((40, 200), value, np.float32), 1)
    return path


def test_zones_arrival_and_disagreement_stand_on_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = small_city.make(tmp_path / "city")
    monkeypatch.setenv("CITYMAP_CITY", str(city.root))

    west, south = small_city.WEST, small_city.SOUTH
    slope = geopandas.GeoDataFrame(
        {"A33_001": [1], "A33_002": [2], "A33_005": ["才ノ原2"], "A33_007": ["2018/03/15"], "A33_008": [0]},
        geometry=[shapely.box(west - 0.0001, south - 0.0001, west + 0.0003, south + 0.0003)], crs=4326,
    )  # fmt: skip
    slope.to_file(tmp_path / "A33-25_09.geojson")
    bring(city, tmp_path / "A33-25_09.geojson")
    areas = geopandas.GeoDataFrame(
        {"class_code": ["3"], "river": [small_city.RIVER], "scale": ["L2"]},
        geometry=[shapely.box(west - 0.0001, south - 0.0001, west + 0.0003, south + 0.0003)], crs=4326,
    )  # fmt: skip
    areas.to_file(tmp_path / "k.gpkg")
    bring(city, tmp_path / "k.gpkg", layer_id="midori_rank")
    bring(city, grid(tmp_path / "d.tif", 1.0), layer_id="ogawa-L2_depth")
    bring(city, grid(tmp_path / "t.tif", 2.5), layer_id="ogawa-L2_arrival")
    compute(city, progress=Quiet())

    inside = card("bldg_0000")
    assert "土砂災害特別警戒区域" in inside
    assert "水が着くまで 2.5時間" in inside
    assert "資料によって値が違います" in inside
    outside = card("bldg_0003")
    assert "土砂災害特別警戒区域" not in outside and "資料によって値が違います" not in outside
    assert "水が着くまで 2.5時間" in outside
