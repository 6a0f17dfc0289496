"""Every non-Streamlit route, built once from the settings and used by both processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from citymap.settings import Settings
from citymap.web.api import Api
from citymap.web.file_door import ByteCache, FileDoor

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

STATIC = Path(__file__).parent / "static"
_HASHED = re.compile(r"^(assets/.*|.*[-.][0-9A-Za-z_-]{8,}\.(js|css|woff2|wasm|png|svg))$")
_VERSIONED = re.compile(r"^[0-9A-Za-z_-]{4,64}/")
_TILE_SUFFIXES = frozenset({".mvt", ".png"})


def _tile_of_3d(path: str) -> str | None:
    """`/3dtiles/<v>/<rest>` lies in `tiles/<v>/3d/<rest>`."""
    version, _, rest = path.partition("/")
    return f"{version}/3d/{rest}" if rest else None


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
            sparse=_TILE_SUFFIXES,
        ),
        "/3dtiles": FileDoor(tiles, cache=cache, is_immutable=lambda _: True, locate=_tile_of_3d),
    }  # fmt: skip


def routes(settings: Settings | None = None) -> list[BaseRoute]:
    """The routes of one city; without `settings` they are read from `CITYMAP_*`.

    With `settings.root_path` every route stands below that prefix.
    """
    settings = settings or Settings()
    api = Api(settings)

    async def to_map(request: Request) -> RedirectResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{settings.root_path.rstrip('/')}/map/{query}", status_code=308)

    listed: list[BaseRoute] = [
        Route("/map", to_map),
        *(Mount(prefix, app=door) for prefix, door in doors(settings).items()),
        *api.routes(),
    ]
    prefix = settings.root_path.rstrip("/")
    return [Mount(prefix, routes=listed)] if prefix else listed
