"""Navigation of the staff process: only pages that work are listed."""

from pathlib import Path

import streamlit as st

from citymap.ui import page_style
from citymap.ui.speech import say

PAGES = Path(__file__).parent / "pages"

st.set_page_config(
    page_title=say("app"), page_icon=":material/map:", layout="wide", initial_sidebar_state=360
)
page_style.apply()
page = st.navigation(
    [
        st.Page(
            PAGES / "public_map.py",
            title=say("page.public_map"),
            icon=":material/public:",
            url_path="public-map",
            default=True,
        ),
        st.Page(
            PAGES / "hazard_buildings.py",
            title=say("page.hazard_buildings"),
            icon=":material/apartment:",
            url_path="hazard-buildings",
        ),
    ],
    position="top",
)
page.run()
