"""How far a job is, drawn the same on the jobs page and on the page that started it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from citymap.errors import CitymapError
from citymap.i18n import t, worded
from citymap.store import jobs
from citymap.store.accounts import Role
from citymap.ui import who
from citymap.ui.speech import language, literal, say
from citymap.web.identity import Identity

ICONS = {
    "queued": ":material/hourglass_empty:", "running": ":material/sync:",
    "done": ":material/check_circle:", "failed": ":material/error:",
    "cancelled": ":material/cancel:", "interrupted": ":material/warning:",
}  # fmt: skip
REFRESH_S = 1.0
TOKYO = ZoneInfo("Asia/Tokyo")


def title(job: jobs.Job) -> str:
    """What the job is, in the language of the session."""
    return t(f"job.kind.{job.kind}", language())


def duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 90:
        return say("jobs.seconds", count=max(1, round(seconds)))
    if seconds < 5400:
        return say("jobs.minutes", count=round(seconds / 60))
    return say("jobs.hours", hours=int(seconds // 3600), minutes=round(seconds % 3600 / 60))


def clock(at: datetime) -> str:
    """Date and time in Japan."""
    return at.astimezone(TOKYO).strftime("%Y-%m-%d %H:%M:%S")


def draw(job: jobs.Job) -> None:
    """State, progress and time left of one job."""
    state = t(f"job.state.{job.state}", language())
    parts = [state]
    if job.cancel and job.state == "running":
        parts.append(say("jobs.stopping"))
    if job.share is not None and job.state == "running":
        parts.append(f"{job.share:.0%}")
    if job.left_s is not None:
        parts.append(say("jobs.left", time=duration(job.left_s)))
    elif job.elapsed_s is not None:
        parts.append(
            say("jobs.took" if job.ended else "jobs.elapsed", time=duration(job.elapsed_s))
        )
    if job.attempt > 1:
        parts.append(say("jobs.attempt", count=job.attempt))
    st.markdown(f"{ICONS[job.state]} {' · '.join(parts)}")
    if job.state == "running":
        st.progress(job.share or 0.0, text=worded(job.note, language()) or None)
    if job.error is not None:
        st.error(literal(str(job.error.get(language()) or job.error.get("key"))))


def cancel_button(job: jobs.Job, me: Identity, *, key: str) -> None:
    """A button that stops the job, for who started it and for planners."""
    mine = job.created_by == me.name or me.role.reaches(Role.PLANNER)
    if not job.ended and not job.cancel and mine and st.button(
        say("jobs.cancel"), icon=":material/stop_circle:", key=key
    ):  # fmt: skip
        jobs.cancel(who.store(), job.id, by=me.name)
        st.rerun(scope="fragment")


def show(job_id: str, *, role: Role = Role.STAFF) -> jobs.Job | None:
    """Follow a job on the page that started it; draws itself anew until the job has ended.

    Returns the job as it is now; None where it cannot be read.
    """
    try:
        job = jobs.get(who.store(), job_id)
    except CitymapError as error:
        st.error(error.message(language()))
        return None
    if job.ended:
        draw(job)
        return job

    @st.fragment(run_every=REFRESH_S)
    def follow() -> None:
        me = who.require(role)
        current = jobs.get(who.store(), job_id)
        if current.ended:
            st.rerun()
        draw(current)
        cancel_button(current, me, key=f"cancel_{job_id}")

    follow()
    return job
