"""The parts of the page 管理: jobs, people, the audit."""

from __future__ import annotations

import html

import streamlit as st

from citymap.i18n import t
from citymap.jobs import submit
from citymap.store import accounts, audit, jobs
from citymap.store.accounts import Role
from citymap.ui import who
from citymap.ui.job_progress import REFRESH_S, cancel_button, clock, draw, title
from citymap.ui.speech import language, say
from citymap.web.identity import Identity

SHOWN = 30
AUDIT_SHOWN = 200


def myself(me: Identity) -> None:
    """Who is logged in, and the way to the password and the log-out."""
    role = t(f"role.{me.role}", language())
    if me.session is None:
        st.caption(say("who.only_user"))
        return
    prefix = who.people().settings.root_path
    st.html(
        f"<div>{html.escape(me.name)} · {html.escape(role)}</div>"
        f'<a class="cm-go" target="_self" href="{prefix}/auth/session?lang={language()}">'
        f"{say('who.session')}</a>"
    )


def start_buttons(me: Identity) -> None:
    """What can be started from here."""
    if st.button(say("jobs.start_tiles"), icon=":material/grid_on:", key="start_tiles",
                 width="stretch"):  # fmt: skip
        submit(who.store(), "tiles", by=me.name, role=me.role)
        st.toast(say("jobs.queued"))


@st.fragment(run_every=REFRESH_S)
def job_list() -> None:
    """Open jobs first, then the last ones that ended; redrawn every second."""
    me = who.require(Role.STAFF)
    store = who.store()
    open_jobs = sorted(
        jobs.listed(store, states=jobs.OPEN), key=lambda j: (j.state != "running", j.created_at)
    )
    ended = jobs.listed(store, states=jobs.ENDED, limit=SHOWN)
    if not open_jobs:
        st.info(say("jobs.none"), icon=":material/done_all:")
    for job in open_jobs:
        with st.container(border=True, key=f"job_{job.id}"):
            st.markdown(f"**{title(job)}**")
            draw(job)
            st.caption(say("jobs.asked", name=job.created_by, time=clock(job.created_at)))
            cancel_button(job, me, key=f"stop_{job.id}")
            _log(job)
    if ended:
        st.subheader(say("jobs.ended"))
    for job in ended:
        with st.container(border=True, key=f"job_{job.id}"):
            st.markdown(f"**{title(job)}**")
            draw(job)
            st.caption(
                say(
                    "jobs.asked", name=job.created_by, time=clock(job.finished_at or job.created_at)
                )
            )
            _log(job)


def _log(job: jobs.Job) -> None:
    """The log and the result, read when opened."""
    if not st.toggle(say("jobs.log"), key=f"log_{job.id}"):
        return
    lines = jobs.log_of(who.store(), job.id)
    text = "\n".join(f"{clock(line.at)}  {line.text}" for line in lines)
    st.code(text or say("jobs.log_empty"), language=None, wrap_lines=True)
    if job.result is not None:
        st.json(job.result)


def people_list() -> None:
    """Every account; made and changed by `citymap user`."""
    found = accounts.listed(who.store())
    st.caption(say("people.how"))
    if not found:
        st.info(say("people.none"), icon=":material/person_add:")
        return
    st.dataframe(
        [
            {
                say("people.name"): a.name,
                say("people.role"): t(f"role.{a.role}", language()),
                say("people.state"): say("people.disabled" if a.disabled else "people.active"),
                say("people.since"): clock(a.created_at),
            }
            for a in found
        ],
        hide_index=True,
        placeholder="–",
        width="stretch",
    )


def audit_list(me: Identity) -> None:
    """The last entries, and all of them as a file."""
    store = who.store()
    rows = audit.newest(store, AUDIT_SHOWN)
    st.dataframe(
        [
            {
                say("audit.at"): clock(e.at), say("audit.actor"): e.actor,
                say("audit.action"): e.action, say("audit.subject"): e.subject,
                say("audit.detail"): ", ".join(f"{k}={v}" for k, v in e.detail.items()),
            }
            for e in rows
        ],
        hide_index=True, placeholder="–",
        width="stretch",
    )  # fmt: skip

    def exported() -> bytes:
        with store.write() as connection:
            audit.record(connection, actor=me.name, action="audit.export")
        return "".join(audit.written("csv", audit.entries(store))).encode()

    st.download_button(
        say("audit.export"), exported, file_name="audit.csv", mime="text/csv", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip
