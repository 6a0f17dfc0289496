"""A flood scenario of the city, from `scenarios/<name>/scenario.toml` to its result beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("flood", lane="flood")
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Run the scenario named in `params["name"]`."""
    from citymap.assess.flooded import count
    from citymap.flood import run as runs
    from citymap.flood.scenario import read

    city = context.workspace
    folder = city.scenario(str(params["name"]))
    scenario = read(folder / "scenario.toml", city=city.root)
    runs.run(scenario, folder, epsg=city.city().epsg, progress=context.progress)
    summary = count(city, folder, progress=context.progress)
    return {
        "name": folder.name, "flooded_area_m2": summary["flooded_area_m2"],
        "max_depth_m": summary["max_depth_m"], "wall_s": summary["wall_s"],
    }  # fmt: skip
