"""What the processes did, as numbers without persons: counted by a middleware, read at `/metrics`."""

from __future__ import annotations

import logging
import shutil
import time
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from sqlalchemy import func, select
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from citymap.errors import CitymapError
from citymap.share.doors import Door, declare
from citymap.store.accounts import Role
from citymap.store.tables import JOBS
from citymap.web.access import needs
from citymap.web.file_door import route_path
from citymap.web.shared_rows import SharedRows, shared_file

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from citymap.settings import Settings
    from citymap.web.identity import People

declare(
    Door(
        "/metrics",
        nothing="counts of requests and jobs for allowed addresses; no thing of the city",
    )
)

AREAS = ("files", "api", "auth", "page")
_FIRST = {"map": "files", "tiles": "files", "3dtiles": "files", "overlays": "files", "static": "files", "api": "api",
          "ogc": "api", "open311": "api", "ngsi-ld": "api", "feeds": "api", "auth": "auth"}  # fmt: skip
CLASSES = ("2xx", "3xx", "4xx", "5xx")
BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5)
_A = len(CLASSES) + len(BOUNDS_S) + 3  # over the last bound, microseconds, sockets
WORDS = len(AREAS) * _A
SLOW_S = 2.0
LOG = logging.getLogger("citymap.request")


def rows(settings: Settings) -> SharedRows:
    """The counts of this city's processes."""
    return SharedRows(shared_file(settings, "metrics"), WORDS)


def area(path: str) -> str:
    """What kind of door a path belongs to; never the path itself, which may name a thing."""
    return _FIRST.get(path.split("/", 2)[1] if path.startswith("/") else "", "page")


class Measured:
    """Counts answers by area, class and time, and logs failures and slow ones without a person."""

    def __init__(self, app: ASGIApp, *, counts: SharedRows, root_path: str = "") -> None:
        self.app = app
        self.counts = counts
        self.prefix = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count when it is over."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        where = area(route_path(scope).removeprefix(self.prefix))
        base = self.counts.row * WORDS + AREAS.index(where) * _A
        words = self.counts.words
        if scope["type"] == "websocket":
            words[base + _A - 1] += 1
            try:
                await self.app(scope, receive, send)
            finally:
                words[base + _A - 1] -= 1
            return
        status, start = 500, time.perf_counter()

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watching)
        finally:
            spent = time.perf_counter() - start
            words[base + min(max(status // 100 - 2, 0), 3)] += 1
            bucket = next((i for i, bound in enumerate(BOUNDS_S) if spent <= bound), len(BOUNDS_S))
            words[base + len(CLASSES) + bucket] += 1
            words[base + _A - 2] += int(spent * 1e6)
            if status >= 500 or spent > SLOW_S:
                facts = {"area": where, "method": scope["method"], "status": status,
                         "ms": round(spent * 1000)}  # fmt: skip
                LOG.warning("request", extra={"facts": facts})


def allowed(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address may read the numbers."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in ip_network(text, strict=False) for text in networks)


def text(settings: Settings, counts: SharedRows, people: People) -> str:
    """The numbers in the text format of Prometheus."""
    lines = [
        "# HELP citymap_info The version that runs.", "# TYPE citymap_info gauge",
        f'citymap_info{{version="{version("citymap")}"}} 1',
        "# HELP citymap_requests_total Answers by kind of door and status.",
        "# TYPE citymap_requests_total counter",
    ]  # fmt: skip
    for n, name in enumerate(AREAS):
        for k, status in enumerate(CLASSES):
            value = counts.total(n * _A + k)
            lines.append(f'citymap_requests_total{{area="{name}",status="{status}"}} {value}')
    lines += ["# HELP citymap_request_seconds Time to the end of the answer.",
              "# TYPE citymap_request_seconds histogram"]  # fmt: skip
    for n, name in enumerate(AREAS):
        seen = 0
        for k, bound in enumerate((*map(str, BOUNDS_S), "+Inf")):
            seen += counts.total(n * _A + len(CLASSES) + k)
            lines.append(f'citymap_request_seconds_bucket{{area="{name}",le="{bound}"}} {seen}')
        spent = counts.total(n * _A + _A - 2) / 1e6
        lines.append(f'citymap_request_seconds_sum{{area="{name}"}} {spent:.6f}')
        lines.append(f'citymap_request_seconds_count{{area="{name}"}} {seen}')
    sockets = sum(counts.total(n * _A + _A - 1) for n in range(len(AREAS)))
    lines += ["# HELP citymap_sockets Open WebSockets.", "# TYPE citymap_sockets gauge",
              f"citymap_sockets {sockets}"]  # fmt: skip
    if settings.city is not None and settings.city.is_dir():
        free = shutil.disk_usage(settings.city).free
        lines += ["# HELP citymap_disk_free_bytes Free room on the disk of the city.",
                  "# TYPE citymap_disk_free_bytes gauge", f"citymap_disk_free_bytes {free}"]  # fmt: skip
    lines += _store_lines(people)
    return "\n".join(lines) + "\n"


def _store_lines(people: People) -> list[str]:
    jobs: dict[str, int] = {}
    try:
        query = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
        with people.store().read(patience_s=1.0) as connection:
            jobs = {str(row[0]): int(row[1]) for row in connection.execute(query)}
        up = 1
    except CitymapError:
        up = 0
    lines = ["# HELP citymap_store_up Whether the store answers.", "# TYPE citymap_store_up gauge",
             f"citymap_store_up {up}", "# HELP citymap_jobs Jobs by state.",
             "# TYPE citymap_jobs gauge"]  # fmt: skip
    return lines + [f'citymap_jobs{{state="{s}"}} {n}' for s, n in sorted(jobs.items())]


def routes(settings: Settings, people: People) -> list[BaseRoute]:
    """`/metrics`."""
    counts = rows(settings)

    async def metrics(request: Request) -> Response:
        address = request.client.host if request.client else ""
        if not allowed(address, settings.metrics_allow):
            return PlainTextResponse("not found", 404)
        body = await run_sync(lambda: text(settings, counts, people))
        return PlainTextResponse(
            body, media_type="text/plain; version=0.0.4", headers={"cache-control": "no-store"}
        )

    return [*needs(Role.PUBLIC, Route("/metrics", metrics))]
