"""The page 避難シミュレーション: a plan becomes a job, results are read, districts told, plans compared and kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).parents[1]))
import citymap.ui
import evacuation_city
from citymap.errors import BadInputError
from citymap.evacuation import plans
from citymap.evacuation.scenario import scenario_of
from citymap.jobs import KINDS
from citymap.store import Store, jobs
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "evacuation.py"


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = evacuation_city.make(tmp_path / "town")
    monkeypatch.setenv("CITYMAP_CITY", str(workspace.root))
    return workspace


def open_page(**state: object) -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=60)
    for key, value in state.items():
        at.session_state[key] = value
    at.run()
    assert not at.exception, at.exception
    return at


def press(at: AppTest, label: str) -> None:
    next(b for b in at.button if b.label == label).click().run()
    assert not at.exception, at.exception


def said(at: AppTest) -> str:
    return "\n".join(m.value for m in [*at.markdown, *at.sidebar.markdown])


def test_what_is_asked_for_becomes_the_job(town: Workspace, store: Store) -> None:
    at = open_page()
    assert any("まだありません" in i.value for i in at.info)
    assert next(b for b in at.button if b.label == "計算を始める").disabled
    at.text_input(key="evacuation_name").set_value("夜の計画").run()
    at.selectbox(key="evacuation_flood").set_value(evacuation_city.FLOOD).run()
    at.number_input(key="evacuation_order").set_value(0.25).run()
    at.selectbox(key="evacuation_curve").set_value("window").run()
    at.selectbox(key="evacuation_knowledge").set_value("full").run()
    at.slider(key="evacuation_compliance").set_value(80).run()
    at.toggle(key="evacuation_estimated").set_value(False).run()
    at.number_input(key="evacuation_people").set_value(500).run()
    press(at, "計算を始める")
    (job,) = jobs.listed(store)
    assert job.kind == "evacuate"
    given = scenario_of(dict(job.params["scenario"])).evacuation
    assert given.flood == f"scenarios/{evacuation_city.FLOOD}"
    assert job.params["leave_by"] is True
    assert (given.order_time_h, given.compliance, given.knowledge) == (0.25, 0.8, "full")
    assert given.hazard == "flood"
    assert given.departure.curve == "window"
    assert given.population.from_buildings == 500
    assert KINDS.load()["evacuate"]  # somebody takes such jobs


def test_a_name_that_is_taken_starts_nothing(town: Workspace, store: Store) -> None:
    at = open_page()
    at.text_input(key="evacuation_name").set_value(evacuation_city.FLOOD).run()
    press(at, "計算を始める")
    assert any("もうあります" in e.value for e in at.error)
    assert jobs.listed(store) == []


def test_the_hazard_is_that_of_the_flood_result_and_can_be_another(
    town: Workspace, store: Store
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = town.places / "shelters.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("tsunami", pa.array([True, None], pa.bool_())), path)
    (town.scenario(evacuation_city.FLOOD) / "scenario.toml").write_text(
        '[flood]\n[[flood.boundary]]\nside = "west"\ntype = "stage"\nstage_m = [[0, 2.0]]\n'
    )
    at = open_page()
    at.selectbox(key="evacuation_flood").set_value(evacuation_city.FLOOD).run()
    hazard = at.selectbox(key=f"evacuation_hazard_{evacuation_city.FLOOD}")
    assert hazard.value == "tsunami"  # the level of the sea, and the only one with shelters
    assert "津波（指定 1 か所）" in hazard.options
    assert not any("指定された避難場所" in w.value for w in at.warning)
    hazard.set_value("storm_surge").run()
    assert any("指定された避難場所が一覧にありません" in w.value for w in at.warning)
    at.selectbox(key=f"evacuation_hazard_{evacuation_city.FLOOD}").set_value("tsunami").run()
    at.text_input(key="evacuation_name").set_value("津波の計画").run()
    press(at, "計算を始める")
    (job,) = jobs.listed(store)
    assert scenario_of(dict(job.params["scenario"])).evacuation.hazard == "tsunami"


def test_what_is_not_known_is_drawn_in_every_run(town: Workspace, store: Store) -> None:
    at = open_page()
    at.text_input(key="evacuation_name").set_value("くりかえし").run()
    at.selectbox(key="evacuation_flood").set_value(evacuation_city.FLOOD).run()
    at.select_slider(key="evacuation_replicates").set_value(10).run()
    at.slider(key="evacuation_compliance_between_70").set_value((60, 90)).run()
    at.slider(key="evacuation_order_delay").set_value((0.0, 0.5)).run()
    at.number_input(key="evacuation_stop_ci").set_value(20).run()
    press(at, "計算を始める")
    (job,) = jobs.listed(store)
    given = scenario_of(dict(job.params["scenario"])).evacuation
    assert (given.replicates, given.stop_ci) == (10, 20.0)
    assert given.spread.compliance == (0.6, 0.9)
    assert given.spread.order_delay_h == (0.0, 0.5)
    assert given.spread.flood_delay_h == (0.0, 0.0) and given.spread.car_share is None


def test_the_name_of_a_run_that_was_stopped_may_be_used_again(
    town: Workspace, store: Store
) -> None:
    stopped = town.scenario("止めた計画")
    stopped.mkdir()
    (stopped / "scenario.toml").write_text("[evacuation]\n")
    plans.free(town, "止めた計画")
    with pytest.raises(BadInputError):
        plans.free(town, "止めた計画", busy={"止めた計画"})
    (stopped / "people.parquet").write_bytes(b"")
    with pytest.raises(BadInputError):
        plans.free(town, "止めた計画")


def test_results_are_read_districts_told_and_plans_compared(town: Workspace, store: Store) -> None:
    evacuation_city.planned(town, "早い")
    evacuation_city.planned(town, "遅い", order_time_h=0.6)
    at = open_page()
    assert at.selectbox(key="evacuation_plan").options == ["早い", "遅い"]
    summary = plans.entry(town, "早い").summary
    assert summary is not None
    assert f"逃げ遅れた: **{summary['stranded']}**" in said(at)
    assert {s.value for s in at.subheader} >= {
        "着いた人・移動中の人",
        "避難場所の混み具合",
        "逃げ遅れた人",
        "ボトルネックの道",
    }
    at.selectbox(key="evacuation_district").set_value("d1").run()
    assert not at.exception
    told = said(at)
    assert "対象: 120 人" in told
    assert "までに家を出る" in told
    at.selectbox(key="evacuation_first").set_value("早い").run()
    at.selectbox(key="evacuation_second").set_value("遅い").run()
    assert not at.exception
    assert "「遅い」は「早い」より逃げ遅れが" in said(at)


def test_back_shows_the_plan_that_the_address_says(town: Workspace, store: Store) -> None:
    for name in ("早い", "遅い"):
        evacuation_city.planned(town, name)
    at = open_page()
    chosen = at.selectbox(key="evacuation_plan")
    assert chosen.value == at.query_params["plan"] == "早い"
    chosen.set_value("遅い").run()
    assert at.query_params["plan"] == "遅い"
    at.query_params["plan"] = "早い"
    at.run()
    assert at.selectbox(key="evacuation_plan").value == at.query_params["plan"] == "早い"


def test_plans_with_repeated_runs_are_compared_with_intervals(
    town: Workspace, store: Store
) -> None:
    for name, order in (("甲", 0.0), ("乙", 0.6)):
        evacuation_city.planned(town, name, order_time_h=order, replicates=4)
    at = open_page()
    assert any("95 % 信頼区間" in c.value and "4 回" in c.value for c in at.sidebar.caption)
    at.selectbox(key="evacuation_first").set_value("甲").run()
    at.selectbox(key="evacuation_second").set_value("乙").run()
    assert any("4 組の差" in c.value for c in at.caption)


def test_a_plan_is_deleted_only_when_one_is_sure(town: Workspace, store: Store) -> None:
    evacuation_city.planned(town, "いらない")
    at = open_page()
    at.selectbox(key="evacuation_edit").set_value("いらない").run()
    assert next(b for b in at.button if b.label == "削除する").disabled
    at.checkbox(key="evacuation_sure_いらない").set_value(True).run()
    press(at, "削除する")
    assert plans.entries(town) == []
    assert town.scenario(evacuation_city.FLOOD).is_dir()
