"""Hears the live feeds of MQTT brokers, a thread for each beside the poller; one worker holds a feed."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError, CitymapError
from citymap.layers.remote import Allowed, address
from citymap.live import feed_state, feeds, levels, stations
from citymap.settings import Settings
from citymap.store import StoreError
from citymap.store.tables import now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from paho.mqtt.client import Client

    from citymap.live.feeds import Feed
    from citymap.store import Store
    from citymap.workspace import Workspace

KEEPALIVE_S = 30
ANSWER_S = 15.0  # a broker that takes the connection and says nothing is given up
HOLD_S = feed_state.LEASE / timedelta(seconds=4)
TURN_S = 0.25
AT_ONCE = 500  # messages stored together
GATHER_S = 1.0  # and at the latest after this
SLACK_BYTES = 128 << 10  # topic and properties beside the payload
_LOG = logging.getLogger(__name__)

Message = tuple[str, bytes, datetime | None]


class Subscriptions:
    """The brokers that this process hears, each in a thread of its own."""

    def __init__(self, store: Store, workspace: Workspace) -> None:
        self._store, self._workspace = store, workspace
        self._running: dict[str, tuple[Feed, threading.Thread, threading.Event]] = {}

    def tend(self, listed: Iterable[Feed]) -> None:
        """Begin with the feeds whose turn it is; end those that are gone or were changed.

        Raises:
            StoreError: the store cannot be asked.
        """
        wanted = {f.id: f for f in listed if f.kind == "mqtt"}
        for name, (feed, thread, stop) in list(self._running.items()):
            if not thread.is_alive():
                del self._running[name]
            elif wanted.get(name) != feed:
                stop.set()
        for name, feed in wanted.items():
            at = now()
            if name in self._running or not feed_state.claim(self._store, feed, at=at):
                continue
            stop = threading.Event()
            thread = threading.Thread(
                target=listen, name=f"feed {name}", daemon=True,
                args=(self._store, self._workspace, feed, at + feed_state.LEASE, stop),
            )  # fmt: skip
            self._running[name] = (feed, thread, stop)
            thread.start()

    def close(self) -> None:
        """End all and leave the feeds to other workers."""
        for _, _, stop in self._running.values():
            stop.set()
        for _, thread, _ in self._running.values():
            thread.join(10)


def listen(
    store: Store, workspace: Workspace, feed: Feed, mine: datetime, stop: threading.Event
) -> None:
    """Hear one claimed feed until `stop`, until another worker has it, or until it fails.

    A failure is entered with a longer and longer wait; whoever claims the feed after it, goes on.
    """
    try:
        _Hearing(store, workspace, feed, mine).run(stop)
    except StoreError:
        pass  # the claim runs out by itself
    except Exception as error:
        if not isinstance(error, CitymapError):
            _LOG.exception("feed %s", feed.id)
            error = BadInputError("live_mqtt_lost", place=feed.host, reason=type(error).__name__)
        with contextlib.suppress(StoreError):
            feed_state.failed(store, feed, error)


class _Hearing:
    """One connection to a broker, from the log-in to its end."""

    def __init__(self, store: Store, workspace: Workspace, feed: Feed, mine: datetime) -> None:
        self._store, self._workspace, self._feed = store, workspace, feed
        self._mine: datetime | None = mine
        self._waiting: list[Message] = []
        self._refused = ""
        self._ready = False

    def run(self, stop: threading.Event) -> None:
        settings = Settings(city=self._workspace.root)
        client, limit = _client(self._feed, Allowed(settings.remote_hosts, settings.remote_private))
        user, _, password = dict(settings.mqtt_logins).get(self._feed.id, "").partition(":")
        if user:
            client.username_pw_set(user, password or None)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        try:
            self._connect(client)
            self._turns(client, limit, stop)
        finally:
            client.disconnect()
            client.loop(0.0)

    def _connect(self, client: Client) -> None:
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415  (an extra)
        from paho.mqtt.properties import Properties  # noqa: PLC0415

        feed = self._feed
        port = feed.port or (8883 if feed.tls else 1883)
        said: Any = {}
        if feed.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)
            properties.MaximumPacketSize = feeds.MAX_MESSAGE_BYTES + SLACK_BYTES
            said = {"clean_start": True, "properties": properties}
        try:
            client.connect(feed.host, port, keepalive=KEEPALIVE_S, **said)
        except (OSError, ValueError) as e:
            raise BadInputError("live_mqtt_lost", place=feed.host, reason=e) from e

    def _turns(self, client: Client, limit: list[int], stop: threading.Event) -> None:
        begun = held = flushed = time.monotonic()
        while not stop.is_set() and self._mine is not None:
            before = len(self._waiting)
            code = client.loop(TURN_S)
            at = time.monotonic()
            if self._refused:
                raise BadInputError(
                    "live_mqtt_refused", place=self._feed.host, reason=self._refused
                )
            quiet = len(self._waiting) == before
            if self._waiting and (
                code or quiet or before >= AT_ONCE or at - flushed > GATHER_S
            ):  # fmt: skip
                batch, self._waiting = self._waiting, []
                self._keep(batch)
                held = flushed = at
            elif not self._waiting:
                flushed = at
            if limit:
                raise BadInputError(
                    "live_too_large", place=self._feed.id, mb=feeds.MAX_MESSAGE_BYTES >> 20
                )
            if code:
                raise BadInputError("live_mqtt_lost", place=self._feed.host, reason=code.name)
            if not self._ready and at - begun > ANSWER_S:
                raise BadInputError("remote_slow", place=self._feed.host)
            if self._mine is not None and at - held > HOLD_S:  # it has lasted: no failure any more
                self._hold(checked_at=now(), failures=0)
                held = at
        if self._waiting and self._mine is not None:
            self._keep(self._waiting)
        if self._mine is not None:
            feed_state.hold(self._store, self._feed, self._mine, until=now())

    def _hold(self, **values: Any) -> None:
        if self._mine is not None:
            self._mine = feed_state.hold(self._store, self._feed, self._mine, **values)

    def _on_connect(self, client: Client, _data: object, _flags: object, code: Any, _p: object) -> None:  # fmt: skip
        if code.is_failure:
            self._refused = str(code)
        else:
            client.subscribe([(topic, 1) for topic in self._feed.topics])

    def _on_subscribe(self, _client: Client, _data: object, _mid: int, codes: Any, _p: object) -> None:  # fmt: skip
        bad = [str(code) for code in codes if code.is_failure]
        if bad:
            self._refused = bad[0]
            return
        self._ready = True
        self._hold(checked_at=now(), error=None)

    def _on_message(self, _client: Client, _data: object, message: Any) -> None:
        arrived = None if message.retain else datetime.now(UTC)
        self._waiting.append((message.topic, message.payload, arrived))

    def _keep(self, batch: list[Message]) -> None:
        """Store what the messages say, as of any other feed, and enter how it went."""
        known = stations.stations(self._workspace)
        if not known:
            raise BadInputError(
                "live_no_stations", place=str(stations.path(self._workspace))
            )  # fmt: skip
        found: list[levels.Reading] = []
        error: CitymapError | None = None
        bad: dict[str, int] = {}
        for topic, body, arrived in batch:
            try:
                found += feeds.of_message(self._feed, topic, body, arrived)
            except BadInputError as e:
                error = e
                why = "retained" if e.key == "live_retained" else "unreadable"
                bad[why] = bad.get(why, 0) + 1
            except Exception as e:  # one message must not cost the others
                _LOG.exception("feed %s", self._feed.id)
                error = BadInputError(
                    "live_no_table", place=f"{self._feed.id} ({type(e).__name__})"
                )
                bad["unreadable"] = bad.get("unreadable", 0) + 1
        taken, refused = levels.record(self._store, found, known, feed=self._feed.id)
        understood = len(found) - sum(refused.values())
        refused = {**refused, **bad}
        if not understood and error is None:
            error = BadInputError(
                "live_all_refused", place=self._feed.id,
                reasons=", ".join(f"{k} {n}" for k, n in sorted(refused.items())),
            )  # fmt: skip
        values: dict[str, Any] = {"failures": 0, "ok_at": now()} if understood else {}
        self._hold(
            checked_at=now(), taken=taken, refused=refused,
            error=None if error is None else feed_state.complaint(error), **values,
        )  # fmt: skip


def _client(feed: Feed, allowed: Allowed) -> tuple[Client, list[int]]:
    """A client that connects to the checked address only, and a list that names a packet too large.

    Raises:
        BadInputError: the library is not installed.
    """
    try:
        from paho.mqtt import client as mqtt  # noqa: PLC0415  (an extra)
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415
    except ImportError as e:
        raise BadInputError("live_no_mqtt", place=feed.id) from e
    limit = feeds.MAX_MESSAGE_BYTES + SLACK_BYTES
    too_large: list[int] = []

    class Guarded(mqtt.Client):
        """Looks the name up once and goes to that very address; takes no packet beyond the limit."""

        def _create_socket_connection(self) -> socket.socket:
            where = address(self.host, self.port, allowed)
            plain = socket.create_connection((where, self.port), self.connect_timeout)
            if not feed.tls:
                return plain
            # It closes the connection where the certificate is not to be believed.
            return ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)

        def _sock_recv(self, bufsize: int) -> bytes:
            if bufsize > limit:  # what is left of the packet; nothing of it was read yet
                too_large.append(bufsize)
                raise ConnectionError
            return super()._sock_recv(bufsize)

    version = mqtt.MQTTv5 if feed.protocol == "5" else mqtt.MQTTv311
    client = Guarded(
        CallbackAPIVersion.VERSION2,
        client_id=f"citymap-{feed.id}-{secrets.token_hex(4)}",
        protocol=version,
        clean_session=None if feed.protocol == "5" else True,
    )
    client.connect_timeout = 8.0
    return client, too_large
