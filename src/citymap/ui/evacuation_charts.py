"""The parts of the page 避難シミュレーション that show results: charts, bottlenecks, districts, two plans compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pydeck
import shapely
import streamlit as st
from pydeck.types import String

from citymap.errors import CitymapError
from citymap.evacuation import advice, reading
from citymap.evacuation.advice import clock
from citymap.evacuation.assumptions import in_language
from citymap.evacuation.compare import NOT_SAFE, compared
from citymap.evacuation.plans import Entry
from citymap.evacuation.reading import Districts
from citymap.evacuation.told_keys import name_of, value_of
from citymap.i18n import t
from citymap.ui import still_charts
from citymap.ui.evacuation_desk import say_error
from citymap.ui.map_frame import MapEvents
from citymap.ui.speech import language, say
from citymap.ui.two_of import two_of
from citymap.workspace import Workspace

DISTRICT, PRESSED = "evacuation_district", "evacuation_pressed"
SHOWN_SHELTERS = 8
STATE_COLOURS = {  # those of the playback; who has arrived has no dot there
    "arrived": "#1f77b4", "en_route": "#5b1a8b", "waiting": "#6b6b6b", "stranded": "#d0021b",
}  # fmt: skip
SHOWN_DISTRICTS = 15


@st.cache_data(max_entries=6, show_spinner=False)
def _people(result: str, stamp: int) -> pd.DataFrame:
    del stamp
    return reading.people(Path(result))


@st.cache_data(max_entries=2, show_spinner=False)
def _districts(root: str, stamp: int) -> Districts:
    del stamp
    return reading.districts(Workspace(Path(root)))


def people(plan: Entry) -> pd.DataFrame:
    """The people of a plan."""
    return _people(str(plan.result), (plan.result / "people.parquet").stat().st_mtime_ns)


def districts(workspace: Workspace) -> Districts:
    """The districts of the city."""
    path = workspace.districts
    return _districts(str(workspace.root), path.stat().st_mtime_ns if path.is_file() else 0)


def remember(events: MapEvents, listed: Districts) -> None:
    """The district that was pressed on the map."""
    if (
        events.pressed
        and events.lon_lat is not None
        and events.lon_lat != st.session_state.get(PRESSED)
    ):
        st.session_state[PRESSED] = events.lon_lat
        found = reading.district_at(listed, *events.lon_lat)
        if found is not None and found != st.session_state.get(DISTRICT):
            st.session_state[f"{DISTRICT}_next"] = found
            st.rerun()


def choose_district(listed: Districts) -> str | None:
    """Choose a district from the list, or as it was pressed on the map."""
    if not listed:
        st.caption(say("evacuation.no_districts"))
        return None
    if (coming := st.session_state.pop(f"{DISTRICT}_next", None)) is not None:
        st.session_state[DISTRICT] = coming
    names = sorted(listed, key=lambda i: i)
    chosen = st.selectbox(
        say("evacuation.district"), names, index=None, key=DISTRICT, format_func=lambda i: listed[i][0],
        placeholder=say("evacuation.press_district"),
    )  # fmt: skip
    return str(chosen) if chosen in listed else None


def layers(plan: Entry | None, chosen: str | None, listed: Districts) -> list[pydeck.Layer]:
    """The bottlenecks with their ranks, and the outline of the chosen district."""
    found = []
    if chosen is not None and listed[chosen][1] is not None:
        rings = [
            [[float(x), float(y)] for x, y in shapely.get_coordinates(part.exterior)]
            for part in shapely.get_parts(listed[chosen][1])
            if part.geom_type == "Polygon"
        ]
        found.append(pydeck.Layer(
            "PathLayer", [{"path": ring} for ring in rings], id="evacuation_district", get_path="path",
            get_color=[0, 23, 193, 255], get_width=4, width_units=String("pixels"),
        ))  # fmt: skip
    roads = reading.bottlenecks(plan.result) if plan is not None else []
    if roads:
        found.append(pydeck.Layer(
            "PathLayer", [{"path": b["line"]} for b in roads], id="evacuation_bottlenecks", get_path="path",
            get_color=[230, 110, 0, 255], get_width=7, width_units=String("pixels"), cap_rounded=True,
        ))  # fmt: skip
        found.append(pydeck.Layer(
            "TextLayer", [{"at": b["line"][len(b["line"]) // 2], "text": str(k)} for k, b in enumerate(roads, 1)],
            id="evacuation_ranks", get_position="at", get_text="text", get_size=16, get_color=[0, 0, 0, 255],
            background=True, get_background_color=[255, 255, 255, 230], background_padding=[4, 2],
            font_weight=String("bold"),
        ))  # fmt: skip
    return found


def charts(plan: Entry | None, listed: Districts) -> None:
    """Arrivals, shelters, the stranded, and the roads that held people up."""
    if plan is None or plan.summary is None:
        st.info(say("evacuation.none"), icon=":material/directions_run:")
        return
    if plan.summary.get("latest_order_after_flood"):
        st.warning(t("evacuation.check.late_order", language()), icon=":material/schedule:")
    if (open_end := reading.unfinished(plan.summary, language())) is not None:
        st.warning(open_end, icon=":material/hourglass_bottom:")
    try:
        _arrivals(plan)
        _shelters(plan, float(plan.summary["duration_h"]))
        _stranded(plan, listed)
        _bottlenecks(plan, listed)
    except CitymapError as error:
        say_error(error)
        return
    with st.expander(say("evacuation.checks"), icon=":material/rule:"):
        st.markdown("\n".join(f"- {line}" for line in reading.checks(plan.summary, language())))
    with st.expander(say("evacuation.assumptions"), icon=":material/fact_check:"):
        st.markdown(
            "\n".join(f"- {in_language(line, language())}" for line in plan.summary["assumptions"])
        )
        st.dataframe(
            [{say("evacuation.measure"): name_of(k, language()), plan.name: value_of(k, v, language())}
             for k, v in plan.summary["scenario"].items()],
            hide_index=True, width="stretch",
        )  # fmt: skip


def _arrivals(plan: Entry) -> None:
    st.subheader(say("evacuation.arrivals"))
    rows = reading.arrivals(plan.result)
    hours = say("evacuation.hours")
    names = {
        n: t(f"evacuation.{'evacuated' if n == 'arrived' else n}", language())
        for n in rows
        if n != "t_h"
    }
    still_charts.over_time(
        {names[n]: (rows["t_h"], rows[n]) for n in names}, x=hours, y=say("evacuation.head_count"),
        colours={names[n]: STATE_COLOURS[n] for n in names},
    )  # fmt: skip
    if plan.summary and plan.summary.get("replicates", 1) > 1:
        st.caption(say("evacuation.first_replicate"))


def _shelters(plan: Entry, duration_h: float) -> None:
    st.subheader(say("evacuation.shelters"))
    listed = reading.shelters(plan.result)
    times, filled = reading.occupancy(people(plan), listed[:SHOWN_SHELTERS], duration_h)
    hours = say("evacuation.hours")
    named = Counter(s.name for s in listed)  # a school may be listed with its ground and its hall
    names = {
        s.id: s.name if s.name and named[s.name] == 1 else f"{s.name or ''} {s.id}".strip()
        for s in listed[:SHOWN_SHELTERS]
    }
    still_charts.over_time(
        {names[i]: (times, filled[i]) for i in filled}, x=hours, y=say("evacuation.head_count")
    )
    st.dataframe(
        [
            {
                say("evacuation.shelter"): s.name or s.id, say("evacuation.capacity"): s.capacity,
                say("evacuation.came"): s.arrived, say("evacuation.turned_away"): s.turned_away,
                say("evacuation.full_at"): clock(s.full_at_h),
            }
            for s in listed
        ],
        hide_index=True, placeholder="–", width="stretch",
    )  # fmt: skip


def _stranded(plan: Entry, listed: Districts) -> None:
    st.subheader(say("evacuation.stranded"))
    by_age, by_district = reading.stranded(people(plan), {i: n for i, (n, _) in listed.items()})
    if not sum(by_age.values()):
        st.caption(say("evacuation.nobody_stranded"))
        return
    reasons = (plan.summary or {}).get("stranded_by_reason", {})
    st.markdown(
        "　".join(f"{say(f'evacuation.reason_{r}')}: **{n:,}**" for r, n in reasons.items())
    )
    head = say("evacuation.head_count")
    st.caption(say("evacuation.by_age"))
    still_charts.bars(list(by_age), {head: list(by_age.values())}, value=head)
    worst = list(by_district.items())[:SHOWN_DISTRICTS]
    st.caption(say("evacuation.by_district_age"))
    still_charts.bars(
        [n or say("evacuation.no_district") for n, _ in worst],
        {a: [counts[a] for _, counts in worst] for a in by_age}, value=head, colours=still_charts.AGES,
    )  # fmt: skip


def _bottlenecks(plan: Entry, listed: Districts) -> None:
    st.subheader(say("evacuation.bottlenecks"))
    roads = reading.bottlenecks(plan.result)
    if not roads:
        st.caption(say("evacuation.no_bottlenecks"))
        return
    st.caption(say("evacuation.bottleneck_note"))
    st.dataframe(
        [
            {
                say("evacuation.rank"): k, say("evacuation.road"): advice.road_name(b, language()),
                say("evacuation.passed"): b["passed"],
                say("evacuation.delay"): round(b["delay_person_h"], 2),
                say("evacuation.stuck_here"): b["stranded"],
                say("evacuation.closes"): clock(b["closes_h"]),
                say("evacuation.comes_from"): "、".join(
                    listed[i][0] if i in listed else i for i in list(b["by_district"] or {})[:3]
                ),
            }
            for k, b in enumerate(roads, 1)
        ],
        hide_index=True, placeholder="–", width="stretch",
    )  # fmt: skip


def district(plan: Entry | None, chosen: str | None, listed: Districts) -> None:
    """What the chosen district is to do."""
    if plan is None or chosen is None:
        st.info(say("evacuation.press_district"), icon=":material/touch_app:")
        return
    margin = float((plan.summary or {})["scenario"].get("margin_min", 10))
    try:
        found = advice.advice(
            plan.result, people(plan), chosen, listed[chosen][0], margin_min=margin
        )
    except CitymapError as error:
        say_error(error)
        return
    st.subheader(listed[chosen][0])
    if found is None:
        st.caption(say("evacuation.nobody_lives_there"))
        return
    for line in advice.sentences(found, margin, language()):
        st.markdown(f"- {line}")


def compare(entries: Sequence[Entry], listed: Districts) -> None:
    """Two plans: what the second changes, with intervals where both were repeated."""
    done = {e.name: e for e in entries if e.summary is not None}
    chosen = two_of(list(done), "evacuation")
    if chosen is None:
        return
    a, b = chosen
    try:
        found = compared(done[a].result, done[b].result)
        both = [reading.arrivals(done[name].result) for name in (a, b)]
    except CitymapError as error:
        say_error(error)
        return
    second = b + ("　" if a == b else "")  # columns and lines need names of their own
    stuck = found["counts"]["stranded"]
    key = "fewer" if stuck["difference"] < 0 else "more" if stuck["difference"] > 0 else "same"
    st.markdown(say(f"evacuation.{key}", a=a, b=b, people=f"{abs(stuck['difference']):,.0f}"))
    whole = found["counts"][NOT_SAFE]["difference"]
    if abs(whole - stuck["difference"]) >= 0.5:
        st.warning(
            say(
                "evacuation.open_end",
                a=a,
                b=b,
                undecided=f"{whole - stuck['difference']:+,.0f}",
                people=f"{whole:+,.0f}",
            ),
            icon=":material/hourglass_bottom:",
        )
    if "ci95" in stuck:
        st.caption(say("evacuation.paired", pairs=stuck["pairs"]))
    else:
        st.caption(say("evacuation.one_run_each"))
    st.dataframe(
        [
            {
                say("evacuation.measure"): t(f"evacuation.{name}", language()), a: round(row["a"], 1),
                second: round(row["b"], 1),
                say("evacuation.difference"): f"{row['difference']:+,.1f}",
                say("evacuation.ci"): "{:+,.1f} – {:+,.1f}".format(*row["ci95"]) if "ci95" in row else "–",
            }
            for name, row in found["counts"].items()
        ],
        hide_index=True, placeholder="–", width="stretch",
    )  # fmt: skip
    hours = say("evacuation.hours")
    st.markdown(say("evacuation.arrivals"))
    still_charts.over_time(
        {n: (rows["t_h"], rows["arrived"]) for n, rows in zip((a, second), both, strict=True)},
        x=hours, y=say("evacuation.came"), height=220,
    )  # fmt: skip
    changed = {
        listed[i][0] if i in listed else i: n for i, n in found["stranded_by_district"].items() if n
    }
    if changed:
        head = say("evacuation.difference")
        order = sorted(changed, key=lambda n: -abs(changed[n]))[:SHOWN_DISTRICTS]
        st.markdown(say("evacuation.changed_districts"))
        still_charts.bars(order, {head: [changed[n] for n in order]}, value=head)
    if found["changed"]:
        st.markdown(say("evacuation.changed_keys"))
        st.dataframe(
            [{say("evacuation.measure"): name_of(k, language()),
              a: value_of(k, v[0], language()), second: value_of(k, v[1], language())}
             for k, v in found["changed"].items()],
            hide_index=True, placeholder="–", width="stretch",
        )  # fmt: skip
