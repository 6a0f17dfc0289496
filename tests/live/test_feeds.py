"""Feeds: real tables and bulletins are read; hostile, broken and silent ones leave things unknown."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest

from citymap.errors import BadInputError
from citymap.jobs import live_feeds
from citymap.layers import remote
from citymap.live import feed_state, feeds, jma, levels, overrides, stations, warnings
from citymap.live.feeds import Columns, Feed
from citymap.live.stations import Station
from citymap.store import Store, open_store
from citymap.workspace import Workspace
from tests import small_city

TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = small_city.make(tmp_path / "city")
    stations.add(made, [Station("1", "大橋", "川", "river", 139.6, 36.3, 2.0, 3.0, 4.0, 5.0)])
    monkeypatch.setenv("CITYMAP_REMOTE_HOSTS", "127.0.0.1")
    monkeypatch.setenv("CITYMAP_REMOTE_PRIVATE", "true")
    return made


@pytest.fixture
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


class Site(http.server.BaseHTTPRequestHandler):
    """Answers what a test put there; `hang` sends a byte and waits."""

    pages: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    ended = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.pages.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        if body == b"hang":
            self.wfile.write(b"i")
            self.ended.wait(20)
        elif body == b"endless":
            try:
                while not self.ended.is_set():
                    self.wfile.write(b"1,2,3\n" * 10_000)
            except OSError:
                pass
        else:
            self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, bytes]]]:
    Site.pages, Site.asked, Site.ended = {}, [], threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Site.pages
    Site.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


def feed(**more: object) -> Feed:
    values = {"id": "river", "kind": "levels", "url": "http://127.0.0.1/x", **more}
    return Feed.model_validate(values)


def iso(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def level(store: Store, city: Workspace) -> levels.Level:
    return levels.latest(store, city)[0]


def put(city: Workspace, text: str, name: str = "river") -> None:
    path = feeds.folder(city) / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# -- tables --------------------------------------------------------------------------------------


def test_a_real_day_of_a_prefecture_is_read(real_data: Path, city: Workspace, store: Store) -> None:
    folder = real_data / "river_level" / "code4fukui+waterlevel_fukui"
    fukui = feed(columns=Columns(station="id", time="日時", value="河川水位"))
    found = feeds.readings(fukui, (folder / "data" / "2021-08-14.csv").read_bytes())
    assert len(found) > 5_000
    assert found[0].observed_at == datetime(2021, 8, 14, 8, 40, tzinfo=TOKYO)
    assert (found[0].station_id, found[0].value_m) == ("91", 1.48)
    known = {s.station_id: s for s in stations.read(folder / "sensors.csv").stations}
    at = max(r.observed_at for r in found) + timedelta(minutes=1)
    taken, refused = levels.record(store, found, known, feed="fukui", at=at)
    assert taken > 5_000 and set(refused) <= {"unknown_station", "implausible"}
    said = levels.of_stations(store, known.values(), at=at)
    fresh = [x for x in said if x.state not in ("unknown", "unrated")]
    assert len(fresh) > 60 and any(x.state != "below" for x in fresh)
    late = levels.of_stations(store, known.values(), at=at + timedelta(hours=1))
    assert {x.state for x in late} == {"unknown"}


@pytest.mark.parametrize(("text", "hour"), [
    ("2021-08-14T08:40", (14, 8, 40)), ("2021/8/14 8:40", (14, 8, 40)),
    ("202108140840", (14, 8, 40)), ("2021-08-13T24:00", (14, 0, 0)),
    ("２０２１/08/14 08:40", (14, 8, 40)), ("2021-08-13T23:40:00Z", (14, 8, 40)),
])  # fmt: skip
def test_moments_are_read_as_feeds_write_them(text: str, hour: tuple[int, int, int]) -> None:
    at = feeds.moment(text, TOKYO)
    assert at == datetime(2021, 8, *hour, tzinfo=TOKYO)


@pytest.mark.parametrize(
    "text", ["", "8:40", "昨日", "2021-13-40T00:00", 12, None, "0001-01-01T00:00"]
)
def test_what_is_no_moment_is_none(text: object) -> None:
    assert feeds.moment(text, TOKYO) is None


def test_json_is_read_by_paths_and_by_keys() -> None:
    body = json.dumps({"data": {"list": [
        {"stg": {"code": 7}, "obs": {"t": "2026-09-01T12:00", "v": "123.4"}},
        {"stg": {"code": 8}, "obs": {"t": "2026-09-01T12:00", "v": "欠測"}},
        {"stg": None}, 5, {"stg": {"code": 9}, "obs": {"t": "2026-09-01T12:00", "v": True}},
    ]}}).encode()  # fmt: skip
    cm = feed(format="json", items="data.list", unit="cm",
              columns=Columns(station="stg.code", time="obs.t", value="obs.v"))  # fmt: skip
    assert [(r.station_id, r.value_m) for r in feeds.readings(cm, body)] == [
        ("7", 1.234), ("8", None), ("9", None),
    ]  # fmt: skip
    keyed = feed(format="json", columns=Columns(station="@key", time="t", value="v"))
    found = feeds.readings(keyed, b'{"a": {"t": "2026-09-01T12:00+09:00", "v": 1e400}}')
    assert [(r.station_id, r.value_m) for r in found] == [("a", None)]


@pytest.mark.parametrize(("body", "key"), [
    (b"<!DOCTYPE html><h1>Maintenance</h1>", "live_no_table"), (b"", "live_columns"),
    (b"\xff\xfe\x00\xd8\x81", "live_encoding"), (b"a,b\n1,2\n", "live_columns"),
    (b"id,time,value\n,,\n", "live_nothing"), (b"id,time,value\n1,maybe,2\n", "live_nothing"),
])  # fmt: skip
def test_rubbish_is_refused_as_a_table(body: bytes, key: str) -> None:
    with pytest.raises(BadInputError) as caught:
        feeds.readings(feed(), body)
    assert caught.value.key == key


@pytest.mark.parametrize("body", [b"[" * 100_000, b"null", b"12", b'"x"', b"{", b'{"a":[]}'])
def test_rubbish_is_refused_as_json(body: bytes) -> None:
    with pytest.raises(BadInputError):
        feeds.readings(feed(format="json"), body)


def test_a_feed_must_say_where_it_comes_from(city: Workspace) -> None:
    for bad in ('url = "file:///etc/passwd"', 'url = "ftp://x/"', "", 'mqtt = "mqtt://x"',
                'url = "http://x/"\nzone = "Mars"', 'url = "http://x/"\nunit = "feet"'):  # fmt: skip
        put(city, f'id = "river"\nkind = "levels"\n{bad}\n')
        with pytest.raises(BadInputError):
            feeds.feeds(city)


# -- asking ---------------------------------------------------------------------------------------


def test_an_answer_is_kept_and_every_kind_of_failure_leaves_it_to_age(
    city: Workspace, store: Store, site: tuple[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    address, pages = site
    one = feed(url=f"{address}/levels.csv")
    assert feed_state.claim(store, one)
    pages["/levels.csv"] = f"id,time,value\n1,{iso(20)},3.2\n".encode()
    assert live_feeds.ask(store, city, one) is None
    assert (level(store, city).state, level(store, city).value_m) == ("caution", 3.2)
    first = feed_state.states(store)["river"]
    assert (first.failures, first.taken, first.error) == (0, 1, None)
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(remote, "TOTAL_S", 0.5)
    for body, key in ((b"<html>busy</html>", "live_no_table"), (b"hang", "remote_unreachable"),
                      (b"endless", None), (f"id,time,value\n1,{iso(1)},320\n".encode(), "live_all_refused"),
                      (f"id,time,value\n1,{iso(-2880)},0.1\n".encode(), "live_all_refused")):  # fmt: skip
        pages["/levels.csv"] = body
        error = live_feeds.ask(store, city, one)
        assert error is not None and key in (None, error.key)
        assert level(store, city).value_m == 3.2  # still fresh, nothing overwritten
    state = feed_state.states(store)["river"]
    assert (state.failures, state.ok_at) == (5, first.ok_at)
    assert state.next_at - state.checked_at == timedelta(
        minutes=15
    )  # longer and longer, with an end
    later = levels.latest(store, city, at=datetime.now(UTC) + timedelta(minutes=11))[0]
    assert (later.state, later.why) == ("unknown", "stale")


def test_a_host_that_nobody_allowed_is_not_asked(
    city: Workspace, store: Store, site: tuple[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    address, pages = site
    pages["/x"] = b"id,time,value\n"
    monkeypatch.setenv("CITYMAP_REMOTE_PRIVATE", "false")
    one = feed(url=f"{address}/x")
    feed_state.claim(store, one)
    error = live_feeds.ask(store, city, one)
    assert error is not None and error.key == "remote_private"
    assert Site.asked == []


def test_of_many_workers_one_asks(store: Store) -> None:
    one = feed()
    turns: list[bool] = []

    def take() -> None:
        turns.append(feed_state.claim(store, one))

    for _ in range(2):  # the first time it is new, then it is known and due
        turns.clear()
        threads = [threading.Thread(target=take) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sum(turns) == 1
        past = datetime.now(UTC) - timedelta(hours=1)
        feed_state.heard(store, one, taken=0, refused={}, ok_at=past, at=past)
    assert feed_state.claim(store, one) and not feed_state.claim(store, one)
    # a clock that was a week ahead must not silence the feed for a week
    ahead = datetime.now(UTC) + timedelta(days=7)
    feed_state.heard(store, one, taken=0, refused={}, ok_at=ahead, at=ahead)
    assert feed_state.claim(store, one)


def test_the_thread_of_the_worker_goes_on_whatever_happens(
    city: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(city, 'id = "river"\nkind = "levels"\nfolder = "inbox"\n')
    put(city, "not toml at all [", "broken")
    monkeypatch.setattr(live_feeds, "LOOK_S", 0.01)
    stop, turns = threading.Event(), threading.Event()
    thread = threading.Thread(target=live_feeds.run, args=(store, city, stop))
    thread.start()
    (feeds.folder(city) / "broken.toml").unlink()
    real = live_feeds.ask

    def ask(*args: object) -> object:
        turns.set()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(live_feeds, "ask", ask)
    turns.wait(20)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    error = feed_state.states(store)["river"].error
    assert error is None or error["key"] == "live_no_files"


def test_files_that_are_dropped_are_read_oldest_first(city: Workspace, store: Store) -> None:
    import os
    import time

    inbox = city.root / "live" / "inbox"
    inbox.mkdir(parents=True)
    one = feed(url="", folder=inbox)
    feed_state.claim(store, one)
    assert live_feeds.ask(store, city, one).key == "live_no_files"  # type: ignore[union-attr]
    for name, minutes, value in (("b.csv", 20, 1.0), ("a.csv", 10, 4.5)):
        path = inbox / name
        path.write_text(f"id,time,value\n1,{iso(minutes)},{value}\n", encoding="utf-8")
        os.utime(path, (time.time() - minutes * 60,) * 2)
    (inbox / "secret.csv").symlink_to("/etc/passwd")
    assert live_feeds.ask(store, city, one) is None
    assert level(store, city).state == "evacuation"
    ok_at = feed_state.states(store)["river"].ok_at
    assert ok_at is not None and 590 < (datetime.now(UTC) - ok_at).total_seconds() < 660


# -- bulletins ------------------------------------------------------------------------------------


@pytest.fixture
def samples(real_data: Path) -> Path:
    return real_data / "jma_xml" / "MIERUNE+jmaxml" / "assets" / "sample_xmls"


def read(path: Path) -> jma.Document:
    found = jma.document(jma.parse(path.read_bytes(), path.name), path.name, jma.tables())
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "level", "title"), [
    ("16_01_01_220728_VXKOii", 2, "レベル２氾濫注意報"), ("16_02_01_220728_VXKOii", 3, "レベル３氾濫警報"),
    ("16_06_01_220728_VXKOii", 4, "レベル４氾濫危険警報"), ("16_04_01_220728_VXKOii", 5, "レベル５氾濫特別警報"),
])  # fmt: skip
def test_river_forecasts_are_named_by_todays_levels(
    samples: Path, name: str, level: int, title: str
) -> None:
    found = read(samples / f"{name}.xml")
    assert {(i.hazard, i.level, i.name) for i in found.items} == {("river_flood", level, title)}
    assert found.rivers and found.reported_at.tzinfo is not None


def test_every_sample_of_the_agency_is_read(samples: Path) -> None:
    kinds: dict[str, int] = {}
    for path in sorted(samples.glob("*.xml")):
        found = read(path)
        kinds[found.kind] = kinds.get(found.kind, 0) + 1
        assert found.items and all(i.level is None or 2 <= i.level <= 5 for i in found.items)
        assert all(i.name.startswith("レベル") for i in found.items if i.level)
    assert kinds["river"] == 8 and kinds["landslide"] >= 16 and kinds["area"] >= 25


def test_a_towns_list_is_whole_and_says_what_the_rain_does(samples: Path) -> None:
    found = read(samples / "15_01_03_160628_VPWW50.xml")
    town = {i.hazard: i.level for i in found.items if i.area_code == found.items[0].area_code}
    assert set(town) == {"river_flood", "inland_flood", "landslide", "storm_surge"}
    assert (town["river_flood"], town["inland_flood"], town["landslide"]) == (3, 3, 3)
    assert town["storm_surge"] is None


@pytest.mark.parametrize("body", [
    b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Report>&x;</Report>',
    b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Report>&b;</Report>',
    b"<html><body>503", b"", b"\x00\x01", b"not xml", b"<Report>",
])  # fmt: skip
def test_hostile_xml_is_refused(body: bytes) -> None:
    with pytest.raises(BadInputError) as caught:
        jma.parse(body, "x")
    assert caught.value.key == "jma_no_xml"
    with pytest.raises(BadInputError):
        jma.parse(b"<a>" + b"x" * jma.MAX_BYTES + b"</a>", "x")


def forecast(code: str = "40", *, minutes: float = 5, status: str = "通常", info: str = "発表",
             towns: str = "0920400") -> bytes:  # fmt: skip
    return f"""<Report xmlns="http://xml.kishou.go.jp/jmaxml1/"><Control><Title>指定河川洪水予報</Title>
