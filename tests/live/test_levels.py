"""Water levels: each with its age; what is old, missing, in the future or in another unit is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.errors import BadInputError
from citymap.live import levels, overrides, stations
from citymap.live.levels import Reading
from citymap.live.stations import Station
from citymap.store import Store, audit, open_store
from citymap.workspace import Workspace

NOW = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)
BRIDGE = Station("1", "大橋", "渡良瀬川", "river", 139.6, 36.3, 2.0, 3.0, 4.0, 5.0)
STREET = Station("2", "駅前", "", "inundation")
CITY = {s.station_id: s for s in (BRIDGE, STREET)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    opened = open_store(workspace)
    yield opened
    opened.close()


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def one(store: Store, at: datetime = NOW, station: Station = BRIDGE) -> levels.Level:
    return levels.of_stations(store, [station], at=at)[0]


def keep(store: Store, *readings: Reading) -> tuple[int, dict[str, int]]:
    return levels.record(store, readings, CITY, feed="test", at=NOW)


def test_a_gauge_that_never_spoke_is_unknown(store: Store) -> None:
    said = one(store)
    assert (said.state, said.value_m, said.why, said.age_s) == ("unknown", None, "never", None)


def test_each_threshold_is_reached_at_its_own_value(store: Store) -> None:
    for minutes, value, state in ((9, 1.99, "below"), (8, 2.0, "standby"), (7, 3.5, "caution"),
                                  (6, 4.0, "evacuation"), (5, 5.0, "danger")):  # fmt: skip
        keep(store, Reading("1", ago(minutes), value))
        said = one(store)
        assert (said.state, said.value_m, said.age_s) == (state, value, minutes * 60)
    assert levels.rated(Station("3", "x"), 1.0) == "unrated"
    assert levels.rated(Station("3", "x", danger_m=5.0), 4.0) == "below"


def test_an_old_value_is_unknown_whatever_it_was(store: Store) -> None:
    keep(store, Reading("1", ago(5), 0.1))
    assert one(store).state == "below"
    said = one(store, NOW + timedelta(minutes=25))
    assert (said.state, said.value_m, said.why, said.last_m) == ("unknown", None, "stale", 0.1)
    assert said.fresh_until == ago(5) + timedelta(minutes=30)


def test_a_gauge_whose_clock_is_two_days_wrong_is_unknown(store: Store) -> None:
    ahead, behind = Reading("1", NOW + timedelta(days=2), 0.2), Reading("2", ago(2880), 0.1)
    assert keep(store, ahead, behind) == (1, {"future": 1})
    assert [x.state for x in levels.of_stations(store, CITY.values(), at=NOW)] == ["unknown"] * 2
    # when this machine's own clock was ahead and is set right, what it took then does not count
    levels.record(store, [ahead], CITY, feed="test", at=NOW + timedelta(days=2))
    assert one(store).state == "unknown"


def test_a_missing_value_makes_the_gauge_unknown_not_as_before(store: Store) -> None:
    keep(store, Reading("1", ago(15), 1.0), Reading("1", ago(5), None))
    said = one(store)
    assert (said.state, said.why, said.last_m) == ("unknown", "missing", None)


def test_centimetres_and_codes_for_nothing_are_refused(store: Store) -> None:
    taken, refused = keep(
        store, Reading("1", ago(5), 148.0), Reading("1", ago(4), -999.0),
        Reading("2", ago(4), 45.0), Reading("9", ago(3), 1.0),
    )  # fmt: skip
    assert (taken, refused) == (0, {"implausible": 3, "unknown_station": 1})
    assert one(store).why == "never"


def test_the_same_again_is_not_stored_and_an_older_one_never_overtakes(store: Store) -> None:
    assert keep(store, Reading("1", ago(5), 1.0))[0] == 1
    assert keep(store, Reading("1", ago(5), 1.0), Reading("1", ago(15), 4.9))[0] == 0
    assert keep(store, Reading("1", ago(5), 1.2))[0] == 1  # a correction of the same moment
    assert one(store).value_m == 1.2
    assert [r.value_m for r in levels.history(store, "1", since=ago(60))] == [1.2]


def test_it_says_how_fast_the_water_rises(store: Store) -> None:
    keep(store, Reading("1", ago(65), 1.0), Reading("1", ago(5), 1.5))
    assert one(store).rise_m_h == pytest.approx(0.5)


def test_staff_may_put_their_own_word_first_and_take_it_back(store: Store) -> None:
    keep(store, Reading("1", ago(5), 1.0))
    key = levels.subject("1")
    overrides.say(store, key, "value", value=4.2, note="目視", by="佐藤")
    at = datetime.now(UTC)
    said = one(store, at)
    assert (said.state, said.value_m, said.override.actor) == ("evacuation", 4.2, "佐藤")
    late = one(store, at + timedelta(hours=1))
    assert (late.state, late.why) == ("unknown", "stale")  # a person's word ages too
    overrides.say(store, key, "unknown", note="故障", by="佐藤")
    assert one(store, NOW).state == "below"  # before anybody said so it was not doubted
    assert one(store, datetime.now(UTC)).why == "doubted"
    overrides.say(store, key, "none", by="鈴木")
    assert one(store, NOW).value_m == 1.0
    assert [o.state for o in overrides.history(store)] == ["none", "unknown", "value"]
    assert [e.action for e in audit.newest(store)] == ["live.override"] * 3


def test_wrong_words_of_staff_are_refused(store: Store) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    for bad in ({"state": "maybe"}, {"state": "value"}, {"state": "value", "value": float("nan")},
                {"state": "unknown", "value": 1.0}, {"state": "level", "value": 1},
                {"state": "unknown", "until": past}, {"state": "none", "note": "x" * 301}):  # fmt: skip
        with pytest.raises(BadInputError):
            overrides.say(store, "station:1", by="x", **bad)
    assert overrides.history(store) == []


def test_old_readings_are_dropped(store: Store) -> None:
    keep(store, Reading("1", ago(5), 1.0))
    assert levels.forget(store, at=NOW + timedelta(days=90)) == 0
    assert levels.forget(store, at=NOW + timedelta(days=93)) == 1


def test_more_gauges_than_one_statement_holds(store: Store) -> None:
    many = {str(i): Station(str(i), f"局{i}") for i in range(900)}
    levels.record(store, [Reading(i, ago(5), 1.0) for i in many], many, feed="test", at=NOW)
    found = levels.of_stations(store, many.values(), at=NOW)
    assert {x.value_m for x in found} == {1.0} and len(found) == 900


@settings(deadline=None, max_examples=25)
@given(age=st.floats(-3000, 3000), value=st.floats(allow_nan=True, allow_infinity=True))
def test_only_a_fresh_and_plausible_value_ever_reads_as_below(age: float, value: float) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        opened = open_store(Workspace(Path(folder)))
        keep(opened, Reading("1", ago(age), value))
        said = one(opened)
        opened.close()
    if said.state == "below":
        assert -5 <= age < 30 and -60 < value < 2.0


def test_the_published_lists_of_a_prefecture_join_by_river_and_name(
    workspace: Workspace, real_data: Path
) -> None:
    folder = real_data / "river_level" / "code4fukui+waterlevel_fukui"
    first = stations.read(folder / "sensors.csv")
    assert (len(first.stations), first.problems) == (103, ())
    stations.add(workspace, first.stations)
    whole = stations.add(workspace, stations.read(folder / "suii_ichi.csv").stations)
    by_name = {(s.river, s.name): s for s in whole}
    bridge = by_name["足羽川", "九十九橋"]
    assert (bridge.station_id, bridge.standby_m, bridge.danger_m) == ("1", 3.5, 6.1)
    assert (bridge.lon, bridge.lat) == (136.211389, 36.063056)
    assert stations.stations(workspace) == {s.station_id: s for s in whole}
    assert by_name["荒川", "河増"].evacuation_m is None  # 「---」 is not zero


def test_a_list_with_levels_out_of_order_keeps_none_of_them(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(
        "観測所名,河川名,水防団待機水位,はん濫危険水位,緯度,経度\n大橋,川,3.0,2.0,139.6,36.3\n".encode(
            "cp932"
        )
    )
    found = stations.read(path)
    assert found.stations[0].thresholds == {}
    assert [p[2] for p in found.problems] == ["thresholds_order", "position"]
    for bad in (b"<html><body>503</body></html>", b"\xff\xfe\x00\x01", b"a,b\n1,2\n"):
        path.write_bytes(bad)
        with pytest.raises(BadInputError):
            stations.read(path)
