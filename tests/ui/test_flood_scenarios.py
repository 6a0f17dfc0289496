"""The page 浸水シナリオ: a plan becomes a scenario and a job, results are shown, compared and kept in order."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine
from streamlit.testing.v1 import AppTest
from tests import small_city

import citymap.ui
from citymap import crs
from citymap.assess import flood_view
from citymap.assess.depth_classes import STANDARD
from citymap.errors import BadInputError
from citymap.flood import library
from citymap.flood import run as runs
from citymap.flood.scenario import read
from citymap.store import Store, engine, jobs, shared_store
from citymap.ui import flood_desk, map_frame
from citymap.ui.map_frame import MapEvents
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "flood_scenarios.py"
AT = (small_city.WEST + 0.003, small_city.SOUTH + 0.001)


def plan(name: str, **changed: object) -> library.Plan:
    values: dict[str, object] = {
        "name": name, "note": "", "cell_m": 10.0, "duration_h": 0.3, "buildings": "ignore", "breach_lon_lat": AT,
        "width_m": 30.0, "start_h": 0.0, "growth_h": 0.1, "stage_m": 103.0, "recede_m": 0.5, "rain_mm_h": 0.0,
        "rain_hours": 0.0,
    }  # fmt: skip
    return library.Plan(**(values | changed))  # type: ignore[arg-type]


def computed(town: Workspace, made: library.Plan) -> Path:
    folder = library.write(town, made.name, library.text_of(made))
    runs.run(read(folder / "scenario.toml", city=town.root), folder, epsg=6677)
    return folder


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = small_city.make(tmp_path / "town")
    x0, y0 = (
        float(v) for v in crs.project(small_city.WEST - 0.001, small_city.SOUTH - 0.002, 6677)
    )
    z = 100 + 0.002 * np.mgrid[0:60, 0:140][0][::-1]
    with rasterio.open(
        workspace.terrain, "w", driver="GTiff", width=140, height=60, count=1, dtype="float32", crs="EPSG:6677",
        transform=Affine(10, 0, x0, 0, -10, y0 + 600), nodata=float("nan"),
    ) as out:  # fmt: skip
        out.write(z.astype(np.float32), 1)
        out.update_tags(VERTICAL_DATUM="T.P.")
    monkeypatch.setenv("CITYMAP_CITY", str(workspace.root))
    return workspace


@pytest.fixture
def store(town: Workspace) -> Iterator[Store]:
    yield shared_store(town)
    if (
        used := engine._SHARED.pop(str(town.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


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


def test_a_plan_becomes_a_scenario_and_a_job_of_its_own(town: Workspace, store: Store) -> None:
    at = open_page(**{flood_desk.AT: AT})
    begin = next(b for b in at.button if b.label == "計算を始める")
    assert begin.disabled
    at.text_input(key="flood_name").set_value("左岸").run()
    press(at, "計算を始める")
    (job,) = jobs.listed(store)
    assert (job.kind, dict(job.params)) == ("flood", {"name": "左岸"})
    made = read(town.scenario("左岸") / "scenario.toml", city=town.root).flood
    assert made.breach[0].at == pytest.approx(AT)
    ground = 100 + 0.002 * 30
    assert made.breach[0].river_stage_m[0][1] == pytest.approx(ground + 2.0, abs=0.1)  # type: ignore[index]


def test_a_rain_area_is_drawn_corner_by_corner(town: Workspace, store: Store) -> None:
    west, south = AT
    ring = [(west, south), (west + 0.002, south), (west + 0.002, south + 0.002)]
    at = open_page(**{flood_desk.AREA: ring[:2]})
    at.selectbox(key="flood_preset").set_value("rain").run()
    at.text_input(key="flood_name").set_value("夕立").run()
    assert any("角 2 個" in c.value for c in at.caption)
    assert next(b for b in at.button if b.label == "計算を始める").disabled
    at.session_state[flood_desk.AREA] = ring
    at.run()
    press(at, "計算を始める")
    rain = read(town.scenario("夕立") / "scenario.toml", city=town.root).flood.rain
    assert rain is not None
    assert rain.area == [pytest.approx(c) for c in ring]
    press(at, "一つ戻す")
    assert at.session_state[flood_desk.AREA] == ring[:2]
    press(at, "範囲を消す")
    assert at.session_state[flood_desk.AREA] == []


def test_without_a_breach_point_nothing_starts(town: Workspace, store: Store) -> None:
    at = open_page()
    at.text_input(key="flood_name").set_value("左岸").run()
    assert next(b for b in at.button if b.label == "計算を始める").disabled
    assert any("破堤点" in w.value for w in at.warning)


def test_a_breach_on_a_building_is_refused_at_the_press(town: Workspace, store: Store) -> None:
    roof = (small_city.WEST + 0.0031, small_city.SOUTH + 0.0001)  # of the fourth box, 18 × 22 m
    at = open_page(**{flood_desk.AT: roof})
    at.text_input(key="flood_name").set_value("左岸").run()
    assert any("建物の上" in e.value for e in at.error)
    assert next(b for b in at.button if b.label == "計算を始める").disabled
    at.selectbox(key="flood_treatment_planned").set_value("porosity").run()
    assert not at.error
    assert not next(b for b in at.button if b.label == "計算を始める").disabled


def played(at: AppTest) -> dict[str, object] | None:
    """What the page asks the map to play: the layer in the description of the view."""
    state = at.session_state
    keys = [k for k in ("flood_result", "flood_versus", "flood_how") if k in state]
    has = {k: state[k] for k in keys}
    name, versus, how = (has.get(f"flood_{k}") for k in ("result", "versus", "how"))
    shown = flood_desk.Shown(name or None, versus or None, how or "side")
    made = [
        one for one in flood_desk.layers(shown, {}, Workspace(Path("none"))) if one.id == "water"
    ]
    return dict(vars(made[0])) if made else None


def test_results_are_played_compared_and_kept_in_order(town: Workspace, store: Store) -> None:
    folder = computed(town, plan("狭い"))
    computed(town, plan("広い", width_m=90.0))
    at = open_page()
    assert at.selectbox(key="flood_result").options == ["（出さない）", "広い", "狭い"]
    assert played(at)["name"] == "広い"  # type: ignore[index]
    at.selectbox(key="flood_versus").set_value("狭い").run()
    at.button_group(key="flood_how").set_value("difference").run()
    assert not at.exception
    assert at.query_params["how"] == "difference"
    assert (played(at) or {})["versus"] == "狭い"
    at.selectbox(key="flood_result").set_value("").run()
    assert at.query_params["flood"] == "-"
    at.selectbox(key="flood_first").set_value("狭い").run()
    at.selectbox(key="flood_second").set_value("広い").run()
    assert any("深くなる所" in m.label and m.value != "0.00 ha" for m in at.metric)
    press(at, "差を地図に重ねる")
    assert (at.query_params["flood"], at.query_params["versus"]) == ("狭い", "広い")
    assert (played(at) or {})["how"] == "difference"
    at.selectbox(key="flood_edit").set_value("狭い").run()
    press(at, "結果を見る")
    assert (played(at) or {})["name"] == "狭い"
    assert "versus" not in at.query_params
    at.text_input(key="flood_new_name_狭い").set_value("細い")
    press(at, "名前を変える")
    assert not folder.exists()
    assert at.selectbox(key="flood_edit").value == "細い"
    assert at.query_params["flood"] == "細い"
    assert at.text_input(key="flood_new_name_細い").value == "細い 2"
    at.text_input(key="flood_new_name_細い").set_value("写し")
    press(at, "条件を複製する")
    assert [e.name for e in library.entries(town)] == ["写し", "広い", "細い"]
    assert at.selectbox(key="flood_edit").value == "写し"
    at.checkbox(key="flood_sure_写し").set_value(True).run()
    press(at, "削除する")
    assert [e.name for e in library.entries(town)] == ["広い", "細い"]


def test_a_result_says_what_it_was_computed_from(town: Workspace, store: Store) -> None:
    folder = computed(town, plan("左岸", rain_mm_h=10.0, rain_hours=0.2))
    told = "\n".join(m.value for m in open_page().markdown)
    assert "幅 30 m" in told
    assert "標高 103.00 m" in told
    assert "雨: 10 mm/時を 0.2 時間、全域" in told
    assert "深さ 0–0.5 m: " in told
    assert any("水深 1 cm 以上" in c.value for c in open_page().caption)
    file = folder / "scenario.toml"
    later = (folder / "summary.json").stat().st_mtime_ns + 10**9
    os.utime(file, ns=(later, later))  # changed by hand since: it may say what was not computed
    told = "\n".join(m.value for m in open_page().markdown)
    assert "破堤: " not in told
    assert "深さ 0–0.5 m: " in told


def test_a_link_to_a_result_that_is_gone_shows_no_other(town: Workspace, store: Store) -> None:
    computed(town, plan("左岸"))
    at = AppTest.from_file(str(PAGE), default_timeout=60)
    at.query_params["flood"] = "消した"
    at.run().run()
    assert any("消した" in w.value for w in at.main.warning)
    assert at.selectbox(key="flood_result").value == ""
    at.selectbox(key="flood_result").set_value("左岸").run()
    assert not any("消した" in w.value for w in at.main.warning)


def test_back_and_forward_go_before_what_the_session_chose(town: Workspace, store: Store) -> None:
    computed(town, plan("左岸"))
    computed(town, plan("右岸"))
    at = open_page()
    first = at.query_params["flood"]
    other = "左岸" if "右岸" in first else "右岸"
    at.selectbox(key="flood_result").set_value(other).run()
    at.selectbox(key="flood_versus").set_value("左岸" if other == "右岸" else "右岸").run()
    at.query_params["flood"] = first
    del at.query_params["versus"]
    at.run()
    assert at.selectbox(key="flood_result").value != other
    assert at.selectbox(key="flood_versus").value == ""


def test_a_name_of_markdown_marks_stays_what_it_is(town: Workspace, store: Store) -> None:
    name = "左岸 *1* $a$ ~b~"
    library.write(town, name, library.text_of(plan(name)))
    jobs.submit(store, "flood", {"name": name}, by="職員", lane="flood", attempts=1)
    at = open_page()
    assert any(r"「左岸 \*1\* \$a\$ \~b\~」" in m.value for m in at.markdown)
    assert r"\*1\*" in at.checkbox(key=f"flood_sure_{name}").label


def test_the_note_says_when_the_figures_of_a_preset_were_changed(
    town: Workspace, store: Store
) -> None:
    at = open_page(**{flood_desk.AT: AT})
    at.text_input(key="flood_name").set_value("そのまま").run()
    press(at, "計算を始める")
    at.text_input(key="flood_name").set_value("広げた").run()
    at.number_input(key="flood_width_planned").set_value(200.0).run()
    press(at, "計算を始める")
    notes = {e.name: e.note for e in library.entries(town)}
    assert notes["そのまま"] == "破堤（計画規模くらい）"
    assert notes["広げた"] == "破堤（計画規模くらい）から数値を変えたもの"


def pressed(*places: tuple[float, float]) -> MapEvents:
    return MapEvents(True, None, None, None, {}, places[-1], places)


def test_quick_presses_are_corners_each_of_them(
    town: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    state: dict[str, object] = {flood_desk.DRAWS: "area"}
    monkeypatch.setattr(flood_desk.st, "session_state", state)
    monkeypatch.setattr(flood_desk.st, "rerun", lambda: None)
    flood_desk.remember(pressed((139.0, 36.0)))
    flood_desk.remember(pressed((139.1, 36.0), (139.1, 36.1)))
    assert state[flood_desk.AREA] == [(139.0, 36.0), (139.1, 36.0), (139.1, 36.1)]
    click = {"lon": 3, "lat": 3, "since": "a", "count": 3, "places": [[1, 1], [2, 2], [3, 3]]}
    assert map_frame._unseen("m", {**click, "count": 1, "places": [[1, 1]]}) == ((1, 1),)
    assert map_frame._unseen("m", click) == ((2, 2), (3, 3))  # the second was overtaken
    assert map_frame._unseen("m", {**click, "since": "b"}) == ((1, 1), (2, 2), (3, 3))
    assert map_frame._unseen("m", {}) == ()


def test_a_scenario_is_begun_from_another_and_changed(town: Workspace, store: Store) -> None:
    ring = [(AT[0], AT[1]), (AT[0] + 0.002, AT[1]), (AT[0] + 0.002, AT[1] + 0.002)]
    first = plan("もと", rain_mm_h=30.0, rain_hours=2.0, rain_area=tuple(ring), edges="wall")
    library.write(town, "もと", library.text_of(first))
    foreign = library.text_of(first).replace(
        'buildings = "ignore"', 'buildings = "ignore"\nscheme = "hllc"'
    )
    library.write(town, "画面にない指定", foreign)
    at = open_page()
    assert at.selectbox(key="flood_preset").options[-1] == "「もと」と同じ条件から"
    at.selectbox(key="flood_preset").set_value("scenario:もと").run()
    at.run()
    assert at.session_state[flood_desk.AT] == AT
    assert at.session_state[flood_desk.AREA] == ring
    at.text_input(key="flood_name").set_value("変えたもの").run()
    at.number_input(key="flood_width_scenario:もと").set_value(55.0).run()
    press(at, "計算を始める")
    changed = read(town.scenario("変えたもの") / "scenario.toml", city=town.root).flood
    was = read(town.scenario("もと") / "scenario.toml", city=town.root).flood
    assert changed.breach[0].width_m == 55.0
    assert changed.model_copy(update={"breach": was.breach}) == was


def test_how_a_run_ended_stands_in_the_table(town: Workspace, store: Store) -> None:
    for name in ("止まった", "断られた", "動いている"):
        library.write(town, name, library.text_of(plan(name)))
    (town.scenario("壊れた")).mkdir()
    (town.scenario("壊れた") / "scenario.toml").write_text(
        "[flood]\nbuildings = 3\n", encoding="utf-8"
    )
    for name in ("止まった", "断られた", "動いている"):
        jobs.submit(store, "flood", {"name": name}, by="職員", lane="flood", attempts=1)
        if name == "動いている":
            continue
        job = jobs.claim(store, "ある作業員")
        assert job is not None
        if name == "止まった":
            jobs.give_back(store, job, why="the worker was stopped")
        else:
            jobs.fail(store, job, {"key": "flood_on_wall", "ja": "壁の上です", "en": "on a wall"})
    at = open_page()
    states = dict(zip(*(at.dataframe[0].value[c] for c in ("シナリオ", "状態")), strict=True))
    assert states == {
        "止まった": "中断",
        "断られた": "失敗",
        "動いている": "計算中",
        "壊れた": "読めない",
    }
    at.selectbox(key="flood_edit").set_value("断られた").run()
    assert any("壁の上" in e.value for e in at.error)
    at.selectbox(key="flood_edit").set_value("壊れた").run()
    assert any("buildings" in e.value for e in at.error)
    assert any("「動いている」の計算" in m.value for m in at.markdown)


def test_a_press_sets_the_breach_only_while_planning(town: Workspace, store: Store) -> None:
    at = open_page(**{flood_desk.AT: AT})
    planned = [layer.id for layer in flood_desk.layers(flood_desk.Shown(None), {}, town)]
    assert planned == []  # outside a session nothing is being planned
    assert "flood_stage_planned_" + str(AT) in [n.key for n in at.number_input]


def test_a_name_that_is_taken_is_refused(town: Workspace) -> None:
    library.write(town, "a", library.text_of(plan("a")))
    with pytest.raises(BadInputError):
        library.write(town, "a", library.text_of(plan("a")))
    with pytest.raises(BadInputError):
        library.write(town, "../a", library.text_of(plan("a")))
    library.write(town, "b", library.text_of(plan("b")))
    with pytest.raises(BadInputError):
        library.rename(town, "a", "b")
    with pytest.raises(BadInputError):
        library.delete(town, "c")


def test_curves_lie_where_the_water_is(town: Workspace) -> None:
    folder = computed(town, plan("一つ"))
    found = flood_view.curve(folder, *AT)
    assert found is not None
    hours, depths = found
    assert hours[0] == 0
    assert hours[-1] == pytest.approx(0.3)
    assert depths[0] == 0
    assert max(depths) > 0.1
    assert flood_view.curve(folder, 0.0, 0.0) is None


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_pictures_of_two_results_show_water_dry_ground_and_walls(town: Workspace) -> None:
    less = computed(town, plan("少ない", buildings="block"))
    more = computed(town, plan("多い", buildings="block", stage_m=104.0))
    made = flood_view.compared(less, more)
    assert made.areas["deeper_m2"] > made.areas["shallower_m2"]
    before, after, change = (pixels(p) for p in (made.before, made.after, made.change))
    with rasterio.open(less / "max_depth.tif") as source:
        depth = source.read(1)
    assert before.shape == after.shape == change.shape
    assert before.shape[1] < depth.shape[1]  # cut to where there is water
    for colour in (flood_view.DRY, flood_view.WALL):
        assert (before == colour).all(axis=2).any()
    wet = sum((before == c.colour).all(axis=2).sum() for c in STANDARD)
    assert wet == (np.nan_to_num(depth) >= 0.01).sum()
    assert (change == flood_view.MORE[0]).all(axis=2).any()
    assert np.array_equal(pixels(flood_view.peak(more)), after)
    same = flood_view.compared(less, less)
    assert set(same.areas.values()) == {0.0}
    assert same.before == same.after
    with pytest.raises(BadInputError) as caught:
        flood_view.compared(less, computed(town, plan("粗い", cell_m=20.0)))
    assert caught.value.key == "flood_other_grid"


def test_the_cost_grows_with_the_work(town: Workspace) -> None:
    fine = library.cost(town, cell_m=5.0, duration_h=1.0, rain=False)
    assert library.cost(town, cell_m=10.0, duration_h=1.0, rain=False).seconds < fine.seconds
    assert library.cost(town, cell_m=5.0, duration_h=1.0, rain=True).seconds > fine.seconds
    assert fine.cells == 140 * 60 * 4
