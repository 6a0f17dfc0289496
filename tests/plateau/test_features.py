"""Themes beside buildings: every feature is read or listed, of every i-UR generation."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely
from lxml import etree

from citymap.errors import BadInputError
from citymap.plateau.codelist import Codelists
from citymap.plateau.features import BaseRow, HazardRow, LinkRow, read_features
from citymap.plateau.road_network import write_roads
from citymap.plateau.theme_tables import write_base, write_hazards, write_links
from citymap.plateau.themes import THEMES
from citymap.workspace import Workspace
from tests.plateau.citygml import END, ROOT, polygon

IURS = {
    "1.4": "http://www.kantei.go.jp/jp/singi/tiiki/toshisaisei/itoshisaisei/iur/uro/1.4",
    **{v: f"https://www.geospatial.jp/iur/uro/{v}" for v in ("2.0", "3.0", "3.1", "3.2")},
}
OSAKA_ZONE = 6674
DEMO_ZONE = 6677


def root(iur: str = "3.1", epsg: int = 6697) -> str:
    text = ROOT.replace(IURS["3.1"], IURS[iur]).replace("EPSG/0/6697", f"EPSG/0/{epsg}")
    more = {p: f"http://www.opengis.net/citygml/{n}/2.0" for p, n in (
        ("tran", "transportation"), ("luse", "landuse"), ("wtr", "waterbody"), ("brid", "bridge"))}  # fmt: skip
    spaces = "".join(f'xmlns:{p}="{u}" ' for p, u in more.items())
    spaces += f'xmlns:urf="{IURS[iur].replace("uro", "urf")}" '
    return text.replace("<core:CityModel ", f"<core:CityModel {spaces}", 1)


def square(
    lon: float, lat: float, size: float = 0.001, h: float = 0.0
) -> list[tuple[float, float, float]]:
    corners = ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))
    return [(lon + size * i, lat + size * j, h) for i, j in corners]


def surface(prefix: str, text: str, lod: int = 1) -> str:
    inner = f"<gml:MultiSurface><gml:surfaceMember>{text}</gml:surfaceMember></gml:MultiSurface>"
    return f"<{prefix}:lod{lod}MultiSurface>{inner}</{prefix}:lod{lod}MultiSurface>"


def document(path: Path, *features: str, iur: str = "3.1", epsg: int = 6697) -> Path:
    members = "".join(f"<core:cityObjectMember>{f}</core:cityObjectMember>\n" for f in features)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(root(iur, epsg) + members + END, encoding="utf-8")
    return path


def water_body(gml_id: str, risk: str, rank: int = 2, lon: float = 139.88) -> str:
    return (
        f'<wtr:WaterBody gml:id="{gml_id}"><gml:name>みどり川洪水浸水想定区域</gml:name>'
        + surface("wtr", polygon(square(lon, 36.55, h=82.0)))
        + f"<uro:floodingRiskAttribute><uro:{risk}><uro:rank>{rank}</uro:rank><uro:scale>x</uro:scale>"
        f"</uro:{risk}></uro:floodingRiskAttribute></wtr:WaterBody>"
    )


@pytest.mark.parametrize("iur", sorted(IURS))
@pytest.mark.parametrize(
    "name", ["WaterBodyRiverFloodingRiskAttribute", "RiverFloodingRiskAttribute"]
)
def test_flood_surfaces_of_every_generation(tmp_path: Path, iur: str, name: str) -> None:
    path = document(
        tmp_path / "udx/fld/natl/midori/1_fld_6697_l2_op.gml", water_body("w", name), iur=iur
    )
    result = read_features(path, "fld", Codelists([tmp_path]))
    ((gml_id, row),) = result.rows
    assert isinstance(row, HazardRow) and gml_id == "w"
    assert (row.layer, row.hazard, row.scale, row.class_code) == (
        "fld-midori-L2",
        "river_flood",
        "L2",
        None,
    )
    assert row.elevation_m == 82.0
    assert row.geometry.bounds == pytest.approx((139.88, 36.55, 139.881, 36.551))


@pytest.mark.parametrize("epsg", [6697, 6668, 4326, 669])
def test_two_and_three_dimensions_and_odd_codes(tmp_path: Path, epsg: int) -> None:
    body = surface("luse", polygon(square(139.88, 36.55)))
    flat = body.replace(" 0.0", "")
    features = [
        f'<luse:LandUse gml:id="a{i}">{b}</luse:LandUse>' for i, b in enumerate((body, flat))
    ]
    result = read_features(
        document(tmp_path / "a_luse_.gml", *features, epsg=epsg), "luse", Codelists([tmp_path])
    )
    assert [shapely.to_wkt(r.geometry) for _, r in result.rows[:1]] == [
        shapely.to_wkt(r.geometry) for _, r in result.rows[1:]
    ]
    assert result.bbox == pytest.approx((139.88, 36.55, 139.881, 36.551))


def test_swapped_axes_are_named_with_file_and_line(tmp_path: Path) -> None:
    swapped = [(lat, lon, h) for lon, lat, h in square(139.88, 36.55)]
    bad = f'<luse:LandUse gml:id="bad">{surface("luse", polygon(swapped))}</luse:LandUse>'
    good = f'<luse:LandUse gml:id="good">{surface("luse", polygon(square(139.88, 36.55)))}</luse:LandUse>'
    with pytest.raises(BadInputError) as e:
        read_features(document(tmp_path / "a_luse_.gml", bad), "luse", Codelists([tmp_path]))
    assert e.value.key == "axes_swapped" and e.value.place == "a_luse_.gml:4"
    mixed = read_features(
        document(tmp_path / "b_luse_.gml", good, bad), "luse", Codelists([tmp_path])
    )
    assert [(s.file, s.line, s.id, s.reason) for s in mixed.skipped] == [
        ("b_luse_.gml", 5, "bad", "axis_order")
    ]
    assert mixed.counts["features"] == 2 and mixed.counts["read"] == 1


def test_bad_features_are_listed_and_the_others_read(tmp_path: Path) -> None:
    line = [(139.88, 36.55, 0.0), (139.89, 36.55, 0.0), (139.88, 36.55, 0.0), (139.88, 36.55, 0.0)]
    features = [
        f'<luse:LandUse gml:id="{i}">{surface("luse", p)}</luse:LandUse>'
        for i, p in (
            ("ok", polygon(square(139.88, 36.55))),
            ("thin", polygon(line)),
            ("text", polygon(square(139.88, 36.55)).replace("36.55 ", "x ", 1)),
            ("abroad", polygon(square(9.88, 46.55))),
            ("nan", polygon(square(139.88, 36.55)).replace("36.55 ", "nan ", 1)),
        )
    ] + ['<luse:LandUse gml:id="none"/>']
    result = read_features(
        document(tmp_path / "a_luse_.gml", *features), "luse", Codelists([tmp_path])
    )
    assert [i for i, _ in result.rows] == ["ok"]
    assert {s.id: s.reason for s in result.skipped} == {
        "thin": "degenerate_geometry", "text": "bad_numbers", "abroad": "outside_japan",
        "nan": "bad_numbers", "none": "no_geometry",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("version https://git-lfs.github.com/spec/v1\n", "file_lfs"),
        ("<!DOCTYPE html><html></html>", "not_xml_html"),
        ("hello", "not_xml"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: str, key: str) -> None:
    (tmp_path / "a_luse_.gml").write_text(content, encoding="utf-8")
    with pytest.raises(BadInputError) as e:
        read_features(tmp_path / "a_luse_.gml", "luse", Codelists([]))
    assert e.value.key == key


def test_broken_xml_says_where(tmp_path: Path) -> None:
    path = document(tmp_path / "a_luse_.gml", '<luse:LandUse gml:id="a"></luse:LandUsage>')
    with pytest.raises(BadInputError) as e:
        read_features(path, "luse", Codelists([]))
    assert e.value.key == "xml_broken" and e.value.place == "a_luse_.gml:4"


def _road(gml_id: str, *points: tuple[float, float]) -> str:
    text = " ".join(f"{lat} {lon} 0" for lon, lat in points)
    return (
        f'<tran:Road gml:id="{gml_id}"><tran:lod0Network><gml:LineString><gml:posList>{text}</gml:posList>'
        "</gml:LineString></tran:lod0Network><uro:roadStructureAttribute><uro:RoadStructureAttribute>"
        "<uro:width>6.5</uro:width></uro:RoadStructureAttribute></uro:roadStructureAttribute></tran:Road>"
    )


def test_links_become_a_network_that_is_noded_at_side_roads(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    main = _road("main", (139.880, 36.55), (139.884, 36.55))
    side = _road("side", (139.882, 36.55), (139.882, 36.552))
    over = _road("over", (139.883, 36.549), (139.883, 36.551))  # crosses without an end: not joined
    result = read_features(
        document(tmp_path / "a_tran_.gml", main, side, over), "tran", Codelists([])
    )
    assert all(isinstance(r, LinkRow) for _, r in result.rows)
    for _ in range(2):  # a second import changes nothing
        assert write_links(workspace, [result]) == 3
        assert write_roads(workspace, epsg=DEMO_ZONE) == 4
    roads = pq.read_table(workspace.roads).to_pylist()
    assert len({n for r in roads for n in (r["u"], r["v"])}) == 6
    assert {r["source"] for r in roads} == {"lod0"} and {r["width_m"] for r in roads} == {6.5}
    assert sum(r["length_m"] for r in roads) == pytest.approx(358.4 + 221.9 + 221.9, abs=2)


def test_centreline_of_a_surface_without_link(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    lon, lat, length, width = 139.88, 36.55, 0.002, 0.00009  # about 179 m x 10 m, in two pieces
    pieces = []
    for i in range(2):
        a, b = lon + i * length / 2, lon + (i + 1) * length / 2
        ring = [
            (a, lat, 0.0),
            (b, lat, 0.0),
            (b, lat + width, 0.0),
            (a, lat + width, 0.0),
            (a, lat, 0.0),
        ]
        pieces.append(f'<tran:Road gml:id="r{i}">{surface("tran", polygon(ring))}</tran:Road>')
    result = read_features(document(tmp_path / "a_tran_.gml", *pieces), "tran", Codelists([]))
    assert write_base(workspace, [result]) == {"road": 2}
    assert write_roads(workspace, epsg=DEMO_ZONE) == 2
    roads = pq.read_table(workspace.roads).to_pylist()
    assert {r["source"] for r in roads} == {"lod1-centreline"}
    assert [r["width_m"] for r in roads] == pytest.approx([10, 10], abs=1)
    assert len({n for r in roads for n in (r["u"], r["v"])}) == 3  # joined at the shared border
    assert sum(r["length_m"] for r in roads) == pytest.approx(175, abs=12)


def test_writing_twice_is_writing_once(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "city")
    risk = "RiverFloodingRiskAttribute"
    folder = tmp_path / "udx/fld/natl/midori"
    a = document(
        folder / "1_fld_6697_l2_op.gml", water_body("a", risk), water_body("b", risk, lon=139.9)
    )
    b = document(
        folder / "2_fld_6697_l2_op.gml", water_body("c", risk, lon=139.92), water_body("a", risk)
    )
    results = [read_features(p, "fld", Codelists([])) for p in (a, b)]
    for _ in range(2):
        assert write_hazards(workspace, results, source="test") == {"fld-midori-L2": 4}
    path = workspace.hazards / "fld-midori-L2.parquet"
    about = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    assert (about["hazard"], about["quantity"], about["surveyed_extent"]) == (
        "river_flood",
        "rank",
        "unknown",
    )
    assert len(about["legend"]) == 6
    document(a, water_body("d", risk, lon=139.95))
    assert write_hazards(workspace, [read_features(a, "fld", Codelists([]))]) == {
        "fld-midori-L2": 3
    }
    assert set(pq.read_table(path).column("gml_id").to_pylist()) == {
        "a",
        "c",
        "d",
    }  # a is still in the other file


def test_land_use_goes_to_one_table_each(tmp_path: Path) -> None:
    codes = {"204": "water", "202": "green", "217": "green", "211": "landuse", "231": "landuse"}
    features = [
        f'<luse:LandUse gml:id="{c}"><luse:class codeSpace="../../codelists/Common_landUseType.xml">{c}'
        f"</luse:class>{surface('luse', polygon(square(139.8, 36.5)))}</luse:LandUse>"
        for c in codes
    ]
    result = read_features(
        document(tmp_path / "a_luse_.gml", *features), "luse", Codelists([tmp_path])
    )
    found = {i: r for i, r in result.rows if isinstance(r, BaseRow)}
    assert {i: r.theme for i, r in found.items()} == codes
    assert all(
        r.kind is None and r.kind_code == i for i, r in found.items()
    )  # no list: not invented


def test_a_bridge_is_the_ground_under_all_its_surfaces(tmp_path: Path) -> None:
    """Walls stand on no ground, and a part's deck belongs to the whole."""
    wall = [(139.8, 36.5, 0.0), (139.801, 36.5, 0.0), (139.801, 36.5, 9.0), (139.8, 36.5, 0.0)]
    body = surface("brid", polygon(square(139.8, 36.5, h=9.0)), 2)
    part = (
        "<brid:consistsOfBridgePart><brid:BridgePart>"
        + surface("brid", polygon(square(139.801, 36.5, h=9.0)), 2)
        + surface("brid", polygon(wall), 1)
        + "</brid:BridgePart></brid:consistsOfBridgePart>"
    )
    bridge = f'<brid:Bridge gml:id="b"><gml:name>みどり橋</gml:name>{body}{part}</brid:Bridge>'
    result = read_features(
        document(tmp_path / "a_brid_.gml", bridge, '<brid:Bridge gml:id="none"/>'),
        "brid", Codelists([tmp_path]),
    )  # fmt: skip
    ((gml_id, row),) = result.rows
    assert isinstance(row, BaseRow)
    assert (gml_id, row.theme, row.name) == ("b", "bridge", "みどり橋")
    assert row.geometry.bounds == pytest.approx((139.8, 36.5, 139.802, 36.501))
    assert row.geometry.area == pytest.approx(2e-6)
    assert [(s.id, s.reason) for s in result.skipped] == [("none", "no_geometry")]


def test_every_real_file_reads_and_counts_agree(real_data: Path) -> None:
    themes = THEMES.load()
    read = 0
    for path in sorted((real_data / "plateau_citygml").rglob("*.gml")):
        theme = path.name.split("_")[1] if path.name.count("_") > 1 else ""
        if theme not in themes:
            continue
        expected = 0
        for _, element in etree.iterparse(
            str(path), events=("end",), resolve_entities=False, no_network=True
        ):
            if etree.QName(element).localname == "cityObjectMember":
                expected += len(element)
        result = read_features(path, theme, Codelists([]))
        assert result.counts["features"] == expected, path.name
        read_ids = Counter(i for i, _ in result.rows)  # one feature may give many rows
        features = sum(n if i == "" else 1 for i, n in read_ids.items())
        assert features + len(result.skipped) == expected, path.name
        if theme == "brid":  # 38 of its 59 bridges have no surface at all in the file
            assert {s.reason for s in result.skipped} == {"no_geometry"} and len(result.rows) == 21
            continue
        assert [s.reason for s in result.skipped] in ([], ["degenerate_geometry"]), path.name
        read += 1
    assert read >= 35
