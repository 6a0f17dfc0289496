"""Pictures in bulk on the page 被害報告: chosen here, made into drafts by a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from citymap import quarantine
from citymap.jobs import submit
from citymap.reports.categories import in_force
from citymap.ui import job_progress, uploads, who
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.ui.city import OpenCity
    from citymap.web.identity import Identity

JOB, ROUND = "triage_images_job", "triage_images_round"


def show(city: OpenCity, me: Identity) -> None:
    """The chooser, and how far the last batch is."""
    with st.expander(say("images.title"), icon=":material/drone:", key="triage_images"):
        st.caption(say("images.help"))
        turn = st.session_state.get(ROUND, 0)
        endings = ["jpg", "jpeg", "png", "webp"]
        chosen = uploads.choose(city, say("images.choose"), endings=endings, key=f"images_{turn}")
        listed = in_force(city.workspace)
        category = st.selectbox(
            say("images.category"), [c.code for c in listed.category][::-1],
            format_func=lambda c: listed.title(c, language()), key="images_category",
        )  # fmt: skip
        if st.button(say("images.go"), key="images_go", disabled=not chosen, type="primary"):
            taken = uploads.receive(city, chosen, quarantine.PHOTOS)
            if taken:
                files = [[one.upload.path.name, one.name] for one in taken]
                params = {"files": files, "category": category}
                st.session_state[JOB] = submit(
                    who.store(), "images", params, by=me.name, role=me.role
                ).id
                st.session_state[ROUND] = turn + 1
                st.rerun()
        if st.session_state.get(JOB):
            job_progress.show(st.session_state[JOB])
