"""What the page 浸水シナリオ says of a result: how much is flooded, what was given, how it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from citymap.assess.depth_classes import STANDARD
from citymap.flood import library
from citymap.flood.library import Entry
from citymap.flood.results import FLOODED_FROM_M
from citymap.i18n import t
from citymap.ui.speech import language, say


def in_short(entry: Entry) -> None:
    """What came out, and how: what was given, scheme, cells, water balance, what was mended."""
    summary = entry.summary or {}
    st.caption(
        say(
            "flood.in_short",
            ha=f"{summary['flooded_area_m2'] / 1e4:,.1f}",
            cm=f"{summary.get('flooded_from_m', FLOODED_FROM_M) * 100:g}",
            depth=f"{summary['max_depth_m']:.1f}",
        )
    )
    if "buildings_flooded" in summary:
        st.caption(say("flood.buildings", count=f"{summary['buildings_flooded']:,}"))
    with st.expander(say("flood.how_computed")):
        lines = [
            *_given(entry),
            *_by_class(summary),
            say(
                "flood.computed_by",
                method=say(f"flood.method_{summary['method']}"),
                cell=f"{summary['cell_size_m']:g}",
                hours=f"{summary['duration_h']:g}",
            ),
        ]
        treatment = summary["buildings_treatment"]
        lines.append(say("flood.treated", how=say(f"flood.treatment_{treatment}")))
        if summary.get("mass_error_m3") is not None:
            taken = summary["initial_m3"] + summary["inflow_m3"] + summary["rain_m3"]
            lines.append(
                say("flood.mass_error", taken=f"{taken:,.0f}", error=f"{summary['mass_error_m3']:.2g}")
            )  # fmt: skip
            lines.append(
                say(
                    "flood.balance",
                    **{
                        k: f"{summary[f'{k}_m3']:,.0f}"
                        for k in ("inflow", "rain", "outflow", "stored")
                    },
                )
            )
        lines += [
            t(f"flood.repair.{key}", language(), n=f"{n:g}" if "epsg" in key else f"{n:,.10g}")
            for key, n in summary.get("repairs", {}).items()
        ]
        for note in summary.get("notes", []):
            key, _, n = note.partition(":")
            lines.append(
                t(f"flood.note.{key}", language(), n=f"{int(n):,}" if n.isdecimal() else n)
            )
        st.markdown("\n".join(f"- {line}" for line in lines))


def _given(entry: Entry) -> list[str]:
    """The breach and the rain of a result, where its file has not been changed since."""
    plan = library.computed_plan(entry)
    if plan is None:
        return []
    lines = []
    if plan.breach_lon_lat is not None:
        lon, lat = plan.breach_lon_lat
        lines.append(
            say(
                "flood.given_breach", lon=f"{lon:.5f}", lat=f"{lat:.5f}", width=f"{plan.width_m:g}",
                start=f"{plan.start_h:g}", growth=f"{plan.growth_h:g}", stage=f"{plan.stage_m:.2f}",
                recede=f"{plan.recede_m:g}",
            )
        )  # fmt: skip
    if plan.rain_mm_h > 0:
        where = say(f"flood.given_{'area' if plan.rain_area else 'everywhere'}")
        lines.append(
            say(
                "flood.given_rain", mm=f"{plan.rain_mm_h:g}", hours=f"{plan.rain_hours:g}", where=where
            )
        )  # fmt: skip
    return [*lines, say("flood.given_edges", how=say(f"flood.edges_{plan.edges}"))]


def _by_class(summary: Mapping[str, Any]) -> list[str]:
    """Hectares and buildings of each class of depth that there is."""
    areas, counts = (summary.get(k, {}) for k in ("flooded_area_by_class_m2", "buildings_by_class"))
    return [
        say(
            "flood.of_class" if counts else "flood.of_class_area", depth=c.text,
            ha=f"{areas[key] / 1e4:,.1f}", count=f"{counts.get(key, 0):,}",
        )
        for c in STANDARD
        if areas.get(key := c.key) or counts.get(key)
    ]  # fmt: skip
