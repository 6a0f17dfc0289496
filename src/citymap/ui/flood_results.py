"""The scenarios of the page 浸水シナリオ as a table and two of them side by side; run, rename, duplicate, delete."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from citymap.assess import flood_view
from citymap.assess.depth_classes import STANDARD
from citymap.assess.flood_view import DRY, WALL, Compared
from citymap.errors import CitymapError
from citymap.flood import library
from citymap.flood.library import Entry
from citymap.ui import flood_runs
from citymap.ui.flood_desk import say_error
from citymap.ui.flood_runs import Runs
from citymap.ui.speech import language, literal, say
from citymap.ui.two_of import two_of
from citymap.web.identity import Identity
from citymap.workspace import Workspace

ENDED_BADLY = ("failed", "interrupted", "cancelled")


@st.cache_data(max_entries=10, show_spinner=False)
def _compared(before: str, after: str, stamps: tuple[int, int]) -> Compared:
    del stamps
    return flood_view.compared(Path(before), Path(after))


def _stamp(folder: Path) -> int:
    return (folder / "summary.json").stat().st_mtime_ns


def table(workspace: Workspace, entries: Sequence[Entry], runs: Runs, me: Identity) -> None:
    """All scenarios with their figures; look at, run, rename, duplicate, delete."""
    if not entries:
        st.info(say("flood.none"), icon=":material/water:")
        return
    st.dataframe(
        [_row(e, runs) for e in entries], hide_index=True, placeholder="–", width="stretch",
        column_config={say("flood.scenario"): st.column_config.TextColumn(width="medium")},
    )  # fmt: skip
    if flood_runs.NEXT in st.session_state:
        st.session_state["flood_edit"] = st.session_state.pop(flood_runs.NEXT)
    name = st.selectbox(say("flood.scenario"), [e.name for e in entries], key="flood_edit")
    entry = next((e for e in entries if e.name == name), None)
    if entry is None:
        return
    _why(entry, runs)
    one, two = st.columns(2)
    has_result = entry.summary is not None
    if has_result and one.button(
        say("flood.look"), type="primary", icon=":material/visibility:", width="stretch"
    ):
        flood_runs.look_at(name)
    if (two if has_result else one).button(
        say("flood.run_again" if has_result else "flood.run_it"), icon=":material/play_circle:",
        type="secondary" if has_result else "primary", disabled=runs.busy(name), width="stretch",
    ):  # fmt: skip
        try:
            flood_runs.start(name, me)
        except CitymapError as error:
            say_error(error)
    _order(workspace, name, busy=runs.busy(name))


def _why(entry: Entry, runs: Runs) -> None:
    """Why a scenario has no result: its file, or how its last run ended."""
    last = runs.last.get(entry.name)
    if entry.refused is not None:
        say_error(entry.refused)
    elif last is not None and last.state in ENDED_BADLY:
        told = (last.error or {}).get(language())
        if told:
            st.error(literal(str(told)), icon=":material/error:")
        elif last.state == "interrupted":
            st.warning(say("flood.was_interrupted"), icon=":material/warning:")
    if entry.note and entry.refused is None:
        st.caption(literal(entry.note))


def _order(workspace: Workspace, name: str, *, busy: bool) -> None:
    """Rename, duplicate, delete."""
    with st.form(f"flood_order_{name}", border=True, enter_to_submit=False):
        new = st.text_input(
            say("flood.new_name"),
            max_chars=60,
            value=library.free_name(workspace, name),
            key=f"flood_new_name_{name}",
        ).strip()
        one, two = st.columns(2)
        renames = one.form_submit_button(say("flood.rename"), disabled=busy, width="stretch")
        doubles = two.form_submit_button(say("flood.duplicate"), width="stretch")
        st.caption(say("flood.duplicate_about"))
    sure = st.checkbox(say("flood.sure", name=literal(name)), key=f"flood_sure_{name}")
    deletes = st.button(say("flood.delete"), disabled=not sure or busy, icon=":material/delete:")
    try:
        if renames:
            library.rename(workspace, name, new)
            _now(new, was=name)
        elif doubles:
            library.duplicate(workspace, name, new)
            _now(new)
        elif deletes:
            library.delete(workspace, name)
            st.rerun()
    except CitymapError as error:
        say_error(error)


def _now(name: str, was: str | None = None) -> None:
    """Stay with the scenario under its new name, in the list and on the map."""
    st.session_state[flood_runs.NEXT] = name
    if was is not None and st.session_state.get("flood_result") == was:
        st.session_state[flood_runs.WANTED] = {"flood_result": name}
    st.rerun()


def _row(entry: Entry, runs: Runs) -> dict[str, object]:
    s = entry.summary or {}
    return {
        say("flood.scenario"): entry.name,
        say("flood.state"): say(f"flood.state_{_state(entry, runs)}"),
        say("flood.col_area"): round(s["flooded_area_m2"] / 1e4, 1) if s else None,
        say("flood.col_depth"): round(s["max_depth_m"], 2) if s else None,
        say("flood.col_buildings"): s.get("buildings_flooded"),
        say("flood.col_cell"): s.get("cell_size_m"),
        say("flood.col_error"): f"{s['mass_error_m3']:.2g}"
        if s.get("mass_error_m3") is not None
        else None,
    }


def _state(entry: Entry, runs: Runs) -> str:
    """What became of a scenario, in one word of the catalogue."""
    if runs.busy(entry.name):
        return "running"
    if entry.refused is not None:
        return "refused"
    if entry.summary is not None:
        return "done"
    last = runs.last.get(entry.name)
    return last.state if last is not None and last.state in ENDED_BADLY else "no_result"


def compare(entries: Sequence[Entry]) -> None:
    """Two results side by side and their difference."""
    done = {e.name: e for e in entries if e.summary is not None}
    chosen = two_of(list(done), "flood")
    if chosen is None:
        return
    a, b = chosen
    if a == b:
        st.info(say("flood.two_other"), icon=":material/compare:")
        return
    first, second = done[a].folder, done[b].folder
    try:
        found = _compared(str(first), str(second), (_stamp(first), _stamp(second)))
    except CitymapError as error:
        say_error(error)
        return
    left, right = st.columns(2)
    left.image(found.before, caption=literal(a), width="stretch")
    right.image(found.after, caption=literal(b), width="stretch")
    _key()
    left, right = st.columns([2, 1])
    left.image(found.change, caption=say("flood.difference_caption"), width="stretch")
    with right:
        for key, value in found.areas.items():
            st.metric(say(f"flood.{key}"), f"{value / 1e4:,.2f} ha")
    if st.button(say("flood.on_map"), icon=":material/map:", type="primary"):
        flood_runs.look_at(a, b, "difference")


def _key() -> None:
    """What the colours of depth mean."""
    named = [(c.colour, c.text) for c in STANDARD]
    named += [(DRY, say("flood.picture_dry")), (WALL, say("flood.picture_wall"))]
    swatches = "".join(
        f'<span style="white-space:nowrap"><i style="display:inline-block;width:1.1em;height:1.1em;'
        f"vertical-align:-0.15em;border:1px solid #767676;margin-right:.35em;"
        f'background:rgb{colour}"></i>{text}</span>'
        for colour, text in named
    )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.25rem 1.25rem">{swatches}</div>')
