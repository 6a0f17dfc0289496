"""Vector tiles, read back with mapbox-vector-tile."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.tiles import mvt, vector
from citymap.workspace import Workspace

Decoded = dict[tuple[int, int], dict[str, Any]]


def _read(folder: Path, zoom: int) -> Decoded:
    found = {}
    for path in (folder / str(zoom)).rglob("*.mvt.gz"):
        raw = gzip.decompress(path.read_bytes())
        tile = mapbox_vector_tile.decode(
            raw, default_options={"y_coord_down": True, "geojson": False}
        )
        found[int(path.parent.name), int(path.name.split(".")[0])] = tile
    return found


@pytest.fixture(scope="session")
def folder(town: Workspace, manifest: dict[str, Any]) -> Path:
    return town.tiles / manifest["version"] / "mvt"


def test_every_zoom_of_the_manifest_is_there(folder: Path, manifest: dict[str, Any]) -> None:
    zooms = range(manifest["vector"]["minzoom"], manifest["vector"]["maxzoom"] + 1)
    assert all(_read(folder, z) for z in zooms)
    layers = {name for tile in _read(folder, 16).values() for name in tile}
    assert layers == set(manifest["vector"]["layers"])


def test_a_tile_names_each_layer_once(folder: Path) -> None:
    for path in folder.rglob("*.mvt.gz"):
        raw, at, names = gzip.decompress(path.read_bytes()), 0, []
        while at < len(raw):  # field 3, length, then field 1 (name) first
            assert raw[at] == 0x1A
            at, shift, size = at + 1, 0, 0
            while True:
                size |= (raw[at] & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if raw[at - 1] < 0x80:
                    break
            names.append(raw[at + 2 : at + 2 + raw[at + 1]].decode())
            at += size
        assert len(names) == len(set(names))


def test_all_buildings_stand_at_the_last_zoom_with_row_height_and_ground(
    folder: Path, town: Workspace
) -> None:
    table = pq.read_table(town.buildings)
    seen: dict[int, dict[str, Any]] = {}
    for tile in _read(folder, 16).values():
        for f in tile.get("buildings", {}).get("features", []):
            assert f["id"] == f["properties"]["row"]
            seen[f["id"]] = f["properties"]
    assert sorted(seen) == list(range(table.num_rows))
    for row, properties in seen.items():
        ground = table["ground_elevation_m"][row].as_py()
        if ground is not None:
            assert properties["g"] == pytest.approx(ground, abs=0.06)
            roof = table["roof_elevation_m"][row].as_py()
            assert properties["h"] == pytest.approx(roof - ground, abs=0.06)


def test_footprints_lie_where_they_should(folder: Path, town: Workspace) -> None:
    outlines = shapely.from_wkb(pq.read_table(town.buildings)["geometry"].to_pylist())
    n = 1 << 16
    checked = 0
    for (x, y), tile in list(_read(folder, 16).items())[:3]:
        for f in tile.get("buildings", {}).get("features", [])[:20]:
            ring = np.array(f["geometry"]["coordinates"][0], float)
            lon = (x + ring[:, 0] / 4096) / n * 360 - 180
            lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (y + ring[:, 1] / 4096) / n))))
            drawn = shapely.Polygon(np.column_stack([lon, lat]))
            true = shapely.Polygon(outlines[f["id"]].exterior)
            assert drawn.intersection(true).area / drawn.union(true).area > 0.9
            checked += 1
    assert checked > 20


def test_outer_rings_are_clockwise_on_the_screen(folder: Path) -> None:
    for tile in _read(folder, 16).values():
        for name in ("buildings", "water", "green", "landuse"):
            for f in tile.get(name, {}).get("features", []):
                geometry = f["geometry"]
                polygons = (
                    [geometry["coordinates"]]
                    if geometry["type"] == "Polygon"
                    else geometry["coordinates"]
                )
                for rings in polygons:
                    p = np.array(rings[0], float)
                    area = (p[:-1, 0] * p[1:, 1] - p[1:, 0] * p[:-1, 1]).sum()
                    assert area > 0


def test_small_houses_wait_and_roads_thin_out_with_distance(folder: Path) -> None:
    def count(zoom: int, layer: str) -> int:
        return sum(len(t.get(layer, {}).get("features", [])) for t in _read(folder, zoom).values())

    assert count(12, "buildings") == 0
    assert 0 < count(13, "buildings") < count(14, "buildings")
    assert 0 < count(10, "road") < count(14, "road")


def test_base_map_is_cut_at_the_tile_with_a_buffer(folder: Path) -> None:
    for tile in _read(folder, 16).values():
        for name in ("road", "water", "landuse", "rail"):
            for f in tile.get(name, {}).get("features", []):
                xy = shapely.get_coordinates(shapely.from_geojson(json.dumps(f["geometry"])))
                assert xy.min() >= -65 and xy.max() <= 4096 + 65


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-500, 4500), st.integers(-500, 4500)),
        min_size=2,
        max_size=30,
        unique=True,
    ),
    st.integers(0, 2**40),
    st.one_of(st.none(), st.text(max_size=20)),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_lines_come_back_as_they_went(
    points: list[tuple[int, int]], number: int, text: str | None, value: float
) -> None:
    xy = np.array(points, float)
    parts = mvt.Parts(mvt.LINE, np.array([0, 1]), np.array([0, len(xy)]), xy)
    layer = mvt.Layer("test", scale=1.0, x0=0.0, y0=0.0)
    columns = {"t": [text], "v": np.array([value]), "n": np.array([number])}
    layer.add(parts, np.array([0]), ids=np.array([number]), columns=columns)
    decoded = mapbox_vector_tile.decode(
        layer.encode(), default_options={"y_coord_down": True, "geojson": False}
    )
    feature = decoded["test"]["features"][0]
    assert [tuple(p) for p in feature["geometry"]["coordinates"]] == points
    assert feature["id"] == number
    expected = {"v": value, "n": number} | ({"t": text} if text is not None else {})
    assert feature["properties"] == expected


def test_web_mercator_agrees_with_proj() -> None:
    import pyproj

    lon, lat = np.array([123.0, 139.88, 145.5]), np.array([24.3, 36.55, 45.4])
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
    world = vector.to_world(np.column_stack([lon, lat]))
    half = vector.WORLD_M / 2
    assert world[:, 0] * vector.WORLD_M - half == pytest.approx(x, abs=1e-3)
    assert half - world[:, 1] * vector.WORLD_M == pytest.approx(y, abs=1e-3)
