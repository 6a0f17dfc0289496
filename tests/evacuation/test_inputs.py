"""What comes in from elsewhere: OSM PBF, people by hour and visitors, a confirmed damage report."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.evacuation.network_files import read_lines
from citymap.evacuation.run import run
from citymap.reports import closures, desk, receive
from citymap.reports.model import Sender
from citymap.store import engine, shared_store
from tests.evacuation import osm_pbf, towns
from tests.evacuation.test_run import scenario

sys.path[:0] = [str(Path(__file__).parents[1] / "reports")]
import report_samples


def test_a_pbf_extract_is_a_network(tmp_path: Path) -> None:
    def at(x: float, y: float) -> tuple[float, float]:
        lon, lat = crs.unproject(towns.X0 + x, towns.Y0 + y, towns.EPSG)
        return float(lon), float(lat)

    nodes = {
        1: at(0, 0),
        2: at(100, 0),
        3: at(100, 80),
        4: at(200, 0),
        5: at(50, -40),
        6: at(50, 40),
    }
    ways = [
        ({"highway": "residential", "width": "6"}, [1, 2, 4]),
        ({"highway": "footway"}, [2, 3]),
        ({"highway": "tertiary", "bridge": "yes"}, [5, 6]),  # over the first, no crossing
        ({"building": "yes"}, [1, 3]),
    ]
    network = read_lines(osm_pbf.write(tmp_path / "town.osm.pbf", nodes, ways), epsg=towns.EPSG)
    assert network.edges == 4
    assert sorted(round(float(m)) for m in network.length_m) == [80, 80, 100, 100]
    assert int(network.bridge.sum()) == 1
    walk = network.foot & ~(network.car_forward | network.car_backward)
    assert network.length_m[walk].round().tolist() == [80.0]
    assert sorted(network.width_m.round(1).tolist())[-1] == 6.5
    (tmp_path / "bad.osm.pbf").write_bytes(b"no pbf")
    with pytest.raises(BadInputError):
        read_lines(tmp_path / "bad.osm.pbf", epsg=towns.EPSG)


def test_people_come_by_hour_and_visitors_on_top(tmp_path: Path) -> None:
    town = towns.street_town(tmp_path / "city")
    (town.root / "flow.csv").write_text(
        "hour,building_id,people\n2,b0,30\n2,b1,41\n14,b0,7\n14,b2,100\n", encoding="utf-8"
    )
    (town.root / "guests.csv").write_text("building_id,people\nb5,13\n", encoding="utf-8")
    by_night = run(town, scenario(population={"file": "flow.csv", "hour": 2}), tmp_path / "a")
    by_day = run(town, scenario(population={"file": "flow.csv", "hour": 14}), tmp_path / "b")
    assert (by_night["people"], by_day["people"]) == (71, 107)
    started = scenario(population={"file": "flow.csv"}, start="2026-11-21T05:10:00Z")  # 14:10
    assert run(town, started, tmp_path / "c")["people"] == 107
    guests = {"file": "flow.csv", "hour": 2, "visitors": "guests.csv"}
    more = run(town, scenario(population=guests), tmp_path / "d")
    assert more["people"] == 71 + 13
    assert any(
        "guests.csv" in line["ja"] and "guests.csv" in line["en"] for line in more["assumptions"]
    )
    for hour in ({"hour": 3}, {}):
        with pytest.raises(BadInputError) as caught:
            run(town, scenario(population={"file": "flow.csv", **hour}), tmp_path / "e")
        assert caught.value.key == "evacuation_hour"


def test_a_confirmed_report_of_a_closed_road_changes_who_gets_there(tmp_path: Path) -> None:
    town = towns.street_town(tmp_path / "city")
    towns.write_shelters(town, [("s1", 5, 5, 900)])
    store = shared_store(town)
    before = run(town, scenario(), tmp_path / "before")
    sent = []
    for x, y in ((50, 3), (3, 50)):  # the two roads to the shelter's corner
        spot = towns.lon_lat(shapely.Point(x, y))
        data = report_samples.body(category="blocked_road", lon=spot.x, lat=spot.y, depth_m=None)
        report = report_samples.checked(data)
        receive.accept(
            store, town, report, [], sender=Sender("phone", "field"), at=report_samples.AT
        )
        sent.append(report.id)
    closures.refresh(store, town)
    unconfirmed = run(town, scenario(), tmp_path / "unconfirmed")
    assert unconfirmed["evacuated"] == before["evacuated"]
    assert desk.move(store, sent, "confirmed", by="ono")
    assert closures.refresh(store, town) == 2
    after = run(town, scenario(), tmp_path / "after")
    assert len(after["closures"]) == 2
    assert after["evacuated"] < before["evacuated"] / 2
    desk.set_effect(store, sent, on=False, by="ono")
    closures.refresh(store, town)
    assert run(town, scenario(), tmp_path / "off")["evacuated"] == before["evacuated"]
    if (used := engine._SHARED.pop(str(town.root / "store.sqlite"), None)) is not None:
        used.close()


def test_ages_of_the_counts_are_kept_and_bad_ones_refused(tmp_path: Path) -> None:
    town = towns.street_town(tmp_path / "city")
    path = town.root / "ages.csv"
    path.write_text("building_id,age,people\nb0,8,3\nb0,75+,4\nb1,70,5\nb1,,60\n", encoding="utf-8")
    run(town, scenario(population={"file": "ages.csv"}), tmp_path / "a")
    people = pq.read_table(tmp_path / "a" / "people.parquet").to_pandas()
    at = people[people.building_id == "b0"]
    assert at.age.value_counts().to_dict() == {"75+": 4, "0-14": 3}
    assert (people[people.building_id == "b1"].age == "65-74").sum() >= 5
    assert len(people) == 72
    for bad in ("-3", "many", "300"):
        path.write_text(f"building_id,age,people\nb0,{bad},3\n", encoding="utf-8")
        with pytest.raises(BadInputError) as caught:
            run(town, scenario(population={"file": "ages.csv"}), tmp_path / "b")
        assert caught.value.key == "evacuation_bad_age"
        assert "ages.csv:2" in caught.value.message("ja") and bad in caught.value.message("ja")
