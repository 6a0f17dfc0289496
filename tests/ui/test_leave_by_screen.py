"""The page 退避期限: nothing goes to residents by accident, and what goes can be taken back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from tests.live.test_leave_by_release import result

import citymap.ui
from citymap.assess.leave_by_classes import NEVER, NO_WAY, UNKNOWN, classes
from citymap.live import leave_by, orders
from citymap.store import Store
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "leave_by.py"


@pytest.fixture
def town(town: Workspace) -> Workspace:
    result(town)
    return town


def run() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert not at.exception, at.exception
    return at


def press(at: AppTest, label: str) -> None:
    next(b for b in at.button if b.label == label).click().run()
    assert not at.exception, at.exception


def test_it_is_released_with_start_margin_and_name_and_taken_back(
    town: Workspace, store: Store
) -> None:
    day = date.today() + timedelta(days=400)
    at = run()
    assert any("公開していません" in c.value for c in at.caption)
    assert at.text_input(key="leave_by_title").value == "みどり川 決壊"
    at.date_input(key="leave_by_day").set_value(day)
    at.time_input(key="leave_by_time").set_value(time(13, 0))
    at.number_input(key="leave_by_margin").set_value(20.0)
    press(at, "住民に公開する")
    assert leave_by.current(store) is None  # nobody has ticked the box
    at.checkbox(key="leave_by_sure").check()
    press(at, "住民に公開する")
    found = leave_by.current(store)
    assert found is not None
    assert found.start == datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    assert (found.margin_min, found.scenario, found.drill) == (20.0, "みどり川 決壊", False)
    assert any("みどり川 決壊" in s.value for s in at.success)
    press(at, "公開をやめる")
    assert leave_by.current(store) is None
    assert len(at.dataframe[0].value) == 2


def test_during_a_drill_it_is_released_as_one(town: Workspace, store: Store) -> None:
    orders.give(store, "drill", level=4, by="x")
    at = run()
    at.checkbox(key="leave_by_sure").check()
    press(at, "住民に公開する")
    found = leave_by.current(store)
    assert found is not None and found.drill
    assert any("訓練" in w.value for w in at.warning)


def test_newer_closures_are_a_warning(town: Workspace, store: Store) -> None:
    assert not any("通行止め" in w.value for w in run().warning)
    (town.root / "closures.geojson").write_text('{"type":"FeatureCollection","features":[]}')
    assert any("通行止め" in w.value for w in run().warning)


def test_the_buildings_are_coloured_and_the_unknown_is_hatched(
    town: Workspace, store: Store
) -> None:
    found = classes(town, leave_by.results(town)["plan"], "impaired").tolist()
    assert found == [3, 4, NO_WAY, *[UNKNOWN] * 9]  # 2 h, 5 h, no way, and nobody computed the rest
    assert classes(town, leave_by.results(town)["plan"], "adult").tolist()[:2] == [4, NEVER]
    shown = " ".join(e.proto.body for e in run().get("html"))
    assert "分からない：9 棟" in shown and "道は断たれない：1 棟" in shown and "cm-hatch" in shown
