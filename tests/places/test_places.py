"""Place lists: recognised by column names, decoded, and never positioned by guess."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from citymap.errors import BadInputError
from citymap.places import import_places, locate
from citymap.places.build import recognise
from citymap.places.csv_table import read_csv
from citymap.places.kinds import flag
from citymap.places.kinds.evacuation_site import people
from citymap.workspace import Workspace

SHELTERS = (
    "備考,経度,緯度,名称,ID,所在地_連結表記,災害種別_洪水,災害種別_崖崩れ、土石流及び地滑り,"
    "災害種別_津波,指定避難所との重複,想定収容人数\n"
    ',139.88,36.55,"市立,第一小",1,みどり川市1,1,,0,1,"1,200人"\n'
    ",,,位置なし,2,みどり川市2,1,,,,\n"
    ",36.55,139.88,逆,3,みどり川市3,1,,,,\n"
    '"二行の\n備考",139.89,36.56,第二公園,4,みどり川市4,△,○,,,多数\n'
    ",9.0,46.0,外国,5,,,,,,\n"
    ",東,36.5,文字,6,,,,,,\n"
)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "city")


def _write(path: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_shelters_in_every_encoding(tmp_path: Path, city: Workspace, encoding: str) -> None:
    (report,), failed = import_places(city, [_write(tmp_path / "s.csv", SHELTERS, encoding)])
    assert failed == []
    assert (report.kind, report.read, report.written) == ("evacuation_site", 6, 2)
    assert report.encoding == {"utf-8": "utf-8-sig"}.get(encoding, encoding)
    assert [(s.line, s.id, s.reason) for s in report.skipped] == [
        (3, "2", "no_coordinates"), (4, "3", "axis_order"), (7, "5", "outside_japan"), (8, "6", "bad_numbers"),
    ]  # fmt: skip
    first, second = pq.read_table(city.places / "shelters.parquet").to_pylist()
    assert (first["name"], first["lon"], first["lat"]) == ("市立,第一小", 139.88, 36.55)
    assert (first["flood"], first["landslide"], first["tsunami"]) == (True, None, False)
    assert (first["capacity"], first["also_designated"]) == (1200, True)
    assert (second["flood"], second["conditional"], second["landslide"]) == (None, "flood", True)
    assert (second["capacity"], second["capacity_text"]) == (None, "多数")
    assert json.loads(second["raw"])["備考"] == "二行の\n備考"


def test_importing_again_replaces_and_another_list_adds(tmp_path: Path, city: Workspace) -> None:
    for _ in range(2):
        import_places(city, [_write(tmp_path / "s.csv", SHELTERS)])
    import_places(city, [_write(tmp_path / "t.csv", SHELTERS)])
    table = pq.read_table(city.places / "shelters.parquet")
    assert sorted(table.column("source_file").to_pylist()) == ["s.csv"] * 2 + ["t.csv"] * 2


def test_a_header_of_hash_lines_and_one_position_column(tmp_path: Path, city: Workspace) -> None:
    text = (
        "#LINK,,,\n#lang,ja,,\n#property,name,ssid,location\n#object_type_xsd,string,string,string\n"
        '1,駅前,City_WiFi,"34.35,134.04"\n'
    )
    (report,), _ = import_places(city, [_write(tmp_path / "w.csv", text)])
    assert (report.kind, report.written) == ("wifi", 1)
    (row,) = pq.read_table(city.places / "wifi.parquet").to_pylist()
    assert (row["lon"], row["lat"], row["ssid"], row["line"]) == (134.04, 34.35, "City_WiFi", 5)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("名称,緯度,経度,SSID", "wifi"),
        ("名称,緯度,経度,設置位置,小児対応設備の有無", "aed"),
        ("名称,緯度,経度,指定緊急避難場所との重複,想定収容人数", "evacuation_shelter"),
        ("名称, 緯度 ,経度,災害種別_洪水", "evacuation_site"),
        ("施設・場所名,住所,洪水,崖崩れ、土石流及び地滑り,緯度,経度", "evacuation_site"),
        ("address,lon,lat,district_id", "addresses"),
        ("都道府県名,市区町村名,大字・丁目名,街区符号・地番,緯度,経度", "addresses"),
        ("名称,緯度,経度", None),
        ("name,latitude,longitude,capacity", None),
        ("名称,災害種別_洪水", None),
    ],
)
def test_kinds_by_column_names(header: str, kind: str | None) -> None:
    assert recognise(header.split(",")) == kind


def test_an_unknown_list_is_named_not_guessed(tmp_path: Path, city: Workspace) -> None:
    reports, (failure,) = import_places(city, [_write(tmp_path / "x.csv", "a,b\n1,2\n")])
    assert reports == [] and failure["error"] == "places_unknown" and failure["place"] == "x.csv"
    assert not city.places.exists()


def test_text_in_no_known_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x81\xff\xfe\xa0\xff")
    with pytest.raises(BadInputError) as e:
        read_csv(tmp_path / "x.csv")
    assert e.value.key == "text_encoding"


@pytest.mark.parametrize(
    ("mark", "value"), [("1", True), ("１", True), ("○", True), ("0", False), ("×", False), ("", None),
                        (None, None), ("△", None), ("2階以上", None)],
)  # fmt: skip
def test_a_mark_that_is_not_yes_is_never_yes(mark: str | None, value: bool | None) -> None:
    assert flag(mark) is value


@pytest.mark.parametrize(
    ("text", "value"), [("620人", 620), ("約１，２００", 1200), ("1人/3.3㎡", None), ("", None)]
)
def test_capacity_only_where_it_is_a_number(text: str, value: int | None) -> None:
    assert people(text) == value


def _square(lon: float, lat: float) -> dict[str, object]:
    ring = [[lon, lat], [lon + 0.01, lat], [lon + 0.01, lat + 0.01], [lon, lat + 0.01], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def _districts(path: Path, features: list[tuple[dict[str, object], dict[str, object]]]) -> Path:
    collection = [{"type": "Feature", "properties": p, "geometry": g} for p, g in features]
    return _write(path, json.dumps({"type": "FeatureCollection", "features": collection}), "utf-8")


def test_districts_join_parts_and_hold_addresses(tmp_path: Path, city: Workspace) -> None:
    geo = _districts(tmp_path / "d.geojson", [
        ({"KEY_CODE": "099990010", "S_NAME": "杉並木", "HCODE": 8101}, _square(139.88, 36.55)),
        ({"KEY_CODE": "099990010", "S_NAME": "杉並木", "HCODE": 8101}, _square(139.92, 36.55)),
        ({"KEY_CODE": "099990020", "S_NAME": "船場", "HCODE": 8101}, _square(139.90, 36.55)),
        ({"KEY_CODE": "099990030", "S_NAME": "", "HCODE": 8154}, _square(139.96, 36.55)),
        ({"KEY_CODE": "099990040", "S_NAME": "逆", "HCODE": 8101}, _square(36.55, 139.90)),
    ])  # fmt: skip
    csv = _write(
        tmp_path / "a.csv", "住所,緯度,経度\n船場1,36.555,139.905\n海1,36.0,140.9\n", "cp932"
    )
    for _ in range(2):
        reports, failed = import_places(city, [csv, geo])
        assert failed == [] and [(r.kind, r.written) for r in reports] == [
            ("districts", 2),
            ("addresses", 2),
        ]
        assert [s.reason for s in reports[0].skipped] == ["water_surface", "axis_order"]
    assert pq.read_table(city.districts).column("name").to_pylist() == ["杉並木", "船場"]
    assert locate(city, [139.885, 139.925, 139.905, 139.0], [36.555] * 4) == [
        "099990010", "099990010", "099990020", None,
    ]  # fmt: skip
    found = {r["address"]: r["district_id"] for r in pq.read_table(city.addresses).to_pylist()}
    assert found == {"船場1": "099990020", "海1": None}


def test_a_district_shapefile_in_cp932_and_a_plane_zone(tmp_path: Path, city: Workspace) -> None:
    import numpy as np
    import pyogrio
    import shapely

    from citymap import crs

    x, y = crs.project(139.88, 36.55, 6677)
    pyogrio.raw.write(
        tmp_path / "h27ka09999.shp",
        shapely.to_wkb(np.array([shapely.box(float(x), float(y), float(x) + 900, float(y) + 900)])),
        [np.array(["099990010"], object), np.array(["船場一丁目"], object)], ["KEY_CODE", "S_NAME"],
        geometry_type="Polygon", crs="EPSG:6677", encoding="cp932", driver="ESRI Shapefile",
    )  # fmt: skip
    (tmp_path / "h27ka09999.cpg").unlink(missing_ok=True)
    (report,), failed = import_places(city, [tmp_path / "h27ka09999.shp"])
    assert failed == [] and (report.kind, report.encoding, report.written) == (
        "districts",
        "cp932",
        1,
    )
    assert pq.read_table(city.districts).column("name").to_pylist() == ["船場一丁目"]
    assert locate(city, 139.885, 36.554) == ["099990010"]


def test_a_vrt_named_geojson_is_refused(tmp_path: Path, city: Workspace) -> None:
    _write(tmp_path / "x.geojson", "<OGRVRTDataSource/>", "utf-8")
    _, (failure,) = import_places(city, [tmp_path / "x.geojson"])
    assert failure["error"] == "vector_format"


def test_real_lists(real_data: Path, city: Workspace) -> None:
    files = sorted((real_data / "shelters_csv").rglob("*.csv"))
    reports, failed = import_places(city, files)
    found = {r.file: (r.kind, r.read, r.written) for r in reports}
    assert found == {
        "0002.csv": ("aed", 514, 514), "0060.csv": ("evacuation_site", 193, 193), "0064.csv": ("wifi", 25, 25),
    }  # fmt: skip
    assert {f["error"] for f in failed} == {"places_unknown"}
    flood = pq.read_table(city.places / "shelters.parquet").column("flood").to_pylist()
    assert 0 < sum(v is True for v in flood) < 193
