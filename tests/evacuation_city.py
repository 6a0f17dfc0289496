"""The small city with a street, two shelters and a flood: enough for the pages and files of evacuation plans."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "evacuation")]
import towns

import small_city
from citymap.evacuation.run import run
from citymap.evacuation.scenario import scenario_of
from citymap.workspace import Workspace

FLOOD = "水が西から"
STEP_M = 89.4  # between the buildings of the small city


def make(root: Path) -> Workspace:
    """Write the city; the flood comes from the west after half an hour and rises to 2 m."""
    workspace = small_city.make(root)
    table = pq.read_table(workspace.buildings)
    known = {
        "district_id": ["d1" if i < 6 else "d2" for i in range(len(table))],
        "footprint_area_m2": [120.0] * len(table), "storeys_above": [2] * len(table),
    }  # fmt: skip
    for name, values in known.items():
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        table = table.set_column(at, field, pa.array(values, field.type))
    pq.write_table(table, workspace.buildings)
    street = [
        {"points": [(i * STEP_M, 30.0), ((i + 1) * STEP_M, 30.0)], "width_m": 4.0, "kind": "市町村道",
         "bridge": False, "tunnel": False}
        for i in range(12)
    ]  # fmt: skip
    towns.write_roads(workspace, street)
    towns.write_shelters(workspace, [("s1", 1060, 35, 150), ("s2", 980, 35, 40)])
    depth = np.zeros((5, 40, 240), np.float32)
    for k, far in enumerate((0, 0, 60, 90, 120)):
        depth[k, :, :far] = 2.0 if k > 2 else 1.0
    towns.write_flood(workspace.scenario(FLOOD), depth, [0.0, 1200.0, 1800.0, 2700.0, 7200.0])
    return workspace


def tables(name: str, **changed: Any) -> dict[str, Any]:
    """The tables of a plan."""
    given = {
        "flood": f"scenarios/{FLOOD}", "order_time_h": 0.0, "population": {"from_buildings": 240},
        "compliance": 0.9, "car_share": 0.1,
    }  # fmt: skip
    return {"scenario": {"name": name, "seed": 1}, "evacuation": {**given, **changed}}


def planned(workspace: Workspace, name: str, **changed: Any) -> Path:
    """A computed plan of the city, as the job leaves it; its folder."""
    from citymap.jobs.kinds.evacuate import _inline
    from citymap.workspace import toml_value, write_text

    folder = workspace.scenario(name)
    given = json.loads(json.dumps(tables(name, **changed)))
    lines = [
        f"[{head}]\n" + "\n".join(f"{k} = {_inline(v, toml_value)}" for k, v in keys.items())
        for head, keys in given.items()
    ]
    write_text(folder / "scenario.toml", "\n\n".join(lines) + "\n")
    run(workspace, scenario_of(given, folder=folder, place=name), folder, workers=1)
    return folder
