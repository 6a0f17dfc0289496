"""Exposure and verdict: of the whole city anew, or of places that somebody sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("exposure", attempts=2, lane="exposure")
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the tables of all sets, or of the one named by `params["set"]`."""
    from citymap.assess import shelter_audit
    from citymap.assess.exposure import compute
    from citymap.tiles.exposure import publish

    counts = compute(context.workspace, only=params.get("set"), progress=context.progress)
    publish(context.workspace)
    shelter_audit.current(context.workspace)
    return {"sets": counts}


@kind("exposure_at_places", attempts=2)
def run_at_places(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for the places in `params` into a file of the job (`share.ogc.processes`)."""
    from citymap.share.ogc import processes

    count = processes.run_into_file(
        context.workspace, context.job.id, params, progress=context.progress
    )
    return {"places": count}
