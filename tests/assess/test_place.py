"""「わたしの場所」: three states, the verdict of the building there, shelters by dry ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from tests import small_city

from citymap import crs
from citymap.assess.edge import edge_m
from citymap.assess.place import Places
from citymap.assess.shelter_audit import audit_path
from citymap.errors import BadInputError
from citymap.hazard.sets import hazard_sets
from citymap.model.columns import ROADS
from citymap.places import import_places
from citymap.workspace import Workspace, write_table

WEST, SOUTH = small_city.WEST, small_city.SOUTH
X0, Y0 = (float(v) for v in crs.project(WEST, SOUTH, 6677))


def lon_at(x: float, y: float = 0.0) -> tuple[float, float]:
    lon, lat = crs.unproject(X0 + x, Y0 + y, 6677)
    return float(lon), float(lat)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Water 2 m deep over x in −100…300 m; surveyed until 900 m; one road along y = 60 m."""
    tmp = tmp_path_factory.mktemp("place")
    workspace = small_city.make(tmp / "city")
    workspace.hazards.mkdir()
    depth = np.zeros((40, 100), np.float32)
    depth[:, :40] = 2.0
    with rasterio.open(
        workspace.hazards / "r-L2_depth.tif", "w", driver="GTiff", width=100, height=40, count=1, dtype="float32",
        crs="EPSG:6677", transform=from_origin(X0 - 100, Y0 + 200, 10, 10),
    ) as out:  # fmt: skip
        out.write(depth, 1)
    (workspace.hazards / "r-L2_depth.toml").write_text(
        'id = "r-L2_depth"\nquantity = "depth"\nhazard = "river_flood"\nname = "みどり川"\nscale = "L2"\n',
        encoding="utf-8",
    )
    lines = ["ID,名称,緯度,経度,災害種別_洪水"]
    for name, x in (("wet", 100.0), ("near", 420.0), ("far", 800.0)):
        lon, lat = lon_at(x, 60)
        lines.append(f"{name},{name}公園,{lat},{lon},1")
    (tmp / "s.csv").write_text("\n".join(lines), encoding="utf-8")
    import_places(workspace, [tmp / "s.csv"])
    at = [lon_at(x, 60) for x in (-50.0, 350.0, 850.0)]
    rows = [
        {"edge_id": i, "u": i, "v": i + 1, "length_m": length, "width_m": 4.0, "kind": "道路",
         "bridge": False, "tunnel": False, "geometry": shapely.to_wkb(shapely.LineString([a, b]))}
        for i, (a, b, length) in enumerate([(at[0], at[1], 400.0), (at[1], at[2], 500.0)])
    ]  # fmt: skip
    schema = ROADS.schema()
    table = pa.table(
        [pa.array([r.get(f.name) for r in rows], f.type) for f in schema], schema=schema
    )
    write_table(workspace.roads, table, ROADS)
    return workspace


@pytest.fixture(scope="module")
def places(city: Workspace) -> Places:
    return Places(city)


def test_inside_outside_and_not_surveyed(places: Places) -> None:
    inside = places.answer(*lon_at(150, 30))
    (one,) = inside["sets"]
    assert (one["state"], one["depth_m"], one["edge_m"]) == ("inside", 2.0, 150)
    outside = places.answer(*lon_at(500, 60))["sets"][0]
    assert (outside["state"], outside["depth_m"], outside["edge_m"]) == ("outside", None, 200)
    away = places.answer(*lon_at(1000, 60))
    assert (away["sets"][0]["state"], away["verdict"]) == ("not_surveyed", "unknown")


def test_the_building_there_is_judged_and_a_place_outdoors_has_no_floor(places: Places) -> None:
    record = places.answer(WEST + 0.0011, SOUTH + 0.0001)
    assert record["building"]["gml_id"] == "bldg_0001"
    assert (record["verdict"], record["hazard"]) == ("leave", "river_flood")
    assert record["sets"][0]["reasons"][0] == "no_dry_floor"  # one storey, two metres
    outdoors = places.answer(*lon_at(150, 90))
    assert outdoors["building"] is None and outdoors["verdict"] in {"unknown", "leave"}


def test_shelters_that_may_be_used_by_ways_that_keep_dry(places: Places) -> None:
    dry = places.answer(*lon_at(600, 70))["shelters"]
    assert [s["place_id"] for s in dry] == ["near", "far"]  # never the one under water
    assert [s["in_water_m"] for s in dry] == [0, 0]
    assert dry[0]["walk_m"] == pytest.approx(190, abs=15) and dry[0]["walk_min"] == 4
    wet = places.answer(*lon_at(100, 70))["shelters"]
    assert wet[0]["place_id"] == "near" and wet[0]["in_water_m"] > 200  # said, not hidden
    assert wet[0]["route"][-1] == [round(v, 6) for v in lon_at(420, 60)]


def test_no_way_is_said(city: Workspace, tmp_path: Path) -> None:
    kept = city.roads.read_bytes()
    city.roads.unlink()
    try:
        found = Places(city).answer(*lon_at(600, 70))["shelters"]
    finally:
        city.roads.write_bytes(kept)
    assert [(s["route"], s["no_route"]) for s in found] == [(None, "no_network")] * 2


def test_a_city_without_maps_knows_nothing(tmp_path: Path) -> None:
    record = Places(small_city.make(tmp_path / "bare")).answer(WEST, SOUTH)
    assert (record["verdict"], record["sets"], record["shelters"]) == ("unknown", [], [])


@pytest.mark.parametrize(
    ("at", "hazard", "key"),
    [((36.55, 139.88), None, "place_swapped"), ((0.0, 0.0), None, "place_not_in_japan"),
     ((135.0, 35.0), None, "place_outside_city"), ((WEST, SOUTH), "volcano", "place_hazard")],
)  # fmt: skip
def test_places_that_cannot_be_answered(
    places: Places, at: tuple[float, float], hazard: str | None, key: str
) -> None:
    with pytest.raises(BadInputError) as e:
        places.answer(*at, hazard=hazard)
    assert e.value.key == key


def test_the_edge_is_not_found_where_it_is_far(city: Workspace) -> None:
    (one,) = hazard_sets(city)
    assert edge_m(one, *lon_at(880, 60), inside=False, epsg=6677) is None
    assert audit_path(city).is_file()
