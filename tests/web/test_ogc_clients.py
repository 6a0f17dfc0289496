"""OGC API read by the programs that an integrated GIS is made of: GDAL and OWSLib."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

import ogc_service
from citymap.workspace import Workspace

pytestmark = pytest.mark.skipif(
    "OAPIF" not in pyogrio.list_drivers(), reason="this GDAL has no OAPIF driver"
)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("clients") / "city")


@pytest.fixture(scope="module")
def service(city: Workspace) -> Iterator[str]:
    with ogc_service.serving(city) as address:
        yield f"{address}/ogc"


def test_gdal_lists_every_public_layer(service: str) -> None:
    listed = pyogrio.list_layers(f"OAPIF:{service}")
    assert {name for name, _ in listed} == {
        "buildings", "catalogue", "exposure-combined", "hazard-river-L2", "shelters",
    }  # fmt: skip


@pytest.mark.parametrize("system", ["EPSG:6668", "EPSG:6677", "EPSG:3857", "EPSG:6697"])
def test_gdal_reads_the_same_features_at_the_same_places(
    city: Workspace, service: str, system: str
) -> None:
    found = pyogrio.read_dataframe(f"OAPIF:{service}", layer="buildings", CRS=system, PAGE_SIZE="7")
    original = pq.read_table(city.buildings)
    assert found["gml_id"].tolist() == original["gml_id"].to_pylist()
    assert found["usage"].tolist() == original["usage"].to_pylist()
    heights = original["measured_height_m"].to_numpy()
    assert np.array_equal(found["measured_height_m"].to_numpy(float), heights, equal_nan=True)
    assert found.crs.to_epsg() == int(system.removeprefix("EPSG:"))
    # Moved back by GDAL's own transformation the footprints lie where the table has them.
    back = np.asarray(found.to_crs("EPSG:6668").geometry.force_2d().array)
    expected = shapely.from_wkb(original["geometry"].to_pylist())
    assert (shapely.hausdorff_distance(back, expected) < 2e-8).all()
    if system == "EPSG:6697":
        z = shapely.get_coordinates(found.geometry.iloc[3], include_z=True)[:, 2]
        assert set(z) == {103.0}


def test_gdal_asks_the_server_for_boxes_and_filters(service: str) -> None:
    in_box = pyogrio.read_dataframe(
        f"OAPIF:{service}", layer="buildings", bbox=(139.8805, 36.5495, 139.8855, 36.5505)
    )
    assert in_box["gml_id"].tolist() == [f"bldg_{i:04d}" for i in range(1, 6)]
    schools = pyogrio.read_dataframe(
        f"OAPIF:{service}", layer="buildings", where="usage = '学校' AND year_built > 1970"
    )
    assert schools["gml_id"].tolist() == [
        f"bldg_{i:04d}" for i in range(30) if i % 3 == 2 and i % 4 and i > 10
    ]


def test_owslib_reads_collections_items_and_queryables(service: str) -> None:
    from owslib.ogcapi.features import Features

    client = Features(service)
    assert "buildings" in client.feature_collections()
    assert client.collection("shelters")["title"] == "避難所・避難場所"
    box = [139.8805, 36.5495, 139.8855, 36.5505]
    assert client.collection_items("buildings", bbox=box, limit=3)["numberMatched"] == 5
    assert client.collection_items("buildings", filter="usage='学校'")["numberMatched"] == 10
    assert "verdict" in client.collection_queryables("exposure-combined")["properties"]
    assert client.collection_item("buildings", "bldg_0004")["id"] == "bldg_0004"
