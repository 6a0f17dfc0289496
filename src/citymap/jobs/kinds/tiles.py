"""Rebuilding the derived tiles of the city."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("tiles", attempts=3, lane="tiles")
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Build; finished steps of an earlier attempt are kept."""
    from citymap.tiles import build

    workers = int(params.get("workers", 1))
    manifest = build(context.workspace, progress=context.progress, workers=workers)
    return {"version": manifest["version"], "buildings": manifest["buildings"]["count"]}
