"""Pairs of reports that may be one, side by side with their photos; a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from citymap.assess.flooded_cells import flooded_cells
from citymap.errors import CitymapError
from citymap.reports import desk, photos
from citymap.reports.categories import in_force
from citymap.reports.duplicates import Pair, pairs
from citymap.ui import triage_report, who
from citymap.ui.job_progress import clock
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.assess.report_board import Row
    from citymap.reports.model import Report
    from citymap.ui.city import OpenCity
    from citymap.web.identity import Identity

SHOWN = 5
LIKELY = "triage_likely"


def offer(city: OpenCity, found: Sequence[Row], me: Identity) -> None:
    """The likeliest pairs among the reports of the list."""
    rows = {row.report.id: row for row in found}
    there = _likely(city, [row.report for row in found])
    if not there:
        return
    with st.expander(
        say("triage.pairs", count=len(there)), icon=":material/content_copy:", key="triage_pairs"
    ):
        for pair in there[:SHOWN]:
            one, other = rows[pair.first], rows[pair.second]
            st.markdown("**" + say(
                "triage.pair", first=f"№ {one.report.number}", second=f"№ {other.report.number}",
                metres=round(pair.distance_m), minutes=round(pair.hours * 60),
            ) + "**" + (f" ・ {say('triage.one_water')}" if pair.one_water else ""))  # fmt: skip
            for column, row in zip(st.columns(2), (one, other), strict=True):
                with column:
                    _side(city, row)
            same, different = st.columns(2)
            if same.button(
                say("triage.pair_merge"), key=f"same_{pair.first}_{pair.second}", width="stretch"
            ):
                triage_report.do(
                    city, partial(desk.merge, who.store(), [pair.second], pair.first, by=me.name),
                    say("triage.done", count=1),
                )  # fmt: skip
            if different.button(
                say("triage.pair_other"), key=f"other_{pair.first}_{pair.second}", width="stretch"
            ):
                triage_report.do(
                    city, partial(desk.tell_apart, who.store(), pair.first, pair.second, by=me.name),
                    say("triage.done", count=2),
                )  # fmt: skip


def _likely(city: OpenCity, reports: Sequence[Report]) -> list[Pair]:
    """The pairs that nobody told apart; worked out again only when the reports are others."""
    key = tuple((r.id, r.version) for r in reports)
    kept = st.session_state.get(LIKELY)
    if kept is None or kept[0] != key:
        wet = flooded_cells(city.workspace, [r.lon for r in reports], [r.lat for r in reports])
        cells = {r.id: c for r, c in zip(reports, wet, strict=True) if c is not None}
        apart = desk.told_apart(who.store())
        likely = [
            pair
            for pair in pairs(reports, in_force(city.workspace), cells)
            if (pair.first, pair.second) not in apart
        ]
        kept = st.session_state[LIKELY] = (key, likely)
    return list(kept[1])


def _side(city: OpenCity, row: Row) -> None:
    st.caption(f"№ {row.report.number} {row.title} ・ {clock(row.report.observed_at)}")
    if row.report.photos:
        try:
            shown = photos.shown(city.workspace, row.report.photos[0], side=900)
        except CitymapError as error:
            st.caption(error.message(language()))
            shown = None
        if shown is not None:
            st.image(shown, width="stretch")
    st.text(row.report.text or say("triage.no_text"))
