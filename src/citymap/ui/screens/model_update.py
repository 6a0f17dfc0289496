"""モデル更新: a new edition of the city model beside the one in force: compared, mapped, put in force."""

import streamlit as st

from citymap.operations import editions
from citymap.store.accounts import Role
from citymap.ui import model_desk, speech, who
from citymap.ui.city import open_city
from citymap.ui.speech import say

city = open_city()
me = who.require(Role.STAFF)
with st.sidebar:
    st.html(f'<div class="cm-city"><strong>{say("page.model_update")}</strong></div>')
    speech.switch()

with st.container(key="page_wide"):
    model_desk.in_force(city)
    chosen = model_desk.choose(editions.listed(city.workspace))
    if chosen is not None:
        model_desk.counts(chosen)
    rows, change, reports = st.tabs(
        [say("model.tab_rows"), say("model.tab_change"), say("model.tab_reports")]
    )
    with rows:
        if chosen is not None:
            model_desk.differences(city, chosen)
    with change:
        model_desk.change(city, chosen, me)
    with reports:
        model_desk.reports(city)
