"""NGSI-LD: the city OS finds shelters, openings, reports and closures, and nothing that is not released."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.geometry import shape

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import LAT, LON, body, checked

import small_city
from asgi_client import TestClient
from citymap import crs
from citymap.live import openings
from citymap.reports import desk, receive
from citymap.reports.model import Sender
from citymap.settings import Settings
from citymap.share.ngsi import query
from citymap.share.ngsi.entities import TYPES
from citymap.store import engine, shared_store
from citymap.store.tables import now
from citymap.web.public import create_app
from citymap.workspace import Workspace

ENTITIES = "/ngsi-ld/v1/entities"
CODE = "099996"  # six digits: with the check digit


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = small_city.make(tmp_path_factory.mktemp("ngsi") / "city")
    workspace.places.mkdir()
    west, south = small_city.WEST, small_city.SOUTH
    rows = [
        {"place_id": "1", "kind": "evacuation_site", "name": "緑川小学校", "lon": west, "lat": south, "flood": True,
         "landslide": False, "earthquake": True, "also_designated": True, "capacity": 390, "raw": "himitsu"},
        {"place_id": "2", "kind": "evacuation_site", "name": "東公園", "lon": west + 0.01, "lat": south, "flood": False,
         "earthquake": True, "also_designated": False, "capacity": None},
        {"place_id": "3 a", "kind": "evacuation_shelter", "name": "体育館", "lon": None, "lat": None, "capacity": 50},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), workspace.places / "shelters.parquet")
    spots = [
        {
            "place_id": "w1",
            "kind": "wifi",
            "name": "市役所",
            "lon": west,
            "lat": south,
            "ssid": "midori",
        }
    ]
    pq.write_table(pa.Table.from_pylist(spots), workspace.places / "wifi.parquet")
    store = shared_store(workspace)
    openings.say(store, "1", "open", head_count=12, by="ono")
    openings.say(store, "2", "closed", by="ono")
    for released in (True, False):
        at = now()
        data = body(observed_at=(at - timedelta(minutes=5)).isoformat())
        report = checked(data, at=at)
        receive.accept(store, workspace, report, sender=Sender("device:a"), at=at)
        desk.move(store, [report.id], "confirmed", by="ono")
        if released:
            desk.publish(store, [report.id], by="ono", text="通れません")
    yield workspace
    if (
        used := engine._SHARED.pop(str(workspace.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


@pytest.fixture(scope="module")
def client(city: Workspace) -> TestClient:
    return TestClient(create_app(Settings(city=city.root, rate_api_per_minute=0)))


def got(client: TestClient, question: str) -> list[dict[str, Any]]:
    answer = client.get(f"{ENTITIES}?{question}")
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def ids(client: TestClient, question: str) -> set[str]:
    return {one["id"].removeprefix("urn:ngsi-ld:") for one in got(client, question)}


def test_a_site_says_for_which_hazards_it_is_meant(client: TestClient) -> None:
    found = {one["id"]: one for one in got(client, "type=EvacuationSite")}
    assert set(found) == {f"urn:ngsi-ld:EvacuationSite:{CODE}:{i}" for i in (1, 2)}
    school = found[f"urn:ngsi-ld:EvacuationSite:{CODE}:1"]
    assert school["name"] == {"type": "Property", "value": "緑川小学校"}
    assert school["hazardTypes"]["value"] == ["flood", "earthquake"]
    assert school["maxCapacity"]["value"] == 390
    assert school["location"] == {
        "type": "GeoProperty",
        "value": {"type": "Point", "coordinates": [small_city.WEST, small_city.SOUTH]},
    }
    assert "maxCapacity" not in found[f"urn:ngsi-ld:EvacuationSite:{CODE}:2"]  # unknown is not 0
    assert "himitsu" not in json.dumps(list(found.values()))


def test_a_shelter_that_nobody_spoke_of_has_no_status(client: TestClient) -> None:
    found = {
        one["externalShelterId"]["value"]: one for one in got(client, "type=EvacuationShelter")
    }
    assert set(found) == {"1", "2", "3 a"}
    assert found["1"]["openingStatus"]["value"] == "open"
    assert found["1"]["openingStatus"]["observedAt"].endswith("Z")
    assert found["1"]["evacueeTotal"]["value"] == 12
    assert found["2"]["openingStatus"]["value"] == "closed"
    assert "openingStatus" not in found["3 a"]
    assert "location" not in found["3 a"]
    assert all(len(one["localGovernmentCode"]["value"]) == 6 for one in found.values())


def test_only_released_reports_are_incidents_blurred_and_without_their_writer(
    client: TestClient,
) -> None:
    (one,) = got(client, "type=IncidentReport")
    assert one["description"]["value"] == "通れません"
    assert one["reportedAt"]["value"]["@type"] == "DateTime"
    text = json.dumps(one, ensure_ascii=False)
    for secret in ("090-0000-0000", "橋の下が通れません", "device:a"):
        assert secret not in text
    lon, lat = one["location"]["value"]["coordinates"]
    assert abs(lon - LON) > 1e-6 or abs(lat - LAT) > 1e-6
    (closure,) = got(client, "type=RoadClosure")
    assert closure["closureStatus"]["value"] == "closed"
    assert shape(closure["location"]["value"]).is_valid


def test_every_type_is_listed_and_every_entity_is_found_by_its_id(client: TestClient) -> None:
    listed = client.get("/ngsi-ld/v1/types").json()
    assert set(listed["typeList"]) == set(TYPES)
    for one in got(client, f"type={','.join(TYPES)}&limit=1000"):
        alone = client.get(f"{ENTITIES}/{quote(one['id'], safe='')}")
        assert alone.status_code == 200
        assert {k: v["value"] for k, v in alone.json().items() if k == "name"} == {
            k: v["value"] for k, v in one.items() if k == "name"
        }
        assert ids(client, f"id={quote(one['id'], safe='')}") == {
            one["id"].removeprefix("urn:ngsi-ld:")
        }
    assert client.get(f"{ENTITIES}/urn:ngsi-ld:EvacuationSite:{CODE}:9").status_code == 404
    assert client.get(f"{ENTITIES}/x").json()["type"].endswith("/ResourceNotFound")


SITE, SHELTER = f"EvacuationSite:{CODE}:", f"EvacuationShelter:{CODE}:"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ('openingStatus=="open"', {SHELTER + "1"}), ("openingStatus==open", {SHELTER + "1"}),
        ("openingStatus!=open", {SHELTER + "2"}), ("openingStatus==open,closed", {SHELTER + "1", SHELTER + "2"}),
        ("evacueeTotal>11", {SHELTER + "1"}), ("evacueeTotal>12", set()), ("evacueeTotal>=12", {SHELTER + "1"}),
        ("maxCapacity==40..400", {SHELTER + "1", SHELTER + "3%20a"}), ("maxCapacity<100", {SHELTER + "3%20a"}),
        ("!openingStatus", {SHELTER + "3%20a"}), ("openingStatus;maxCapacity", {SHELTER + "1"}),
        ("openingStatus==closed|maxCapacity<100", {SHELTER + "2", SHELTER + "3%20a"}),
        ("(openingStatus==closed|maxCapacity<100);!location", {SHELTER + "3%20a"}),
        ('name~="小学"', {SHELTER + "1"}), ('name!~="小学"', {SHELTER + "2", SHELTER + "3%20a"}),
        ('name=="体育館"', {SHELTER + "3%20a"}), ("openingStatus.observedAt>2026-01-01", {SHELTER + "1", SHELTER + "2"}),
        ("externalShelterId==1", {SHELTER + "1"}),
    ],
)  # fmt: skip
def test_q(client: TestClient, question: str, expected: set[str]) -> None:
    assert ids(client, f"type=EvacuationShelter&q={quote(question)}") == expected


def test_georel_measures_in_metres_on_the_ground(client: TestClient) -> None:
    west, south = small_city.WEST, small_city.SOUTH
    x, _ = crs.project([west, west + 0.01], [south, south], 6677)
    apart = float(x[1] - x[0])
    at = quote(f"[{west},{south}]")
    near = f"type=EvacuationSite&geometry=Point&coordinates={at}&georel="
    assert ids(client, f"{near}near;maxDistance=={apart + 1:.2f}") == {SITE + "1", SITE + "2"}
    assert ids(client, f"{near}near;maxDistance=={apart - 1:.2f}") == {SITE + "1"}
    assert ids(client, f"{near}near;minDistance=={apart - 1:.2f}") == {SITE + "2"}
    box = shapely.box(west - 0.001, south - 0.001, west + 0.001, south + 0.001)
    ring = shapely.get_coordinates(box).tolist()
    area = f"type=EvacuationSite&geometry=Polygon&coordinates={quote(json.dumps([ring]))}&georel="
    assert ids(client, area + "within") == {SITE + "1"}
    assert ids(client, area + "disjoint") == {SITE + "2"}
    assert ids(client, "type=EvacuationShelter&geometry=Point&georel=disjoint&coordinates=[0,0]") == {
        SHELTER + "1", SHELTER + "2",
    }  # fmt: skip


def test_pages_count_and_links(client: TestClient) -> None:
    seen: list[str] = []
    url = f"{ENTITIES}?type=EvacuationSite,EvacuationShelter&limit=2&count=true"
    while url:
        answer = client.get(url)
        assert answer.headers["ngsild-results-count"] == "5"
        seen += [one["id"] for one in answer.json()]
        links = [part for part in answer.headers["link"].split(", ") if 'rel="next"' in part]
        url = links[0].partition(">")[0][1:] if links else ""
    assert len(seen) == len(set(seen)) == 5


def test_forms_of_an_entity(client: TestClient) -> None:
    one = got(
        client, f"id=urn:ngsi-ld:EvacuationSite:{CODE}:1&options=keyValues&attrs=name,hazardTypes"
    )
    assert one == [{"id": f"urn:ngsi-ld:EvacuationSite:{CODE}:1", "type": "EvacuationSite",
                    "name": "緑川小学校", "hazardTypes": ["flood", "earthquake"]}]  # fmt: skip
    plain = client.get(f"{ENTITIES}?type=EvacuationSite")
    assert plain.headers["content-type"] == "application/json"
    assert "json-ld#context" in plain.headers["link"]
    linked = client.get(
        f"{ENTITIES}?type=EvacuationSite", headers={"accept": "application/ld+json"}
    )
    assert linked.headers["content-type"] == "application/ld+json"
    assert all("@context" in one for one in linked.json())
    assert "json-ld#context" not in linked.headers.get("link", "")


@pytest.mark.parametrize(
    "question",
    ["", "limit=5", "type=EvacuationSite&limit=x", "type=EvacuationSite&limit=5000", "type=EvacuationSite&offset=-1",
     "type=EvacuationSite&nobody=1", "q=)", "q=a==", "q===a", "q=(a", "q=" + "(" * 50, "q=a~=%5B", "q=a<1,2",
     "georel=near&geometry=Point&coordinates=[1,2]", "georel=within", "georel=within&geometry=Point&coordinates=x",
     "georel=within&geometry=Point&coordinates=[1]", "georel=within&geometry=Nope&coordinates=[1,2]",
     "georel=within&geometry=Point&coordinates=[1e9,2]", "georel=within&geometry=Point&coordinates=null",
     "type=EvacuationSite&options=x", "idPattern=%5B", "q=" + "a" * 3000],
)  # fmt: skip
def test_what_cannot_be_asked_is_bad_request_data(client: TestClient, question: str) -> None:
    answer = client.get(f"{ENTITIES}?{question}", headers={"accept-language": "en"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "https://uri.etsi.org/ngsi-ld/errors/BadRequestData"
    assert "{" not in answer.json()["title"]


def test_a_pattern_takes_linear_time(client: TestClient) -> None:
    evil = quote('name~="(a+)+$"')
    assert got(client, f"type=EvacuationSite&q={evil}") == []
    assert query.pattern("(a+)+$", "q")("a" * 50_000 + "b") is False


def test_an_unknown_type_is_an_empty_list(client: TestClient) -> None:
    assert got(client, "type=Car") == []
