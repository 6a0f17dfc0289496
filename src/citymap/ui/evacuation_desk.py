"""The parts of the page 避難シミュレーション that plan, run, choose and keep plans."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import streamlit as st

from citymap.assess.depth_classes import STANDARD
from citymap.errors import CitymapError
from citymap.evacuation import plans
from citymap.evacuation.departure import CURVES
from citymap.evacuation.plans import Entry
from citymap.evacuation.playback import NAME
from citymap.evacuation.scenario import scenario_of
from citymap.evacuation.shelters import designations
from citymap.evacuation.speed_laws import LAWS
from citymap.i18n import t
from citymap.jobs import submit
from citymap.places.kinds.evacuation_site import HAZARDS
from citymap.share import plan_capsule
from citymap.store import jobs
from citymap.store.accounts import Role
from citymap.ui import job_progress, who
from citymap.ui.speech import language, literal, say
from citymap.web.identity import Identity
from citymap.workspace import Workspace

JOB, CHOSEN, NEXT = "evacuation_job", "evacuation_plan", "evacuation_next_plan"
TOLD = "evacuation_told"  # the plan that the page last wrote into the address
TAB, OPENED = "evacuation_tab", "evacuation_opened"
COUNTS = ("people", "evacuated", "vertical", "stranded", "en_route", "waiting", "stayed")
REPLICATES = (1, 10, 30, 100)
KNOWLEDGE = ("on_arrival", "full", "none")


def parts() -> Sequence[Any]:
    """The tabs below the map; the results come to the front when a plan is opened."""
    names = [say(f"evacuation.tab_{n}") for n in ("results", "district", "compare", "new", "plans")]
    if st.session_state.pop(OPENED, False):
        # A new row of tabs: an event of the map that was under way still tells the old row's choice.
        st.session_state[TAB] = st.session_state.get(TAB, 0) + 1
    key = f"{TAB}_{st.session_state.get(TAB, 0)}"
    if st.session_state.get(key) not in names:  # at first, and in another language
        st.session_state.pop(key, None)
    return st.tabs(names, key=key, on_change="rerun")


def open_plan(name: str) -> None:
    """Show a plan: its results, whatever tab is in front."""
    st.session_state[NEXT] = name
    st.session_state[OPENED] = True
    st.rerun()


def say_error(error: CitymapError) -> None:
    """What went wrong, in the words of the session."""
    st.error(error.message(language()), icon=":material/error:")


def count(name: str, value: float) -> str:
    """A count of a result with its name."""
    return f"{t(f'evacuation.{name}', language())}: **{value:,.0f}**"


def choose(entries: Sequence[Entry]) -> Entry | None:
    """Choose a computed plan; the choice goes into the address, so that it can be shared."""
    done = {e.name: e for e in entries if e.summary is not None}
    if not done:
        st.info(say("evacuation.none"), icon=":material/directions_run:")
        return None
    names = list(done)
    given = st.query_params.get("plan")
    followed = given in done and given != st.session_state.get(TOLD)  # a link, back, forward
    wanted = st.session_state.pop(NEXT, None) or (
        given if followed else st.session_state.get(CHOSEN)
    )
    st.session_state[CHOSEN] = wanted if wanted in done else names[0]
    name = st.selectbox(say("evacuation.plan"), names, key=CHOSEN)
    st.query_params["plan"] = st.session_state[TOLD] = name
    in_short(done[name])
    return done[name]


def in_short(plan: Entry) -> None:
    """The counts of a plan, with their intervals where runs were repeated."""
    summary = plan.summary or {}
    lines = []
    for name in COUNTS:
        ci = summary.get("ci95", {}).get(name)
        more = f" ({ci[0]:,.0f} – {ci[1]:,.0f})" if ci else ""
        lines.append(count(name, summary[name]) + more)
    st.markdown("  \n".join(lines))
    if summary.get("ci95"):
        st.caption(say("evacuation.intervals", count=summary["replicates"]))


def legend(plan: Entry | None) -> None:
    """The colours of the water, where the plan has any."""
    if plan is None or (plan.summary or {}).get("scenario", {}).get("flood", "none") == "none":
        return
    rows = "".join(
        f'<div><span class="cm-swatch" style="background:rgb{c.colour}"></span>{c.text}</div>'
        for c in STANDARD
    )
    st.html(f"<div>{say('evacuation.water')}{rows}</div>")


def playback(workspace: Workspace, plan: Entry | None, root_path: str) -> dict[str, Any]:
    """Where the map finds the people and the water of a plan; empty where nothing can be played."""
    if plan is None or not (plan.result / "trips" / NAME).is_file():
        return {}
    base = f"{root_path.rstrip('/')}/api/evacuation/{quote(plan.name, safe='')}"
    stamp = (plan.result / "trips" / NAME).stat().st_mtime_ns  # a new run is another address
    flood = plans.flood_of(workspace, plan)
    given = (plan.summary or {}).get("scenario", {}).get("flood", "none") != "none"
    water = f"{base}/water.bin?v={stamp}" if flood else None
    return {"people": f"{base}/playback.bin?v={stamp}", "water": water, "flood": given}


def capsule_button(workspace: Workspace, plan: Entry | None) -> None:
    """The plan as one file to take away, made only when asked for."""
    if plan is None:
        return
    lang = language()

    def made() -> bytes:
        return plan_capsule.capsule(workspace, plan, lang=lang).encode()

    st.download_button(
        say("evacuation.capsule"), made, file_name=f"{plan.name}.html", mime="text/html",
        icon=":material/download:", on_click="ignore", key="evacuation_capsule",
        help=say("evacuation.capsule_help"),
    )  # fmt: skip


def plan_form(workspace: Workspace, me: Identity) -> None:
    """A new plan: flood, order, behaviour, people; start it; and follow it."""
    name = st.text_input(say("evacuation.name"), max_chars=60, key="evacuation_name")
    left, right = st.columns(2)
    with left:
        flood = st.selectbox(
            say("evacuation.flood"), ["none", *plans.floods(workspace)], key="evacuation_flood",
            format_func=lambda f: say("evacuation.flood_none") if f == "none" else f,
        )  # fmt: skip
        hazard = _hazard(workspace, flood)
        order = st.number_input(
            say("evacuation.order"), 0.0, 72.0, 0.5, 0.25, key="evacuation_order"
        )
        curve = st.selectbox(
            say("evacuation.curve"), list(CURVES.load()), key="evacuation_curve",
            index=list(CURVES.load()).index("weibull"), format_func=lambda c: say(f"evacuation.curve_{c}"),
        )  # fmt: skip
        departure = _departure(curve)
        compliance = st.slider(
            say("evacuation.compliance"), 0, 100, 70, 5, key="evacuation_compliance"
        )
        cars = st.slider(say("evacuation.cars"), 0, 100, 10, 5, key="evacuation_cars")
    with right:
        law = st.selectbox(
            say("evacuation.law"), list(LAWS.load()), key="evacuation_law",
            format_func=lambda x: say(f"evacuation.law_{x}"),
        )  # fmt: skip
        knowledge = st.selectbox(
            say("evacuation.knowledge"), KNOWLEDGE, key="evacuation_knowledge",
            format_func=lambda k: say(f"evacuation.knowledge_{k}"),
        )  # fmt: skip
        estimated = st.toggle(
            say("evacuation.from_floor_area"), value=True, key="evacuation_estimated"
        )
        number = None if estimated else st.number_input(
            say("evacuation.how_many"), 1, 2_000_000, 20_000, 1000, key="evacuation_people"
        )  # fmt: skip
        night = st.toggle(say("evacuation.night"), key="evacuation_night")
        duration = st.number_input(
            say("evacuation.duration"), 0.5, 72.0, 6.0, 0.5, key="evacuation_duration",
            disabled=flood != "none", help=say("evacuation.duration_help"),
        )  # fmt: skip
        replicates = st.select_slider(
            say("evacuation.replicates"), REPLICATES, key="evacuation_replicates"
        )
        seed = st.number_input(say("evacuation.seed"), 0, 2**31, 1, key="evacuation_seed")
    drawn = _spread(compliance, cars, flooded=flood != "none") if replicates > 1 else {}
    limits = st.toggle(
        say("evacuation.leave_by"), value=True, key="evacuation_leave_by", disabled=flood == "none",
        help=say("evacuation.leave_by_help"),
    )  # fmt: skip
    tables: dict[str, Any] = {
        "scenario": {"name": name.strip(), "seed": int(seed)},
        "evacuation": {
            "flood": flood if flood == "none" else f"scenarios/{flood}", "hazard": hazard,
            "order_time_h": float(order),
            "departure": departure, "compliance": compliance / 100, "car_share": cars / 100,
            "speed_law": law, "knowledge": knowledge,
            "population": {"from_buildings": True if number is None else int(number)},
            "night": night, "replicates": int(replicates), **drawn,
            **({"duration_h": float(duration)} if flood == "none" else {}),
        },
    }  # fmt: skip
    ready = bool(name.strip())
    if st.button(
        say("evacuation.begin"), type="primary", icon=":material/play_circle:", disabled=not ready
    ):
        try:
            plans.free(workspace, name.strip(), busy=_busy())
            scenario_of(tables, place=name.strip())
            params: dict[str, Any] = {"name": name.strip(), "scenario": tables, "leave_by": limits}
            if replicates > 1:
                params["workers"] = os.cpu_count() or 1
            job = submit(who.store(), "evacuate", params, by=me.name, role=me.role)
        except CitymapError as error:
            say_error(error)
            return
        st.session_state[JOB] = job.id
        st.rerun()
    if not ready:
        st.caption(say("evacuation.not_ready"))
    if (job_id := st.session_state.get(JOB)) is not None:
        _follow(job_id)  # where the eye is after pressing the button


def _spread(compliance: int, cars: int, *, flooded: bool) -> dict[str, Any]:
    """What is not known and is drawn anew in every run, and when there were runs enough."""
    with st.expander(say("evacuation.spread"), icon=":material/casino:"):
        st.caption(say("evacuation.spread_help"))
        left, right = st.columns(2)
        order = left.slider(
            say("evacuation.order_delay"), 0.0, 3.0, (0.0, 0.0), 0.25, key="evacuation_order_delay"
        )
        water = (0.0, 0.0)
        if flooded:
            water = right.slider(
                say("evacuation.flood_delay"), -1.0, 2.0, (0.0, 0.0), 0.25, key="evacuation_flood_delay"
            )  # fmt: skip
        follow = left.slider(
            say("evacuation.compliance_between"), 0, 100, (compliance, compliance), 5,
            key=f"evacuation_compliance_between_{compliance}",
        )  # fmt: skip
        drive = right.slider(
            say("evacuation.cars_between"), 0, 100, (cars, cars), 5,
            key=f"evacuation_cars_between_{cars}",
        )  # fmt: skip
        stop = st.number_input(
            say("evacuation.stop_ci"), 0, 100_000, 0, 10, key="evacuation_stop_ci",
            help=say("evacuation.stop_ci_help"),
        )  # fmt: skip
    spread = {
        "order_delay_h": list(order), "flood_delay_h": list(water),
        "compliance": [v / 100 for v in follow], "car_share": [v / 100 for v in drive],
    }  # fmt: skip
    told = {k: v for k, v in spread.items() if v[0] != v[1]}
    return {**({"spread": told} if told else {}), **({"stop_ci": float(stop)} if stop else {})}


def _hazard(workspace: Workspace, flood: str) -> str:
    """For which disaster a shelter must be designated: what the flood result looks like at first."""
    count = designations(workspace.places / "shelters.parquet")
    likely = None if flood == "none" else plans.hazard_of(workspace, flood)
    offered = [h for h in HAZARDS if count.get(h) or h == likely] or ["flood"]
    if likely == "storm_surge" and not count.get(likely) and count.get("tsunami"):
        likely = "tsunami"  # both are the level of the sea
    hazard = st.selectbox(
        say("evacuation.hazard"), offered, help=say("evacuation.hazard_help"),
        key=f"evacuation_hazard_{flood}", index=offered.index(likely or offered[0]),
        format_func=lambda h: say(
            "evacuation.hazard_count", name=say(f"shelter.hazard_name.{h}"), count=count.get(h, 0)
        ),
    )  # fmt: skip
    if not count.get(hazard):
        st.warning(say("evacuation.none_designated"), icon=":material/warning:")
    return str(hazard)


def _departure(curve: str) -> dict[str, Any]:
    one, two = st.columns(2)
    if curve == "weibull":
        a = one.number_input(say("evacuation.weibull_a"), 0.1, 48.0, 1.0, 0.1, key="evacuation_a")
        b = two.number_input(say("evacuation.weibull_b"), 0.1, 10.0, 1.5, 0.1, key="evacuation_b")
        return {"curve": curve, "a": float(a), "b": float(b)}
    if curve == "rayleigh":
        mean = one.number_input(
            say("evacuation.mean_h"), 0.1, 48.0, 1.0, 0.1, key="evacuation_mean"
        )
        return {"curve": curve, "mean_h": float(mean)}
    first = one.number_input(say("evacuation.from_h"), 0.0, 48.0, 0.0, 0.25, key="evacuation_from")
    last = two.number_input(say("evacuation.to_h"), 0.0, 48.0, 1.0, 0.25, key="evacuation_to")
    return {"curve": curve, "from_h": float(first), "to_h": float(max(first, last))}


def _follow(job_id: str) -> None:
    """The run that this session started."""
    with st.container(border=True):
        job = job_progress.show(job_id, role=Role.PLANNER)
        if job is not None and job.state == "done" and st.button(
            say("evacuation.look"), icon=":material/visibility:", key="evacuation_look"
        ):  # fmt: skip
            st.session_state.pop(JOB, None)
            open_plan(str(job.params["name"]))


def plans_table(workspace: Workspace, entries: Sequence[Entry]) -> None:
    """All plans with their figures; open or delete one."""
    if not entries:
        st.info(say("evacuation.none"), icon=":material/directions_run:")
        return
    busy = _busy()
    st.dataframe(
        [_row(e, e.name in busy) for e in entries],
        hide_index=True,
        placeholder="–",
        width="stretch",
    )
    name = st.selectbox(say("evacuation.plan"), [e.name for e in entries], key="evacuation_edit")
    chosen = next(e for e in entries if e.name == name)
    one, two = st.columns(2)
    if one.button(
        say("evacuation.open"),
        disabled=chosen.summary is None,
        width="stretch",
        key="evacuation_open",
    ):
        open_plan(name)
    sure = st.checkbox(say("evacuation.sure", name=literal(name)), key=f"evacuation_sure_{name}")
    if two.button(
        say("evacuation.delete"), disabled=not sure or name in busy, width="stretch",
        key="evacuation_delete",
    ):  # fmt: skip
        try:
            plans.delete(workspace, name)
        except CitymapError as error:
            say_error(error)
            return
        st.rerun()


def _busy() -> set[str]:
    """Names of the plans that are being computed or wait for it."""
    return {
        str(j.params.get("name"))
        for j in jobs.listed(who.store())
        if j.kind == "evacuate" and not j.ended
    }


def _row(plan: Entry, running: bool) -> dict[str, object]:
    s, given = plan.summary or {}, plan.tables.get("evacuation", {})
    state = "running" if running else "done" if s else "no_result"
    order = given.get("order_time_h", 0.0)
    flood = str(given.get("flood", "none"))
    return {
        say("evacuation.plan"): plan.name,
        say("evacuation.state"): say(f"evacuation.state_{state}"),
        say("evacuation.flood"): say("evacuation.flood_none") if flood == "none" else flood.removeprefix("scenarios/"),
        say("evacuation.order"): order if isinstance(order, int | float) else say("evacuation.by_district"),
        **{t(f"evacuation.{n}", language()): s.get(n) for n in ("people", "evacuated", "stranded")},
        say("evacuation.replicates"): s.get("replicates"),
    }  # fmt: skip
