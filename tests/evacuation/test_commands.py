"""`citymap evacuate …` and the job: exit codes, files, and what machines are told."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from citymap import cli
from citymap.errors import BadInputError
from citymap.jobs import KINDS
from citymap.live.leave_by import results
from citymap.progress import Quiet
from citymap.workspace import Workspace
from tests.evacuation import towns

PLAN = """
[scenario]
seed = 2
[evacuation]
duration_h = 1.5
population = { from_buildings = 300 }
departure = { curve = "window", from_h = 0.0, to_h = 0.3 }
"""


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    return towns.street_town(tmp_path / "city")


def citymap(*arguments: str) -> Any:
    if "evacuate" not in {g.name for g in cli.app.registered_groups}:
        cli._register()
    return CliRunner().invoke(cli.app, ["evacuate", *arguments])


def test_the_commands_write_their_files(town: Workspace, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    where = ["--city", str(town.root), "--json"]
    for command, files in (
        (
            "run",
            {"summary.json", "people.parquet", "links.parquet", "shelters.csv", "arrivals.csv"},
        ),
        ("leave-by", {"leave_by.parquet", "leave_by.json"}),
        ("stress", {"stress.json", "fixes.csv"}),
    ):
        out = tmp_path / command
        done = citymap(command, str(plan), "--out", str(out), *where)
        assert done.exit_code == 0, done.output
        assert files <= {p.name for p in out.iterdir()}
    pair = citymap(
        "compare",
        str(tmp_path / "run"),
        str(tmp_path / "run"),
        "--out",
        str(tmp_path / "same"),
        "--json",
    )
    assert pair.exit_code == 0
    assert json.loads(pair.stdout)["counts"]["stranded"]["difference"] == 0


def test_intervals_are_said_with_the_number_of_runs(town: Workspace, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN + "replicates = 2\n")
    done = citymap("run", str(plan), "--out", str(tmp_path / "out"), "--city", str(town.root))
    assert done.exit_code == 0, done.output
    assert "2 回の平均" in done.output or "Means of 2 runs" in done.output


def test_what_fails_exits_with_one_and_a_reason(town: Workspace, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN + 'flood = "nowhere"\n')
    done = citymap(
        "run", str(plan), "--city", str(town.root), "--out", str(tmp_path / "out"), "--json"
    )
    assert done.exit_code == 1
    assert json.loads(done.stderr.strip().splitlines()[-1])["error"] == "not_found"
    assert citymap("validate", "--case", "magic").exit_code == 1


def test_validation_answers_with_a_list() -> None:
    done = citymap("validate", "--json", "--case", "single_person")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert {r["pass"] for r in rows} == {True}
    assert {"case", "measure", "value", "reference", "band", "pass", "expected_fail"} <= set(
        rows[0]
    )


def job(town: Workspace, params: dict[str, Any]) -> Any:
    context: Any = SimpleNamespace(workspace=town, progress=Quiet(), log=lambda _: None)
    return KINDS.load()["evacuate"].run(context, params)


def test_a_job_runs_a_scenario_of_the_city(town: Workspace) -> None:
    tables = {"scenario": {"name": "案", "seed": 2}, "evacuation": {
        "duration_h": 1.5, "population": {"from_buildings": 300}, "order_time_h": {"d1": 0.1, "default": 0.2},
    }}  # fmt: skip
    found = job(town, {"name": "plan-a", "scenario": tables})
    assert found["people"] == 300
    folder = town.scenario("plan-a")
    assert (folder / "summary.json").is_file()
    again = job(town, {"name": "plan-a"})  # from the scenario.toml that the first left
    assert again == found
    with pytest.raises(BadInputError):
        job(town, {"name": "../outside", "scenario": tables})


def test_a_job_finds_the_leave_by_times_where_asked_to(town: Workspace) -> None:
    depth = np.zeros((3, 120, 120), np.float32)
    depth[1:, :, 60:] = 2.0
    towns.write_flood(town.scenario("water"), depth, [0.0, 1800.0, 5400.0])
    tables: dict[str, Any] = {"scenario": {"name": "案"}, "evacuation": {
        "flood": "scenarios/water", "population": {"from_buildings": 100}, "order_time_h": 0.1,
    }}  # fmt: skip
    job(town, {"name": "with", "scenario": tables, "leave_by": True})
    job(town, {"name": "without", "scenario": tables})
    dry = {"scenario": {}, "evacuation": {"population": {"from_buildings": 100}}}
    job(town, {"name": "dry", "scenario": dry, "leave_by": True})
    assert list(results(town)) == ["with"]


def test_a_job_beside_a_flood_result_leaves_its_summary_alone(town: Workspace) -> None:
    folder = town.scenario("both")
    folder.mkdir(parents=True)
    (folder / "flood.nc").write_bytes(b"")
    (folder / "summary.json").write_text("{}")
    (folder / "scenario.toml").write_text(PLAN)
    found = job(town, {"name": "both"})
    assert found["out"] == str(folder / "evacuation")
    assert (folder / "summary.json").read_text() == "{}"
