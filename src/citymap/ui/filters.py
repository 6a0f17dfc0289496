"""Widgets for colouring and filtering, turned into the rules that map and counts share."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from citymap.assess.selection import Attribute, Rule
from citymap.ui.city import OpenCity
from citymap.ui.speech import language, say

FIRST = "verdict:combined"  # staff open the page with the answer
FILTER_KEYS = ("f_usage", "f_structure", "f_storeys", "f_river", "f_scale", "f_class")


def ask_colour(city: OpenCity) -> str | None:
    """The attribute that colours the buildings."""
    attributes = city.columns.attributes
    chosen: str | None = st.selectbox(
        say("colour.label"),
        list(attributes),
        index=list(attributes).index(FIRST) if FIRST in attributes else None,
        format_func=lambda name: attributes[name].title(language()),
        placeholder=say("colour.none"),
        key="colour",
        bind="query-params",
    )
    return chosen


def ask_rules(city: OpenCity) -> list[Rule]:
    """The filters in force."""
    with st.expander(say("filter.title"), icon=":material/filter_alt:", key="filters"):
        rules = [
            *_category(city, "usage"),
            *_category(city, "structure"),
            *_storeys(city),
            *_river(city),
        ]
    if rules:
        st.button(
            say("filter.reset", count=len(rules)),
            on_click=_reset,
            icon=":material/filter_alt_off:",
            key="reset_filters",
            width="stretch",
        )
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
    by_river: dict[tuple[str, str | None], list[Attribute]] = {}
    for attribute in city.columns.attributes.values():
        spec = attribute.spec
        if spec.get("group") == "risk":
            by_river.setdefault((str(spec["hazard"]), spec.get("river")), []).append(attribute)
    if not by_river:
        return []
    chosen = st.selectbox(
        say("filter.river"),
        list(by_river),
        index=None,
        format_func=lambda pair: f"{say(f'hazard.{pair[0]}')}　{pair[1] or say('filter.worst')}",
        placeholder=say("filter.any"),
        key="f_river",
        help=say("filter.river_help"),
    )
    if chosen is None:
        return []
    scale = _scale(by_river[chosen])
    risk = _best_known(city, [a for a in by_river[chosen] if a.spec.get("scale") == scale])
    steps = list(risk.legend)
    if not steps:
        return [Rule(risk.id, min=0.0)]
    least = st.selectbox(
        say("filter.least"),
        range(len(steps)),
        format_func=lambda i: steps[i]["label"][language()],
        index=None,
        placeholder=say("filter.any_class"),
        key="f_class",
    )
    first = steps[least or 0]
    if "value" in first:
        return [Rule(risk.id, values=tuple(step["value"] for step in steps[least or 0 :]))]
    return [Rule(risk.id, min=float(first["min"]))]


def _scale(risks: Sequence[Attribute]) -> str | None:
    scales = sorted({str(a.spec["scale"]) for a in risks if a.spec.get("scale")}, reverse=True)
    if len(scales) < 2:
        return scales[0] if scales else None
    chosen = st.segmented_control(
        say("filter.scale"), scales, default=scales[0], required=True, key="f_scale",
        format_func=lambda s: say(f"scale.{s}"), width="stretch",
    )  # fmt: skip
    return str(chosen or scales[0])


def _best_known(city: OpenCity, risks: Sequence[Attribute]) -> Attribute:
    """The quantity recorded for most buildings; depth before rank before duration."""
    order = {"depth": 0, "rank": 1, "duration": 2}

    def rank(attribute: Attribute) -> tuple[int, int]:
        missing = int(city.columns.is_missing(attribute.id).sum())
        return missing, order.get(str(attribute.spec.get("quantity")), 9)

    return min(risks, key=rank)
