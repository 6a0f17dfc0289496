"""Planning a flood on the page 浸水シナリオ: what to begin from, breach, rain, grid; its cost; its start."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from citymap import terrain
from citymap.errors import CitymapError
from citymap.flood import ground, library
from citymap.flood.library import CELLS_M, Cost, Plan
from citymap.ui import flood_runs, job_progress
from citymap.ui.flood_desk import AREA, AT, BREAKS, DRAWS, LEAST_CORNERS, say_error
from citymap.ui.speech import say
from citymap.web.identity import Identity
from citymap.workspace import Workspace

OF_A_SCENARIO = "scenario:"  # before a name: begin from a scenario of the city
STAGE_STEP_M = 0.01  # of the field of the river's level
FILLED = "flood_filled"  # the scenario whose places were put on the map


@dataclass(frozen=True, slots=True)
class Breach:
    """What the form says of the breach; `ready` once it can be computed."""

    at: tuple[float, float] | None
    ready: bool
    stage_m: float = 0.0
    head_m: float = 0.0
    recede_m: float = 0.0
    width_m: float = 0.0
    start_h: float = 0.0
    growth_h: float = 0.0


@dataclass(frozen=True, slots=True)
class Rain:
    """What the form says of the rain; without corners it falls everywhere."""

    mm_per_h: float
    hours: float
    area: tuple[tuple[float, float], ...]

    @property
    def ready(self) -> bool:
        """Whether its area, if any was begun, is one."""
        return not self.falls or not self.area or len(self.area) >= LEAST_CORNERS

    @property
    def falls(self) -> bool:
        """Whether there is any."""
        return self.mm_per_h > 0 and self.hours > 0


@dataclass(frozen=True, slots=True)
class Grid:
    """How it is computed."""

    cell_m: float
    duration_h: float
    treatment: str
    edges: str


def plan_form(workspace: Workspace, me: Identity) -> None:
    """Plan a run: what to begin from, breach point, rain; its cost; start."""
    begun = _beginning(workspace)
    key = st.session_state["flood_preset"]
    name = st.text_input(
        say("flood.name"), max_chars=60, key="flood_name", placeholder=say("flood.name_example")
    )
    left, right = st.columns(2)
    with st.container(border=True):
        grid = _grid_form(begun, key)
    with left:
        breach = _breach_form(workspace, begun, key, grid)
    with right:
        rain = _rain_form(begun, key, with_breach=breach is not None)
    try:
        cost = library.cost(
            workspace, cell_m=grid.cell_m, duration_h=grid.duration_h, rain=rain.falls
        )
    except CitymapError as error:
        say_error(error)
        return
    _cost(cost)
    lacking = _lacking(name, breach, rain)
    if st.button(
        say("flood.begin"), type="primary", icon=":material/play_circle:", disabled=bool(lacking)
    ):
        _begin(workspace, me, name.strip(), breach, rain, grid)
    if lacking:
        st.caption(say("flood.not_ready", what=say("flood.lacking_joint").join(lacking)))


def _lacking(name: str, breach: Breach | None, rain: Rain) -> list[str]:
    """What is still to be given, in words."""
    found = []
    if not name.strip():
        found.append(say("flood.lacking_name"))
    if breach is not None and not breach.ready:
        found.append(say("flood.lacking_breach"))
    if breach is None and not rain.falls:
        found.append(say("flood.lacking_water"))
    if not rain.ready:
        found.append(say("flood.lacking_corners"))
    return found


def _beginning(workspace: Workspace) -> Plan:
    """Choose what to begin from: a preset, nothing, or a scenario of the city."""
    own = library.plans(workspace)
    options = [*library.PRESETS, *(f"{OF_A_SCENARIO}{name}" for name in own)]
    if st.session_state.get("flood_preset") not in (None, *options):
        del st.session_state["flood_preset"]  # the scenario was renamed or deleted

    def called(option: str) -> str:
        name = option.removeprefix(OF_A_SCENARIO)
        return say("flood.preset_as", name=name) if name != option else say(f"flood.preset_{name}")

    preset = st.selectbox(say("flood.preset"), options, format_func=called, key="flood_preset")
    scenario = preset.removeprefix(OF_A_SCENARIO)
    if scenario == preset:
        st.session_state.pop(FILLED, None)
        st.caption(say("flood.preset_note"))
        return library.PRESETS[preset]
    begun = own[scenario]
    if st.session_state.get(FILLED) != scenario:
        st.session_state[FILLED] = scenario
        if begun.breach_lon_lat is not None:
            st.session_state[AT] = begun.breach_lon_lat
        st.session_state[AREA] = list(begun.rain_area)
        st.rerun()  # the map above shows them
    return begun


def _height(workspace: Workspace, at: tuple[float, float]) -> float | None:
    if not workspace.terrain.is_file():
        return None
    z = float(terrain.sample(workspace.terrain, [at[0]], [at[1]])[0])
    return None if math.isnan(z) else z


@st.cache_data(max_entries=50, show_spinner=False)
def _on_building(
    terrain_at: str,
    table: str,
    written_ns: int,  # noqa: ARG001 (another edition of the city is asked anew)
    at: tuple[float, float],
    cell_m: float,
) -> bool:
    return ground.on_building(Path(terrain_at), Path(table), at, cell_m)


def _stands_on_wall(workspace: Workspace, at: tuple[float, float], grid: Grid) -> bool:
    """Whether the run would refuse this breach, or put it on a roof."""
    table = workspace.buildings
    if grid.treatment not in ("block", "raise") or not table.is_file():
        return False
    written = table.stat().st_mtime_ns
    return _on_building(str(workspace.terrain), str(table), written, at, grid.cell_m)


def _breach_form(workspace: Workspace, begun: Plan, key: str, grid: Grid) -> Breach | None:
    """The breach: its place on the map, the river, the width; None without one."""
    breaks = st.toggle(say("flood.breaks"), value=begun.breaks, key=f"flood_breaks_{key}")
    if breaks != st.session_state.get(BREAKS, True):
        st.session_state[BREAKS] = breaks
        st.rerun()  # the map above draws its point or not
    if not breaks:
        return None
    at = st.session_state.get(AT)
    if at is None:
        st.warning(say("flood.press_breach"), icon=":material/touch_app:")
        return Breach(None, ready=False)
    st.markdown(say("flood.breach_at", lon=f"{at[0]:.5f}", lat=f"{at[1]:.5f}"))
    height = _height(workspace, at)
    if height is None:
        st.error(say("flood.no_ground_there"))
        return Breach(at, ready=False)
    if _stands_on_wall(workspace, at, grid):
        st.error(say("flood.on_building"))
        return Breach(at, ready=False)
    # a level above the sea means nothing before the ground is known
    level = begun.stage_m if begun.breach_lon_lat == at else height + begun.head_m
    stage = st.number_input(
        say("flood.stage"), value=round(level, 2), step=0.1, key=f"flood_stage_{key}_{at}"
    )
    if stage > height:
        st.caption(say("flood.ground_here", ground=f"{height:.2f}", head=f"{stage - height:.2f}"))
    else:
        st.warning(say("flood.river_low", ground=f"{height:.2f}"), icon=":material/south:")
    recede = st.number_input(
        say("flood.recede"), 0.0, 30.0, begun.recede_m, 0.1, key=f"flood_recede_{key}",
        help=say("flood.recede_about"),
    )  # fmt: skip
    width = st.number_input(
        say("flood.width"), 1.0, 1000.0, begun.width_m, 5.0, key=f"flood_width_{key}"
    )
    start = st.number_input(
        say("flood.start"), 0.0, 72.0, begun.start_h, 0.5, key=f"flood_start_{key}"
    )
    growth = st.number_input(
        say("flood.growth"), 0.0, 24.0, begun.growth_h, 0.5, key=f"flood_growth_{key}"
    )
    return Breach(at, stage > height, stage, stage - height, recede, width, start, growth)


def _rain_form(begun: Plan, key: str, *, with_breach: bool) -> Rain:
    rain = st.number_input(
        say("flood.rain"), 0.0, 300.0, begun.rain_mm_h, 5.0, key=f"flood_rain_{key}"
    )
    st.session_state[DRAWS] = "breach"
    if rain <= 0:
        return Rain(0.0, 0.0, ())
    hours = st.number_input(
        say("flood.rain_hours"), 0.1, 72.0, begun.rain_hours or 1.0, 0.5, key=f"flood_rain_hours_{key}"
    )  # fmt: skip
    return Rain(rain, hours, _area_form(with_breach=with_breach))


def _area_form(*, with_breach: bool) -> tuple[tuple[float, float], ...]:
    """Draw where it rains; without an area it rains everywhere."""
    draws = ("breach", "area") if with_breach else ("area",)
    st.session_state[DRAWS] = st.segmented_control(
        say("flood.draws"), draws, default=draws[0], required=True, key=f"{DRAWS}_{len(draws)}",
        format_func=lambda d: say(f"flood.draws_{d}"),
    )  # fmt: skip
    area: list[tuple[float, float]] = st.session_state.get(AREA, [])
    if not area:
        st.caption(say("flood.area_none"))
    elif len(area) < LEAST_CORNERS:
        st.caption(say("flood.area_few", count=len(area)))
    else:
        st.caption(say("flood.area_has", count=len(area)))
    if area:
        left, right = st.columns(2)
        if left.button(say("flood.area_back"), width="stretch"):
            st.session_state[AREA] = area[:-1]
            st.rerun()
        if right.button(say("flood.area_clear"), width="stretch"):
            st.session_state[AREA] = []
            st.rerun()
    return tuple(area)


def _grid_form(begun: Plan, key: str) -> Grid:
    left, right = st.columns(2)
    with left:
        duration = st.number_input(
            say("flood.duration"), 0.1, 72.0, begun.duration_h, 0.5, key=f"flood_duration_{key}"
        )
        cell = st.select_slider(
            say("flood.cell"), CELLS_M, value=begun.cell_m, format_func=lambda c: f"{c:g} m",
            key=f"flood_cell_{key}", help=say("flood.cell_about"),
        )  # fmt: skip
    with right:
        treatments = ("block", "raise", "porosity", "ignore")
        treatment = st.selectbox(
            say("flood.treatment"), treatments, index=treatments.index(begun.buildings),
            format_func=lambda b: say(f"flood.treatment_{b}"), key=f"flood_treatment_{key}",
        )  # fmt: skip
        edges = st.selectbox(
            say("flood.edges"), library.EDGES, index=library.EDGES.index(begun.edges),
            format_func=lambda e: say(f"flood.edges_{e}"), key=f"flood_edges_{key}",
        )  # fmt: skip
    return Grid(cell, duration, treatment, edges)


def _cost(cost: Cost) -> None:
    words = say(
        "flood.cost", time=job_progress.duration(cost.seconds), cells=f"{cost.cells:,}",
        steps=f"{cost.steps:,}", memory=f"{cost.memory_mb:,.0f}",
    )  # fmt: skip
    if not cost.compiled:
        words += "\n\n" + say("flood.cost_first")
    if cost.seconds > library.LONG_S:
        words += "\n\n" + say("flood.cost_long")
    st.info(words, icon=":material/timer:")


def _note(preset: str, breach: Breach | None, rain: Rain, grid: Grid) -> str:
    """What a scenario was begun from, and whether its figures are still those."""
    begun, called = library.PRESETS[preset], say(f"flood.preset_{preset}")
    same = grid.duration_h == begun.duration_h and begun.breaks == (breach is not None)
    if breach is not None:
        given = (breach.width_m, breach.start_h, breach.growth_h, breach.recede_m)
        same &= given == (begun.width_m, begun.start_h, begun.growth_h, begun.recede_m)
        same &= abs(breach.head_m - begun.head_m) < STAGE_STEP_M
    falls = (rain.mm_per_h, rain.hours) if rain.falls else (0.0, 0.0)
    same &= falls == (begun.rain_mm_h, begun.rain_hours) and not rain.area
    return called if same or preset == "own" else say("flood.preset_changed", preset=called)


def _begin(
    workspace: Workspace, me: Identity, name: str, breach: Breach | None, rain: Rain, grid: Grid
) -> None:
    """Write the scenario, and put its run in the queue."""
    preset = st.session_state["flood_preset"]
    from_scenario = preset.startswith(OF_A_SCENARIO)
    b = breach or Breach(None, ready=True)
    note = "" if from_scenario else _note(preset, breach, rain, grid)
    plan = Plan(
        name=name, note=note, cell_m=grid.cell_m,
        duration_h=grid.duration_h, buildings=grid.treatment, breach_lon_lat=b.at, width_m=b.width_m,
        start_h=b.start_h, growth_h=b.growth_h, stage_m=b.stage_m, recede_m=b.recede_m,
        rain_mm_h=rain.mm_per_h if rain.falls else 0.0, rain_hours=rain.hours, rain_area=rain.area,
        edges=grid.edges,
    )  # fmt: skip
    try:
        library.write(workspace, plan.name, library.text_of(plan))
        flood_runs.start(plan.name, me)
    except CitymapError as error:
        say_error(error)
