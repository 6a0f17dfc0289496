"""The page 建物一覧と集計: what it lists is what was chosen, and it says what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import citymap.ui
import small_city
from citymap.assess.exposure import compute
from citymap.progress import Quiet
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "building_list.py"


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    city = small_city.make(tmp_path / "city", 120)
    compute(city, progress=Quiet())
    monkeypatch.setenv("CITYMAP_CITY", str(city.root))
    return city


def run() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not at.exception, at.exception
    return at


def html(at: AppTest) -> str:
    return " ".join(element.proto.body for element in at.get("html"))


def test_only_a_page_of_rows_is_sent(judged: Workspace) -> None:
    at = run()
    assert "120 棟／全 120 棟" in html(at)
    assert len(at.dataframe[0].value) == 50
    at.number_input(key="list_page").set_value(3).run()
    assert len(at.dataframe[0].value) == 20


def test_search_and_filters_change_the_list_and_the_count(judged: Workspace) -> None:
    at = run()
    at.text_input(key="list_text").set_value("緑川小学校").run()
    assert "1 棟／全 120 棟" in html(at)
    at.text_input(key="list_text").set_value("").run()
    at.multiselect(key="list_usages").set_value(["学校"]).run()
    assert "40 棟／全 120 棟" in html(at)
    assert set(at.dataframe[0].value["用途"]) == {"学校"}
    at.number_input(key="list_page")  # one page only: still there
    at.text_input(key="list_text").set_value("どこにもない").run()
    assert any("条件に合う建物がありません" in info.value for info in at.info)


@pytest.mark.parametrize("by", ["district", "depth_class", "verdict", "usage"])
def test_totals_by_each_group(judged: Workspace, by: str) -> None:
    at = run()
    at.segmented_control(key="list_by").set_value(by).run()
    assert not at.exception
    totals = at.dataframe[1].value
    assert int(np.sum(totals["棟数"])) == 120


def test_another_set_is_another_table(judged: Workspace) -> None:
    at = run()
    names = at.selectbox(key="list_set").options
    assert names[0] == "すべての組の最悪"
    at.selectbox(key="list_set").set_value("risk-river_flood-みどり川-L2").run()
    assert not at.exception


def test_without_exposure_it_says_what_to_run(city: Workspace) -> None:
    at = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert any("citymap exposure" in info.value for info in at.info)
