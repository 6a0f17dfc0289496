"""The parts of the page 被害報告: filters, the living list with its map, changes to many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pydeck
import streamlit as st
from pydeck.types import String
from shapely.geometry import mapping

from citymap.assess import report_board
from citymap.assess.report_board import Row
from citymap.errors import BadInputError, CitymapError
from citymap.i18n import t
from citymap.layers import deck_spec
from citymap.reports import desk
from citymap.reports.categories import catalogue, in_force
from citymap.reports.desk import Filter
from citymap.reports.images import footprint_of
from citymap.reports.model import NEXT, OPEN, STATUSES
from citymap.share.report_files import MIME, download
from citymap.store import accounts
from citymap.store.accounts import Role
from citymap.store.tables import now
from citymap.ui import triage_board, triage_pairs, triage_report, who
from citymap.ui.city import OpenCity
from citymap.ui.job_progress import TOKYO, clock
from citymap.ui.map_frame import city_map
from citymap.ui.speech import language, say
from citymap.web.identity import Identity

REFRESH_S = 3.0
SOURCES = ("form", "staff", "open311", "images")
PERIODS_H = (0, 6, 24, 72)
COLOURS = {
    "new": [206, 0, 0], "reopened": [206, 0, 0], "confirmed": [213, 94, 0], "in_progress": [0, 23, 193],
    "resolved": [17, 90, 54], "rejected": [119, 119, 119], "merged": [119, 119, 119],
}  # fmt: skip
HEIGHT = 330  # px of list and map: the open report begins on the same screen
STEPS = {"next": "j", "back": "u"}
SHOWN, ROUND, LOOKED_UP = "triage_shown", "triage_round", "triage_looked_up"


def names_of_staff() -> list[str]:
    """Who can be given a report."""
    listed = accounts.listed(who.store())
    return [a.name for a in listed if not a.disabled and a.role.reaches(Role.FIELD)]


def ask(city: OpenCity, me: Identity) -> Filter:
    """The filters of the sidebar."""
    try:
        listed = catalogue(city.workspace)
    except BadInputError as error:
        st.warning(say("triage.slip"), icon=":material/warning:", width="stretch")
        st.caption(error.message(language()))
        listed = in_force(city.workspace)
    statuses = st.multiselect(
        say("triage.status"), STATUSES, default=sorted(OPEN, key=STATUSES.index),
        format_func=lambda s: t(f"report.status.{s}", language()), key="triage_status",
        placeholder=say("triage.all"),
    )  # fmt: skip
    categories = st.multiselect(
        say("triage.category"), list(listed.by_code()),
        format_func=lambda c: listed.title(c, language()), key="triage_category",
        placeholder=say("triage.all"),
    )  # fmt: skip
    assigned = st.selectbox(
        say("triage.assigned"), [None, me.name, "", *names_of_staff()],
        format_func=lambda n: say("triage.anybody") if n is None else say("triage.nobody") if n == ""
        else f"{n}（{say('triage.mine')}）" if n == me.name else n, key="triage_assigned",
    )  # fmt: skip
    hours = st.selectbox(
        say("triage.period"), PERIODS_H, key="triage_period",
        format_func=lambda h: say("triage.hours", count=h) if h else say("triage.ever"),
    )  # fmt: skip
    sources = st.multiselect(
        say("triage.source"), SOURCES, default=[s for s in SOURCES if s != "images"],
        format_func=lambda s: say(f"triage.source_{s}"), key="triage_source",
        placeholder=say("triage.all"),
    )  # fmt: skip
    words = st.text_input(say("triage.words"), key="triage_words", max_chars=80)
    with_photos = st.toggle(say("triage.photos_only"), key="triage_photos")
    return Filter(
        statuses=tuple(statuses), categories=tuple(categories), assigned_to=assigned, words=words,
        with_photos=with_photos, sources=tuple(sources), since=now() - timedelta(hours=hours) if hours else None,
    )  # fmt: skip


def offer_files(city: OpenCity, wanted: Filter) -> None:
    """The filtered reports as CSV or GeoPackage."""
    for form in ("csv", "gpkg"):
        st.download_button(
            say(f"triage.{form}"),
            partial(download, who.store(), city.workspace, wanted, form, who.audience(), lang=language()),
            file_name=f"{city.city.code}_reports.{form}", mime=MIME[form], key=f"triage_{form}",
            on_click="ignore", icon=":material/download:", width="stretch",
        )  # fmt: skip


@st.fragment(run_every=REFRESH_S)
def living_list(city: OpenCity, wanted: Filter) -> None:
    """The list beside the map, looked up again every few seconds.

    While rows are selected the order stays as it was, so that no click hits another report than
    the one under the finger; new ones wait behind a button.
    """
    me = who.require(Role.STAFF)
    try:
        found = _looked_up(city, wanted)
    except CitymapError as error:
        st.error(error.message(language()), icon=":material/error:")
        return
    rows, waiting = _in_order(found)
    head, counted = st.columns([3, 2], vertical_alignment="center")
    head.markdown(f"### {say('triage.count', count=len(found))}")
    if waiting and counted.button(
        say("triage.fresh", count=waiting), icon=":material/fiber_new:", type="primary", key="triage_new"
    ):  # fmt: skip
        _forget_selection()
        st.rerun()
    left, right = st.columns([13, 7])
    with left:
        chosen = _table(rows)
        if rows:
            st.caption(say("triage.list_hint"))
    opened = [r for r in found if r.report.id == st.session_state.get("triage_open")]
    with right:
        pressed = _map(city, found, chosen or opened)
    if pressed is not None and [r.report.id for r in chosen] != [pressed]:
        _forget_selection()
        st.session_state["triage_open"] = pressed
        st.rerun()
    _step(rows, chosen)
    if len(chosen) > 1:
        st.session_state.pop("triage_open", None)
        _bulk(city, chosen, me)
    elif chosen:
        st.session_state.pop("triage_open", None)
        triage_report.show(city, chosen[0], me)
    elif opened:
        triage_report.show(city, opened[0], me)
    triage_pairs.offer(city, found, me)
    _summary(found)
    triage_board.show(city)


def _looked_up(city: OpenCity, wanted: Filter) -> list[Row]:
    """The rows; worked out again when a report changed, or a minute passed (trust fades)."""
    store, at = who.store(), now()
    key = (desk.stamp(store), wanted, language(), at.replace(second=0, microsecond=0))
    kept = st.session_state.get(LOOKED_UP)
    if kept is None or kept[0] != key:
        rows = report_board.rows(store, city.workspace, wanted, at=at, lang=language())
        kept = st.session_state[LOOKED_UP] = (key, rows)
    return list(kept[1])


def _forget_selection() -> None:
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1
    st.session_state.pop(SHOWN, None)


def _in_order(found: Sequence[Row]) -> tuple[list[Row], int]:
    """The rows as the table shows them, and how many new ones wait."""
    by_id = {row.report.id: row for row in found}
    state = st.session_state.get(_key(), {})
    held = st.session_state.get(SHOWN)
    if held is not None and state.get("selection", {}).get("rows"):
        return [by_id[i] for i in held if i in by_id] if all(i in by_id for i in held) else _again(
            found
        ), len(set(by_id) - set(held))
    st.session_state[SHOWN] = list(by_id)
    return list(found), 0


def _again(found: Sequence[Row]) -> list[Row]:
    """A held row left the filter: begin anew, with nothing selected."""
    _forget_selection()
    st.session_state[SHOWN] = [row.report.id for row in found]
    return list(found)


def _key() -> str:
    return f"triage_table_{st.session_state.get(ROUND, 0)}"


def _table(rows: Sequence[Row]) -> list[Row]:
    """The table; the selected rows."""
    if not rows:
        st.info(say("triage.none"), icon=":material/inbox:")
        return []
    lang = language()
    shown = [
        {
            "№": row.report.number,
            say("triage.status"): t(f"report.status.{row.report.status}", lang),
            say("triage.category"): row.title,
            say("triage.text"): row.report.text[:80],
            say("triage.received"): row.report.received_at.astimezone(TOKYO).strftime(
                "%m/%d %H:%M"
            ),
            say("triage.district"): row.district,
            say("triage.trust"): row.trust.level,
            say("triage.photos"): len(row.report.photos),
            say("triage.assigned"): row.report.assigned_to,
            say("triage.public"): row.report.release == "released",
        }
        for row in rows
    ]
    answer = st.dataframe(
        shown, key=_key(), hide_index=True, placeholder="–", on_select="rerun", selection_mode="multi-row", height=HEIGHT,
        column_config={
            say("triage.trust"): st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent"),
            "№": st.column_config.NumberColumn(width=56, format="%d"),
            say("triage.status"): st.column_config.TextColumn(width=76),
            say("triage.text"): st.column_config.TextColumn(width="medium"),
        },
    )  # fmt: skip
    picked = answer.get("selection", {}).get("rows", [])
    return [rows[i] for i in picked if i < len(rows)]


def _map(city: OpenCity, found: Sequence[Row], chosen: Sequence[Row]) -> str | None:
    """The reports on the city's map; the id of the one that was pressed."""
    features = [_feature(row, selected=row in chosen) for row in found]
    ground = footprint_of(city.workspace, chosen[0].report.id) if len(chosen) == 1 else None
    if ground is not None:
        st.caption(say("triage.footprint"))
        features.insert(0, {
            "type": "Feature", "geometry": mapping(ground.exterior),
            "properties": {"number": chosen[0].report.number, "colour": [0, 0, 0, 0], "line": [0, 0, 0]},
        })  # fmt: skip
    layer = pydeck.Layer(
        "GeoJsonLayer", {"type": "FeatureCollection", "features": features}, id="reports", pickable=True,
        point_type=String("circle"), get_fill_color="properties.colour", get_line_color="properties.line",
        get_point_radius=8, point_radius_units=String("pixels"), point_radius_min_pixels=7,
        line_width_units=String("pixels"), get_line_width=2, stroked=True,
    )  # fmt: skip
    at = (chosen[0].report.lon, chosen[0].report.lat) if len(chosen) == 1 else None
    events = city_map(
        key="triage_map", root_path=city.root_path, own_panel=False, height=f"{HEIGHT}px",
        deck=deck_spec(city.manifest, mode="2d", extra_layers=[layer], at=at),
    )  # fmt: skip
    there = [s for s in STATUSES if any(row.report.status == s for row in found)]
    dots = "".join(
        f'<span><i style="background: rgb{tuple(COLOURS[s])}"></i>{t(f"report.status.{s}", language())}</span>'
        for s in there
    )
    st.html(f'<p class="cm-dots">{dots}</p>')
    number = events.properties.get("number") if events.pressed else None
    return next((row.report.id for row in found if row.report.number == number), None)


