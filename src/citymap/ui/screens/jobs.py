"""管理: what runs, how far, how long still, cancel and log; people and the audit for administrators."""

import streamlit as st

from citymap.store.accounts import Role
from citymap.ui import administration, key_panel, speech, who
from citymap.ui.city import open_city
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.jobs")}</strong></div>')
    administration.myself(me)
    if me.role.reaches(Role.PLANNER):
        administration.start_buttons(me)
    st.divider()
    speech.switch()

with st.container(key="page"):
    if not me.role.reaches(Role.ADMIN):
        st.header(say("jobs.title"))
        administration.job_list()
        st.stop()
    work, people, record = st.tabs([say("jobs.title"), say("people.title"), say("audit.title")])
    with work:
        administration.job_list()
    with people:
        administration.people_list()
        key_panel.show()
    with record:
        administration.audit_list(me)
