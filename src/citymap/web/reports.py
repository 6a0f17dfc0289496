"""`/report` and `/api/reports`: the form for phones, and a report answered when it is on the disk."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from citymap.errors import BadInputError
from citymap.reports import incoming, photos, receive
from citymap.reports.categories import in_force
from citymap.reports.model import MAX_CONTACT, MAX_PHOTOS, MAX_TEXT, Receipt, ReportError, Sender
from citymap.share import area_map
from citymap.share.doors import Door, Knock, declare
from citymap.store import StoreError
from citymap.store.accounts import Role
from citymap.store.tables import now
from citymap.web.access import needs, open_to_all, person
from citymap.web.answers import answer
from citymap.web.api import speaking
from citymap.web.file_door import ByteCache, FileDoor, accepts_gzip, etag_matches
from citymap.web.rate import counters
from citymap.workspace import City, Workspace

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from citymap.web.identity import People

STATIC = Path(__file__).parent / "static" / "report"
SCOPE_HEADER = "service-worker-allowed"
IN_MEMORY = 2 << 20
_HASHED = re.compile(r"^assets/")
declare(
    Door("/api/reports", nothing="answers a sender with the id and time of that very report"),
    Door("/api/reports/form.json", kinds=("districts", "roads", "base_map", "shelters"),
         knocks=lambda _: [Knock("/api/reports/form.json")]),
    Door("/report", nothing="a redirect to /report/"),
    Door("/report/", nothing="the form's own files, the same for every city"),
    Door("/report/sw.js", nothing="the form's own service worker"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """The parts of one request."""

    report: bytes
    photos: tuple[bytes, ...]
    clock: str
    device: str


class Reports:
    """Takes reports in for one city."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._settings = people.settings
        self._counters = counters(people.settings)
        self._city: tuple[int, City] | None = None
        self._form: tuple[object, bytes, bytes] | None = None
        self._forming = Lock()
        self._files = FileDoor(
            STATIC, cache=ByteCache(), is_immutable=lambda p: bool(_HASHED.match(p)),
            index="index.html",
        )  # fmt: skip

    def routes(self) -> list[BaseRoute]:
        """The form's page, its data, and where it sends."""
        return [
            *needs(Role.PUBLIC, Route("/api/reports", speaking(self.post), methods=["POST"])),
            *open_to_all(
                Route("/api/reports/form.json", speaking(self.form)),
                Route("/report", self.to_page),
                Route("/report/sw.js", self.worker),
            ),
            *open_to_all(Mount("/report", app=self._files)),
        ]

    async def to_page(self, request: Request) -> Response:
        """`GET /report`: on to the page."""
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{self._settings.root_path}/report/{query}", status_code=308)

    async def worker(self, request: Request) -> Response:
        """`GET /report/sw.js`: the service worker, which may also answer for `/report` itself."""
        del request
        path = STATIC / "sw.js"
        if not path.is_file():
            return Response("not found", 404)
        headers = {"cache-control": "no-cache", SCOPE_HEADER: f"{self._settings.root_path}/report"}
        return FileResponse(path, media_type="text/javascript; charset=utf-8", headers=headers)

    async def form(self, request: Request) -> Response:
        """`GET /api/reports/form.json`: categories, limits and the small map, for keeping offline."""
        etag, zipped = await run_sync(self._prepared)
        headers = {"cache-control": "no-cache", "etag": etag.decode(), "vary": "accept-encoding"}
        if etag_matches(request.headers.get("if-none-match", "").encode(), etag):
            return Response(status_code=304, headers=headers)
        if accepts_gzip(request.headers.get("accept-encoding", "").encode()):
            headers["content-encoding"] = "gzip"
            return Response(zipped, media_type="application/json", headers=headers)
        return Response(gzip.decompress(zipped), media_type="application/json", headers=headers)

    def _prepared(self) -> tuple[bytes, bytes]:
        workspace, city = self.city()
        listed = in_force(workspace)
        stamp = (area_map.stamps(workspace), listed)
        with self._forming:
            if self._form is None or self._form[0] != stamp:
                said = {
                    "city": {"name": city.name, "name_en": city.name_en, "fictional": city.fictional},
                    "categories": [
                        {"code": c.code, "title": c.title.model_dump(), "icon": c.icon,
                         "depth": c.depth, "severity": c.severity}
                        for c in listed.category
                    ],
                    "limits": {"photos": MAX_PHOTOS, "text": MAX_TEXT, "contact": MAX_CONTACT,
                               "margin_deg": incoming.MARGIN_DEG},
                    "map": area_map.area_map(workspace),
                }  # fmt: skip
                body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
                etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'.encode()
                self._form = (stamp, etag, gzip.compress(body, 9, mtime=0))
            return self._form[1], self._form[2]

    def city(self) -> tuple[Workspace, City]:
        """The city, read again when its file changes.

        Raises:
            BadInputError: there is none.
        """
        if self._settings.city is None:
            raise BadInputError("no_city")
        workspace = Workspace(self._settings.city)
        try:
            stamp = workspace.city_toml.stat().st_mtime_ns
        except OSError as e:
            raise BadInputError("not_a_city", path=workspace.root) from e
        if self._city is None or self._city[0] != stamp:
            self._city = (stamp, workspace.city())
        return workspace, self._city[1]

    async def post(self, request: Request) -> Response:
        """201 new, 200 the same again; 413, 415, 422, 429 refused for good; 5xx: keep it, try again."""
        sent = await _parts(request)
        who = person(request)
        named = hashlib.sha256(sent.device.encode()).hexdigest()[:24] if sent.device else ""
        limit = self._settings.rate_reports_per_device
        if named and limit and self._counters.hit(f"device {named}") > limit:
            raise ReportError("report_too_many")
        sender = Sender(f"device:{named}" if named else "", Role.PUBLIC.value)
        if who is not None and who.session is not None:
            sender = Sender(who.name, who.role.value)
        receipt = await run_sync(self._keep, sent, sender)
        said = {
            "id": receipt.id, "number": receipt.number, "status": receipt.status,
            "received_at": receipt.received_at.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip
        headers = {"cache-control": "no-store"}
        return answer(said, status=201 if receipt.new else 200, headers=headers)

    def _keep(self, sent: Sent, sender: Sender) -> Receipt:
        try:
            return self._kept(sent, sender)
        except OSError as e:
            raise _disk(e) from e

    def _kept(self, sent: Sent, sender: Sender) -> Receipt:
        workspace, city = self.city()
        at = now()
        data = incoming.decoded(sent.report)
        clock = incoming.moment(sent.clock) if sent.clock else None
        hashes = [hashlib.sha256(body).hexdigest() for body in sent.photos]
        report = incoming.read(
            data, photos=hashes, catalogue=in_force(workspace), bbox=city.bbox, at=at, clock=clock
        )
        checked = [photos.check(body) for body in sent.photos]
        return receive.accept(
            self._people.store(), workspace, report, checked, sender=sender, at=at
        )


async def _parts(request: Request) -> Sent:
    """The parts of a multipart body.

    Raises:
        ReportError: it is none, or has too many parts.
        StoreError: the disk is full.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ReportError("report_not_multipart")
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=MAX_PHOTOS + 2, max_fields=6,
        max_part_size=incoming.MAX_JSON_BYTES,
    )  # fmt: skip
    parser.spool_max_size = (
        IN_MEMORY  # a photo as the form sends it touches the disk once: where it stays
    )
    try:
        form = await parser.parse()
        try:
            return await _read(form)
        finally:
            await form.close()
    except MultiPartException as e:
        if e.message.startswith("Too many files"):
            raise ReportError("report_photos", limit=MAX_PHOTOS) from e
        raise ReportError("report_unreadable") from e
    except OSError as e:
        raise _disk(e) from e


def _disk(error: OSError) -> StoreError:
    key = "store_full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "store_io"
    return StoreError(key, place="reports", reason=error.strerror)


async def _read(form: FormData) -> Sent:
    report = form.get("report")
    if isinstance(report, UploadFile):
        report = (await report.read(incoming.MAX_JSON_BYTES + 1)).decode("utf-8", "replace")
    if report is None:
        raise ReportError("report_unreadable")
    pictures: list[bytes] = []
    for part in form.getlist("photo"):
        if not isinstance(part, UploadFile):
            raise ReportError("report_unreadable")
        pictures.append(await part.read(photos.MAX_BYTES + 1))
    if len(pictures) > MAX_PHOTOS:
        raise ReportError("report_photos", limit=MAX_PHOTOS)
    return Sent(report.encode(), tuple(pictures), _short(form, "clock"), _short(form, "device"))


def _short(form: FormData, name: str) -> str:
    value = form.get(name)
    return value[:64] if isinstance(value, str) else ""
