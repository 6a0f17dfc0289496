"""The layers page: what is there, who sees it, what fails; adding a layer of another server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from pydantic import ValidationError

from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.layers import remote, remote_tileset
from citymap.layers.catalogue import Layer
from citymap.layers.definition_file import add, new_id, remove
from citymap.layers.overlays import Overlay, overlays
from citymap.settings import Settings
from citymap.share.gate import AUDIENCES
from citymap.store import audit
from citymap.ui import who
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from citymap.web.identity import Identity
    from citymap.workspace import Workspace

SERVICES = ("wms", "wmts", "wfs", "oapif", "xyz", "tileset")
STAFF_ONLY = ("staff", "planner", "admin")
SHOWN = 200


def _allowed() -> remote.Allowed:
    settings = Settings()
    return remote.Allowed(settings.remote_hosts, settings.remote_private)


def _error(error: CitymapError) -> None:
    said = error.as_dict(language())
    st.error(f"{said['message']}", icon=":material/error:")
    if said["remedy"]:
        st.info(said["remedy"], icon=":material/build:")


def listed(workspace: Workspace, me: Identity) -> None:
    """Every overlay this person may see, in drawing order, the topmost last."""
    found, problems = overlays(workspace, audience=me.role.value)
    for problem in problems:
        _error(problem)
    rows = [_row(one) for one in found]
    st.dataframe(rows, width="stretch", hide_index=True, placeholder="–")
    mine = [one.layer for one in found if one.layer.id.startswith("own-")]
    if not mine:
        return
    chosen = st.selectbox(
        say("layers.choose"), mine, format_func=lambda x: f"{x.title.in_(language())}（{x.id}）",
        key="layer_chosen",
    )  # fmt: skip
    check, refresh, away = st.columns(3)
    is_remote = chosen.source.remote
    if check.button(say("layers.test"), key="layer_test", disabled=not is_remote, width="stretch"):
        _test(workspace, chosen)
    if refresh.button(
        say("layers.refresh"), key="layer_refresh", disabled=not is_remote, width="stretch"
    ):
        remote.forget(workspace, chosen)
        st.toast(say("layers.refreshed"))
    if away.button(say("layers.remove"), key="layer_remove", width="stretch"):
        remove(workspace, chosen.id)
        _note(me, "layer.remove", chosen.id)
        st.rerun()


def _row(one: Overlay) -> dict[str, str]:
    layer, lang = one.layer, language()
    public = say("layers.public") if "public" in layer.audience else say("layers.staff")
    group = layer.group.in_(lang) if layer.group else ""
    return {
        say("layers.group"): group, say("layers.title"): layer.title.in_(lang),
        say("layers.kind"): t(f"ui.layers.kinds.{layer.source.kind}", lang),
        say("layers.audience"): public, say("layers.vintage"): layer.vintage,
        say("layers.attribution"): layer.attribution.in_(lang), "ID": layer.id,
    }  # fmt: skip


def _test(workspace: Workspace, layer: Layer) -> None:
    """Ask the other server for something of this city and show what came."""
    try:
        if layer.source.kind in {"wfs", "oapif"}:
            kept = remote.table(workspace, layer, _allowed())
            said = say("layers.tested", age=f"{kept.age_h:.1f}")
        elif layer.source.kind == "tileset":
            _, _, kept = remote_tileset.file(
                workspace, layer, _allowed(), remote_tileset.name_of(layer)
            )
            said = say("layers.tested", age=f"{kept.age_h:.1f}")
        else:
            zoom, x, y = _middle(workspace)
            body, _, kept = remote.tile(workspace, layer, _allowed(), zoom, x, y)
            st.image(body)
            said = say("layers.tested", age=f"{kept.age_h:.1f}")
    except CitymapError as error:
        _error(error)
        return
    if kept.error is not None:
        _error(kept.error)
    st.success(said, icon=":material/check:")


def _middle(workspace: Workspace) -> tuple[int, int, int]:
    box = workspace.city().bbox or (139.0, 35.0, 140.0, 36.0)
    return 14, *remote.tile_of((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 14)


def adding(workspace: Workspace, me: Identity) -> None:
    """Kind and address in, the layers of that service out; the one chosen becomes a definition."""
    st.caption(
        say("layers.hosts", hosts="、".join(Settings().remote_hosts) or say("layers.no_hosts"))
    )
    kind = st.selectbox(
        say("layers.kind"), SERVICES, format_func=lambda k: t(f"ui.layers.kinds.{k}", language()),
        key="remote_kind",
    )  # fmt: skip
    url = st.text_input(say("layers.url"), key="remote_url", max_chars=1000).strip()
    if kind == "xyz":
        offers = [remote.Offered("xyz", "", {"kind": "xyz", "url": url})] if url else []
    else:
        if st.button(say("layers.ask"), key="remote_ask", disabled=not url):
            try:
                with st.spinner(say("layers.asking")):
                    st.session_state["offers"] = (kind, url, _offered(kind, url))
            except CitymapError as error:
                st.session_state.pop("offers", None)
                _error(error)
        asked = st.session_state.get("offers")
        offers = asked[2] if asked and asked[:2] == (kind, url) else []
    if offers:
        _definition(workspace, me, offers)


def _offered(kind: str, url: str) -> list[remote.Offered]:
    if kind == "tileset":
        return remote_tileset.offered(url, _allowed())
    return remote.offered(url, kind, _allowed())


def _definition(workspace: Workspace, me: Identity, offers: list[remote.Offered]) -> None:
    st.write(say("layers.found", n=len(offers)))
    offer = st.selectbox(
        say("layers.which"), offers[:SHOWN], key="layer_offer",
        format_func=lambda o: f"{o.title}（{o.name}）" if o.title else o.name,
    )  # fmt: skip
    with st.form("layer_definition"):
        title = st.text_input(say("layers.title"), value=offer.title, max_chars=100)
        group = st.text_input(say("layers.group"), max_chars=100)
        attribution = st.text_input(
            say("layers.attribution"), value=offer.attribution, max_chars=200
        )
        licence = st.text_input(say("layers.licence"), max_chars=100)
        public = st.checkbox(say("layers.make_public"), value=False)
        if not st.form_submit_button(say("layers.add"), type="primary"):
            return
    try:
        layer = Layer.model_validate({
            "id": new_id(offer.title or title, workspace), "order": 30, "title": {"ja": title or offer.name},
            "group": {"ja": group} if group else None, "source": offer.source,
            "audience": AUDIENCES if public else STAFF_ONLY, "attribution": {"ja": attribution},
            "licence": licence, "vintage": "", "visible": False, "opacity": 0.8,
        })  # fmt: skip
        add(workspace, layer)
    except ValidationError:
        st.error(say("layers.bad_url"), icon=":material/error:")
        return
    except CitymapError as error:
        _error(error)
        return
    _note(me, "layer.add", layer.id)
    _test(workspace, layer)
    st.success(say("layers.added", id=layer.id), icon=":material/check:")


def _note(me: Identity, action: str, layer_id: str) -> None:
    with who.store().write() as connection:
        audit.record(connection, actor=me.name, action=action, subject=layer_id)
