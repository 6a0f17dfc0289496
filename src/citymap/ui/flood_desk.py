"""The parts of the page 浸水シナリオ: planning, following a run, playing, comparing, keeping order."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydeck
import streamlit as st
from pydeck.types import String

from citymap import terrain
from citymap.assess import flood_view
from citymap.assess.depth_classes import STANDARD
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

AT, JOB, FRAME, NEXT, PLAYING = (
    "flood_at",
    "flood_job",
    "flood_frame",
    "flood_next",
    "flood_playing",
)
BETWEEN_FRAMES_S = 0.6
CELLS_M = (2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the map shows: a picture, and the result (with its time in hours) it belongs to."""

    picture: Picture | None
    folder: Path | None = None
    frames: int = 0


def _say_error(error: CitymapError) -> None:
    st.error(error.message(language()), icon=":material/error:")


def listed(workspace: Workspace) -> list[Entry]:
    """The scenarios of the city."""
    return library.entries(workspace)


@st.cache_data(max_entries=60, show_spinner=False)
def _frame(folder: str, number: int, stamp: int) -> Picture:
    del stamp
    return flood_view.frame(Path(folder), number)


@st.cache_data(max_entries=20, show_spinner=False)
def _peak(folder: str, stamp: int) -> Picture:
    del stamp
    return flood_view.peak(Path(folder))


def _stamp(folder: Path) -> int:
    return (folder / "summary.json").stat().st_mtime_ns


def choose(entries: Sequence[Entry]) -> Shown:
    """Choose a result and a moment; the choice goes into the address, so that it can be shared."""
    done = {e.name: e for e in entries if e.summary is not None}
    if not done:
        st.info(say("flood.none"), icon=":material/water:")
        return Shown(None)
    asked = st.query_params.get("flood")
    names = list(done)
    name = st.selectbox(
        say("flood.result"),
        names,
        index=names.index(asked) if asked in done else 0,
        key="flood_result",
    )
    st.query_params["flood"] = name
    entry = done[name]
    try:
        return _moment(entry)
    except CitymapError as error:
        _say_error(error)
        return Shown(None)


def _moment(entry: Entry) -> Shown:
    hours = flood_view.hours(entry.folder)
    moment = st.segmented_control(
        say("flood.show"), ("peak", "time"), default="peak", required=True,
        format_func=lambda m: say(f"flood.show_{m}"), key="flood_moment",
    )  # fmt: skip
    if moment == "time":
        st.session_state.setdefault(FRAME, 0)
        if (coming := st.session_state.pop(NEXT, None)) is not None:
            st.session_state[FRAME] = coming
        st.session_state[FRAME] = min(st.session_state[FRAME], len(hours) - 1)
        number = st.select_slider(
            say("flood.time"), range(len(hours)), key=FRAME, format_func=lambda n: _clock(hours[n])
        )
        playing = st.session_state.get(PLAYING, False)
        if st.button(
            say("flood.stop_play" if playing else "flood.play"),
            icon=":material/pause:" if playing else ":material/play_arrow:", width="stretch",
        ):  # fmt: skip
            st.session_state[PLAYING] = not playing
            st.rerun()
        picture = _frame(str(entry.folder), number, _stamp(entry.folder))
    else:
        picture = _peak(str(entry.folder), _stamp(entry.folder))
    _legend()
    summary = entry.summary or {}
    st.caption(
        say(
            "flood.in_short",
            ha=f"{summary['flooded_area_m2'] / 1e4:,.1f}",
            depth=f"{summary['max_depth_m']:.1f}",
        )
    )
    if "buildings_flooded" in summary:
        st.caption(say("flood.buildings", count=f"{summary['buildings_flooded']:,}"))
    return Shown(picture, entry.folder, len(hours))


def _clock(hours: float) -> str:
    return f"{int(hours)}:{round(hours % 1 * 60) % 60:02d}"


def _legend() -> None:
    rows = "".join(
        f'<span style="margin-right:.75rem;white-space:nowrap"><span class="cm-swatch" '
        f'style="background:rgb{c.colour}"></span>{c.text}</span>'
        for c in STANDARD
    )
    st.html(f"<div>{rows}</div>")


