"""The parts of the page 浸水シナリオ: planning, following a run, playing, comparing, keeping order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydeck
import streamlit as st
from pydeck.types import String

from citymap import terrain
from citymap.assess import flood_view
from citymap.assess.flood_view import Picture
from citymap.errors import CitymapError
from citymap.flood import library
from citymap.flood.library import Cost, Entry, Plan
from citymap.jobs import submit
from citymap.store import jobs
from citymap.ui import job_progress, who
from citymap.ui.map_frame import MapEvents
from citymap.ui.speech import language, say
from citymap.web.identity import Identity
from citymap.workspace import Workspace

AT, JOB, AREA, DRAWS = "flood_at", "flood_job", "flood_area", "flood_draws"
CELLS_M = (2.0, 5.0, 10.0, 20.0)
HOWS = ("side", "difference")
LEAST_CORNERS = 3
MOST_CORNERS = 50
ABOVE_ALL = {"depthCompare": "always"}  # drawn over relief and buildings: what is being planned


@dataclass(frozen=True, slots=True)
class Shown:
    """What the map plays: a result, and another it is compared with."""

    name: str | None
    versus: str | None = None
    how: str = "side"


def _say_error(error: CitymapError) -> None:
    st.error(error.message(language()), icon=":material/error:")


def listed(workspace: Workspace) -> list[Entry]:
    """The scenarios of the city."""
    return library.entries(workspace)


@st.cache_data(max_entries=20, show_spinner=False)
def _peak(folder: str, stamp: int) -> Picture:
    del stamp
    return flood_view.peak(Path(folder))


def _stamp(folder: Path) -> int:
    return (folder / "summary.json").stat().st_mtime_ns


def choose(entries: Sequence[Entry]) -> Shown:
    """Choose a result to play and one beside it; the choice goes into the address, to be shared."""
    done = {e.name: e for e in entries if e.summary is not None}
    if not done:
        st.info(say("flood.none"), icon=":material/water:")
        return Shown(None)
    name = _asked("flood", "flood_result", say("flood.result"), list(done), say("flood.show_none"))
    if name is None:
        return Shown(None)
    others = [n for n in done if n != name]
    versus = (
        _asked("versus", "flood_versus", say("flood.versus"), others, say("flood.versus_none"))
        if others else None
    )  # fmt: skip
    how = "side"
    if versus is not None:
        given = st.query_params.get("how")
        how = st.segmented_control(
            say("flood.how"), HOWS, default=given if given in HOWS else "side", required=True,
            format_func=lambda h: say(f"flood.how_{h}"), key="flood_how",
        )  # fmt: skip
        st.query_params["how"] = how
    else:
        st.query_params.pop("how", None)
    summary = done[name].summary or {}
    st.caption(
        say(
            "flood.in_short",
            ha=f"{summary['flooded_area_m2'] / 1e4:,.1f}",
            depth=f"{summary['max_depth_m']:.1f}",
        )
    )
    if "buildings_flooded" in summary:
        st.caption(say("flood.buildings", count=f"{summary['buildings_flooded']:,}"))
    st.caption(say("flood.press"))
    return Shown(name, versus, how)


def _asked(query: str, key: str, label: str, names: Sequence[str], nothing: str) -> str | None:
    """A choice among names that also stands in the address under `query`; None: nothing."""
    given = st.query_params.get(query)
    first = 0 if query == "versus" else 1
    if st.session_state.get(key, "") not in ("", *names):
        del st.session_state[key]  # it was renamed or deleted
    options = ["", *names]
    if given == "-":
        first = 0
    elif given is not None and given in names:
        first = options.index(given)
    name = st.selectbox(label, options, index=first, key=key, format_func=lambda n: n or nothing)
    if name or query == "flood":
        st.query_params[query] = name or "-"
    else:
        st.query_params.pop(query, None)
    return name or None


def layers(shown: Shown, manifest: Mapping[str, Any], workspace: Workspace) -> list[pydeck.Layer]:
    """The result that the map plays, and what is being planned: breach point and rain area."""
    found = []
    if shown.name is not None:
        found.append(
            pydeck.Layer(
                "CityWaterLayer", None, id="water", name=String(shown.name), how=String(shown.how),
                versus=String(shown.versus) if shown.versus else None,
            )
        )  # fmt: skip
    area: list[tuple[float, float]] = st.session_state.get(AREA, [])
    above = _heights(manifest, workspace, area)
    corners = [{"at": [*at, z]} for at, z in zip(area, above, strict=True)]
    if len(area) >= LEAST_CORNERS:
        found.append(
            pydeck.Layer(
                "PolygonLayer", [{"ring": [c["at"] for c in corners]}], id="flood_area", get_polygon="ring",
                get_fill_color=[0, 90, 200, 60], get_line_color=[0, 60, 170, 255], stroked=True,
                line_width_units=String("pixels"), get_line_width=3, parameters=ABOVE_ALL,
            )
        )  # fmt: skip
    if area:
        found.append(_dots("flood_corners", corners, [0, 60, 170, 255], 5))
    at = st.session_state.get(AT)
    if at is not None and _breaches(st.session_state.get("flood_preset")):
        (z,) = _heights(manifest, workspace, [at])
        found.append(_dots("flood_at", [{"at": [*at, z]}], [200, 30, 20, 255], 8))
    return found


def _breaches(preset: str | None) -> bool:
    """Whether a preset has a breach: its river stands above the ground."""
    return preset is None or library.PRESETS[preset][0] > 0


def _heights(
    manifest: Mapping[str, Any], workspace: Workspace, places: Sequence[tuple[float, float]]
) -> list[float]:
    """Metres above the plane 0 of the map's relief: whole metres below the city's lowest ground."""
    ground, geoid = manifest.get("ground"), manifest.get("geoid_m")
    if not places or ground is None or geoid is None or not workspace.terrain.is_file():
        return [0.0] * len(places)
    z = terrain.sample(workspace.terrain, [p[0] for p in places], [p[1] for p in places])
    datum = math.floor(ground["min_m"] + geoid)
    return [0.0 if math.isnan(v) else round(float(v) + geoid - datum, 2) for v in z]


def _dots(name: str, data: Sequence[Mapping[str, Any]], colour: list[int], px: int) -> pydeck.Layer:
    return pydeck.Layer(
        "ScatterplotLayer", list(data), id=name, get_position="at", get_fill_color=colour,
        get_line_color=[255, 255, 255], stroked=True, radius_units=String("pixels"), get_radius=px,
        line_width_units=String("pixels"), get_line_width=3, parameters=ABOVE_ALL,
    )  # fmt: skip


def remember(events: MapEvents) -> None:
    """Keep the place that was pressed on the map: the breach, or a corner of the rain area."""
    if not events.pressed or events.lon_lat is None:
        return
    if st.session_state.get(DRAWS) == "area":
        area = [*st.session_state.get(AREA, []), events.lon_lat]
        if events.lon_lat not in st.session_state.get(AREA, []) and len(area) <= MOST_CORNERS:
            st.session_state[AREA] = area
            st.rerun()
    elif events.lon_lat != st.session_state.get(AT):
        st.session_state[AT] = events.lon_lat
        st.rerun()


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


def plan_form(workspace: Workspace, me: Identity) -> None:
    """Plan a run: preset, breach point, rain; its cost; start; and follow it."""
    at = st.session_state.get(AT)
    preset = st.selectbox(
        say("flood.preset"),
        list(library.PRESETS),
        format_func=lambda p: say(f"flood.preset_{p}"),
        key="flood_preset",
    )
    head, width, duration, fall, rain, rain_hours = library.PRESETS[preset]
    st.caption(say("flood.preset_note"))
    name = st.text_input(say("flood.name"), max_chars=60, key="flood_name")
    with_breach = _breaches(preset)
    left, right = st.columns(2)
    ground = _ground(workspace, at) if with_breach else None
    with left:
        if with_breach:
            if at is None:
                st.warning(say("flood.press_breach"), icon=":material/touch_app:")
            else:
                st.markdown(say("flood.breach_at", lon=f"{at[0]:.5f}", lat=f"{at[1]:.5f}"))
            if at is not None and ground is None:
                st.error(say("flood.no_ground_there"))
            stage = head
            if ground is not None:  # a level above the sea means nothing before the ground is known
                stage = st.number_input(
                    say("flood.stage"), value=round(ground + head, 2), step=0.1,
                    key=f"flood_stage_{preset}_{at}",
                )  # fmt: skip
                st.caption(
                    say("flood.ground_here", ground=f"{ground:.2f}", head=f"{stage - ground:.2f}")
                )
            width = st.number_input(
                say("flood.width"), 1.0, 1000.0, width, 5.0, key=f"flood_width_{preset}"
            )
            start = st.number_input(say("flood.start"), 0.0, 72.0, 0.0, 0.5, key="flood_start")
            growth = st.number_input(say("flood.growth"), 0.0, 24.0, 1.0, 0.5, key="flood_growth")
        else:
            stage, start, growth = 0.0, 0.0, 0.0
    with right:
        rain = st.number_input(say("flood.rain"), 0.0, 300.0, rain, 5.0, key=f"flood_rain_{preset}")
        rain_hours = st.number_input(
            say("flood.rain_hours"), 0.0, 72.0, rain_hours, 0.5, key=f"flood_rain_hours_{preset}"
        )
        st.session_state[DRAWS] = "breach"
        area = _area_form(with_breach=with_breach) if rain > 0 else ()
        duration = st.number_input(
            say("flood.duration"), 0.1, 72.0, duration, 0.5, key=f"flood_duration_{preset}"
        )
        cell = st.select_slider(
            say("flood.cell"),
            CELLS_M,
            value=5.0,
            format_func=lambda c: f"{c:g} m",
            key="flood_cell",
        )
        treatment = st.selectbox(
            say("flood.treatment"), ("block", "raise", "porosity", "ignore"),
            format_func=lambda b: say(f"flood.treatment_{b}"), key="flood_treatment",
        )  # fmt: skip
    try:
        cost = library.cost(workspace, cell_m=cell, duration_h=duration, rain=rain > 0)
    except CitymapError as error:
        _say_error(error)
        return
    _cost(cost)
    ready = (
        bool(name.strip()) and (not with_breach or ground is not None) and (with_breach or rain > 0)
        and not (rain > 0 and 0 < len(area) < LEAST_CORNERS)
    )  # fmt: skip
    if st.button(
        say("flood.begin"), type="primary", icon=":material/play_circle:", disabled=not ready
    ):
        plan = Plan(
            name.strip(), say(f"flood.preset_{preset}"), cell, duration, treatment,
            at if with_breach else None, width, start, growth, stage, fall, rain if rain_hours > 0 else 0.0,
            rain_hours, area,
        )  # fmt: skip
        try:
            library.write(workspace, plan.name, library.text_of(plan))
            _start(plan.name, me)
        except CitymapError as error:
            _say_error(error)
    if not ready:
        st.caption(say("flood.not_ready"))
    job_id = st.session_state.get(JOB)
    if job_id is not None:
        _follow(workspace, job_id)


def _start(name: str, me: Identity) -> None:
    """Put the run of a scenario in the queue and follow it."""
    st.session_state[JOB] = submit(
        who.store(), "flood", {"name": name}, by=me.name, role=me.role
    ).id
    st.rerun()


def _ground(workspace: Workspace, at: tuple[float, float] | None) -> float | None:
    if at is None or not workspace.terrain.is_file():
        return None
    z = float(terrain.sample(workspace.terrain, [at[0]], [at[1]])[0])
    return None if math.isnan(z) else z


def _cost(cost: Cost) -> None:
    st.info(
        say("flood.cost", time=job_progress.duration(cost.seconds), cells=f"{cost.cells:,}",
            steps=f"{cost.steps:,}", memory=f"{cost.memory_mb:,.0f}"), icon=":material/timer:",
    )  # fmt: skip


def _follow(workspace: Workspace, job_id: str) -> None:
    """The run that this session started, with its water so far."""
    with st.container(border=True):
        job = job_progress.show(job_id)
        if job is None:
            return
        folder = workspace.scenario(str(job.params["name"]))

        @st.fragment(run_every=2.0)
        def spreading() -> None:
            found = flood_view.live(folder)
            if found is not None:
                st.image(found[0].png, caption=say("flood.so_far", time=_clock(found[1] / 3600)))

        if not job.ended:
            spreading()
        elif job.state == "done" and st.button(say("flood.look"), icon=":material/visibility:"):
            st.query_params["flood"] = str(job.params["name"])
            st.session_state.pop("flood_result", None)
            st.session_state.pop("flood_versus", None)
            st.session_state.pop(JOB, None)
            st.rerun()


def _clock(hours: float) -> str:
    return f"{int(hours)}:{round(hours % 1 * 60) % 60:02d}"


def results_table(workspace: Workspace, entries: Sequence[Entry], me: Identity) -> None:
    """All scenarios with their figures; run, rename, duplicate, delete."""
    if not entries:
        st.info(say("flood.none"), icon=":material/water:")
        return
    busy = {
        str(j.params.get("name")): j
        for j in jobs.listed(who.store())
        if j.kind == "flood" and not j.ended
    }
    st.dataframe(
        [_row(e, e.name in busy) for e in entries],
        hide_index=True,
        placeholder="–",
        width="stretch",
    )
    name = st.selectbox(say("flood.scenario"), [e.name for e in entries], key="flood_edit")
    has_result = any(e.name == name and e.summary is not None for e in entries)
    if not has_result and st.button(
        say("flood.run_it"), type="primary", icon=":material/play_circle:", disabled=name in busy
    ):
        try:
            _start(name, me)
        except CitymapError as error:
            _say_error(error)
    if st.session_state.get(JOB) in {j.id for j in busy.values()}:
        st.caption(say("flood.follow_there"))
    new = st.text_input(say("flood.new_name"), max_chars=60, key="flood_new_name")
    one, two, three = st.columns(3)
    try:
        if one.button(say("flood.rename"), disabled=not new or name in busy, width="stretch"):
            library.rename(workspace, name, new.strip())
            st.rerun()
        if two.button(say("flood.duplicate"), disabled=not new, width="stretch"):
            library.duplicate(workspace, name, new.strip())
            st.rerun()
        sure = st.checkbox(say("flood.sure", name=name), key=f"flood_sure_{name}")
        if three.button(say("flood.delete"), disabled=not sure or name in busy, width="stretch"):
            library.delete(workspace, name)
            st.rerun()
    except CitymapError as error:
        _say_error(error)


def _row(entry: Entry, running: bool) -> dict[str, object]:
    s = entry.summary or {}
    state = "running" if running else "done" if s else "no_result"
    return {
        say("flood.scenario"): entry.name,
        say("flood.state"): say(f"flood.state_{state}"),
        say("flood.col_area"): round(s["flooded_area_m2"] / 1e4, 1) if s else None,
        say("flood.col_depth"): round(s["max_depth_m"], 2) if s else None,
        say("flood.col_buildings"): s.get("buildings_flooded"),
        say("flood.col_cell"): s.get("cell_size_m"),
        say("flood.col_error"): f"{s['mass_error_m3']:.2g}"
        if s.get("mass_error_m3") is not None
        else None,
    }


def compare(entries: Sequence[Entry]) -> None:
    """Two results side by side and their difference."""
    done = {e.name: e for e in entries if e.summary is not None}
    if len(done) < 2:
        st.info(say("flood.two_needed"), icon=":material/compare:")
        return
    left, right = st.columns(2)
    a = left.selectbox(say("flood.before"), list(done), key="flood_a")
    b = right.selectbox(say("flood.after"), list(done), index=1, key="flood_b")
    try:
        left.image(_peak(str(done[a].folder), _stamp(done[a].folder)).png)
        right.image(_peak(str(done[b].folder), _stamp(done[b].folder)).png)
        picture, areas = flood_view.difference(done[a].folder, done[b].folder)
    except CitymapError as error:
        _say_error(error)
        return
    st.image(picture.png, caption=say("flood.difference_caption"))
    for key, value in areas.items():
        st.markdown(f"{say(f'flood.{key}')}: **{value / 1e4:,.2f} ha**")
    if st.button(say("flood.on_map"), icon=":material/map:", disabled=a == b):
        st.query_params.update({"flood": a, "versus": b, "how": "difference"})
        for key in ("flood_result", "flood_versus", "flood_how"):
            st.session_state.pop(key, None)
        st.rerun()
