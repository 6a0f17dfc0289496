"""Snapshots on the layers page: what another GIS changed, accepted or refused by a person."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import streamlit as st

from citymap.errors import CitymapError
from citymap.jobs import submit
from citymap.layers import snapshots
from citymap.store import audit
from citymap.ui import who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.layers.snapshots import Differences, Watch
    from citymap.web.identity import Identity
    from citymap.workspace import Workspace


def _error(error: CitymapError) -> None:
    said = error.as_dict(language())
    st.error(str(said["message"]), icon=":material/error:")
    if said["remedy"]:
        st.info(str(said["remedy"]), icon=":material/build:")


def waiting(workspace: Workspace, me: Identity) -> None:
    """Every watch with what waits, and the buttons to decide."""
    st.caption(say("snapshots.about"))
    try:
        listed = snapshots.watches(workspace)
    except CitymapError as error:
        _error(error)
        return
    if not listed:
        st.info(say("snapshots.none"), icon=":material/inbox:")
    for one in listed:
        with st.container(border=True):
            _one(workspace, me, one)


def _one(workspace: Workspace, me: Identity, one: Watch) -> None:
    now = snapshots.state(workspace, one.id)
    st.subheader(one.id)
    at = clock(datetime.fromisoformat(now.checked_at)) if now.checked_at else ""
    st.caption(say("snapshots.checked", at=at) if at else say("snapshots.never"))
    if now.error:
        st.warning(say("snapshots.failed", error=now.error), icon=":material/cloud_off:")
    if now.pending is not None:
        _differences(now.pending)
    elif at and not now.error:
        st.success(say("snapshots.same"), icon=":material/check:")
    look, accept, refuse, back = st.columns(4)
    if look.button(say("snapshots.look"), key=f"look {one.id}", width="stretch"):
        job = submit(who.store(), "snapshot", {"id": one.id}, by=me.name, role=me.role)
        st.session_state["job"] = job.id
        st.toast(say("snapshots.look"))
    none = now.pending is None
    buttons = (
        (accept, "accept", none, snapshots.accept), (refuse, "refuse", none, snapshots.refuse),
        (back, "rollback", not snapshots.has_previous(workspace, one.id), snapshots.rollback),
    )  # fmt: skip
    for place, name, off, act in buttons:
        kind: Literal["primary", "secondary"] = "secondary"
        if name == "accept" and not off:
            kind = "primary"
        if place.button(
            say(f"snapshots.{name}"), key=f"{name} {one.id}", disabled=off, type=kind, width="stretch"
        ):  # fmt: skip
            try:
                act(workspace, one)
            except CitymapError as error:
                _error(error)
                continue
            with who.store().write() as connection:
                audit.record(connection, actor=me.name, action=f"snapshot.{name}", subject=one.id)
            st.rerun()


def _differences(found: Differences) -> None:
    counts = {k: getattr(found, k) for k in ("added", "removed", "changed", "same")}
    st.write(say("snapshots.counts", **counts))
    if found.columns_added or found.columns_removed:
        more, less = ("、".join(c) or "–" for c in (found.columns_added, found.columns_removed))
        st.write(say("snapshots.columns", more=more, less=less))
    if found.examples:
        rows = [
            {say("snapshots.what"): say(f"snapshots.{d.what}"), say("snapshots.key"): d.key,
             say("snapshots.which"): "、".join(d.columns)}
            for d in found.examples
        ]  # fmt: skip
        st.dataframe(rows, width="stretch", hide_index=True, placeholder="–")