<Status>{status}</Status><PublishingOffice>気象台</PublishingOffice></Control>
<Head xmlns="http://xml.kishou.go.jp/jmaxml1/informationBasis1/"><Title>川</Title>
<ReportDateTime>{iso(minutes)}</ReportDateTime><InfoType>{info}</InfoType><Headline><Text>増水</Text>
<Information type="指定河川洪水予報（予報区域）"><Item><Kind><Name>x</Name><Code>{code}</Code></Kind>
<Areas><Area><Name>秋山川</Name><Code>810303000100</Code></Area></Areas></Item></Information>
</Headline></Head><Body xmlns="http://xml.kishou.go.jp/jmaxml1/body/meteorology1/">
<CityCode>{towns}</CityCode></Body></Report>""".encode()


@pytest.fixture
def warned(
    city: Workspace, store: Store, site: tuple[str, dict[str, bytes]]
) -> tuple[Feed, dict[str, bytes]]:
    code = city.city().code[:5] + "00"
    put(city, f'id = "jma"\nkind = "warnings"\nurl = "{site[0]}/feed"\nareas = ["{code}", "0920400"]\n', "jma")  # fmt: skip
    one = feeds.feeds(city)[0]
    feed_state.claim(store, one)
    return one, site[1]


def atom(address: str, *names: str) -> bytes:
    entries = "".join(
        f"<entry><title>指定河川洪水予報</title><updated>{n}</updated><link href='{address}/{n}'/></entry>"
        for n in names
    )
    return f"<feed xmlns='http://www.w3.org/2005/Atom'>{entries}</feed>".encode()


def test_a_list_of_bulletins_is_followed_once_and_the_newest_counts(
    city: Workspace, store: Store, warned: tuple[Feed, dict[str, bytes]]
) -> None:
    one, pages = warned
    address = one.url.removesuffix("/feed")
    before = warnings.current(store, city)
    assert (before.configured, before.known, before.listed) == (True, False, ())
    pages |= {"/1": forecast("30", minutes=60), "/2": forecast("41"),
              "/3": forecast("51", towns="4010000"), "/feed": atom(address, "1", "2", "3")}  # fmt: skip
    assert live_feeds.ask(store, city, one) is None
    held = warnings.current(store, city)
    assert held.known and [(w.level, w.name) for w in held.in_force] == [
        (4, "レベル４氾濫危険警報")
    ]
    asked = len(Site.asked)
    assert live_feeds.ask(store, city, one) is None
    assert len(Site.asked) == asked + 1  # no document twice
    pages |= {"/4": forecast("10", minutes=0), "/feed": atom(address, "4")}
    assert live_feeds.ask(store, city, one) is None
    assert [w.state for w in warnings.current(store, city).listed] == ["lifted"]


def test_a_silent_feed_makes_the_warnings_unknown_never_lifted(
    city: Workspace, store: Store, warned: tuple[Feed, dict[str, bytes]]
) -> None:
    one, pages = warned
    pages["/feed"] = forecast("40")
    assert live_feeds.ask(store, city, one) is None
    later = warnings.current(store, city, at=datetime.now(UTC) + timedelta(minutes=31))
    assert (later.known, later.in_force) == (False, ())
    assert [(w.state, w.why, w.last_level) for w in later.listed] == [("unknown", "stale", 4)]
    for body in (b"<html>", forecast("99"), forecast("40", minutes=-2880), b"endless"):
        pages["/feed"] = body
        error = live_feeds.ask(store, city, one)
        assert error is not None
    assert [w.level for w in warnings.current(store, city).in_force] == [4]


def test_drills_tests_and_withdrawn_bulletins_hold_nothing(
    city: Workspace, store: Store, warned: tuple[Feed, dict[str, bytes]]
) -> None:
    one, pages = warned
    for status in ("訓練", "試験"):
        pages["/feed"] = forecast("51", status=status)
        assert live_feeds.ask(store, city, one) is None
    assert warnings.current(store, city).listed == ()
    assert {r.status for r in warnings.recent(store)} == {"訓練", "試験"}
    pages["/feed"] = forecast("40", minutes=5)
    live_feeds.ask(store, city, one)
    pages["/feed"] = forecast("40", minutes=1, info="取消")
    live_feeds.ask(store, city, one)
    assert [(w.state, w.why) for w in warnings.current(store, city).listed] == [
        ("unknown", "withdrawn")
    ]


def test_staff_may_set_a_warning_and_take_it_back(
    city: Workspace, store: Store, warned: tuple[Feed, dict[str, bytes]]
) -> None:
    one, pages = warned
    pages["/feed"] = forecast("30")
    live_feeds.ask(store, city, one)
    key = warnings.subject("river_flood", "810303000100")
    overrides.say(store, key, "level", value=5, note="越水を確認", by="佐藤")
    assert [(w.level, w.name) for w in warnings.current(store, city).in_force] == [
        (5, "レベル５氾濫特別警報")
    ]
    overrides.say(store, key, "unknown", by="佐藤")
    assert [w.state for w in warnings.current(store, city).listed] == ["unknown"]
    overrides.say(store, key, "none", by="佐藤")
    assert [w.level for w in warnings.current(store, city).in_force] == [3]


def test_a_city_may_correct_the_table_of_codes(city: Workspace) -> None:
    own = city.root / "live" / "jma_levels.toml"
    text = Path(jma.__file__).with_name("jma_levels.toml").read_text(encoding="utf-8")
    own.write_text(text.replace("[river]", "[river]\n99 = 5"), encoding="utf-8")
    found = jma.document(jma.parse(forecast("99"), "x"), "x", jma.tables(city))
    assert found is not None and found.items[0].level == 5
    shutil.rmtree(own.parent)
    assert jma.tables(city)["river"].get("99") is None
