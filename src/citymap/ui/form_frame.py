"""The report form as a Streamlit component: the page `/report/` in a frame of our own origin."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from citymap.ui.speech import language, say

CSS = ".form iframe { width: 100%; height: calc(100dvh - 3.75rem); border: 0; display: block; }"
SCRIPT = """
export default function ({parentElement, data}) {
  const place = parentElement.querySelector(".form");
  if (place.firstChild && place.dataset.url === data.url) return;
  const frame = document.createElement("iframe");
  frame.src = data.url;
  frame.title = data.title;
  frame.allow = "geolocation";
  place.dataset.url = data.url;
  place.replaceChildren(frame);
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component(
        "citymap_form", html='<div class="form"></div>', css=CSS, js=SCRIPT
    )


def report_form(root_path: str) -> None:
    """Draw the form."""
    data = {
        "url": f"{root_path.rstrip('/')}/report/?lang={language()}",
        "title": say("page.damage_form"),
    }
    _component()(key="report_form", data=data, height="content")
