"""Every non-Streamlit route, built once from the settings and used by both processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Mount, Route

from citymap import city_messages
from citymap.i18n import own_wording
from citymap.reports import bucket, place
from citymap.settings import Settings
from citymap.share import tile_files
from citymap.share.doors import Door, Knock, declare
from citymap.web import metrics
from citymap.web.access import guarded, open_to_all
from citymap.web.api import Api
from citymap.web.auth import Auth
from citymap.web.evacuation import EvacuationDoor
from citymap.web.feeds import Feeds
from citymap.web.file_door import ByteCache, FileDoor, Rewrite, as_it_is
from citymap.web.flood_play import FloodPlay
from citymap.web.identity import People
from citymap.web.ngsi import Ngsi
from citymap.web.ogc import Ogc
from citymap.web.open311 import Open311
from citymap.web.overlays import Overlays
from citymap.web.paper import Paper
from citymap.web.place import PlaceDoor
from citymap.web.processes import Processes
from citymap.web.reports import Reports
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.layers.catalogue import Audience

STATIC = Path(__file__).parent / "static"
_HASHED = re.compile(r"^(assets/.*|.*[-.][0-9A-Za-z_-]{8,}\.(js|css|woff2|wasm|png|svg))$")
_VERSIONED = re.compile(r"^[0-9A-Za-z_-]{4,64}/")
AUDIENCE: Audience = "public"  # tiles are the same for everybody
_TILE_SUFFIXES = frozenset({".mvt", ".png"})


def _tile_of_3d(path: str) -> str | None:
    """`/3dtiles/<v>/<rest>` lies in `tiles/<v>/3d/<rest>`."""
    version, _, rest = path.partition("/")
    return f"{version}/3d/{rest}" if rest else None


def _passage(located: str) -> Rewrite | None:
    found = tile_files.passage(located, AUDIENCE)
    if found is None:
        return None
    rewrite = found.rewrite
    return as_it_is if rewrite is None else lambda body: rewrite(body, AUDIENCE)


def _tile_knocks(workspace: Workspace) -> list[Knock]:
    """Every file of the tree, by the URL it would have."""
    paths = [
        p.relative_to(workspace.tiles).as_posix() for p in workspace.tiles.rglob("*") if p.is_file()
    ]
    return [Knock("/tiles/" + path.removesuffix(".gz")) for path in sorted(paths)]


def _3d_knocks(workspace: Workspace) -> list[Knock]:
    named = [k.url.split("/", 3) for k in _tile_knocks(workspace)]
    return [Knock(f"/3dtiles/{n[2]}/{n[3].removeprefix('3d/')}") for n in named if len(n) == 4]


declare(
    Door("/map", nothing="a redirect to /map/"),
    Door("/api/messages.json", nothing="the city's own wording of the renderer's texts"),
    Door("/map/", nothing="the renderer's own files, the same for every city"),
    Door("/tiles/", kinds=("tile_manifest", "buildings", "base_map", "roads", "districts", "terrain"),
         knocks=_tile_knocks),
    Door("/3dtiles/", kinds=("buildings",), knocks=_3d_knocks),
)  # fmt: skip


def doors(settings: Settings, cache: ByteCache | None = None) -> dict[str, FileDoor]:
    """The file doors by prefix: renderer, tiles, 3D Tiles."""
    cache = cache or ByteCache()
    tiles = settings.city / "tiles" if settings.city is not None else None
    return {
        "/map": FileDoor(
            STATIC, cache=cache, is_immutable=lambda p: bool(_HASHED.match(p)), index="index.html"
        ),
        "/tiles": FileDoor(
            tiles, cache=cache, is_immutable=lambda p: bool(_VERSIONED.match(p)),
            sparse=_TILE_SUFFIXES, passage=_passage, shared=True,
        ),
        "/3dtiles": FileDoor(tiles, cache=cache, is_immutable=lambda _: True, locate=_tile_of_3d,
            passage=_passage, shared=True,
        ),
    }  # fmt: skip


def routes(settings: Settings | None = None) -> list[BaseRoute]:
    """The routes of one city; without `settings` they are read from `CITYMAP_*`.

    With `settings.root_path` every route stands below that prefix.
    """
    settings = settings or Settings()
    if settings.city is not None:
        city_messages.use(Workspace(settings.city))
        place.use(Workspace(settings.city), settings.store)
        bucket.use(Workspace(settings.city), bucket.named(settings))
    api = Api(settings)
    people = People(settings)

    async def to_map(request: Request) -> RedirectResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{settings.root_path.rstrip('/')}/map/{query}", status_code=308)

    async def wording(_: Request) -> JSONResponse:
        return JSONResponse(own_wording("map"), headers={"cache-control": "no-cache"})

    listed: list[BaseRoute] = [
        *open_to_all(Route("/map", to_map), Route("/api/messages.json", wording)),
        *open_to_all(*(Mount(prefix, app=door) for prefix, door in doors(settings).items())),
        *api.routes(),
        *Ogc(settings).routes(),
        *Processes(people).routes(),
        *Ngsi(settings).routes(),
        *Overlays(settings).routes(),
        *EvacuationDoor(settings).routes(),
        *FloodPlay(settings).routes(),
        *PlaceDoor(people).routes(),
        *Paper(people).routes(),
        *Reports(people).routes(),
        *Feeds(people).routes(),
        *Open311(people).routes(),
        *Auth(people).routes(),
        *metrics.routes(settings, people),
    ]
    guarded(listed, people)
    prefix = settings.root_path.rstrip("/")
    return [_below(prefix, route) for route in listed] if prefix else listed


def _below(prefix: str, route: BaseRoute) -> BaseRoute:
    """The route under a prefix; one by one, for a mount would hide Streamlit's below the same."""
    if isinstance(route, Mount):
        return Mount(prefix + route.path, app=route.app)
    if isinstance(route, Route):
        below = Route(prefix + route.path, route.endpoint, methods=sorted(route.methods or ()))
        below.app = route.app  # with its guard
        return below
    raise TypeError(f"{type(route).__name__} under a prefix")
