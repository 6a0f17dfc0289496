"""Building as a whole: versions, stopping, going on, and leaving the old tiles in force."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from citymap import tiles
from citymap.errors import BadInputError, CancelledError
from citymap.model.columns import BUILDING_SURFACES, BUILDINGS
from citymap.progress import Quiet
from citymap.workspace import Workspace, write_table
from tests.tiles.town import make_town


class StopAt(Quiet):
    """Stops when a step begins."""

    def __init__(self, note: str) -> None:
        super().__init__()
        self.note = note
        self.seen: list[str] = []

    def update(self, done: float, total: float, note: str = "") -> None:
        self.seen.append(note)
        if note == self.note:
            self.cancel()
        super().update(done, total, note)


@pytest.fixture
def small(tmp_path: Path) -> Workspace:
    return make_town(tmp_path / "city", buildings=40)


def test_nothing_to_do_when_the_input_is_the_same(small: Workspace) -> None:
    first = tiles.build(small, progress=Quiet())
    watch = StopAt("never")
    assert tiles.build(small, progress=watch) == first
    assert watch.seen == []


def test_a_stopped_build_leaves_the_old_version_and_goes_on(small: Workspace) -> None:
    old = tiles.build(small, progress=Quiet())
    make_town(small.root, buildings=41)
    with pytest.raises(CancelledError):
        tiles.build(small, progress=StopAt("vector tiles"))
    kept = json.loads((small.tiles / "manifest.json").read_text(encoding="utf-8"))
    assert kept["version"] == old["version"]
    assert (small.tiles / old["version"] / "3d" / "tileset.json").is_file()

    watch = StopAt("never")
    new = tiles.build(small, progress=watch)
    assert "3D Tiles" not in watch.seen  # that step was done before the stop
    assert new["buildings"]["count"] == 41
    assert [p.name for p in small.tiles.iterdir() if p.is_dir()] == [new["version"]]


def test_one_worker_writes_the_same_bytes_as_two(small: Workspace, tmp_path: Path) -> None:
    twin = make_town(tmp_path / "twin", buildings=40)
    a = tiles.build(small, progress=Quiet(), workers=1)
    b = tiles.build(twin, progress=Quiet(), workers=2)
    assert a == b
    for path in (small.tiles / a["version"]).rglob("*"):
        if path.is_file():
            other = twin.tiles / path.relative_to(small.tiles)
            assert path.read_bytes() == other.read_bytes()


def test_a_city_without_surfaces_stands_on_its_footprints(small: Workspace) -> None:
    small.building_surfaces.unlink()
    manifest = tiles.build(small, progress=Quiet())
    assert manifest["buildings"]["tile_stats"]["features"] == 40


def test_a_city_without_base_map_or_terrain_has_buildings_all_the_same(small: Workspace) -> None:
    for path in (
        *small.base.iterdir(),
        small.roads,
        small.districts,
        small.terrain,
        small.building_attributes,
    ):
        path.unlink()
    manifest = tiles.build(small, progress=Quiet())
    assert manifest["vector"]["layers"] == ["buildings", "place_label"]
    assert "terrain" not in manifest


def test_a_building_without_any_shape_is_left_out_of_the_drawing_only(small: Workspace) -> None:
    table = pq.read_table(small.buildings)
    shapes = [None, *table["geometry"].to_pylist()[1:]]
    at = table.column_names.index("geometry")
    write_table(
        small.buildings, table.set_column(at, "geometry", pa.array(shapes, pa.binary())), BUILDINGS
    )
    surfaces = pq.read_table(small.building_surfaces)
    kept = surfaces.filter(pc.not_equal(surfaces["gml_id"], table["gml_id"][0]))
    write_table(small.building_surfaces, kept, BUILDING_SURFACES)
    manifest = tiles.build(small, progress=Quiet())
    assert manifest["buildings"]["count"] == 40
    assert manifest["buildings"]["tile_stats"]["features"] == 39


def test_no_buildings_is_an_error_with_a_remedy(small: Workspace) -> None:
    small.buildings.unlink()
    with pytest.raises(BadInputError) as caught:
        tiles.build(small, progress=Quiet())
    assert caught.value.key == "no_buildings"


def test_manifest_keeps_its_contract(manifest: dict[str, Any]) -> None:
    assert {
        "version", "name", "name_en", "code", "fictional", "attribution", "bbox", "center", "epsg",
        "languages", "ground", "geoid_m", "buildings", "vector", "hillshade", "terrain", "attributes",
    } <= set(manifest)  # fmt: skip
    assert manifest["geoid_m"] == pytest.approx(42.37, abs=0.1)
    assert manifest["buildings"]["tileset"] == f"../3dtiles/{manifest['version']}/tileset.json"
    assert manifest["fictional"] is True


def test_every_building_has_a_dot_at_its_place(small: Workspace) -> None:
    manifest = tiles.build(small, progress=Quiet())
    described = manifest["buildings"]["dots"]
    raw = gzip.decompress((small.tiles / f"{described['url']}.gz").read_bytes())
    dots = np.frombuffer(raw, "<u2").reshape(-1, 4)
    buildings = gpd.read_parquet(small.buildings)
    west, south, east, north = described["bbox"]
    lon = west + dots[:, 0] / 65535 * (east - west)
    lat = south + dots[:, 1] / 65535 * (north - south)
    placed = dots[:, 3] > 0
    assert placed.sum() == (~buildings.geometry.isna()).sum()
    centre = buildings.geometry.to_crs(6677).centroid
    found = gpd.GeoSeries(gpd.points_from_xy(lon, lat), crs=6668).to_crs(6677)
    assert found[placed].distance(centre[placed]).max() < 15  # metres
