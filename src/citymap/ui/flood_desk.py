"""The map of the page 浸水シナリオ: which result it plays, the water of a run, what is being planned on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydeck
import streamlit as st
from pydeck.types import String

from citymap import terrain
from citymap.errors import CitymapError
from citymap.flood import library
from citymap.flood.library import Entry
from citymap.layers import deck_spec
from citymap.ui import flood_runs, flood_told
from citymap.ui.city import OpenCity
from citymap.ui.flood_runs import Runs
from citymap.ui.map_frame import MapEvents, city_map
from citymap.ui.speech import language, literal, say
from citymap.workspace import Workspace

AT, AREA, DRAWS, BREAKS = "flood_at", "flood_area", "flood_draws", "flood_breaks"
TAB = "flood_tab"
GONE = "flood_gone"  # the result that a link asked for, and that is not there
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


def say_error(error: CitymapError) -> None:
    """What is wrong, in the language of the session."""
    st.error(literal(error.message(language())), icon=":material/error:")


def listed(workspace: Workspace) -> list[Entry]:
    """The scenarios of the city."""
    return library.entries(workspace)


def choose(entries: Sequence[Entry]) -> Shown:
    """Choose a result to play and one beside it; the choice goes into the address, to be shared."""
    for key, value in st.session_state.pop(flood_runs.WANTED, {}).items():
        st.session_state[key] = value
    done = {e.name: e for e in entries if e.summary is not None}
    asked = st.query_params.get("flood")
    if asked is not None and asked not in ("-", *done) and "flood_result" not in st.session_state:
        st.session_state[GONE] = asked
    if not done:
        st.info(say("flood.none"), icon=":material/water:")
        return Shown(None)
    name = _asked("flood", "flood_result", say("flood.result"), list(done), say("flood.show_none"))
    if name is not None:
        st.session_state.pop(GONE, None)
    else:
        return Shown(None)
    others = [n for n in done if n != name]
    versus = (
        _asked("versus", "flood_versus", say("flood.versus"), others, say("flood.versus_none"))
        if others else None
    )  # fmt: skip
    how = "side"
    if versus is not None:
        given = st.query_params.get("how")
        if st.session_state.get(_told("how"), given) != given and given in HOWS:
            st.session_state["flood_how"] = given
        asked_for = given if given in HOWS else "side"
        chosen = st.segmented_control(
            say("flood.how"), HOWS, required=True,
            default=None if "flood_how" in st.session_state else asked_for,
            format_func=lambda h: say(f"flood.how_{h}"), key="flood_how",
        )  # fmt: skip
        how = chosen or asked_for
        st.query_params["how"] = how
        st.session_state[_told("how")] = how
    else:
        st.query_params.pop("how", None)
    flood_told.in_short(done[name])
    st.caption(say("flood.press"))
    return Shown(name, versus, how)


def say_gone() -> None:
    """That the result a link asked for is not there; stays until one is chosen."""
    asked = st.session_state.get(GONE)
    if asked is not None:
        st.warning(say("flood.gone", name=literal(asked)), icon=":material/link_off:")


def _told(query: str) -> str:
    """Where the session keeps what this page last wrote into the address."""
    return f"flood_told_{query}"


def _asked(query: str, key: str, label: str, names: Sequence[str], nothing: str) -> str | None:
    """A choice among names that also stands in the address under `query`; None: nothing.

    An address that is not the one the page wrote (back, forward) goes before the session.
    """
    given = st.query_params.get(query)
    if st.session_state.get(_told(query), given) != given and given in (None, "-", *names):
        st.session_state[key] = "" if given in (None, "-") else given
    first = 0 if query == "versus" else 1
    if st.session_state.get(key, "") not in ("", *names):
        del st.session_state[key]  # it was renamed or deleted
    options = ["", *names]
    if given is not None and given not in names:
        first = 0  # none is asked for, or one that is not there: another one is no answer
    elif given is not None and given in names:
        first = options.index(given)
    if key in st.session_state:
        first = 0  # the session says it
    name = st.selectbox(label, options, index=first, key=key, format_func=lambda n: n or nothing)
    if name or query == "flood":
        st.query_params[query] = name or "-"
    else:
        st.query_params.pop(query, None)
    st.session_state[_told(query)] = st.query_params.get(query)
    return name or None


def show_map(city: OpenCity, shown: Shown, runs: Runs) -> None:
    """The map; while a run is watched, its water instead of a result, looked at again and again."""
    job = flood_runs.watched(runs)

    @st.fragment(run_every=None if job is None else flood_runs.LIVE_S)
    def draw() -> None:
        playing, words = shown, None
        more: list[pydeck.Layer] = []
        if job is not None:
            live, words = flood_runs.water(city.workspace, job)
            playing = Shown(None)
            if live is not None:
                (above,) = _heights(city.manifest, city.workspace, [live.middle])
                more.append(flood_runs.layer(live, above))
        spec = deck_spec(
            city.manifest, extra_layers=[*more, *layers(playing, city.manifest, city.workspace)]
        )
        remember(
            city_map(
                key="flood_map",
                root_path=city.root_path,
                own_panel=False,
                deck=spec,
                height="64dvh",
            )
        )
        if words is not None:
            with st.container(key="map_words"):
                st.caption(words)

    draw()


def layers(shown: Shown, manifest: Mapping[str, Any], workspace: Workspace) -> list[pydeck.Layer]:
    """The result that the map plays, and what is being planned: breach point and rain area."""
    found = []
    if shown.name is not None:
        found.append(
            pydeck.Layer(
                "CityWaterLayer", None, id="water", name=String(shown.name), how=String(shown.how),
                versus=String(shown.versus) if shown.versus else None, silent=_planning(),
            )
        )  # fmt: skip
    if not _planning():
        return found
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
    if at is not None and st.session_state.get(BREAKS, True):
        (z,) = _heights(manifest, workspace, [at])
        found.append(_dots("flood_at", [{"at": [*at, z]}], [200, 30, 20, 255], 8))
    return found


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
        line_width_units=String("pixels"), get_line_width=3, billboard=True, parameters=ABOVE_ALL,
    )  # fmt: skip


def parts(entries: Sequence[Entry]) -> Sequence[Any]:
    """The tabs below the map; where there are results, they come before planning another."""
    names = [say(f"flood.tab_{n}") for n in ("plan", "results", "compare")]
    if st.session_state.get(TAB) not in names:  # at first, and in another language
        st.session_state.pop(TAB, None)
    first = names[1] if any(e.summary is not None for e in entries) else names[0]
    return st.tabs(names, key=TAB, on_change="rerun", default=first)


def _planning() -> bool:
    """Whether the plan is in front: a press on the map then sets its places."""
    planning = say("flood.tab_plan")
    return bool(st.session_state.get(TAB, planning) == planning)


def remember(events: MapEvents) -> None:
    """Keep the places that were pressed on the map: the breach, or corners of the rain area."""
    if not events.places or not _planning():
        return
    if st.session_state.get(DRAWS) == "area":
        area = list(st.session_state.get(AREA, []))
        area += [place for place in dict.fromkeys(events.places) if place not in area]
        if area[:MOST_CORNERS] != st.session_state.get(AREA, []):
            st.session_state[AREA] = area[:MOST_CORNERS]
            st.rerun()
    elif st.session_state.get(BREAKS, True) and events.places[-1] != st.session_state.get(AT):
        st.session_state[AT] = events.places[-1]
        st.rerun()
