"""The keys of GIS clients on the page 管理: listed, made, ended by an administrator."""

from __future__ import annotations

import streamlit as st

from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.store import accounts, keys
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.ui import who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say


def show() -> None:
    """The list, and the two forms."""
    me = who.require(Role.ADMIN)
    store = who.store()
    st.subheader(say("keys.title"))
    st.caption(say("keys.about"))
    found = keys.listed(store)
    if found:
        st.dataframe(
            [
                {
                    say("keys.id"): k.id, say("people.name"): k.account, say("keys.for"): k.title,
                    say("people.role"): t(f"role.{k.role}", language()),
                    say("keys.scopes"): ", ".join(sorted(k.scopes)),
                    say("keys.until"): clock(k.expires_at),
                    say("people.state"): t("key.in_force" if k.in_force else "key.ended", language()),
                }
                for k in found
            ],
            hide_index=True, placeholder="–", width="stretch",
        )  # fmt: skip
    _make(me.name)
    in_force = {k.id: f"{k.id} · {k.account} · {k.title}" for k in found if k.in_force}
    if in_force:
        chosen = st.selectbox(
            say("keys.which"), list(in_force), format_func=in_force.__getitem__, key="key_chosen"
        )
        if st.button(say("keys.revoke"), key="key_revoke"):
            keys.revoke(store, chosen, by=me.name)
            st.rerun()


def _make(by: str) -> None:
    store = who.store()
    names = [a.name for a in accounts.listed(store) if not a.disabled]
    if not names:
        return
    with st.form("key_make"):
        name = st.selectbox(say("people.name"), names)
        title = st.text_input(say("keys.for"), max_chars=keys.MAX_TITLE)
        scopes = st.multiselect(
            say("keys.scopes"), [s.value for s in Scope], default=[Scope.FEATURES.value],
            format_func=lambda s: say(f"keys.scope_{s.replace('-', '_')}"),
            placeholder=say("choose"),
        )  # fmt: skip
        days = st.number_input(say("keys.days"), 1, keys.MAX_DAYS, keys.DAYS)
        wanted = st.form_submit_button(say("keys.make"))
    if not wanted:
        return
    try:
        account = next(a for a in accounts.listed(store) if a.name == name)
        role = Role.STAFF if account.role.reaches(Role.STAFF) else account.role
        made, text = keys.add(
            store, name, scopes=[Scope(s) for s in scopes], title=title, role=role, days=int(days), by=by
        )  # fmt: skip
    except CitymapError as error:
        st.error(error.message(language()))
        return
    st.success(t("key.made", language(), name=made.account, end=f"{made.expires_at:%Y-%m-%d}"))
    st.code(text, language=None)
