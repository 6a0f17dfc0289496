"""The look that Streamlit's theme cannot say: the map fills the page, the card floats over it."""

from importlib.resources import files

import streamlit as st


def apply() -> None:
    """Add the style sheet to the page."""
    css = files("citymap.ui").joinpath("page.css").read_text(encoding="utf-8")
    st.html(f"<style>{css}</style>")
