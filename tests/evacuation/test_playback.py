"""The playback file: every household is where the run says, in order of time, and roads close in time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from towns import street_town

from citymap import crs
from citymap.evacuation.playback import STEPS, read_arrays
from citymap.evacuation.run import run
from citymap.evacuation.scenario import scenario_of

PLAN = {
    "scenario": {"name": "t", "seed": 3},
    "evacuation": {"population": {"from_buildings": 400}, "duration_h": 2.0, "order_time_h": 0.2},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("playback")
    town = street_town(root / "city")
    run(town, scenario_of(PLAN), root / "out", workers=1)
    return root / "out"


def test_everybody_is_in_it_and_ends_where_the_table_of_people_says(result: Path) -> None:
    head, a = read_arrays(result / "trips/playback.bin")
    people = pq.read_table(result / "people.parquet").to_pandas()
    homes = people.groupby("household").first()
    assert head["people"] == len(people) == int(a["size"].sum())
    assert len(a["start"]) == len(homes) + 1
    assert [head["status"][s] for s in a["status"]] == list(homes["status"])
    west, south, east, north = head["bbox"]
    last = a["start"][1:] - 1
    lon = west + a["x"][last] / STEPS * (east - west)
    lat = south + a["y"][last] / STEPS * (north - south)
    x, y = crs.project(lon, lat, 6677)
    to_x, to_y = crs.project(homes["lon"].to_numpy(), homes["lat"].to_numpy(), 6677)
    assert float(np.hypot(x - to_x, y - to_y).max()) < 0.1


def test_times_never_go_back_and_nobody_is_faster_than_a_walker(result: Path) -> None:
    head, a = read_arrays(result / "trips/playback.bin")
    west, south, east, north = head["bbox"]
    x, y = crs.project(
        west + a["x"] / STEPS * (east - west), south + a["y"] / STEPS * (north - south), 6677
    )
    t = a["t"] / STEPS * head["duration_s"]
    inner = np.ones(len(t) - 1, bool)
    inner[a["start"][1:-1] - 1] = False  # from one household to the next
    assert (np.diff(t)[inner] >= 0).all()
    people = pq.read_table(result / "people.parquet").to_pandas()
    left = people.groupby("household").first()["departure_h"].to_numpy()
    gone = np.diff(a["start"]) > 1
    assert gone.any()
    first = t[a["start"][:-1][gone]] / 3600
    assert np.abs(first - left[gone]).max() < 1e-3
    far, long = np.hypot(np.diff(x), np.diff(y))[inner], np.diff(t)[inner]
    metres = far[long > 1].sum()
    assert metres > 1000
    assert metres / long[long > 1].sum() < 1.5  # m/s, dry walkers at 1.0


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"PNG\0 something else")
    with pytest.raises(ValueError, match=r"a\.bin"):
        read_arrays(tmp_path / "a.bin")
