"""A real town through import and tiles: every building stands at the height its file gives."""

from __future__ import annotations

from pathlib import Path

import japan_geoid
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest

from citymap import tiles
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.workspace import Workspace
from tests.tiles.tileset_reader import read

TOWN = "plateau_citygml/youryugi+shade-aware_route_planing"


@pytest.mark.slow
def test_osaka_stands_at_its_own_heights(real_data: Path, tmp_path: Path) -> None:
    source = real_data / TOWN
    if not source.is_dir():
        pytest.skip("the Osaka town is not among the real data")
    workspace = Workspace(tmp_path / "osaka")
    import_sources([source], workspace, options=ImportOptions(), progress=Quiet())
    manifest = tiles.build(workspace, progress=Quiet())
    table = pq.read_table(
        workspace.buildings, columns=["ground_elevation_m", "roof_elevation_m", "lod"]
    )
    ground = table["ground_elevation_m"].to_numpy()
    roof, lod = table["roof_elevation_m"].to_numpy(), table["lod"].to_numpy()
    assert manifest["buildings"]["count"] == table.num_rows > 4000
    to_lon_lat = pyproj.Transformer.from_crs(4978, 4979, always_xy=True)
    geoid = japan_geoid.load_embedded_jpgeo2024()
    seen: list[int] = []
    for content in read(workspace.tiles / manifest["version"] / "3d"):
        if content.tile.get("children"):
            continue
        lon, lat, height = to_lon_lat.transform(*content.ecef.T)
        rows = content.properties["row"].astype(int)
        count = len(rows)
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, content.features, height)
        np.maximum.at(high, content.features, height)
        first = np.unique(content.features, return_index=True)[1]
        above = np.array([geoid.get_height(lon[i], lat[i]) for i in first])
        one = lod[rows] == 1
        assert np.abs(low - above - ground[rows])[one].max(initial=0) < 0.1
        assert np.abs(high - above - roof[rows])[one].max(initial=0) < 0.1
        seen.extend(rows.tolist())
    assert sorted(seen) == list(range(table.num_rows))
