"""The parts of the page ライブ情報: levels and warnings with their ages, feeds, overrides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import streamlit as st

from citymap.errors import CitymapError
from citymap.jobs import submit
from citymap.live import feed_state, feeds, levels, overrides, warnings
from citymap.store.accounts import Role
from citymap.ui import job_progress, who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.live.levels import Level
    from citymap.live.warnings import Warned
    from citymap.web.identity import Identity
    from citymap.workspace import Workspace

REFRESH_S = 30.0
HOURS = (1, 3, 6, 12, 24)


def legend() -> None:
    """What the words mean, and that old is unknown."""
    st.caption(say("live.how"))


def age(seconds: float | None) -> str:
    """How old a value is, as people say it."""
    return say("live.never") if seconds is None else job_progress.duration(seconds)


@st.fragment(run_every=REFRESH_S)
def now(workspace: Workspace) -> None:
    """Everything as it stands, drawn anew by itself."""
    who.require(Role.STAFF)
    try:
        found = levels.latest(who.store(), workspace)
        held = warnings.current(who.store(), workspace)
    except CitymapError as error:
        st.error(error.message(language()))
        return
    _warned(held)
    if not found:
        st.info(say("live.no_stations"), icon=":material/upload_file:")
    else:
        rank = ("danger", "evacuation", "caution", "unknown", "standby", "unrated", "below")
        rows = sorted(found, key=lambda x: rank.index(x.state))
        st.dataframe([_row(x) for x in rows], hide_index=True, placeholder="–", width="stretch")
    st.caption(say("live.as_of", time=clock(datetime.now(UTC))))


def _row(one: Level) -> dict[str, Any]:
    station = one.station
    limits = " / ".join(
        "–" if v is None else f"{v:.2f}"
        for v in (station.standby_m, station.caution_m, station.evacuation_m, station.danger_m)
    )
    return {
        say("live.col.state"): say(f"live.state.{one.state}"),
        say("live.col.river"): station.river or say(f"live.kind_{station.kind}"),
        say("live.col.name"): station.name,
        say("live.col.value"): None if one.value_m is None else round(one.value_m, 2),
        say("live.col.rise"): None if one.rise_m_h is None else round(one.rise_m_h, 2),
        say("live.col.age"): age(one.age_s),
        say("live.col.why"): say(f"live.why.{one.why}") if one.why else _by(one),
        say("live.col.last"): one.last_m,
        say("live.col.limits"): limits,
        "ID": station.station_id,
    }


def _by(one: Level | Warned) -> str:
    return "" if one.override is None else say("live.by_staff", name=one.override.actor)


def _warned(held: warnings.Warnings) -> None:
    if not held.configured:
        st.caption(say("live.no_warnings_feed"))
        return
    if not held.known:
        st.warning(say("live.warnings_unknown"), icon=":material/help:")
    for one in held.in_force:
        text = (
            f"{one.name} {one.area_name}（{clock(one.reported_at)}・{age(one.age_s)}） {_by(one)}"
        )
        (st.error if (one.level or 0) >= 4 else st.warning)(text, icon=":material/warning:")
    for one in held.listed:
        if one.state == "unknown" and one.last_level:
            why = say(f"live.why.{one.why}")
            st.info(f"{one.last_name} {one.area_name}: {why}", icon=":material/help:")
    if held.known and not held.in_force and held.checked_at is not None:
        st.success(say("live.warnings_none", time=clock(held.checked_at)))


def _which(label: str, names: dict[str, str]) -> str | None:
    """One of `names` (by subject), or none yet."""
    return st.selectbox(
        say(label), list(names), index=None, key=label.replace(".", "_"), placeholder=say("choose"),
        format_func=lambda i: names[i],
    )  # fmt: skip


def _what(said: str, key: str) -> str | None:
    """What staff say of it: a value or level (`said`), that it is not known, or nothing any more."""
    return st.segmented_control(
        say("live.what"), (said, "unknown", "none"), key=key,
        format_func=lambda s: say(f"live.what_{s}"),
    )  # fmt: skip


def _until(key: str) -> datetime | None:
    hours = st.selectbox(
        say("live.until"), [None, *HOURS], key=key,
        format_func=lambda h: say("live.until_open") if h is None else say("live.hours", count=h),
    )  # fmt: skip
    return None if hours is None else datetime.now(UTC) + timedelta(hours=hours)


def _save(subject: str, state: str, me: Identity, **more: Any) -> None:
    try:
        overrides.say(who.store(), subject, state, by=me.name, **more)
    except CitymapError as error:
        st.error(error.message(language()))
        return
    st.rerun()


def override_level(workspace: Workspace, me: Identity) -> None:
    """A value that staff saw, doubt, or the feed again."""
    try:
        found = {x.station.station_id: x for x in levels.latest(who.store(), workspace)}
    except CitymapError:
        return  # said above
    if not found:
        st.info(say("live.no_level_yet"), icon=":material/upload_file:")
        return
    st.caption(say("live.override_how"))
    names = {i: f"{x.station.river} {x.station.name}（{i}）" for i, x in found.items()}
    with st.form("override_level", border=True):
        chosen = _which("live.station", names)
        state = _what("value", key="live_state")
        value = st.number_input(
            say("live.value"), value=None, step=0.01, format="%.2f", key="live_value"
        )
        until = _until("live_until")
        note = st.text_input(say("live.note"), max_chars=overrides.MAX_NOTE, key="live_note")
        if not st.form_submit_button(say("live.save"), type="primary"):
            return
        if not chosen or not state:
            st.warning(say("live.incomplete"), icon=":material/edit:")
        else:
            metres = None if state != "value" or value is None else float(value)
            _save(levels.subject(chosen), state, me, value=metres, note=note, until=until)


def override_warning(workspace: Workspace, me: Identity) -> None:
    """A level that staff know of, doubt, or the bulletin again."""
    try:
        held = warnings.current(who.store(), workspace)
    except CitymapError:
        return
    if held.listed:
        _warning_form(held, me)
    else:
        st.info(say("live.no_bulletins"), icon=":material/inbox:")
    rows = [
        {
            say("live.col.state"): row.status, say("live.col.name"): row.area_name,
            say("live.col.warning"): row.name or row.info_type, "#": row.code,
            say("live.col.at"): clock(row.reported_at), say("live.col.headline"): row.headline,
        }
        for row in warnings.recent(who.store())
    ]  # fmt: skip
    if rows:
        st.dataframe(rows, hide_index=True, placeholder="–", width="stretch")


def _warning_form(held: warnings.Warnings, me: Identity) -> None:
    names = {
        warnings.subject(w.hazard, w.area_code): f"{say(f'hazard.{w.hazard}')} {w.area_name}"
        for w in held.listed
    }
    with st.form("override_warning", border=True):
        chosen = _which("live.warning", names)
        state = _what("level", key="live_warning_state")
        level = st.selectbox(
            say("live.level"), [None, 2, 3, 4, 5], key="live_level",
            format_func=lambda n: say("live.lifted") if n is None else str(n),
        )  # fmt: skip
        until = _until("live_warning_until")
        note = st.text_input(
            say("live.note"), max_chars=overrides.MAX_NOTE, key="live_warning_note"
        )
        if not st.form_submit_button(say("live.save_warning"), type="primary"):
            return
        if not chosen or not state:
            st.warning(say("live.incomplete"), icon=":material/edit:")
        else:
            value = level if state == "level" else None
            _save(chosen, state, me, value=value, note=note, until=until)


def ask_now(workspace: Workspace, me: Identity) -> None:
    """How the feeds stand, and a button that asks them all."""
    try:
        listed = feeds.feeds(workspace)
    except CitymapError as error:
        st.error(error.message(language()))
        return
    if not listed:
        st.info(say("live.no_feeds"), icon=":material/build:")
        return
    states = feed_state.states(who.store())
    st.dataframe(
        [_feed(f, states.get(f.id)) for f in listed],
        hide_index=True,
        placeholder="–",
        width="stretch",
    )
    for one in listed:
        state = states.get(one.id)
        if state is not None and state.error:
            st.error(f"{one.id}: {state.error.get(language())}", icon=":material/sync_problem:")
    if st.button(say("live.ask_now"), icon=":material/sync:", key="live_ask"):
        job = submit(who.store(), "live", {}, by=me.name, role=me.role)
        st.session_state["live_job"] = job.id
    if "live_job" in st.session_state:
        job_progress.show(st.session_state["live_job"])


def _feed(feed: feeds.Feed, state: feed_state.FeedState | None) -> dict[str, Any]:
    heard = None if state is None or state.ok_at is None else state.ok_at
    since = None if heard is None else (datetime.now(UTC) - heard).total_seconds()
    return {
        "ID": feed.id, say("live.col.kind"): say(f"live.feed_{feed.kind}"),
        say("live.col.heard"): age(since),
        say("live.col.failures"): 0 if state is None else state.failures,
        say("live.col.taken"): 0 if state is None else state.taken,
        say("live.col.refused"): ", ".join(f"{k} {n}" for k, n in (state.refused if state else {}).items()),
    }  # fmt: skip


def past() -> None:
    """Who said what before the feeds."""
    rows = [
        {
            say("live.col.at"): clock(o.at), say("audit.actor"): o.actor, "ID": o.subject,
            say("live.what"): say(f"live.what_{o.state}"), say("live.value"): o.value,
            say("live.until"): None if o.until is None else clock(o.until), say("live.note"): o.note,
        }
        for o in overrides.history(who.store())
    ]  # fmt: skip
    if not rows:
        st.caption(say("live.no_past"))
        return
    st.dataframe(rows, hide_index=True, placeholder="–", width="stretch")
