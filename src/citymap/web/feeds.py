"""`/feeds/…`: confirmed reports and road closures for everybody, and the photos that staff released."""

from __future__ import annotations

import hashlib
import re
import time
from threading import Lock
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from citymap.errors import BadInputError, CitymapError
from citymap.reports import closures, desk, photos
from citymap.reports.desk import Filter
from citymap.reports.model import CONFIRMED, ReportError
from citymap.reports.place import store_of
from citymap.share.doors import Door, Knock, declare
from citymap.share.report_records import geojson, released, released_closures, rss
from citymap.store.accounts import Role
from citymap.store.tables import now
from citymap.web.access import needs
from citymap.web.answers import language
from citymap.web.api import speaking
from citymap.web.file_door import etag_matches
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.store import Store
    from citymap.web.identity import People

FRESH_S = 5.0  # how old an answer may be: a thousand readers ask the store once
_PHOTO = re.compile(r"[0-9a-f]{40}\.jpg")
_OPEN = {"access-control-allow-origin": "*", "cache-control": "public, max-age=30"}


def _photo_knocks(workspace: Workspace) -> list[Knock]:
    store = store_of(workspace)
    named = [] if store is None else [p.public_name for r in desk.listed(store) for p in r.photos]
    files = [p.name for p in (workspace.root / photos.FOLDER).rglob("*") if p.is_file()]
    return [Knock(f"/feeds/photos/{name}") for name in sorted({*named, *files, "a.jpg"} - {""})]


declare(
    Door("/feeds/reports.geojson", kinds=("reports",), knocks=lambda _: [
        Knock("/feeds/reports.geojson"), Knock("/feeds/reports.geojson?lang=en&limit=5")]),
    Door("/feeds/reports.rss", kinds=("reports",), knocks=lambda _: [Knock("/feeds/reports.rss")]),
    Door("/feeds/closures.geojson", kinds=("closures",),
         knocks=lambda _: [Knock("/feeds/closures.geojson")]),
    Door("/feeds/photos/{name}", kinds=("reports",), knocks=_photo_knocks),
)  # fmt: skip


class Feeds:
    """The feeds of one city."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._prefix = people.settings.root_path
        self._lock = Lock()
        self._kept: dict[tuple[str, ...], tuple[float, bytes]] = {}
        self._closures: tuple[int, str] | None = None

    def routes(self) -> list[BaseRoute]:
        """The routes under `/feeds`."""
        return [
            *needs(
                Role.PUBLIC,
                Route("/feeds/reports.geojson", speaking(self.reports)),
                Route("/feeds/reports.rss", speaking(self.rss)),
                Route("/feeds/closures.geojson", speaking(self.closures)),
                Route("/feeds/photos/{name}", speaking(self.photo)),
            )
        ]

    def _place(self) -> tuple[Store, Workspace]:
        if self._people.settings.city is None:
            raise BadInputError("no_city")
        workspace = Workspace(self._people.settings.city)
        workspace.city()
        return self._people.store(), workspace

    def _shared(self, key: tuple[str, ...], make: Callable[[Store, Workspace], bytes]) -> bytes:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or time.monotonic() - kept[0] > FRESH_S:
                if len(self._kept) > 200:
                    self._kept.clear()
                store, workspace = self._place()
                self._follow(store, workspace)
                kept = self._kept[key] = (time.monotonic(), make(store, workspace))
            return kept[1]

    def _follow(self, store: Store, workspace: Workspace) -> None:
        """Write the closures anew where a report changed and nobody has: a restored backup."""
        stamp = desk.stamp(store)
        if stamp != self._closures:
            try:
                closures.refresh(store, workspace)
            except (CitymapError, OSError):
                return  # the feed itself still answers; the next one tries again
            self._closures = stamp

    async def reports(self, request: Request) -> Response:
        """`GET /feeds/reports.geojson?category=&limit=&bbox=`: newest first."""
        wanted, box = _filter(request), _within(request)
        lang, limit = language(request), _limit(request)

        def make(store: Store, workspace: Workspace) -> bytes:
            shown = released(store, workspace, "public", wanted, lang=lang, limit=1000)
            if box is not None:
                west, south, east, north = box
                shown = [r for r in shown if r.get("lon") is not None
                         and west <= r["lon"] <= east and south <= r["lat"] <= north]  # fmt: skip
            return geojson(shown[:limit], now())

        key = ("geojson", lang, str(limit), *wanted.categories, repr(box))
        body = await run_sync(self._shared, key, make)
        return _answer(request, body, "application/geo+json")

    async def rss(self, request: Request) -> Response:
        """`GET /feeds/reports.rss`: the last hundred."""
        wanted, lang = _filter(request), language(request)
        link = f"{request.url.scheme}://{request.url.netloc}{self._prefix}/map/"

        def make(store: Store, workspace: Workspace) -> bytes:
            city = workspace.city()
            name = city.name_en if lang == "en" and city.name_en else city.name
            records = released(store, workspace, "public", wanted, lang=lang, limit=100)
            return rss(records, city=name, link=link, lang=lang, at=now())

        body = await run_sync(self._shared, ("rss", lang, link, *wanted.categories), make)
        return _answer(request, body, "application/rss+xml; charset=utf-8")

    async def closures(self, request: Request) -> Response:
        """`GET /feeds/closures.geojson`: what is closed now."""
        body = await run_sync(
            self._shared, ("closures",),
            lambda s, w: geojson(released_closures(s, w, "public"), now()),
        )  # fmt: skip
        return _answer(request, body, "application/geo+json")

    async def photo(self, request: Request) -> Response:
        """`GET /feeds/photos/{name}`: a released copy, as long as its report is public."""
        name = request.path_params["name"]

        def read() -> bytes:
            if not _PHOTO.fullmatch(name):
                raise ReportError("report_unknown")
            store, workspace = self._place()
            if desk.public_photo(store, name) is None:
                raise ReportError("report_unknown")
            try:
                return photos.public_path(workspace, name).read_bytes()
            except OSError as e:
                raise ReportError("photo_gone") from e

        body = await run_sync(read)
        headers = {**_OPEN, "cache-control": "public, max-age=60", "content-disposition": "inline"}
        return Response(body, media_type="image/jpeg", headers=headers)


def _answer(request: Request, body: bytes, media_type: str) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {**_OPEN, "etag": etag, "vary": "accept-language"}
    if etag_matches(request.headers.get("if-none-match", "").encode(), etag.encode()):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "")
    return (
        min(max(int(text), 1), 1000) if text.isascii() and text.isdigit() and len(text) < 6 else 500
    )


def _filter(request: Request) -> Filter:
    category = request.query_params.get("category", "")[:40]
    statuses = tuple(sorted(CONFIRMED))
    return Filter(statuses=statuses, categories=(category,) if category else ())


def _within(request: Request) -> tuple[float, float, float, float] | None:
    """`bbox=west,south,east,north`, asked of the blurred places: with the true ones, many small
    boxes would tell where a report is.

    Raises:
        ReportError: it is none.
    """
    text = request.query_params.get("bbox", "")
    if not text:
        return None
    try:
        west, south, east, north = (float(part) for part in text[:100].split(","))
    except ValueError as e:
        raise ReportError("report_field", field="bbox") from e
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ReportError("report_field", field="bbox")
    return west, south, east, north
