"""The daily summary of reports, made by itself at the hour of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from citymap.jobs.kinds import Context, kind
from citymap.store import Store
from citymap.workspace import Workspace


def due(store: Store, workspace: Workspace, at: datetime) -> dict[str, Any] | None:
    """The day whose summary is missing."""
    from citymap.assess import daily_board
    from citymap.settings import Settings

    hour = Settings(city=workspace.root).board_hour
    day = daily_board.due(store, workspace, at, hour) if hour >= 0 else None
    return None if day is None else {"day": day, "hour": hour}


@kind("daily_board", attempts=3, lane="daily_board", due=due)
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Make the summary of `params["day"]`, the 24 hours until `params["hour"]` in Japan."""
    from citymap.assess import daily_board

    board = daily_board.make(
        context.store, context.workspace, str(params["day"]), int(params["hour"])
    )
    return {"day": board.day, "received": sum(board.states.values()), "open": board.waiting}
