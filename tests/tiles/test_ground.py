"""Terrain pictures: heights against terrain.tif plus the geoid, and shade where the ground leans."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import japan_geoid
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from citymap import crs
from citymap.tiles import ground
from citymap.workspace import Workspace


def _tile_of(lon: float, lat: float, zoom: int) -> tuple[int, int, int, int]:
    n = 1 << zoom
    x = (lon / 360 + 0.5) * n
    y = (0.5 - np.arcsinh(np.tan(np.radians(lat))) / (2 * np.pi)) * n
    return int(x), int(y), int(x % 1 * 256), int(y % 1 * 256)


@pytest.mark.parametrize("zoom", [12, 14])
def test_terrarium_heights_are_ellipsoidal(
    town: Workspace, manifest: dict[str, Any], zoom: int
) -> None:
    assert manifest["terrain"]["height"] == "ellipsoidal"
    lon, lat = 139.8812, 36.5521
    x, y, i, j = _tile_of(lon, lat, zoom)
    path = town.tiles / manifest["terrain"]["tiles"].format(z=zoom, x=x, y=y)
    r, g, b = (int(v) for v in np.asarray(Image.open(path))[j, i])
    drawn = r * 256 + g + b / 256 - 32768
    with rasterio.open(town.terrain) as source:
        east, north = crs.project(lon, lat, source.crs.to_epsg())
        elevation = next(source.sample([(float(east), float(north))]))[0]
    expected = elevation + japan_geoid.load_embedded_jpgeo2024().get_height(lon, lat)
    assert drawn == pytest.approx(expected, abs=0.3)


def test_every_zoom_named_has_tiles(town: Workspace, manifest: dict[str, Any]) -> None:
    for kind in ("hillshade", "terrain"):
        for zoom in range(manifest[kind]["minzoom"], manifest[kind]["maxzoom"] + 1):
            folder = town.tiles / Path(manifest[kind]["tiles"].split("{z}")[0]) / str(zoom)
            assert list(folder.rglob("*.png"))


def test_flat_ground_is_clear_and_north_west_slopes_are_light() -> None:
    assert ground.hillshade(np.full((5, 5), 80, np.float32), 5.0)[..., 1].max() == 0
    row, column = np.mgrid[0:9, 0:9].astype(np.float32)
    facing_south_east = ground.hillshade(-(row + column) * 2, 5.0)  # falls to the south-east
    facing_north_west = ground.hillshade((row + column) * 2, 5.0)
    assert (facing_south_east[..., 0] == 0).all() and (facing_south_east[..., 1] > 20).all()
    assert (facing_north_west[..., 0] == 255).all() and (facing_north_west[..., 1] > 20).all()


def test_missing_terrain_is_clear_in_the_shade() -> None:
    height = np.full((6, 6), np.nan, np.float32)
    assert ground.hillshade(height, 5.0)[..., 1].max() == 0


def test_gaps_take_the_height_beside_them() -> None:
    height = np.array([[np.nan, 3, np.nan], [np.nan, np.nan, np.nan], [1, np.nan, 5]], np.float32)
    filled = ground.fill(height)
    assert not np.isnan(filled).any()
    assert filled[0].tolist() == [3, 3, 3] and filled[2].tolist() == [1, 3, 5]


@given(st.floats(min_value=-100, max_value=4000))
def test_terrarium_keeps_heights_to_half_a_step(height: float) -> None:
    r, g, b = (int(v) for v in ground.terrarium(np.array([[height]]))[0, 0])
    assert r * 256 + g + b / 256 - 32768 == pytest.approx(height, abs=0.5 / 256)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_png_is_read_by_others(bands: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 5, bands)).astype(np.uint8)
    back = np.asarray(Image.open(io.BytesIO(ground.png(pixels))))
    assert (back.reshape(7, 5, bands) == pixels).all()
