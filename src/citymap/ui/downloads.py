"""Taking the selection away as CSV, GeoPackage or GeoParquet; written only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from citymap.assess.selection import Bounds, Rule
from citymap.assess.selection_files import MIME, Format
from citymap.share.downloads import download
from citymap.ui.city import OpenCity
from citymap.ui.speech import say
from citymap.ui.who import audience

FORMATS: tuple[Format, ...] = ("csv", "gpkg", "parquet")


def offer(city: OpenCity, rules: Sequence[Rule], bounds: Bounds | None) -> None:
    """One button a format, for the buildings in view or in the whole city."""
    with st.expander(say("download.title"), icon=":material/download:", key="downloads"):
        scope = st.segmented_control(
            say("download.scope"), ["view", "city"], default="view", required=True,
            format_func=lambda s: say(f"download.{s}"), key="download_scope", width="stretch",
        )  # fmt: skip
        chosen = city.columns.select(rules, bounds if scope == "view" else None)
        count = int(chosen.sum())
        if not count:
            st.caption(say("download.empty"))
            return
        st.caption(say("buildings_count", count=f"{count:,}"))
        for kind in FORMATS:
            st.download_button(
                say(f"download.{kind}"),
                partial(download, city.workspace, chosen, kind, audience()),
                file_name=f"{city.city.code}_buildings.{kind}",
                mime=MIME[kind],
                key=f"download_{kind}",
                on_click="ignore",
                width="stretch",
            )
