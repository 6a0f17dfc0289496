"""The demo city is valid, plausible, consistent with itself, and always the same."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from citymap import crs
from citymap.demo import building_files, generate, opendata, plan
from citymap.errors import BadInputError, CancelledError
from citymap.progress import Quiet

NS = {
    "bldg": "http://www.opengis.net/citygml/building/2.0",
    "core": "http://www.opengis.net/citygml/2.0",
    "dem": "http://www.opengis.net/citygml/relief/2.0",
    "gml": "http://www.opengis.net/gml",
    "tran": "http://www.opengis.net/citygml/transportation/2.0",
    "uro": "https://www.geospatial.jp/iur/uro/3.1",
    "xlink": "http://www.w3.org/1999/xlink",
}
GML_ID = f"{{{NS['gml']}}}id"
COUNT = 1200


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo city with every kind of file."""
    out = tmp_path_factory.mktemp("demo")
    generate(out, buildings=COUNT, seed=1, progress=Quiet())
    return out


@pytest.fixture(scope="session")
def files(demo: Path) -> dict[Path, etree._Element]:
    """Every GML file, parsed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    return {p: etree.parse(p, parser).getroot() for p in sorted(demo.rglob("*.gml"))}


@pytest.fixture(scope="session")
def buildings(files: dict[Path, etree._Element]) -> list[etree._Element]:
    """Every bldg:Building."""
    return [b for root in files.values() for b in root.iter(f"{{{NS['bldg']}}}Building")]


def positions(element: etree._Element) -> np.ndarray:
    """(n, 3) lat, lon, height of a posList."""
    return np.array((element.text or "").split(), float).reshape(-1, 3)


def in_zone(lat_lon_z: np.ndarray) -> np.ndarray:
    """(n, 3) east, north, height."""
    x, y = crs.project(lat_lon_z[:, 1], lat_lon_z[:, 0], plan.EPSG)
    return np.column_stack([x, y, lat_lon_z[:, 2]])


def footprint(b: etree._Element) -> shapely.Polygon:
    """LOD0 of a building in the zone."""
    surface = b.find("bldg:lod0FootPrint", NS)
    surface = b.find("bldg:lod0RoofEdge", NS) if surface is None else surface
    polygon = surface.find(".//gml:Polygon", NS)
    outer = in_zone(positions(polygon.find("gml:exterior//gml:posList", NS)))[:, :2]
    holes = [in_zone(positions(p))[:, :2] for p in polygon.findall("gml:interior//gml:posList", NS)]
    return shapely.Polygon(outer, holes)


def shells(b: etree._Element) -> Iterator[list[tuple[np.ndarray, list[np.ndarray]]]]:
    """Faces (outer ring, holes) of every LOD1 and LOD2 solid, references resolved."""
    by_id = {p.get(GML_ID): p for p in b.iter(f"{{{NS['gml']}}}Polygon") if p.get(GML_ID)}
    for solid in b.iter(f"{{{NS['gml']}}}Solid"):
        faces = []
        for member in solid.iter(f"{{{NS['gml']}}}surfaceMember"):
            ref = member.get(f"{{{NS['xlink']}}}href")
            polygon = by_id[ref[1:]] if ref else member.find("gml:Polygon", NS)
            outer = positions(polygon.find("gml:exterior//gml:posList", NS))
            inner = [positions(p) for p in polygon.findall("gml:interior//gml:posList", NS)]
            faces.append((outer, inner))
        yield faces


def test_it_has_exactly_the_buildings_asked_for(buildings: list[etree._Element]) -> None:
    assert len(buildings) == COUNT


def test_the_default_is_at_least_five_thousand(tmp_path: Path) -> None:
    folder = generate(tmp_path, progress=Quiet())
    text = "".join(p.read_text("utf-8") for p in (folder / "udx/bldg").glob("*.gml"))
    assert text.count("<bldg:Building ") >= 5000
    assert folder.name == "09999_midorikawa-shi_city_2024_citygml_1_op"


def test_every_theme_has_files(demo: Path) -> None:
    folder = next(demo.glob("09999_*"))
    for theme in ("bldg", "dem", "tran", "fld", "luse", "urf", "wtr", "rwy"):
        assert list((folder / "udx" / theme).rglob(f"*_{theme}_6697*_op.gml")), theme
    assert "架空" in next((folder / "metadata").glob("*.xml")).read_text("utf-8")


def test_the_same_seed_gives_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    generate(tmp_path, buildings=COUNT, seed=1, progress=Quiet())

    def digests(root: Path) -> dict[str, str]:
        return {
            str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in root.rglob("*")
            if p.is_file()
        }

    assert digests(tmp_path) == digests(demo)


def test_another_seed_gives_another_city_and_leaves_nothing_behind(tmp_path: Path) -> None:
    generate(tmp_path, buildings=300, seed=2, progress=Quiet())
    (tmp_path / "opendata" / "old.csv").write_text("left over", "utf-8")
    folder = generate(tmp_path, buildings=300, seed=3, progress=Quiet())
    text = "".join(p.read_text("utf-8") for p in (folder / "udx/bldg").glob("*.gml"))
    assert text.count("<bldg:Building ") == 300
    assert not (tmp_path / "opendata" / "old.csv").exists()


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    progress = Quiet()
    progress.cancel()
    with pytest.raises(CancelledError):
        generate(tmp_path, buildings=300, progress=progress)


@pytest.mark.parametrize("buildings", [0, -5, 10**9])
def test_an_impossible_number_of_buildings_is_refused(tmp_path: Path, buildings: int) -> None:
    with pytest.raises(BadInputError, match="1 to 1000000"):
        generate(tmp_path, buildings=buildings, progress=Quiet())


def test_progress_never_goes_back(tmp_path: Path) -> None:
    shares: list[float] = []

    class Recorder:
        def update(self, done: float, total: float, note: str = "") -> None:
            shares.append(done / total)

    generate(tmp_path, buildings=200, progress=Recorder())
    assert shares == sorted(shares)
    assert shares[-1] == 1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.floats(620, 7000), u=st.floats(-1.2, 1.2),
       v=st.floats(-1, 1.2))  # fmt: skip
def test_every_place_of_the_plan_is_found_again(
    seed: int, radius: float, u: float, v: float
) -> None:
    drawn = plan.draw(radius_m=radius, seed=seed)
    s, t = np.array([u * radius, 0.0]), np.array([v * radius, 0.0])
    back = drawn.to_st(*drawn.to_xy(s, t))
    assert np.allclose(back[0], s, atol=0.01)
    assert np.allclose(back[1], t, atol=0.01)


def test_land_uses_do_not_lie_on_each_other(files: dict[Path, etree._Element]) -> None:
    areas = np.array([
        shapely.make_valid(shapely.Polygon(in_zone(positions(p))[:, :2]))
        for path, root in files.items() if "/luse/" in path.as_posix()
        for p in root.findall(".//gml:exterior//gml:posList", NS)
    ])  # fmt: skip
    assert shapely.union_all(areas).area == pytest.approx(shapely.area(areas).sum(), rel=5e-3)


def test_ids_are_unique_in_the_whole_city(files: dict[Path, etree._Element]) -> None:
    ids = Counter(
        e.get(GML_ID) for root in files.values() for e in root.iter() if e.get(GML_ID) is not None
    )
    assert not [k for k, n in ids.items() if n > 1]


def test_every_code_is_in_its_code_list(files: dict[Path, etree._Element]) -> None:
    lists: dict[Path, set[str]] = {}
    for path, root in files.items():
        for e in root.iter():
            space = e.get("codeSpace")
            if space is None:
                continue
            file = (path.parent / space).resolve()
            if file not in lists:
                entries = etree.parse(file).getroot()
                lists[file] = {d.findtext("gml:name", namespaces=NS)
                               for d in entries.iter(f"{{{NS['gml']}}}Definition")}  # fmt: skip
            assert e.text in lists[file], (path.name, e.tag, e.text)
    assert len(lists) > 15


def test_envelopes_hold_their_content(files: dict[Path, etree._Element]) -> None:
    for path, root in files.items():
        low = np.array(root.findtext(".//gml:lowerCorner", namespaces=NS).split(), float)
        high = np.array(root.findtext(".//gml:upperCorner", namespaces=NS).split(), float)
        for p in root.iter(f"{{{NS['gml']}}}posList"):
            xyz = positions(p)
            assert (xyz[:, :2] >= low[:2] - 1e-8).all(), path.name
            assert (xyz[:, :2] <= high[:2] + 1e-8).all(), path.name


def test_rings_are_closed_and_have_no_double_points(files: dict[Path, etree._Element]) -> None:
    for root in files.values():
        for p in root.iter(f"{{{NS['gml']}}}posList"):
            if p.getparent().tag.endswith("LinearRing"):
                xyz = positions(p)
                assert (xyz[0] == xyz[-1]).all()
                assert len(xyz) >= 4
                assert (np.abs(np.diff(xyz, axis=0)).max(axis=1) > 0).all()


def test_solids_are_closed_and_face_outwards(buildings: list[etree._Element]) -> None:
    solids = 0
    for b in buildings:
        for faces in shells(b):
            solids += 1
            edges: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
            volume = 0.0
            origin = in_zone(faces[0][0])[0]
            for outer, inner in faces:
                for ring in (outer, *inner):
                    points = [tuple(v) for v in ring.tolist()]
                    edges.update(itertools.pairwise(points))
                    v = in_zone(ring) - origin
                    for k in range(1, len(v) - 2):
                        volume += float(np.dot(v[0], np.cross(v[k], v[k + 1]))) / 6
            assert all(n == 1 and edges[e[::-1]] == 1 for e, n in edges.items())
            assert volume > 0
    assert solids > COUNT


def test_faces_are_flat(buildings: list[etree._Element]) -> None:
    for b in buildings[::3]:
        for faces in shells(b):
            for outer, _ in faces:
                v = in_zone(outer)[:-1]
                v = v - v.mean(axis=0)
                assert np.linalg.svd(v, compute_uv=False)[-1] < 0.02


def test_footprints_are_valid_and_never_overlap(buildings: list[etree._Element]) -> None:
    polygons = np.array([footprint(b) for b in buildings])
    assert shapely.is_valid(polygons).all()
    assert shapely.area(polygons).min() > 12
    a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    pairs = a < b
    assert shapely.area(shapely.intersection(polygons[a[pairs]], polygons[b[pairs]])).sum() == 0


def test_no_building_stands_on_a_road(
    buildings: list[etree._Element], files: dict[Path, etree._Element]
) -> None:
    roads = np.array([
        shapely.make_valid(shapely.Polygon(in_zone(positions(p))[:, :2]))
        for path, root in files.items() if "/tran/" in path.as_posix()
        for p in root.findall(".//tran:lod1MultiSurface//gml:posList", NS)
    ])  # fmt: skip
    polygons = np.array([footprint(b) for b in buildings])
    a, b = shapely.STRtree(roads).query(polygons, predicate="intersects")
    overlap = shapely.area(shapely.intersection(polygons[a], roads[b]))
    assert overlap.sum() < 0.5


def test_roads_meet_at_their_ends(files: dict[Path, etree._Element]) -> None:
    ends: Counter[tuple[int, int]] = Counter()
    neighbours: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for path, root in files.items():
        if "/tran/" not in path.as_posix():
            continue
        for p in root.findall(".//tran:lod0Network//gml:posList", NS):
            xy = in_zone(positions(p))[[0, -1], :2]
            u, v = (tuple(np.round(q * 5).astype(int).tolist()) for q in xy)
            ends.update([u, v])
            neighbours.setdefault(u, set()).add(v)
            neighbours.setdefault(v, set()).add(u)
    seen = {next(iter(neighbours))}
    stack = list(seen)
    while stack:
        for n in neighbours[stack.pop()] - seen:
            seen.add(n)
            stack.append(n)
    assert len(seen) > 0.97 * len(neighbours)


def test_buildings_stand_on_the_terrain(
    buildings: list[etree._Element], files: dict[Path, etree._Element]
) -> None:
    triangles = np.array([
        positions(p)[:3] for path, root in files.items() if "/dem/" in path.as_posix()
        for p in root.iter(f"{{{NS['gml']}}}posList")
    ])  # fmt: skip
    xyz = in_zone(triangles.reshape(-1, 3)).reshape(-1, 3, 3)
    tree = shapely.STRtree(shapely.polygons(np.concatenate([xyz, xyz[:, :1]], axis=1)[..., :2]))
    worst = 0.0
    for b in buildings[::7]:
        rings = [positions(p) for p in b.findall(".//bldg:lod1Solid//gml:posList", NS)]
        base = min(float(r[:, 2].min()) for r in rings)
        corners = np.array(footprint(b).exterior.coords)[:-1]
        heights = []
        for x, y in corners:
            hit = tree.query(shapely.Point(x, y), predicate="intersects")
            assert len(hit)
            (ax, ay, az), (bx, by, bz), (cx, cy, cz) = xyz[hit[0]]
            det = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            wb = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / det
            wc = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / det
            heights.append(az + wb * (bz - az) + wc * (cz - az))
        assert base <= min(heights) + 0.02  # never floating
        worst = max(worst, min(heights) - base)
    assert worst < 0.6  # the middle may lie lower than every corner, where a hollow is


def test_risks_agree_with_the_depth_rasters(demo: Path, buildings: list[etree._Element]) -> None:
    rasters = {}
    for p in sorted((demo / "hazard").glob("*_depth.tif")):
        with rasterio.open(p) as d:
            assert d.crs.to_epsg() == plan.EPSG
            assert d.dtypes == ("float32",)
            assert math.isnan(d.nodata)
            tags = d.tags()
            assert tags["quantity"] == "depth"
            rasters[tags["river"], tags["scale"]] = (d.read(1), d.transform)
    assert len({river for river, _ in rasters}) >= 2
    assert {scale for _, scale in rasters} == {"L1", "L2"}
    rivers = {"1": "みどり川水系みどり川", "2": "みどり川水系沢渡川", "3": "みどり川水系葦原川"}
    many = dry = 0
    for b in buildings:
        outer = shapely.Polygon(footprint(b).exterior)
        found = {}
        for r in b.iter(f"{{{NS['uro']}}}RiverFloodingRiskAttribute"):
            key = (rivers[r.findtext("uro:description", namespaces=NS)],
                   "L" + r.findtext("uro:scale", namespaces=NS))  # fmt: skip
            depth = float(r.findtext("uro:depth", namespaces=NS))
            assert int(r.findtext("uro:rank", namespaces=NS)) == building_files.rank_of(depth)
            assert key not in found
            found[key] = depth
        many += len(found) > 1
        dry += not found
        x, y = outer.centroid.x, outer.centroid.y
        for key, (grid, transform) in rasters.items():
            col, row = int((x - transform.c) / transform.a), int((y - transform.f) / transform.e)
            here = float(grid[row, col])
            if math.isnan(here):
                assert key not in found
            else:
                assert found[key] == pytest.approx(here, abs=6e-4)
    assert many > 0.1 * COUNT
    assert dry > 0.1 * COUNT


@pytest.mark.parametrize(
    ("depth_m", "rank"),
    [(0.01, 1), (0.499, 1), (0.5, 2), (2.999, 2), (3.0, 3), (5.0, 4), (10.0, 5), (20.0, 6)],
)
def test_a_boundary_depth_belongs_to_the_upper_class(depth_m: float, rank: int) -> None:
    assert building_files.rank_of(depth_m) == rank


def test_it_has_the_gaps_of_real_data(buildings: list[etree._Element]) -> None:
    def values(tag: str) -> list[str | None]:
        return [b.findtext(f".//{tag}", namespaces=NS) for b in buildings]

    height = [b.findtext("bldg:measuredHeight", namespaces=NS) for b in buildings]
    assert 0.02 < height.count(None) / COUNT < 0.10
    assert 0.005 < height.count("-9999") / COUNT < 0.05
    assert "9999" in values("bldg:storeysAboveGround")
    year = values("bldg:yearOfConstruction")
    assert "0001" in year
    assert None in year
    assert 0.35 < values("uro:buildingStructureType").count(None) / COUNT < 0.65
    lod2 = sum(b.find(".//bldg:lod2Solid", NS) is not None for b in buildings)
    assert 0.08 < lod2 / COUNT < 0.35
    assert any(b.find("bldg:consistsOfBuildingPart", NS) is not None for b in buildings)
    assert any(b.find(".//gml:interior", NS) is not None for b in buildings)
    assert any(b.find(".//bldg:RoofSurface", NS) is not None for b in buildings)
    assert any(b.find(".//bldg:BuildingInstallation", NS) is not None for b in buildings)


def test_open_data_have_the_published_columns(demo: Path) -> None:
    def read(name: str, encoding: str) -> list[dict[str, str]]:
        text = (demo / "opendata" / name).read_bytes().decode(encoding)
        return list(csv.DictReader(text.splitlines()))

    shelters = read("shelters.csv", "utf-8-sig")
    assert tuple(shelters[0]) == opendata.SHELTER_COLUMNS
    assert {r["災害種別_洪水"] for r in shelters} == {"", "1"}
    assert all(r["全国地方公共団体コード"] == "099996" for r in shelters)
    wifi = read("wifi.csv", "cp932")
    assert tuple(wifi[0]) == opendata.WIFI_COLUMNS
    with pytest.raises(UnicodeDecodeError):
        (demo / "opendata" / "wifi.csv").read_bytes().decode("utf-8")
    for row in (*shelters, *wifi):
        assert 36.4 < float(row["緯度"]) < 36.7
        assert 139.7 < float(row["経度"]) < 140.1


def test_districts_cover_the_addresses_and_do_not_overlap(demo: Path) -> None:
    found = json.loads((demo / "opendata" / "districts.geojson").read_text("utf-8"))["features"]
    rings = np.array([shapely.Polygon(f["geometry"]["coordinates"][0]) for f in found])
    ids = [f["properties"]["district_id"] for f in found]
    assert shapely.is_valid(rings).all()
    assert len(set(ids)) == len(ids)
    assert len({f["properties"]["name"] for f in found}) == len(found)
    assert all(f["properties"]["name_kana"] for f in found)
    at = dict(zip(ids, rings, strict=True))
    with (demo / "opendata" / "addresses.csv").open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    assert len({r["address"] for r in rows}) == len(rows) > 0.9 * COUNT
    for r in rows:
        assert (
            at[r["district_id"]]
            .buffer(1e-6)
            .contains(shapely.Point(float(r["lon"]), float(r["lat"])))
        )
        assert r["address"].startswith("みどり川市")
    union = shapely.union_all(rings)
    assert union.area == pytest.approx(shapely.area(rings).sum(), rel=1e-3)
