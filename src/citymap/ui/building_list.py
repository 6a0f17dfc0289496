"""The parts of the page 建物一覧と集計: filters, a page of rows, totals, disagreements, files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any, get_args

import pandas as pd
import pyarrow as pa
import streamlit as st
from numpy.typing import NDArray

from citymap.assess.building_table import (
    OUTSIDE_CLASS,
    SORTS,
    UNKNOWN_CLASS,
    BuildingTable,
    Grouping,
    Sort,
    Total,
    Wanted,
    depth_classes,
    sets_with_tables,
)  # fmt: skip
from citymap.assess.exposure import COMBINED
from citymap.assess.table_files import MIME, TableFormat, as_csv
from citymap.assess.verdict import ORDER
from citymap.errors import BadInputError, CitymapError
from citymap.hazard.legend import DEPTH, legends
from citymap.i18n import t
from citymap.share.building_tables import disagreements, download_table, released
from citymap.ui.city import OpenCity, stop_with
from citymap.ui.speech import language, say
from citymap.ui.who import audience
from citymap.workspace import Workspace

PAGE_ROWS = 50
SHOWN_GROUPS, SHOWN_DISAGREEMENTS = 200, 200
STOREYS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20)
SHOWN = (
    "building_id", "verdict", "depth_max_m", "depth_class", "dry_floor", "reasons", "usage", "storeys_above",
    "address", "name", "duration_h", "zones", "floor_area_m2",
)  # fmt: skip
_OWN = frozenset({
    "district", "floor_area_m2", "floor_area", "depth_class", "depth_max_m", "depth_mean_m", "duration_h",
    "collapse_flow", "collapse_erosion", "verdict", "dry_floor", "reasons", "hazard", "scale", "arrival_h",
    "zones", "disagrees",
})  # fmt: skip


@st.cache_resource(show_spinner=False, max_entries=4)
def _opened(root: str, name: str, stamp: tuple[int, ...]) -> BuildingTable:
    del stamp  # part of the cache key: a new import or computation opens anew
    from pathlib import Path  # noqa: PLC0415

    return BuildingTable(Workspace(Path(root)), name)


def open_table(city: OpenCity) -> BuildingTable:
    """The table of the set that the person chooses; without any the page says so and stops."""
    workspace = city.workspace
    names = sets_with_tables(workspace)
    if not names:
        stop_with(BadInputError("exposure_missing", place=city.name(language())))
    name = st.selectbox(
        say("list.set"), names, key="list_set",
        format_func=lambda n: say("list.combined") if n == COMBINED else n,
    )  # fmt: skip
    files = (
        workspace.buildings,
        workspace.root / "exposure" / f"{name}.parquet",
        workspace.districts,
    )
    stamp = tuple(p.stat().st_mtime_ns if p.exists() else 0 for p in files)
    try:
        return _opened(str(workspace.root), name, stamp)
    except CitymapError as error:
        stop_with(error)


def class_label(key: str) -> str:
    """A depth class in words."""
    if key in {OUTSIDE_CLASS, UNKNOWN_CLASS}:
        return say(f"list.class_{key}")
    return str(legends()[DEPTH].classes[int(key)].label[language()])


def verdict_label(key: str) -> str:
    """A verdict in a word or two."""
    return t(f"verdict.{key}", language())


def column_title(name: str) -> str:
    """How a column is called."""
    return say(f"list.column.{name}") if name in _OWN else say(f"column.{name}")


def ask(table: BuildingTable) -> Wanted:
    """Search and filters."""
    text = st.text_input(say("list.search"), key="list_text", icon=":material/search:")
    keys = ("verdicts", "classes", "usages", "districts", "from", "to", "disagreeing")
    active = sum(bool(st.session_state.get(f"list_{k}")) for k in keys)
    title = say("list.filters_on", count=active) if active else say("list.filters")
    with st.expander(title, icon=":material/filter_alt:", expanded=bool(active)):
        left, right = st.columns(2)
        verdicts = left.multiselect(
            say("list.verdict"),
            ORDER,
            format_func=verdict_label,
            key="list_verdicts",
            placeholder=say("filter.any"),
        )
        classes = right.multiselect(
            say("list.depth_class"),
            depth_classes(),
            format_func=class_label,
            key="list_classes",
            placeholder=say("filter.any"),
        )
        usages = {key: f"{label}（{n:,}）" for key, label, n in table.values("usage")}
        chosen_usages = left.multiselect(
            say("list.usage"),
            list(usages),
            format_func=lambda k: usages[k],
            key="list_usages",
            placeholder=say("filter.any"),
        )
        districts = {key: f"{label}（{n:,}）" for key, label, n in table.values("district_id")}
        chosen_districts = right.multiselect(
            say("list.district"),
            list(districts),
            format_func=lambda k: districts[k],
            key="list_districts",
            placeholder=say("filter.any"),
        )
        least = left.selectbox(
            say("list.storeys_from"), (None, *STOREYS), key="list_from", format_func=_storeys
        )
        most = right.selectbox(
            say("list.storeys_to"), (None, *STOREYS), key="list_to", format_func=_storeys
        )
        disagreeing = st.checkbox(say("list.disagreeing"), key="list_disagreeing")
    return Wanted(
        text, tuple(verdicts), tuple(classes), tuple(chosen_usages), tuple(chosen_districts), (least, most), disagreeing
    )  # fmt: skip


def _storeys(value: int | None) -> str:
    return say("list.any") if value is None else str(value)


def headline(chosen: NDArray[Any], totals: Sequence[Total]) -> None:
    """How many, and their floor area with what is estimated or missing in it."""
    count = sum(one.buildings for one in totals)
    area = sum(one.floor_area_m2 for one in totals)
    estimated, unknown = sum(o.estimated for o in totals), sum(o.without_area for o in totals)
    note = ""
    if estimated or unknown:
        note = say("list.area_note", estimated=f"{estimated:,}", unknown=f"{unknown:,}")
    st.html(
        f'<div class="cm-total">{escape(say("list.found", count=f"{count:,}", all=f"{len(chosen):,}"))}</div>'
        f'<div class="cm-sub">{escape(say("list.area", area=f"{area:,.0f}"))}<br>{escape(note)}</div>'
    )


def rows(table: BuildingTable, chosen: NDArray[Any]) -> str | None:
    """A page of rows; the gml:id of the row that the person chooses."""
    count = int(chosen.sum())
    if not count:
        st.info(say("list.nothing"), icon=":material/search_off:")
        return None
    pages = math.ceil(count / PAGE_ROWS)
    left, right = st.columns(2)
    sort: Sort = left.selectbox(
        say("list.sort"), SORTS, key="list_sort", format_func=lambda s: say(f"list.sort_by.{s}")
    )
    if st.session_state.get("list_page", 1) > pages:
        st.session_state["list_page"] = 1
    number = int(
        right.number_input(say("list.page", pages=f"{pages:,}"), 1, pages, key="list_page")
    )
    part = released(table.page(chosen, sort=sort, size=PAGE_ROWS, number=number - 1), audience())
    first = (number - 1) * PAGE_ROWS + 1
    st.caption(
        f"{say('list.rows', first=f'{first:,}', last=f'{first + part.num_rows - 1:,}')}　{say('list.choose_row')}"
    )
    event = st.dataframe(
        _shown(part), hide_index=True, placeholder="–", on_select="rerun", selection_mode="single-row",
        key=f"list_rows_{table.set_name}_{sort}_{number}", width="stretch",
        column_config={
            column_title("depth_max_m"): st.column_config.NumberColumn(format="%.2f"),
            column_title("floor_area_m2"): st.column_config.NumberColumn(format="localized"),
        },
    )  # fmt: skip
    picked = event["selection"]["rows"]
    return str(part["gml_id"][picked[0]].as_py()) if picked else None


def _shown(part: pa.Table) -> pd.DataFrame:
    frame = pd.DataFrame({n: part[n].to_pandas() for n in SHOWN if n in part.column_names})
    joined = "、" if language() == "ja" else ", "
    for name in ("usage", "address", "name"):
        frame[name] = frame[name].fillna("")
    frame["verdict"] = [verdict_label(v) for v in frame["verdict"]]
    frame["depth_class"] = [class_label(c) for c in frame["depth_class"]]
    frame["reasons"] = [
        joined.join(say(f"reason.{c}") for c in codes) for codes in frame["reasons"]
    ]
    frame["zones"] = [joined.join(say(f"zone.{z}") for z in zones) for zones in frame["zones"]]
    return frame.rename(columns=column_title)


def totals(table: BuildingTable, chosen: NDArray[Any]) -> None:
    """Buildings and floor area by group, as a table and a CSV of all groups."""
    by: Grouping = st.segmented_control(
        say("list.by"), get_args(Grouping), default="district", required=True, key="list_by",
        format_func=lambda g: say(f"list.group.{g}"),
    )  # fmt: skip
    found = table.totals(chosen, by)
    frame = total_frame(found, by)
    st.dataframe(
        frame.head(SHOWN_GROUPS),
        hide_index=True,
        placeholder="–",
        width="stretch",
        key=f"list_totals_{by}",
    )
    if len(found) > SHOWN_GROUPS:
        st.caption(say("list.more_groups", shown=SHOWN_GROUPS, all=f"{len(found):,}"))
    st.download_button(
        say("list.totals_csv"), lambda: as_csv(pa.Table.from_pandas(frame, preserve_index=False), {}),
        file_name=f"totals_{by}_{table.set_name}.csv", mime=MIME["csv"], on_click="ignore", key="list_totals_csv",
    )  # fmt: skip


def group_label(key: str, label: str, by: Grouping) -> str:
    """The name of a group; what is not recorded is said to be so."""
    if not key:
        return say("list.not_recorded")
    return {"depth_class": class_label, "verdict": verdict_label}.get(by, lambda _: label)(key)


def total_frame(found: Sequence[Total], by: Grouping) -> pd.DataFrame:
    """Totals as people read them."""
    return pd.DataFrame([
        {
            say(f"list.group.{by}"): group_label(one.key, one.label, by),
            say("list.buildings"): one.buildings,
            **({} if by == "verdict" else {verdict_label(v): one.verdicts[v] for v in ORDER}),
            say("list.floor_area"): round(one.floor_area_m2),
            say("list.estimated"): one.estimated,
            say("list.without_area"): one.without_area,
        }
        for one in found
    ])  # fmt: skip


def show_disagreements(city: OpenCity, table: BuildingTable) -> None:
    """Where grid, areas and attributes do not agree."""
    found = disagreements(city.workspace, table.set_name, audience())
    if not found.num_rows:
        st.info(say("list.no_disagreements"), icon=":material/check:")
        return
    titles = {n: say(f"list.{n}") for n in ("set", "source", "says", "other")}
    titles["building_id"] = say("column.building_id")
    st.warning(say("list.disagreements", count=f"{found.num_rows:,}"), icon=":material/compare:")
    shown = found.slice(0, SHOWN_DISAGREEMENTS).to_pandas()
    shown["source"] = [say("list.attribute") if s == "attribute" else s for s in shown["source"]]
    shown = shown.replace("–", say("list.not_recorded")).rename(columns=titles)
    st.dataframe(shown, hide_index=True, placeholder="–", width="stretch", key="list_disagreements")
    if found.num_rows > SHOWN_DISAGREEMENTS:
        st.caption(say("list.disagreements_more", shown=SHOWN_DISAGREEMENTS))
    st.download_button(
        say("list.disagreements_csv"), partial(as_csv, found, titles), mime=MIME["csv"], on_click="ignore",
        file_name=f"disagreements_{table.set_name}.csv", key="list_disagreements_csv",
    )  # fmt: skip


def files(city: OpenCity, table: BuildingTable, chosen: NDArray[Any]) -> None:
    """The chosen buildings as CSV, Excel or GeoPackage, written when asked for."""
    count = int(chosen.sum())
    if not count:
        st.info(say("list.nothing"), icon=":material/search_off:")
        return
    st.caption(say("list.files_note", count=f"{count:,}"))
    titles = {name: column_title(name) for name in table.rows.column_names}
    for form in get_args(TableFormat):
        st.download_button(
            say(f"list.{form}"),
            partial(download_table, city.workspace, table, chosen, form, audience(), titles),
            file_name=f"{city.city.code}_{table.set_name}.{form}", mime=MIME[form],
            on_click="ignore", key=f"list_file_{form}", width="stretch", icon=":material/download:",
        )  # fmt: skip