def _feature(row: Row, *, selected: bool) -> Mapping[str, Any]:
    colour = [0, 0, 0] if selected else COLOURS[row.report.status]
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [row.report.lon, row.report.lat]},
        "properties": {"number": row.report.number, "colour": colour, "line": [255, 255, 255]},
    }


def _bulk(city: OpenCity, chosen: Sequence[Row], me: Identity) -> None:
    """Change all selected reports together: all of them, or none."""
    ids = [row.report.id for row in chosen]
    possible = [s for s in STATUSES if all(s in NEXT[row.report.status] for row in chosen)]
    with st.container(border=True, key="triage_bulk"):
        st.markdown(f"**{say('triage.bulk', count=len(ids))}**")
        state, person, go = st.columns([2, 2, 1], vertical_alignment="bottom")
        to = state.selectbox(
            say("triage.move"), [None, *possible], key="bulk_to",
            format_func=lambda s: "–" if s is None else t(f"report.status.{s}", language()),
        )  # fmt: skip
        name = person.selectbox(say("triage.assigned"), [None, me.name, *names_of_staff()], key="bulk_who",
                                format_func=lambda n: n or "–")  # fmt: skip
        if go.button(say("triage.bulk_go"), key="bulk_go", type="primary"):

            def change() -> None:
                if to is not None:
                    desk.move(who.store(), ids, to, by=me.name)
                if name is not None:
                    desk.assign(who.store(), ids, name, by=me.name)

            _forget_selection()
            triage_report.do(city, change, say("triage.done", count=len(ids)))
        oldest = min(chosen, key=lambda row: row.report.number).report
        if st.button(
            say("triage.bulk_merge", number=oldest.number),
            key="bulk_merge",
            icon=":material/merge:",
        ):
            _forget_selection()
            triage_report.do(
                city, lambda: desk.merge(who.store(), ids, oldest.id, by=me.name),
                say("triage.done", count=len(ids) - 1),
            )  # fmt: skip


