"""The doors of evacuation plans: people and water of one run for playing on the staff's map, and its capsule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from citymap.assess.water_frames import write_water
from citymap.errors import BadInputError
from citymap.evacuation import plans
from citymap.evacuation.playback import NAME
from citymap.share.doors import Door, declare
from citymap.store.accounts import Role
from citymap.web.access import needs
from citymap.web.api import speaking
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.settings import Settings

WATER = "water.bin"
_STAFF_ONLY = "planners only: simulated people and computed water of a plan, no record of anybody"
declare(
    Door("/api/evacuation/{name}/playback.bin", nothing=_STAFF_ONLY),
    Door("/api/evacuation/{name}/water.bin", nothing=_STAFF_ONLY),
)


class EvacuationDoor:
    """Hands out the playback files of the city's plans."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[BaseRoute]:
        """`/api/evacuation/…`."""
        return needs(
            Role.PLANNER,
            Route("/api/evacuation/{name}/playback.bin", speaking(self.people)),
            Route("/api/evacuation/{name}/water.bin", speaking(self.water)),
        )

    def _plan(self, request: Request) -> tuple[Workspace, plans.Entry]:
        if self._settings.city is None:
            raise BadInputError("no_city")
        workspace = Workspace(self._settings.city)
        return workspace, plans.entry(workspace, request.path_params["name"])

    async def people(self, request: Request) -> Response:
        """`GET /api/evacuation/{name}/playback.bin`: every household in time, as `evacuation.playback` says."""
        _, plan = self._plan(request)
        return _file(plan.result / "trips" / NAME, plan.name)

    async def water(self, request: Request) -> Response:
        """`GET /api/evacuation/{name}/water.bin`: the water in time, made at the first call."""
        workspace, plan = self._plan(request)
        flood = plans.flood_of(workspace, plan)
        if flood is None:
            raise BadInputError("not_found", path=f"{plan.name}/{WATER}")
        path = plan.result / "trips" / WATER
        if not path.is_file() or path.stat().st_mtime_ns < (flood / "flood.nc").stat().st_mtime_ns:
            await run_sync(write_water, path, flood)
        return _file(path, plan.name)


def _file(path: Path, name: str) -> Response:
    if not path.is_file():
        raise BadInputError("not_found", path=f"{name}/{path.name}")
    headers = {"cache-control": "private, no-cache"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)
