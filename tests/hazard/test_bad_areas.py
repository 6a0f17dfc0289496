"""Areas that are wrong: without a CRS, in a false encoding, crossing themselves, swapped, broken."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

from citymap.errors import BadInputError
from citymap.workspace import Workspace
from tests import small_city
from tests.hazard.test_layouts import HOUSE, NEXT, bring, described, exposure, file, river


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


def failed(city: Workspace, path: Path, **more: str) -> list[str]:
    """The error of one bad file that is imported beside a good one."""
    good = file(path.with_name("good.geojson"), river(2, "良川", 3))
    record = bring(city, good, path, **more)
    assert "hazard-良川-L2_rank" in record.counts
    assert exposure(city, "良川-L2")["verdict"][0] == "leave"
    return [str(f["error"]) for f in record.failed]


def test_a_shapefile_without_prj_is_refused(city: Workspace, tmp_path: Path) -> None:
    path = file(tmp_path / "a.shp", river(2, "鬼怒川", 2))
    path.with_suffix(".prj").unlink()
    assert failed(city, path) == ["vector_no_crs"]


@pytest.mark.parametrize("said", ["UTF-8", None])
@pytest.mark.parametrize("true", ["cp932", "utf-8"])
def test_texts_are_read_whatever_the_cpg_says(
    city: Workspace, tmp_path: Path, said: str | None, true: str
) -> None:
    path = tmp_path / "a.shp"
    table = geopandas.GeoDataFrame(river(2, "鬼怒川", 2), geometry=[HOUSE], crs=6668)
    table.to_file(path, encoding=true)
    path.with_suffix(".cpg").unlink(missing_ok=True)
    if said is not None:
        path.with_suffix(".cpg").write_text(said)
    record = bring(city, path)
    assert described(city, "鬼怒川-L2_rank")["name"] == "鬼怒川"
    assert any(note.endswith("cp932") for note in record.notes) == (true == "cp932")


def test_areas_that_cross_themselves_are_mended_and_counted(
    city: Workspace, tmp_path: Path
) -> None:
    bow = shapely.Polygon(
        [(139.8799, 36.5499), (139.8803, 36.5503), (139.8803, 36.5499), (139.8799, 36.5503)]
    )
    assert not bow.is_valid
    record = bring(city, file(tmp_path / "a.geojson", {"A31b_201": [3, 2]}, [bow, NEXT]))
    assert any("self_crossing repaired 1" in note for note in record.notes)
    table = pq.read_table(city.hazards / "a-L2_rank.parquet")
    assert shapely.is_valid(shapely.from_wkb(table["geometry"].to_pylist())).all()
    assert exposure(city, "a-L2")["depth_max_m"][0] > 4.9


def test_swapped_axes_are_named(city: Workspace, tmp_path: Path) -> None:
    path = file(
        tmp_path / "a.geojson", {"A31b_201": [3]}, [shapely.box(36.55, 139.88, 36.56, 139.89)]
    )
    assert failed(city, path) == ["vector_swapped"]


def test_a_shapefile_that_is_cut_short_is_refused(city: Workspace, tmp_path: Path) -> None:
    path = file(tmp_path / "a.shp", river(2, "鬼怒川", 2))
    path.write_bytes(path.read_bytes()[:110])
    assert failed(city, path) == ["vector_truncated"]
    assert not list(city.hazards.glob("鬼怒川*"))


def test_lines_are_left_out_and_a_file_of_lines_is_refused(city: Workspace, tmp_path: Path) -> None:
    line = shapely.LineString([(139.88, 36.55), (139.881, 36.55)])
    record = bring(city, file(tmp_path / "m.geojson", {"A33_002": [1, 2]}, [HOUSE, line]))
    assert any("left out 1" in note for note in record.notes)
    assert failed(city, file(tmp_path / "l.geojson", {"A33_002": [1]}, [line])) == [
        "hazard_no_areas"
    ]


def test_errors_speak_both_languages(city: Workspace, tmp_path: Path) -> None:
    path = file(tmp_path / "a.shp", river(2, "鬼怒川", 2))
    path.with_suffix(".prj").unlink()
    with pytest.raises(BadInputError) as error:
        bring(city, path)
    assert "座標系" in str(error.value.as_dict("ja")["remedy"]) + str(error.value.message("ja"))
    assert error.value.message("en") != error.value.message("ja")
