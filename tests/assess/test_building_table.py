"""The building table: filters, pages, totals that add up, and files that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pytest
import shapely
from tests import small_city
from tests.assess.test_exposure import bring, raster

from citymap.assess.building_table import BuildingTable, Wanted, depth_classes, sets_with_tables
from citymap.assess.exposure import compute, disagreeing
from citymap.assess.table_files import as_csv, as_xlsx
from citymap.errors import BadInputError
from citymap.progress import Quiet
from citymap.share.building_tables import disagreements, download_table, released
from citymap.workspace import Workspace


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("table")
    city = small_city.make(folder / "city")
    depth = np.zeros((40, 260))
    depth[:, :40], depth[:, 60:80] = 2.0, 8.0
    bring(city, raster(folder / "d.tif", depth), "kinu-L2_depth")
    areas = geopandas.GeoDataFrame(
        {"class_code": ["3"], "river": [small_city.RIVER], "scale": ["L2"]},
        geometry=[shapely.box(139.8799, 36.5499, 139.8803, 36.5503)], crs=4326,
    )  # fmt: skip
    areas.to_file(folder / "k.gpkg")
    bring(city, folder / "k.gpkg", "midori_rank")
    compute(city, progress=Quiet())
    return city


@pytest.fixture(scope="module")
def table(city: Workspace) -> BuildingTable:
    return BuildingTable(city)


def ids(table: BuildingTable, wanted: Wanted) -> list[int]:
    return np.flatnonzero(table.choose(wanted)).tolist()


def test_every_condition_narrows_and_all_must_hold(table: BuildingTable) -> None:
    everything = table.rows.to_pylist()
    leave = [i for i, r in enumerate(everything) if r["verdict"] == "leave"]
    assert ids(table, Wanted()) == list(range(12))
    assert ids(table, Wanted(verdicts=("leave",))) == leave
    assert ids(table, Wanted(usages=("学校",), verdicts=("leave",))) == [
        i for i in leave if everything[i]["usage"] == "学校"
    ]
    deep = ids(table, Wanted(classes=("3",)))
    assert deep
    assert all(5 <= everything[i]["depth_max_m"] < 10 for i in deep)
    assert ids(table, Wanted(text="緑川小")) == [2]
    assert ids(table, Wanted(text="BLDG-1")) == [1, 10, 11]  # case does not matter
    assert ids(table, Wanted(text="本町一丁目 3番")) == [3]  # all words
    assert ids(table, Wanted(text="ありません")) == []


def test_unrecorded_storeys_are_kept_only_where_storeys_are_not_asked_for(
    table: BuildingTable,
) -> None:
    everything = table.rows.to_pylist()
    found = ids(table, Wanted(storeys=(2, 3)))
    assert found
    assert all(everything[i]["storeys_above"] in {2, 3} for i in found)
    assert not {2, 5, 8, 11} & set(ids(table, Wanted(storeys=(1, None))))


@pytest.mark.parametrize("by", ["district", "depth_class", "verdict", "usage"])
def test_totals_add_up_to_the_buildings_chosen(table: BuildingTable, by: str) -> None:
    chosen = table.choose(Wanted(usages=("住宅", "学校")))
    found = table.totals(chosen, by)  # type: ignore[arg-type]
    assert sum(t.buildings for t in found) == int(chosen.sum())
    assert all(sum(t.verdicts.values()) == t.buildings for t in found)
    area = table.rows["floor_area_m2"].to_numpy()[chosen]
    assert sum(t.floor_area_m2 for t in found) == pytest.approx(float(np.nansum(area)))
    assert sum(t.without_area for t in found) == int(np.isnan(area).sum())


def test_an_unknown_depth_is_a_class_of_its_own_and_never_outside(table: BuildingTable) -> None:
    for row in table.rows.to_pylist():
        assert row["depth_class"] in depth_classes()
        if row["depth_class"] == "outside":
            assert row["verdict"] == "outside_assumed_area"


def test_pages_hold_every_row_once_the_deepest_first(table: BuildingTable) -> None:
    chosen = table.choose(Wanted())
    pages = [table.page(chosen, sort="depth_max_m", size=5, number=i) for i in range(3)]
    together = pa.concat_tables(pages)
    assert sorted(together["gml_id"].to_pylist()) == sorted(table.rows["gml_id"].to_pylist())
    depth = [d for d in together["depth_max_m"].to_pylist() if d is not None]
    assert depth == sorted(depth, reverse=True)
    assert [p.num_rows for p in pages] == [5, 5, 2]


def test_disagreements_are_counted_marked_and_listed(city: Workspace) -> None:
    counted = disagreeing(city, sets_with_tables(city))
    assert set(counted) == {"midori"}
    one = BuildingTable(city, "midori")
    assert len(ids(one, Wanted(disagreeing=True))) == counted["midori"]
    listed = disagreements(city, "combined", "staff").to_pylist()
    assert {
        "set": "midori",
        "building_id": "09999-bldg-0",
        "source": "attribute",
    }.items() <= listed[0].items()


def test_a_missing_or_older_table_is_said(city: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="not been computed"):
        BuildingTable(city, "../buildings")
    bare = small_city.make(tmp_path / "bare")
    with pytest.raises(BadInputError):
        BuildingTable(bare)


def test_files_hold_the_chosen_rows_and_no_formula(city: Workspace, table: BuildingTable) -> None:
    chosen = table.choose(Wanted(text="calc"))
    assert int(chosen.sum()) == 1
    text = download_table(city, table, chosen, "csv", "staff", {"name": "名称"}).decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["名称"].startswith("'=cmd")
    data = download_table(city, table, chosen, "xlsx", "staff", {})
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "=cmd" in sheet  # a text
    everyone = download_table(city, table, table.choose(Wanted()), "gpkg", "staff", {})
    path = city.root.parent / "x.gpkg"
    path.write_bytes(everyone)
    back = geopandas.read_file(path)
    assert len(back) == 12
    assert back.crs.to_epsg() == 6668


def test_nothing_of_it_is_for_the_public(city: Workspace, table: BuildingTable) -> None:
    assert released(table.rows, "public").num_columns == 0
    for form in ("csv", "gpkg"):
        data = download_table(city, table, table.choose(Wanted()), form, "public", {})  # type: ignore[arg-type]
        assert b"bldg" not in data
    assert disagreements(city, "combined", "field").num_columns == 0


def test_more_rows_than_excel_opens_are_refused() -> None:
    with pytest.raises(BadInputError, match="Excel"):
        as_xlsx(pa.table({"a": pa.nulls(1_048_576, pa.int8())}), {})
    assert (
        as_csv(pa.table({"a": [float("nan"), None, 1.0]}), {})
        == b'\xef\xbb\xbfa\r\n""\r\n""\r\n1.0\r\n'
    )
