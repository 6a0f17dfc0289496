"""`/api/place`, `/status.json`, `/search.json`: what residents get, and what they never get."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from tests import small_city
from tests.asgi_client import TestClient

from citymap.live import openings
from citymap.places import import_places
from citymap.settings import Settings
from citymap.store import engine, shared_store
from citymap.web.public import create_app
from citymap.workspace import Workspace


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    tmp = tmp_path_factory.mktemp("town")
    workspace = small_city.make(tmp / "city")
    (tmp / "s.csv").write_text(
        f"ID,名称,緯度,経度,災害種別_洪水,電話番号\n1,第一小,{small_city.SOUTH},{small_city.WEST},1,028-000-0000\n",
        encoding="utf-8",
    )
    import_places(workspace, [tmp / "s.csv"])
    return workspace


@pytest.fixture(scope="module")
def client(town: Workspace) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(city=town.root))) as found:
        yield found
    if (
        used := engine._SHARED.pop(str(town.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


def test_a_place_is_answered_for_everybody(client: TestClient) -> None:
    said = client.get(f"/api/place?lon={small_city.WEST}&lat={small_city.SOUTH}")
    assert said.status_code == 200
    record = json.loads(said.text)
    assert record["building"] == {"gml_id": "bldg_0000", "name": None, "storeys": 1}
    assert (record["verdict"], record["hazards"]) == ("unknown", [])


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 422), ("lon=139.88", 422), ("lon=nan&lat=36.5", 422), ("lon=1e999&lat=36.5", 422),
     ("lon=36.55&lat=139.88", 422), ("lon=135&lat=35", 404), ("lon=139.88&lat=36.55&hazard=%3Cscript%3E", 404),
     ("lon=" + "9" * 5000 + "&lat=36", 422), ("lon=139.88'%20OR%201=1&lat=36.55", 422)],
)  # fmt: skip
def test_hostile_questions_get_a_remedy(client: TestClient, query: str, status: int) -> None:
    said = client.get(f"/api/place?{query}")
    assert said.status_code == status
    body = json.loads(said.text)
    assert body["message"] and body["remedy"]


def test_the_status_is_fresh_and_unknown_is_not_open(client: TestClient, town: Workspace) -> None:
    said = client.get("/status.json")
    assert said.headers["cache-control"] == "no-cache"
    assert json.loads(said.text)["openings"] == {}
    openings.say(shared_store(town), "1", "full", head_count=80, by="佐藤")
    again = json.loads(client.get("/status.json").text)
    assert again["openings"]["1"]["state"] == "full" and "佐藤" not in json.dumps(again)


def test_the_search_file_holds_names_and_no_numbers_to_call(client: TestClient) -> None:
    said = client.get("/search.json")
    body = json.loads(said.text)
    assert [d[0] for d in body["districts"]] == ["本町一丁目", "ヶ丘町"]
    assert body["places"][0][:3] == [
        "第一小",
        round(small_city.WEST * 1e5),
        round(small_city.SOUTH * 1e5),
    ]
    assert body["addresses"] == [["みどり川市栄町", [["5番6号", 13988000, 3655000]]]]
    assert "028-000-0000" not in said.text
    etag = said.headers["etag"]
    assert client.get("/search.json", headers={"if-none-match": etag}).status_code == 304
    assert len(gzip.compress(said.text.encode())) < 1000
