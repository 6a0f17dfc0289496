"""`POST /api/reports`: a damage report from a phone, answered when everything is on the disk."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.routing import Route

from citymap.errors import BadInputError
from citymap.reports import incoming, photos, receive
from citymap.reports.categories import catalogue
from citymap.reports.model import MAX_PHOTOS, Receipt, ReportError, Sender
from citymap.share.doors import Door, declare
from citymap.store import StoreError
from citymap.store.accounts import Role
from citymap.store.tables import now
from citymap.web.access import needs, person
from citymap.web.answers import answer
from citymap.web.api import speaking
from citymap.web.rate import counters
from citymap.workspace import City, Workspace

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from citymap.web.identity import People

declare(
    Door("/api/reports", nothing="answers a sender with the id and time of that very report"),
)


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

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [*needs(Role.PUBLIC, Route("/api/reports", speaking(self.post), methods=["POST"]))]

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
            data, photos=hashes, catalogue=catalogue(workspace), bbox=city.bbox, at=at, clock=clock
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
