"""The shared routes: search, records, view, tiles, health, and the prefix of a reverse proxy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette

from asgi_client import TestClient
from citymap.settings import Settings
from citymap.web import place, routes
from citymap.web.public import create_app
from citymap.workspace import Workspace
from small_city import VERSION


@pytest.fixture
def client(small: Workspace) -> TestClient:
    return TestClient(create_app(Settings(city=small.root)))


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.delenv("CITYMAP_CITY", raising=False)
    return TestClient(create_app(Settings()))


def test_search_answers_with_the_agreed_keys(client: TestClient) -> None:
    got = client.get("/api/search", params={"q": "小学校"}).json()
    assert [set(hit) for hit in got] == [{"kind", "label", "lon", "lat", "gml_id"}]
    assert got[0]["gml_id"] == "bldg_0002"


@pytest.mark.parametrize("limit", ["3", "-1", "x", "999999", "１"])
def test_search_keeps_any_limit_in_bounds(client: TestClient, limit: str) -> None:
    got = client.get("/api/search", params={"q": "本町", "limit": limit})
    assert got.status_code == 200
    assert 1 <= len(got.json()) <= 50


def test_search_for_nothing_is_empty(client: TestClient) -> None:
    assert client.get("/api/search").json() == []


def test_a_record_keeps_nulls_risks_and_attributes(client: TestClient) -> None:
    got = client.get("/api/buildings/bldg_0002").json()
    assert got["measured_height_m"] is None
    assert got["row"] == 2
    assert [(r["name"], r["scale"], r["depth_m"]) for r in got["risks"]][1] == ("小川", "L1", None)
    assert {a["name"] for a in got["attributes"]} == {
        "uro:fireproofStructureType", "uro:landUseType"
    }  # fmt: skip
    assert client.get("/api/buildings/bldg_0001").json()["risks"] == []


@pytest.mark.parametrize(("lang", "word"), [("ja", "ありません"), ("en", "no building")])
def test_an_unknown_building_is_404_in_words(client: TestClient, lang: str, word: str) -> None:
    got = client.get("/api/buildings/<script>", params={"lang": lang})
    assert got.status_code == 404
    assert word in got.json()["message"]
    assert got.headers["content-type"] == "application/json"


def test_the_view_is_pydeck_json_over_the_city(client: TestClient) -> None:
    got = client.get("/api/view.json").json()
    assert [layer["@@type"] for layer in got["layers"]] == ["CityBaseLayer", "CityBuildingsLayer"]
    assert 139.88 < got["initialViewState"]["longitude"] < 139.9
    assert "mapStyle" not in got and "mapProvider" not in got
    assert "buildings" in {layer["id"] for layer in got["metadata"]["layers"]}


def test_tiles_and_3d_tiles_come_from_one_tree(client: TestClient) -> None:
    assert client.get("/tiles/manifest.json").json()["version"] == VERSION
    assert client.get(f"/tiles/{VERSION}/mvt/14/1/2.mvt").content == b"tile " * 200
    assert client.get(f"/3dtiles/{VERSION}/0.glb").content.startswith(b"glTF")
    assert client.get(f"/3dtiles/{VERSION}/tileset.json").json()["asset"]["version"] == "1.1"
    assert client.get(f"/tiles/{VERSION}/mvt/14/9/9.mvt").status_code == 204
    assert client.get(f"/tiles/{VERSION}/.secret").status_code == 404


def test_a_new_import_is_searched_without_restart(tmp_path: Path) -> None:
    import small_city

    workspace = small_city.make(tmp_path / "a", 3)
    client = TestClient(create_app(Settings(city=workspace.root)))
    assert client.get("/api/buildings/bldg_0004").status_code == 404
    other = small_city.make(tmp_path / "b", 6)
    other.buildings.replace(workspace.buildings)
    assert client.get("/api/buildings/bldg_0004").status_code == 200


@pytest.mark.parametrize("path", ["/api/search?q=a", "/api/buildings/a", "/api/view.json"])
def test_without_a_city_the_api_says_how_to_get_one(nowhere: TestClient, path: str) -> None:
    got = nowhere.get(path)
    assert got.status_code == 503
    assert "CITYMAP_CITY" in got.json()["remedy"]


def test_an_error_does_not_tell_server_paths(tmp_path: Path) -> None:
    client = TestClient(create_app(Settings(city=tmp_path / "very-private")))
    assert "very-private" not in client.get("/api/search?q=a").text


def test_health_tells_what_is_there(client: TestClient, nowhere: TestClient) -> None:
    assert client.get("/healthz").json()["tiles"] is True
    assert nowhere.get("/healthz").json() | {"version": ""} == {
        "status": "ok", "version": "", "city": False, "tiles": False
    }  # fmt: skip


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text('<script src="./assets/a.js"></script>', encoding="utf-8")
    monkeypatch.setattr(place, "STATIC", tmp_path)


def test_the_front_is_the_page_of_the_residents(client: TestClient, page: None) -> None:
    got = client.get("/?lang=en", follow_redirects=False)
    assert (got.status_code, got.text) == (200, '<script src="./home/assets/a.js"></script>')
    assert got.headers["cache-control"] == "no-cache"


def test_where_the_page_was_not_built_the_front_leads_to_the_map(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "STATIC", tmp_path / "nothing")
    got = client.get("/", follow_redirects=False)
    assert (got.status_code, got.headers["location"]) == (307, "map/")


@pytest.mark.parametrize("sent", ["/sano", ""])
def test_a_prefix_works_whether_or_not_the_proxy_strips_it(
    small: Workspace, sent: str, page: None
) -> None:
    client = TestClient(create_app(Settings(city=small.root, root_path="/sano")))
    assert client.get(f"{sent}/tiles/manifest.json").status_code == 200
    assert client.get(f"{sent}/api/search?q=小学校").json()[0]["kind"] == "building"
    assert client.get(f"{sent}/", follow_redirects=False).status_code == 200


def test_routes_can_be_mounted_in_another_application(small: Workspace) -> None:
    client = TestClient(Starlette(routes=routes(Settings(city=small.root))))
    assert client.get("/tiles/manifest.json").status_code == 200
    assert client.get("/healthz").status_code == 200
    assert json.loads(client.get("/api/search?q=bldg_0003").text)[0]["gml_id"] == "bldg_0003"


def test_a_guard_stays_at_its_door_under_a_prefix(small: Workspace) -> None:
    from citymap.web.access import Guard

    for prefix in ("", "/sano"):
        listed = routes(Settings(city=small.root, root_path=prefix))
        assert all(isinstance(route.app, Guard) for route in listed)  # type: ignore[attr-defined]
        assert all(route.path.startswith(prefix + "/") for route in listed)  # type: ignore[attr-defined]


def test_an_error_names_a_file_of_the_server_but_not_its_folder() -> None:
    from citymap.errors import BadInputError
    from citymap.web.answers import said_to_anybody

    said = said_to_anybody(BadInputError("hazard_description", place="/srv/city/x.toml"), "en")
    assert said["message"].startswith("x.toml")
    assert "/srv" not in json.dumps(said)
