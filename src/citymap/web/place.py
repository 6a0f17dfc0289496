"""`/api/place`, `/status.json` and `/search.json`: what the residents' page asks."""

from __future__ import annotations

import gzip
import hashlib
import logging
import math
import re
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from citymap.assess import leave_by as told
from citymap.assess import place as my_place
from citymap.assess.detour import closures_now
from citymap.assess.place import Places
from citymap.errors import BadInputError, CitymapError
from citymap.live import leave_by, openings, orders
from citymap.share import area_map, gate, live_record, residents, search_file, status, wifi_points
from citymap.share.doors import Door, Knock, declare
from citymap.web.access import open_to_all
from citymap.web.answers import answer
from citymap.web.api import speaking
from citymap.web.file_door import ByteCache, FileDoor, accepts_gzip, etag_matches
from citymap.workspace import Workspace, city_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.web.identity import People

STATIC = Path(__file__).parent / "static" / "home"
_HASHED = re.compile(r"^assets/")
_LOG = logging.getLogger(__name__)
KEPT = 4096  # answers
NO_STORE = {"cache-control": "no-cache", "access-control-allow-origin": "*"}


def _knocks(workspace: Workspace) -> list[Knock]:
    west, south, east, north = workspace.city().bbox or (139.8, 36.5, 139.8, 36.5)
    return [
        Knock(f"/api/place?lon={west + f * (east - west)}&lat={south + f * (north - south)}")
        for f in (0.001, 0.5)
    ]


declare(
    Door("/", nothing="the page of the residents, the same for every city"),
    Door("/home/", nothing="the page's own files, the same for every city"),
    Door("/sw.js", nothing="the page's own service worker"),
    Door("/site.json", nothing="the city's name and languages"),
    Door("/words/{lang}.json", nothing="the page's words"),
    Door("/shelters.json", kinds=("shelters",), knocks=lambda _: [Knock("/shelters.json")]),
    Door("/wifi.json", kinds=("wifi",), knocks=lambda _: [Knock("/wifi.json")]),
    Door("/api/place", kinds=("place",), knocks=_knocks),
    Door("/status.json", kinds=("status",), knocks=lambda _: [Knock("/status.json")]),
    Door("/search.json", kinds=("districts", "addresses", "shelters", "wifi", "aed"),
         knocks=lambda _: [Knock("/search.json")]),
    Door("/area.json", kinds=("districts", "roads", "base_map", "shelters"),
         knocks=lambda _: [Knock("/area.json")]),
)  # fmt: skip


