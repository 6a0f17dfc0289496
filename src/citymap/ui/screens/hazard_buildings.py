"""ハザードと建物: search, colour and filter the buildings, read one, take the selection away."""

import streamlit as st

from citymap.layers import deck_spec
from citymap.ui import building_card, counts, downloads, filters, search_box, speech
from citymap.ui.city import open_city
from citymap.ui.map_frame import city_map

city = open_city()
with st.sidebar:
    found = search_box.ask(city)
    colour_by = filters.ask_colour(city)
    rules = filters.ask_rules(city)
    below = st.container()

selected = st.session_state.get("selected")
events = city_map(
    key="staff_map",
    root_path=city.root_path,
    own_panel=False,
    deck=deck_spec(city.manifest, at=found.at if found else None),
    colour_by=colour_by,
    rules=[rule.message() for rule in rules],
    highlight=selected,
    fly=found is not None and found.gml_id == selected,
)
if events.pressed and events.gml_id != selected:
    st.session_state["selected"] = events.gml_id
    st.session_state.pop("found", None)
    st.rerun()

with below:
    counts.show(city, rules, events.bounds, colour_by)
    downloads.offer(city, rules, events.bounds)
    st.divider()
    speech.switch()
if selected is not None:
    building_card.show(city, selected)
