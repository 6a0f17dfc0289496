"""Navigation of the staff process: only pages that work are listed."""

from pathlib import Path

import streamlit as st

from citymap.ui import page_style
from citymap.ui.speech import say

SCREENS = Path(__file__).parent / "screens"

st.set_page_config(
    page_title=say("app"),
    page_icon=str(Path(__file__).with_name("icon.png")),
    layout="wide",
    initial_sidebar_state=360,
)
page_style.apply()
page = st.navigation(
    [
        st.Page(
            SCREENS / "public_map.py",
            title=say("page.public_map"),
            icon=":material/public:",
            url_path="public-map",
            default=True,
        ),
        st.Page(
            SCREENS / "hazard_buildings.py",
            title=say("page.hazard_buildings"),
            icon=":material/apartment:",
            url_path="hazard-buildings",
        ),
    ],
    position="top",
)
page.run()
