"""Widgets for colouring and filtering, turned into the rules that map and counts share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from citymap.assess.selection import Attribute, Rule
from citymap.ui.city import OpenCity
from citymap.ui.speech import language, say

FILTER_KEYS = ("f_usage", "f_structure", "f_storeys", "f_river", "f_scale", "f_class")


def ask_colour(city: OpenCity) -> str | None:
    """The attribute that colours the buildings."""
    attributes = city.columns.attributes
    chosen: str | None = st.selectbox(
        say("colour.label"),
        list(attributes),
        index=None,
        format_func=lambda name: attributes[name].title(language()),
        placeholder=say("colour.none"),
        key="colour",
        bind="query-params",
    )
    return chosen


def ask_rules(city: OpenCity) -> list[Rule]:
    """The filters in force."""
    active = sum(1 for key in FILTER_KEYS if st.session_state.get(key) and key != "f_scale")
    title = say("filter.active", count=active) if active else say("filter.title")
    with st.expander(title, expanded=False, key="filters"):
        rules = [
            *_category(city, "usage"),
            *_category(city, "structure"),
            *_storeys(city),
            *_river(city),
        ]
        if rules:
            st.button(say("filter.reset"), on_click=_reset, icon=":material/filter_alt_off:")
    return rules


def _reset() -> None:
    for key in FILTER_KEYS:
        st.session_state.pop(key, None)


def _category(city: OpenCity, name: str) -> list[Rule]:
    attribute = city.columns.attributes.get(name)
    if attribute is None or not attribute.legend:
        return []
    labels = {entry["value"]: entry["label"][language()] for entry in attribute.legend}
    if city.columns.is_missing(name).any():
        labels[attribute.missing_value] = say("unknown")
    chosen = st.multiselect(
        say(f"filter.{name}"),
        list(labels),
        format_func=lambda value: labels[value],
        placeholder=say("filter.any"),
        key=f"f_{name}",
    )
    return [Rule(name, values=tuple(chosen))] if chosen else []


def _storeys(city: OpenCity) -> list[Rule]:
    name = "storeys_above"
    if name not in city.columns.attributes:
        return []
    known = city.columns.values(name)[~city.columns.is_missing(name)]
    top = int(known.max()) if len(known) else 1
    if top < 2:
        return []
    low, high = st.slider(
        say("filter.storeys"), 1, top, (1, top), key="f_storeys", help=say("filter.storeys_help")
    )
    if (low, high) == (1, top):
        return []
    return [Rule(name, min=float(low), max=float(high + 1))]


def _river(city: OpenCity) -> list[Rule]:
    risks = [a for a in city.columns.attributes.values() if a.spec.get("group") == "risk"]
    by_river: dict[tuple[str, str], list[Attribute]] = {}
    for risk in risks:
        by_river.setdefault((str(risk.spec["hazard"]), str(risk.spec["river"])), []).append(risk)
    if not by_river:
        return []
    river = st.selectbox(
        say("filter.river"),
        list(by_river),
        index=None,
        format_func=lambda pair: f"{pair[1]}（{say(f'hazard.{pair[0]}')}）",
        placeholder=say("filter.any"),
        key="f_river",
        help=say("filter.river_help"),
    )
    if river is None:
        return []
    scales = sorted({str(a.spec["scale"]) for a in by_river[river]}, reverse=True)
    scale = scales[0]
    if len(scales) > 1:
        scale = st.segmented_control(
            say("filter.scale"), scales, default=scales[0], required=True, key="f_scale",
            format_func=lambda s: say(f"scale.{s}"),
        ) or scales[0]  # fmt: skip
    risk = _depth_first([a for a in by_river[river] if a.spec["scale"] == scale])
    labels = {entry["value"]: entry["label"][language()] for entry in risk.legend
              if "value" in entry}  # fmt: skip
    if not labels:
        return [Rule(risk.id, min=-np.inf)]
    chosen = st.multiselect(
        say("filter.classes"),
        list(labels),
        format_func=lambda value: labels[value],
        placeholder=say("filter.any"),
        key="f_class",
    )
    return [Rule(risk.id, values=tuple(chosen or labels))]


def _depth_first(risks: Sequence[Attribute]) -> Attribute:
    order = {"depth": 0, "rank": 1, "duration": 2}
    return min(risks, key=lambda a: order.get(str(a.spec.get("quantity")), 9))
