"""The doors of what is laid over the city: the list, and tiles of files and of other servers."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from citymap.errors import BadInputError
from citymap.layers import remote, remote_tileset
from citymap.layers.overlays import Overlay, bounds, find, overlays
from citymap.share import gate
from citymap.share.doors import Door, Knock, declare
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.tiles import overlay as draw
from citymap.web.access import by_key, needs
from citymap.web.answers import answer
from citymap.web.api import speaking
from citymap.web.audience import audience
from citymap.web.keys import Use
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.layers.catalogue import Audience
    from citymap.settings import Settings

MVT, PNG = "application/vnd.mapbox-vector-tile", "image/png"
KEPT_TILES = 2000
REMOTE_ZOOM = 18  # nearer, nobody may make us fetch: the copies would fill the disk
LIST_S = 2.0  # how long the list of layers of one audience is taken as it was
EMPTY_PNG = draw.png_of_nothing()


def _knocks(workspace: Workspace) -> list[Knock]:
    knocks = [Knock("/api/overlays.json")]
    for one in overlays(workspace)[0]:
        box = bounds(one)
        if one.form == "tileset" or box is None:
            continue
        zoom = 13
        x = int(((box[0] + box[2]) / 2 + 180) / 360 * (1 << zoom))
        lat = math.radians((box[1] + box[3]) / 2)
        y = int((0.5 - math.asinh(math.tan(lat)) / (2 * math.pi)) * (1 << zoom))
        suffix = "mvt" if one.form == "vector" else "png"
        knocks.append(Knock(f"/overlays/{one.layer.id}/{one.stamp}/{zoom}/{x}/{y}.{suffix}"))
    return knocks


declare(
    Door("/api/overlays.json", kinds=("layers",), knocks=lambda _: [Knock("/api/overlays.json")]),
    Door(
        "/overlays/{id}/{stamp}/{z}/{x}/{y}.{suffix}",
        kinds=("layers", "hazard", "base_map"),
        knocks=_knocks,
    ),
    Door(
        "/overlays/{id}/{stamp}/tileset/{path}",
        nothing="3D Tiles that a definition names for its audience: of the city's layers/, or of another server",
    ),
)


class Overlays:
    """Lists the overlays of a city and makes their tiles, keeping the last ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._allowed = remote.Allowed(settings.remote_hosts, settings.remote_private)
        self._tiles: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._listed: dict[Audience, tuple[float, list[Overlay]]] = {}
        self._lock = Lock()

    def routes(self) -> list[BaseRoute]:
        """`/api/overlays.json` and `/overlays/…`."""
        return by_key(Use(Scope.OVERLAYS), needs(
            Role.PUBLIC,
            Route("/api/overlays.json", speaking(self.list_all)),
            Route("/overlays/{id}/{stamp}/{z:int}/{x:int}/{y:int}.{suffix}", speaking(self.tile)),
            Route("/overlays/{id}/{stamp}/tileset/{path:path}", speaking(self.tileset)),
        ))  # fmt: skip

    def _workspace(self) -> Workspace:
        if self._settings.city is None:
            raise BadInputError("no_city")
        return Workspace(self._settings.city)

    def _find(self, layer_id: str, who: Audience) -> Overlay:
        at, listed = self._listed.get(who, (-math.inf, []))
        if time.monotonic() - at > LIST_S:
            listed = overlays(self._workspace(), audience=who)[0]
            self._listed[who] = (time.monotonic(), listed)
        one = next((x for x in listed if x.layer.id == layer_id), None)
        one = one or find(self._workspace(), layer_id, audience=who)
        kind = {"hazard": "hazard", "base": "base_map"}.get(layer_id.partition("-")[0])
        if one is None or (kind is not None and not gate.may_see(kind, who)):
            raise BadInputError("layer_unknown", place=layer_id)
        return one

    async def list_all(self, request: Request) -> Response:
        """`GET /api/overlays.json`: what may be laid over the city, low below high, and what fails."""
        who = audience(request)

        def listed() -> dict[str, Any]:
            good, bad = overlays(self._workspace(), audience=who)
            rows = gate.release("layers", [_described(one) for one in good], who)
            said = [e.as_dict() for e in bad] if who != "public" else []
            return {"layers": rows, "problems": [x["message"] for x in said]}

        return answer(await run_sync(listed))

    async def tile(self, request: Request) -> Response:
        """One tile of an overlay: PNG, or MVT with `k`, the class of each shape counted from 1."""
        who = audience(request)
        p = request.path_params
        zoom, x, y, suffix = p["z"], p["x"], p["y"], p["suffix"]
        one = await run_sync(self._find, p["id"], who)
        if suffix != ("mvt" if one.form == "vector" else "png"):
            raise BadInputError("layer_unknown", place=f"{p['id']}.{suffix}")
        if one.path is None:
            return await run_sync(self._remote, one, zoom, x, y)
        key = (one.layer.id, one.stamp, str(zoom), str(x), str(y))
        with self._lock:
            body = self._tiles.get(key)
            if body is not None:
                self._tiles.move_to_end(key)
        if body is None:
            body = await run_sync(_drawn, one, zoom, x, y)
            with self._lock:
                self._tiles[key] = body
                while len(self._tiles) > KEPT_TILES:
                    self._tiles.popitem(last=False)
        fresh = p["stamp"] == one.stamp
        cache = "public, max-age=86400" if fresh and "public" in one.layer.audience else "no-cache"
        return Response(
            body, media_type=MVT if suffix == "mvt" else PNG, headers={"cache-control": cache}
        )

    def _remote(self, one: Overlay, zoom: int, x: int, y: int) -> Response:
        workspace, source = self._workspace(), one.layer.source
        if not _near(workspace, zoom, x, y) or zoom > min(one.layer.maxzoom, REMOTE_ZOOM):
            nothing = b"" if one.form == "vector" else EMPTY_PNG
            return Response(nothing, media_type=MVT if one.form == "vector" else PNG)
        if one.form == "vector":
            kept = remote.table(workspace, one.layer, self._allowed)
            body = draw.vector_tile(
                kept.path, str(kept.path.stat().st_mtime_ns), zoom, x, y, column=source.column,
                classes=_classes(one), fields=source.fields,
            )  # fmt: skip
            mime = MVT
        else:
            body, mime, kept = remote.tile(workspace, one.layer, self._allowed, zoom, x, y)
        return Response(body, media_type=mime, headers=_aged(kept))

    async def tileset(self, request: Request) -> Response:
        """A file of a 3D Tiles folder of the city's own `layers/`."""
        one = await run_sync(self._find, request.path_params["id"], audience(request))
        if one.form != "tileset":
            raise BadInputError("layer_unknown", place=one.layer.id)
        if one.path is None:
            return await run_sync(self._remote_file, one, request.path_params["path"])
        folder = one.path.parent.resolve()
        path = (folder / request.path_params["path"]).resolve()
        known = remote_tileset.CONTENTS
        if not path.is_relative_to(folder) or path.suffix not in known or not path.is_file():
            raise BadInputError("layer_unknown", place=request.path_params["path"])
        return Response(await run_sync(path.read_bytes), media_type=known[path.suffix][1])

    def _remote_file(self, one: Overlay, path: str) -> Response:
        body, mime, kept = remote_tileset.file(self._workspace(), one.layer, self._allowed, path)
        return Response(body, media_type=mime, headers=_aged(kept))


