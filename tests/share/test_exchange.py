"""Exported layers read back by GDAL hold the same things, in the CRS and names that were asked for."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from rasterio.transform import from_origin
from tests import small_city
from tests.share import planted

from citymap import crs
from citymap.errors import BadInputError
from citymap.layers.catalogue import Audience
from citymap.places import edits, import_places
from citymap.share.exchange import export
from citymap.share.exchange.export import layer_ids, load
from citymap.share.exchange.formats.shapefile import field_names
from citymap.share.exchange.formats.standard_csv import LAYOUTS
from citymap.workspace import Workspace

FORMATS = ("gpkg", "shp", "geojson", "parquet", "fgb", "kml", "csv", "dxf")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
BOX = (-11000.0, -5000.0)  # east, north in zone IX, beside the small city


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = small_city.make(tmp_path_factory.mktemp("city"))
    workspace.places.mkdir()
    pq.write_table(
        pa.table({
            "place_id": ["0001", "0002"], "kind": ["evacuation_site"] * 2, "name": ["緑川小学校", "𠮷田公民館"],
            "name_kana": ["ミドリカワ", None], "name_en": ["Midorikawa School", None], "address": ["=1+1", "本町1"],
            "lon": [139.8801234, 139.8812345], "lat": [36.5501234, 36.5512345], "source_file": ["s.csv"] * 2,
            "line": pa.array([2, 3], pa.int32()), "raw": ['{"電話番号": "0289-00-0000"}'] * 2,
            "flood": [True, None], "capacity": pa.array([390, None], pa.int32()), "capacity_text": ["390人", None],
        }),
        workspace.places / "shelters.parquet",
    )  # fmt: skip
    workspace.hazards.mkdir()
    depth = np.full((20, 20), np.nan, np.float32)
    depth[2:6, 2:6], depth[10:14, 3:9], depth[18, 18] = 0.3, 3.0, 0.0
    with rasterio.open(
        workspace.hazards / "river-L2.tif", "w", driver="GTiff", width=20, height=20, count=1, dtype="float32",
        crs="EPSG:6677", transform=from_origin(*BOX, 10, 10), nodata=np.nan,
    ) as out:  # fmt: skip
        out.write(depth, 1)
    (workspace.hazards / "river-L2.toml").write_text(
        'id = "river-L2"\nlegend = "depth"\nname = "みどり川"\nscale = "L2"\n', encoding="utf-8"
    )
    return workspace


@pytest.mark.parametrize("form", FORMATS)
def test_gdal_counts_the_same_buildings_at_the_same_places(
    city: Workspace, tmp_path: Path, form: str
) -> None:
    out = tmp_path / f"buildings.{form}"
    export(city, "buildings", form, out, epsg=6677 if form in {"gpkg", "fgb", "parquet"} else None)
    original = pq.read_table(city.buildings)
    expected = shapely.from_wkb(original["geometry"].to_pylist())
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig"))))
        found = shapely.points([(float(r["lon"]), float(r["lat"])) for r in rows])
        assert shapely.intersects(expected, found).all()
        return
    if form == "parquet":
        table = pq.read_table(out)
        about = json.loads(table.schema.metadata[b"geo"])
        assert about["columns"]["geometry"]["crs"]["id"]["code"] == 6677
        found, epsg = shapely.from_wkb(table["geometry"].to_pylist()), 6677
    else:
        read = pyogrio.read_dataframe(out)
        found = np.asarray(read.geometry)
        epsg = read.crs.to_epsg() if read.crs is not None else 6677
        if form == "geojson":
            epsg = 4326
        if form != "dxf":
            ids = next(c for c in ("building_id", "bldg_id") if c in read.columns)
            order = {b: i for i, b in enumerate(original["building_id"].to_pylist())}
            read = read.iloc[np.argsort([order[b] for b in read[ids]])]  # FlatGeobuf sorts by place
            assert list(read[ids]) == list(order)
            found = np.asarray(read.geometry)
    if form == "dxf":
        found = shapely.get_parts(shapely.polygonize(found))
        expected = expected[np.argsort(shapely.get_x(shapely.centroid(expected)))]
        found = found[np.argsort(shapely.get_x(shapely.centroid(found)))]
    assert len(found) == len(expected)
    back = shapely.centroid(found)
    x, y = shapely.get_x(back), shapely.get_y(back)
    if epsg == 6677:
        x, y = crs.unproject(x, y, 6677)
    middle = shapely.centroid(expected)
    assert np.abs(x - shapely.get_x(middle)).max() < 1e-6
    assert np.abs(y - shapely.get_y(middle)).max() < 1e-6


def test_geoparquet_keeps_nested_risks_as_they_are(city: Workspace, tmp_path: Path) -> None:
    export(city, "buildings", "parquet", tmp_path / "b.parquet")
    ours, original = pq.read_table(tmp_path / "b.parquet"), pq.read_table(city.buildings)
    assert repr(ours["risks"].to_pylist()) == repr(original["risks"].to_pylist())


def test_a_shapefile_has_cp932_short_names_and_the_worst_risks(
    city: Workspace, tmp_path: Path
) -> None:
    written = export(city, "buildings", "shp", tmp_path / "b.shp")
    names = pyogrio.read_info(tmp_path / "b.shp", encoding="cp932")["fields"]
    assert all(len(n.encode("cp932")) <= 10 for n in names)
    assert (tmp_path / "b.cpg").read_text() == "CP932"
    read = pyogrio.read_dataframe(tmp_path / "b.shp")
    assert list(read["usage"])[:3] == list(small_city.USAGES)
    original = pq.read_table(city.buildings)["risks"].to_pylist()
    worst = [max((r["depth_m"] for r in rs if r["scale"] == "L2"), default=None) for rs in original]
    assert [None if np.isnan(v) else v for v in read["rivL2_dep"]] == pytest.approx(worst)
    dictionary = written.files[-1].read_text(encoding="utf-8-sig")
    assert "bldg_id,building_id" in dictionary


def test_what_cp932_lacks_is_marked_and_told(city: Workspace, tmp_path: Path) -> None:
    written = export(city, "shelters", "shp", tmp_path / "s.shp")
    assert ("export_lost_characters", {"count": 1}) in written.notes
    assert "〓田公民館" in list(pyogrio.read_dataframe(tmp_path / "s.shp")["name"])
    export(city, "shelters", "gpkg", tmp_path / "s.gpkg")
    assert "𠮷田公民館" in list(
        pyogrio.read_dataframe(tmp_path / "s.gpkg", layer="shelters")["name"]
    )


def test_shelters_go_out_in_the_municipal_standard_layout(city: Workspace, tmp_path: Path) -> None:
    export(city, "shelters", "csv", tmp_path / "s.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text(encoding="utf-8-sig"))))
    assert [r["災害種別_洪水"] for r in rows] == ["1", ""]
    assert rows[0]["緯度"] == "36.5501234"
    assert rows[0]["所在地_連結表記"] == "'=1+1"  # no spreadsheet runs it
    assert rows[0]["電話番号"] == ""  # not described for the public
    export(city, "shelters", "csv", tmp_path / "staff.csv", audience="staff")
    staff = list(
        csv.DictReader(io.StringIO((tmp_path / "staff.csv").read_text(encoding="utf-8-sig")))
    )
    assert staff[0]["電話番号"] == "0289-00-0000"


def test_a_depth_grid_becomes_areas_of_the_official_classes(
    city: Workspace, tmp_path: Path
) -> None:
    export(city, "hazard-river-L2", "gpkg", tmp_path / "h.gpkg", epsg=6677)
    read = pyogrio.read_dataframe(tmp_path / "h.gpkg", layer="hazard-river-L2")
    area = read.set_index("min").geometry.area
    assert area.to_dict() == pytest.approx({0.0: 1600, 3.0: 2400}, rel=1e-4)  # dry is no area
    styles = pyogrio.read_dataframe(tmp_path / "h.gpkg", layer="layer_styles", read_geometry=False)
    assert (
        etree.fromstring(styles["styleQML"][0].removeprefix("<!DOCTYPE qgis>")).find("renderer-v2")
        is not None
    )


def test_a_zip_carries_metadata_and_true_checksums(city: Workspace, tmp_path: Path) -> None:
    export(city, "buildings", "gpkg", tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        for line in archive.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        tree = etree.fromstring(archive.read("metadata.xml"))
        west = tree.findtext(".//{*}westBoundLongitude/{*}Decimal")
        assert float(west or "nan") == pytest.approx(small_city.WEST)
        assert "架空" in archive.read("README.txt").decode("utf-8-sig")


@pytest.mark.parametrize(
    ("layer", "form", "epsg", "key"),
    [
        ("nothing", "gpkg", None, "export_no_layer"), ("buildings", "xlsx", None, "export_format"),
        ("buildings", "gpkg", 4301, "export_crs"), ("buildings", "geojson", 6677, "export_crs_fixed"),
    ],
)  # fmt: skip
def test_a_wrong_wish_writes_nothing(
    city: Workspace, tmp_path: Path, layer: str, form: str, epsg: int | None, key: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        export(city, layer, form, tmp_path / "x", epsg=epsg)
    assert caught.value.key == key
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(
        st.text(alphabet=st.sampled_from("abcXYZ_0123災害種別洪水高潮ﾊｻﾞｰﾄﾞ"), min_size=1),
        unique=True,
        max_size=40,
    )
)
def test_short_names_never_collide(names: list[str]) -> None:
    short = field_names(names)
    assert len({s.lower() for s in short.values()}) == len(names)
    assert all(0 < len(s.encode("cp932")) <= 10 for s in short.values())


def test_a_list_in_the_standard_layout_comes_back_exactly(tmp_path: Path) -> None:
    city = small_city.make(tmp_path / "standard")
    header = LAYOUTS["shelters"][0]
    first = dict.fromkeys(header, "") | {
        "全国地方公共団体コード": "092011", "ID": "0001", "名称": "第一小", "名称_カナ": "ダイイチショウ",
        "所在地_連結表記": "本町1-2", "緯度": "36.5500", "経度": "139.880000", "標高": "-1.5", "災害種別_洪水": "1",
        "災害種別_地震": "0", "災害種別_津波": "△", "想定収容人数": "1,200人", "電話番号": "028-000-0000",
        "連絡先備考（その他、SNSなど）": "LINE", "備考": "二行の\n備考, 「引用」",
    }  # fmt: skip
    second = first | {"ID": "", "名称": "第二公園", "災害種別_洪水": ""}
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows([first, second])
    source = tmp_path / "list.csv"
    source.write_bytes(text.getvalue().encode("utf-8-sig"))
    (report,), failed = import_places(city, [source])
    assert failed == [] and report.skipped == () and report.repairs == ()
    export(city, "shelters", "csv", tmp_path / "back.csv", audience="staff")
    assert _cells(tmp_path / "back.csv") == _cells(source)
    export(city, "shelters", "csv", tmp_path / "public.csv")
    public = csv.DictReader(io.StringIO((tmp_path / "public.csv").read_text(encoding="utf-8-sig")))
    contact = ("電話番号", "連絡先備考（その他、SNSなど）")
    assert next(public) == first | dict.fromkeys(contact, "")  # all but whom to reach
    import_places(city, [tmp_path / "back.csv"])  # and in again: the same
    edits.change(city, "shelters", "0001", {"flood": None, "address": None}, by="職員", at=NOW)
    export(city, "shelters", "csv", tmp_path / "edited.csv", audience="staff")
    changed = _cells(tmp_path / "edited.csv")[1]
    assert (changed[header.index("災害種別_洪水")], changed[header.index("所在地_連結表記")]) == (
        "",
        "",
    )


def _cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_an_own_layer_goes_to_those_and_with_those_columns_that_it_names(tmp_path: Path) -> None:
    city = small_city.make(tmp_path / "city")
    rows = {
        "name": ["坂"],
        "owner": ["himitsu"],
        "geometry": [shapely.to_wkb(shapely.Point(139.88, 36.55))],
    }
    city.layers.mkdir(exist_ok=True)
    pq.write_table(pa.table(rows), city.layers / "spots.parquet")
    about = (
        'id = "own-spots"\ntitle = { ja = "冠水しやすい所" }\naudience = ["staff"]\nattribution = { ja = "市" }\n'
        'licence = "CC-BY-4.0"\nvintage = "2025"\n[source]\nkind = "vector"\npath = "layers/spots.parquet"\nfields = ["name"]\n'
    )
    (city.layers / "own-spots.toml").write_text(about, encoding="utf-8")
    assert "layer-own-spots" in layer_ids(city)
    assert load(city, "layer-own-spots", "staff").table.column_names == ["name", "geometry"]
    with pytest.raises(BadInputError) as caught:
        load(city, "layer-own-spots", "public")
    assert caught.value.key == "export_not_for"
    (city.layers / "own-spots.toml").write_text(
        about.replace("layers/spots", "../spots"), encoding="utf-8"
    )
    (city.root.parent / "spots.parquet").write_bytes((city.layers / "spots.parquet").read_bytes())
    assert "layer-own-spots" not in layer_ids(city)


def test_whom_to_reach_about_a_report_is_in_no_layer(tmp_path: Path) -> None:
    city = small_city.make(tmp_path / "city")
    planted.plant_reports(city)
    audiences: tuple[Audience, ...] = ("public", "field", "staff", "planner", "admin")
    for audience in audiences:
        table = load(city, "reports", audience).table
        assert table.num_rows
        assert "contact" not in table.column_names
    assert "text" in load(city, "reports", "staff").table.column_names
