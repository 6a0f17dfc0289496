"""OGC API: the abstract tests of the standards, written out and run against us, and what we promise beside."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.io import MemoryFile
from shapely.geometry import shape

import ogc_service
from asgi_client import TestClient
from citymap import crs
from citymap.settings import Settings
from citymap.share.ogc import crs_uri, documents
from citymap.share.ogc.collection import Collections
from citymap.web.public import create_app
from citymap.workspace import Workspace
from ogc_service import SHELTERS

PUBLIC = {"buildings", "exposure-combined", "hazard-river-L2", "shelters"}
GRID = "/ogc/collections/hazard-river-L2"
ITEMS = "/ogc/collections/buildings/items"
FEATURES = "http://www.opengis.net/spec/ogcapi-features"
BOX = (139.8805, 36.5495, 139.8855, 36.5505)  # holds buildings 1 to 5


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("ogc") / "city")


@pytest.fixture(scope="module")
def client(city: Workspace) -> TestClient:
    return TestClient(create_app(Settings(city=city.root, rate_api_per_minute=0)))


def got(client: TestClient, url: str, **headers: str) -> Any:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, (url, answer.text)
    return answer.json()


def links(value: Any, rel: str) -> list[dict[str, str]]:
    return [one for one in value["links"] if one["rel"] == rel]


# Part 1, annex A: core, GeoJSON, HTML, OpenAPI 3.0.


def test_a_landing_page_links_to_description_conformance_and_data(client: TestClient) -> None:
    page = got(client, "/ogc")
    for rel in ("self", "service-desc", "service-doc", "conformance", "data"):
        assert links(page, rel), rel
    for one in page["links"]:
        answer = client.get(one["href"])
        assert answer.status_code == 200, one
        assert answer.headers["content-type"].split(";")[0] == one["type"].split(";")[0], one


def test_b_conformance_declares_the_classes_that_are_tested_here(client: TestClient) -> None:
    declared = set(got(client, "/ogc/conformance")["conformsTo"])
    for name in ("1/1.0/conf/core", "1/1.0/conf/geojson", "1/1.0/conf/html", "1/1.0/conf/oas30", "2/1.0/conf/crs",
                 "3/1.0/conf/filter", "3/1.0/conf/queryables"):  # fmt: skip
        assert f"{FEATURES}-{name}" in declared
    assert len(declared) == len(documents.CONFORMS_TO)


def test_c_every_path_of_the_description_answers(client: TestClient) -> None:
    about = got(client, "/ogc/api")
    assert about["openapi"].startswith("3.0")
    operations = [o["operationId"] for p in about["paths"].values() for o in p.values()]
    assert len(operations) == len(set(operations))
    for path in about["paths"]:
        if "{" not in path:
            assert client.get("/ogc" + path.rstrip("/")).status_code == 200, path
    named = {
        n
        for o in about["paths"].values()
        for v in o.values()
        for p in v["parameters"]
        if (n := p.get("$ref"))
    }
    assert {n.rpartition("/")[2] for n in named} <= set(about["components"]["parameters"])


def test_d_collections_describe_every_public_layer(client: TestClient) -> None:
    listed = got(client, "/ogc/collections")
    assert {c["id"] for c in listed["collections"]} == PUBLIC | {"catalogue"}
    for one in listed["collections"]:
        assert one == got(client, f"/ogc/collections/{one['id']}")
        west, south, east, north = one["extent"]["spatial"]["bbox"][0]
        assert 139 < west <= east < 141
        assert 36 < south <= north < 37
        assert links(one, "items")
        assert one["crs"][0] == crs_uri.CRS84
        assert one["storageCrs"] in one["crs"]
        assert client.get(links(one, "items")[0]["href"]).status_code == 200


@pytest.mark.parametrize("layer", sorted(PUBLIC))
def test_e_items_are_feature_collections_with_true_counts(client: TestClient, layer: str) -> None:
    answer = client.get(f"/ogc/collections/{layer}/items?limit=1000")
    assert answer.headers["content-type"] == "application/geo+json"
    page = answer.json()
    assert page["type"] == "FeatureCollection"
    assert page["numberReturned"] == len(page["features"]) == page["numberMatched"] > 0
    assert len({f["id"] for f in page["features"]}) == len(page["features"])
    for feature in page["features"]:
        assert feature["type"] == "Feature"
        assert feature["geometry"] is None or shape(feature["geometry"]).is_valid
        one = got(client, f"/ogc/collections/{layer}/items/{quote(feature['id'], safe='')}")
        assert {k: one[k] for k in ("id", "geometry", "properties")} == {
            k: feature[k] for k in ("id", "geometry", "properties")
        }
        assert links(one, "self")
        assert links(one, "collection")


def test_f_pages_hold_every_feature_once(client: TestClient) -> None:
    url, seen = f"{ITEMS}?limit=7", []
    while url:
        page = got(client, url)
        assert page["numberMatched"] == 30
        seen += [f["id"] for f in page["features"]]
        following = links(page, "next")
        url = following[0]["href"] if following else ""
    assert seen == [f"bldg_{i:04d}" for i in range(30)]
    back = links(got(client, f"{ITEMS}?limit=7&offset=7"), "prev")[0]["href"]
    assert got(client, back)["features"][0]["id"] == "bldg_0000"


@pytest.mark.parametrize(("limit", "count"), [("1", 1), ("30", 30), ("99999999", 30)])
def test_g_limit(client: TestClient, limit: str, count: int) -> None:
    assert got(client, f"{ITEMS}?limit={limit}")["numberReturned"] == count


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=1.5", "offset=-1", "bbox=1,2,3", "bbox=a,b,c,d", "bbox=1,5,2,4",
     "bbox=nan,1,2,3", "bbox=inf,1,2,3", "crs=http://example.org/x", "crs=http://www.opengis.net/def/crs/EPSG/0/2451",
     "bbox-crs=EPSG:9", "filter=)", "filter-lang=ecql", "filter-crs=x", "datetime=x", "datetime=../..",
     "datetime=2026-02-02/2026-01-01", "nobody=1", "usage=a&usage=b", "limit=1&limit=2", "f=xml", "risks=1",
     "measured_height_m=tall", "geometry=1", "filter-lang=cql2-json&filter=x", "datetime=1/2/3",
     "crs=http://www.opengis.net/def/crs/EPSG/0/999999"],
)  # fmt: skip
def test_h_what_is_unknown_or_wrong_is_a_400_that_says_so(client: TestClient, query: str) -> None:
    answer = client.get(f"{ITEMS}?{query}", headers={"accept-language": "en"})
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"code", "description"}
    assert "{" not in answer.json()["description"]


@pytest.mark.parametrize(
    "path",
    ["/ogc/collections/none", "/ogc/collections/none/items", "/ogc/collections/none/queryables",
     f"{ITEMS}/none", "/ogc/collections/flood-breach", "/ogc/collections/../buildings", f"{ITEMS}/a/b%2Fc",
     "/ogc/collections/hazard-river-L2/items/0", "/ogc/collections/hazard-river-L2/items/x"],
)  # fmt: skip
def test_i_what_is_not_there_is_a_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_j_a_box_holds_what_touches_it_and_nothing_else(
    client: TestClient, city: Workspace
) -> None:
    expected = {f"bldg_{i:04d}" for i in (1, 2, 3, 4, 5)}
    text = ",".join(map(str, BOX))
    assert {f["id"] for f in got(client, f"{ITEMS}?bbox={text}&limit=99")["features"]} == expected
    six = f"{BOX[0]},{BOX[1]},-10,{BOX[2]},{BOX[3]},1000"
    assert {f["id"] for f in got(client, f"{ITEMS}?bbox={six}&limit=99")["features"]} == expected
    assert got(client, f"{ITEMS}?bbox=0,0,1,1")["numberMatched"] == 0
    across = got(client, f"{ITEMS}?bbox=139.8805,36,-170,37")  # over the antimeridian
    assert across["numberMatched"] == 29
    shapes = shapely.from_wkb(pq.read_table(city.buildings)["geometry"].to_pylist())
    edge = shapely.bounds(shapes[3])
    beside = f"{edge[2]},{edge[1]},{edge[2] + 1e-6},{edge[3]}"  # shares one edge
    assert [f["id"] for f in got(client, f"{ITEMS}?bbox={beside}")["features"]] == ["bldg_0003"]


def test_k_a_feature_without_a_place_is_listed_but_in_no_box(client: TestClient) -> None:
    items = "/ogc/collections/shelters/items"
    found = {f["id"]: f for f in got(client, items)["features"]}
    assert set(found) == {s[0] for s in SHELTERS}
    assert found["s3"]["geometry"] is None
    assert got(client, f"{items}?bbox=-180,-90,180,90")["numberMatched"] == 2


def test_l_time_does_not_select_among_features_without_time(client: TestClient) -> None:
    for text in (
        "2026-01-01T00:00:00Z",
        "2026-01-01/..",
        "../2026-01-01",
        "2026-01-01T00:00:00+09:00/2026-02-01T00:00:00Z",
    ):
        assert got(client, f"{ITEMS}?datetime={quote(text)}")["numberMatched"] == 30  # fmt: skip


def test_m_pages_for_people_in_both_languages(client: TestClient) -> None:
    for path in ("/ogc", "/ogc/conformance", "/ogc/api", "/ogc/collections", "/ogc/collections/buildings",
                 "/ogc/collections/buildings/queryables", ITEMS, f"{ITEMS}/bldg_0002"):  # fmt: skip
        ja = client.get(path, headers={"accept": "text/html"})
        assert ja.headers["content-type"] == "text/html; charset=utf-8"
        assert '<html lang="ja">' in ja.text
        en = client.get(f"{path}?f=html&lang=en")
        assert '<html lang="en">' in en.text
        assert "<script" not in en.text
        for target in set(_hrefs(en.text)) - {"data:,"}:  # no icon
            assert client.get(target).status_code == 200, (path, target)
    page = client.get(f"{ITEMS}?f=html").text
    assert "緑川小学校" in page
    assert "データなし" in page


def _hrefs(text: str) -> list[str]:
    from html import unescape

    return [unescape(part.partition('"')[0]) for part in text.split('href="')[1:]]


def test_n_names_of_buildings_cannot_write_a_page(client: TestClient) -> None:
    nasty = quote("name = '<script>alert(1)</script>'")
    page = client.get(f"{ITEMS}?f=html&filter={nasty}").text
    assert "<script" not in page


# Part 2: coordinate systems, each with the axis order that its authority gives it.


@pytest.mark.parametrize("code", [4326, 6668, 6697, 3857, 6677])
def test_o_coordinates_come_in_the_order_of_the_crs(
    client: TestClient, city: Workspace, code: int
) -> None:
    answer = client.get(f"{ITEMS}/bldg_0003?crs={quote(crs_uri.uri(code))}")
    assert answer.headers["content-crs"] == f"<{crs_uri.uri(code)}>"
    found = shapely.get_coordinates(shape(answer.json()["geometry"]))
    lon, lat = shapely.get_coordinates(
        shapely.from_wkb(pq.read_table(city.buildings)["geometry"][3].as_py())
    ).T
    if code in {4326, 6668, 6697}:
        expected = np.column_stack([lat, lon])
    elif code == 3857:
        radius = 6378137.0
        expected = np.column_stack([
            np.radians(lon) * radius, radius * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)),
        ])  # fmt: skip
    else:
        east, north = crs.project(lon, lat, code)
        assert north[0] > 50_000 > east[0]  # zone IX: this city lies far north of its origin
        expected = np.column_stack([north, east])
    tolerance = 1e-8 if code > 4000 and code not in {3857, 6677} else 1e-3
    key = lambda p: tuple(np.round(p, 6))  # noqa: E731
    assert np.allclose(sorted(found, key=key), sorted(expected, key=key), atol=tolerance)


def test_p_heights_are_elevations_and_what_is_not_known_stays_flat(client: TestClient) -> None:
    uri = quote(crs_uri.uri(6697))
    high = shape(got(client, f"{ITEMS}/bldg_0003?crs={uri}")["geometry"])
    assert set(shapely.get_coordinates(high, include_z=True)[:, 2]) == {103.0}
    assert not shape(got(client, f"{ITEMS}/bldg_0005?crs={uri}")["geometry"]).has_z
    assert client.get(f"/ogc/collections/shelters/items?crs={uri}").status_code == 400


@pytest.mark.parametrize("code", [4326, 6668, 3857, 6677])
def test_q_a_box_in_any_crs_finds_the_same(client: TestClient, code: int) -> None:
    west, south, east, north = BOX
    if code in {4326, 6668}:
        box = [south, west, north, east]
    else:
        (x0, x1), (y0, y1) = crs.transformer(6668, code).transform([west, east], [south, north])
        box = [x0, y0, x1, y1] if code == 3857 else [y0, x0, y1, x1]
    query = f"bbox={','.join(map(str, box))}&bbox-crs={quote(crs_uri.uri(code))}&limit=99"
    assert [f["id"] for f in got(client, f"{ITEMS}?{query}")["features"]] == [
        f"bldg_{i:04d}" for i in (1, 2, 3, 4, 5)
    ]


# Part 3: queryables and filters.


def test_r_queryables_are_the_columns_that_a_filter_may_name(client: TestClient) -> None:
    for layer in PUBLIC:
        about = got(client, f"/ogc/collections/{layer}/queryables")
        assert about["type"] == "object"
        assert about["$id"].endswith(f"/{layer}/queryables")
        for name in set(about["properties"]) - {"geometry"}:
            url = f"/ogc/collections/{layer}/items?filter={quote(f'{name} IS NULL OR {name} IS NOT NULL')}"
            assert got(client, url)["numberMatched"] > 0
    assert "raw" not in got(client, "/ogc/collections/shelters/queryables")["properties"]


def test_s_a_filter_in_text_and_json_and_a_plain_parameter_agree(client: TestClient) -> None:
    as_json = {"op": "and", "args": [{"op": "=", "args": [{"property": "usage"}, "学校"]},
               {"op": ">", "args": [{"property": "year_built"}, 1970]}]}  # fmt: skip
    by_text = got(
        client,
        f"{ITEMS}?limit=99&filter={quote('usage = ' + chr(39) + '学校' + chr(39) + ' AND year_built > 1970')}",
    )
    by_json = got(
        client, f"{ITEMS}?limit=99&filter-lang=cql2-json&filter={quote(json.dumps(as_json))}"
    )
    assert by_text["features"] == by_json["features"]
    expected = [i for i in range(30) if i % 3 == 2 and i % 4 and 1960 + i > 1970]
    assert [f["id"] for f in by_text["features"]] == [f"bldg_{i:04d}" for i in expected]
    assert got(client, f"{ITEMS}?usage={quote('学校')}")["numberMatched"] == 10


def test_t_a_filter_may_be_in_the_zone(client: TestClient) -> None:
    west, south, east, north = BOX
    x, y = crs.project([west, east], [south, north], 6677)
    text = f"S_INTERSECTS(geometry, BBOX({y[0]},{x[0]},{y[1]},{x[1]}))"  # north first
    url = f"{ITEMS}?filter={quote(text)}&filter-crs={quote(crs_uri.uri(6677))}"
    assert got(client, url)["numberMatched"] == 5


# Maps, Coverages, Tiles, Records, STAC, DCAT.


def picture(client: TestClient, query: str) -> tuple[np.ndarray[Any, Any], Any]:
    answer = client.get(f"{GRID}/map?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA")), answer


def test_u_a_map_paints_every_cell_in_the_official_colour(
    client: TestClient, city: Workspace
) -> None:
    found, answer = picture(
        client, "width=20&height=20"
    )  # one pixel a cell, in the grid's own system
    with rasterio.open(city.hazards / "river-L2.tif", driver="GTiff") as source:
        depth = source.read(1)
        assert answer.headers["content-crs"] == f"<{crs_uri.uri(6677)}>"
        assert np.allclose(
            [float(v) for v in answer.headers["content-bbox"].split(",")], source.bounds, atol=1e-3
        )
    assert (found[depth == np.float32(0.3)] == (247, 245, 169, 255)).all()
    assert (found[depth == 3.0] == (255, 183, 183, 255)).all()
    nothing = ~(depth > 0)  # dry, or no value
    assert (found[nothing] == 0).all()
    behind, _ = picture(client, "width=20&height=20&bgcolor=0x102030")
    assert (behind[nothing] == (0x10, 0x20, 0x30, 255)).all()
    white, _ = picture(client, "width=20&height=20&transparent=false")
    assert (white[nothing] == 255).all()


def test_v_a_map_of_a_box_lies_north_up_in_any_crs(client: TestClient) -> None:
    box = "139.8801,36.5512,139.8809,36.5517"  # the shallow patch and what lies around it
    for code, expected in ((4326, "EPSG/0/4326"), (3857, "EPSG/0/3857"), (6677, "EPSG/0/6677")):
        found, answer = picture(client, f"bbox={box}&width=200&crs={quote(crs_uri.uri(code))}")
        assert expected in answer.headers["content-crs"]
        shallow = (found == (247, 245, 169, 255)).all(axis=2)
        assert 0.1 < shallow.mean() < 0.9
        rows, columns = np.nonzero(shallow)
        assert columns.min() > 0
        assert (found[..., 3] > 0).sum() == shallow.sum()  # the deep patch lies south of the box
        assert rows.max() < found.shape[0]
    swapped = "36.5512,139.8801,36.5517,139.8809"
    one, _ = picture(client, f"bbox={box}&width=64&height=64&crs={quote(crs_uri.uri(4326))}")
    two, _ = picture(
        client,
        f"bbox={swapped}&bbox-crs={quote(crs_uri.uri(4326))}&width=64&height=64&crs={quote(crs_uri.uri(4326))}",
    )
    assert (one == two).all()


@pytest.mark.parametrize(
    "query",
    ["width=0", "width=x", "bbox=1,2", "bgcolor=red", "transparent=maybe", "crs=EPSG:2451", "nobody=1",
     "f=json", f"crs={quote(crs_uri.uri(6697))}", "bbox=5,5,5,5"],
)  # fmt: skip
def test_w_a_map_that_cannot_be_is_a_400(client: TestClient, query: str) -> None:
    assert client.get(f"{GRID}/map?{query}").status_code == 400


def test_x_a_coverage_gives_the_very_cells(client: TestClient, city: Workspace) -> None:
    with rasterio.open(city.hazards / "river-L2.tif", driver="GTiff") as source:
        depth, bounds, transform = source.read(1), source.bounds, source.transform
    for query, part in (
        ("", np.s_[:, :]),
        (f"bbox={bounds.bottom + 55},{bounds.left + 31},{bounds.bottom + 95},{bounds.left + 69}"
         f"&bbox-crs={quote(crs_uri.uri(6677))}", np.s_[10:15, 3:7]),
    ):  # fmt: skip
        answer = client.get(f"{GRID}/coverage?{query}")
        assert answer.headers["content-type"] == "image/tiff; application=geotiff"
        with MemoryFile(answer.content) as memory, memory.open() as found:
            assert np.array_equal(found.read(1), depth[part], equal_nan=True)
            assert found.crs.to_epsg() == 6677
            assert np.isnan(found.nodata)
            assert found.units == ("m",)
            row, column = part[0].start or 0, part[1].start or 0
            assert found.transform * (0, 0) == pytest.approx(transform * (column, row))
    assert client.get(f"{GRID}/coverage?bbox=0,0,1,1").status_code == 400
    assert client.get(f"{ITEMS[:-6]}/coverage").status_code == 404
    assert client.get(f"{ITEMS[:-6]}/map").status_code == 404


def test_y_tiles_are_described_and_lead_to_the_tiles_of_today(
    client: TestClient, city: Workspace
) -> None:
    (listed,) = got(client, "/ogc/tiles")["tilesets"]
    about = got(client, links(listed, "self")[0]["href"])
    template = links(about, "item")[0]
    assert template["templated"] is True
    matrices = {
        m["id"]: m for m in got(client, "/ogc/tileMatrixSets/WebMercatorQuad")["tileMatrices"]
    }
    assert matrices["0"]["scaleDenominator"] == pytest.approx(
        559082264.0287178
    )  # OGC 17-083r4, annex D
    assert matrices["14"]["matrixWidth"] == 2**14
    assert {m["tileMatrix"] for m in about["tileMatrixSetLimits"]} == {
        str(z) for z in range(10, 17)
    }
    for limit in about["tileMatrixSetLimits"]:
        url = template["href"].format(
            tileMatrix=limit["tileMatrix"], tileRow=limit["minTileRow"], tileCol=limit["minTileCol"]
        )
        # Not by a redirect: QGIS does not follow one for vector tiles.
        assert client.get(url, follow_redirects=False).status_code in {200, 204}
    version = json.loads((city.tiles / "manifest.json").read_text())["version"]
    stored = gzip.decompress((city.tiles / version / "mvt/14/1/2.mvt.gz").read_bytes())
    assert client.get("/ogc/tiles/WebMercatorQuad/14/2/1").content == stored
    for wrong in ("9/0/0", "17/0/0", "10/1024/0", "10/0/1024", "x/0/0", "10/-1/0"):
        assert client.get(f"/ogc/tiles/WebMercatorQuad/{wrong}").status_code == 404


def test_z_the_tileset_keeps_its_address(client: TestClient, city: Workspace) -> None:
    version = json.loads((city.tiles / "manifest.json").read_text())["version"]
    tree = {"asset": {"version": "1.1"}, "root": {"content": {"uri": "0.glb"}, "children": [
        {"contents": [{"uri": "a/1.glb"}]}, {"content": {"uri": "sub.json"}}]}}  # fmt: skip
    (city.tiles / version / "3d/tileset.json").write_text(json.dumps(tree))
    found = got(client, "/ogc/3dtiles/tileset.json")
    root = f"http://testserver/3dtiles/{version}/"
    assert found["root"]["content"]["uri"] == f"{root}0.glb"
    assert found["root"]["children"][0]["contents"][0]["uri"] == f"{root}a/1.glb"
    assert client.get(found["root"]["content"]["uri"]).status_code == 200


def test_every_layer_stands_in_records_stac_and_dcat_with_links_that_work(
    client: TestClient,
) -> None:
    assert got(client, "/ogc/collections/catalogue")["itemType"] == "record"
    records = got(client, "/ogc/collections/catalogue/items?limit=100")["features"]
    assert {r["id"] for r in records} == PUBLIC
    for one in records:
        assert one["properties"]["type"] == "dataset"
        assert one["properties"]["title"]
        assert one["time"] is None
        for link in one["links"]:
            assert client.get(link["href"]).status_code == 200, link
    found = got(
        client,
        f"/ogc/collections/catalogue/items?filter={quote('id LIKE ' + chr(39) + 'hazard-%' + chr(39))}",
    )
    assert [r["id"] for r in found["features"]] == ["hazard-river-L2"]
    root = got(client, "/ogc/stac")
    assert root["type"] == "Catalog"
    for child in links(root, "child"):
        about = got(client, child["href"])
        assert about["type"] == "Collection"
        assert {"stac_version", "id", "description", "license", "extent", "links"} <= set(about)
        assert links(about, "parent")[0]["href"] == links(root, "self")[0]["href"]
        for asset in about["assets"].values():
            assert client.get(asset["href"]).status_code == 200, asset
    portal = got(client, "/ogc/dcat")
    assert portal["@type"] == "dcat:Catalog"
    assert len(portal["dcat:dataset"]) == len(PUBLIC)
    for dataset in portal["dcat:dataset"]:
        for way in dataset["dcat:distribution"]:
            answer = client.get(way["dcat:accessURL"]["@id"])
            assert answer.status_code == 200
            if way["dcat:mediaType"] != "application/json+3dtiles":
                assert answer.headers["content-type"] == way["dcat:mediaType"]


# What we promise beside the standards.


def test_nothing_changed_is_a_304_and_a_new_table_is_seen_at_once(tmp_path: Path) -> None:
    city = ogc_service.make(tmp_path / "city")
    client = TestClient(create_app(Settings(city=city.root, rate_api_per_minute=0)))
    for path in (ITEMS, "/ogc/collections", "/ogc/api", "/ogc"):
        tag = client.get(path).headers["etag"]
        assert client.get(path, headers={"if-none-match": tag}).status_code == 304
        assert (
            client.get(path, headers={"if-none-match": tag, "accept": "text/html"}).status_code
            == 200
        )
    tag = client.get(ITEMS).headers["etag"]
    table = pq.read_table(city.buildings)
    pq.write_table(table.slice(0, 4), city.buildings)
    answer = client.get(ITEMS, headers={"if-none-match": tag})
    assert answer.status_code == 200
    assert answer.json()["numberMatched"] == 4


def test_gzip_holds_the_same_bytes(client: TestClient) -> None:
    plain = client.get(f"{ITEMS}?limit=30", headers={"accept-encoding": "identity"})
    zipped = client.get(f"{ITEMS}?limit=30", headers={"accept-encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.content == plain.content
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != zipped.headers["etag"]
    assert int(zipped.headers["content-length"]) < len(gzip.compress(plain.content)) * 2


def test_a_large_page_is_streamed_whole(tmp_path: Path) -> None:
    city = ogc_service.make(tmp_path / "city")
    table = pq.read_table(city.buildings)
    many = table.take(np.arange(2500) % 30)
    names = [f"b{i}" for i in range(2500)]
    many = many.set_column(many.column_names.index("gml_id"), "gml_id", [names])
    pq.write_table(many, city.buildings)
    client = TestClient(create_app(Settings(city=city.root, rate_api_per_minute=0)))
    for encoding in ("identity", "gzip"):
        answer = client.get(f"{ITEMS}?limit=10000", headers={"accept-encoding": encoding})
        assert [f["id"] for f in answer.json()["features"]] == names


def test_another_site_s_page_may_read_but_sends_no_cookie(client: TestClient) -> None:
    answer = client.get(ITEMS, headers={"origin": "https://gis.example.org"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    before = client.options(
        ITEMS, headers={"origin": "https://x.example", "access-control-request-method": "GET"}
    )
    assert before.status_code == 204
    assert "GET" in before.headers["access-control-allow-methods"]


def test_the_service_stands_below_a_prefix(city: Workspace) -> None:
    client = TestClient(
        create_app(Settings(city=city.root, root_path="/sano", rate_api_per_minute=0))
    )
    page = got(client, "/sano/ogc")
    assert all("/sano/ogc" in one["href"] for one in page["links"])
    for one in page["links"]:
        assert client.get(one["href"]).status_code == 200, one


def test_staff_see_their_layers_and_the_cache_keeps_them_apart(city: Workspace) -> None:
    held = Collections()
    assert set(held.ids(city, "public")) == PUBLIC
    assert set(held.ids(city, "staff")) == PUBLIC | {"flood-breach"}
    assert "raw" in held.get(city, "shelters", "staff").table.column_names
    assert "raw" not in held.get(city, "shelters", "public").table.column_names


def test_the_store_of_layers_is_bounded(city: Workspace) -> None:
    held = Collections(held_rows=30)
    for layer in sorted(PUBLIC):
        held.get(city, layer, "public")
    assert sum(c.count for _, c in held._held.values() if c is not None) <= 30
    assert held.get(city, "buildings", "public") is held.get(city, "buildings", "public")
