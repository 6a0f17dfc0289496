"""The order or the drill on top of every staff page, whatever else the page shows, in print too."""

from __future__ import annotations

import html

import streamlit as st

from citymap.errors import CitymapError
from citymap.live import orders
from citymap.settings import Settings
from citymap.store import Store
from citymap.ui import who
from citymap.ui.speech import language, say
from citymap.workspace import Workspace

REFRESH_S = 30.0


def draw() -> None:
    """Read the order anew now and every half minute; a page open all day shows it when it comes."""
    settings = Settings()
    if settings.city is None or not Workspace(settings.city).exists():
        return  # the page itself says what is missing
    _strip()


@st.fragment(run_every=REFRESH_S)
def _strip() -> None:
    try:
        store: Store = who.people().store()
        order = orders.current(store)
    except CitymapError:
        st.html(_bar("unknown", [say("order.unknown")]))
        return
    if order.mode == "normal":
        st.html('<div class="cm-order-none"></div>')
        return
    lines = [say(f"order.banner_{order.mode}")]
    if order.level is not None:
        lines.append(say(f"order.level_{order.level}"))
    where = len(order.districts)
    lines.append(
        say("order.banner_districts", count=where) if where else say("order.banner_everywhere")
    )
    own = order.message.get(language()) or order.message.get("ja")
    if own:
        lines.append(own)
    st.html(_bar(order.mode, lines))


def _bar(mode: str, lines: list[str]) -> str:
    said = "".join(f"<span>{html.escape(line)}</span>" for line in lines)
    mark = f'<b class="cm-drill-mark">{html.escape(say("order.drill_mark"))}</b>'
    bar = f'<div class="cm-order {mode}" role="status">{said}</div>'
    return bar + (mark if mode == "drill" else "")
