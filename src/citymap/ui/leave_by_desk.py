"""The parts of the page 退避期限: what residents see, the release and its taking back, its history."""

from __future__ import annotations

import base64
import html
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from citymap.assess.detour import closure_stamp
from citymap.assess.leave_by import JST, in_force, live_order
from citymap.assess.leave_by_classes import CLASSES, UNKNOWN, classes
from citymap.errors import CitymapError
from citymap.i18n import LANGUAGES, t
from citymap.live import leave_by, orders
from citymap.ui import who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say
from citymap.web.identity import Identity
from citymap.workspace import Workspace

MARGIN_MIN = 10.0
COLUMN = "leave_by"


def choose(workspace: Workspace) -> tuple[str, Path] | None:
    """The result to look at; None where there is none, which the page says."""
    found = leave_by.results(workspace)
    if not found:
        st.caption(say("leave_by.none"))
        return None
    title = {n: str(leave_by.about(p).get("name") or n) for n, p in found.items()}
    name = st.selectbox(
        say("leave_by.result"), list(found), key="leave_by_result",
        format_func=lambda n: title[n] if title[n] == n else f"{title[n]}（{n}）",
    )  # fmt: skip
    return name, found[name]


def how_to_compute() -> None:
    """Where there is no result: the way to one."""
    st.info(say("leave_by.first"), icon=":material/directions_run:")


def state() -> None:
    """What residents are told now."""
    store = who.store()
    order = orders.current(store)
    found = in_force(leave_by.current(store), order)
    if found is None:
        st.caption(say("leave_by.nothing"))
        return
    (st.warning if live_order(order) else st.success)(
        say("leave_by.now", scenario=found.scenario, start=clock(found.start),
            n=round(found.margin_min), by=found.actor, until=clock(found.lapses_at)),
        icon=":material/campaign:",
    )  # fmt: skip
    if found.drill:
        st.warning(say("leave_by.drill"))
    if live_order(order):
        st.error(say("leave_by.order"))


def colours(workspace: Workspace, path: Path) -> dict[str, Any]:
    """Choose whose time limits the buildings show, with the legend below; for `city_map(own=…)`."""
    known = [str(m) for m in leave_by.about(path).get("mobility") or ()]
    mobility = st.segmented_control(
        say("leave_by.mobility"), known or ["adult", "elderly", "impaired"], required=True,
        default=(known or ["adult"])[0], key="leave_by_mobility",
        format_func=lambda m: say(f"leave_by.mobility_name.{m}"),
    )  # fmt: skip
    found = _classes(str(workspace.root), str(path), path.stat().st_mtime_ns, str(mobility))
    counts = np.bincount(found, minlength=UNKNOWN + 1)
    rows = [
        f'<div><span class="cm-swatch" style="background:rgb{colour}"></span>'
        f"{html.escape(say('leave_by.count', label=say(f'leave_by.legend.{name}'), n=f'{counts[k]:,}'))}</div>"
        for k, (name, colour) in enumerate(CLASSES)
    ]
    unknown = say("leave_by.count", label=say("leave_by.legend.unknown"), n=f"{counts[UNKNOWN]:,}")
    rows.append(f'<div><span class="cm-swatch cm-hatch"></span>{html.escape(unknown)}</div>')
    st.html("".join(rows))
    st.caption(say("leave_by.colour_note"))
    return {
        "attribute": {
            "id": COLUMN, "title": {g: t("ui.page.leave_by", g) for g in LANGUAGES}, "type": "class",
            "dtype": "uint8", "nodata": UNKNOWN, "url": "",
            "nodata_label": {g: t("ui.leave_by.legend.unknown", g) for g in LANGUAGES},
            "legend": [
                {"value": k, "colour": list(colour),
                 "label": {g: t(f"ui.leave_by.legend.{name}", g) for g in LANGUAGES}}
                for k, (name, colour) in enumerate(CLASSES)
            ],
        },
        "data": base64.b64encode(found.tobytes()).decode(),
    }  # fmt: skip


@st.cache_data(max_entries=12, show_spinner=False)
def _classes(root: str, path: str, stamp: int, mobility: str) -> NDArray[np.uint8]:
    del stamp
    return classes(Workspace(Path(root)), Path(path), mobility)


def _start(about: dict[str, Any]) -> datetime:
    try:
        said = datetime.fromisoformat(str(about.get("start")))
    except ValueError:
        first = datetime.now(JST).replace(second=0, microsecond=0)
        return st.session_state.setdefault("leave_by_opened", first)  # type: ignore[no-any-return]
    return said.astimezone(JST)


def release_form(workspace: Workspace, name: str, path: Path, me: Identity) -> None:
    """Let residents see the time limits of a result."""
    about = leave_by.about(path)
    if max(closure_stamp(workspace), default=0) > path.stat().st_mtime_ns:
        st.warning(say("leave_by.closures_newer"), icon=":material/block:")
    begin = _start(about)
    st.caption(say("leave_by.how"))
    with st.form(f"release_{name}", border=True):
        title = st.text_input(
            say("leave_by.title"), value=str(about.get("name") or name), key="leave_by_title",
            max_chars=leave_by.MAX_TITLE,
        )  # fmt: skip
        left, middle, right = st.columns(3)
        day = left.date_input(say("leave_by.day"), value=begin.date(), key="leave_by_day")
        at = middle.time_input(
            say("leave_by.time"), value=begin.time(), step=60, key="leave_by_time"
        )
        margin = right.number_input(
            say("leave_by.margin"), min_value=0.0, max_value=float(leave_by.MAX_MARGIN_MIN), step=5.0,
            value=float(about.get("margin_min", MARGIN_MIN)), key="leave_by_margin",
        )  # fmt: skip
        sure = st.checkbox(say("leave_by.sure"), key="leave_by_sure")
        if not st.form_submit_button(say("leave_by.release"), type="primary"):
            return
    if not sure:
        st.error(say("leave_by.must_check"))
        return
    store = who.store()
    try:
        leave_by.release(
            workspace, store, name, start=datetime.combine(day, at, JST), margin_min=margin,
            scenario=title, drill=orders.current(store).mode == "drill", by=me.name,
        )  # fmt: skip
    except CitymapError as error:
        st.error(error.message(language()))
        return
    st.rerun()


def take_back_button(workspace: Workspace, me: Identity) -> None:
    """Take back what is released, drill or not."""
    if leave_by.current(who.store()) is None:
        return
    if st.button(say("leave_by.take_back"), icon=":material/undo:", key="leave_by_take_back"):
        leave_by.take_back(workspace, who.store(), by=me.name)
        st.rerun()


def history() -> None:
    """Who released what and when."""
    rows = leave_by.history(who.store())
    if not rows:
        return
    st.caption(say("leave_by.history"))
    st.dataframe(
        [
            {
                say("audit.at"): clock(at), say("audit.actor"): actor,
                say("leave_by.col_what"): say("leave_by.taken_back") if r is None else r.scenario,
                say("leave_by.col_start"): "–" if r is None else clock(r.start),
                say("leave_by.col_margin"): None if r is None else r.margin_min,
            }
            for at, actor, r in rows
        ],
        hide_index=True, placeholder="–", width="stretch",
    )  # fmt: skip
