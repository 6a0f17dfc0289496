"""Scenarios of a city: its buildings stand in the water, its job runs, flooded buildings are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from tests.small_city import SOUTH, WEST, make

from citymap import crs
from citymap.errors import BadInputError
from citymap.flood import run as runs
from citymap.flood.scenario import read
from citymap.jobs import KINDS
from citymap.jobs.kinds import Context
from citymap.progress import Quiet
from citymap.workspace import Workspace

CELL = 5.0
FLOOD = """
[scenario]
name = "みどり川 左岸"
[flood]
duration_h = 0.5
output_every_min = 10
{more}
[[flood.inflow]]
at = [{lon}, {lat}]
m3_per_s = [[0, 60]]
"""


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Workspace]:
    """Twelve buildings of about 18 × 22 m on a plain that falls to the south."""
    workspace = make(tmp_path / "city")
    x0, y0 = (float(v) for v in crs.project(WEST - 0.001, SOUTH - 0.002, 6677))
    rows, columns = 120, 280
    z = 100 + 0.002 * CELL * (rows - np.mgrid[0:rows, 0:columns][0])
    with rasterio.open(
        workspace.terrain, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32", crs="EPSG:6677",
        transform=Affine(CELL, 0, x0, 0, -CELL, y0 + rows * CELL), nodata=float("nan"),
    ) as out:  # fmt: skip
        out.write(z.astype(np.float32), 1)
        out.update_tags(VERTICAL_DATUM="T.P.")
    yield workspace


def scenario(city: Workspace, name: str, more: str = "") -> Path:
    folder = city.scenario(name)
    folder.mkdir(parents=True)
    text = FLOOD.format(lon=WEST + 0.0045, lat=SOUTH + 0.0012, more=more)
    (folder / "scenario.toml").write_text(text, encoding="utf-8")
    return folder


def run(city: Workspace, name: str, more: str) -> tuple[dict[str, object], np.ndarray]:
    folder = scenario(city, name, more)
    summary = runs.run(read(folder / "scenario.toml", city=city.root), folder, epsg=6677)
    with rasterio.open(folder / "max_depth.tif", driver="GTiff") as source:
        return summary, source.read(1)


def test_each_treatment_of_buildings_does_what_it_says(city: Workspace) -> None:
    ignored, open_depth = run(city, "ignore", 'buildings = "ignore"')
    assert ignored["buildings_treatment"] == "ignore"
    assert np.isfinite(open_depth).all()
    blocked, depth = run(city, "block", 'buildings = "block"')
    built = np.isnan(depth)
    assert blocked["buildings_treatment"] == "block"
    assert 12 * 10 < built.sum() < 12 * 30
    _, raised = run(city, "raise", 'buildings = "raise"')
    assert raised[built].max() < 0.01 < open_depth[built].max()
    porous, held = run(city, "porosity", 'buildings = "porosity"')
    assert porous["buildings_treatment"] == "porosity"
    assert held[built].max() > 0.05
    for summary in (ignored, blocked, porous):
        assert abs(float(str(summary["mass_error_m3"]))) < 1e-7 * float(str(summary["inflow_m3"]))
    default, _ = run(city, "default", "")
    assert default["buildings_treatment"] == "block"


def test_rain_on_roofs_reaches_the_ground(city: Workspace) -> None:
    rain = 'buildings = "block"\n[flood.rain]\nmm_per_h = [[0, 40]]'
    summary, _ = run(city, "rain", rain)
    assert summary["rain_m3"] == pytest.approx(0.02 * 120 * 280 * CELL**2, rel=1e-6)


def test_the_job_runs_the_scenario_and_counts_buildings(city: Workspace) -> None:
    folder = scenario(city, "left bank")
    lines: list[str] = []
    context = Context(city, Quiet(), lines.append, None, None)  # type: ignore[arg-type]
    result = KINDS.load()["flood"].run(context, {"name": "left bank"})
    assert result["max_depth_m"] > 0.1
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["buildings_flooded"] == sum(summary["buildings_by_class"].values()) > 0
    assert not (folder / "live.tif").exists()


def test_a_scenario_cannot_be_named_out_of_its_folder(city: Workspace) -> None:
    for name in ("../x", "", ".x", "a/b", "a\\b", "x" * 101):
        with pytest.raises(BadInputError):
            city.scenario(name)
