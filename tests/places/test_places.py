"""Place lists: recognised by column names, decoded, and never positioned by guess."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from citymap.errors import BadInputError
from citymap.places import edits, import_places, locate
from citymap.places.build import recognise
from citymap.places.csv_table import read_csv
from citymap.places.kinds import flag
from citymap.places.kinds.evacuation_site import people
from citymap.places.repairs import municipality_code
from citymap.workspace import City, Workspace

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
    assert (report.kind, report.read, report.written) == ("evacuation_site", 6, 3)
    assert report.encoding == {"utf-8": "utf-8-sig"}.get(encoding, encoding)
    assert [(s.line, s.id, s.reason) for s in report.skipped] == [
        (3, "2", "address_unknown"), (7, "5", "outside_japan"), (8, "6", "bad_numbers"),
    ]  # fmt: skip
    assert [(r.line, r.reason, r.after) for r in report.repairs] == [
        (4, "swapped", "139.88, 36.55")
    ]
    first, turned, second = pq.read_table(city.places / "shelters.parquet").to_pylist()
    assert (turned["name"], turned["lon"], turned["lat"]) == ("逆", 139.88, 36.55)
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
    assert sorted(table.column("source_file").to_pylist()) == ["s.csv"] * 3 + ["t.csv"] * 3
    ids = table.column("place_id").to_pylist()
    assert len(set(ids)) == 6  # two lists may number their places alike


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


def test_lost_zeros_and_wide_digits_are_restored_and_told(tmp_path: Path, city: Workspace) -> None:
    text = (
        "全国地方公共団体コード,ID,名称,緯度,経度,災害種別_洪水,電話番号,郵便番号\n"
        "92011,0001,甲,３６．５５,１３９．８８,1,28-632-2052,3208540\n"
        "092011,2,乙,36.55,139.88,,028-632-2052,3208540\n"
    )
    (report,), _ = import_places(city, [_write(tmp_path / "u.csv", text, "cp932")])
    told = {(r.line, r.reason, r.after) for r in report.repairs}
    assert told == {
        (2, "leading_zero", "092011"), (2, "leading_zero", "028-632-2052"),
        (2, "full_width", "139.88, 36.55"), (3, "leading_zero", "0002"),
    }  # fmt: skip
    first, second = pq.read_table(city.places / "shelters.parquet").to_pylist()
    assert (first["lon"], first["lat"], second["place_id"]) == (139.88, 36.55, "0002")
    assert json.loads(first["raw"])["全国地方公共団体コード"] == "092011"
    assert (city.places / "u.csv.repairs.csv").read_text(encoding="utf-8").count("\n") == 5


@pytest.mark.parametrize(
    ("code", "own", "right"),
    [("92011", "", "092011"), ("11002", "", "11002"), ("11002", "01100", "011002"), ("9201", "", "09201"),
     ("37201", "", "37201"), ("372013", "", "372013"), ("x", "", "x")],
)  # fmt: skip
def test_a_code_gets_its_zero_only_where_that_is_sure(code: str, own: str, right: str) -> None:
    assert municipality_code(code, own) == right


def test_a_place_without_position_is_found_by_its_address(tmp_path: Path, city: Workspace) -> None:
    city.write_city(City("みどり川市（架空）", "09999", 6677))
    addresses = _write(tmp_path / "a.csv", "住所,緯度,経度\nみどり川市船場1-2-3,36.555,139.905\n")
    text = (
        "名称,住所,緯度,経度,災害種別_洪水\n公民館,架空県みどり川市船場一丁目２番３号,,,1\n"
        "別館,みどり川市船場1-2-3-4,,,1\n不明,みどり川市よそ1-1,,,1\n"
    )
    reports, failed = import_places(city, [_write(tmp_path / "0.csv", text), addresses])
    assert failed == []
    report = next(r for r in reports if r.kind == "evacuation_site")
    assert [r.reason for r in report.repairs] == ["position_by_address", "position_by_block"]
    assert [s.reason for s in report.skipped] == ["address_unknown"]
    rows = pq.read_table(city.places / "shelters.parquet").to_pylist()
    assert [(r["lon"], r["lat"]) for r in rows] == [(139.905, 36.555)] * 2


def test_cells_beyond_the_header_are_told(tmp_path: Path, city: Workspace) -> None:
    text = "名称,緯度,経度,災害種別_洪水\n公民館,36.5,139.8,1,よぶん\n"
    (report,), _ = import_places(city, [_write(tmp_path / "x.csv", text)])
    assert [(r.reason, r.before) for r in report.repairs] == [("beyond_header", "よぶん")]


def test_p20_says_for_what_a_facility_is_meant_and_never_for_what_not(
    tmp_path: Path, city: Workspace
) -> None:
    properties = {
        "P20_001": "09999", "P20_002": "第一小", "P20_003": "船場1", "P20_004": "小学校", "P20_005": -1,
        "P20_006": -1, "P20_007": 1, "P20_008": 0, "P20_009": 1, "P20_010": 0, "P20_011": 0, "P20_012": 0,
    }  # fmt: skip
    point = {"type": "Point", "coordinates": [139.88, 36.55]}
    path = _districts(tmp_path / "P20-12_09.geojson", [(properties, point)])
    (report,), failed = import_places(city, [path])
    assert failed == [] and (report.kind, report.written) == ("p20", 1)
    (row,) = pq.read_table(city.places / "shelters.parquet").to_pylist()
    assert (row["flood"], row["earthquake"], row["tsunami"], row["capacity"]) == (
        True, True, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "row", "table", "said"),
    [
        ("NO,名称,住所,緯度,経度,医療機関の種類,診療科目,病床数", "1,市立病院,町1,36.5,139.8,病院,内科;外科,120",
         "hospitals", {"category": "病院", "departments": "内科;外科", "beds": 120}),
        ("NO,名称,名称_通称,POIコード,住所,緯度,経度,バリアフリー情報", "1,市民会館,ホール,1101,町2,36.5,139.8,車椅子可",
         "facilities", {"common_name": "ホール", "category": "1101", "barrier_free": "車椅子可"}),
        ("NO,名称,所在地_連結表記,緯度,経度,設置位置,小児対応設備の有無", "1,駅,町3,36.5,139.8,1階,有",
         "aed", {"position": "1階", "for_children": "有"}),
        ("name,address,shelter,capacity,district,location", '館,町4,２階,150,松島,"36.5,139.8"',
         "shelters", {"tsunami": True, "flood": None, "capacity": 150, "target_areas": "松島"}),
    ],
)  # fmt: skip
def test_other_standard_lists(
    tmp_path: Path, city: Workspace, header: str, row: str, table: str, said: dict[str, object]
) -> None:
    (report,), failed = import_places(city, [_write(tmp_path / "o.csv", f"{header}\n{row}\n")])
    assert failed == [] and report.written == 1
    (read,) = pq.read_table(city.places / f"{table}.parquet").to_pylist()
    assert {k: read[k] for k in said} == said


def test_an_edit_has_a_history_and_outlives_the_next_import(
    tmp_path: Path, city: Workspace
) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    path = _write(tmp_path / "s.csv", SHELTERS)
    import_places(city, [path])
    made = edits.change(city, "shelters", "1", {"capacity": 300, "flood": None}, by="佐藤", at=at)
    assert [(e.field, e.before, e.after) for e in made] == [
        ("capacity", 1200, 300),
        ("flood", True, None),
    ]
    assert edits.change(city, "shelters", "1", {"capacity": 300}, by="佐藤", at=at) == []
    import_places(city, [path])
    row = pq.read_table(city.places / "shelters.parquet").to_pylist()[0]
    assert (row["capacity"], row["flood"]) == (300, None)
    newer = SHELTERS.replace('"1,200人"', '"900人"')
    (report,), _ = import_places(city, [_write(tmp_path / "s.csv", newer)])
    row = pq.read_table(city.places / "shelters.parquet").to_pylist()[0]
    assert (row["capacity"], row["flood"], report.overtaken) == (900, None, 1)  # the list holds
    assert len(edits.history(city, "shelters", "1")) == 2
    for place, values in (
        ("999", {"capacity": 1}),
        ("1", {"raw": "x"}),
        ("1", {"capacity": "many"}),
    ):
        with pytest.raises(BadInputError):
            edits.change(city, "shelters", place, values, by="佐藤", at=at)


def test_real_lists(real_data: Path, city: Workspace) -> None:
    files = sorted((real_data / "shelters_csv").rglob("*.csv"))
    reports, failed = import_places(city, files)
    assert failed == []
    assert {r.file: (r.kind, r.read, r.written, r.skipped) for r in reports} == {
        "0002.csv": ("aed", 514, 514, ()), "0060.csv": ("evacuation_site", 193, 193, ()),
        "0061.csv": ("tsunami_building", 114, 114, ()), "0064.csv": ("wifi", 25, 25, ()),
        "data.csv": ("tsunami_building", 113, 113, ()),
    }  # fmt: skip
    flood = pq.read_table(city.places / "shelters.parquet").column("flood").to_pylist()
    assert 0 < sum(v is True for v in flood) < 193


def test_real_lists_of_the_gsi_and_of_a_prefecture(real_data: Path, city: Workspace) -> None:
    folder = real_data / "shelters_gsi" / "motohasystem+jp-shelter-api" / "docs/api/v0"
    for code, sites, shelters, flood in (
        ("431001", 317, 182, 220), ("271004", 3088, 875, 1654), ("092045", 58, 58, 46),
    ):  # fmt: skip
        files = []
        for kind in ("emergency", "evacuation"):
            files.append(city.root.parent / f"{code}-{kind}.geojson")
            files[-1].write_bytes((folder / kind / f"{code}.json").read_bytes())
        here = Workspace(city.root / code)
        reports, failed = import_places(here, files)
        assert failed == []
        assert [(r.kind, r.read, r.written, r.skipped) for r in reports] == [
            ("evacuation_site", sites, sites, ()), ("evacuation_shelter", shelters, shelters, ()),
        ]  # fmt: skip
        table = pq.read_table(here.places / "shelters.parquet")
        marks = table.column("flood").to_pylist()
        assert (marks.count(True), marks.count(False)) == (flood, 0)  # blank is never "no"
        assert len(set(table.column("place_id").to_pylist())) == sites + shelters
    reports, failed = import_places(
        city, [real_data / "shelters_gsi" / "Project-PLATEAU+Earthquake-simulation-tools/static/shelter.geojson"]
    )  # fmt: skip
    assert failed == [] and [(r.kind, r.read, r.written) for r in reports] == [
        ("evacuation_shelter", 314, 314)
    ]
    closed = city.root / "111015.geojson"
    closed.write_bytes((folder / "emergency" / "111015.json").read_bytes())
    assert import_places(city, [closed])[1][0]["error"] == "vector_broken"