def _aged(kept: remote.Kept) -> dict[str, str]:
    if kept.error is None:
        return {"cache-control": "private, max-age=3600"}
    return {"cache-control": "no-cache", "warning": f'110 - "copy of {kept.age_h:.0f} hours ago"'}


def _near(workspace: Workspace, zoom: int, x: int, y: int) -> bool:
    """Whether a tile lies in the city or at its edge."""
    box = workspace.city().bbox
    if box is None or not (0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
        return False

    def at(lon: float, lat: float) -> tuple[float, float]:
        down = 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)
        return (lon / 360 + 0.5) * (1 << zoom), down * (1 << zoom)

    (west, north), (east, south) = at(box[0], box[3]), at(box[2], box[1])
    return west - 2 <= x <= east + 1 and north - 2 <= y <= south + 1


def _classes(one: Overlay) -> list[draw.Class]:
    legend = one.layer.legend
    return [draw.Class(c.colour, c.min, c.max, c.value) for c in legend.classes] if legend else []


def _drawn(one: Overlay, zoom: int, x: int, y: int) -> bytes:
    assert one.path is not None  # noqa: S101  (a file: the caller looked)
    source = one.layer.source
    if one.form == "vector":
        fields = source.fields or (
            _hazard_fields(one) if one.layer.id.startswith("hazard-") else ()
        )
        return draw.vector_tile(
            one.path,
            one.stamp,
            zoom,
            x,
            y,
            column=source.column,
            classes=_classes(one),
            fields=fields,
        )
    return draw.raster_tile(one.path, _classes(one), zoom, x, y) or EMPTY_PNG


def _hazard_fields(one: Overlay) -> tuple[str, ...]:
    """What the public may read of a hazard area, by the gate."""
    assert one.path is not None  # noqa: S101
    wanted = ("name", "scale", "admin", "rank", "depth_m", "duration_h", "kind")
    sample = dict.fromkeys(pq.read_schema(one.path).names, 0)
    allowed = gate.release_one("hazard", sample, "public") or {}
    return tuple(n for n in wanted if n in allowed)


def _described(one: Overlay) -> dict[str, Any]:
    layer = one.layer
    plain = layer.model_dump(
        mode="json",
        include={"id", "group", "order", "title", "description", "legend", "audience", "attribution",
                 "licence", "vintage", "minzoom", "maxzoom", "visible", "opacity"},
    )  # fmt: skip
    suffix = {"vector": "{z}/{x}/{y}.mvt", "raster": "{z}/{x}/{y}.png"}.get(one.form)
    if suffix is None:
        suffix = f"tileset/{one.path.name if one.path else remote_tileset.name_of(layer)}"
    box = bounds(one)
    return plain | {
        "form": one.form, "url": f"overlays/{layer.id}/{one.stamp}/{suffix}",
        "bounds": list(box) if box else None, "remote": one.path is None,
    }  # fmt: skip
