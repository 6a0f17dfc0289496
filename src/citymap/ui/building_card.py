"""The card of one building: what it is, every risk in words and colour, every attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from citymap.assess import depth_classes, verdict_history
from citymap.assess.exposure_record import of_building
from citymap.assess.verdict_history import Word
from citymap.errors import BadInputError
from citymap.i18n import catalogue, t
from citymap.share.gate import release, release_one
from citymap.ui import verdict_card
from citymap.ui.city import OpenCity
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say
from citymap.ui.who import audience

FACTS = (
    ("measured_height_m", "{:.1f} m"),
    ("storeys_above", "{}"),
    ("year_built", "{}"),
    ("structure", "{}"),
)
ROWS = (
    ("building_id", "{}"), ("name", "{}"), ("usage", "{}"), ("class", "{}"), ("address", "{}"),
    ("structure", "{}"), ("measured_height_m", "{:.1f} m"), ("storeys_above", "{}"),
    ("storeys_below", "{}"), ("year_built", "{}"), ("footprint_area_m2", "{:,.1f} m²"),
    ("total_floor_area_m2", "{:,.1f} m²"), ("ground_elevation_m", "{:.2f} m"),
    ("roof_elevation_m", "{:.2f} m"), ("lod", "{}"), ("edition", "{}"), ("gml_id", "{}"),
    ("source_file", "{}"),
)  # fmt: skip


def show(city: OpenCity, gml_id: str) -> None:
    """The card floats over the map until it is closed."""
    try:
        record = release_one("buildings", city.records.read(gml_id), audience())
    except BadInputError:
        record = None
    if record is None:
        st.session_state.pop("selected", None)
        return
    with st.container(key="card"):
        st.html(head(record))
        st.button(say("close"), key="close_card", on_click=_close, icon=":material/close:")
        exposed = of_building(city.workspace, record["row"], record["building_id"])
        found = release("exposure", exposed, audience())
        st.html(verdict_card.answer(found))
        if found:
            worst = found[0]
            drawing = verdict_card.section(
                worst["depth_max_m"],
                worst["dry_floor"],
                record.get("storeys_above"),
                record.get("measured_height_m"),
            )
            if drawing:
                st.image(drawing, width=240)
            st.html(verdict_card.sets(found))
        st.html(risks(record["risks"]))
        with st.expander(say("card.attributes"), key="card_attributes"):
            st.html(attributes(record))
        words = verdict_history.history(city.workspace, gml_id)
        if len(words) > 1:
            with st.expander(say("card.history"), key="card_history"):
                st.html(history(words))


def history(words: Sequence[Word]) -> str:
    """What was said of the building, newest first, with the ids it had before."""
    lang, lines = language(), []
    for word in words:
        said = t(f"verdict.{word.verdict}", lang) if word.verdict else say("card.gone")
        cause = say(f"card.cause_{word.cause}")
        edition = f" ・ {escape(word.edition)}" if word.edition else ""
        lines.append(
            f"<li><strong>{escape(said)}</strong><br><small>{clock(word.at)} ・ {escape(cause)}{edition}"
            f" ・ {escape(word.gml_id)}</small></li>"
        )
    return f'<ol class="cm-history">{"".join(lines)}</ol>'


def _close() -> None:
    st.session_state.pop("selected", None)
    st.session_state.pop("found", None)


def _shown(record: Mapping[str, Any], name: str, form: str) -> str:
    value = record.get(name)
    return say("unknown") if value is None else form.format(value)


def head(record: Mapping[str, Any]) -> str:
    """Name or usage, address, and the four facts that matter in a flood."""
    title = record.get("name") or record.get("usage") or say("card.title")
    sub = " ・ ".join(
        str(part) for part in (record.get("usage") if record.get("name") else None,
                               record.get("address") or record["building_id"]) if part
    )  # fmt: skip
    facts = "".join(
        f"<div><dt>{escape(say(f'column.{name}'))}</dt>"
        f"<dd>{escape(_shown(record, name, form))}</dd></div>"
        for name, form in FACTS
    )
    return (
        f'<div class="cm-title">{escape(str(title))}</div><div class="cm-sub">{escape(sub)}</div>'
        f'<dl class="cm-facts">{facts}</dl>'
    )


def risks(listed: list[Mapping[str, Any]]) -> str:
    """Every risk, the deepest first; none recorded is said to be no promise."""
    title = f'<div class="cm-head">{escape(say("card.risks"))}</div>'
    if not listed:
        return f'{title}<div class="cm-warn">{escape(say("card.no_risks"))}</div>'
    ordered = sorted(
        listed, key=lambda r: (-(r["depth_m"] or 0), -(r["rank"] or 0), r["scale"] or "")
    )
    return title + "".join(_risk(risk) for risk in ordered)


def _risk(risk: Mapping[str, Any]) -> str:
    found = depth_classes.of_risk(risk["hazard"], risk["rank"], risk["depth_m"])
    colour = f"background:rgb{found.colour}" if found else ""
    chip = f'<span class="cm-chip{"" if found else " cm-hatch"}" style="{colour}"></span>'
    kind = say(f"hazard.{risk['hazard']}") if risk["hazard"] else ""
    scale = say(f"scale.{risk['scale']}") if risk["scale"] in {"L1", "L2"} else risk["scale"] or ""
    words = []
    if risk["depth_m"] is not None:
        about = say("card.about_m", depth=f"{risk['depth_m']:.1f}")
        words.append(f"{say('card.depth')} {about}")
    elif found is not None:
        words.append(f"{say('card.depth')} {found.text}")
    if found is not None:
        words[-1] += f"（{say(f'depth_means.{found.means}')}）"
    if risk["duration_h"] is not None:
        hours = say("card.hours", hours=f"{risk['duration_h']:g}")
        words.append(f"{say('card.duration')} {hours}")
    if risk["rank"] is not None:
        words.append(f"{say('card.rank')} {risk['rank']}")
    by = say("card.designated_by", admin=risk["admin"]) if risk["admin"] else ""
    lines = "".join(f"<p>{escape(word)}</p>" for word in words)
    small = escape(" ・ ".join(part for part in (kind, scale, by) if part))
    return (
        f'<div class="cm-risk">{chip}<div><b>{escape(risk["name"] or kind)}</b>'
        f"<small>{small}</small>{lines}</div></div>"
    )


def attributes(record: Mapping[str, Any]) -> str:
    """The columns, then the elements of the file under the names people use."""
    rows = [(say(f"column.{name}"), _shown(record, name, form)) for name, form in ROWS]
    rows += [
        (_element(str(item["name"])), str(item["value"] if item["value"] is not None else ""))
        for item in record["attributes"]
    ]
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td></tr>'
        for label, value in rows
    )
    return f'<table class="cm-table">{body}</table>'


def _element(name: str) -> str:
    local = name.rpartition(":")[2]
    return say(f"element.{local}") if f"ui.element.{local}" in catalogue() else name
