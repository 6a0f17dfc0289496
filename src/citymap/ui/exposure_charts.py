"""Charts of exposure: buildings and floor area by depth class, and the districts that need help most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from citymap.assess.building_table import Total
from citymap.assess.verdict import ORDER
from citymap.ui.building_list import class_label, group_label, verdict_label
from citymap.ui.speech import say

DISTRICTS = 15
BAR_PX = 28
# Okabe and Ito; what is not known is the darkest, never pale.
COLOURS = {
    "leave": "#d55e00", "unknown": "#3c3c3c", "stay_upstairs": "#56b4e9", "outside_assumed_area": "#e8e6da",
}  # fmt: skip


def by_class(totals: Sequence[Total]) -> None:
    """Two bar charts over the depth classes: buildings by verdict, and floor area."""
    order = [class_label(t.key) for t in totals]
    counted = pd.DataFrame(
        [(class_label(t.key), verdict_label(v), t.verdicts[v]) for t in totals for v in ORDER],
        columns=["class", "verdict", "n"],
    )
    st.markdown(f"**{say('list.chart_buildings')}**")
    st.altair_chart(_stacked(counted, order, say("list.buildings")), width="stretch")
    area = pd.DataFrame(
        [(class_label(t.key), t.floor_area_m2) for t in totals], columns=["class", "n"]
    )
    st.markdown(f"**{say('list.chart_area')}**")
    bars = alt.Chart(area).mark_bar(color="#4d6b8a").encode(
        y=_axis("class", order), x=_number(say("list.floor_area")),
        tooltip=[alt.Tooltip("class", title=say("list.depth_class")), _told(say("list.floor_area"))],
    ).properties(height=alt.Step(BAR_PX))  # fmt: skip
    st.altair_chart(bars, width="stretch")


def by_district(totals: Sequence[Total]) -> None:
    """The districts with most buildings that are to leave or of which it is not known."""
    urgent = ("leave", "unknown")
    first = sorted(totals, key=lambda t: -sum(t.verdicts[v] for v in urgent))[:DISTRICTS]
    first = [t for t in first if any(t.verdicts[v] for v in urgent)]
    if not first:
        return
    names = [group_label(t.key, t.label, "district") for t in first]
    counted = pd.DataFrame(
        [(name, verdict_label(v), t.verdicts[v])
         for name, t in zip(names, first, strict=True) for v in urgent],
        columns=["class", "verdict", "n"],
    )  # fmt: skip
    st.markdown(f"**{say('list.chart_districts')}**")
    st.altair_chart(_stacked(counted, names, say("list.buildings")), width="stretch")


def _stacked(table: pd.DataFrame, order: list[str], title: str) -> Any:
    shown = [v for v in ORDER if (table.loc[table["verdict"] == verdict_label(v), "n"] > 0).any()]
    colour = alt.Color(
        "verdict:N", title=None, sort=[verdict_label(v) for v in shown],
        scale=alt.Scale(domain=[verdict_label(v) for v in shown], range=[COLOURS[v] for v in shown]),
        legend=alt.Legend(orient="top", columns=1, labelLimit=320, symbolStrokeWidth=0),
    )  # fmt: skip
    return alt.Chart(table[table["n"] > 0]).mark_bar(stroke="#6b6b5e", strokeWidth=0.5).encode(
        y=_axis("class", order), x=_number(title), color=colour,
        tooltip=[alt.Tooltip("class", title=""), alt.Tooltip("verdict", title=""), _told(title)],
    ).properties(height=alt.Step(BAR_PX))  # fmt: skip


def _axis(name: str, order: list[str]) -> Any:
    return alt.Y(
        f"{name}:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelLimit=140),
        scale=alt.Scale(domain=order),
    )


def _number(title: str) -> Any:
    return alt.X("n:Q", title=title, axis=alt.Axis(format=",.0f", tickCount=4))


def _told(title: str) -> Any:
    return alt.Tooltip("n:Q", title=title, format=",.0f")
