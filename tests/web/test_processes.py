"""OGC API – Processes: the abstract tests of Part 1 (1.0) written out and run, and who may run what."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

sys.path.insert(0, str(Path(__file__).parents[1]))
import ogc_service
import small_city
from asgi_client import TestClient
from citymap.jobs.run import run
from citymap.settings import Settings
from citymap.share.ogc import processes
from citymap.store import Store, accounts, engine, jobs, keys, shared_store
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.web.public import create_app
from citymap.workspace import Workspace

TLS = "https://city.example.org"
SPEC = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
LIST, JOBS = "/ogc/processes", "/ogc/jobs"
AT_PLACES = f"{LIST}/exposure-at-places"
RUN = f"{AT_PLACES}/execution"
WET = (139.88067, 36.55072)  # 3 m deep in the grid of ogc_service
NEAR = [small_city.WEST, small_city.SOUTH]


def point(lon: float = WET[0], lat: float = WET[1]) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def square(lon: float, lat: float, side: float) -> dict[str, Any]:
    ring = [[lon, lat], [lon + side, lat], [lon + side, lat + side], [lon, lat + side], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def features(*shapes: dict[str, Any], **properties: Any) -> dict[str, Any]:
    listed = [{"type": "Feature", "id": f"p{i}", "geometry": s, "properties": properties}
              for i, s in enumerate(shapes)]  # fmt: skip
    return {"type": "FeatureCollection", "features": listed}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("processes") / "city")


@pytest.fixture
def settings(city: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(accounts, "HASHER", PasswordHasher(time_cost=1, memory_cost=1024))
    return Settings(
        city=city.root, store=str(tmp_path / "store.sqlite"), rate_api_per_minute=0,
        rate_write_per_minute=0, rate_account_per_minute=0,
    )  # fmt: skip


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = shared_store(settings.store)
    for name, role in (("staff", Role.STAFF), ("other", Role.STAFF), ("admin", Role.ADMIN), ("field", Role.FIELD)):  # fmt: skip
        accounts.add(opened, name, role, None, by="test", oidc_subject=f"issuer {name}")
    yield opened
    if (used := engine._SHARED.pop(str(settings.store), None)) is not None:
        used.close()


@pytest.fixture
def anybody(settings: Settings, store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url=TLS) as to:
        yield to


def as_(to: TestClient, store: Store, name: str, role: Role = Role.STAFF) -> dict[str, str]:
    text = keys.add(store, name, scopes=[Scope.PROCESSES, Scope.FEATURES], role=role, by="test")[1]
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{text}".encode()).decode()}


def worked_off(store: Store, city: Workspace) -> None:
    while (job := jobs.claim(store, "test")) is not None:
        run(store, city, job)


def problem(answer: Any, status: int, kind: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    assert said["status"] == status
    assert said["title"]
    if kind is not None:
        assert said["type"] == f"{EXCEPTIONS}/{kind}"
    return said


# /conf/core: landing page, conformance, list, description


def test_landing_page_links_to_processes_and_jobs(anybody: TestClient) -> None:
    rels = {link["rel"]: link["href"] for link in anybody.get("/ogc").json()["links"]}
    for rel in ("processes", "job-list"):
        assert anybody.get(rels[f"http://www.opengis.net/def/rel/ogc/1.0/{rel}"]).status_code == 200


def test_conformance_declares_exactly_what_is_tested_here(anybody: TestClient) -> None:
    declared = set(anybody.get("/ogc/conformance").json()["conformsTo"])
    ours = {d.rpartition("/")[2] for d in declared if d.startswith(SPEC)}
    assert ours == {
        "core",
        "ogc-process-description",
        "json",
        "html",
        "oas30",
        "job-list",
        "dismiss",
    }


def test_process_list_summaries_limit_and_links(anybody: TestClient, store: Store) -> None:
    listed = anybody.get(LIST).json()
    assert {link["rel"] for link in listed["links"]} >= {"self", "alternate"}
    assert [p["id"] for p in listed["processes"]] == ["exposure-at-places"]
    staff = as_(anybody, store, "staff")
    assert len(anybody.get(LIST, headers=staff).json()["processes"]) == 2
    assert len(anybody.get(f"{LIST}?limit=1", headers=staff).json()["processes"]) == 1
    for wrong in ("0", "-1", "x", "99999"):
        problem(anybody.get(f"{LIST}?limit={wrong}"), 400)
    for one in listed["processes"]:
        assert set(one) >= {"id", "version", "jobControlOptions", "outputTransmission", "links"}
        assert one["outputTransmission"] == ["value"]


def test_process_description_is_of_the_profile(anybody: TestClient, store: Store) -> None:
    about = anybody.get(AT_PLACES).json()
    assert set(about["inputs"]) == {"places", "sets", "storeys", "structure"}
    for one in (*about["inputs"].values(), *about["outputs"].values()):
        assert one["schema"]["type"] in {"object", "string", "integer"}
    assert about["inputs"]["places"]["minOccurs"] == 1
    assert about["inputs"]["sets"]["schema"]["enum"] == ["river-L2"]
    execute = next(link for link in about["links"] if link["rel"].endswith("/execute"))
    assert execute["href"] == f"{TLS}{RUN}"
    assert "lang" not in about
    assert anybody.get(AT_PLACES, headers={"accept-language": "en"}).json()["title"].startswith("Exposure")  # fmt: skip


def test_no_such_process(anybody: TestClient) -> None:
    problem(anybody.get(f"{LIST}/nothing"), 404, "no-such-process")
    problem(anybody.post(f"{LIST}/nothing/execution", json={}), 404, "no-such-process")


def test_html_and_openapi(anybody: TestClient) -> None:
    for path in (LIST, AT_PLACES, JOBS):
        page = anybody.get(f"{path}?f=html")
        assert page.headers["content-type"].startswith("text/html")
        assert "<h1>" in page.text
    paths = anybody.get("/ogc/api").json()["paths"]
    assert "post" in paths["/processes/{processID}/execution"]
    assert set(paths["/jobs/{jobID}"]) == {"get", "delete"}


# /conf/core: execution


def test_execution_is_synchronous_by_default_and_gives_the_raw_value(anybody: TestClient) -> None:
    answer = anybody.post(RUN, json={"inputs": {"places": features(point(), storeys=3)}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/geo+json"
    (one,) = answer.json()["features"]
    assert one["id"] == "p0"
    assert one["geometry"] == point()
    (found,) = one["properties"]["sets"]
    assert (found["set"], found["state"], found["depth_m"]) == ("river-L2", "inside", 3.0)
    assert found["dry_floor"] == 3
    assert one["properties"]["verdict"] == found["verdict"] == "unknown"  # no duration is known


def test_the_verdict_is_for_the_storeys_that_were_sent(anybody: TestClient) -> None:
    low, high = (
        anybody.post(RUN, json={"inputs": {"places": point(), "storeys": n}}).json()["features"][0]
        for n in (1, 5)
    )
    assert low["properties"]["verdict"] == "leave"
    assert "no_dry_floor" in low["properties"]["reasons"]
    assert high["properties"]["verdict"] == "unknown"


def test_what_nobody_surveyed_is_never_safe(anybody: TestClient) -> None:
    outside = point(139.8795, 36.5498)  # beside the city
    unknown = point(139.8900, 36.5560)  # in the city, where the grid says nothing
    found = anybody.post(RUN, json={"inputs": {"places": features(outside, unknown)}}).json()
    for one in found["features"]:
        assert one["properties"]["verdict"] == "unknown"
        assert one["properties"]["sets"][0]["state"] == "not_surveyed"


def test_inputs_inline_by_value_object_and_array(anybody: TestClient) -> None:
    plain = anybody.post(RUN, json={"inputs": {"places": point()}}).json()
    for places in ({"value": point()}, {"value": point(), "mediaType": "application/geo+json"},
                   {"type": "Feature", "geometry": point(), "properties": None}):  # fmt: skip
        assert anybody.post(RUN, json={"inputs": {"places": places}}).json() == plain
    for sets in ("river-L2", ["river-L2"], {"value": ["river-L2"]}):
        assert anybody.post(RUN, json={"inputs": {"places": point(), "sets": sets}}).json() == plain


def test_document_response_names_every_output(anybody: TestClient) -> None:
    raw = anybody.post(RUN, json={"inputs": {"places": point()}})
    answer = anybody.post(RUN, json={"inputs": {"places": point()}, "response": "document",
                                     "outputs": {"result": {"transmissionMode": "value"}}})  # fmt: skip
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"result": {"value": raw.json(), "mediaType": "application/geo+json"}}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"inputs": []}', b'{"inputs": {}}', b'{"inputs": {"places": NaN}}',
        b"[" * 3000, b'{"inputs": {"places": 1}}', b'{"inputs": {"places": {"type": "LineString"}}}',
        b'{"inputs": {"places": {"type": "Point", "coordinates": []}}}',
        b'{"inputs": {"places": {"type": "Point", "coordinates": ["a", "b"]}}}',
        b'{"inputs": {"places": {"type": "Point", "coordinates": [1e999, 2]}}}',
        b'{"inputs": {"places": {"type": "Polygon", "coordinates": [[[1, 2]]]}}}',
        b'{"inputs": {"places": {"type": "FeatureCollection", "features": []}}}',
        b'{"inputs": {"places": {"type": "FeatureCollection", "features": [1]}}}',
        json.dumps({"inputs": {"places": point(), "storeys": 0}}).encode(),
        json.dumps({"inputs": {"places": point(), "storeys": True}}).encode(),
        json.dumps({"inputs": {"places": point(), "sets": ["none"]}}).encode(),
        json.dumps({"inputs": {"places": point(), "unknown": 1}}).encode(),
        json.dumps({"inputs": {"places": point(), "structure": "paper"}}).encode(),
        json.dumps({"inputs": {"places": point()}, "outputs": {"other": {}}}).encode(),
        json.dumps({"inputs": {"places": point()}, "outputs": {"result": {"transmissionMode": "reference"}}}).encode(),
        json.dumps({"inputs": {"places": point()}, "response": "x"}).encode(),
        json.dumps({"inputs": {"places": point()}, "subscriber": {"successUri": "http://127.0.0.1/"}}).encode(),
        json.dumps({"inputs": {"places": {"href": "http://127.0.0.1:1/x"}}}).encode(),
        json.dumps({"inputs": {"places": point(36.55, 139.88)}}).encode(),
        json.dumps({"inputs": {"places": {"type": "Polygon", "coordinates": [
            [[139.88, 36.55], [139.881, 36.551], [139.881, 36.55], [139.88, 36.551], [139.88, 36.55]]]}}}).encode(),
    ],
)  # fmt: skip
def test_inputs_are_validated(anybody: TestClient, body: bytes) -> None:
    problem(anybody.post(RUN, content=body), 400)


def test_the_public_may_ask_for_little_and_starts_no_job(anybody: TestClient, store: Store) -> None:
    many = features(*[point()] * (processes.PUBLIC.places + 1))
    problem(anybody.post(RUN, json={"inputs": {"places": many}}), 413)
    problem(anybody.post(RUN, json={"inputs": {"places": square(*NEAR, 0.03)}}), 413)
    ring = [[139.88 + i * 1e-6, 36.55] for i in range(2000)] + [[139.89, 36.56], [139.88, 36.55]]
    shaped = {"type": "Polygon", "coordinates": [ring]}
    problem(anybody.post(RUN, json={"inputs": {"places": shaped}}), 413)
    problem(anybody.post(RUN, json={"inputs": {"places": point(135.0, 35.0)}}), 404)
    answer = anybody.post(
        RUN, json={"inputs": {"places": point()}}, headers={"prefer": "respond-async"}
    )
    assert answer.status_code == 200
    problem(anybody.post(f"{LIST}/city-exposure/execution", json={}), 404, "no-such-process")
    field = as_(anybody, store, "field", Role.FIELD)
    problem(anybody.post(f"{LIST}/city-exposure/execution", json={}, headers=field), 404)
    problem(anybody.post(RUN, json={"inputs": {"places": many}}, headers=field), 413)
    assert jobs.listed(store) == []


def test_a_reference_is_read_from_allowed_servers_only(anybody: TestClient, store: Store) -> None:
    answer = anybody.post(
        RUN, json={"inputs": {"places": {"href": "http://169.254.169.254/x"}}},
        headers=as_(anybody, store, "staff"),
    )  # fmt: skip
    assert problem(answer, 403)["code"] == "remote_not_allowed"


# /conf/core: jobs; /conf/job-list; /conf/dismiss


def started(to: TestClient, headers: dict[str, str], **inputs: Any) -> tuple[str, dict[str, Any]]:
    answer = to.post(
        RUN, json={"inputs": {"places": point(), **inputs}, "response": "raw"},
        headers={**headers, "prefer": "respond-async"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    about = answer.json()
    assert answer.headers["location"] == f"{TLS}{JOBS}/{about['jobID']}"
    return f"{JOBS}/{about['jobID']}", about


def test_a_job_from_start_to_results(anybody: TestClient, store: Store, city: Workspace) -> None:
    staff = as_(anybody, store, "staff")
    path, about = started(anybody, staff)
    assert (about["status"], about["type"], about["processID"]) == ("accepted", "process", "exposure-at-places")  # fmt: skip
    problem(anybody.get(f"{path}/results", headers=staff), 404, "result-not-ready")
    worked_off(store, city)
    done = anybody.get(path, headers=staff).json()
    assert done["status"] == "successful"
    assert done["progress"] == 100
    assert {"created", "started", "finished", "updated"} <= set(done)
    link = next(one for one in done["links"] if one["rel"].endswith("/results"))
    answer = anybody.get(link["href"], headers=staff)
    assert answer.headers["content-type"] == "application/geo+json"
    direct = anybody.post(RUN, json={"inputs": {"places": point()}})
    assert answer.json() == direct.json()


def test_a_failed_job_says_why(anybody: TestClient, store: Store, city: Workspace) -> None:
    staff = as_(anybody, store, "staff")
    path, _ = started(anybody, staff, sets=["river-L2"])
    hidden = city.hazards / "river-L2.toml"
    text = hidden.read_text(encoding="utf-8")
    hidden.unlink()
    (city.hazards / "river-L2.tif").rename(city.hazards / "gone")
    try:
        worked_off(store, city)
    finally:
        (city.hazards / "gone").rename(city.hazards / "river-L2.tif")
        hidden.write_text(text, encoding="utf-8")
    assert anybody.get(path, headers=staff).json()["status"] == "failed"
    problem(anybody.get(f"{path}/results", headers=staff), 404)


def test_jobs_are_seen_by_who_started_them_and_administrators(
    anybody: TestClient, store: Store
) -> None:
    path, _ = started(anybody, as_(anybody, store, "staff"))
    other = as_(anybody, store, "other")
    for headers in ({}, other):
        problem(anybody.get(path, headers=headers), 404, "no-such-job")
        problem(anybody.get(f"{path}/results", headers=headers), 404, "no-such-job")
        problem(anybody.delete(path, headers=headers), 404, "no-such-job")
        assert anybody.get(JOBS, headers=headers).json()["jobs"] == []
    admin = as_(anybody, store, "admin", Role.ADMIN)
    assert anybody.get(path, headers=admin).status_code == 200
    foreign = jobs.submit(store, "tiles", by="admin")
    problem(anybody.get(f"{JOBS}/{foreign.id}", headers=admin), 404, "no-such-job")
    problem(anybody.get(f"{JOBS}/nothing", headers=admin), 404, "no-such-job")


def test_job_list_filters(anybody: TestClient, store: Store, city: Workspace) -> None:
    staff = as_(anybody, store, "staff")
    started(anybody, staff)
    worked_off(store, city)
    _, second = started(anybody, staff, storeys=2)

    def ids(query: str) -> list[str]:
        answer = anybody.get(f"{JOBS}?{query}", headers=staff)
        assert answer.status_code == 200, answer.text
        return [j["jobID"] for j in answer.json()["jobs"]]

    assert len(ids("")) == 2
    assert ids("limit=1") == [second["jobID"]]  # the newest first
    assert ids("status=accepted") == [second["jobID"]]
    assert len(ids("status=successful,accepted")) == 2
    assert ids("processID=city-exposure") == []
    assert len(ids("processID=exposure-at-places&type=process")) == 2
    assert ids("type=other") == []
    assert ids(f"datetime={second['created']}/..") == [second["jobID"]]
    assert ids("datetime=../2020-01-01T00:00:00Z") == []
    assert len(ids("minDuration=0")) == 1
    assert ids("minDuration=3600") == []
    assert ids("maxDuration=3600") != []
    for wrong in ("datetime=x", "minDuration=x", "limit=0", "unknown=1"):
        problem(anybody.get(f"{JOBS}?{wrong}", headers=staff), 400)


def test_dismiss_stops_a_waiting_job_and_drops_the_answer_of_a_done_one(
    anybody: TestClient, store: Store, city: Workspace
) -> None:
    staff = as_(anybody, store, "staff")
    done, about = started(anybody, staff)
    worked_off(store, city)
    assert processes.result_file(city, about["jobID"]).is_file()
    assert anybody.delete(done, headers=staff).json()["status"] == "dismissed"
    assert not processes.result_file(city, about["jobID"]).exists()
    problem(anybody.get(f"{done}/results", headers=staff), 404, "no-such-job")
    waiting, _ = started(anybody, staff, storeys=2)
    assert anybody.delete(waiting, headers=staff).json()["status"] == "dismissed"
    assert anybody.get(waiting, headers=staff).json()["status"] == "dismissed"
    problem(anybody.get(f"{waiting}/results", headers=staff), 404)
    assert jobs.claim(store, "test") is None


def test_staff_compute_the_whole_city_anew(
    anybody: TestClient, store: Store, tmp_path: Path
) -> None:
    own = ogc_service.make(tmp_path / "own")
    (own.root / "exposure/combined.parquet").unlink()
    (own.places / "shelters.parquet").unlink()  # one stands nowhere, which no import lets in
    settings = Settings(city=own.root, store=str(tmp_path / "store.sqlite"))
    with TestClient(create_app(settings), base_url=TLS) as to:
        staff = as_(to, store, "staff")
        path = f"{LIST}/city-exposure/execution"
        problem(to.post(path, json={"inputs": {"set": "none"}}, headers=staff), 400)
        answer = to.post(path, json={"inputs": {}}, headers=staff)
        assert answer.status_code == 201
        worked_off(store, own)
        found = to.get(f"{answer.headers['location']}/results", headers=staff)
        assert found.status_code == 200, found.text
        counts = found.json()["sets"]["combined"]
        assert sum(counts.values()) == 30
        items = to.get("/ogc/collections/exposure-combined/items?limit=0").status_code
        assert items == 400
        assert to.get("/ogc/collections/exposure-combined/items").json()["numberMatched"] == 30


def test_a_browser_elsewhere_may_ask_what_it_may_send(anybody: TestClient) -> None:
    answer = anybody.options(RUN, headers={"origin": "https://gis.example"})
    assert answer.status_code == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]
