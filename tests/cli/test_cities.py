"""Several cities behind one front: apart in everything, each started again by itself, all stopped together."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import pyarrow as pa
import pyarrow.parquet as pq

import small_city
from citymap.cli import cities_served, desktop
from citymap.errors import BadInputError
from citymap.layers import snapshots
from citymap.layers.remote import Allowed
from citymap.model.columns import BUILDINGS
from citymap.operations import cities, city_layers
from citymap.store import accounts, open_store
from citymap.store.accounts import Role
from citymap.workspace import Workspace, write_table

PASSWORD = "correct-horse-battery-9"  # noqa: S105
STATIC = Path(cities_served.__file__).parents[1] / "web" / "static" / "index.html"
pytestmark = pytest.mark.skipif(not STATIC.is_file(), reason="the renderer is not built")


@dataclass
class Region:
    file: Path
    port: int
    staff_port: int
    said: list[str] = field(default_factory=list)

    def ask(
        self, path: str, *, staff: bool = False, method: str = "GET", body: bytes | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        port = self.staff_port if staff else self.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        connection.request(method, path, body, {"Origin": f"http://127.0.0.1:{port}", **named})
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def pids(self, prefix: str) -> list[int]:
        """The city's supervisor process."""
        out = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.file).encode() in words and prefix.encode() in words:
                out.append(int(folder.name))
        return out

    def wait_for(
        self, path: str, status: int, *, staff: bool = False, within_s: float = 90
    ) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            try:
                if self.ask(path, staff=staff)[0] == status:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"{path} does not answer {status}: {self.said}")


def rename_buildings(city: Workspace, name: str) -> None:
    """Give every building of a city an id and a name that only this city has."""
    table = pq.read_table(city.buildings)
    for column in ("gml_id", "building_id", "address"):
        values = [f"{name}-{i}" for i in range(table.num_rows)]
        at = table.column_names.index(column)
        table = table.set_column(at, column, pa.array(values))
    write_table(city.buildings, table, BUILDINGS)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """Two cities served, with an account of the same name and password in each."""
    root = tmp_path_factory.mktemp("region")
    file = root / "cities.toml"
    port, staff_port = desktop.free_ports()
    first = desktop.free_ports()[0]
    cities.init(
        file, title="圏域", host="127.0.0.1", port=port, staff_port=staff_port, first_port=first
    )
    for name in ("sano", "oyama"):
        city = small_city.make(root / name, 3)
        rename_buildings(city, f"himitsu{name}")
        store = open_store(city)
        accounts.add(store, "yamada", Role.PLANNER, password=PASSWORD, by="test")
        store.close()
        cities.add(file, name, city.root)
    city_layers.subscribe(cities.read(file), "oyama", "sano", "buildings", allow_it=True)
    stop, ready = threading.Event(), threading.Event()
    found = Region(file, port, staff_port)
    thread = threading.Thread(
        target=cities_served.serve,
        args=(file,),
        kwargs={"stop": stop, "when_ready": ready.set, "say": found.said.append},
    )
    thread.start()
    try:
        assert ready.wait(120)
        for name in ("sano", "oyama"):
            found.wait_for(f"/{name}/healthz", 200)
            found.wait_for(f"/{name}/healthz", 200, staff=True)
        yield found
    finally:
        pids = [p for name in ("sano", "oyama") for p in found.pids(name)]
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
        assert pids
        assert [p for name in ("sano", "oyama") for p in found.pids(name)] == []