class PlaceDoor:
    """Holds the city's tables while they stay the same, and the last answers."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._lock = Lock()
        self._stamp: tuple[int, ...] = ()
        self._places: Places | None = None
        self._kept: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()
        self._cold = True
        self._deadlines: told.Deadlines | None = None
        self._page = FileDoor(
            STATIC,
            cache=ByteCache(),
            is_immutable=lambda p: bool(_HASHED.match(p)),
            index="index.html",
        )
        self._files: dict[str, tuple[object, str, bytes, bytes]] = {}

    def routes(self) -> list[BaseRoute]:
        """The same for everybody."""
        return [
            *open_to_all(
                Route("/api/place", speaking(self.place)),
                Route("/status.json", speaking(self.status)),
                Route("/search.json", speaking(self.search)),
                Route("/area.json", speaking(self.area)),
                Route("/shelters.json", speaking(self.shelters)),
                Route("/wifi.json", speaking(self.wifi)),
                Route("/site.json", speaking(self.site)),
                Route("/words/{lang}.json", self.words),
                Route("/sw.js", self.worker),
                Mount("/home", app=self._page),
            )
        ]

    def _workspace(self) -> Workspace:
        return city_at(self._people.settings.city)

    def _ready(self) -> Places:
        workspace = self._workspace()
        now = my_place.stamp(workspace)
        with self._lock:
            if self._places is None or now != self._stamp:
                self._places, self._stamp = Places(workspace), now
                self._kept.clear()
            return self._places

    async def place(self, request: Request) -> Response:
        """`GET /api/place?lon=&lat=[&hazard=]`: the record of `citymap.assess.place`, with openings."""
        lon, lat = (_degrees(request.query_params.get(n)) for n in ("lon", "lat"))
        hazard = request.query_params.get("hazard") or None

        def found() -> dict[str, Any]:
            places = self._ready()
            known = places.asked(lon, lat)
            at = (known.row,) if known.row >= 0 else (-1, round(lon, 4), round(lat, 4))
            key = (
                *at,
                round(lon, 4),
                round(lat, 4),
                hazard,
                closures_now(self._workspace()),
            )
            with self._lock:
                record = self._kept.get(key)
            if record is None:
                record = {**places.answer(lon, lat, hazard=hazard), "hazards": places.hazards}
                with self._lock:
                    self._kept[key] = record
                    if len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
            said = self._openings()
            now = self._now(places.building_id(known.row), record)
            walks = _NO_WALK if now["no_walking"] else {}
            shelters = [
                {**s, **walks, "opening": said.get(s["place_id"], _UNKNOWN)}
                for s in record["shelters"]
            ]
            whole = {**record, **now, "shelters": shelters, **self._live(lon, lat)}
            return gate.release_one("place", whole, "public") or {}

        return _packed(answer(await run_sync(found)), request)

    def _now(self, building_id: str | None, record: dict[str, Any]) -> dict[str, Any]:
        """What the order and the release of 退避期限 say of a place now.

        Where the store cannot be asked nothing is told of either.
        """
        try:
            store = self._people.store()
            order, found = orders.current(store), leave_by.current(store)
        except CitymapError:
            return {"leave_by": None, "no_walking": False}
        found = told.in_force(found, order)
        block = None
        if found is not None:
            with self._lock:
                if self._deadlines is None or self._deadlines.release != found:
                    self._deadlines = told.deadlines(self._workspace(), found)
                known = self._deadlines
            block = told.as_of(known.of(building_id), order, datetime.now(UTC))
        district = record["district"]["id"] if record["district"] else None
        return {
            "leave_by": block,
            "no_walking": told.no_walking(block) or told.too_late(order, district),
        }

    def _openings(self) -> dict[str, dict[str, Any]]:
        """What staff said of the shelters; nothing where the store cannot be asked."""
        try:
            current = openings.current(self._people.store())
        except CitymapError:
            return {}
        return {
            i: {"state": o.state, "head_count": o.head_count, "at": o.at.isoformat()}
            for i, o in current.items()
        }

    def _live(self, lon: float, lat: float) -> dict[str, Any]:
        """The gauges nearby and the warnings; null (not known) where the store cannot be asked."""
        try:
            store, workspace = self._people.store(), self._workspace()
            water = live_record.water(store, workspace)
            return {
                "water": None if water is None else live_record.near(water, lon, lat),
                "warnings": live_record.warned(store, workspace),
            }
        except CitymapError:
            return {"water": None, "warnings": None}

    async def status(self, request: Request) -> Response:
        """`GET /status.json`: the order, openings and closures as they are in the store now."""
        del request

        def found() -> dict[str, Any]:
            return status.status(self._workspace(), self._people.store())

        return answer(await run_sync(found), headers=NO_STORE)

    async def search(self, request: Request) -> Response:
        """`GET /search.json`: everything that can be searched for offline."""
        workspace = self._workspace()
        files = (
            workspace.districts,
            workspace.addresses,
            *sorted(workspace.places.glob("*.parquet")),
        )
        return await self._file(
            request,
            "search",
            files,
            lambda: search_file.as_bytes(search_file.search_file(workspace)),
        )

    async def area(self, request: Request) -> Response:
        """`GET /area.json`: the small map of lines and names."""
        workspace = self._workspace()
        files = (workspace.roads, workspace.districts, *sorted(workspace.base.glob("*.parquet")))
        return await self._file(
            request, "area", files, lambda: search_file.as_bytes(area_map.area_map(workspace))
        )

    async def shelters(self, request: Request) -> Response:
        """`GET /shelters.json`: the names behind the ids of the status."""
        workspace = self._workspace()
        files = (workspace.places / "shelters.parquet",)
        return await self._file(
            request, "shelters", files, lambda: search_file.as_bytes(residents.shelters(workspace))
        )

    async def wifi(self, request: Request) -> Response:
        """`GET /wifi.json`: public Wi-Fi for the map."""
        workspace = self._workspace()
        files = (workspace.places / "wifi.parquet", workspace.places / "shelters.parquet")
        return await self._file(
            request, "wifi", files, lambda: search_file.as_bytes(wifi_points.wifi_points(workspace))
        )

    async def site(self, request: Request) -> Response:
        """`GET /site.json`: the city's name, its languages, and where answers come from.

        Who opens the page will ask: the tables are read and the kernels compiled meanwhile.
        """
        del request
        with self._lock:
            cold, self._cold = self._cold, False
        if cold:
            Thread(target=self._warm, daemon=True, name="place tables").start()
        return answer(await run_sync(lambda: residents.site(self._workspace())))

    def _warm(self) -> None:
        try:
            places = self._ready()
            west, south, east, north = self._workspace().city().bbox or (0.0, 0.0, 0.0, 0.0)
            places.answer((west + east) / 2, (south + north) / 2)
        except (CitymapError, OSError) as error:
            _LOG.info("the tables of places are not ready", extra={"reason": type(error).__name__})

    async def words(self, request: Request) -> Response:
        """`GET /words/{lang}.json`: the words of the page in one language."""
        city = self._people.settings.city
        lang = request.path_params["lang"]
        if lang not in residents.catalogues():
            return Response("not found", 404)
        workspace = Workspace(city) if city else None
        own = (workspace.root / residents.OWN / f"{lang}.toml",) if workspace else ()
        return await self._file(
            request,
            f"words {lang}",
            own,
            lambda: search_file.as_bytes(residents.words(workspace, lang)),
        )

    async def worker(self, request: Request) -> Response:
        """`GET /sw.js`: the page's service worker, which answers for the whole site."""
        del request
        path = STATIC / "sw.js"
        if not path.is_file():
            return Response("not found", 404)
        headers = {"cache-control": "no-cache"}
        return FileResponse(path, media_type="text/javascript; charset=utf-8", headers=headers)

    async def _file(
        self, request: Request, name: str, files: Iterable[Path], make: Callable[[], bytes]
    ) -> Response:
        """A file made from others, kept until they change."""
        now = tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in files)

        def made() -> tuple[str, bytes, bytes]:
            with self._lock:
                known = self._files.get(name)
                if known is None or known[0] != now:
                    body = make()
                    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                    known = self._files[name] = (now, etag, body, gzip.compress(body, 9, mtime=0))
                return known[1:]

        etag, plain, packed = await run_sync(made)
        headers = {"etag": etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if etag_matches(request.headers.get("if-none-match", "").encode("latin-1"), etag.encode()):
            return Response(status_code=304, headers=headers)
        zipped = accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1"))
        if zipped:
            headers["content-encoding"] = "gzip"
        return Response(packed if zipped else plain, media_type="application/json", headers=headers)


def front_html() -> str:
    """The page as it stands above its files."""
    path = STATIC / "index.html"
    return path.read_text(encoding="utf-8").replace('="./', '="./home/')


def front_page() -> Response:
    """The page; where the renderer was not built, the way to the map."""
    if not (STATIC / "index.html").is_file():
        return RedirectResponse("map/", 307)
    return Response(
        front_html(), media_type="text/html; charset=utf-8", headers={"cache-control": "no-cache"}
    )


_NO_WALK = {"route": None, "walk_m": None, "walk_min": None, "in_water_m": None, "no_route": "too_late", "detour": None}  # fmt: skip
_UNKNOWN = {"state": "unknown", "head_count": None, "at": None}


def _degrees(text: str | None) -> float:
    try:
        value = float((text or "")[:32])
    except ValueError:
        raise BadInputError("place_position") from None
    if not math.isfinite(value):
        raise BadInputError("place_position")
    return value


def _packed(said: Response, request: Request) -> Response:
    """An answer in gzip where that is accepted: a slow line is slower than packing."""
    if accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
        said.body = gzip.compress(said.body, 6, mtime=0)
        said.headers["content-encoding"] = "gzip"
        said.headers["content-length"] = str(len(said.body))
    said.headers["vary"] = "accept-encoding"
    return said
