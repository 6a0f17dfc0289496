"""Every page draws, says its errors, and steers the map by the rules it counts with."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import citymap.ui
from citymap.workspace import Workspace

UI = Path(citymap.ui.__file__).parent
PAGES = sorted(p for p in (UI / "screens").glob("*.py") if p.stem != "__init__")


def run(name: str, **query: str) -> AppTest:
    at = AppTest.from_file(str(UI / "screens" / f"{name}.py"), default_timeout=30)
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception, at.exception
    return at


def html(at: AppTest) -> str:
    return " ".join(element.proto.body for element in at.get("html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
@pytest.mark.parametrize("lang", ["ja", "en"])
def test_a_page_draws_in_each_language(city: Workspace, page: Path, lang: str) -> None:
    at = run(page.stem, lang=lang)
    assert len(at.get("bidi_component")) == (
        0 if page.stem in {"jobs", "building_list", "layers", "live", "model_update"} else 1
    ), [e.value for e in (*at.error, *at.warning, *at.info)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_without_a_city_says_what_to_do(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITYMAP_CITY", raising=False)
    at = run(page.stem)
    assert "CITYMAP_CITY" in at.info[0].value
    assert len(at.error) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_stays_thin(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) < 200


def test_an_address_that_is_no_page_is_said_once(city: Workspace) -> None:
    at = AppTest.from_file(str(UI / "main.py"), default_timeout=30)
    at.query_params["lang"] = "en"
    at.query_params["missing"] = "1"
    at.run()
    assert "no page at that address" in at.toast[0].value
    assert "missing" not in at.query_params


def test_main_navigates(city: Workspace) -> None:
    at = AppTest.from_file(str(UI / "main.py"), default_timeout=30).run()
    assert not at.exception


def test_the_staff_page_counts_the_whole_city_before_the_map_answers(city: Workspace) -> None:
    assert "12 棟" in html(run("hazard_buildings"))


def test_a_filter_reduces_the_count_and_can_be_cleared(city: Workspace) -> None:
    at = run("hazard_buildings")
    at.multiselect(key="f_usage").set_value([0]).run()
    assert "4 棟" in html(at)
    at.button(key="reset_filters").click().run()
    assert "12 棟" in html(at)


def test_a_river_keeps_only_buildings_with_a_recorded_depth(city: Workspace) -> None:
    at = run("hazard_buildings")
    at.selectbox(key="f_river").set_value(("river_flood", "みどり川")).run()
    assert "6 棟" in html(at)


def test_storeys_unknown_are_left_out_of_a_narrowed_range(city: Workspace) -> None:
    at = run("hazard_buildings")
    at.slider(key="f_storeys").set_value((2, 4)).run()
    known = html(at)
    assert "12 棟" not in known


def test_a_colouring_shows_legend_and_counts_with_the_missing_hatched(city: Workspace) -> None:
    at = run("hazard_buildings")
    at.selectbox(key="colour").set_value("measured_height_m").run()
    shown = html(at)
    assert "8m以上" in shown and "記録なし" in shown and "cm-hatch" in shown


def test_search_finds_and_opens_the_card(city: Workspace) -> None:
    at = run("hazard_buildings")
    at.text_input(key="query").set_value("小学校").run()
    at.button(key="hit_0").click().run()
    shown = html(at)
    assert "緑川小学校" in shown and "みどり川" in shown and "準耐火造" in shown
    at.button(key="close_card").click().run()
    assert "準耐火造" not in html(at)


def test_search_without_result_says_so(city: Workspace) -> None:
    at = run("hazard_buildings")
    at.text_input(key="query").set_value("存在しない町").run()
    assert any("見つかりません" in c.value for c in at.caption)
