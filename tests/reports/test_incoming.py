"""What a device may say, and how it is told what was wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_samples import AT, LAT, LON, body, checked

from citymap.errors import BadInputError
from citymap.reports import incoming
from citymap.reports.categories import FILE, catalogue
from citymap.reports.model import ReportError
from citymap.workspace import Workspace

BBOX = (LON - 0.01, LAT - 0.01, LON + 0.01, LAT + 0.01)


def refused(data: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ReportError) as caught:
        checked(data, **more)
    assert caught.value.message("ja")
    return caught.value.key


def test_a_whole_report_is_read_as_it_was_said() -> None:
    report = checked(body(), bbox=BBOX)
    assert (report.lon, report.lat, report.depth_m) == (LON, LAT, 0.3)
    assert report.observed_at == AT - timedelta(minutes=1)
    assert report.text == "橋の下が通れません"


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"id": "x"}, "report_id"), ({"id": "0" * 36}, "report_id"), ({"id": None}, "report_id"),
        ({"id": "00000000-0000-0000-0000-000000000000"}, "report_id"),
        ({"category": "party"}, "report_category"), ({"category": ["breach"]}, "report_category"),
        ({"lon": None}, "report_no_position"), ({"lon": "139"}, "report_field"),
        ({"lon": True}, "report_field"), ({"lat": 91}, "report_field"),
        ({"lon": LAT, "lat": LON}, "report_field"),  # swapped: 139 is no latitude
        ({"lon": LON + 1}, "report_outside"), ({"accuracy_m": -1}, "report_field"),
        ({"depth_m": 99}, "report_field"), ({"severity": 4}, "report_field"),
        ({"severity": True}, "report_field"), ({"position_source": "guess"}, "report_field"),
        ({"text": "あ" * 4001}, "report_text_long"), ({"contact": "1" * 301}, "report_text_long"),
        ({"text": 5}, "report_field"), ({"text": "\ud800"}, "report_field"),
        ({"observed_at": "yesterday"}, "report_time"), ({"observed_at": 5}, "report_time"),
        ({"observed_at": "2026-09-10T11:59:00"}, "report_time"),
        ({"observed_at": "2026-09-10T13:00:00+09:00"}, "report_future"),
        ({"observed_at": "2019-09-10T13:00:00+09:00"}, "report_too_old"),
        ({"trust": 1}, "report_unknown_field"), ({"status": "confirmed"}, "report_unknown_field"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_reason(changed: dict[str, Any], key: str) -> None:
    assert refused(body(**changed), bbox=BBOX) == key


def test_a_wrong_clock_is_set_right_by_what_it_shows_when_sending() -> None:
    """Two years ahead, a report of ten minutes before sending."""
    ahead = timedelta(days=730)
    data = body(observed_at=(AT + ahead - timedelta(minutes=10)).isoformat())
    report = checked(data, clock=AT + ahead)
    assert report.observed_at == AT - timedelta(minutes=10)
    assert report.clock_skew_s == -ahead.total_seconds()
    behind = timedelta(days=20_000)
    data = body(observed_at=(AT - behind - timedelta(hours=5)).isoformat())
    assert checked(data, clock=AT - behind).observed_at == AT - timedelta(hours=5)
    assert refused(data) == "report_too_old"


def test_a_little_into_the_future_is_now() -> None:
    data = body(observed_at=(AT + timedelta(minutes=9)).isoformat())
    assert checked(data).observed_at == AT


def test_signs_that_hide_what_is_written_go() -> None:
    report = checked(body(text="a\u202egnp.exe\x00\x1b[31m\r\nb"))
    assert report.text == "agnp.exe[31m\nb"


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"{", b'{"lon": NaN}', b"[" * 30_000, b"\xff"]
)
def test_what_is_no_object_is_said(raw: bytes) -> None:
    with pytest.raises(ReportError, match="content of the report"):
        incoming.decoded(raw)
    with pytest.raises(ReportError, match="too long"):
        incoming.decoded(b" " * (incoming.MAX_JSON_BYTES + 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8) | st.integers(),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
    max_leaves=6,
)


SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOWLY
@given(st.dictionaries(st.sampled_from(sorted(incoming.FIELDS)), json_values))
def test_whatever_is_sent_is_taken_or_refused_in_words(changed: dict[str, Any]) -> None:
    raw = json.dumps(body(**changed))
    try:
        report = checked(incoming.decoded(raw), bbox=BBOX)
    except ReportError as error:
        assert error.message("ja") != error.key
        return
    assert BBOX[0] - 0.02 <= report.lon <= BBOX[2] + 0.02
    assert report.observed_at <= AT


@SLOWLY
@given(json_values, json_values)
def test_the_digest_tells_bodies_apart_and_ignores_white_space(a: Any, b: Any) -> None:
    one, other = incoming.digest({"text": a}, []), incoming.digest({"text": b}, [])
    assert (one == other) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))
    again = json.loads(json.dumps({"text": a}, indent=3))
    assert incoming.digest(again, []) == one
    assert incoming.digest({"text": a}, ["x"]) != one


def test_a_city_replaces_the_list(tmp_path: Any) -> None:
    workspace = Workspace(tmp_path)
    assert "breach" in catalogue(workspace).by_code()
    own = '[[category]]\ncode = "snow"\ntitle = { ja = "雪" }\n'
    (tmp_path / FILE).write_text(own, encoding="utf-8")
    assert list(catalogue(workspace).by_code()) == ["snow"]
    assert catalogue(workspace).title("snow", "en") == "雪"
    (tmp_path / FILE).write_text(own + own, encoding="utf-8")
    with pytest.raises(BadInputError, match="stands twice"):
        catalogue(workspace)
    (tmp_path / FILE).write_text("[[category]]\ncode = 5", encoding="utf-8")
    with pytest.raises(BadInputError):
        catalogue(workspace)


def test_every_shipped_category_speaks_three_ways() -> None:
    for category in catalogue(None).category:
        assert all((category.title.ja, category.title.en, category.title.easy)), category.code
