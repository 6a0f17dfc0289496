"""`citymap evacuate run` from scenario to result folder: totals, water, closures, bad input."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from citymap.errors import BadInputError, CancelledError
from citymap.evacuation import reading
from citymap.evacuation.run import run
from citymap.evacuation.scenario import read_scenario, scenario_of
from citymap.evacuation.town import prepare
from citymap.i18n import Word, t
from citymap.progress import Quiet
from citymap.workspace import Workspace
from tests.evacuation import towns


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    workspace = towns.street_town(tmp_path / "city")
    towns.write_shelters(workspace, [("s1", 5, 5, 300), ("s2", 495, 495, None), ("s3", 250, 255, 50)],
                         flood=[True, True, None])  # fmt: skip
    return workspace


def scenario(**keys: Any) -> Any:
    plain = {"population": {"from_buildings": 900}, "duration_h": 2.0,
             "departure": {"curve": "window", "from_h": 0.0, "to_h": 0.5}}  # fmt: skip
    return scenario_of({"scenario": {"seed": 3}, "evacuation": {**plain, **keys}})


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def flood(folder: Path, *, from_s: float = 600.0) -> Path:
    """Water everywhere east of x = 150 m: rises to 2 m between two times."""
    depth = np.zeros((4, 120, 120), np.float32)
    depth[1:, :, 40:] = 0.3
    depth[2:, :, 40:] = 2.0
    return towns.write_flood(folder, depth, [0.0, from_s, from_s + 600, 7200.0], speed=0.1)


def test_everybody_is_counted_once_and_files_agree(town: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = run(town, scenario(compliance=0.8), out)
    kinds = ("evacuated", "vertical", "stranded", "en_route", "waiting", "stayed")
    assert sum(summary[k] for k in kinds) == summary["people"] == 900
    assert summary["vertical"] > 0
    assert 0 < summary["stayed"] < 300
    people = pq.read_table(out / "people.parquet").to_pandas()
    assert len(people) == 900
    assert people.status.value_counts().to_dict() == {k: summary[k] for k in kinds if summary[k]}
    assert people.groupby("household").status.nunique().max() == 1
    arrived = {r["shelter_id"]: int(r["arrived"]) for r in rows(out / "shelters.csv")}
    assert set(arrived) == {"s1", "s2"}  # s3: the designation is blank
    assert arrived == people[people.status == "evacuated"].shelter_id.value_counts().to_dict()
    assert arrived["s1"] <= 300
    for r in rows(out / "arrivals.csv"):
        total = sum(int(r[k]) for k in ("arrived", "en_route", "waiting", "stranded"))
        assert total == 900 - summary["vertical"] - summary["stayed"]
    last = rows(out / "arrivals.csv")[-1]
    assert int(last["arrived"]) == summary["evacuated"]
    assert summary == json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["shelters_unused"] == {"s3": "not_designated"}
    assert "s2" in summary["shelters_capacity_assumed"]
    assert summary["inputs"]["network"]["sha256"]
    links = pq.read_table(out / "links.parquet").to_pandas()
    assert links.passed.sum() > 0
    assert shapely.from_wkb(links.geometry[0]).geom_type == "LineString"


def test_playback_holds_every_way_gone(town: Workspace, tmp_path: Path) -> None:
    run(town, scenario(), tmp_path / "out")
    folder = tmp_path / "out/trips"
    described = json.loads((folder / "trips.json").read_text(encoding="utf-8"))
    arrays = {
        n: np.fromfile(folder / a["file"], a["dtype"]) for n, a in described["arrays"].items()
    }
    assert {n: len(v) for n, v in arrays.items()} == {
        n: a["length"] for n, a in described["arrays"].items()
    }
    start, time = arrays["start"], arrays["time_s"]
    assert start[-1] == len(time) == len(arrays["node"])
    for a, b in itertools.pairwise(start):
        assert (np.diff(time[a:b]) >= 0).all()
    assert arrays["node"].max() < len(arrays["node_lon"])


def test_the_same_seed_gives_the_same_bytes(town: Workspace, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(town, scenario(car_share=0.3, compliance=0.7), tmp_path / name)
    files = sorted(
        p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()
    )
    assert len(files) > 8
    for f in files:
        assert (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes(), f


def test_water_closes_roads_floods_a_shelter_and_strands_the_late(
    town: Workspace, tmp_path: Path
) -> None:
    towns.write_shelters(town, [("s1", 5, 5, 900), ("s2", 495, 495, 900)])
    wet = str(flood(tmp_path / "flood"))
    dry = run(town, scenario(), tmp_path / "dry")
    early = run(town, scenario(flood=wet), tmp_path / "early")
    late = run(town, scenario(flood=wet, order_time_h=0.5), tmp_path / "late")
    assert dry["stranded"] == 0
    assert early["shelters_unused"]["s2"] == "flooded"
    assert early["stranded"] < late["stranded"]
    assert late["stranded_by_reason"]["home_cut_off"] > 0
    assert late["latest_order_after_flood"] is True
    people = pq.read_table(tmp_path / "late/people.parquet").to_pandas()
    stuck = people[people.status == "stranded"]
    assert stuck.lon.between(139.87, 139.90).all()
    assert stuck.reason.notna().all()
    assert (stuck.age.value_counts().sum()) == sum(late["stranded_by"]["age"].values())
    links = pq.read_table(tmp_path / "late/links.parquet").to_pandas()
    closed = links[links.closes_h.notna()]
    assert closed.closes_h.between(600 / 3600, 1200 / 3600).all()
    assert closed.max_depth_m.max() == pytest.approx(2.0)


@pytest.mark.parametrize("law", ["bernardini", "specific_force", "crowdwalk"])
@pytest.mark.parametrize("limit", ["specific_force", "xia", "hazard_rating"])
def test_every_law_and_limit_runs(town: Workspace, tmp_path: Path, law: str, limit: str) -> None:
    wet = str(flood(tmp_path / "flood"))
    found = run(town, scenario(flood=wet, speed_law=law, stability=limit), tmp_path / "out")
    assert found["stranded"] > 0


def test_whoever_ignores_the_order_in_deep_water_is_not_called_safe(
    town: Workspace, tmp_path: Path
) -> None:
    found = run(
        town, scenario(flood=str(flood(tmp_path / "flood")), compliance=0.0), tmp_path / "out"
    )
    assert found["evacuated"] == 0
    assert found["stranded_by_reason"] == {"stayed_in_water": found["stranded"]}
    assert found["stranded"] > 300


def test_a_confirmed_closure_changes_the_results(town: Workspace, tmp_path: Path) -> None:
    towns.write_shelters(town, [("s1", 5, 5, 900)])
    before = run(town, scenario(), tmp_path / "before")
    ring = shapely.LineString([(-10, 50), (50, 50), (50, -10)])
    towns.write_closures(town, [{"id": "r1", "shape": ring}])
    after = run(town, scenario(), tmp_path / "after")
    assert after["closures"] == ["r1"]
    assert before["evacuated"] > 500
    assert after["evacuated"] < 30
    towns.write_closures(
        town, [{"id": "r1", "shape": ring, "valid_from": "2026-11-21T10:00:00+09:00"}]
    )
    later = run(town, scenario(start="2026-11-21T09:40:00+09:00"), tmp_path / "later")
    assert after["evacuated"] < later["evacuated"] < before["evacuated"]


def test_counts_of_a_file_are_kept_to_the_person(town: Workspace, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("building_id,people\nb0,7\nb3,11\n")
    run(town, scenario(population={"file": str(tmp_path / "p.csv")}), tmp_path / "out")
    people = pq.read_table(tmp_path / "out/people.parquet").to_pandas()
    assert people.building_id.value_counts().to_dict() == {"b0": 7, "b3": 11}
    mesh = [towns.lon_lat(shapely.Point(x, y)) for x, y in ((100, 100), (400, 400))]
    text = "lon,lat,people\n" + "\n".join(
        f"{p.x},{p.y},{n}" for p, n in zip(mesh, (101, 57), strict=True)
    )
    (tmp_path / "m.csv").write_text(text)
    run(town, scenario(population={"file": str(tmp_path / "m.csv")}), tmp_path / "mesh")
    people = pq.read_table(tmp_path / "mesh/people.parquet").to_pandas()
    assert len(people) == 158


def test_orders_may_differ_from_district_to_district(town: Workspace, tmp_path: Path) -> None:
    run(town, scenario(order_time_h={"d1": 0.0, "d2": 1.0}), tmp_path / "out")
    people = pq.read_table(tmp_path / "out/people.parquet").to_pandas()
    by = people.groupby("district_id").departure_h
    assert by.max()["d1"] <= 0.5
    assert by.min()["d2"] >= 1.0


@pytest.mark.parametrize(
    ("keys", "key"),
    [({"flood": "nowhere"}, "not_found"), ({"hazard": "volcano_typo"}, "evacuation_no_hazard"),
     ({"population": {"from_buildings": 0}}, "evacuation_nobody"),
     ({"order_time_h": 3.0}, "evacuation_order_too_late"),
     ({"closed_shelters": ["s1", "s2"]}, "evacuation_no_usable_shelter"),
     ({"closed_shelters": ["zz"]}, "evacuation_unknown_shelter"),
     ({"extra_paths": [{"line": [[139.0, 36.0], [139.1, 36.0]]}]}, "evacuation_path_off_network")],
)  # fmt: skip
def test_what_cannot_be_run_is_said(
    town: Workspace, tmp_path: Path, keys: dict[str, Any], key: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        run(town, scenario(**keys), tmp_path / "out")
    assert caught.value.key == key
    assert caught.value.message("ja")


@pytest.mark.parametrize(
    "keys",
    [{"compliance": 1.2}, {"step_s": 0}, {"speed_law": "magic"}, {"stability": "magic"}, {"typo": 1},
     {"departure": {"curve": "weibull", "a": 1.0}}, {"departure": {"curve": "magic"}},
     {"departure": {"curve": "window", "from_h": 1, "to_h": 0}}, {"population": {}},
     {"population": {"from_buildings": -5}}, {"order_time_h": -1.0}, {"order_time_h": {"d1": -2}},
     {"compliance": "many"}, {"start": "noon"}, {"knowledge": "some"}, {"duration_h": float("inf")},
     {"extra_shelters": [{"id": "x", "lon": 239.0, "lat": 36.0, "capacity": 5}]}, {"replicates": 0}, {"mobility": ["ghost"]}],
)  # fmt: skip
def test_a_wrong_key_is_named_in_both_languages(keys: dict[str, Any]) -> None:
    with pytest.raises(BadInputError) as caught:
        scenario(**keys)
    assert caught.value.key == "evacuation_scenario"
    assert "evacuation" in caught.value.message("en")
    assert "docs/evacuation.md" in caught.value.message("ja")  # the remedy
    told = caught.value.values["reason"]
    assert isinstance(told, Word)
    assert t(told.key, "ja", **told.values) != t(told.key, "en", **told.values)
    assert "Input should" not in caught.value.message("ja")


@pytest.mark.parametrize("text", ["building_id,people\nb0,-3\n", "building_id,people\nb0,1.5\n", "building_id,people\nb0,x\n",
                                  "building_id,people\nzz,3\n", "who,people\nb0,3\n"])  # fmt: skip
def test_bad_counts_are_refused(town: Workspace, tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(BadInputError):
        run(town, scenario(population={"file": str(tmp_path / "p.csv")}), tmp_path / "out")


def test_a_flood_of_another_city_is_refused_and_another_crs_is_not(
    town: Workspace, tmp_path: Path
) -> None:
    from citymap import crs

    depth = np.full((2, 20, 20), 1.0, np.float32)
    far = towns.write_flood(tmp_path / "far", depth, [0.0, 600.0], origin=(90_000.0, 90_000.0))
    with pytest.raises(BadInputError) as caught:
        prepare(town, scenario(flood=str(far)))
    assert caught.value.key == "evacuation_flood_elsewhere"
    here = crs.transformer(towns.EPSG, 6676).transform(towns.X0, towns.Y0)
    other = towns.write_flood(tmp_path / "other", np.full((2, 20, 20), 1.0, np.float32), [0.0, 600.0],
                              cell_m=50.0, epsg=6676, origin=(here[0] - 250, here[1] - 250))  # fmt: skip
    with pytest.raises(BadInputError) as caught:
        prepare(town, scenario(flood=str(other)))
    assert (
        caught.value.key == "evacuation_no_usable_shelter"
    )  # the water is there: both are flooded


def test_a_shelter_off_the_network_is_reported(town: Workspace) -> None:
    towns.write_shelters(town, [("s1", 5, 5, 10), ("far", 5000, 5000, 10), ("none", 100, 105, 0)])
    ready = prepare(town, scenario())
    assert ready.notes["shelters_unused"] == {"far": "off_network", "none": "no_capacity"}


def test_it_can_be_stopped(town: Workspace, tmp_path: Path) -> None:
    progress = Quiet()
    progress.cancel()
    with pytest.raises(CancelledError):
        run(town, scenario(), tmp_path / "out", progress=progress)
    assert not (tmp_path / "out/summary.json").exists()


def test_the_scenario_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[scenario]\nname = "x"\nseed = 5\n[flood]\nterrain = "t.tif"\n[evacuation]\norder_time_h = 1.5\n'
                    'departure = {curve="rayleigh", mean_h=0.5}\npopulation = {from_buildings=true}\n')  # fmt: skip
    found = read_scenario(path)
    assert (found.scenario.seed, found.evacuation.order_time_h) == (5, 1.5)
    path.write_text("x =")
    with pytest.raises(BadInputError):
        read_scenario(path)
    with pytest.raises(BadInputError):
        read_scenario(tmp_path / "absent.toml")


def test_a_shelter_inside_a_building_that_the_water_went_round_is_as_wet_as_its_surroundings(
    town: Workspace, tmp_path: Path
) -> None:
    towns.write_shelters(
        town,
        [
            ("dry", 5, 5, 300),
            ("wall", 400, 250, 300),
            ("blank", 300, 400, 300),
            ("far", 900, 5, 300),
        ],
        flood=[True, True, None, True],
    )
    depth = np.zeros((2, 120, 120), np.float32)
    depth[1:, :, 40:] = 2.0
    # The flood solver leaves the cells of buildings without a depth; so lies the ground unmapped.
    depth[:, 50:60, 82:92] = np.nan
    folder = towns.write_flood(tmp_path / "flood", depth, [0.0, 3600.0])
    found = prepare(town, scenario(flood=str(folder)), populated=False)
    why = dict(zip(found.shelters.id, found.shelters.why_not, strict=True))
    assert why["dry"] == ""
    assert why["wall"] == "flooded"
    assert why["blank"] == "flooded"  # not "not_designated": nobody must offer to open it
    assert why["far"] in ("off_network", "flood_unknown")


def test_a_street_whose_cells_have_no_depth_takes_the_water_beside_it(
    town: Workspace, tmp_path: Path
) -> None:
    towns.write_shelters(town, [("s1", 5, 5, 300)])
    depth = np.zeros((2, 120, 120), np.float32)
    depth[1:, :, 40:] = 2.0
    given = prepare(
        town, scenario(flood=str(towns.write_flood(tmp_path / "whole", depth, [0.0, 3600.0]))),
        populated=False,
    )  # fmt: skip
    depth[:, 40:70, 60:110] = np.nan
    walls = prepare(
        town, scenario(flood=str(towns.write_flood(tmp_path / "walls", depth, [0.0, 3600.0]))),
        populated=False,
    )  # fmt: skip
    assert (walls.water.peak_m() == given.water.peak_m()).all()
    assert walls.notes["edges_outside_flood"] == given.notes["edges_outside_flood"] == 0


def test_whoever_is_still_at_home_at_the_end_is_waiting_or_cut_off_but_never_dropped(
    town: Workspace, tmp_path: Path
) -> None:
    """The order comes just before the end: nobody has left, and the water stands in the west."""
    depth = np.zeros((3, 120, 120), np.float32)
    depth[1:, :, :50] = 1.5
    towns.write_flood(tmp_path / "f", depth, [0.0, 600.0, 3600.0])
    late = {"curve": "window", "from_h": 0.5, "to_h": 0.6}
    out = tmp_path / "out"
    found = run(town, scenario(flood=str(tmp_path / "f"), order_time_h=0.9, departure=late, duration_h=1.0, vertical_share=0), out)  # fmt: skip
    assert found["waiting"] + found["stranded"] + found["vertical"] == found["people"]
    assert found["waiting"] > 0 and found["stranded_by_reason"]["home_cut_off"] > 0
    told = reading.unfinished(found, "ja")
    assert told is not None and f"{found['waiting']:,}" in told
    kinds = ("arrived", "en_route", "waiting", "stranded", "vertical", "stayed")
    for row in rows(out / "arrivals.csv"):
        assert sum(int(row[k]) for k in kinds) == found["people"]
    gone = pq.read_table(out / "people.parquet").to_pandas().query("reason == 'home_cut_off'")
    assert gone.end_h.notna().all() and (gone.status == "stranded").all()


def test_the_input_is_checked_and_said_in_both_languages(town: Workspace, tmp_path: Path) -> None:
    found = run(town, scenario(), tmp_path / "out")
    for lang, word in (("ja", "使った避難場所 2 か所"), ("en", "2 shelters count")):
        assert any(word in line for line in reading.checks(found, lang))
    assert all(
        line["ja"] and line["en"] and line["ja"] != line["en"] for line in found["assumptions"]
    )
    with pytest.raises(BadInputError) as caught:
        run(town, scenario(closed_shelters=["s1", "s2"]), tmp_path / "none")
    assert "開けない 2" in caught.value.message("ja")
    assert "洪水" in caught.value.message("ja") and "Flood" in caught.value.message("en")
