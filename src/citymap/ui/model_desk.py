"""モデル更新: what a new edition changes, on the map, in a table and as files, and the change itself."""

from __future__ import annotations

import tempfile
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydeck
import streamlit as st
from pydeck.types import String

from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.jobs import submit
from citymap.layers import deck_spec
from citymap.operations import editions, model_changes, report_buildings
from citymap.plateau.compare import KINDS, SHOWN
from citymap.store.accounts import Role
from citymap.ui import job_progress, who
from citymap.ui.map_frame import city_map
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas

    from citymap.operations.editions import Edition
    from citymap.ui.city import OpenCity
    from citymap.web.identity import Identity

MOST_DRAWN = 5000
MOST_LISTED = 10_000
MIME = {"gpkg": "application/geopackage+sqlite3", "csv": "text/csv", "parquet": "application/vnd.apache.parquet"}  # fmt: skip


def in_force(city: OpenCity) -> None:
    """Which edition is in force and since when."""
    now = editions.in_force(city.workspace)
    st.subheader(say("model.in_force", name=now.name))
    if now.since:
        at = job_progress.clock(datetime.fromisoformat(now.since))
        st.caption(say("model.since", at=at, by=now.by))


def choose(listed: Sequence[Edition]) -> Edition | None:
    """The edition to look at; None where there is none beside the one in force."""
    if not listed:
        st.info(say("model.none"), icon=":material/inbox:")
        return None
    names = [e.name for e in listed]
    name = st.selectbox(say("model.edition"), names, key="model_edition")
    return listed[names.index(name)]


def counts(one: Edition) -> None:
    """One number a kind of difference, with what it counts."""
    if one.changes is None:
        return
    colours = {kind: colour for kind, _, colour in model_changes.legend(language())}
    boxes = []
    for kind in KINDS:
        r, g, b = colours.get(kind, (214, 208, 198))
        name = escape(t(f"model.kind.{kind}", language()))
        boxes.append(
            f'<div><span style="color:rgb({r},{g},{b})">■</span> {name}<br>'
            f"<strong>{one.changes[kind]:,}</strong></div>"
        )
    st.html(f'<div class="cm-counted">{"".join(boxes)}</div>')
    st.caption(
        say(
            "model.totals", old=f"{one.changes['old_total']:,}", new=f"{one.changes['new_total']:,}",
            split=one.changes["split_from"], merged=one.changes["merged_into"],
        )
    )  # fmt: skip
    if one.changes["reused_ids"]:
        ids = one.changes["reused_ids"]
        st.warning(say("model.reused", count=len(ids), ids="、".join(ids[:10])), icon=":material/warning:")  # fmt: skip


