"""Navigation of the staff process: the pages that this person may open; the others say why not."""

from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from citymap.store.accounts import Role
from citymap.ui import order_banner, page_style, who
from citymap.ui.pages import PAGES
from citymap.ui.speech import say

st.set_page_config(
    page_title=say("app"),
    page_icon=str(Path(__file__).with_name("icon.png")),
    layout="wide",
    initial_sidebar_state=360,
)
page_style.apply()
me = who.require(Role.STAFF)
order_banner.draw()
who.say_missing_page()
groups: dict[str, list[StreamlitPage]] = {}
for screen in PAGES:
    may = me.role.reaches(screen.role)
    shown = st.Page(
        screen.path if may else partial(who.no_entry, screen.role), title=say(f"page.{screen.name}"),
        icon=screen.icon, url_path=screen.url_path, default=screen is PAGES[0],
        visibility="visible" if may else "hidden",
    )  # fmt: skip
    groups.setdefault(say(f"pages.{screen.group}"), []).append(shown)
page = st.navigation(groups, position="top")
who.bar(page.title, me)
page.run()
