"""The page モデル更新: the differences are shown, and the change is a planner's job."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest
from tests import small_city

import citymap.ui
from citymap.assess.verdict_history import Word
from citymap.jobs.kinds import KINDS, Context
from citymap.model.columns import BUILDINGS
from citymap.operations import editions
from citymap.plateau.compare import compare
from citymap.progress import Quiet
from citymap.store import Store, jobs
from citymap.ui import building_card
from citymap.workspace import Workspace, write_table

PAGE = Path(citymap.ui.__file__).parent / "screens" / "model_update.py"


@pytest.fixture
def town(town: Workspace) -> Workspace:
    """A town whose edition 2025 has lost its first building."""
    stage = editions.staged(town, "2025")
    small_city.make(stage.root)
    table = pq.read_table(town.buildings)
    write_table(stage.buildings, table.slice(1).replace_schema_metadata(None), BUILDINGS)
    folder = editions.comparison(town, "2025")
    changes = compare(town.buildings, stage.buildings, folder, epsg=6677, progress=Quiet())
    one = editions.Edition("2025", "2026-01-01T00:00:00+00:00", {}, (), {}, changes)
    editions._write(town, one)
    return town


def run() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert not at.exception, at.exception
    return at


def test_the_differences_are_counted_listed_and_searched(town: Workspace, store: Store) -> None:
    at = run()
    said = "".join(h.proto.body for h in at.get("html"))
    assert "なくなった<br><strong>1</strong>" in said
    assert "同じ<br><strong>11</strong>" in said
    assert len(at.get("bidi_component")) == 1  # the map
    table = at.dataframe[0].value
    assert table["今の建物ID"].tolist() == ["09999-bldg-0"]
    at.text_input(key="model_search").set_value("nothing").run()
    assert not at.exception, at.exception
    assert len(at.dataframe[0].value) == 0


def test_the_change_must_be_meant_and_is_a_job(town: Workspace, store: Store) -> None:
    at = run()
    assert at.button(key="model_activate").disabled
    at.checkbox(key="model_sure").check().run()
    at.button(key="model_activate").click().run()
    assert not at.exception, at.exception
    (job,) = jobs.listed(store)
    assert (job.kind, job.params) == ("model_activate", {"name": "2025"})
    kind = KINDS.load()["model_activate"]
    done = kind.run(Context(town, Quiet(), print, store, job), job.params)
    assert done["before"] == "first"
    assert pq.read_metadata(town.buildings).num_rows == 11
    at = run()
    assert at.subheader[0].value == "使っている版: 2025"
    at.button(key="model_rollback").click().run()
    assert [j.kind for j in jobs.listed(store)].count("model_rollback") == 1


def test_where_there_is_no_other_edition_the_page_says_what_to_do(
    town: Workspace, store: Store
) -> None:
    editions.drop(town, "2025")
    at = run()
    assert any("横に置いた版はありません" in i.value for i in at.info)


def test_an_import_is_started_with_its_name_and_place(town: Workspace, store: Store) -> None:
    at = run()
    at.text_input(key="model_add_name").set_value("2026")
    at.text_input(key="model_add_source").set_value("/srv/plateau/2026")
    at.button[-1].click().run()
    assert not at.exception, at.exception
    found = {j.kind: j.params for j in jobs.listed(store)}
    assert found == {"model_add": {"name": "2026", "source": "/srv/plateau/2026"}}


def test_the_card_of_a_building_shows_what_was_said_of_it_before() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    words = [
        Word(at, "model", "new", "leave", 2.0, "2025", "overlap"),
        Word(at, "exposure", "<old>", None, None, None, None),
    ]
    said = building_card.history(words)
    assert said.index("立退き避難") < said.index("建物がなくなりました")
    assert "&lt;old&gt;" in said
    assert "版の切替え ・ 2025" in said


def test_when_the_edition_came_into_force_is_said_by_the_clock_of_japan(
    town: Workspace, store: Store
) -> None:
    force = {"name": "2026", "since": "2026-01-01T00:00:00+00:00", "by": "sato"}
    (town.root / editions.IN_FORCE).write_text(json.dumps(force))
    assert any("2026-01-01 09:00:00" in c.value for c in run().caption)
