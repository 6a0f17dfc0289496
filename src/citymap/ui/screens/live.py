"""ライブ情報: water levels, warnings and their feeds, each with its age, and staff's own word on them."""

import streamlit as st

from citymap.store.accounts import Role
from citymap.ui import live_desk, speech, who
from citymap.ui.city import open_city
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.live")}</strong></div>')
    live_desk.legend()
    st.divider()
    speech.switch()

with st.container(key="page_wide"):
    live_desk.now(city.workspace)
    levels, warnings, feeds, past = st.tabs(
        [say("live.tab_levels"), say("live.tab_warnings"), say("live.tab_feeds"), say("live.tab_past")]
    )  # fmt: skip
    with levels:
        live_desk.override_level(city.workspace, me)
    with warnings:
        live_desk.override_warning(city.workspace, me)
    with feeds:
        live_desk.ask_now(city.workspace, me)
    with past:
        live_desk.past()