def play_on(shown: Shown) -> None:
    """Move to the next moment while playing."""
    if not st.session_state.get(PLAYING) or shown.frames < 2:
        return
    time.sleep(BETWEEN_FRAMES_S)
    now = int(st.session_state.get(FRAME, 0))
    if now + 1 >= shown.frames:
        st.session_state[PLAYING] = False
        st.rerun()
    st.session_state[NEXT] = now + 1
    st.rerun()


def layers(shown: Shown) -> list[pydeck.Layer]:
    """The water, and the point that was pressed."""
    found = []
    picture = st.session_state.pop("flood_difference", None) or shown.picture
    if picture is not None:
        found.append(_bitmap("flood_depth", picture))
    at = st.session_state.get(AT)
    if at is not None:
        found.append(
            pydeck.Layer(
                "ScatterplotLayer", [{"at": list(at)}], id="flood_at", get_position="at",
                get_fill_color=[200, 30, 20, 255], get_line_color=[255, 255, 255], stroked=True,
                radius_units=String("pixels"), get_radius=8, line_width_units=String("pixels"),
                get_line_width=3,
            )
        )  # fmt: skip
    return found


def _bitmap(name: str, picture: Picture) -> pydeck.Layer:
    url = "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
    return pydeck.Layer("BitmapLayer", id=name, image=String(url), bounds=picture.corners)


def remember(events: MapEvents) -> None:
    """Keep the point that was pressed on the map."""
    if events.pressed and events.lon_lat is not None and events.lon_lat != st.session_state.get(AT):
        st.session_state[AT] = events.lon_lat
        st.rerun()


def at_point(shown: Shown) -> None:
    """The depth at the pressed point in time."""
    at = st.session_state.get(AT)
    if shown.folder is None:
        return
    if at is None:
        st.caption(say("flood.press"))
        return
    try:
        found = flood_view.curve(shown.folder, *at)
    except CitymapError as error:
        _say_error(error)
        return
    if found is None:
        st.caption(say("flood.no_water_there"))
        return
    hours, depths = found
    st.markdown(say("flood.deepest_here", depth=f"{max(depths):.2f}"))
    st.line_chart(
        {say("flood.hours"): hours, say("flood.depth"): depths}, x=say("flood.hours"), y=say("flood.depth"),
        height=180,
    )  # fmt: skip


def plan_form(workspace: Workspace, me: Identity) -> None:
    """Plan a run: preset, breach point, rain; its cost; start; and follow it."""
    job_id = st.session_state.get(JOB)
    if job_id is not None:
        _follow(workspace, job_id)
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
    with_breach = head > 0
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
            stage = st.number_input(
                say("flood.stage"),
                value=round((ground or 0.0) + head, 2),
                step=0.1,
                key=f"flood_stage_{preset}_{at}",
            )
            if ground is not None:
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
    )
    if st.button(
        say("flood.begin"), type="primary", icon=":material/play_circle:", disabled=not ready
    ):
        plan = Plan(
            name.strip(), say(f"flood.preset_{preset}"), cell, duration, treatment,
            at if with_breach else None, width, start, growth, stage, fall, rain if rain_hours > 0 else 0.0,
            rain_hours,
        )  # fmt: skip
        try:
            library.write(workspace, plan.name, library.text_of(plan))
            job = submit(who.store(), "flood", {"name": plan.name}, by=me.name, role=me.role)
        except CitymapError as error:
            _say_error(error)
            return
        st.session_state[JOB] = job.id
        st.rerun()
    if not ready:
        st.caption(say("flood.not_ready"))


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
            st.session_state.pop(JOB, None)
            st.rerun()


def results_table(workspace: Workspace, entries: Sequence[Entry]) -> None:
    """All scenarios with their figures; rename, duplicate, delete."""
    if not entries:
        st.info(say("flood.none"), icon=":material/water:")
        return
    busy = {
        str(j.params.get("name")): j
        for j in jobs.listed(who.store())
        if j.kind == "flood" and not j.ended
    }
    st.dataframe([_row(e, e.name in busy) for e in entries], hide_index=True, width="stretch")
    name = st.selectbox(say("flood.scenario"), [e.name for e in entries], key="flood_edit")
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
    if st.button(say("flood.on_map"), icon=":material/map:"):
        st.session_state["flood_difference"] = picture
        st.rerun()
