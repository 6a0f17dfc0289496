"""The zone of files that name no city."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from citymap.errors import BadInputError
from citymap.plateau.archive import SourceFile
from citymap.plateau.position import guess_zone


def source(path: Path, theme: str, mesh: str | None = None) -> SourceFile:
    return SourceFile(path, path.name, theme, 1, mesh)


def raster(path: Path, epsg: int, west: float, north: float, cell: float) -> SourceFile:
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=1, dtype="float32", crs=f"EPSG:{epsg}",
        transform=from_origin(west, north, cell, cell),
    ) as out:  # fmt: skip
        out.write(np.zeros((1, 8, 8), "float32"))
    return source(path, "geotiff")


def test_a_mesh_code_comes_first(tmp_path: Path) -> None:
    osaka = source(tmp_path / "52350349_bldg_6697.gml", "bldg", "52350349")
    assert guess_zone([osaka, raster(tmp_path / "a.tif", 6677, 0, 0, 5)], []) == 6674


@pytest.mark.parametrize(
    ("epsg", "west", "north", "cell"),
    [(6670, -20000, -20000, 5), (6668, 130.7, 32.81, 1e-4), (4326, 130.7, 32.81, 1e-4), (3857, 14549600, 3870000, 5)],
)  # fmt: skip
def test_a_raster_says_where_it_lies(
    tmp_path: Path, epsg: int, west: float, north: float, cell: float
) -> None:
    assert guess_zone([raster(tmp_path / "a.tif", epsg, west, north, cell)], []) == 6670  # Kumamoto


def test_shapes_and_lists_say_where_they_lie(tmp_path: Path) -> None:
    shapes, places = tmp_path / "a.geojson", tmp_path / "b.csv"
    geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(132.45, 34.39)], crs=4326).to_file(shapes)  # fmt: skip
    places.write_text("名称,緯度,経度\n欠,,\n青森,40.82,140.75\n", encoding="cp932")
    assert guess_zone([source(shapes, "geojson")], []) == 6671
    assert guess_zone([source(places, "csv")], []) == 6678


def test_a_file_that_says_nothing_is_refused_with_the_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "a.geojson"
    broken.write_text("{")
    with pytest.raises(BadInputError) as caught:
        guess_zone([source(broken, "geojson")], [])
    assert caught.value.key == "unknown_zone"
