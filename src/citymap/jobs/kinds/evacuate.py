"""Running an evacuation scenario of the city."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("evacuate", attempts=2)
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """`name` of the result below `scenarios/`; `scenario` the tables, else `scenario.toml` there.

    `leave_by` true: the latest safe departures too, where there is a flood that sets them.
    """
    import json

    from citymap.evacuation.leave_by import leave_by
    from citymap.evacuation.run import PREPARING, steps_of
    from citymap.evacuation.run import run as evacuate
    from citymap.evacuation.scenario import read_scenario, scenario_of
    from citymap.progress import Part
    from citymap.workspace import toml_value, write_text

    folder = context.workspace.scenario(str(params["name"]))
    if "scenario" in params:
        scenario = scenario_of(dict(params["scenario"]), folder=folder, place=folder.name)
        lines = [
            f"[{table}]\n" + "\n".join(f"{k} = {_inline(v, toml_value)}" for k, v in keys.items())
            for table, keys in json.loads(json.dumps(dict(params["scenario"]))).items()
        ]
        write_text(folder / "scenario.toml", "\n\n".join(lines) + "\n")
    else:
        scenario = read_scenario(folder / "scenario.toml")
    out = folder / "evacuation" if (folder / "flood.nc").exists() else folder
    limits = bool(params.get("leave_by")) and scenario.evacuation.flood != "none"
    steps = steps_of(scenario.evacuation)
    share = steps / (steps + PREPARING) if limits else 1.0
    summary = evacuate(
        context.workspace, scenario, out, workers=int(params.get("workers", 1)),
        progress=Part(context.progress, 0, share),
    )  # fmt: skip
    if limits:
        leave_by(context.workspace, scenario, out, progress=Part(context.progress, share, 1))
    keys = ("people", "evacuated", "vertical", "stranded", "en_route", "mean_travel_min")
    return {"out": str(out), **{k: summary[k] for k in keys}}


def _inline(value: Any, plain: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {_inline(v, plain)}' for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(v, plain) for v in value) + "]"
    return str(plain(value))
