"""The processes of several cities: each city is started, watched and restarted by itself, behind one front."""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from citymap.cli.serve import READY_S, STOP_S, Served, _answers, _free_port, _kill_group
from citymap.cli.served import _end_with_parent
from citymap.errors import BadInputError, CitymapError
from citymap.i18n import t
from citymap.operations import cities as listed
from citymap.operations.cities import Cities, OneCity
from citymap.settings import PREFIX, TESTS
from citymap.web.front import Front, run
from citymap.web.region import Listed, Region
from citymap.workspace import Workspace

SLOWEST_S = 30.0  # between two attempts to start a city that keeps dying
CALM_S = 120.0  # after this long without a death its history is forgotten
LOOK_S = 300.0  # between two looks at the layers that cities take from each other
KEPT = {f"{PREFIX}LANG", f"{PREFIX}LOG_FORMAT"}  # what the cities may have of our environment


@dataclass(slots=True)
class _City:
    """One city's supervisor process, and when it may be started again."""

    one: OneCity
    served: Served
    deaths: int = 0
    started_at: float = 0.0
    again_at: float = 0.0
    look_at: float = 0.0
    looking: subprocess.Popen[bytes] | None = None
    said_ready: bool = field(default=False)


class _Process(Served):
    """`citymap serve` of one city, in a process of its own."""

    def start(self) -> None:
        """Start it (again); its standard input stays open as long as we live."""
        self.ask_to_stop()
        if self.process is not None:
            _kill_group(self.process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "citymap.cli.cities_served", *self.arguments],
            stdin=subprocess.PIPE, env=self.environment, start_new_session=os.name == "posix",
        )  # fmt: skip


def environment_of(one: OneCity) -> dict[str, str]:
    """The environment of a city's processes: no `CITYMAP_*` of ours, so that no store, file or secret
    of one place reaches all cities; its own settings stand in the `citymap.toml` of its folder."""
    plain = {
        k: v for k, v in os.environ.items()
        if not k.upper().startswith(PREFIX) or k.upper() in KEPT or k.upper().startswith(TESTS)
    }  # fmt: skip
    return {**plain, f"{PREFIX}CITY": str(one.folder), f"{PREFIX}ROOT_PATH": f"/{one.prefix}"}


def _process(path: Path, one: OneCity) -> _Process:
    url = f"http://127.0.0.1:{one.port}/{one.prefix}/"
    return _Process(one.prefix, [str(path), one.prefix], environment_of(one), url)


def check(cities: Cities) -> None:
    """What can be known to fail before anything is started.

    Raises:
        BadInputError: no city, two with one store, a folder without a city, or a port in use.
    """
    if not cities.city:
        raise BadInputError("no_cities")
    listed.check_stores(cities)
    _free_port(cities.host, cities.port, "port")
    _free_port(cities.host, cities.staff_port, "staff_port")
    for one in cities.city:
        Workspace(one.folder).city()


def fronts(cities: Cities) -> dict[int, Front]:
    """The public front and that of the staff pages, by port."""
    named = []
    for one in cities.city:
        city = Workspace(one.folder).city()
        named.append(Listed(one.prefix, city.name, city.name_en))
    public, staff = Region(cities.title, named), Region(cities.title, named, staff=True)
    return {
        cities.port: Front({c.prefix: c.port for c in cities.city}, public, public.away),
        cities.staff_port: Front({c.prefix: c.staff_port for c in cities.city}, staff, staff.away),
    }


def serve(
    path: Path, *, lang: str = "ja", stop: threading.Event | None = None,
    when_ready: Callable[[], None] | None = None, say: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Run all cities of `cities.toml` behind one front until `stop`.

    A city that dies is started again, the others are not touched; one that cannot be started is
    tried again ever more slowly, at most every `SLOWEST_S`.

    Raises:
        BadInputError: see `check`.
    """
    cities = listed.read(path)
    check(cities)
    tls = None
    if cities.tls_cert is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(cities.tls_cert, cities.tls_key)
    stopping = stop or threading.Event()
    running = [_City(one, _process(path, one)) for one in cities.city]
    scheme = "https" if tls is not None else "http"

    async def watch() -> None:
        for city in running:
            _start(city)
        say(t("cities.front_at", lang, url=f"{scheme}://{cities.host}:{cities.port}/",
              staff=f"{scheme}://{cities.host}:{cities.staff_port}/"))  # fmt: skip
        begun, told = time.monotonic(), False
        while not stopping.is_set():
            for city in running:
                await _look_after(city, lang, say)
                _take_layers(city)
            ready = all(c.said_ready for c in running) or time.monotonic() - begun > READY_S
            if not told and ready:
                told = True
                if when_ready is not None:
                    when_ready()
            await asyncio.sleep(0.3)

    try:
        asyncio.run(run(fronts(cities), cities.host, tls, watch))
    finally:
        for city in running:
            city.served.ask_to_stop()
            if city.looking is not None and city.looking.poll() is None:
                city.looking.terminate()
        until = time.monotonic() + 2 * STOP_S  # each stops its own processes first
        for city in running:
            city.served.wait_stopped(until)
            if city.looking is not None:
                try:
                    city.looking.wait(max(0.1, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    city.looking.kill()
                    city.looking.wait()
        say(t("cities.stopped", lang))


def _start(city: _City) -> None:
    city.served.start()
    city.started_at, city.said_ready = time.monotonic(), False


async def _look_after(city: _City, lang: str, say: Callable[[str], None]) -> None:
    now = time.monotonic()
    name = city.one.prefix
    if city.served.running():
        if not city.said_ready and await asyncio.to_thread(_answers, city.served.url + "healthz"):
            city.said_ready = True
            say(t("cities.ready", lang, name=name))
        if city.deaths and now - city.started_at > CALM_S:
            city.deaths = 0
        return
    if not city.again_at:
        city.deaths += 1
        wait_s = min(2.0 ** (city.deaths - 1), SLOWEST_S)
        city.again_at = now + wait_s
        say(t("cities.restarting", lang, name=name, seconds=round(wait_s)))
    elif now >= city.again_at:
        city.again_at = 0.0
        _start(city)


def _take_layers(city: _City) -> None:
    """From time to time let a city look at the layers it subscribes to (`citymap snapshot take`)."""
    now = time.monotonic()
    if not city.said_ready or now < city.look_at:
        return
    if city.looking is not None and city.looking.poll() is None:
        return
    city.look_at = now + LOOK_S
    if any((city.one.folder / "snapshots").glob("*.toml")):
        city.looking = subprocess.Popen(
            [sys.executable, "-c", "from citymap.cli import main; main()", "snapshot", "take"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment_of(city.one),
        )  # fmt: skip


def main() -> None:
    """One city of a `cities.toml`: `citymap serve` with its prefix and ports, until our parent ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("prefix")
    options = parser.parse_args()
    _end_with_parent()
    from citymap.cli.serve import serve as serve_one

    cities = listed.read(options.file)
    one = listed.find(cities, options.prefix)
    settings = listed.settings_of(one)
    try:
        serve_one(
            one.folder, port=one.port, staff_port=one.staff_port, workers=one.workers,
            trusted_proxy="127.0.0.1", root_path=f"/{one.prefix}", store=settings.store or None,
            job_workers=one.job_workers, lang=settings.lang,
            say=lambda text: print(f"[{one.prefix}] {text}", flush=True),
        )  # fmt: skip
    except CitymapError as error:
        sys.stderr.write(f"[{one.prefix}] {error.message(settings.lang)}\n")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
