"""浸水シナリオ: plan a breach or rain on the map, run it, play the water, compare, keep or delete."""

import streamlit as st

from citymap.layers import deck_spec
from citymap.store.accounts import Role
from citymap.ui import flood_desk, speech, who
from citymap.ui.city import open_city
from citymap.ui.map_frame import city_map
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
listed = flood_desk.listed(city.workspace)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.flood_scenarios")}</strong></div>')
    shown = flood_desk.choose(listed)
    st.divider()
    speech.switch()

events = city_map(
    key="flood_map",
    root_path=city.root_path,
    own_panel=False,
    deck=deck_spec(
        city.manifest, extra_layers=flood_desk.layers(shown, city.manifest, city.workspace)
    ),
    height="64dvh",
)
flood_desk.remember(events)
with st.container(key="page"):
    plan, results, compare = st.tabs(
        [say("flood.tab_plan"), say("flood.tab_results"), say("flood.tab_compare")]
    )
    with plan:
        flood_desk.plan_form(city.workspace, me)
    with results:
        flood_desk.results_table(city.workspace, listed, me)
    with compare:
        flood_desk.compare(listed)
