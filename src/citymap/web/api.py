"""The JSON doors: search, one building, the default view, health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow.parquet as pq
from anyio.to_thread import run_sync
from starlette.routing import Route

from citymap.assess.building_record import RecordReader
from citymap.assess.search import SearchIndex
from citymap.errors import CitymapError
from citymap.layers import default_view
from citymap.share import gate
from citymap.share.doors import Door, Knock, declare
from citymap.store.accounts import Role
from citymap.web.access import needs, open_to_all
from citymap.web.answers import answer, error_answer
from citymap.web.audience import audience
from citymap.workspace import Workspace, city_at

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from citymap.settings import Settings

MAX_RESULTS = 50
Endpoint = Callable[["Request"], Awaitable["Response"]]


def _building_knocks(workspace: Workspace) -> list[Knock]:
    table = pq.read_table(workspace.buildings, columns=["gml_id"])
    return [Knock(f"/api/buildings/{quote(i)}") for i in table["gml_id"].to_pylist()[:50]]


declare(
    Door("/api/search", kinds=("search_hits",),
         knocks=lambda _: [Knock(f"/api/search?limit=50&q={quote(q)}") for q in "本市緑川bldg町09aeo-1"]),
    Door("/api/buildings/{gml_id}", kinds=("buildings",), knocks=_building_knocks),
    Door("/api/view.json", kinds=("layers",), knocks=lambda _: [Knock("/api/view.json")]),
    Door("/healthz", nothing="says that the process lives, its version, and whether there is a city"),
)  # fmt: skip


def speaking(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose `CitymapError` becomes its answer."""

    @wraps(endpoint)
    async def spoken(request: Request) -> Response:
        try:
            return await endpoint(request)
        except CitymapError as error:
            return error_answer(error, request)

    return spoken


class Api:
    """Holds what is prepared lazily: search index and record reader of the current tables."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._stamp: tuple[int, ...] = ()
        self._index: SearchIndex | None = None
        self._reader: RecordReader | None = None

    def routes(self) -> list[BaseRoute]:
        """The routes under `/api` and `/healthz`."""
        return [
            *needs(
                Role.PUBLIC,
                Route("/api/search", speaking(self.search)),
                Route("/api/buildings/{gml_id:path}", speaking(self.building)),
                Route("/api/view.json", speaking(self.view)),
            ),
            *open_to_all(Route("/healthz", self.health)),
        ]

    def workspace(self) -> Workspace:
        """The city, which may be imported while we run.

        Raises:
            BadInputError: no city is named, or the folder holds none yet.
        """
        return city_at(self._settings.city)

    def _prepared(self) -> tuple[SearchIndex, RecordReader]:
        """Index and reader, made again when a table was replaced. Runs in a worker thread."""
        workspace = self.workspace()
        stamp = tuple(
            path.stat().st_mtime_ns if path.exists() else 0
            for path in (workspace.buildings, workspace.districts, workspace.addresses,
                         workspace.building_attributes, workspace.places)
        )  # fmt: skip
        with self._lock:
            if self._index is None or self._reader is None or stamp != self._stamp:
                self._index = SearchIndex.of(workspace, place_tables=gate.place_tables("public"))
                self._reader = RecordReader(workspace)
                self._stamp = stamp
            return self._index, self._reader

    async def search(self, request: Request) -> Response:
        """`GET /api/search?q=&limit=`: `[{kind, label, lon, lat, gml_id}]`, best first."""
        query = request.query_params.get("q", "")[:200]
        text = request.query_params.get("limit", "10")
        limit = min(max(int(text), 1), MAX_RESULTS) if text.isascii() and text.isdigit() else 10

        def find() -> list[dict[str, object]]:
            hits = [hit.as_dict() for hit in self._prepared()[0].find(query, limit=limit)]
            return gate.release("search_hits", hits, audience(request))

        return answer(await run_sync(find))

    async def building(self, request: Request) -> Response:
        """`GET /api/buildings/{gml_id}`: the whole record."""
        gml_id = request.path_params["gml_id"]

        def read() -> dict[str, object] | None:
            return gate.release_one(
                "buildings", self._prepared()[1].read(gml_id), audience(request)
            )

        return answer(await run_sync(read))

    async def view(self, request: Request) -> Response:
        """`GET /api/view.json`: the default view as pydeck JSON."""

        def view() -> dict[str, object]:
            who = audience(request)
            spec = default_view(self.workspace(), audience=who)
            spec["metadata"] = {"layers": gate.release("layers", spec["metadata"]["layers"], who)}
            return spec

        return answer(await run_sync(view))

    async def health(self, request: Request) -> Response:
        """`GET /healthz`: alive, and whether there is a city with tiles."""
        del request
        city = self._settings.city
        workspace = Workspace(city) if city is not None else None
        found = workspace is not None and workspace.exists()
        tiled = workspace is not None and (workspace.tiles / "manifest.json").is_file()
        return answer(
            {"status": "ok", "version": version("citymap"), "city": found, "tiles": tiled}
        )
