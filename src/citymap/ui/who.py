"""Who looks at a page: the person of the session cookie, asked anew at every run."""

from __future__ import annotations

import html
from functools import cache
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.settings import Settings
from citymap.store import Store, sessions
from citymap.store.accounts import Role
from citymap.ui.city import stop_with
from citymap.ui.speech import language, say
from citymap.web.identity import Identity, People

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience

MISSING = "missing"  # in the query: the address that was asked for is no page


@cache
def _people(settings: Settings) -> People:
    return People(settings)


def people() -> People:
    """Tells people apart by the settings of this moment."""
    return _people(Settings())


def here() -> Identity:
    """The person behind this session; `public` once it was revoked or is over."""
    cookie, host = st.context.cookies.get(sessions.COOKIE), st.context.headers.get("Host")
    address = st.context.ip_address  # None is how Streamlit says loopback
    try:
        return people().identify(
            {sessions.COOKIE: cookie} if isinstance(cookie, str) else {},
            host=host if isinstance(host, str) else None,
            client=address if isinstance(address, str) else "127.0.0.1",
        )
    except CitymapError as error:
        stop_with(error)


def require(role: Role) -> Identity:
    """The person, who has at least `role`; else the page says so and stops.

    A fragment runs without `main.py`: one that shows or does more than its page once did calls
    this first.
    """
    found = here()
    if not found.role.reaches(role):
        _turn_away(found)
    return found


def _turn_away(found: Identity) -> NoReturn:
    if found.role is Role.PUBLIC:
        prefix = people().settings.root_path
        st.warning(say("who.over"), icon=":material/lock:")
        st.html(
            f'<a class="cm-go" target="_self" href="{prefix}/auth/login?lang={language()}">'
            f"{say('who.log_in')}</a>"
        )
        st.stop()
    stop_with(CitymapError("not_allowed"))


def no_entry(role: Role) -> NoReturn:
    """What stands at the address of a page that is for `role` and not for this person."""
    lang = language()
    mine = t(f"role.{here().role}", lang)
    stop_with(CitymapError("page_not_allowed", role=t(f"role.{role}", lang), mine=mine))


def say_missing_page() -> None:
    """Who came by an address that is no page (see `asgi.PageBase`) reads so once, on the first page."""
    if st.query_params.pop(MISSING, None) is not None:
        st.toast(say("who.missing_page"), icon=":material/search_off:", duration="long")


def bar(title: str, me: Identity) -> None:
    """In the row of pages: who is logged in and the way out; on a narrow screen the page's title."""
    way = ""
    if me.session is not None:
        href = f"{people().settings.root_path}/auth/session?lang={language()}"
        way = (
            f'<a class="cm-me" target="_self" href="{html.escape(href)}" title="{say("who.session")}">'
            f"{html.escape(me.name)}</a>"
        )
    st.html(f'<div class="cm-bar"><b>{html.escape(title)}</b>{way}</div>')


def audience() -> Audience:
    """The role of the session, as the privacy gate names it."""
    return here().role.value


def store() -> Store:
    """The store of the city; where it cannot be opened the page says so and stops."""
    try:
        return people().store()
    except CitymapError as error:
        stop_with(error)