def differences(city: OpenCity, one: Edition) -> None:
    """Filters, the map, the table, and the rows as files."""
    left, right = st.columns([3, 2])
    kinds = left.pills(
        say("model.kinds"), model_changes.LISTED, default=list(model_changes.LISTED),
        selection_mode="multi", format_func=lambda k: t(f"model.kind.{k}", language()), key="model_kinds",
    )  # fmt: skip
    text = right.text_input(say("model.search"), key="model_search")
    try:
        found = model_changes.rows(city.workspace, one.name, kinds)
    except CitymapError as error:
        st.error(error.message(language()), icon=":material/error:")
        return
    found = model_changes.searched(found, text)
    picked = st.session_state.get("model_rows", {}).get("selection", {}).get("rows", [])
    at = None
    if picked and picked[0] < len(found):
        point = found.geometry.iloc[picked[0]].representative_point()
        at = (point.x, point.y)
    city_map(
        key="model_map", root_path=city.root_path, own_panel=False, height="26rem",
        deck=deck_spec(city.manifest, mode="2d", opacity=0.35, extra_layers=_drawn(found), at=at),
    )  # fmt: skip
    if len(found) > MOST_DRAWN:
        st.caption(say("model.most", count=f"{MOST_DRAWN:,}"))
    st.dataframe(
        _shown(found.head(MOST_LISTED)), hide_index=True, placeholder="–", width="stretch", key="model_rows",
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    files = st.columns(3)
    for column, ending in zip(files, ("gpkg", "csv", "parquet"), strict=True):
        column.download_button(
            say(f"download.{ending}"), partial(_file, city, one.name, kinds, ending),
            file_name=f"{city.city.code}_model_{one.name}.{ending}", mime=MIME[ending],
            key=f"model_{ending}", on_click="ignore", width="stretch",
        )  # fmt: skip


def _drawn(found: geopandas.GeoDataFrame) -> list[pydeck.Layer]:
    data = []
    for kind, shape in zip(found["kind"].head(MOST_DRAWN), found.geometry, strict=False):
        for part in getattr(shape, "geoms", [shape]):
            ring = [[round(x, 7), round(y, 7)] for x, y in part.exterior.coords]
            colour = model_changes.COLOURS[kind]
            data.append({"ring": ring, "colour": [*colour, 200], "edge": [*colour, 255]})
    return [
        pydeck.Layer(
            "PolygonLayer", data, id="model-changes", get_polygon="ring", get_fill_color="colour",
            get_line_color="edge", line_width_units=String("pixels"), get_line_width=3, stroked=True,
            filled=True, parameters={"depthCompare": String("always")},  # they lie on the ground
        )
    ]  # fmt: skip


def _shown(found: geopandas.GeoDataFrame) -> list[dict[str, Any]]:
    lang, out = language(), []
    for row in found.drop(columns="geometry").to_dict("records"):
        values: dict[str, Any] = {
            say("model.col.kind"): t(f"model.kind.{row['kind']}", lang),
            say("model.col.old"): _text(row["old_building_id"]),
            say("model.col.new"): _text(row["new_building_id"]),
            say("model.col.rule"): t(f"model.rule.{row['rule']}", lang) if row["rule"] else "",
            say("model.col.columns"): row["columns"], say("model.col.overlap"): row["overlap"],
            say("model.col.address"): _text(row["address"]),
        }  # fmt: skip
        for name in SHOWN:
            title = say(f"model.col.{name}")
            values[f"{title} {say('model.col.before')}"] = row[f"old_{name}"]
            values[f"{title} {say('model.col.after')}"] = row[f"new_{name}"]
        out.append(values)
    return out


def _text(value: object) -> str:
    """A text, empty where it is missing."""
    return value if isinstance(value, str) else ""


def _file(city: OpenCity, name: str, kinds: Sequence[str], ending: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="citymap-model-") as folder:
        path = Path(folder) / f"changes.{ending}"
        model_changes.export(city.workspace, name, path, kinds)
        return path.read_bytes()


def change(city: OpenCity, one: Edition | None, me: Identity) -> None:
    """The buttons that start the change, the way back, and the import of an edition."""
    may = me.role.reaches(Role.PLANNER)
    if not may:
        st.info(say("model.planner"), icon=":material/lock:")
    if one is not None:
        st.markdown(say("model.what_changes", name=one.name))
        sure = st.checkbox(say("model.sure"), key="model_sure", disabled=not may)
        if st.button(
            say("model.activate", name=one.name), type="primary", key="model_activate",
            disabled=not (may and sure), icon=":material/published_with_changes:",
        ):  # fmt: skip
            _start("model_activate", {"name": one.name}, me)
    before = editions.in_force(city.workspace).previous
    if before is not None and st.button(
        say("model.rollback", name=before), key="model_rollback", disabled=not may,
        icon=":material/undo:",
    ):  # fmt: skip
        _start("model_rollback", {}, me)
    with st.form("model_add"):
        st.markdown(say("model.add_about"))
        name = st.text_input(say("model.add_name"), key="model_add_name")
        source = st.text_input(say("model.add_source"), key="model_add_source")
        if st.form_submit_button(say("model.add"), disabled=not may):
            if name and source:
                _start("model_add", {"name": name.strip(), "source": source.strip()}, me)
            else:
                st.warning(say("model.add_first"), icon=":material/edit:")
    if job := st.session_state.get("model_job"):
        job_progress.show(job)


def _start(kind: str, params: dict[str, Any], me: Identity) -> None:
    try:
        job = submit(who.store(), kind, params, by=me.name, role=me.role)
    except CitymapError as error:
        st.error(error.message(language()), icon=":material/error:")
        return
    st.session_state["model_job"] = job.id


def reports(city: OpenCity) -> None:
    """How reports were carried over at the last change, and those whose building is gone."""
    rows = list(report_buildings.read(city.workspace).values())
    if not rows:
        st.info(say("model.no_reports"), icon=":material/inbox:")
        return
    lang = language()
    counted, _ = report_buildings.summary(rows)
    st.markdown("　".join(f"{t(f'model.rule.{r}', lang)}: {n:,}" for r, n in counted.items()))
    lost = model_changes.lost_reports(city.workspace)
    if lost:
        numbers = "、".join(str(row["number"]) for row in lost)
        st.warning(t("model.lost", lang, numbers=numbers), icon=":material/domain_disabled:")
    st.dataframe(
        [
            {say("model.col.report"): row["number"], say("model.col.rule"): t(f"model.rule.{row['rule']}", lang),
             say("model.col.old"): row["from_building_id"], say("model.col.new"): row["building_id"],
             say("model.col.overlap"): row["overlap"]}
            for row in sorted(rows, key=lambda r: (r["rule"] != report_buildings.LOST, r["number"]))
        ],
        hide_index=True, placeholder="–", width="stretch",
    )  # fmt: skip
