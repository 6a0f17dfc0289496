"""One report on the page 被害報告: what was said, its photos large, what can be done, its history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.operations import report_buildings
from citymap.reports import closures, desk, photos
from citymap.reports.categories import in_force
from citymap.reports.model import CONFIRMED, NEXT, Event, Report
from citymap.store.accounts import Role
from citymap.store.tables import now
from citymap.ui import who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.assess.report_board import Row
    from citymap.ui.city import OpenCity
    from citymap.web.identity import Identity

SHORTCUTS = {
    "confirmed": "k",
    "in_progress": "p",
    "resolved": "d",
    "rejected": "x",
    "reopened": "o",
}


def do(city: OpenCity, deed: Callable[[], object], said: str) -> None:
    """Do it, let the closures follow, say so; what went wrong is said in words."""
    try:
        deed()
        closures.refresh(who.store(), city.workspace)
    except CitymapError as error:
        st.error(error.message(language()), icon=":material/error:")
        return
    st.toast(said, icon=":material/check:")
    st.rerun()


def show(city: OpenCity, row: Row, me: Identity) -> None:
    """Draw the report with its buttons."""
    report = row.report
    with st.container(border=True, key="triage_report"):
        state = t(f"report.status.{report.status}", language())
        st.markdown(f"### № {report.number} {row.title} ・ {state}")
        facts, pictures = st.columns([1, 1])
        with facts:
            _facts(city, row)
            _merged(city, report, me)
            _states(city, report, me)
        with pictures:
            _photos(city, report, me)
        work, public, road = st.tabs(
            [say("triage.note"), say("triage.public"), say("triage.effect")]
        )
        with work:
            _work(city, report, me)
        with public:
            _publish(city, report, me)
        with road:
            _effect(city, report, me)
        with st.expander(
            say("triage.history"), icon=":material/history:", key=f"history_{report.id}"
        ):
            lines = [_line(event) for event in desk.history(who.store(), report.id)]
            st.html(f'<ol class="cm-history">{"".join(lines)}</ol>')
        if me.role.reaches(Role.ADMIN) and report.redacted_at is None:
            _redact(city, report, me)


def _facts(city: OpenCity, row: Row) -> None:
    report, facts = row.report, []
    carried = report_buildings.read(city.workspace).get(report.id)
    depth = say("triage.metres", value=report.depth_m) if report.depth_m is not None else ""
    others = (
        say("triage.trust_others", count=row.trust.others)
        if row.trust.others
        else say("triage.trust_alone")
    )
    for name, value in (
        ("observed", clock(report.observed_at)), ("received", clock(report.received_at)),
        ("district", row.district), ("building", _building(carried)), ("depth", depth),
        ("severity", say(f"triage.severity_{report.severity}") if report.severity else ""),
        ("accuracy", f"± {report.accuracy_m:.0f} m" if report.accuracy_m is not None else ""),
        ("trust", f"{row.trust.level:.0%} ・ {others}"),
        ("source", _source(report)),
        ("contact", report.contact), ("assigned", report.assigned_to),
    ):  # fmt: skip
        if value:
            facts.append(
                f"<tr><th>{escape(say(f'triage.{name}'))}</th><td>{escape(value)}</td></tr>"
            )
    text = escape(report.text) or escape(say("triage.no_text"))
    st.html(f'<p class="cm-said">{text}</p><table class="cm-table">{"".join(facts)}</table>')
    if report.redacted_at is not None:
        st.caption(say("triage.redacted"))


def _source(report: Report) -> str:
    """Where it came from, and from whom; a picture brought in with others has no sender."""
    way = say(f"triage.source_{report.source}")
    return (
        way
        if report.source == "images"
        else f"{way} ・ {t(f'role.{report.sender_role}', language())}"
    )


def _building(carried: dict[str, Any] | None) -> str:
    """The building as it was carried over at the last change of edition; empty without one."""
    if carried is None:
        return ""
    rule = t(f"model.rule.{carried['rule']}", language())
    return f"{carried['building_id'] or carried['from_building_id']}（{rule}）"


def _merged(city: OpenCity, report: Report, me: Identity) -> None:
    if report.merged_into is None:
        return
    into = desk.found(who.store(), report.merged_into)
    st.info(say("triage.merged_into", number=into.number if into else "?"), icon=":material/merge:")
    if st.button(say("triage.unmerge"), key=f"unmerge_{report.id}"):
        do(
            city,
            lambda: desk.unmerge(who.store(), report.id, by=me.name),
            say("triage.done", count=1),
        )


def _states(city: OpenCity, report: Report, me: Identity) -> None:
    """A button for each state that may follow; the letter beside it does the same."""
    following = NEXT[report.status]
    for column, to in zip(st.columns(max(1, len(following))), following, strict=False):
        if column.button(
            say(f"triage.to_{to}"), key=f"to_{to}_{report.id}", shortcut=SHORTCUTS[to], width="stretch",
            type="primary" if to == following[0] else "secondary",
        ):  # fmt: skip
            do(
                city,
                partial(desk.move, who.store(), [report.id], to, by=me.name, version=report.version),
                say("triage.done", count=1),
            )  # fmt: skip


def _photos(city: OpenCity, report: Report, me: Identity) -> None:
    for number, photo in enumerate(report.photos):
        try:
            shown = photos.shown(city.workspace, photo, side=1000)
        except CitymapError as error:
            st.warning(error.message(language()), icon=":material/cloud_off:")
            continue
        if shown is None:
            st.warning(say("triage.photo_gone"), icon=":material/broken_image:")
            continue
        st.image(shown, width="stretch")
        is_public = bool(photo.public_name)
        wanted = st.toggle(
            say("triage.photo_release", number=number + 1),
            is_public,
            key=f"photo_{report.id}_{number}",
        )
        if wanted != is_public:
            deed = desk.release_photo if wanted else desk.withdraw_photo
            do(
                city, partial(deed, who.store(), city.workspace, report.id, number, by=me.name),
                say("triage.done", count=1),
            )  # fmt: skip


def _work(city: OpenCity, report: Report, me: Identity) -> None:
    from citymap.ui.triage import names_of_staff  # noqa: PLC0415  (the list draws the report)

    store = who.store()
    with st.form(f"note_{report.id}", border=False, clear_on_submit=True):
        text = st.text_area(
            say("triage.note"), key=f"note_text_{report.id}", max_chars=desk.MAX_NOTE
        )
        if st.form_submit_button(say("triage.note_add")) and text.strip():
            do(
                city,
                lambda: desk.note(store, report.id, text.strip(), by=me.name),
                say("triage.note_add"),
            )
    names = list(dict.fromkeys(["", me.name, *names_of_staff(), report.assigned_to]))
    pick, go = st.columns([3, 1], vertical_alignment="bottom")
    name = pick.selectbox(
        say("triage.assigned"), names, index=names.index(report.assigned_to),
        format_func=lambda n: n or say("triage.nobody"), key=f"assign_{report.id}",
    )  # fmt: skip
    if go.button(say("triage.assign"), key=f"assign_go_{report.id}", width="stretch"):
        do(
            city,
            lambda: desk.assign(store, [report.id], name, by=me.name),
            say("triage.done", count=1),
        )


def _publish(city: OpenCity, report: Report, me: Identity) -> None:
    store, lang = who.store(), language()
    if report.release == "released" and st.button(
        say("triage.withhold"), key=f"withhold_{report.id}"
    ):
        do(city, lambda: desk.withhold(store, [report.id], by=me.name), say("triage.done", count=1))
    if report.status not in CONFIRMED:
        st.info(say("triage.publish_first"), icon=":material/lock:")
        return
    answers = {a.code: a.text.in_(lang) for a in in_force(city.workspace).answer}
    code = st.selectbox(
        say("triage.canned"), [None, *answers], key=f"canned_{report.id}",
        format_func=lambda c: say("triage.own_words") if c is None else answers[c],
    )  # fmt: skip
    words = answers[code] if code is not None else report.public_text
    text = st.text_area(
        say("triage.publish_text"), words, key=f"public_{report.id}_{code}", max_chars=desk.MAX_NOTE
    )
    if st.button(
        say("triage.publish"), key=f"publish_{report.id}", type="primary", icon=":material/public:"
    ):
        do(
            city,
            lambda: desk.publish(store, [report.id], by=me.name, text=text),
            say("triage.done", count=1),
        )


def _effect(city: OpenCity, report: Report, me: Identity) -> None:
    """Whether the report closes its road for routes, until when, and the switch."""
    store = who.store()
    (closure,) = closures.closures(city.workspace, [report]) or (None,)
    on = closure is not None and closure.valid_at(now())
    if closure is not None and on:
        st.markdown(say("triage.effect_on", time=clock(closure.valid_until)))
    else:
        st.markdown(say("triage.effect_off"))
    if closure is None:
        return
    hours = st.number_input(say("triage.effect_hours"), 1, 720, 24, key=f"hours_{report.id}")
    begin, stop = st.columns(2)
    if begin.button(
        say("triage.effect_set" if on else "triage.effect_start"),
        key=f"effect_on_{report.id}",
        width="stretch",
    ):
        until = now() + timedelta(hours=float(hours))
        do(
            city,
            lambda: desk.set_effect(store, [report.id], on=True, by=me.name, until=until),
            say("triage.done", count=1),
        )
    if on and stop.button(
        say("triage.effect_stop"), key=f"effect_off_{report.id}", width="stretch"
    ):
        do(
            city,
            lambda: desk.set_effect(store, [report.id], on=False, by=me.name),
            say("triage.done", count=1),
        )


def _line(event: Event) -> str:
    detail = event.detail
    lang = language()
    said = " ".join(
        part for part in (
            t(f"report.status.{detail['to']}", lang) if event.kind == "status" and "to" in detail else "",
            str(detail.get("to") or "") if event.kind == "assigned" else "",
            str(detail.get("text") or ""), str(detail.get("note") or ""), str(detail.get("why") or ""),
            f"№ {detail['number']}" if "number" in detail else "",
            say("triage.removed") if detail.get("redacted") else "",
        ) if part
    )  # fmt: skip
    who_did = event.actor if not event.actor.startswith("device:") else ""
    head = f"{clock(event.at)} {who_did or say('triage.unnamed')}"
    return f"<li><small>{escape(head)}</small><br>{escape(t(f'report.event.{event.kind}', lang))} {escape(said)}</li>"


def _redact(city: OpenCity, report: Report, me: Identity) -> None:
    with st.expander(
        say("triage.redact"), icon=":material/delete_forever:", key=f"redact_{report.id}"
    ):
        st.warning(say("triage.redact_sure"), icon=":material/warning:")
        why = st.text_input(say("triage.redact_why"), key=f"why_{report.id}", max_chars=200)
        if st.button(say("triage.redact"), key=f"redact_go_{report.id}", disabled=not why.strip()):
            do(
                city, lambda: desk.redact(who.store(), city.workspace, report.id, by=me.name, why=why.strip()),
                say("triage.redacted"),
            )  # fmt: skip
