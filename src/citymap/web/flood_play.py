"""The doors behind playing a flood result on the map: for staff, a scenario is no forecast for residents."""

from __future__ import annotations

import gzip
import json
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from citymap.assess import flood_play, flood_view
from citymap.errors import BadInputError
from citymap.share.doors import Door, declare
from citymap.store.accounts import Role
from citymap.web.access import needs
from citymap.web.answers import answer
from citymap.web.api import speaking
from citymap.web.file_door import accepts_gzip
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.settings import Settings

KEPT_BYTES = 64 << 20
STAFF = (
    "staff alone: what a flood scenario computed; results go to residents only through a release"
)

declare(
    Door("/api/flood/{name}/play.json", nothing=STAFF),
    Door("/api/flood/{name}/curve.json", nothing=STAFF),
    Door("/api/flood/{name}/{stamp}/{part}.bin", nothing=STAFF),
)


class FloodPlay:
    """Describes results and hands out their frames, each made once and kept while there is room."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._held = 0
        self._lock = Lock()  # also because the NetCDF library does not stand two threads

    def routes(self) -> list[BaseRoute]:
        """`/api/flood/…`."""
        return needs(
            Role.STAFF,
            Route("/api/flood/{name}/play.json", speaking(self.play)),
            Route("/api/flood/{name}/curve.json", speaking(self.curve)),
            Route("/api/flood/{name}/{stamp}/{part}.bin", speaking(self.part)),
        )

    def _folder(self, request: Request) -> tuple[Workspace, Path, str]:
        if self._settings.city is None:
            raise BadInputError("no_city")
        workspace = Workspace(self._settings.city)
        folder = workspace.scenario(request.path_params["name"])
        try:
            stamp = format((folder / "summary.json").stat().st_mtime_ns, "x")
        except OSError as e:
            raise BadInputError("flood_no_result", place=folder.name) from e
        return workspace, folder, stamp

    async def play(self, request: Request) -> Response:
        """What a player must know, and where the parts are (`{part}`: `ground`, `peak`, or a number)."""
        _, folder, stamp = self._folder(request)

        def made() -> dict[str, Any]:
            with self._lock:
                described = flood_play.described(flood_play.result(folder))
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            return {
                "name": folder.name,
                "stamp": stamp,
                "parts": f"{stamp}/{{part}}.bin",
                "max_depth_m": summary.get("max_depth_m"),
                "flooded_area_m2": summary.get("flooded_area_m2"),
                **described,
            }

        return answer(await run_sync(made))

    async def curve(self, request: Request) -> Response:
        """Depth (m) in time (h) at `lon`, `lat`, of the run's own cell; `depths` is null where there is none."""
        _, folder, _ = self._folder(request)
        try:
            lon, lat = (float(request.query_params[n]) for n in ("lon", "lat"))
        except (KeyError, ValueError) as e:
            raise BadInputError("place_position") from e
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise BadInputError("place_position")

        def read() -> dict[str, Any]:
            with self._lock:
                found = flood_view.curve(folder, lon, lat)
            if found is None:
                return {"hours": [], "depths": None}
            return {"hours": found[0], "depths": [round(d, 4) for d in found[1]]}

        return answer(await run_sync(read))

    async def part(self, request: Request) -> Response:
        """One frame, the peak or the ground, under an address that changes with the result."""
        workspace, folder, stamp = self._folder(request)
        asked, name = request.path_params["stamp"], request.path_params["part"]
        body = await run_sync(self._body, workspace, folder, stamp, name)
        headers = {
            "cache-control": "private, max-age=31536000, immutable"
            if asked == stamp
            else "no-store",
            "vary": "accept-encoding, cookie",
        }
        if accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
            headers["content-encoding"] = "gzip"
        else:
            body = gzip.decompress(body)
        return Response(body, media_type="application/octet-stream", headers=headers)

    def _body(self, workspace: Workspace, folder: Path, stamp: str, name: str) -> bytes:
        key = (folder.name, stamp, name)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
            one = flood_play.result(folder)
            made: dict[str, Callable[[], bytes]] = {
                "ground": lambda: flood_play.ground(one, workspace.terrain),
                "peak": lambda: flood_play.peak(one),
            }
            if name in made:
                raw = made[name]()
            elif name.isdecimal() and int(name) < len(one.hours):
                raw = flood_play.frame(one, int(name))
            else:
                raise BadInputError("flood_no_result", place=f"{folder.name}/{name}")
            body = gzip.compress(raw, 4, mtime=0)
            self._kept[key] = body
            self._held += len(body)
            while self._held > KEPT_BYTES and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._held -= len(old)
            return body
