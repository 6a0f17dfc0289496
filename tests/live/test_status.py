"""Orders and openings: the last word counts, and what nobody said is not in `status.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from citymap.errors import BadInputError
from citymap.live import levels, openings, orders, overrides, stations
from citymap.live.stations import Station
from citymap.share.status import MAX_AGE_S, as_bytes, status
from citymap.store import Store, audit, open_store
from citymap.workspace import Workspace
from tests import small_city


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


@pytest.fixture
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


def test_nothing_is_open_until_somebody_says_so(city: Workspace, store: Store) -> None:
    said = status(city, store)
    assert (said["openings"], said["closures"], said["max_age_s"]) == ({}, [], MAX_AGE_S)
    assert (said["order"]["mode"], said["order"]["level"]) == ("normal", None)
    age = datetime.now(UTC) - datetime.fromisoformat(said["as_of"])
    assert age.total_seconds() < 60
    assert json.loads(as_bytes(said)) == said


def test_the_last_word_on_a_shelter_counts_and_all_are_kept(city: Workspace, store: Store) -> None:
    openings.say(store, "1", "open", head_count=3, by="佐藤")
    openings.say(store, "2", "closed", by="佐藤")
    openings.say(store, "1", "full", head_count=90, by="鈴木")
    said = status(city, store)["openings"]
    assert {k: (v["state"], v["head_count"]) for k, v in said.items()} == {
        "1": ("full", 90), "2": ("closed", None),
    }  # fmt: skip
    assert "鈴木" not in json.dumps(said, ensure_ascii=False)  # who said it stays in
    assert [o.state for o in openings.history(store, "1")] == ["full", "open"]
    assert [e.action for e in audit.newest(store)] == ["opening.set"] * 3


def test_an_order_names_its_districts_and_can_be_taken_back(city: Workspace, store: Store) -> None:
    orders.give(store, "disaster", level=4, hazard="river_flood", districts=["d1"],
                message={"ja": " 川が増えています ", "en": ""}, by="市長")  # fmt: skip
    order = status(city, store)["order"]
    assert (order["mode"], order["level"]) == ("disaster", 4)
    assert order["districts"] == [{"id": "d1", "name": "本町一丁目"}]
    assert order["message"] == {"ja": "川が増えています"}
    assert order["since"] is not None
    orders.give(store, "drill", level=3, by="訓練係")
    assert status(city, store)["order"]["mode"] == "drill"
    orders.give(store, "normal", by="市長")
    assert orders.current(store).level is None


def test_wrong_words_are_refused(store: Store) -> None:
    for bad in (
        lambda: openings.say(store, "1", "maybe", by="x"),
        lambda: openings.say(store, "1", "open", head_count=-1, by="x"),
        lambda: orders.give(store, "panic", by="x"),
        lambda: orders.give(store, "disaster", level=2, by="x"),
        lambda: orders.give(store, "normal", level=4, by="x"),
        lambda: orders.give(store, "disaster", message={"ja": "あ" * 501}, by="x"),
    ):
        with pytest.raises(BadInputError):
            bad()
    assert openings.current(store) == {}


def test_closures_that_cannot_be_read_are_not_none(city: Workspace, store: Store) -> None:
    (city.root / "closures.geojson").write_text("{", encoding="utf-8")
    assert status(city, store)["closures"] is None  # not known, which is not "no closures"


def test_water_and_warnings_go_out_with_their_moments_and_without_names_of_staff(
    city: Workspace, store: Store
) -> None:
    said = status(city, store)
    assert (said["water"], said["warnings"]) == ([], None)  # nothing is set up: nothing is claimed
    stations.add(city, [Station("1", "大橋", "川", "river", 139.6, 36.3, 2.0, 3.0, 4.0, 5.0)])
    levels.record(store, [levels.Reading("1", datetime.now(UTC), 3.456)],
                  stations.stations(city), feed="x")  # fmt: skip
    gauge = status(city, store)["water"][0]
    assert (gauge["state"], gauge["value_m"], gauge["thresholds"]["danger_m"]) == (
        "caution",
        3.46,
        5.0,
    )
    assert gauge["fresh_until"] > gauge["observed_at"]
    overrides.say(store, levels.subject("1"), "unknown", note="内部のメモ", by="佐藤")
    text = as_bytes(status(city, store)).decode()
    assert '"state":"unknown","value_m":null' in text
    assert "佐藤" not in text and "内部のメモ" not in text


def test_a_broken_set_up_of_feeds_does_not_silence_the_orders(
    city: Workspace, store: Store
) -> None:
    orders.give(store, "disaster", level=4, by="市長")
    folder = city.root / "live" / "feeds"
    folder.mkdir(parents=True)
    (folder / "x.toml").write_text("[[[", encoding="utf-8")
    (city.root / "live" / "stations.csv").write_bytes(b"\xff\x00\x80")
    said = status(city, store)
    assert said["order"]["level"] == 4
    assert said["water"] is None and said["warnings"]["known"] is False
