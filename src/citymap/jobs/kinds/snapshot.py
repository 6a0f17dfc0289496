"""A snapshot of another GIS's layer: what differs waits for staff."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from citymap.jobs.kinds import Context, kind
from citymap.store import Store
from citymap.workspace import Workspace


def due(_store: Store, workspace: Workspace, at: datetime) -> dict[str, Any] | None:
    """The watches whose time has come; state and intervals lie on disk, so a restart forgets nothing."""
    from citymap.layers import snapshots

    found = snapshots.all_due(workspace, at)
    return {"due": found} if found else None


@kind("snapshot", attempts=3, lane="snapshot", due=due)
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the watch named in `params["id"]`, or at all that are due."""
    from datetime import UTC

    from citymap.layers import snapshots
    from citymap.layers.remote import Allowed
    from citymap.settings import Settings

    settings = Settings(city=context.workspace.root)
    allowed = Allowed(settings.remote_hosts, settings.remote_private)
    named, at, done = params.get("id"), datetime.now(UTC), {}
    if named is None:
        chosen = [
            w
            for w in snapshots.usable(context.workspace)
            if snapshots.due(context.workspace, w, at)
        ]
    else:
        chosen = [snapshots.watch(context.workspace, named)]
    for number, one in enumerate(chosen):
        context.progress.update(number, len(chosen), one.id)
        found = snapshots.take(context.workspace, one, allowed, at=at)
        if found.error:
            context.log(found.error)
        waits = found.pending
        done[one.id] = {
            "error": bool(found.error), "added": waits.added if waits else 0,
            "removed": waits.removed if waits else 0, "changed": waits.changed if waits else 0,
        }  # fmt: skip
    return {"watches": done}
