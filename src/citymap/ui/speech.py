"""The language of a session (`?lang=`), and texts from the catalogue in it."""

from __future__ import annotations

import re

import streamlit as st

from citymap.i18n import DEFAULT_LANGUAGE, LANGUAGES, t

MARKDOWN = re.compile(r"[\\`*_\[\]<>~$:#]")
NAMES = {"ja": "日本語", "en": "English"}


def language() -> str:
    """`?lang=` where given, else what the session chose, else Japanese."""
    asked = st.query_params.get("lang")
    if asked in LANGUAGES:
        st.session_state["lang"] = asked
    return str(st.session_state.get("lang", DEFAULT_LANGUAGE))


def say(key: str, **values: object) -> str:
    """The text `ui.<key>` in the language of the session."""
    return t(f"ui.{key}", language(), **values)


def literal(text: str) -> str:
    """A text that people typed, for a place that reads Markdown: `*`, `~` and `$` stay what they are."""
    return MARKDOWN.sub(r"\\\g<0>", text)


def switch() -> None:
    """The language switch; the choice goes into the URL."""

    def chosen() -> None:
        lang = st.session_state["language_switch"] or language()
        st.session_state["lang"] = lang
        if lang == DEFAULT_LANGUAGE:
            st.query_params.pop("lang", None)
        else:
            st.query_params["lang"] = lang

    st.segmented_control(
        say("language"),
        LANGUAGES,
        default=language(),
        format_func=lambda code: NAMES[code],
        key="language_switch",
        on_change=chosen,
        label_visibility="collapsed",
        width="stretch",
    )
