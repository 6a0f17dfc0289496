"""The plan capsule: one file with everything in it, and nothing outside it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))
import evacuation_city
from citymap import cli
from citymap.errors import BadInputError
from citymap.evacuation import plans, playback, reading
from citymap.share import plan_capsule
from citymap.workspace import Workspace


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = evacuation_city.make(tmp_path_factory.mktemp("capsule") / "city")
    evacuation_city.planned(workspace, "早い")
    return workspace


def contents(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_it_says_what_the_result_says(city: Workspace) -> None:
    plan = plans.entry(city, "早い")
    data = contents(plan_capsule.capsule(city, plan))
    summary = reading.summary(plan.result)
    assert data["counts"]["stranded"] == summary["stranded"] > 0
    assert sum(data["stranded"]["age"].values()) == summary["stranded"]
    assert data["seed"] == 1
    assert dict(data["scenario"])["指示に従う割合"] == "90 %"
    assert any(line.startswith("人数：") for line in data["assumptions"])
    assert not any(line.startswith("People") for line in data["assumptions"])
    assert data["inputs"]["flood"]["sha256"] == hashlib.sha256(
        (city.scenario(evacuation_city.FLOOD) / "flood.nc").read_bytes()
    ).hexdigest()  # fmt: skip
    assert (
        data["results"]["people.parquet"]
        == hashlib.sha256((plan.result / "people.parquet").read_bytes()).hexdigest()
    )
    assert {d["name"] for d in data["districts"]} == {"本町一丁目", "ヶ丘町"}
    assert all(d["do"] for d in data["districts"])
    people = gzip.decompress(base64.b64decode(data["people"]))
    assert people == (plan.result / "trips" / playback.NAME).read_bytes()
    assert data["water"]


def test_it_names_no_other_file_and_forbids_itself_the_network(city: Workspace) -> None:
    text = plan_capsule.capsule(city, plans.entry(city, "早い"))
    page = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S)
    assert "default-src 'none'" in page
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", page) == []
    named = set(re.findall(r"https?://[^\s'\"]+", page)) - {"http://www.w3.org/2000/svg"}
    assert named == set()


def test_the_same_result_gives_the_same_text(city: Workspace) -> None:
    plan = plans.entry(city, "早い")
    assert plan_capsule.capsule(city, plan) == plan_capsule.capsule(city, plan)
    assert plan_capsule.capsule(city, plan, lang="en") != plan_capsule.capsule(city, plan)


def test_a_name_that_is_markup_stays_text(city: Workspace) -> None:
    folder = evacuation_city.planned(city, "書", duration_h=0.5)
    summary = reading.summary(folder)
    summary["name"] = "</script><script>alert(1)</script>"
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    text = plan_capsule.capsule(city, plans.entry(city, "書"))
    assert "<script>alert" not in text
    assert contents(text)["name"] == summary["name"]
    plans.delete(city, "書")
    with pytest.raises(BadInputError):
        plans.entry(city, "書")


def citymap(*arguments: str) -> int:
    if "evacuate" not in {g.name for g in cli.app.registered_groups}:
        cli._register()
    return CliRunner().invoke(cli.app, ["evacuate", "capsule", *arguments]).exit_code


def test_the_command_takes_a_name_or_a_folder(city: Workspace, tmp_path: Path) -> None:
    by_name, by_folder = tmp_path / "a.html", tmp_path / "b.html"
    common = ["--city", str(city.root)]
    assert citymap("早い", "--out", str(by_name), *common) == 0
    folder = str(city.scenario("早い"))
    assert citymap(folder, "--out", str(by_folder), *common) == 0
    assert contents(by_name.read_text())["counts"] == contents(by_folder.read_text())["counts"]
    missing = citymap("ない", "--out", str(by_name), *common)
    assert missing == 1


def test_a_large_town_is_thinned_and_says_so(city: Workspace) -> None:
    head, arrays = playback.read_arrays(city.scenario("早い") / "trips" / playback.NAME)
    thin, fewer = playback.thinned(head, arrays, 3)
    assert thin["every"] == 3
    start, full = fewer["start"], arrays["start"]
    assert len(start) - 1 == -(-(len(full) - 1) // 3)
    for k in range(len(start) - 1):
        assert list(fewer["t"][start[k] : start[k + 1]]) == list(
            arrays["t"][full[3 * k] : full[3 * k + 1]]
        )