def _step(rows: Sequence[Row], chosen: Sequence[Row]) -> None:
    """Buttons with a key each: the next report of the list, and the one before."""
    if not rows:
        return
    ids = [row.report.id for row in rows]
    now_open = chosen[0].report.id if len(chosen) == 1 else st.session_state.get("triage_open")
    at = ids.index(now_open) if now_open in ids else None
    back, onward, _ = st.columns([1, 1, 3])
    for column, name, to in (
        (back, "back", None if at is None else at - 1), (onward, "next", 0 if at is None else at + 1),
    ):  # fmt: skip
        there = to is not None and 0 <= to < len(ids)
        if column.button(
            say(f"triage.{name}"), key=f"triage_{name}", shortcut=STEPS[name], disabled=not there,
            width="stretch",
        ) and there:  # fmt: skip
            _forget_selection()
            st.session_state["triage_open"] = ids[to]  # type: ignore[index]
            st.rerun()


def _summary(found: Sequence[Row]) -> None:
    """Counts by district and category, as the headquarters' board wants them."""
    counted = report_board.summary(found)
    with st.expander(say("triage.summary"), icon=":material/table_chart:", key="triage_summary"):
        oldest = say("triage.oldest", time=clock(counted.oldest)) if counted.oldest else ""
        st.markdown(f"**{say('triage.waiting')}: {counted.waiting}** {oldest}")
        st.dataframe(
            [
                {say("triage.district"): name or say("triage.elsewhere")}
                | {title: counted.counts.get((name, title), 0) for title in counted.categories}
                | {say("triage.total"): counted.of_district(name)}
                for name in counted.districts
            ],
            hide_index=True, placeholder="–", width="stretch", key="triage_summary_table",
        )  # fmt: skip
