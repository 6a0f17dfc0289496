"""Charts that the mouse wheel scrolls past: Streamlit's own zoom under it, and then cut off what they show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
import streamlit as st

AGES = ("#7fb3d5", "#2e6da4", "#e08a3c", "#a63d40")  # children, adults, 65–74, 75 and over
_BAR_PX = 22
_LEGEND_PX = 20  # of every row of a legend


def over_time(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    colours: Mapping[str, str] | None = None,
    height: int = 240,
) -> None:
    """One line a series (hours from the start, values); `x`, `y` say what the axes are."""
    table = pd.concat(
        [pd.DataFrame({"hour": h, "name": n, "value": v}) for n, (h, v) in series.items()]
    )
    scale = alt.Scale(domain=list(series), range=list((colours or {}).values()) or alt.Undefined)
    chart = (
        alt.Chart(table)
        .mark_line()
        .encode(
            x=alt.X("hour:Q", title=x),
            y=alt.Y("value:Q", title=y, axis=_upright()),
            color=alt.Color("name:N", title=None, scale=scale, legend=_below()),
            tooltip=[
                alt.Tooltip("name:N", title=" "),
                alt.Tooltip("hour:Q", title=x, format=".2f"),
                alt.Tooltip("value:Q", title=y, format=",.0f"),
            ],
        )
        .properties(height=height + _LEGEND_PX * math.ceil(len(series) / 2))  # it takes its room
    )
    st.altair_chart(chart, width="stretch")


def bars(
    names: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    value: str,
    colours: Sequence[str] | None = None,
) -> None:
    """A row a name, the series one after the other in it; `value` says what is counted."""
    table = pd.concat([
        pd.DataFrame({"place": list(names), "name": n, "value": v, "order": k})
        for k, (n, v) in enumerate(series.items())
    ])  # fmt: skip
    scale = alt.Scale(domain=list(series), range=list(colours) if colours else alt.Undefined)
    many = len(series) > 1
    chart = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            y=alt.Y("place:N", title=None, sort=list(names), axis=alt.Axis(labelLimit=160)),
            x=alt.X("value:Q", title=value),
            color=alt.Color("name:N", title=None, scale=scale, legend=_below() if many else None),
            order=alt.Order("order:Q"),
            tooltip=["place:N", alt.Tooltip("name:N", title=" "),
                     alt.Tooltip("value:Q", title=value, format=",.0f")],
        )
        .properties(height=alt.Step(_BAR_PX))
    )  # fmt: skip
    st.altair_chart(chart, width="stretch")


def _upright() -> alt.Axis:
    """The title above the axis, not lying on its side."""
    return alt.Axis(titleAngle=0, titleAlign="left", titleAnchor="end", titleX=0, titleY=-8)


def _below() -> alt.Legend:
    """A legend below that a narrow page does not cut off."""
    return alt.Legend(orient="bottom", columns=2, labelLimit=150)
