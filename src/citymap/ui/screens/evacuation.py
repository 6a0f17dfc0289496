"""避難シミュレーション: plan who leaves when, run it, play it on the map, read the charts, compare, hand out."""

import streamlit as st

from citymap.evacuation import plans
from citymap.layers import deck_spec
from citymap.store.accounts import Role
from citymap.ui import evacuation_charts, evacuation_desk, speech, who
from citymap.ui.city import open_city
from citymap.ui.map_frame import city_map
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.PLANNER)
listed = plans.entries(city.workspace)
districts = evacuation_charts.districts(city.workspace)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.evacuation")}</strong></div>')
    plan = evacuation_desk.choose(listed)
    chosen = evacuation_charts.choose_district(districts)
    evacuation_desk.legend(plan)
    st.divider()
    speech.switch()

events = city_map(
    key="evacuation_map",
    root_path=city.root_path,
    own_panel=False,
    deck=deck_spec(
        city.manifest, mode="2d", extra_layers=evacuation_charts.layers(plan, chosen, districts)
    ),
    height="60dvh",
    people=evacuation_desk.playback(city.workspace, plan, city.root_path),
)
evacuation_charts.remember(events, districts)
with st.container(key="page"):
    results, district, compare, new, every = evacuation_desk.parts()
    with results:
        evacuation_desk.capsule_button(city.workspace, plan)
        evacuation_charts.charts(plan, districts)
    with district:
        evacuation_charts.district(plan, chosen, districts)
    with compare:
        evacuation_charts.compare(listed, districts)
    with new:
        evacuation_desk.plan_form(city.workspace, me)
    with every:
        evacuation_desk.plans_table(city.workspace, listed)
