"""Following the runs of flood scenarios: started, seen on their way, looked at, or told why they ended."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pydeck
import streamlit as st
from pydeck.types import String

from citymap.assess import flood_view
from citymap.jobs import submit
from citymap.store import jobs
from citymap.store.jobs import Job
from citymap.ui import job_progress, who
from citymap.ui.speech import literal, say
from citymap.web.identity import Identity
from citymap.workspace import Workspace

JOB = "flood_job"
NEXT = "flood_next"  # the scenario to come to the front of the table
WANTED = "flood_wanted"  # what the choices of the map are to be, from the next run of the page on
LAST_RUNS = 300  # looked through for the state of each scenario
LIVE_S = 3.0  # between two looks at the water of a run


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs under way, newest first, and the last one of each scenario."""

    under_way: Sequence[Job]
    last: Mapping[str, Job]

    def busy(self, name: str) -> bool:
        """Whether a scenario is being computed or waits for it."""
        return any(scenario_of(job) == name for job in self.under_way)


def scenario_of(job: Job) -> str:
    """The name of the scenario that a job computes."""
    return str(job.params.get("name"))


def known() -> Runs:
    """The runs of the city, of everybody."""
    newest = jobs.listed(who.store(), kind="flood", limit=LAST_RUNS)
    last: dict[str, Job] = {}
    for job in newest:
        last.setdefault(scenario_of(job), job)
    return Runs([job for job in newest if not job.ended], last)


def start(name: str, me: Identity) -> None:
    """Put the run of a scenario in the queue and follow it."""
    job = submit(who.store(), "flood", {"name": name}, by=me.name, role=me.role)
    st.session_state[JOB] = job.id
    st.rerun()


def follow(runs: Runs) -> None:
    """Every run under way, and the one that this session started until it is put away."""
    own = st.session_state.get(JOB)
    for job in runs.under_way:
        with st.container(border=True):
            _title(job)
            job_progress.show(job.id)
            st.toggle(
                say("flood.live"),
                value=job.id == own,
                key=_toggle(job),
                help=say("flood.live_about"),
            )
    ended = None if own is None else runs.last.get(_name_of(own, runs))
    if ended is not None and ended.id == own and ended.ended:
        with st.container(border=True):
            _title(ended)
            job_progress.show(ended.id)
            left, right = st.columns(2)
            if ended.state == "done" and left.button(
                say("flood.look"), icon=":material/visibility:", type="primary", width="stretch"
            ):
                look_at(scenario_of(ended))
            if right.button(say("flood.put_away"), width="stretch"):
                _put_away()
                st.rerun()


def _title(job: Job) -> None:
    st.markdown(f"**{say('flood.run_of', name=literal(scenario_of(job)))}**")


def _toggle(job: Job) -> str:
    return f"flood_live_{job.id}"


def _name_of(job_id: str, runs: Runs) -> str:
    return next((name for name, job in runs.last.items() if job.id == job_id), "")


def _put_away() -> None:
    st.session_state.pop(JOB, None)


def look_at(name: str, versus: str = "", how: str = "side") -> None:
    """Play the result of a scenario on the map, beside another or not."""
    st.session_state[WANTED] = {"flood_result": name, "flood_versus": versus, "flood_how": how}
    _put_away()
    st.rerun()


def watched(runs: Runs) -> Job | None:
    """The run whose water is to be seen on the map."""
    own = st.session_state.get(JOB)
    for job in runs.under_way:
        if st.session_state.get(_toggle(job), job.id == own):
            return job
    return None


def water(workspace: Workspace, job: Job) -> tuple[flood_view.Live | None, str]:
    """The water of a run so far, and what to say about it."""
    name = literal(scenario_of(job))
    found = flood_view.live(workspace.scenario(scenario_of(job)))
    if found is None:
        return None, say(f"flood.live_{'waits' if job.state == 'queued' else 'soon'}", name=name)
    return found, say("flood.so_far", name=name, time=clock(found.t_s / 3600))


def layer(live: flood_view.Live, above_m: float) -> pydeck.Layer:
    """The water of a run as a picture over the map, `above_m` metres over the map's plane 0."""
    image = "data:image/png;base64," + base64.b64encode(live.picture.png).decode()
    return pydeck.Layer(
        "BitmapLayer", None, id="flood_live", image=String(image),
        bounds=[[*at, above_m] for at in live.picture.corners], parameters={"depthCompare": "always"},
    )  # fmt: skip


def clock(hours: float) -> str:
    """Hours as H:MM."""
    minutes = round(hours * 60)
    return f"{minutes // 60}:{minutes % 60:02d}"
