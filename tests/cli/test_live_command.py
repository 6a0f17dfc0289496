"""`citymap live` on the terminal: a list goes in, a dropped file is read, and age makes it unknown."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests import small_city
from typer.testing import CliRunner

from citymap import cli


def test_from_a_list_and_a_dropped_file_to_a_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli._register()
    city = small_city.make(tmp_path / "city")
    monkeypatch.setenv("CITYMAP_CITY", str(city.root))
    gauges = tmp_path / "gauges.csv"
    gauges.write_text(
        "id,観測所名,河川名,水防団待機水位,氾濫危険水位\n1,大橋,川,2.0,4.0\n", encoding="utf-8"
    )
    run = CliRunner().invoke
    done = run(cli.app, ["live", "stations", str(gauges), "--json"])
    assert json.loads(done.stdout) == {"stations": 1, "with_thresholds": 1, "problems": []}
    folder = city.root / "live" / "feeds"
    folder.mkdir()
    (folder / "inbox.toml").write_text(
        'id = "inbox"\nkind = "levels"\nfolder = "inbox"\n', encoding="utf-8"
    )
    assert run(cli.app, ["live", "poll"]).exit_code == 1  # no folder yet
    assert run(cli.app, ["live", "poll", "nobody"]).exit_code == 1
    (folder / "iot.toml").write_text(
        'id = "iot"\nkind = "mqtt"\nhost = "broker.invalid"\ntopics = ["a"]\nformat = "json"\n',
        encoding="utf-8",
    )
    assert "poll --watch" in run(cli.app, ["live", "poll", "iot"]).stderr  # it is pushed
    inbox = city.root / "live" / "inbox"
    inbox.mkdir()
    seen = datetime.now(UTC) - timedelta(minutes=6)
    (inbox / "a.csv").write_text(f"id,time,value\n1,{seen.isoformat()},2.5\n", encoding="utf-8")
    os.utime(inbox / "a.csv", (time.time() - 60,) * 2)
    done = run(cli.app, ["live", "poll", "--json"])
    assert json.loads(done.stdout)["feeds"]["inbox"]["taken"] == 1
    said = json.loads(run(cli.app, ["live", "status", "--json"]).stdout)
    assert [(x["state"], x["value_m"]) for x in said["levels"]] == [("standby", 2.5)]
    assert "2.50 m standby 6 min" in run(cli.app, ["live", "status"]).stdout
