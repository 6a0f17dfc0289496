"""MQTT: a real broker's words are kept as any feed's; its end, hostile payloads and old values do no harm."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from citymap.errors import BadInputError
from citymap.jobs import live_feeds, live_mqtt
from citymap.live import feed_state, feeds, levels, stations
from citymap.live.feeds import Columns, Feed
from citymap.live.stations import Station
from citymap.settings import Settings
from citymap.store import Store, open_store
from citymap.store.tables import now
from citymap.workspace import Workspace
from tests import small_city

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
broker_needed = pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto on this machine")
PATIENCE_S = 60.0  # a hang ends here; nothing is measured


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = small_city.make(tmp_path / "city")
    stations.add(made, [
        Station("1", "大橋", "川", "river", 139.6, 36.3, 2.0, 3.0, 4.0, 5.0),
        Station("2", "小橋", "川", "river", 139.6, 36.3, 2.0, 3.0, 4.0, 5.0),
    ])  # fmt: skip
    monkeypatch.setenv("CITYMAP_REMOTE_HOSTS", "127.0.0.1")
    monkeypatch.setenv("CITYMAP_REMOTE_PRIVATE", "true")
    return made


@pytest.fixture
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


class Broker:
    """mosquitto on a loopback port of its own; `say` publishes as a gauge would."""

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self.user: tuple[str, str] | None = None
        self._file = folder / "mosquitto.conf"
        if os.geteuid() == 0:  # else it becomes another user, who may not read our files
            more = f"user root\n{more}"
        self._file.write_text(f"listener {self.port} 127.0.0.1\n{more}\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True

        until(answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def say(self, topic: str, body: bytes | str, *, retain: bool = False) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2)
        if self.user:
            client.username_pw_set(*self.user)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            client.publish(topic, body, qos=1, retain=retain).wait_for_publish(PATIENCE_S)
        finally:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def feed(port: int = 1883, **more: object) -> Feed:
    values = {
        "id": "iot", "kind": "mqtt", "host": "127.0.0.1", "port": port, "tls": False,
        "topics": ["river/+/level"], "format": "number", "columns": {"station": "@topic.1"}, **more,
    }  # fmt: skip
    return Feed.model_validate(values)


BY_PATH = {
    "topics": ["river/json"], "format": "json", "unit": "cm",
    "columns": {"station": "stg.id", "time": "obs.t", "value": "obs.v"},
}  # fmt: skip


def body(minutes: float, value: object, station: str = "1") -> str:
    at = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    return json.dumps({"stg": {"id": station}, "obs": {"t": at, "v": value}})


@pytest.fixture
def hear(city: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:  # fmt: skip
    """Begin to hear feeds as the worker does."""
    monkeypatch.setattr(live_feeds, "LOOK_S", 0.1)
    monkeypatch.setattr(feed_state, "BROKER_WAIT", timedelta(seconds=0.2))
    stop = threading.Event()
    threads = []

    def begin(*listed: Feed) -> None:
        monkeypatch.setattr(live_feeds.feeds, "feeds", lambda _: list(listed))
        threads.append(threading.Thread(target=live_feeds.run, args=(store, city, stop)))
        threads[-1].start()

    yield begin
    stop.set()
    for t in threads:
        t.join(30)
        assert not t.is_alive()


def state(store: Store) -> feed_state.FeedState:
    return feed_state.states(store).get("iot") or feed_state.FeedState("iot", now())


def heard_by(store: Store) -> Callable[[], bool]:
    """Connected, and nothing wrong."""
    return lambda: state(store).checked_at is not None and state(store).error is None


def wrong(store: Store, key: str) -> Callable[[], bool]:
    return lambda: (state(store).error or {}).get("key") == key


def level(store: Store, city: Workspace, station: str = "1") -> levels.Level:
    return next(x for x in levels.latest(store, city) if x.station.station_id == station)


# -- what a message says ---------------------------------------------------------------------------


def test_a_number_counts_from_its_arrival_and_a_kept_one_not_at_all() -> None:
    at = datetime(2026, 9, 1, 12, 0, 5, 123456, tzinfo=UTC)
    (one,) = feeds.of_message(feed(unit="cm"), "river/7/level", b" 123.4\n", at)
    assert (one.station_id, one.observed_at, one.value_m) == ("7", at.replace(microsecond=0), 1.234)
    with pytest.raises(BadInputError) as caught:
        feeds.of_message(feed(), "river/7/level", b"1.2", None)
    assert caught.value.key == "live_retained"


def test_a_message_with_its_own_time_counts_from_that_also_when_it_was_kept() -> None:
    one = feed(**BY_PATH)
    said = b'{"stg": {"id": 7}, "obs": {"t": "2026-09-01T12:00", "v": 250}}'
    for arrived in (None, datetime.now(UTC)):
        (found,) = feeds.of_message(one, "river/json", said, arrived)
        assert (found.station_id, found.value_m) == ("7", 2.5)
        assert found.observed_at.isoformat() == "2026-09-01T12:00:00+09:00"
    timeless = feed(format="json", columns=Columns(station="@topic.1", time="", value="v"))
    (found,) = feeds.of_message(timeless, "river/9/level", b'{"v": 1}', datetime.now(UTC))
    assert found.station_id == "9"
    with pytest.raises(BadInputError) as caught:
        feeds.of_message(timeless, "river/9/level", b'{"v": 1}', None)
    assert caught.value.key == "live_retained"


@pytest.mark.parametrize(("said", "key"), [
    (b"<html>busy</html>", "live_no_table"), (b"9" * 2_000, "live_no_table"),
    (b"1" * (feeds.MAX_MESSAGE_BYTES + 1), "live_too_large"), (b"\xff\xfe\x00\xd8\x81", "live_encoding"),
])  # fmt: skip
def test_rubbish_is_refused_as_a_number(said: bytes, key: str) -> None:
    with pytest.raises(BadInputError) as caught:
        feeds.of_message(feed(), "river/1/level", said, datetime.now(UTC))
    assert caught.value.key == key


@pytest.mark.parametrize("said", [b"", b"[" * 100_000, b"null", b"{", b"12", b"{}", b"<a/>"])
def test_rubbish_is_refused_as_json(said: bytes) -> None:
    with pytest.raises(BadInputError):
        feeds.of_message(feed(**BY_PATH), "river/json", said, datetime.now(UTC))


def test_no_number_is_no_value_and_another_topic_no_station() -> None:
    for said in (b"NaN", b"inf", b"---", b"1e999"):
        (one,) = feeds.of_message(feed(), "river/1/level", said, datetime.now(UTC))
        assert one.value_m is None
    with pytest.raises(BadInputError) as caught:
        feeds.of_message(feed(), "river", b"1", datetime.now(UTC))
    assert caught.value.key == "live_nothing"


@pytest.mark.parametrize("more", [
    {"host": ""}, {"host": "mqtt://x"}, {"topics": []}, {"topics": ["a/#/b"]}, {"topics": ["a+"]},
    {"url": "http://127.0.0.1/"}, {"format": "csv"}, {"columns": {"station": "id"}}, {"port": 70_000},
    {"kind": "levels"}, {"password": "secret"},
])  # fmt: skip
def test_a_feed_of_a_broker_must_be_whole(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        feed(**more)


# -- one worker, allowed hosts, the library ---------------------------------------------------------


def test_a_claim_is_held_until_another_worker_has_it(store: Store) -> None:
    one, at = feed(), now()
    assert feed_state.claim(store, one, at=at)
    mine = feed_state.hold(store, one, at + feed_state.LEASE, taken=3)
    assert mine is not None and state(store).taken == 3
    assert not feed_state.claim(store, one)
    later = mine + timedelta(seconds=1)
    assert feed_state.claim(store, one, at=later)  # the first one was away for too long
    assert feed_state.hold(store, one, mine, taken=9) is None
    assert state(store).taken == 3


@pytest.mark.parametrize(("hosts", "private", "key"), [
    ("example.org", "true", "remote_not_allowed"), ("127.0.0.1", "false", "remote_private"),
    ("127.0.0.1:1", "true", "remote_not_allowed"),
])  # fmt: skip
def test_a_host_that_nobody_allowed_is_not_called(
    city: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch, hosts: str, private: str, key: str
) -> None:  # fmt: skip
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.setenv("CITYMAP_REMOTE_HOSTS", hosts)
    monkeypatch.setenv("CITYMAP_REMOTE_PRIVATE", private)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        one = feed(listening.getsockname()[1])
        assert feed_state.claim(store, one)
        live_mqtt.listen(store, city, one, now(), threading.Event())
        with pytest.raises(TimeoutError):
            listening.accept()
    assert wrong(store, key)()
    assert state(store).failures == 1


def test_without_the_library_it_says_what_to_install(
    city: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("paho"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    one = feed()
    assert feed_state.claim(store, one)
    live_mqtt.listen(store, city, one, now(), threading.Event())
    said = state(store).error
    assert said is not None and said["key"] == "live_no_mqtt" and "citymap[mqtt]" in said["en"]


def test_the_log_ins_are_read_from_the_environment_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CITYMAP_MQTT_LOGINS", '{"iot": "gauge:a:b, c"}')
    assert Settings().mqtt_logins == (("iot", "gauge:a:b, c"),)
    assert hash(Settings()) == hash(Settings())  # the staff pages remember by them
    assert "a:b" not in repr(Settings())
    for bad in ("iot=gauge:secret", '["gauge:secret"]', '{"iot": ["gauge:secret"]}'):
        monkeypatch.setenv("CITYMAP_MQTT_LOGINS", bad)
        with pytest.raises(BadInputError) as caught:
            Settings()
        assert caught.value.key == "bad_setting" and "secret" not in str(caught.value.message("en"))


# -- a real broker -----------------------------------------------------------------------------------


@broker_needed
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_reading_arrives_and_the_broker_may_die_and_come_back(
    city: Workspace, store: Store, broker: Broker, hear: Callable[..., None], protocol: str
) -> None:
    hear(feed(broker.port, protocol=protocol))
    until(heard_by(store))
    broker.say("river/1/level", "3.2")
    until(lambda: level(store, city).value_m == 3.2)
    assert level(store, city).state == "caution"
    assert (state(store).taken, state(store).failures) == (1, 0)
    broker.stop()
    until(lambda: state(store).failures >= 2)
    assert state(store).error is not None
    assert level(store, city).value_m == 3.2  # it ages, nothing overwrites it
    broker.start()
    until(heard_by(store))
    broker.say("river/1/level", "4.5")
    until(lambda: level(store, city).value_m == 4.5)
    until(lambda: state(store).failures == 0)


@broker_needed
def test_hostile_payloads_change_nothing_and_the_next_good_one_counts(
    city: Workspace, store: Store, broker: Broker, hear: Callable[..., None]
) -> None:
    hear(feed(broker.port, **BY_PATH))
    until(heard_by(store))
    broker.say("river/json", body(10, 320))
    until(lambda: level(store, city).value_m == 3.2)
    for said, key in ((b"<html>busy</html>", "live_no_table"), (b"[" * 100_000, "live_no_table"),
                      (body(-2880, 10), "live_all_refused"), (body(0, 99_999), "live_all_refused"),
                      (body(0, 300, "elsewhere"), "live_all_refused"),
                      (b'{"stg": {"id": 1}, "obs": {"v": 300}}', "live_nothing")):  # fmt: skip
        broker.say("river/json", said)
        until(wrong(store, key))
        assert level(store, city).value_m == 3.2
        broker.say("river/json", body(9, 320))  # as it was: takes the complaint away
        until(heard_by(store))
    broker.say("river/json", b" " * (6 << 20))  # the broker keeps it from us: larger than we said
    broker.say("river/json", body(5, 410))
    until(lambda: level(store, city).value_m == 4.1)
    assert state(store).failures == 0
    broker.say("river/json", b'{"stg": {"id": 1}, "obs": {"t": "%s", "v": NaN}}' % datetime.now(UTC).isoformat().encode())  # fmt: skip
    until(lambda: level(store, city).why == "missing")
    assert level(store, city).state == "unknown"


@broker_needed
def test_a_packet_without_end_is_cut_where_the_broker_cannot_be_told(
    city: Workspace, store: Store, broker: Broker, hear: Callable[..., None]
) -> None:
    hear(feed(broker.port, protocol="3.1.1"))
    until(heard_by(store))
    broker.say("river/1/level", b"1" * (6 << 20))
    until(wrong(store, "live_too_large"))
    until(heard_by(store))
    broker.say("river/1/level", "2.5")
    until(lambda: level(store, city).value_m == 2.5)


@broker_needed
def test_a_kept_value_without_a_time_is_not_taken_for_the_present(
    city: Workspace, store: Store, broker: Broker, hear: Callable[..., None]
) -> None:
    broker.say("river/1/level", "1.0", retain=True)
    hear(feed(broker.port))
    until(wrong(store, "live_retained"))
    assert state(store).refused == {"retained": 1}
    assert (level(store, city).state, level(store, city).why) == ("unknown", "never")
    broker.say("river/1/level", "2.5", retain=True)  # said while we hear: it is of now
    until(lambda: level(store, city).value_m == 2.5)


@broker_needed
def test_a_kept_value_with_a_time_is_as_old_as_it_says(
    city: Workspace, store: Store, broker: Broker, hear: Callable[..., None]
) -> None:
    broker.say("river/json/1", body(90, 450), retain=True)
    broker.say("river/json/2", body(5, 350, "2"), retain=True)
    hear(feed(broker.port, **{**BY_PATH, "topics": ["river/json/+"]}))
    until(lambda: level(store, city, "2").value_m == 3.5)
    until(lambda: level(store, city).why == "stale")
    assert level(store, city).state == "unknown"


@broker_needed
def test_user_and_password_come_from_the_settings(
    city: Workspace, store: Store, tmp_path: Path, hear: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    listed = tmp_path / "passwords"
    maker = shutil.which("mosquitto_passwd")
    assert maker is not None
    subprocess.run(
        [maker, "-b", "-c", str(listed), "gauge", "a:b, c"], check=True, capture_output=True
    )
    broker = Broker(tmp_path, f"allow_anonymous false\npassword_file {listed}")
    broker.user = ("gauge", "a:b, c")
    broker.start()
    try:
        hear(feed(broker.port))
        until(wrong(store, "live_mqtt_refused"))
        (city.root / "citymap.toml").write_text(
            '[mqtt_logins]\niot = "gauge:a:b, c"\n', encoding="utf-8"
        )
        until(heard_by(store))
        broker.say("river/1/level", "3.2")
        until(lambda: level(store, city).value_m == 3.2)
    finally:
        broker.stop()


@broker_needed
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_tls_believes_only_a_certificate_that_the_machine_knows(
    city: Workspace, store: Store, tmp_path: Path, hear: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=broker",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setattr(Broker, "say", None)  # it would speak without TLS
    broker = Broker(tmp_path, f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}")
    broker.start()
    try:
        hear(feed(broker.port, tls=True))
        until(wrong(store, "live_mqtt_lost"))
        assert "certificate" in str((state(store).error or {})["en"]).lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        until(heard_by(store))
    finally:
        broker.stop()


@broker_needed
def test_of_two_workers_one_hears_and_leaves_it_to_the_other(
    city: Workspace, store: Store, broker: Broker
) -> None:
    one = feed(broker.port)
    first, second = (live_mqtt.Subscriptions(store, city) for _ in range(2))
    for turn in (first, second):
        turn.tend([one])
    assert (len(first._running), len(second._running)) == (1, 0)
    until(heard_by(store))
    broker.say("river/1/level", "3.2")
    until(lambda: level(store, city).value_m == 3.2)
    first.close()
    second.tend([one])  # at once: what ends in order leaves the feed free
    assert len(second._running) == 1
    second.close()
