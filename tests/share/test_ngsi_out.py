"""Brokers and subscribers: every change arrives at least once, whatever the other side does meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import small_city
from asgi_client import TestClient
from citymap.errors import BadInputError
from citymap.layers.remote import Allowed
from citymap.live import openings
from citymap.settings import Settings
from citymap.share.ngsi import broker, subscriptions
from citymap.store import engine, shared_store
from citymap.web.public import create_app
from citymap.workspace import Workspace

HERE = Allowed(("127.0.0.1",), private=True)
AT = datetime(2026, 9, 10, 3, 0, tzinfo=UTC)


class Listener:
    """A server that keeps what it was sent and answers as it was told (200 when told nothing)."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self.answers: list[int] = []
        self.url = ""


@contextmanager
def listening() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = heard.answers.pop(0) if heard.answers else 200
            if 200 <= status < 300:
                heard.got.append((self.path, body))
            self.send_response(status)
            self.send_header("content-length", "0")
            if status == 302:
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    heard.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as heard:
        yield heard


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Workspace]:
    workspace = small_city.make(tmp_path / "city")
    workspace.places.mkdir()
    keep(workspace, 3)
    openings.say(shared_store(workspace), "1", "open", head_count=1, by="ono")
    yield workspace
    if (
        used := engine._SHARED.pop(str(workspace.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


def keep(city: Workspace, count: int) -> None:
    """Shelters 1 to `count`."""
    rows = [{"place_id": str(i + 1), "kind": "evacuation_shelter", "name": f"避難所{i + 1}",
             "lon": small_city.WEST + 0.01 * i, "lat": small_city.SOUTH, "raw": "himitsu"} for i in range(count)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), city.places / "shelters.parquet")


def asked(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "Subscription", "entities": [{"type": "EvacuationShelter"}],
            "notification": {"endpoint": {"uri": url, "accept": "application/json"}}, **more}  # fmt: skip


def names(heard: Listener) -> list[list[str]]:
    return [[e["id"].rpartition(":")[2] for e in body["data"]] for _, body in heard.got]


def test_a_broker_gets_what_changed_and_forgets_what_is_gone(
    city: Workspace, listener: Listener
) -> None:
    assert broker.push(city, listener.url, HERE) == broker.Pushed(4, 0, 0)  # and the event
    ((path, body),) = listener.got
    assert path == "/ngsi-ld/v1/entityOperations/upsert"
    assert {e["type"] for e in body} == {"EvacuationShelter", "DisasterEvent"}
    assert all("@context" in e for e in body)
    assert "himitsu" not in json.dumps(body)
    assert broker.push(city, listener.url, HERE) == broker.Pushed(0, 0, 4)
    openings.say(shared_store(city), "2", "open", by="ono")
    keep(city, 2)
    assert broker.push(city, listener.url + "/ngsi-ld/v1/", HERE) == broker.Pushed(1, 1, 2)
    assert listener.got[-1][0] == "/ngsi-ld/v1/entityOperations/delete"
    assert listener.got[-1][1][0].endswith(":3")


def test_a_broker_that_stumbles_is_asked_again_and_one_that_refuses_is_not(
    city: Workspace, listener: Listener
) -> None:
    waited: list[float] = []
    listener.answers = [503, 500]
    assert broker.push(city, listener.url, HERE, wait=waited.append).sent == 4
    assert waited == [1.0, 2.0]
    openings.say(shared_store(city), "1", "full", by="ono")
    listener.answers = [400]
    with pytest.raises(BadInputError) as caught:
        broker.push(city, listener.url, HERE, wait=waited.append)
    assert caught.value.key == "ngsi_not_taken"
    assert waited == [1.0, 2.0]
    assert broker.push(city, listener.url, HERE).sent == 1  # it was not forgotten


def test_nothing_goes_to_a_host_that_nobody_allowed(city: Workspace, listener: Listener) -> None:
    for allowed in (Allowed(), Allowed(("broker.example",), private=True), Allowed(("127.0.0.1",))):
        with pytest.raises(BadInputError) as caught:
            broker.push(city, listener.url, allowed)
        assert caught.value.key in {"remote_not_allowed", "remote_private"}
    assert listener.got == []


def test_a_redirection_is_not_followed(city: Workspace, listener: Listener) -> None:
    listener.answers = [302]
    with pytest.raises(BadInputError) as caught:
        broker.push(city, listener.url, HERE)
    assert caught.value.key == "ngsi_not_taken"


def test_a_subscriber_hears_of_changes_once(city: Workspace, listener: Listener) -> None:
    subscriptions.add(city, asked(listener.url + "/hook"), HERE, by="ono")
    assert [d.sent for d in subscriptions.deliver(city, HERE)] == [3]
    assert subscriptions.deliver(city, HERE) == []
    openings.say(shared_store(city), "2", "full", head_count=40, by="ono")
    assert [d.sent for d in subscriptions.deliver(city, HERE)] == [1]
    assert names(listener) == [["1", "2", "3"], ["2"]]
    path, body = listener.got[-1]
    assert path == "/hook"
    assert body["type"] == "Notification"
    assert body["data"][0]["openingStatus"]["value"] == "full"


def test_a_subscriber_that_is_down_gets_everything_later_and_holds_nobody_up(
    city: Workspace, listener: Listener
) -> None:
    subscriptions.add(
        city, asked("http://127.0.0.1:1/down", id="urn:ngsi-ld:Subscription:a"), HERE, by="ono"
    )
    subscriptions.add(city, asked(listener.url, id="urn:ngsi-ld:Subscription:b"), HERE, by="ono")
    first = {d.id[-1]: d for d in subscriptions.deliver(city, HERE, at=AT)}
    assert first["a"].error
    assert first["b"].sent == 3
    listener.answers = [500]
    openings.say(shared_store(city), "2", "open", by="ono")
    assert [d.error for d in subscriptions.deliver(city, HERE, at=AT + timedelta(seconds=1))] == [
        "HTTP 500"
    ]
    openings.say(shared_store(city), "3", "open", by="ono")
    # Too early for both: a waits for 5 s, b for 5 s from its own failure.
    assert subscriptions.deliver(city, HERE, at=AT + timedelta(seconds=4)) == []
    done = {d.id[-1]: d for d in subscriptions.deliver(city, HERE, at=AT + timedelta(seconds=8))}
    assert done["b"].sent == 2
    assert names(listener)[-1] == ["2", "3"]
    (down,) = (s for s in subscriptions.listed(city) if s["id"].endswith(":a"))
    assert down["status"] == "failed"
    assert down["timesFailed"] == 2
    assert not any(k.startswith("_") for k in down)


def test_a_subscription_may_choose_and_shape_what_it_hears(
    city: Workspace, listener: Listener
) -> None:
    one = asked(listener.url, q='openingStatus=="open"', watchedAttributes=["openingStatus"])
    one["notification"] |= {"attributes": ["openingStatus", "name"], "format": "keyValues"}
    subscriptions.add(city, one, HERE, by="ono")
    subscriptions.deliver(city, HERE)
    ((_, body),) = listener.got
    assert body["data"] == [{"id": body["data"][0]["id"], "type": "EvacuationShelter", "name": "避難所1",
                             "openingStatus": "open"}]  # fmt: skip
    openings.say(shared_store(city), "1", "open", head_count=99, by="ono")  # not watched
    assert subscriptions.deliver(city, HERE) == []
    openings.say(shared_store(city), "1", "closed", by="ono")  # no longer asked for
    assert subscriptions.deliver(city, HERE) == []
    openings.say(shared_store(city), "1", "open", by="ono")  # and again
    assert [d.sent for d in subscriptions.deliver(city, HERE)] == [1]


def test_expired_resting_and_removed_subscriptions_are_silent(
    city: Workspace, listener: Listener
) -> None:
    subscriptions.add(city, asked(listener.url, expiresAt="2026-09-10T02:00:00Z"), HERE, by="ono")
    subscriptions.add(city, asked(listener.url, isActive=False), HERE, by="ono")
    gone = subscriptions.add(city, asked(listener.url), HERE, by="ono")
    subscriptions.remove(city, gone)
    assert subscriptions.deliver(city, HERE, at=AT) == []
    assert listener.got == []


@pytest.mark.parametrize(
    "change",
    [{"type": "x"}, {"entities": []}, {"entities": [{"type": "Car"}]}, {"nobody": 1}, {"q": "a=="}, {"id": "x"},
     {"notification": {}}, {"geoQ": {"georel": "near"}}, {"expiresAt": "x"}, {"watchedAttributes": "a"},
     {"notification": {"endpoint": {"uri": "file:///etc/passwd"}}}, {"notification": {"endpoint": {"uri": "http://10.0.0.1/"}}},
     {"entities": [{"type": "EvacuationShelter", "idPattern": "["}]}, {"throttling": "x"}],
)  # fmt: skip
def test_what_is_no_subscription_is_refused(city: Workspace, change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        subscriptions.add(city, {**asked("http://127.0.0.1/x"), **change}, HERE, by="ono")
    assert subscriptions.listed(city) == []


def test_only_staff_subscribe(city: Workspace) -> None:
    from citymap.store import accounts, sessions
    from citymap.store.accounts import Role

    settings = Settings(
        city=city.root, remote_hosts=("127.0.0.1",), remote_private=True, single_user=False
    )
    client = TestClient(create_app(settings))
    url = "/ngsi-ld/v1/subscriptions"
    assert client.post(url, json=asked("http://127.0.0.1/x")).status_code == 401
    store = shared_store(city)
    accounts.add(store, "ono", Role.STAFF, "a long phrase of mine", by="test")
    with store.read() as connection:
        account = accounts.find(connection, "ono")
    assert account is not None
    client.cookies.set(sessions.COOKIE, sessions.start(store, account))
    same = {"sec-fetch-site": "same-origin"}
    made = client.post(url, json=asked("http://127.0.0.1/x"), headers=same)
    assert made.status_code == 201
    (one,) = client.get(url).json()
    assert made.headers["location"].endswith(one["id"])
    assert client.post(url, json=asked("http://evil.example/x"), headers=same).status_code == 403
    assert client.post(url, content=b"{", headers=same).status_code == 400
    assert client.delete(made.headers["location"], headers=same).status_code == 204
    assert client.delete(made.headers["location"], headers=same).status_code == 404
