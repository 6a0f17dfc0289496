"""How many buildings are in view, by the classes of the legend in force."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from citymap.assess.selection import Bounds, ClassCount, Rule
from citymap.i18n import t
from citymap.ui.city import OpenCity
from citymap.ui.speech import language, say

MISSING = {lang: t("ui.not_recorded", lang) for lang in ("ja", "en")}


def show(
    city: OpenCity, rules: Sequence[Rule], bounds: Bounds | None, colour_by: str | None
) -> None:
    """The number and, under a colouring, the legend with a bar for every class."""
    chosen = city.columns.select(rules, bounds)
    total = int(chosen.sum())
    title = say("counts.title" if bounds else "counts.whole_city")
    st.html(
        f'<div class="cm-sub">{escape(title)}</div>'
        f'<div class="cm-total">{escape(say("buildings_count", count=f"{total:,}"))}</div>'
    )
    if colour_by is None:
        st.caption(say("counts.choose"))
        return
    counted = city.columns.counts(colour_by, chosen, missing_label=MISSING)
    st.html(bars(city.columns.attributes[colour_by].title(language()), counted, language()))


def bars(title: str, counted: Sequence[ClassCount], lang: str) -> str:
    """A table that is legend and chart at once; a missing value is hatched."""
    most = max((c.count for c in counted), default=0) or 1
    rows = []
    for c in counted:
        if c.missing and not c.count:
            continue
        hatch = " cm-hatch" if c.missing else ""
        fill = f"background:rgb{c.colour}"
        width = f"width:{100 * c.count / most:.1f}%" if c.count else "display:none"
        label = escape(c.label.get(lang) or c.label.get("ja") or "")
        bar = f'<div class="bar{hatch}" style="{fill};{width}"></div>'
        rows.append(
            f'<tr><th scope="row"><span class="cm-swatch{hatch}" style="{fill}"></span>{label}</th>'
            f'<td><div class="track">{bar}</div></td>'
            f'<td class="n">{c.count:,}</td></tr>'
        )
    caption = f'<caption class="cm-sub" style="text-align:left">{escape(title)}</caption>'
    return f'<table class="cm-bars">{caption}{"".join(rows)}</table>'
