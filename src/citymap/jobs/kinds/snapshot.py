"""A snapshot of another GIS's layer: what differs waits for staff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("snapshot", attempts=3, lane="snapshot")
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the watch named in `params["id"]`, or at all that are due."""
    from datetime import UTC, datetime

    from citymap.layers import snapshots
    from citymap.layers.remote import Allowed
    from citymap.settings import Settings

    settings = Settings(city=context.workspace.root)
    allowed = Allowed(settings.remote_hosts, settings.remote_private)
    at, done = datetime.now(UTC), {}
    listed = snapshots.watches(context.workspace)
    for number, one in enumerate(listed):
        context.progress.update(number, len(listed), one.id)
        if params.get("id") not in {None, one.id}:
            continue
        if params.get("id") is None and not snapshots.due(context.workspace, one, at):
            continue
        found = snapshots.take(context.workspace, one, allowed, at=at)
        if found.error:
            context.log(found.error)
        waits = found.pending
        done[one.id] = {
            "error": bool(found.error), "added": waits.added if waits else 0,
            "removed": waits.removed if waits else 0, "changed": waits.changed if waits else 0,
        }  # fmt: skip
    return {"watches": done}
