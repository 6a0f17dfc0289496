"""退避期限: the latest safe departure of every building, and its release to residents."""

import streamlit as st

from citymap.layers import deck_spec
from citymap.store.accounts import Role
from citymap.ui import leave_by_desk, speech, who
from citymap.ui.city import open_city
from citymap.ui.map_frame import city_map
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.leave_by")}</strong></div>')
    leave_by_desk.state()
    chosen = leave_by_desk.choose(city.workspace)
    own = leave_by_desk.colours(city.workspace, chosen[1]) if chosen else None
    st.divider()
    speech.switch()

city_map(
    key="leave_by_map",
    root_path=city.root_path,
    own_panel=False,
    deck=deck_spec(city.manifest),
    own=own,
    colour_by=leave_by_desk.COLUMN if own else None,
    # What is done here stands below the map, and its first lines must show.
    height="60dvh" if chosen else "52dvh",
)
with st.container(key="page"):
    leave_by_desk.take_back_button(city.workspace, me)
    if chosen is not None:
        st.subheader(say("leave_by.form"))
        leave_by_desk.release_form(city.workspace, *chosen, me)
    else:
        leave_by_desk.how_to_compute()
    leave_by_desk.history()
