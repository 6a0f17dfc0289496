"""Photos that wait in the city's folder, brought to the S3 server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from citymap.jobs.kinds import Context, kind
from citymap.store import Store
from citymap.workspace import Workspace


def due(store: Store, workspace: Workspace, at: datetime) -> dict[str, Any] | None:
    """When the city has such a server and something waits for it."""
    from citymap.reports import bucket, photos
    from citymap.settings import Settings

    del store, at
    bucket.use(workspace, bucket.named(Settings(city=workspace.root)))
    waits = bucket.of(workspace) is not None and photos.is_waiting(workspace)
    return {} if waits else None


@kind("photos", attempts=3, lane="photos", due=due)
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Move them; what is left waits for the next time."""
    from citymap.reports import bucket, photos
    from citymap.settings import Settings

    del params
    bucket.use(context.workspace, bucket.named(Settings(city=context.workspace.root)))
    moved = photos.move(context.workspace)
    return {"moved": moved, "waiting": len(photos.waiting(context.workspace))}
