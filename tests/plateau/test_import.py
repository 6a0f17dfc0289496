"""`citymap import` end to end on the demo city and on bad input."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from citymap.demo import generate
from citymap.errors import BadInputError, CancelledError
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.terrain import sample
from citymap.workspace import Workspace

from . import citygml as gml

DATASET = "09999_midorikawa-shi_city_2024_citygml_1_op"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    generate(out, buildings=300, seed=3, progress=Quiet())
    return out


@pytest.fixture(scope="module")
def city(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("city") / "w")
    parts = [source / DATASET, source / "opendata"]
    import_sources(parts, workspace, options=ImportOptions(), progress=Quiet())
    import_sources(
        [source / "hazard"], workspace, options=ImportOptions(kind="hazard"), progress=Quiet()
    )
    return workspace


def state(workspace: Workspace) -> dict[str, str]:
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in workspace.root.glob("*") if p.is_file() and not p.name.startswith(".")
    }  # fmt: skip


def test_the_demo_city_becomes_a_workspace(city: Workspace) -> None:
    described = city.city()
    assert (described.code, described.epsg, described.fictional) == ("09999", 6677, True)
    buildings = gpd.read_parquet(city.buildings)
    assert len(buildings) == 300
    assert buildings.crs.to_epsg() == 6668
    assert buildings.geometry.is_valid.all()
    assert set(buildings["edition"]) == {"2024"}
    assert buildings["source_file"].str.startswith("udx/bldg/").all()
    assert buildings["usage"].notna().all()
    assert buildings["district_id"].notna().mean() > 0.95
    surfaces = gpd.read_parquet(city.building_surfaces)
    assert set(surfaces["gml_id"]) == set(buildings["gml_id"])
    for path in (
        city.roads,
        city.districts,
        city.base / "road.parquet",
        city.base / "water.parquet",
    ):
        assert len(gpd.read_parquet(path)) > 0
    assert {p.stem for p in city.places.glob("*.parquet")} >= {"shelters", "wifi"}


def test_buildings_stand_on_the_terrain(city: Workspace) -> None:
    buildings = gpd.read_parquet(city.buildings)
    points = buildings.geometry.representative_point()
    ground = sample(city.terrain, points.x.to_numpy(), points.y.to_numpy())
    difference = ground - buildings["ground_elevation_m"].to_numpy()
    assert np.isfinite(difference).all()
    assert abs(float(np.median(difference))) < 0.3


def test_hazard_rasters_keep_their_values_and_say_what_they_are(
    city: Workspace, source: Path
) -> None:
    with rasterio.open(city.hazards / "midori-L2_depth.tif") as done:
        assert done.crs.to_epsg() == 6677
        assert np.isnan(done.nodata)
        values = done.read(1)
        assert done.tags()["quantity"] == "depth"
    with rasterio.open(source / "hazard" / "midori-L2_depth.tif") as given:
        np.testing.assert_array_equal(values, given.read(1))
    text = (city.hazards / "midori-L2_depth.toml").read_text(encoding="utf-8")
    assert 'scale = "L2"' in text
    assert 'surveyed_extent = "unknown"' in text


def test_a_bare_raster_is_an_error_that_says_so(source: Path, tmp_path: Path) -> None:
    path = source / "hazard" / "midori-L2_depth.tif"
    text = gml.model(gml.simple("b0"))
    (tmp_path / "53394525_bldg_6697_op.gml").write_text(text, encoding="utf-8")
    workspace = Workspace(tmp_path / "w")
    record = import_sources(
        [tmp_path / "53394525_bldg_6697_op.gml", path],
        workspace,
        options=ImportOptions(),
        progress=Quiet(),
    )
    assert [f["error"] for f in record.failed] == ["raster_needs_as"]


def test_a_zip_with_cp932_names_gives_the_same(
    source: Path, city: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "09999_midorikawa-shi_city_2024_citygml_1_op.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((source / DATASET).rglob("*")):
            if file.is_file() and ("bldg" in file.parts or "codelists" in file.parts):
                name = f"みどり川市/{DATASET}/{file.relative_to(source / DATASET).as_posix()}"
                archive.writestr(
                    zipfile.ZipInfo(name.encode("cp932").decode("cp437")), file.read_bytes()
                )

    workspace = Workspace(tmp_path / "w")
    import_sources([path], workspace, options=ImportOptions(), progress=Quiet())
    a, b = gpd.read_parquet(workspace.buildings), gpd.read_parquet(city.buildings)
    assert sorted(a["gml_id"]) == sorted(b["gml_id"])
    assert a["measured_height_m"].sum() == b["measured_height_m"].sum()


def test_importing_again_replaces(city: Workspace, source: Path, tmp_path: Path) -> None:
    copy = Workspace(tmp_path / "w")
    shutil.copytree(city.root, copy.root)
    before = gpd.read_parquet(copy.buildings)
    one = next((source / DATASET / "udx" / "bldg").glob("*.gml"))
    import_sources([one], copy, options=ImportOptions(), progress=Quiet())
    after = gpd.read_parquet(copy.buildings)
    assert sorted(after["gml_id"]) == sorted(before["gml_id"])


def test_the_same_id_in_two_files_is_kept_twice(tmp_path: Path) -> None:
    for name in ("53394525_bldg_6697_op.gml", "53394526_bldg_6697_op.gml"):
        (tmp_path / name).write_text(gml.model(gml.simple("same")), encoding="utf-8")
    workspace = Workspace(tmp_path / "w")
    record = import_sources(
        sorted(tmp_path.glob("*.gml")), workspace, options=ImportOptions(), progress=Quiet()
    )
    assert gpd.read_parquet(workspace.buildings)["gml_id"].tolist() == ["same", "same~2"]
    assert [s.reason for s in record.skipped] == ["gml_id_collision"]
    surfaces = gpd.read_parquet(workspace.building_surfaces)
    assert surfaces.groupby("gml_id").size().to_dict() == {"same": 2, "same~2": 2}


class StopAfter(Quiet):
    """Cancels once `files` building files are done."""

    def __init__(self, files: int) -> None:
        super().__init__()
        self.left = files

    def update(self, done: float, total: float, note: str = "") -> None:
        super().update(done, total, note)
        if note.startswith("bldg "):
            self.left -= 1
            if self.left == 0:
                raise CancelledError


def test_a_cancelled_import_leaves_the_old_city_and_goes_on_later(
    city: Workspace, source: Path, tmp_path: Path
) -> None:
    copy = Workspace(tmp_path / "w")
    shutil.copytree(city.root, copy.root)
    old = state(copy)
    folder = source / DATASET
    with pytest.raises(CancelledError):
        import_sources([folder], copy, options=ImportOptions(), progress=StopAfter(2))
    assert state(copy) == old
    parts = sorted((copy.root / "imports" / ".work" / "parts").glob("*/report.json"))
    stamps = {p: p.stat().st_mtime_ns for p in parts}
    assert len(stamps) == 2
    seen: dict[Path, int] = {}

    class Watch(Quiet):
        def update(self, done: float, total: float, note: str = "") -> None:
            super().update(done, total, note)
            if note == "merge":
                seen.update({p: p.stat().st_mtime_ns for p in stamps})

    import_sources([folder], copy, options=ImportOptions(), progress=Watch())
    assert seen == stamps
    assert sorted(gpd.read_parquet(copy.buildings)["gml_id"]) == sorted(
        gpd.read_parquet(city.buildings)["gml_id"]
    )


BAD = {
    "html": ("x_bldg_6697_op.gml", b"<!DOCTYPE html><html></html>"),
    "pdf": ("53394525_bldg_6697_op.gml", b"%PDF-1.7 nothing"),
    "entity": (
        "53394525_bldg_6697_op.gml",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
    ),
    "empty": ("53394525_bldg_6697_op.gml", b""),
    "axes": (
        "53394525_bldg_6697_op.gml",
        gml.model(
            gml.building("b", gml.solid(1, [gml.polygon([(36.5, 139.8, 1), (36.6, 139.8, 1), (36.6, 139.9, 1), (36.5, 139.8, 1)])]))
        ).encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_leave_the_city_as_it_was(city: Workspace, tmp_path: Path, name: str) -> None:
    copy = Workspace(tmp_path / "w")
    shutil.copytree(city.root, copy.root)
    before = gpd.read_parquet(copy.buildings)
    file, content = BAD[name]
    bad = tmp_path / file
    bad.write_bytes(content)
    try:
        record = import_sources([bad], copy, options=ImportOptions(), progress=Quiet())
    except BadInputError as e:
        assert file in str(e)
    else:
        assert record.skipped or record.failed
    assert gpd.read_parquet(copy.buildings).equals(before)


def test_one_bad_file_does_not_stop_the_good_one(tmp_path: Path) -> None:
    (tmp_path / "53394525_bldg_6697_op.gml").write_text(
        gml.model(gml.simple("b0")), encoding="utf-8"
    )
    (tmp_path / "53394526_bldg_6697_op.gml").write_bytes(b"<html></html>")
    workspace = Workspace(tmp_path / "w")
    record = import_sources(
        sorted(tmp_path.glob("*.gml")), workspace, options=ImportOptions(), progress=Quiet()
    )
    assert record.counts["buildings"] == 1
    assert [(f["error"], f["place"]) for f in record.failed] == [
        ("not_xml_html", "53394526_bldg_6697_op.gml")
    ]
    assert list(workspace.imports.glob("*.json"))


def test_code_lists_outside_the_data_set_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text(
        '<gml:Dictionary xmlns:gml="http://www.opengis.net/gml"><gml:dictionaryEntry><gml:Definition>'
        "<gml:description>秘密</gml:description><gml:name>411</gml:name></gml:Definition></gml:dictionaryEntry></gml:Dictionary>",
        encoding="utf-8",
    )
    folder = tmp_path / "data" / "udx" / "bldg"
    folder.mkdir(parents=True)
    extra = '<bldg:usage codeSpace="../../../secret.xml">411</bldg:usage>'
    (folder / "53394525_bldg_6697_op.gml").write_text(
        gml.model(gml.simple("b0", 0, extra)), encoding="utf-8"
    )
    workspace = Workspace(tmp_path / "w")
    import_sources([tmp_path / "data"], workspace, options=ImportOptions(), progress=Quiet())
    row = gpd.read_parquet(workspace.buildings).iloc[0]
    assert row["usage_code"] == "411"
    assert row["usage"] is None or row["usage"] != "秘密"
