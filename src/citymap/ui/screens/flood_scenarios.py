"""浸水シナリオ: plan a breach or rain on the map, run it, play the water, compare, keep or delete."""

import streamlit as st

from citymap.store.accounts import Role
from citymap.ui import flood_desk, flood_plan, flood_results, flood_runs, speech, who
from citymap.ui.city import open_city
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
listed = flood_desk.listed(city.workspace)
runs = flood_runs.known()
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.flood_scenarios")}</strong></div>')
    shown = flood_desk.choose(listed)
    st.divider()
    speech.switch()

flood_desk.show_map(city, shown, runs)
with st.container(key="page"):
    flood_desk.say_gone()
    flood_runs.follow(runs)
    plan, every, compare = flood_desk.parts(listed)
    with plan:
        flood_plan.plan_form(city.workspace, me)
    with every:
        flood_results.table(city.workspace, listed, runs, me)
    with compare:
        flood_results.compare(listed)
