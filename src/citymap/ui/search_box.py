"""The search box: type a name, an id or an address, choose from what is found."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import streamlit as st

from citymap.assess.search import Hit
from citymap.ui.city import OpenCity
from citymap.ui.speech import language, say

ICONS = {
    "building": ":material/apartment:",
    "address": ":material/location_on:",
    "district": ":material/map:",
    "place": ":material/flag:",
}
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What was chosen: a building, or a point to look at."""

    gml_id: str | None
    at: tuple[float, float] | None


def ask(city: OpenCity) -> Found | None:
    """The box and its results; the choice made last, until something else is pressed."""
    note = f"<span>{escape(say('fictional'))}</span>" if city.city.fictional else ""
    name = escape(city.name(language()))
    st.html(f'<div class="cm-city"><strong>{name}</strong>{note}</div>')
    query = st.text_input(
        say("search.label"), placeholder=say("search.placeholder"), key="query", max_chars=100
    ).strip()
    if query and query != st.session_state.get("answered"):
        _list(city, query)
    chosen: Found | None = st.session_state.get("found")
    return chosen


def _list(city: OpenCity, query: str) -> None:
    hits = city.search.find(query, limit=SHOWN)
    if not hits:
        st.caption(say("search.nothing", query=query))
    with st.container(key="results"):
        for number, hit in enumerate(hits):
            st.button(
                hit.label,
                key=f"hit_{number}",
                icon=ICONS[hit.kind],
                type="tertiary",
                help=say(f"search.{hit.kind}"),
                on_click=_choose,
                args=(hit, query),
                width="stretch",
            )


def _choose(hit: Hit, query: str) -> None:
    st.session_state["answered"] = query
    at = None if hit.gml_id else (hit.lon, hit.lat)
    st.session_state["found"] = Found(hit.gml_id, at)
    st.session_state["selected"] = hit.gml_id
