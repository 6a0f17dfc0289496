"""被害報告: what came in, on a list and on the map together; decide, assign, answer, merge, publish."""

import streamlit as st

from citymap.store.accounts import Role
from citymap.ui import speech, triage, triage_images, who
from citymap.ui.city import open_city
from citymap.ui.speech import say

me = who.require(Role.STAFF)
city = open_city()
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.damage_reports")}</strong></div>')
    wanted = triage.ask(city, me)
    triage.offer_files(city, wanted)
    st.divider()
    speech.switch()

with st.container(key="page_wide"):
    triage.living_list(city, wanted)
    triage_images.show(city, me)
