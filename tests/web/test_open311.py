"""Open311 GeoReport v2 as another city's program meets it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import LAT, LON

import small_city
from asgi_client import TestClient
from citymap.reports import desk, keys
from citymap.reports.model import ReportError
from citymap.settings import Settings
from citymap.store import engine, shared_store
from citymap.web.public import create_app
from citymap.workspace import Workspace

BASE = "/open311/v2"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Workspace]:
    workspace = small_city.make(tmp_path / "city")
    shared_store(workspace)
    yield workspace
    if (
        used := engine._SHARED.pop(str(workspace.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


@pytest.fixture
def to(city: Workspace) -> TestClient:
    return TestClient(create_app(Settings(city=city.root)))


@pytest.fixture
def key(city: Workspace) -> str:
    return keys.make(shared_store(city), "neighbour", by="test")


def send(to: TestClient, key: str, form: str = "json", **changed: Any) -> Any:
    said = {"api_key": key, "service_code": "flooded_road", "lat": LAT, "long": LON,
            "description": "道路が冠水", "email": "himitsu@example.com", "phone": "090", **changed}  # fmt: skip
    return to.post(f"{BASE}/requests.{form}", data={k: v for k, v in said.items() if v is not None})


def xml(got: Any) -> ElementTree.Element:
    assert got.headers["content-type"].startswith("text/xml")
    return ElementTree.fromstring(got.content)  # noqa: S314


def test_services_in_both_forms_and_languages(to: TestClient) -> None:
    listed = to.get(f"{BASE}/services.json?lang=en").json()
    by_code = {s["service_code"]: s for s in listed}
    assert by_code["flooded_road"]["service_name"] == "Flooded road"
    assert by_code["flooded_road"]["metadata"] == "true"
    assert by_code["lifeline"]["metadata"] == "false"
    root = xml(to.get(f"{BASE}/services.xml"))
    assert root.tag == "services"
    assert {s.findtext("service_code") for s in root.findall("service")} == set(by_code)
    assert to.get(f"{BASE}/services.yaml").status_code == 404


def test_a_service_says_what_it_asks(to: TestClient) -> None:
    said = to.get(f"{BASE}/services/building_damage.json").json()
    assert [a["code"] for a in said["attributes"]] == ["depth_m", "severity"]
    assert [v["key"] for v in said["attributes"][1]["values"]] == ["1", "2", "3"]
    root = xml(to.get(f"{BASE}/services/building_damage.xml"))
    assert root.tag == "service_definition"
    assert len(root.findall("attributes/attribute")) == 2
    assert to.get(f"{BASE}/services/none.json").status_code == 404


def test_discovery_and_jurisdiction(to: TestClient) -> None:
    said = to.get(f"{BASE}/discovery.json").json()
    assert said["endpoints"][0]["specification"] == "http://wiki.open311.org/GeoReport_v2"
    assert "みどり川市" in said["key_service"]
    assert said["endpoints"][0]["url"].endswith(BASE)
    assert to.get(f"{BASE}/services.json?jurisdiction_id=09999").status_code == 200
    assert to.get(f"{BASE}/services.json?jurisdiction_id=13101").status_code == 404


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_report_comes_in_with_low_trust(
    to: TestClient, city: Workspace, key: str, form: str
) -> None:
    got = send(
        to, key, form, **{"attribute[depth_m]": "0.5", "media_url": "https://example.com/a.jpg"}
    )
    assert got.status_code == 201, got.text
    number = (
        got.json()[0]["service_request_id"]
        if form == "json"
        else xml(got).findtext("request/service_request_id")
    )
    report = desk.by_number(shared_store(city), int(number))
    assert report is not None
    assert (report.source, report.sender, report.sender_role) == (
        "open311",
        "program:neighbour",
        "public",
    )
    assert (report.depth_m, report.lon, report.lat) == (0.5, LON, LAT)
    assert "himitsu@example.com" in report.contact
    assert report.text.endswith("https://example.com/a.jpg")  # told, never fetched


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"api_key": "wrong"}, 403), ({"api_key": None}, 403), ({"service_code": "none"}, 404),
        ({"service_code": None}, 400),
        ({"lat": None, "long": None}, 400), ({"lat": "x"}, 400), ({"lat": LON, "long": LAT}, 400),
        ({"lat": 1, "long": 1}, 400), ({"jurisdiction_id": "13101"}, 404),
        ({"attribute[depth_m]": "deep"}, 400), ({"attribute[severity]": "9"}, 400), ({"attribute[severity]": "inf"}, 400),
        ({"lat": "nan"}, 400), ({"address_string": "どこか", "lat": None, "long": None}, 400),
    ],
)  # fmt: skip
def test_refusals_have_the_form_of_the_specification(
    to: TestClient, city: Workspace, key: str, changed: dict[str, Any], status: int
) -> None:
    got = send(to, key, **changed)
    assert got.status_code == status
    assert got.json()[0]["code"] == status
    assert got.json()[0]["description"]
    root = xml(send(to, key, "xml", **changed))
    assert (root.tag, root.findtext("error/code")) == ("errors", str(status))
    assert desk.count(shared_store(city)) == 0


def test_an_address_of_the_city_is_found(to: TestClient, city: Workspace, key: str) -> None:
    got = send(to, key, lat=None, long=None, address_string="みどり川市栄町5番6号")
    report = desk.by_number(shared_store(city), int(got.json()[0]["service_request_id"]))
    assert report is not None
    assert (report.lon, report.position_source) == (small_city.WEST, "address")


def test_a_program_that_repeats_itself_makes_one(to: TestClient, city: Workspace, key: str) -> None:
    said = {"api_key": key, "service_code": "other", "lat": LAT, "long": LON, "description": "x"}
    got = [
        to.post(f"{BASE}/requests.json", data=said, headers={"idempotency-key": "a-1"})
        for _ in range(3)
    ]
    assert len({g.json()[0]["service_request_id"] for g in got}) == 1
    assert desk.count(shared_store(city)) == 1


def test_a_key_can_be_taken_back(to: TestClient, city: Workspace, key: str) -> None:
    store = shared_store(city)
    assert keys.names(store) == ["neighbour"]
    assert keys.take_back(store, "neighbour", by="test") == 1
    assert send(to, key).status_code == 403
    with pytest.raises(ReportError):
        keys.make(store, "a b", by="test")


def test_only_public_reports_are_read_with_filters(
    to: TestClient, city: Workspace, key: str
) -> None:
    store = shared_store(city)
    numbers = [
        send(to, key, service_code=c).json()[0]["service_request_id"]
        for c in ("breach", "other", "other")
    ]
    assert to.get(f"{BASE}/requests.json").json() == []
    assert to.get(f"{BASE}/requests/{numbers[0]}.json").status_code == 404
    for report in desk.listed(store):
        desk.move(store, [report.id], "confirmed", by="ono")
        desk.publish(store, [report.id], by="ono", text="確認しました")
    last = desk.by_number(store, int(numbers[2]))
    assert last is not None
    desk.move(store, [last.id], "resolved", by="ono")

    def ids(query: str = "") -> set[str]:
        return {r["service_request_id"] for r in to.get(f"{BASE}/requests.json{query}").json()}

    assert ids() == set(numbers)
    assert ids("?status=closed") == {numbers[2]}
    assert ids("?status=open,closed&service_code=breach") == {numbers[0]}
    assert ids(f"?service_request_id={numbers[1]},{numbers[0]}") == {numbers[0], numbers[1]}
    # The specification: ids override every other filter.
    assert ids(f"?service_request_id={numbers[2]}&status=open&start_date=2099-01-01T00:00:00Z") == {
        numbers[2]
    }
    assert ids("?start_date=2099-01-01T00:00:00Z") == set()
    assert ids("?end_date=2099-01-01T00:00:00+09:00") == set(numbers)
    assert to.get(f"{BASE}/requests.json?start_date=yesterday").status_code == 400
    assert to.get(f"{BASE}/requests.json?status=new").status_code == 400
    one = to.get(f"{BASE}/requests/{numbers[0]}.json").json()[0]
    assert (one["description"], one["status"]) == ("確認しました", "open")
    assert (one["lat"], one["long"]) != (LAT, LON)
    whole = to.get(f"{BASE}/requests.xml").text
    assert "himitsu" not in whole
    assert "道路が冠水" not in whole
    root = xml(to.get(f"{BASE}/requests/{numbers[0]}.xml"))
    assert root.findtext("request/requested_datetime", "").endswith("Z")


def test_a_token_gives_the_number(to: TestClient, city: Workspace, key: str) -> None:
    number = send(to, key).json()[0]["service_request_id"]
    (report,) = desk.listed(shared_store(city))
    said = to.get(f"{BASE}/tokens/{report.id}.json").json()[0]
    assert said == {"service_request_id": number, "token": report.id}
    assert to.get(f"{BASE}/tokens/none.json").status_code == 404
