"""レイヤー: what can be laid over the city, and layers of other servers."""

import streamlit as st

from citymap.store.accounts import Role
from citymap.ui import layer_list, snapshot_panel, speech, who
from citymap.ui.city import open_city
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.layers")}</strong></div>')
    st.caption(say("layers.about"))
    st.divider()
    speech.switch()

with st.container(key="page"):
    there, more, copies = st.tabs([say("layers.there"), say("layers.more"), say("snapshots.title")])
    with there:
        layer_list.listed(city.workspace, me)
    with more:
        layer_list.adding(city.workspace, me)
    with copies:
        snapshot_panel.waiting(city.workspace, me)
