"""避難所: which shelters may be used for a hazard, which are open, and what their lists say."""

import streamlit as st

from citymap.assess import shelter_audit
from citymap.layers import deck_spec
from citymap.store.accounts import Role
from citymap.ui import shelter_desk, speech, who
from citymap.ui.city import open_city
from citymap.ui.map_frame import city_map
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
audit = shelter_audit.current(city.workspace)
places = shelter_desk.listed(city.workspace)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.shelters")}</strong></div>')
    shelter_desk.order_now()
    hazard = shelter_desk.ask_hazard(audit)
    worst = shelter_audit.worst_by_place(audit, hazard)
    shelter_desk.summary(places, worst)
    st.link_button(
        say("shelter.paper_maps"), f"{city.root_path.rstrip('/')}/paper", icon=":material/print:"
    )
    st.divider()
    speech.switch()

city_map(
    key="shelter_map",
    root_path=city.root_path,
    own_panel=False,
    deck=deck_spec(city.manifest, mode="2d", extra_layers=shelter_desk.dots(places, worst)),
    height="52dvh",
)
with st.container(key="page"):
    table, opening, editing, order = st.tabs(
        [say("shelter.tab_table"), say("shelter.tab_opening"), say("shelter.tab_edit"),
         say("shelter.tab_order")]
    )  # fmt: skip
    with table:
        shelter_desk.table(places, worst)
    with opening:
        shelter_desk.openings_form(places, worst, me)
    with editing:
        shelter_desk.edit_form(city.workspace, places, me)
    with order:
        shelter_desk.order_form(city.workspace, me)
