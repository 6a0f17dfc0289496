"""The parts of the page 避難所: table and map of the audit, openings, edits, the order."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pydeck
import streamlit as st
from pydeck.types import String

from citymap.assess.shelter_audit import DESIGNATION, ORDER
from citymap.errors import CitymapError
from citymap.live import openings, orders
from citymap.places import edits
from citymap.ui import who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say
from citymap.web.identity import Identity
from citymap.workspace import Workspace

Rows = Sequence[Mapping[str, Any]]
Worst = Mapping[str, Mapping[str, Any]]
# Blue for yes, red for no, both told apart by every kind of colour vision; the words are in the table.
COLOURS = {
    "usable": (0, 90, 181), "upper_floors": (90, 160, 230), "unknown": (255, 255, 255),
    "not_designated": (150, 150, 150), "must_not": (200, 30, 20), "": (255, 255, 255),
}  # fmt: skip
TEXTS = ("name", "name_kana", "name_en", "address", "capacity_text", "target_areas")
HAZARDS = ("flood", "landslide", "storm_surge", "earthquake", "tsunami", "fire", "inland_flood", "volcano")  # fmt: skip


def listed(workspace: Workspace) -> list[dict[str, Any]]:
    """The shelters by name; the page says so and stops where there are none."""
    path = workspace.places / "shelters.parquet"
    rows = pq.read_table(path).to_pylist() if path.is_file() else []
    return sorted(rows, key=lambda r: (r["name_kana"] or r["name"], r["place_id"]))


def ask_hazard(audit: pa.Table) -> str | None:
    """The hazard that the page speaks of; None where the city has no hazard map."""
    known = [h for h in DESIGNATION if h in set(audit["hazard"].to_pylist())]
    if not known:
        st.info(say("shelter.no_hazard"), icon=":material/help:")
        return None
    return st.selectbox(
        say("shelter.hazard"), known, format_func=lambda h: say(f"hazard.{h}"), key="shelter_hazard"
    )


def summary(places: Rows, worst: Worst) -> None:
    """How many shelters may be used, and by name those that must not."""
    if not places:
        st.info(say("shelter.none"), icon=":material/upload_file:")
        return
    count = Counter(worst[p["place_id"]]["use"] for p in places if p["place_id"] in worst)
    for use in reversed(ORDER):
        if count[use]:
            st.markdown(f"**{count[use]}** {say(f'shelter.use.{use}')}")
    bad = [p for p in places if worst.get(p["place_id"], {}).get("use") == "must_not"]
    if bad:
        st.error(say("shelter.must_not", count=len(bad)), icon=":material/block:")
        lines = [
            f"<li>{html.escape(p['name'])}: {html.escape(_reasons(worst[p['place_id']]))}</li>"
            for p in bad
        ]
        st.html(f"<ul>{''.join(lines)}</ul>")


def _reasons(row: Mapping[str, Any]) -> str:
    joined = "、" if language() == "ja" else ", "
    return joined.join(say(f"shelter.reason.{r}") for r in row["reasons"]) or "–"


def dots(places: Rows, worst: Worst) -> list[pydeck.Layer]:
    """One dot a shelter, coloured by its use."""
    data = [
        {"at": [p["lon"], p["lat"]], "name": String(p["name"]),
         "colour": [*COLOURS[worst.get(p["place_id"], {}).get("use", "")], 235]}
        for p in places
    ]  # fmt: skip
    return [
        pydeck.Layer(
            "ScatterplotLayer", data, id="shelters", get_position="at", get_fill_color="colour",
            get_line_color=[40, 40, 40], stroked=True, radius_units=String("pixels"), get_radius=8,
            line_width_units=String("pixels"), get_line_width=2,
        )
    ]  # fmt: skip


def table(places: Rows, worst: Worst) -> None:
    """The audit as a table, the worst first."""
    if not places:
        st.info(say("shelter.none"), icon=":material/upload_file:")
        return
    rows = sorted(places, key=lambda p: _use_rank(worst.get(p["place_id"])))
    st.dataframe(
        [_shown(p, worst.get(p["place_id"], {})) for p in rows],
        hide_index=True,
        placeholder="–",
        width="stretch",
    )
    st.caption(say("shelter.capacity_note"))


def _use_rank(row: Mapping[str, Any] | None) -> int:
    return ORDER.index(row["use"]) if row else len(ORDER)


def _yes(value: bool | None) -> str:
    return say("unknown") if value is None else say("shelter.yes" if value else "shelter.no")


def _shown(place: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    known = bool(row) and row["depth_known"]
    depth, hours = row.get("depth_max_m"), row.get("duration_h")
    return {
        say("shelter.col.name"): place["name"],
        say("shelter.col.use"): say(f"shelter.use.{row['use']}") if row else say("unknown"),
        say("shelter.col.reasons"): _reasons(row) if row else "–",
        say("shelter.col.designated"): say("shelter.yes") if row.get("designated")
        else say("shelter.not_designated"),
        say("shelter.col.depth"): f"{depth:.1f} m" if depth is not None
        else say("shelter.dry") if known else say("unknown"),
        say("shelter.col.duration"): "–" if hours is None else f"{hours:.0f} h",
        say("shelter.col.collapse"): _yes(
            True if row.get("collapse_flow") or row.get("collapse_erosion")
            else None if row.get("collapse_flow") is None else False
        ),
        say("shelter.col.dry_floor"): row.get("dry_floor"),
        say("shelter.col.capacity"): place["capacity_text"] or say("unknown"),
        say("shelter.col.space"): row.get("capacity_space"),
        say("shelter.col.wifi"): row.get("wifi") or say("shelter.no"),
        say("shelter.col.wifi_floods"): _yes(row.get("wifi_floods")) if row.get("wifi") else "–",
        "ID": place["place_id"],
    }  # fmt: skip


def _choose(places: Rows, key: str) -> Mapping[str, Any] | None:
    names = {p["place_id"]: p for p in places}
    chosen = st.selectbox(
        say("shelter.choose"), list(names), key=key, index=None, placeholder=say("choose"),
        format_func=lambda i: f"{names[i]['name']}（{i}）",
    )  # fmt: skip
    return names[chosen] if chosen is not None else None


def openings_form(places: Rows, worst: Worst, me: Identity) -> None:
    """Open, full or closed, and how many people."""
    store = who.store()
    now = openings.current(store)
    place = _choose(places, "opening_place")
    if place is not None:
        bad = worst.get(place["place_id"])
        if bad and bad["use"] == "must_not":
            st.error(say("shelter.must_not_open", reasons=_reasons(bad)), icon=":material/block:")
        known = now.get(place["place_id"])
        with st.form("opening", border=True):
            state = st.segmented_control(
                say("shelter.state"), openings.STATES, default=known.state if known else None,
                format_func=lambda s: say(f"shelter.state_{s}"), key="opening_state",
            )  # fmt: skip
            people = st.number_input(
                say("shelter.head_count"), min_value=0, max_value=openings.MAX_PEOPLE, step=1,
                value=known.head_count if known else None, key="opening_people",
            )  # fmt: skip
            if st.form_submit_button(say("shelter.save"), type="primary"):
                if state:
                    openings.say(
                        store, place["place_id"], state, by=me.name,
                        head_count=None if people is None else int(people),
                    )  # fmt: skip
                    st.rerun()
                st.warning(say("shelter.state_first"), icon=":material/edit:")
    names = {p["place_id"]: p["name"] for p in places}
    if not now:
        st.caption(say("shelter.nothing_open"))
        return
    st.dataframe(
        [
            {
                say("shelter.col.name"): names.get(o.place_id, o.place_id),
                say("shelter.state"): say(f"shelter.state_{o.state}"),
                say("shelter.head_count"): o.head_count,
                say("audit.at"): clock(o.at), say("audit.actor"): o.actor,
            }
            for o in sorted(now.values(), key=lambda o: o.at, reverse=True)
        ],
        hide_index=True, placeholder="–", width="stretch",
    )  # fmt: skip


def edit_form(workspace: Workspace, places: Rows, me: Identity) -> None:
    """Change what the list says of a shelter, with its history below."""
    place = _choose(places, "edit_place")
    if place is None:
        return
    marks = {
        True: say("shelter.yes"),
        False: say("shelter.no"),
        None: say("shelter.not_designated"),
    }
    with st.form(f"edit_{place['place_id']}", border=True):
        values: dict[str, Any] = {}
        for name in TEXTS:
            text = st.text_input(
                say(f"shelter.field.{name}"), value=place[name] or "", key=f"e_{name}",
                max_chars=300,
            )  # fmt: skip
            values[name] = text.strip() or None
        values["capacity"] = st.number_input(
            say("shelter.field.capacity"),
            min_value=0,
            step=1,
            value=place["capacity"],
            key="e_capacity",
        )
        st.caption(say("shelter.designated_for"))
        for name in HAZARDS:
            values[name] = st.radio(
                say(f"shelter.hazard_name.{name}"), list(marks), horizontal=True, key=f"e_{name}",
                index=list(marks).index(place[name]), format_func=lambda v: marks[v],
            )  # fmt: skip
        if st.form_submit_button(say("shelter.save"), type="primary"):
            try:
                if values["name"] is None:
                    raise CitymapError("place_field", place=say("shelter.field.name"))
                made = edits.change(
                    workspace,
                    "shelters",
                    place["place_id"],
                    values,
                    by=me.name,
                    at=datetime.now(UTC),
                )
            except CitymapError as error:
                st.error(error.message(language()))
                return
            st.toast(say("shelter.saved", count=len(made)))
            st.rerun()
    past = edits.history(workspace, "shelters", place["place_id"])
    if past:
        st.caption(say("shelter.history"))
        st.dataframe(
            [
                {
                    say("audit.at"): clock(datetime.fromisoformat(e.at)), say("audit.actor"): e.by,
                    say("shelter.col.field"): say(f"shelter.field.{e.field}") if e.field in TEXTS
                    else e.field,
                    say("shelter.col.before"): str(e.before), say("shelter.col.after"): str(e.after),
                }
                for e in reversed(past)
            ],
            hide_index=True, placeholder="–", width="stretch",
        )  # fmt: skip


def order_now() -> None:
    """What is in force, always on top."""
    order = orders.current(who.store())
    if order.mode == "normal":
        st.caption(say("order.normal"))
        return
    text = say(f"order.mode_{order.mode}")
    if order.level is not None:
        text += " " + say(f"order.level_{order.level}")
    (st.warning if order.mode == "drill" else st.error)(text, icon=":material/campaign:")


def order_form(workspace: Workspace, me: Identity) -> None:
    """The one switch: normal, disaster or drill, the level, where, and words of one's own."""
    store = who.store()
    order = orders.current(store)
    names: dict[str, str] = {}
    if workspace.districts.is_file():
        columns = pq.read_table(workspace.districts, columns=["district_id", "name"]).to_pydict()
        names = dict(zip(columns["district_id"], columns["name"], strict=True))
    st.caption(say("order.how"))
    with st.form("order", border=True):
        mode = st.segmented_control(
            say("order.mode"), orders.MODES, default=order.mode, required=True,
            format_func=lambda m: say(f"order.mode_{m}"), key="order_mode",
        )  # fmt: skip
        level = st.selectbox(
            say("order.level"), [None, *orders.LEVELS], key="order_level",
            index=[None, *orders.LEVELS].index(order.level),
            format_func=lambda n: say("order.level_none") if n is None else say(f"order.level_{n}"),
        )  # fmt: skip
        hazard = st.selectbox(
            say("shelter.hazard"), list(DESIGNATION), format_func=lambda h: say(f"hazard.{h}"),
            key="order_hazard",
        )  # fmt: skip
        where = st.multiselect(
            say("order.districts"), list(names), key="order_districts",
            default=[d for d in order.districts if d in names],
            format_func=lambda d: names[d] or d, placeholder=say("order.everywhere"),
        )  # fmt: skip
        message = {
            lang: st.text_area(
                say(f"order.message_{lang}"), value=order.message.get(lang, ""),
                max_chars=orders.MAX_TEXT, key=f"order_message_{lang}",
            )
            for lang in ("ja", "en")
        }  # fmt: skip
        if st.form_submit_button(say("order.give"), type="primary"):
            normal = mode == "normal"
            orders.give(
                store, mode, level=None if normal else level, hazard="" if normal else hazard,
                districts=[] if normal else where, message={} if normal else message, by=me.name,
            )  # fmt: skip
            st.rerun()
