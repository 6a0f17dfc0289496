"""Our entities against what the published data models say of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ngsi_models
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator, FormatChecker

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import body, checked

import small_city
from citymap.live import levels, openings, orders, overrides
from citymap.live.levels import Reading
from citymap.live.stations import stations
from citymap.reports import desk, receive
from citymap.reports.model import STATUSES, Sender
from citymap.share.ngsi import query
from citymap.share.ngsi.entities import PROGRESS, TYPES, made
from citymap.store import Store, engine, shared_store
from citymap.store.tables import now
from citymap.workspace import Workspace

GAUGES = """station_id,name,river,kind,lon,lat,standby_m,caution_m,evacuation_m,danger_m,stale_min
1,大橋,みどり川,river,139.88,36.55,2.0,3.0,4.0,5.0,30
2,小橋,みどり川,river,139.89,36.55,,,,,30
3,黙橋,小川,river,139.90,36.55,1.0,2.0,3.0,4.0,30
4,疑橋,小川,river,139.91,36.55,1.0,2.0,3.0,4.0,30
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = small_city.make(tmp_path_factory.mktemp("models") / "city")
    workspace.places.mkdir()
    west, south = small_city.WEST, small_city.SOUTH
    rows = [
        {"place_id": "1", "kind": "evacuation_site", "name": "緑川小学校", "lon": west, "lat": south, "flood": True,
         "address": "みどり川市本町1", "also_designated": True, "capacity": 390, "target_areas": "本町一丁目、本町二丁目"},
        {"place_id": "2", "kind": "evacuation_shelter", "name": "体育館", "lon": None, "lat": None, "address": " "},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), workspace.places / "shelters.parquet")
    spot = {
        "place_id": "w1",
        "kind": "wifi",
        "name": "市役所",
        "lon": west,
        "lat": south,
        "ssid": "midori",
    }
    pq.write_table(pa.Table.from_pylist([spot]), workspace.places / "wifi.parquet")
    store = shared_store(workspace)
    openings.say(store, "1", "full", head_count=12, by="ono")
    orders.give(store, "disaster", by="ono")
    at = now()
    report = checked(body(observed_at=(at - timedelta(minutes=5)).isoformat()), at=at)
    receive.accept(store, workspace, report, sender=Sender("device:a"), at=at)
    desk.move(store, [report.id], "confirmed", by="ono")
    desk.publish(store, [report.id], by="ono", text="通れません")
    _gauges(workspace, store)
    yield workspace
    if (used := engine._SHARED.pop(str(workspace.root / "store.sqlite"), None)) is not None:
        used.close()


def _gauges(workspace: Workspace, store: Store) -> None:
    (workspace.root / "live").mkdir()
    (workspace.root / "live/stations.csv").write_text(GAUGES, encoding="utf-8")
    at = datetime.now(UTC)
    said = [Reading("1", at - timedelta(minutes=5), 4.2), Reading("2", at - timedelta(minutes=3), 0.7),
            Reading("3", at - timedelta(minutes=90), 1.5), Reading("4", at - timedelta(minutes=5), 3.9)]  # fmt: skip
    levels.record(store, said, stations(workspace), feed="test")
    overrides.say(store, levels.subject("4"), "unknown", note="流木", by="ono")


def entities(city: Workspace, kind: str) -> list[dict[str, Any]]:
    return [query.simplified(one) for one in made(city, "public", frozenset({kind}))]


@pytest.mark.parametrize("kind", sorted(ngsi_models.PROPERTIES))
def test_every_entity_is_what_its_published_model_says(city: Workspace, kind: str) -> None:
    check = Draft202012Validator(ngsi_models.schema(kind), format_checker=FormatChecker())
    found = entities(city, kind)
    assert found, f"no {kind}: this test is empty"
    for one in found:
        assert [e.message for e in check.iter_errors(one)] == []


def test_the_schemas_refuse_what_the_models_do(city: Workspace) -> None:
    """Otherwise the test above could not fail."""
    check = Draft202012Validator(ngsi_models.schema("EvacuationSite"))
    (site,) = entities(city, "EvacuationSite")
    assert list(check.iter_errors({**site, "address": "みどり川市本町1"}))
    assert list(check.iter_errors({**site, "hazardTypes": ["bear"]}))
    assert list(check.iter_errors({**site, "himitsu": 1}))
    assert list(check.iter_errors({k: v for k, v in site.items() if k != "externalSiteId"}))


def test_only_types_without_a_published_model_are_unchecked() -> None:
    assert set(TYPES) - set(ngsi_models.PROPERTIES) == {"EvacuationOrder"}
    assert set(PROGRESS) == set(STATUSES)


def test_everything_of_the_day_belongs_to_an_event_that_is_there(city: Workspace) -> None:
    (event,) = entities(city, "DisasterEvent")
    assert event["projectStatus"] == "active"
    for kind in ("EvacuationShelter", "IncidentReport", "RoadClosure"):
        assert {one["project"] for one in entities(city, kind)} == {event["id"]}


def test_a_level_that_is_old_or_doubted_has_no_value(city: Workspace) -> None:
    found = {one["stationID"]: one for one in entities(city, "FloodMonitoring")}
    assert (found["1"]["currentLevel"], found["1"]["floodLevelStatus"]) == (4.2, "evacuation")
    assert (found["1"]["alertLevel"], found["1"]["dangerLevel"]) == (3.0, 5.0)
    assert (found["2"]["currentLevel"], found["2"]["floodLevelStatus"]) == (0.7, "unrated")
    assert "dangerLevel" not in found["2"]
    for silent in ("3", "4"):
        assert found[silent]["floodLevelStatus"] == "unknown"
        assert not {"currentLevel", "observationDateTime"} & set(found[silent])
    full = {
        one["stationID"]["value"]: one
        for one in made(city, "public", frozenset({"FloodMonitoring"}))
    }
    assert (
        full["1"]["currentLevel"]["observedAt"]
        == full["1"]["observationDateTime"]["value"]["@value"]
    )
    assert "流木" not in str(full)


def test_shelters_and_areas_are_lists_and_addresses_as_the_models_write_them(
    city: Workspace,
) -> None:
    (site,) = entities(city, "EvacuationSite")
    assert site["targetAreas"] == ["本町一丁目", "本町二丁目"]
    assert site["address"] == {"addressCountry": "JP", "addressText": "みどり川市本町1"}
    shelters = {one["externalShelterId"]: one for one in entities(city, "EvacuationShelter")}
    assert shelters["1"]["openingStatus"] == "full"
    assert "openingStatus" not in shelters["2"]
    assert "address" not in shelters["2"]
