"""The page 避難所: openings, edits and orders reach the store, and nothing reads better than known."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from tests import small_city

import citymap.ui
from citymap.live import openings, orders
from citymap.places import edits, import_places
from citymap.store import Store
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "shelters.py"


@pytest.fixture
def town(town: Workspace, tmp_path: Path) -> Workspace:
    (tmp_path / "s.csv").write_text(
        f"ID,名称,緯度,経度,災害種別_洪水\n1,第一小,{small_city.SOUTH},{small_city.WEST},1\n",
        encoding="utf-8",
    )
    import_places(town, [tmp_path / "s.csv"])
    return town


def run() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert not at.exception, at.exception
    return at


def submit(at: AppTest, label: str) -> None:
    next(b for b in at.button if b.label == label).click().run()
    assert not at.exception, at.exception


def test_a_shelter_is_opened_with_its_people(town: Workspace, store: Store) -> None:
    at = run()
    assert any("不明" in c.value for c in at.caption)
    at.selectbox(key="opening_place").set_value("1").run()
    at.button_group(key="opening_state").set_value("open")
    at.number_input(key="opening_people").set_value(12)
    submit(at, "保存する")
    (now,) = openings.current(store).values()
    assert (now.place_id, now.state, now.head_count) == ("1", "open", 12)


def test_an_edit_reaches_the_list_and_its_history(town: Workspace, store: Store) -> None:
    at = run()
    at.selectbox(key="edit_place").set_value("1").run()
    at.text_input(key="e_address").set_value("本町1")
    submit(at, "保存する")
    (made,) = edits.history(town, "shelters", "1")
    assert (made.field, made.before, made.after) == ("address", None, "本町1")


def test_the_switch_says_drill_on_top(town: Workspace, store: Store) -> None:
    at = run()
    at.button_group(key="order_mode").set_value("drill")
    at.selectbox(key="order_level").set_value(4)
    submit(at, "この内容にする")
    assert orders.current(store).mode == "drill"
    assert any("訓練" in w.value for w in at.sidebar.warning)
