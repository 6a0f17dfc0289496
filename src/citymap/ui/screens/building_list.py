"""建物一覧と集計: every building with its exposure: search, filters, totals, charts, files."""

import streamlit as st

from citymap.store.accounts import Role
from citymap.ui import building_list, exposure_charts, speech, who
from citymap.ui.city import open_city
from citymap.ui.pages import SCREENS
from citymap.ui.speech import say

city = open_city()
who.require(Role.STAFF)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.building_list")}</strong></div>')
    speech.switch()

with st.container(key="page_wide"):
    table = building_list.open_table(city)
    wanted = building_list.ask(table)
    chosen = table.choose(wanted)
    by_class = table.totals(chosen, "depth_class")
    building_list.headline(chosen, by_class)
    listed, totals, charts, disagreeing, files = st.tabs(
        [say(f"list.tab_{name}") for name in ("rows", "totals", "charts", "disagreements", "files")]
    )
    with listed:
        gml_id = building_list.rows(table, chosen)
        if gml_id is not None and st.button(
            say("list.open_map", id=gml_id), icon=":material/map:", key="list_open"
        ):
            st.session_state["selected"] = gml_id
            st.switch_page(SCREENS / "hazard_buildings.py")
    with totals:
        building_list.totals(table, chosen)
    with charts:
        exposure_charts.by_class(by_class)
        exposure_charts.by_district(table.totals(chosen, "district"))
    with disagreeing:
        building_list.show_disagreements(city, table)
    with files:
        building_list.files(city, table, chosen)
