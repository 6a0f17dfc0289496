"""Everything beside the buildings goes in together, and twice is the same as once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import rasterio
from rasterio.transform import from_origin

from citymap.plateau.archive import discover
from citymap.plateau.codelist import Codelists
from citymap.plateau.theme_import import ThemeReport, import_themes
from citymap.progress import Quiet
from citymap.workspace import Workspace
from tests.plateau.test_features import DEMO_ZONE, document, polygon, square, surface, water_body
from tests.terrain.test_terrain import tin_file


def _import(source: Path, workspace: Workspace, *, raster_is_dem: bool = False) -> ThemeReport:
    files = discover([source], source.parent / "work", progress=Quiet())
    return import_themes(
        workspace, files, epsg=DEMO_ZONE, codelists=Codelists([source]), progress=Quiet(),
        raster_is_dem=raster_is_dem,
    )  # fmt: skip


def _source(root: Path) -> Path:
    (root / "udx/dem").mkdir(parents=True)
    tin_file(root / "udx/dem/543967_dem_6697_05_op.gml")
    road = f'<tran:Road gml:id="r">{surface("tran", polygon(square(139.88, 36.55)))}</tran:Road>'
    document(root / "udx/tran/54396750_tran_6697_op.gml", road)
    for river in ("a", "b"):  # files of two rivers share their name
        flood = water_body(f"w{river}", "RiverFloodingRiskAttribute")
        document(root / f"udx/fld/natl/{river}/54396750_fld_6697_l2_op.gml", flood)
    (root / "udx/luse").mkdir()
    (root / "udx/luse/54396750_luse_6697_op.gml").write_text("<html></html>", encoding="utf-8")
    (root / "wifi.csv").write_text("名称,緯度,経度,SSID\n駅,36.55,139.88,x\n", encoding="cp932")
    return root


def test_a_mixed_folder_twice(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    source = _source(tmp_path / "09999_midorikawa-shi_city_2024_citygml_1_op")
    for _ in range(2):
        report = _import(source, workspace)
        counts = {k: v for k, v in report.counts.items() if k not in ("terrain_cells", "roads")}
        assert counts == {
            "dem": 1,
            "road": 1,
            "hazard-fld-a-L2": 1,
            "hazard-fld-b-L2": 1,
            "wifi": 1,
        }
        assert [(f["error"], f["place"]) for f in report.failed] == [
            ("not_xml_html", "54396750_luse_6697_op.gml")
        ]
        assert report.bbox is not None and report.skipped == []
        assert "wifi.csv: wifi, cp932" in report.notes
    sources = (
        pq.read_table(workspace.hazards / "fld-b-L2.parquet").column("source_file").to_pylist()
    )
    assert sources == ["udx/fld/natl/b/54396750_fld_6697_l2_op.gml"]


def test_a_bare_raster_must_be_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    (tmp_path / "src").mkdir()
    with rasterio.open(
        tmp_path / "src" / "a.tif", "w", driver="GTiff", width=4, height=4, count=1, dtype="float32",
        crs="EPSG:6677", transform=from_origin(0, 0, 10, 10),
    ) as out:  # fmt: skip
        out.write(np.full((4, 4), 5, dtype=np.float32), 1)
    assert [f["error"] for f in _import(tmp_path / "src", workspace).failed] == ["raster_needs_as"]
    assert not workspace.terrain.exists()
    assert _import(tmp_path / "src", workspace, raster_is_dem=True).failed == []
    assert workspace.terrain.is_file()
