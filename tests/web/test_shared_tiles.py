"""Tiles for programs of others: pages of other sites may read them, and they say what they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import ogc_service
import small_city
from asgi_client import TestClient
from citymap.settings import Settings
from citymap.share.ogc.tile_style import FIELDS
from citymap.tiles.vector import LAYERS
from citymap.web.public import create_app
from citymap.workspace import Workspace

SET = "/ogc/tiles/WebMercatorQuad"
V = small_city.VERSION


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("tiles") / "city")


@pytest.fixture(scope="module")
def client(city: Workspace) -> TestClient:
    return TestClient(create_app(Settings(city=city.root, rate_api_per_minute=0)))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"/tiles/{V}/mvt/14/1/2.mvt", "application/vnd.mapbox-vector-tile"),
        (f"/3dtiles/{V}/0.glb", "model/gltf-binary"),
        (f"/3dtiles/{V}/tileset.json", "application/json"),
        ("/ogc/3dtiles/tileset.json", "application/json"),
        (f"{SET}/tilejson.json", "application/json"),
        (f"{SET}/style.json", "application/json"),
    ],
)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_other_sites_may_read_it_zipped_or_not(
    client: TestClient, path: str, kind: str, encoding: str
) -> None:
    headers = {"origin": "https://viewer.example", "accept-encoding": encoding}
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
    if path.endswith((".mvt", ".glb")):
        assert answer.headers.get("content-encoding") == (
            None if encoding == "identity" else "gzip"
        )
    again = client.get(path, headers={**headers, "if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["access-control-allow-origin"] == "*"


def test_a_missing_tile_may_be_read_too(client: TestClient) -> None:
    for path in (
        f"/tiles/{V}/mvt/15/1/2.mvt",
        f"{SET}/14/2/1",
        f"{SET}/14/2/2",
        f"/3dtiles/{V}/none.glb",
    ):
        answer = client.get(path, follow_redirects=False)
        assert answer.headers["access-control-allow-origin"] == "*", path
    asked = client.options(
        f"/tiles/{V}/mvt/14/1/2.mvt", headers={"origin": "https://viewer.example"}
    )
    assert asked.status_code == 204
    assert "authorization" in asked.headers["access-control-allow-headers"]


def test_the_renderer_and_private_answers_stay_our_own(client: TestClient) -> None:
    for path in ("/map/", "/api/search?q=x", "/auth/session"):
        answer = client.get(path)
        assert "access-control-allow-origin" not in answer.headers, path
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_tilejson_says_what_the_tiles_hold(client: TestClient) -> None:
    said = client.get(f"{SET}/tilejson.json").json()
    assert said["tilejson"] == "3.0.0"
    (template,) = said["tiles"]
    assert template == "http://testserver" + SET + "/{z}/{y}/{x}"
    tile = client.get(template.format(z=14, y=2, x=1))
    assert tile.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    west, south, east, north = said["bounds"]
    assert west < said["center"][0] < east
    assert south < said["center"][1] < north
    assert said["minzoom"] <= said["center"][2] <= said["maxzoom"]
    assert [one["id"] for one in said["vector_layers"]] == ["buildings"]
    assert set(FIELDS) == set(LAYERS)  # every layer that is ever written is described


def test_the_style_draws_layers_that_are_there(client: TestClient) -> None:
    said = client.get(f"{SET}/style.json").json()
    assert said["version"] == 8
    assert [one["id"] for one in said["layers"]] == ["paper", "buildings-fill"]
    for one in said["layers"][1:]:
        assert one["source"] in said["sources"]
    linked = client.get(SET).json()["links"]
    assert {"TileJSON", "MapLibre"} <= {one.get("title") for one in linked}
