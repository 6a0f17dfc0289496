"""The choice of two results to compare, the same for floods and for plans."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from citymap.ui.speech import say


def two_of(names: Sequence[str], page: str) -> tuple[str, str] | None:
    """Two of the names, chosen beside each other; None, and said so, where there are not two."""
    if len(names) < 2:
        st.info(say(f"{page}.two_needed"), icon=":material/compare:")
        return None
    left, right = st.columns(2)
    a = left.selectbox(say(f"{page}.before"), names, key=f"{page}_first")
    b = right.selectbox(say(f"{page}.after"), names, index=1, key=f"{page}_second")
    return a, b
