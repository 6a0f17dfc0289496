"""What the building reader makes of CityGML: the fast and the strict reader agree, values are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.errors import BadInputError
from citymap.plateau import _kernels, scanner, strict
from citymap.plateau.buildings import BuildingTables, assemble
from citymap.plateau.header import read_header

from . import citygml as gml


def decode(space: str, code: str) -> str | None:
    return f"{space.rsplit('/', 1)[-1].removesuffix('.xml')}:{code}"


def plain(table: pa.Table) -> pa.Table:
    fields = [
        pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def read(path: Path, *, fast: bool, chunk_bytes: int = scanner.CHUNK_BYTES) -> list[BuildingTables]:
    header = read_header(path)
    chunks = (
        (t for t, _ in scanner.read_chunks(header, chunk_bytes))
        if fast
        else strict.read_chunks(header)
    )
    return [assemble(t, decode=decode, source_file=path.name, edition="2024") for t in chunks]


def joined(parts: list[BuildingTables], name: str) -> dict[str, list[object]]:
    rows = pa.concat_tables([plain(getattr(p, name)) for p in parts]).to_pydict()
    rows.pop("item", None)
    return rows


def assert_same(a: list[BuildingTables], b: list[BuildingTables]) -> None:
    for name in ("buildings", "surfaces", "attributes"):
        x, y = joined(a, name), joined(b, name)
        assert x.keys() == y.keys()
        for column in x:
            if column == "geometry":
                gx, gy = shapely.from_wkb(x[column]), shapely.from_wkb(y[column])
                assert np.array_equal(
                    shapely.get_num_coordinates(gx), shapely.get_num_coordinates(gy)
                )
                cx, cy = (shapely.get_coordinates(g, include_z=True) for g in (gx, gy))
                np.testing.assert_allclose(cx, cy, rtol=1e-15, atol=2e-13)
            elif x[column] and isinstance(
                next((v for v in x[column] if v is not None), None), float
            ):
                for p, q in zip(x[column], y[column], strict=True):
                    assert (p is None) == (q is None)
                    assert p is None or p == pytest.approx(q, rel=1e-6)
            else:
                assert x[column] == y[column], column


def write(tmp_path: Path, text: str, name: str = "53394525_bldg_6697_op.gml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_fast_and_strict_reader_agree_on_every_real_file(real_data: Path) -> None:
    files = sorted((real_data / "plateau_citygml").rglob("*bldg*.gml"))
    assert len(files) > 20
    for path in files:
        try:
            fast = read(path, fast=True)
        except scanner.NeedsStrictError:
            continue
        assert_same(fast, read(path, fast=False))


def test_chunk_size_does_not_change_the_result(tmp_path: Path) -> None:
    path = write(tmp_path, gml.model(*(gml.simple(f"b{i}", i) for i in range(40))))
    whole = read(path, fast=True)
    small = read(path, fast=True, chunk_bytes=4096)
    assert len(small) > 3
    assert_same(whole, small)


def test_all_levels_parts_and_holes_are_read(tmp_path: Path) -> None:
    lon, lat = 139.85, 36.55
    outer, hole = gml.square(lon, lat, 0, 0.001), gml.square(lon + 0.0003, lat + 0.0003, 0, 0.0002)
    roof = gml.polygon(gml.square(lon, lat, 112.0), gml_id="roof1")
    wall = gml.polygon(
        [
            (lon, lat, 100),
            (lon + 0.0001, lat, 100),
            (lon + 0.0001, lat, 112),
            (lon, lat, 112),
            (lon, lat, 100),
        ],
        gml_id="wall1",
    )
    surfaces = "".join(
        f"<bldg:boundedBy><bldg:{kind}><bldg:lod2MultiSurface><gml:MultiSurface>{gml.member(p)}</gml:MultiSurface>"
        f"</bldg:lod2MultiSurface></bldg:{kind}></bldg:boundedBy>"
        for kind, p in (("RoofSurface", roof), ("WallSurface", wall))
    )
    links = '<gml:surfaceMember xlink:href="#roof1"/><gml:surfaceMember xlink:href="#wall1"/>'
    lod2 = f"<bldg:lod2Solid><gml:Solid><gml:exterior><gml:CompositeSurface>{links}</gml:CompositeSurface></gml:exterior></gml:Solid></bldg:lod2Solid>"
    part = (
        '<bldg:consistsOfBuildingPart><bldg:BuildingPart gml:id="p1"><bldg:measuredHeight uom="m">31.5</bldg:measuredHeight>'
        + gml.solid(1, gml.box_faces(lon, lat, 100, 131.5))
        + "</bldg:BuildingPart></bldg:consistsOfBuildingPart>"
    )
    body = (
        gml.footprint(gml.polygon(outer, hole))
        + gml.solid(1, gml.box_faces(lon, lat, 100, 112))
        + surfaces
        + lod2
        + part
    )
    path = write(tmp_path, gml.model(gml.building("b1", body)))
    for fast in (True, False):
        tables = read(path, fast=fast)[0]
        row = plain(tables.buildings).to_pylist()[0]
        assert row["lod"] == 2
        assert row["measured_height_m"] == 31.5
        assert (row["ground_elevation_m"], row["roof_elevation_m"]) == (100.0, 131.5)
        shape = shapely.from_wkb(row["geometry"])
        assert len(shape.interiors) == 1
        assert shape.exterior.is_ccw
        kinds = {
            (s["lod"], s["kind"]): shapely.from_wkb(s["geometry"])
            for s in plain(tables.surfaces).to_pylist()
        }
        assert set(kinds) == {(0, "footprint"), (1, "solid"), (2, "roof"), (2, "wall")}
        assert len(kinds[1, "solid"].geoms) == 12
        assert kinds[2, "roof"].geoms[0].exterior.coords[0] == (lon, lat, 112.0)


def test_surface_links_into_the_solid_name_its_polygons(tmp_path: Path) -> None:
    lon, lat = 139.85, 36.55
    faces = [
        gml.polygon(gml.square(lon, lat, 110), gml_id="f1"),
        gml.polygon(gml.square(lon, lat, 100), gml_id="f2"),
    ]
    surface = (
        "<bldg:boundedBy><bldg:RoofSurface><bldg:lod2MultiSurface><gml:MultiSurface>"
        '<gml:surfaceMember xlink:href="#f1"/></gml:MultiSurface></bldg:lod2MultiSurface></bldg:RoofSurface></bldg:boundedBy>'
    )
    dangling = surface.replace("#f1", "#nowhere")
    path = write(tmp_path, gml.model(gml.building("b1", gml.solid(2, faces) + surface + dangling)))
    for fast in (True, False):
        tables = read(path, fast=fast)[0]
        assert {s["kind"] for s in plain(tables.surfaces).to_pylist()} == {"roof", "solid"}
        assert [s.reason for s in tables.skipped] == ["href_dangling"]


def test_sentinels_and_gaps_become_null(tmp_path: Path) -> None:
    extra = (
        '<bldg:class codeSpace="../../codelists/Building_class.xml">3001</bldg:class>'
        '<bldg:usage codeSpace="../../codelists/Building_usage.xml">411</bldg:usage>'
        '<bldg:usage codeSpace="../../codelists/Building_usage.xml">402</bldg:usage>'
        "<bldg:yearOfConstruction>0001</bldg:yearOfConstruction>"
        '<bldg:measuredHeight uom="m">-9999</bldg:measuredHeight>'
        "<bldg:storeysAboveGround>9999</bldg:storeysAboveGround><bldg:storeysBelowGround>0</bldg:storeysBelowGround>"
    )
    path = write(tmp_path, gml.model(gml.simple("b1", 0, extra)))
    for fast in (True, False):
        row = plain(read(path, fast=fast)[0].buildings).to_pylist()[0]
        assert row["measured_height_m"] is None
        assert row["storeys_above"] is None
        assert row["storeys_below"] == 0
        assert row["year_built"] is None
        assert row["usage_code"] == "411;402"
        assert row["usage"] == "Building_usage:411;Building_usage:402"
        assert row["structure"] is None
        assert row["building_id"] == "b1"
        assert row["risks"] == []


@pytest.mark.parametrize(
    "name", ["RiverFloodingRiskAttribute", "BuildingRiverFloodingRiskAttribute"]
)
def test_every_risk_attribute_is_kept(tmp_path: Path, name: str) -> None:
    def risk(river: str, scale: str, depth: str) -> str:
        return (
            f"<uro:bldgDisasterRiskAttribute><uro:{name}>"
            f'<uro:description codeSpace="../../codelists/rivers.xml">{river}</uro:description>'
            f'<uro:rank codeSpace="../../codelists/rank.xml">2</uro:rank><uro:depth uom="m">{depth}</uro:depth>'
            f'<uro:adminType codeSpace="../../codelists/admin.xml">1</uro:adminType>'
            f'<uro:scale codeSpace="../../codelists/scale.xml">{scale}</uro:scale>'
            f'<uro:duration uom="hour">13.5</uro:duration></uro:{name}></uro:bldgDisasterRiskAttribute>'
        )

    extra = risk("1", "1", "0.4") + risk("1", "2", "2.9") + risk("7", "2", "-9999")
    path = write(tmp_path, gml.model(gml.simple("b0"), gml.simple("b1", 1, extra)))
    for fast in (True, False):
        rows = plain(read(path, fast=fast)[0].buildings).to_pylist()
        assert rows[0]["risks"] == []
        risks = rows[1]["risks"]
        assert [(r["name"], r["scale"], r["depth_m"]) for r in risks] == [
            ("rivers:1", "L1", 0.4), ("rivers:1", "L2", 2.9), ("rivers:7", "L2", None),
        ]  # fmt: skip
        assert {r["hazard"] for r in risks} == {"river_flood"}
        assert {r["rank"] for r in risks} == {2}
        assert {r["duration_h"] for r in risks} == {13.5}
        assert {r["admin"] for r in risks} == {"admin:1"}


def test_generic_and_unknown_attributes_are_kept(tmp_path: Path) -> None:
    extra = (
        '<gen:stringAttribute name="区名"><gen:value>住之江区 &amp; 南</gen:value></gen:stringAttribute>'
        "<uro:bldgKeyValuePairAttribute><uro:KeyValuePairAttribute>"
        '<uro:key codeSpace="../../codelists/k.xml">6</uro:key><uro:codeValue codeSpace="../../codelists/v.xml">3</uro:codeValue>'
        "</uro:KeyValuePairAttribute></uro:bldgKeyValuePairAttribute>"
    )
    path = write(tmp_path, gml.model(gml.simple("b1", 0, extra)))
    for fast in (True, False):
        rows = plain(read(path, fast=fast)[0].attributes).to_pylist()
        assert [(r["name"], r["value"], r["code"]) for r in rows] == [
            ("区名", "住之江区 & 南", None), ("uro:key", "k:6", "6"), ("uro:codeValue", "v:3", "3"),
        ]  # fmt: skip
        assert rows[1]["group"] == "uro:KeyValuePairAttribute"


def test_missing_footprint_is_taken_from_the_solid_floor(tmp_path: Path) -> None:
    body = gml.solid(1, gml.box_faces(139.85, 36.55, 100, 110))
    path = write(tmp_path, gml.model(gml.building("b1", body)))
    row = plain(read(path, fast=True)[0].buildings).to_pylist()[0]
    shape = shapely.from_wkb(row["geometry"])
    assert shape.bounds == pytest.approx((139.85, 36.55, 139.8501, 36.5501))
    # 0.0001° is 8.955 m by 11.098 m at this latitude (GRS80)
    assert row["footprint_area_m2"] == pytest.approx(8.955 * 11.098, rel=1e-3)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda t: t.replace("36.55 139.851 ", "36.55 139.851 1 ", 1), "bad_numbers"),
        (
            lambda t: t.replace("36.55 139.851 0.0", "36.55 x 0.0").replace(
                "36.55 139.851 0 ", "36.55 x 0 "
            ),
            "bad_numbers",
        ),
    ],
)
def test_a_bad_polygon_is_left_out_and_listed(tmp_path: Path, damage: object, reason: str) -> None:
    text = gml.model(gml.simple("b0"), gml.simple("b1", 1), gml.simple("b2", 2))
    path = write(tmp_path, damage(text))  # type: ignore[operator]
    for fast in (True, False):
        tables = read(path, fast=fast)[0]
        assert plain(tables.buildings).column("gml_id").to_pylist() == ["b0", "b1", "b2"]
        assert [(s.id, s.reason) for s in tables.skipped] == [("b1", reason)]
        assert tables.skipped[0].line > 3


def test_swapped_axes_are_refused_with_the_reason(tmp_path: Path) -> None:
    good = gml.simple("b0")
    swapped = gml.simple("b1", 1).replace("36.55 139.851", "139.851 36.55")
    wrong = "".join(good)
    faces = [
        gml.polygon(
            [(36.55, 139.85, 1), (36.551, 139.85, 1), (36.551, 139.851, 1), (36.55, 139.85, 1)]
        )
    ]
    path = write(tmp_path, gml.model(wrong, gml.building("b2", gml.solid(1, faces))))
    tables = read(path, fast=True)[0]
    assert plain(tables.buildings).column("gml_id").to_pylist() == ["b0"]
    assert [(s.id, s.reason) for s in tables.skipped] == [("b2", "axis_order")]
    assert swapped != good


def test_the_good_members_of_a_broken_file_are_read(tmp_path: Path) -> None:
    broken = gml.simple("b1", 1).replace("</gml:LinearRing>", "</gml:Ring>", 1)
    path = write(tmp_path, gml.model(gml.simple("b0"), broken, gml.simple("b2", 2)))
    with pytest.raises(scanner.NeedsStrictError):
        read(path, fast=True)
    tables = read(path, fast=False)[0]
    assert plain(tables.buildings).column("gml_id").to_pylist() == ["b0", "b2"]
    assert [(s.id, s.reason) for s in tables.skipped] == [("b1", "xml_broken")]


def test_a_truncated_file_keeps_what_is_whole(tmp_path: Path) -> None:
    text = gml.model(gml.simple("b0"), gml.simple("b1", 1))
    path = write(tmp_path, text[: text.index('gml:id="b1"') + 400])
    with pytest.raises(scanner.NeedsStrictError):
        read(path, fast=True)
    tables = read(path, fast=False)[0]
    assert plain(tables.buildings).column("gml_id").to_pylist() == ["b0"]
    assert [(s.id, s.reason) for s in tables.skipped] == [("b1", "truncated")]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "file_empty"),
        (b"PK\x03\x04 not a gml", "not_xml_zip"),
        (b"<!DOCTYPE html><html></html>", "not_xml_html"),
        (b"hello", "not_xml"),
        (b"version https://git-lfs.github.com/spec/v1\n", "file_lfs"),
        (b"<?xml version='1.0'?><a/>", "not_citygml"),
        (
            b"<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n<a>&x;</a>",
            "xml_dtd",
        ),
        (b"<?xml version='1.0'?><a><b", "not_citygml"),
    ],
)
def test_a_file_that_is_no_citygml_says_what_it_is(
    tmp_path: Path, content: bytes, key: str
) -> None:
    path = tmp_path / "x.gml"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        read_header(path)
    assert caught.value.key == key
    assert "x.gml" in caught.value.message("ja")


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False), st.integers(0, 17))
def test_numbers_are_parsed_as_python_does(value: float, digits: int) -> None:
    for text in (f"{value:.{digits}f}", f"{value:.{digits}e}", repr(value)):
        raw = np.frombuffer(text.encode(), np.uint8)
        out = _kernels.parse_floats(raw, np.array([0]), np.array([raw.size]))[0]
        assert out == pytest.approx(float(text), rel=2e-15, abs=1e-300)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789.-+eE x", min_size=1, max_size=8))
def test_what_is_no_number_is_nan(text: str) -> None:
    raw = np.frombuffer(text.encode(), np.uint8)
    out = _kernels.parse_floats(raw, np.array([0]), np.array([raw.size]))[0]
    try:
        expected = float(text) if text == text.strip() else float("nan")
    except ValueError:
        assert np.isnan(out)
    else:
        assert np.isnan(out) == np.isnan(expected)
