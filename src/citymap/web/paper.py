"""`/paper`: the printed A3 maps of the districts, for staff to print from the browser."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from anyio.to_thread import run_sync
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Mount, Route

from citymap.assess import place as my_place
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.live import orders
from citymap.share import area_map
from citymap.share.doors import Door, declare
from citymap.share.paper import sheet
from citymap.store.accounts import Role
from citymap.web.access import needs, open_to_all
from citymap.web.answers import language
from citymap.web.api import speaking
from citymap.web.file_door import ByteCache, FileDoor
from citymap.workspace import Workspace, city_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from citymap.share.paper.sheet import District
    from citymap.web.identity import People

STATIC = Path(__file__).parent / "static" / "paper"
KEPT = 64  # sheets
FRESH = {"cache-control": "no-store"}  # a drill begins and ends at any moment
KINDS = ("districts", "shelters", "roads", "base_map", "buildings", "hazard")

declare(
    Door("/paper", nothing="a list of the districts' names for staff"),
    Door("/paper/files/", nothing="style and script of the sheets, the same for every city"),
    Door("/paper/all", kinds=KINDS, emit=sheet.emitted),
    Door("/paper/districts/{district}", kinds=KINDS, emit=sheet.emitted),
)


class Paper:
    """Draws the sheets one after another and keeps the last ones until the tables change."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._lock = Lock()
        self._kept: OrderedDict[tuple[object, ...], str] = OrderedDict()
        self._files = FileDoor(STATIC, cache=ByteCache(), is_immutable=lambda _: False)

    def routes(self) -> list[BaseRoute]:
        """Drawing costs seconds: sheets are for staff, who give them out on paper."""
        return [
            *open_to_all(Mount("/paper/files", app=self._files)),
            *needs(
                Role.STAFF,
                Route("/paper", speaking(self.index)),
                Route("/paper/all", speaking(self.all)),
                Route("/paper/districts/{district}", speaking(self.one)),
            ),
        ]

    def _workspace(self) -> Workspace:
        return city_at(self._people.settings.city)

    @property
    def _root(self) -> str:
        return self._people.settings.root_path.rstrip("/") + "/"

    def _links(self, lang: str, hazard: str | None) -> sheet.Links:
        root = self._root
        query = "?" + urlencode({"lang": lang, **({"hazard": hazard} if hazard else {})})
        query = query.replace("&", "&amp;")
        return sheet.Links(
            files=f"{root}paper/files/",
            district=lambda i: f"{root}paper/districts/{quote(i, safe='')}{query}",
            hazard=lambda h: f"{root}paper?lang={lang}&amp;hazard={quote(h, safe='')}",
            language=lambda other: f"{root}paper?lang={other}",
            all=f"{root}paper/all{query}",
        )

    async def index(self, request: Request) -> Response:
        """`GET /paper[?hazard=]`: the list of districts."""
        lang = language(request)

        def made() -> str:
            workspace = self._workspace()
            hazard = sheet.chosen_hazard(workspace, request.query_params.get("hazard"))
            return sheet.index(workspace, lang=lang, hazard=hazard, links=self._links(lang, hazard))

        return HTMLResponse(await run_sync(made), headers=FRESH)

    async def one(self, request: Request) -> Response:
        """`GET /paper/districts/{district}[?hazard=&lang=]`: one sheet."""
        wanted = request.path_params["district"]
        lang = language(request)

        def made() -> str:
            workspace = self._workspace()
            known = {d.id: d for d in sheet.districts(workspace)}
            if wanted not in known:
                raise BadInputError("paper_district", place=wanted[:60])
            hazard = sheet.chosen_hazard(workspace, request.query_params.get("hazard"))
            section = self._sheet(workspace, known[wanted], hazard, lang=lang, drill=self._drill())
            return "".join(self._page([section], known[wanted].name, lang))

        return HTMLResponse(await run_sync(made), headers=FRESH)

    async def all(self, request: Request) -> Response:
        """`GET /paper/all[?hazard=&lang=]`: every district in one document, sent as it is drawn."""
        lang = language(request)

        def prepared() -> Iterator[str]:
            workspace = self._workspace()
            hazard = sheet.chosen_hazard(workspace, request.query_params.get("hazard"))
            drill = self._drill()
            sections = (
                self._sheet(workspace, d, hazard, lang=lang, drill=drill)
                for d in sheet.districts(workspace)
            )
            return self._page(sections, workspace.city().name, lang)

        pieces = await run_sync(prepared)
        return StreamingResponse(pieces, media_type="text/html; charset=utf-8", headers=FRESH)

    def _page(self, sections: Iterator[str] | list[str], name: str, lang: str) -> Iterator[str]:
        url = self._people.settings.public_url
        title = f"{name} - {t('paper.index', lang)}"
        root = self._root
        return sheet.page(
            sections, title=title, lang=lang, url=url, root=root,
            files=f"{root}paper/files/", back=f"{root}paper",
        )  # fmt: skip

    def _drill(self) -> bool:
        """Whether a drill is on; paper without the mark in a drill would be worse than none, so an
        unreadable store is an error."""
        return orders.current(self._people.store()).mode == "drill"

    def _sheet(
        self, workspace: Workspace, district: District, hazard: str | None, *, lang: str, drill: bool
    ) -> str:  # fmt: skip
        stamps = (my_place.stamp(workspace), area_map.stamps(workspace))
        key = (district.id, hazard, lang, drill, stamps)
        with self._lock:
            made = self._kept.get(key)
            if made is None:
                made = sheet.sheet(workspace, district, hazard, lang=lang, drill=drill)
                self._kept[key] = made
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return made
