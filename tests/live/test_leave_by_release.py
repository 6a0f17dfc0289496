"""Release of 退避期限: frozen, audited, taken back; said early and round, and never beside a live order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from citymap.assess import leave_by as told
from citymap.errors import BadInputError
from citymap.live import leave_by, orders
from citymap.progress import Quiet
from citymap.settings import Settings
from citymap.share import publish
from citymap.share.exchange import export
from citymap.share.status import status
from citymap.store import Store, audit, engine, shared_store
from citymap.web.public import create_app
from citymap.workspace import Workspace
from tests import small_city
from tests.asgi_client import TestClient

NOW = datetime.now(UTC).replace(microsecond=0)
HOURS: dict[str, tuple[float | None, float | None]] = {  # adult, impaired
    "09999-bldg-0": (3.0, 2.0), "09999-bldg-1": (float("inf"), 5.0), "09999-bldg-2": (None, None),
}  # fmt: skip


def result(workspace: Workspace, name: str = "plan", hours: dict[str, Any] = HOURS) -> Path:
    path = workspace.root / "scenarios" / name / "leave_by.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"building_id": b, "mobility": m, "leave_by_h": h, "shelter_id": "1", "route_length_m": 100.0}
        for b, pair in hours.items() for m, h in zip(("adult", "impaired"), pair, strict=True)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    path.with_suffix(".json").write_text(json.dumps({"name": "みどり川 決壊", "margin_min": 10}))
    return path


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    workspace = small_city.make(tmp_path / "city")
    result(workspace)
    return workspace


@pytest.fixture
def store(town: Workspace) -> Iterator[Store]:
    yield shared_store(town)
    if (used := engine._SHARED.pop(str(town.root / "store.sqlite"), None)) is not None:
        used.close()


@pytest.fixture
def client(town: Workspace, store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(city=town.root, rate_api_per_minute=0))) as found:
        yield found


def asked(client: TestClient, building: int = 0) -> dict[str, Any]:
    lon, lat = small_city.WEST + 0.001 * building + 0.0001, small_city.SOUTH + 0.0001
    said: dict[str, Any] = json.loads(client.get(f"/api/place?lon={lon}&lat={lat}").text)
    return said


def limits(record: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {m["mobility"]: (m["state"], m["by"]) for m in record["leave_by"]["mobility"]}


def test_nothing_is_said_until_staff_release_it(
    town: Workspace, store: Store, client: TestClient
) -> None:
    assert asked(client)["leave_by"] is None
    assert status(town, store)["leave_by"] is None
    start = datetime.fromisoformat("2099-11-21T12:34:00+09:00")
    made = leave_by.release(town, store, "plan", start=start, margin_min=10, by="佐藤")
    record = asked(client)
    # 12:34 + 3 h − 10 min = 15:24, rounded down; 12:34 + 2 h − 10 min = 14:24
    assert limits(record) == {"adult": ("by", "15:20"), "impaired": ("by", "14:20")}
    at = {m["mobility"]: m["at"] for m in record["leave_by"]["mobility"]}
    assert at["impaired"] == "2099-11-21T14:20:00+09:00"
    assert (record["leave_by"]["scenario"], record["leave_by"]["margin_min"]) == (
        "みどり川 決壊",
        10,
    )
    assert "佐藤" not in json.dumps(record, ensure_ascii=False)
    assert status(town, store)["leave_by"]["release"] == made.release_id
    leave_by.take_back(town, store, by="鈴木")
    assert asked(client)["leave_by"] is None
    assert status(town, store)["leave_by"] is None
    assert list((town.root / "live").glob("leave_by-*")) == []
    assert [e.action for e in audit.newest(store)] == ["leave_by.take_back", "leave_by.release"]
    assert [(who, r is None) for _, who, r in leave_by.history(store)] == [
        ("鈴木", True),
        ("佐藤", False),
    ]


def test_never_no_way_and_unknown_stay_what_they_are(
    town: Workspace, store: Store, client: TestClient
) -> None:
    leave_by.release(town, store, "plan", start=NOW + timedelta(days=1), margin_min=10, by="x")
    assert limits(asked(client, 1))["adult"] == ("never", None)
    assert limits(asked(client, 2)) == {"adult": ("no_way", None), "impaired": ("no_way", None)}
    assert limits(asked(client, 3)) == {"adult": ("unknown", None), "impaired": ("unknown", None)}
    outside = json.loads(
        client.get(f"/api/place?lon={small_city.WEST}&lat={small_city.SOUTH + 0.005}").text
    )
    assert outside["building"] is None
    assert limits(outside) == {"adult": ("unknown", None), "impaired": ("unknown", None)}


def test_what_was_released_does_not_change_with_the_file(
    town: Workspace, store: Store, client: TestClient
) -> None:
    start = datetime.fromisoformat("2099-01-01T00:00:00+09:00")
    made = leave_by.release(town, store, "plan", start=start, margin_min=0, by="x")
    result(town, hours={"09999-bldg-0": (9.0, 9.0)})
    assert limits(asked(client))["adult"] == ("by", "03:00")
    path = leave_by.copy_of(town, made.release_id)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    again = leave_by.current(store)
    assert again is not None
    assert told.deadlines(town, again).of("09999-bldg-0")["mobility"][0]["state"] == "unknown"


def test_it_yields_to_any_live_order_and_not_to_a_drill(
    town: Workspace, store: Store, client: TestClient
) -> None:
    leave_by.release(town, store, "plan", start=NOW + timedelta(days=1), margin_min=10, by="x")
    for level in (3, 4, 5):
        orders.give(store, "disaster", level=level, districts=["elsewhere"], by="x")
        record = asked(client)
        assert set(limits(record).values()) == {("order", None)}
        assert [m["at"] for m in record["leave_by"]["mobility"]] == [None, None]
    orders.give(store, "drill", level=4, by="x")
    assert limits(asked(client))["adult"][0] == "by"
    orders.give(store, "normal", by="x")
    assert limits(asked(client))["adult"][0] == "by"


def test_what_has_passed_shows_an_action_and_no_way(
    town: Workspace, store: Store, client: TestClient
) -> None:
    leave_by.release(town, store, "plan", start=NOW - timedelta(hours=2, minutes=30), margin_min=0, by="x")  # fmt: skip
    record = asked(client)
    assert {m["mobility"]: m["state"] for m in record["leave_by"]["mobility"]} == {
        "adult": "by", "impaired": "passed",
    }  # fmt: skip
    assert record["no_walking"] is False  # somebody still has time
    leave_by.release(town, store, "plan", start=NOW - timedelta(hours=4), margin_min=0, by="x")
    record = asked(client)
    assert record["no_walking"] is True
    assert record["instead"]["action"] in {"upstairs", "nearby", "highest", "stay"}
    assert all(s["route"] is None for s in record["shelters"])


def test_level_five_stops_walking_where_it_holds(
    town: Workspace, store: Store, client: TestClient
) -> None:
    here = asked(client)["district"]["id"]
    orders.give(store, "disaster", level=5, districts=[here], by="x")
    assert asked(client)["no_walking"] is True
    orders.give(store, "disaster", level=5, districts=["elsewhere"], by="x")
    assert asked(client)["no_walking"] is False
    orders.give(store, "drill", level=5, by="x")
    assert asked(client)["no_walking"] is False


def test_a_release_of_a_drill_ends_with_it_and_a_forgotten_one_lapses(
    town: Workspace, store: Store
) -> None:
    orders.give(store, "drill", level=4, by="x")
    leave_by.release(town, store, "plan", start=NOW, margin_min=5, drill=True, by="x")
    assert (status(town, store)["leave_by"] or {})["drill"] is True
    orders.give(store, "normal", by="x")
    assert status(town, store)["leave_by"] is None
    made = leave_by.release(town, store, "plan", start=NOW, margin_min=5, by="x")
    assert made.lapses_at == NOW + timedelta(hours=5 + leave_by.LAPSES_H)
    assert leave_by.current(store, made.lapses_at) is None
    assert leave_by.current(store, made.lapses_at - timedelta(seconds=1)) == made


def test_wrong_releases_are_refused(town: Workspace, store: Store) -> None:
    good: dict[str, Any] = {"start": NOW, "margin_min": 10, "by": "x"}
    (town.root / "scenarios/bad").mkdir()
    (town.root / "scenarios/bad/leave_by.parquet").write_bytes(b"no")
    for name, more, key in (
        ("absent", {}, "leave_by_none"), ("../plan", {}, "leave_by_none"),
        ("bad", {}, "leave_by_unreadable"), ("plan", {"margin_min": -1}, "leave_by_margin"),
        ("plan", {"start": NOW.replace(tzinfo=None)}, "leave_by_start"),
    ):  # fmt: skip
        with pytest.raises(BadInputError) as caught:
            leave_by.release(town, store, name, **{**good, **more})
        assert caught.value.key == key
    assert leave_by.current(store) is None


def test_the_static_site_says_the_same(town: Workspace, store: Store, client: TestClient) -> None:
    start = datetime.fromisoformat("2099-11-21T12:34:00+09:00")
    leave_by.release(town, store, "plan", start=start, margin_min=10, by="x")
    files = dict(publish.place_files(town, publish._deadlines(town, store), progress=Quiet()))
    found = {}
    for body in files.values():
        tile = json.loads(body)
        for _, number, building, mobility in tile["buildings"]:
            found[building["gml_id"]] = mobility
            assert tile["records"][number]["instead"]["action"]
        assert tile["leave_by"]["scenario"] == "みどり川 決壊"
        assert {m["state"] for m in tile["leave_by"]["mobility"]} == {"unknown"}
    assert found["bldg_0000"] == asked(client)["leave_by"]["mobility"]
    bare = json.loads(next(iter(dict(publish.place_files(town, progress=Quiet())).values())))
    assert bare["leave_by"] is None


def test_the_shared_layer_stands_only_while_released(
    town: Workspace, store: Store, client: TestClient
) -> None:
    items = "/ogc/collections/released-leave-by/items?limit=100"

    def listed() -> set[str]:
        return {c["id"] for c in json.loads(client.get("/ogc/collections").text)["collections"]}

    assert "released-leave-by" not in listed()
    assert client.get(items).status_code == 404
    start = datetime.fromisoformat("2099-11-21T12:34:00+09:00")
    leave_by.release(town, store, "plan", start=start, margin_min=10, by="佐藤")
    assert "released-leave-by" in listed() and "leave-by-plan" not in listed()
    features = json.loads(client.get(items).text)["features"]
    said = {(f["properties"]["building_id"], f["properties"]["mobility"]): f for f in features}
    assert len(said) == 2 * len(HOURS)
    for building in range(len(HOURS)):
        for m in asked(client, building)["leave_by"]["mobility"]:
            found = said[f"09999-bldg-{building}", m["mobility"]]
            row = found["properties"]
            assert (row["state"], row["by"], row["leave_by"]) == (m["state"], m["by"], m["at"])
            assert row["scenario"] == "みどり川 決壊"
            assert found["geometry"]["type"] == "Polygon"
    orders.give(store, "disaster", level=3, by="x")
    states = [f["properties"] for f in json.loads(client.get(items).text)["features"]]
    assert {(p["state"], p["by"], p["leave_by"]) for p in states} == {("order", None, None)}
    leave_by.take_back(town, store, by="佐藤")
    assert client.get(items).status_code == 404


def test_the_shared_layer_is_exported_through_the_gate(
    town: Workspace, store: Store, tmp_path: Path
) -> None:

    start = datetime.fromisoformat("2099-11-21T12:34:00+09:00")
    leave_by.release(town, store, "plan", start=start, margin_min=10, by="佐藤")
    out = tmp_path / "released.geojson"
    export(town, "released-leave-by", "geojson", out, audience="public")
    rows = [f["properties"] for f in json.loads(out.read_text(encoding="utf-8"))["features"]]
    assert {(r["building_id"], r["mobility"], r["by"]) for r in rows} >= {
        ("09999-bldg-0", "adult", "15:20"), ("09999-bldg-0", "impaired", "14:20"),
    }  # fmt: skip
    assert "佐藤" not in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["geojson", "shp", "csv", "fgb"])
def test_never_and_no_way_differ_in_every_format_of_the_full_result(
    town: Workspace, tmp_path: Path, form: str
) -> None:
    out = tmp_path / f"all.{form}"
    export(town, "leave-by-plan", form, out, audience="staff")
    table = pandas.read_csv(out) if form == "csv" else geopandas.read_file(out)
    building = "building_id" if "building_id" in table else "bldg_id"
    found = table.set_index([building, "mobility"])["state"].to_dict()
    assert found[("09999-bldg-0", "adult")] == "by"
    assert found[("09999-bldg-1", "adult")] == "never"
    assert found[("09999-bldg-2", "adult")] == "no_way"
    hours = table.loc[table["state"] != "by", "leave_by_h"]
    assert hours.isna().all()
