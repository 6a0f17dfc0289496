"""The page ライブ情報: unknown is said, staff's word reaches the store, and a broken feed is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import citymap.ui
from citymap.errors import BadInputError
from citymap.live import feed_state, feeds, levels, overrides, stations
from citymap.live.stations import Station
from citymap.store import Store, jobs
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "live.py"


@pytest.fixture
def town(town: Workspace) -> Workspace:
    stations.add(town, [Station("1", "大橋", "川", "river", 139.6, 36.3, 2.0, 3.0, 4.0, 5.0)])
    return town


def run() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not at.exception, at.exception
    return at


def test_a_silent_gauge_reads_unknown_and_no_feed_is_not_no_warning(
    town: Workspace, store: Store
) -> None:
    at = run()
    table = at.dataframe[0].value
    assert list(table["いま"]) == ["？ 不明"]
    assert any("警報がないという意味ではありません" in c.value for c in at.caption)
    assert not at.success


def test_staff_put_their_word_first(town: Workspace, store: Store) -> None:
    levels.record(
        store, [levels.Reading("1", datetime.now(UTC), 1.0)], stations.stations(town), feed="x"
    )
    at = run()
    assert list(at.dataframe[0].value["いま"]) == ["待機水位未満"]
    at.selectbox(key="live_station").set_value("1")
    at.button_group(key="live_state").set_value("value")
    at.number_input(key="live_value").set_value(5.5)
    next(b for b in at.button if b.label == "水位を上書きする").click().run()
    assert not at.exception, at.exception
    (said,) = overrides.history(store)
    assert (said.subject, said.state, said.value) == ("station:1", "value", 5.5)
    assert list(at.dataframe[0].value["いま"]) == ["4 氾濫危険水位以上"]
    at.button_group(key="live_state").set_value("value")
    at.number_input(key="live_value").set_value(None)
    next(b for b in at.button if b.label == "水位を上書きする").click().run()
    assert len(overrides.history(store)) == 1 and at.error  # a value without a value is refused


def test_a_form_that_lacks_a_choice_says_so(town: Workspace, store: Store) -> None:
    at = run()
    next(b for b in at.button if b.label == "水位を上書きする").click().run()
    assert not overrides.history(store)
    assert any("選んでください" in w.value for w in at.warning)


def test_a_feed_that_fails_says_why_and_can_be_asked(town: Workspace, store: Store) -> None:
    folder = feeds.folder(town)
    folder.mkdir(parents=True)
    (folder / "jma.toml").write_text(
        'id = "jma"\nkind = "warnings"\nfolder = "x"\n', encoding="utf-8"
    )
    (one,) = feeds.feeds(town)
    feed_state.claim(store, one)
    feed_state.failed(store, one, BadInputError("live_no_files", place="x"))
    at = run()
    assert any("読めるファイルがありません" in e.value for e in at.error)
    assert any("不明" in w.value for w in at.warning)
    at.button(key="live_ask").click().run()
    assert not at.exception, at.exception
    assert [j.kind for j in jobs.listed(store)] == ["live"]


def test_a_broken_set_up_is_said_and_the_page_stands(town: Workspace, store: Store) -> None:
    folder = feeds.folder(town)
    folder.mkdir(parents=True)
    (folder / "x.toml").write_text("[[[", encoding="utf-8")
    at = run()
    assert any("x.toml" in e.value for e in at.error)