def log_in(region: Region, prefix: str) -> str:
    body = urlencode({"name": "yamada", "password": PASSWORD, "next": f"/{prefix}/"}).encode()
    status, headers, _ = region.ask(
        f"/{prefix}/auth/login", staff=True, method="POST", body=body,
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert status in {302, 303}, status
    assert f"Path=/{prefix};" in headers["set-cookie"]
    return headers["set-cookie"].split(";")[0]


def test_the_front_page_and_both_cities_answer(region: Region) -> None:
    assert region.ask("/")[0] == 200
    assert region.ask("/", staff=True)[0] == 200
    for name in ("sano", "oyama"):
        assert region.ask(f"/{name}/")[0] == 200
        assert region.ask(f"/{name}/tiles/manifest.json")[0] == 200
    assert region.ask("/kiryu/")[0] == 404


def test_nothing_of_one_city_stands_under_the_prefix_of_the_other(region: Region) -> None:
    for mine, other in (("sano", "oyama"), ("oyama", "sano")):
        assert region.ask(f"/{mine}/api/buildings/himitsu{mine}-0")[0] == 200
        assert region.ask(f"/{mine}/api/buildings/himitsu{other}-0")[0] != 200
        for path in (
            f"/{mine}/api/search?q=himitsu{other}", f"/{mine}/ogc/collections/buildings/items?f=json",
            f"/{mine}/search.json", f"/{mine}/area.json", f"/{mine}/{other}/tiles/manifest.json",
            f"/{mine}/../{other}/api/buildings/himitsu{other}-0", f"/{mine}/%2e%2e/{other}/search.json",
            f"/{mine}//{other}/api/buildings/himitsu{other}-0",
        ):  # fmt: skip
            assert f"himitsu{other}".encode() not in region.ask(path)[2], path


def test_a_session_of_one_city_is_nobody_in_the_other(region: Region) -> None:
    cookie = log_in(region, "sano")
    inside = region.ask("/sano/", staff=True, cookie=cookie, accept="text/html")
    outside = region.ask("/oyama/", staff=True, cookie=cookie, accept="text/html")
    assert inside[0] == 200
    assert outside[0] in {302, 303, 307}
    assert "/oyama/auth/login" in outside[1]["location"]
    both = f"{log_in(region, 'oyama')}; {cookie}"
    assert both.count("citymap_session") == 2


def test_a_report_stays_in_its_city(region: Region) -> None:
    report = {
        "id": str(uuid.uuid4()), "category": "flooded_road", "lon": small_city.WEST + 0.001,
        "lat": small_city.SOUTH + 0.001, "accuracy_m": 5.0, "position_source": "gps",
        "observed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "text": "himitsu", "contact": "",
    }  # fmt: skip
    part = b'--x\r\nContent-Disposition: form-data; name="report"\r\nContent-Type: application/json\r\n\r\n'
    body = part + json.dumps(report).encode() + b"\r\n--x--\r\n"
    status, _, said = region.ask(
        "/sano/api/reports",
        method="POST",
        body=body,
        content_type="multipart/form-data; boundary=x",
    )
    assert status == 201, said
    from citymap.reports import desk

    counts = {}
    for name in ("sano", "oyama"):
        store = open_store(Workspace(region.file.parent / name))
        counts[name] = desk.count(store)
        store.close()
    assert counts == {"sano": 1, "oyama": 0}


def take_when_free(
    city: Workspace, watch: snapshots.Watch, allowed: Allowed, within_s: float = 60
) -> snapshots.State:
    """Take it; the region looks at its subscriptions itself, so it may be busy with this one."""
    until = time.monotonic() + within_s
    while True:
        try:
            return snapshots.take(city, watch, allowed)
        except BadInputError as error:
            if error.key != "city_busy" or time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_a_layer_comes_over_by_subscription_through_the_gate(region: Region) -> None:
    oyama = Workspace(region.file.parent / "oyama")
    settings = cities.settings_of(cities.find(cities.read(region.file), "oyama"))
    watch = snapshots.watch(oyama, "sano-buildings")
    taken = take_when_free(oyama, watch, Allowed(settings.remote_hosts, settings.remote_private))
    assert taken.error == ""
    assert taken.pending is not None
    assert taken.pending.added == 3
    snapshots.accept(oyama, watch)
    layer = snapshots.in_effect(oyama, "sano-buildings")
    assert layer is not None
    assert set(layer["building_id"]) == {f"himitsusano-{i}" for i in range(3)}
    closed = snapshots.take(oyama, watch, Allowed())  # without the setting nothing is asked
    assert closed.error


def test_a_city_that_dies_comes_back_and_the_other_does_not_notice(region: Region) -> None:
    (sano,), (oyama,) = region.pids("sano"), region.pids("oyama")
    os.kill(sano, signal.SIGKILL)
    region.wait_for("/sano/healthz", 503, within_s=20)
    assert region.ask("/oyama/healthz")[0] == 200
    assert "応答していません" in region.ask("/sano/")[2].decode()
    region.wait_for("/sano/healthz", 200)
    assert region.pids("sano") != [sano]
    assert region.pids("oyama") == [oyama]
    assert not any("oyama" in text and "秒後" in text for text in region.said)
