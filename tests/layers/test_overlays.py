"""What can be laid over the city: one file adds one layer, and a bad one harms no other."""

from __future__ import annotations

import io
from pathlib import Path

import geopandas
import mapbox_vector_tile
import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.transform import from_origin

from citymap.errors import BadInputError
from citymap.layers.overlays import bounds, find, overlays
from citymap.tiles import overlay as draw
from citymap.workspace import City, Workspace

LON, LAT = 139.88, 36.55
ZOOM, X, Y = 14, 14558, 6402  # the tile of that place

OWN = """
id = "{id}"
title = {{ ja = "冠水しやすい所", en = "Often flooded" }}
audience = {audience}
attribution = {{ ja = "市役所" }}
licence = "CC-BY-4.0"
vintage = "2025"

[source]
kind = "vector"
path = "layers/spots.parquet"
column = "rank"
fields = ["name"]

[legend]
quantity = "rank"
missing = {{ ja = "不明" }}
[[legend.classes]]
label = {{ ja = "低い" }}
colour = [255, 255, 0]
min = 0
max = 2
[[legend.classes]]
label = {{ ja = "高い" }}
colour = [255, 0, 0]
min = 2
"""


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "city")
    workspace.layers.mkdir(parents=True)
    workspace.hazards.mkdir()
    workspace.write_city(
        City("緑川市", "09999", 6677, (LON - 0.01, LAT - 0.01, LON + 0.01, LAT + 0.01))
    )
    table = geopandas.GeoDataFrame(
        {"rank": [1.0, 2.0, None], "name": ["甲", "乙", "丙"], "secret": ["x", "y", "z"]},
        geometry=[shapely.box(LON + i * 0.001, LAT, LON + i * 0.001 + 0.0005, LAT + 0.0005) for i in range(3)],
        crs="EPSG:6668",
    )  # fmt: skip
    table.to_parquet(workspace.layers / "spots.parquet")
    return workspace


def define(city: Workspace, name: str = "spots", audience: str = '["public", "staff"]') -> None:
    (city.layers / f"{name}.toml").write_text(
        OWN.format(id=name, audience=audience), encoding="utf-8"
    )


def depth(city: Workspace, values: np.ndarray) -> None:
    path = city.hazards / "kawa-L2_depth.tif"
    profile = {"driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1,
               "dtype": "float32", "crs": "EPSG:6668", "nodata": np.nan,
               "transform": from_origin(LON, LAT + 0.002, 0.001, 0.001)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        out.write(values.astype(np.float32), 1)
    path.with_suffix(".toml").write_text(
        'quantity = "depth"\nname = "川"\nscale = "L2"\nlegend = "depth"\n', encoding="utf-8"
    )


def features(body: bytes) -> list[dict[str, object]]:
    decoded = mapbox_vector_tile.decode(body)
    return [f["properties"] for f in decoded["overlay"]["features"]] if decoded else []


def test_one_file_adds_one_overlay_with_its_classes_and_named_columns_only(city: Workspace) -> None:
    define(city)
    (one,), problems = overlays(city)
    assert problems == []
    assert (one.layer.id, one.form) == ("spots", "vector")
    assert bounds(one) == pytest.approx((LON, LAT, LON + 0.0025, LAT + 0.0005))
    assert one.layer.legend is not None
    classes = [draw.Class(c.colour, c.min, c.max, c.value) for c in one.layer.legend.classes]
    assert one.path is not None
    body = draw.vector_tile(
        one.path, "1", ZOOM, X, Y, column="rank", classes=classes, fields=("name",)
    )
    said = sorted(features(body), key=lambda p: str(p["name"]))
    # A bound belongs to the upper class; a missing value to none.
    assert said == [{"k": 0, "name": "丙"}, {"k": 2, "name": "乙"}, {"k": 1, "name": "甲"}]
    assert b"secret" not in body


def test_an_audience_sees_its_own_layers_only(city: Workspace) -> None:
    define(city, audience='["staff"]')
    assert overlays(city, audience="public")[0] == []
    assert find(city, "spots", audience="public") is None
    assert find(city, "spots", audience="staff") is not None


@pytest.mark.parametrize(
    "text",
    [
        "not = [toml",
        'id = "x"\n',
        OWN.format(id="spots", audience='["public"]') + "\nunknown_key = 1\n",
    ],
)
def test_a_wrong_file_is_named_and_the_others_stay(city: Workspace, text: str) -> None:
    define(city)
    (city.layers / "a_wrong.toml").write_text(text, encoding="utf-8")
    listed, problems = overlays(city)
    assert [x.layer.id for x in listed] == ["spots"]
    assert [p.key for p in problems] == ["bad_layer"]
    assert "a_wrong.toml" in str(problems[0].place)


def test_a_layer_reaches_no_file_outside_the_city(city: Workspace, tmp_path: Path) -> None:
    define(city)
    (city.layers / "spots.parquet").rename(tmp_path / "spots.parquet")
    path = city.layers / "spots.toml"
    path.write_text(path.read_text().replace("layers/spots", "../spots"), encoding="utf-8")
    listed, problems = overlays(city)
    assert listed == []
    assert [p.key for p in problems] == ["layer_no_file"]


def test_a_hazard_is_an_overlay_in_its_official_colours(city: Workspace) -> None:
    values = np.full((2, 2), np.nan)
    values[0] = [0.0, 0.5]
    values[1] = [2.999, 3.0]
    depth(city, values)
    (one,), _ = overlays(city)
    assert (one.layer.id, one.layer.group and one.layer.group.ja) == (
        "hazard-kawa-L2_depth",
        "川 想定最大規模",
    )
    assert one.layer.legend is not None
    assert one.path is not None
    classes = [draw.Class(c.colour, c.min, c.max, c.value) for c in one.layer.legend.classes]
    body = draw.raster_tile(one.path, classes, ZOOM, X, Y)
    assert body is not None
    rgba = np.asarray(Image.open(io.BytesIO(body))).reshape(-1, 4)
    seen = {tuple(int(v) for v in p) for p in np.unique(rgba, axis=0)}
    # 0 m and missing stay clear; 0.5 m is of the second class, 3 m of the third.
    assert seen == {(0, 0, 0, 0), (255, 216, 192, 255), (255, 183, 183, 255)}


def test_outside_there_is_nothing_and_a_broken_file_says_so(city: Workspace) -> None:
    depth(city, np.ones((2, 2)))
    (one,), _ = overlays(city)
    assert one.path is not None
    classes = [draw.Class((1, 2, 3), 0.0, None)]
    assert draw.raster_tile(one.path, classes, ZOOM, 0, 0) is None
    assert draw.raster_tile(one.path, classes, ZOOM, -1, 99999) is None
    one.path.write_bytes(one.path.read_bytes()[:100])
    with pytest.raises(BadInputError) as caught:
        draw.raster_tile(one.path, classes, ZOOM, X, Y)
    assert caught.value.key == "overlay_broken"
    assert bounds(one) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, -1),
        (0.0, 0),
        (1.999, 0),
        (2.0, 1),
        (99, 1),
        (-1, -1),
        ("3", 1),
        ("x", -1),
        (float("nan"), -1),
    ],
)
def test_classes_take_a_bound_upwards_and_know_no_safe_default(value: object, number: int) -> None:
    classes = [draw.Class((0, 0, 0), 0.0, 2.0), draw.Class((1, 1, 1), 2.0, None)]
    assert draw.class_of(value, classes) == number
