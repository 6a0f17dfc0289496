"""A public process that is killed (-9) under load, and what its clients were told (a helper).

Run as a program it is the process that forks the servers: everything is imported once.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve()
EDGE = b"----citymap-edge"


def multipart(parts: Sequence[tuple[str, bytes, str | None]]) -> tuple[bytes, str]:
    """Parts (name, content, file name) as a body, and its content type."""
    out = []
    for name, content, filename in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        if filename is not None:
            head += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
        out += [b"--", EDGE, b"\r\n", head.encode(), b"\r\n\r\n", content, b"\r\n"]
    return b"".join(
        [*out, b"--", EDGE, b"--\r\n"]
    ), f"multipart/form-data; boundary={EDGE.decode()}"


@dataclass
class Device:
    """One phone with its queue: what is not acknowledged is sent again, byte for byte."""

    lon: float
    lat: float
    photo: bytes | None
    seed: int
    waiting: dict[str, bytes] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def new(self) -> str:
        report_id = str(uuid.uuid4())
        said = {"id": report_id, "category": "blocked_road", "lon": self.lon, "lat": self.lat,
                "text": f"{report_id} 通れません"}  # fmt: skip
        # Every photo is another, so that none hides behind the other's name.
        photo = None
        if self.photo is not None:
            photo = self.photo[:14] + os.urandom(4) + self.photo[18:]  # JFIF's density
        parts = [("report", json.dumps(said).encode(), None)]
        self.waiting[report_id] = multipart(
            [*parts, *([("photo", photo, "a.jpg")] if photo else [])]
        )[0]
        return report_id

    def send(self, connection: http.client.HTTPConnection, report_id: str) -> None:
        connection.request(
            "POST", "/api/reports", self.waiting[report_id],
            {"content-type": f"multipart/form-data; boundary={EDGE.decode()}"},
        )  # fmt: skip
        answer = connection.getresponse()
        body = answer.read()
        if answer.status in {200, 201} and json.loads(body)["id"] == report_id:
            self.acknowledged.add(report_id)
            del self.waiting[report_id]
        elif answer.status < 500:
            self.complaints.append(f"{answer.status} {body[:200]!r}")
            del self.waiting[report_id]

    def work(self, port: int, until: threading.Event) -> None:
        """Send until the server is gone; the queue first."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            for report_id in list(self.waiting):
                self.send(connection, report_id)
            while not until.is_set():
                self.send(connection, self.new())


class Zygote:
    """The process that forks the servers."""

    def __init__(self, city: Path, store: str, port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, str(HERE), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "CITYMAP_CITY": str(city), "CITYMAP_RATE_REPORTS_PER_MINUTE": "0",
                 **({"CITYMAP_STORE": store} if store else {})},
            text=True,
        )  # fmt: skip

    def start(self) -> int:
        """A server that answers; its process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("start\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        until = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return pid
            if time.monotonic() > until:
                raise TimeoutError("the server does not come up")
            time.sleep(0.02)

    def close(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait(30)
        self.process.stdout.close()  # type: ignore[union-attr]


@contextmanager
def zygote(city: Path, store: str = "") -> Iterator[Zygote]:
    """The forking process on a free port, gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = int(held.getsockname()[1])
    running = Zygote(city, store, port)
    try:
        yield running
    finally:
        running.close()


@dataclass
class Outcome:
    """What came of the rounds."""

    rounds: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    half_photos: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.lost or self.doubled or self.half_photos or self.complaints)


def rounds(city: Path, store: str, count: int, photo: bytes | None, *, devices: int = 4,
           lon: float, lat: float, seed: int = 1, patience_s: float = 0.25) -> Outcome:  # fmt: skip
    """Kill the server `count` times under load; then let the devices send what is left, and count."""
    chance = random.Random(seed)
    phones = [Device(lon, lat, photo if i % 2 else None, i) for i in range(devices)]
    with zygote(city, store) as forking:
        for _ in range(count):
            before = sum(len(p.acknowledged) for p in phones)
            pid = forking.start()
            stop = threading.Event()
            threads = [threading.Thread(target=p.work, args=(forking.port, stop)) for p in phones]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 30
            while sum(len(p.acknowledged) for p in phones) == before and time.monotonic() < until:
                time.sleep(0.002)  # it lives: at least one report is in
            time.sleep(chance.random() * patience_s)
            os.kill(pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
        pid = forking.start()
        stop = threading.Event()
        stop.set()
        for phone in phones:
            phone.work(forking.port, stop)
        os.kill(pid, signal.SIGKILL)
    return count_up(city, store, phones, count)


def count_up(city: Path, store: str, phones: Sequence[Device], done: int) -> Outcome:
    """Compare the store and the photos with what the devices were told."""
    from citymap.reports import desk, photos
    from citymap.store import open_store
    from citymap.workspace import Workspace

    workspace = Workspace(city)
    opened = open_store(store or workspace, check=True, patience_s=60)
    kept = desk.listed(opened, limit=10_000_000)
    opened.close()
    acknowledged = set().union(*(p.acknowledged for p in phones))
    waiting = set().union(*(p.waiting for p in phones))
    stored = {report.id for report in kept}
    # A photo that was sent is another each time, so `doubled` also counts one under two reports.
    names = [photo.sha256 for report in kept for photo in report.photos]
    half = 0
    for report in kept:
        with_photo = any(report.id in p.acknowledged for p in phones if p.photo is not None)
        half += with_photo != bool(report.photos)
        for photo in report.photos:
            half += photos.read(workspace, photo) is None
    for path in (city / "photos").glob("??/*"):
        half += hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
    return Outcome(
        done, len(acknowledged), len(kept), len(acknowledged - stored) + len(waiting),
        len(kept) - len(stored) + len(names) - len(set(names)), half,
        [c for p in phones for c in p.complaints],
    )  # fmt: skip


def serve(port: int) -> None:
    """Fork a server for each line that comes in; the forked ones are killed from outside."""
    import uvicorn

    from citymap.web import public

    children: list[int] = []
    for _ in sys.stdin:
        while children:  # the one before was killed
            os.waitpid(children.pop(), 0)
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            uvicorn.run(public.create_app(), host="127.0.0.1", port=port, log_level="error")
            os._exit(0)
        children.append(pid)
        print(pid, flush=True)
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
