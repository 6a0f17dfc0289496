"""The map as a Streamlit component: an iframe of the renderer that no rerun recreates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import streamlit as st

from citymap.assess.selection import Bounds
from citymap.ui.speech import language, say

CSS = """
.frame { position: relative; width: 100%; height: calc(100dvh - 3.75rem - var(--cm-order, 0rem)); min-height: 20rem;
  background: #e6e9ec; }
"""


@dataclass(frozen=True, slots=True)
class MapEvents:
    """What the map told us: pressed in this run (on which building, if any), the view as it is."""

    pressed: bool
    gml_id: str | None
    bounds: Bounds | None
    error: str | None
    properties: Mapping[str, Any]  # of the pressed thing of a further layer
    lon_lat: tuple[float, float] | None = None  # of the press
    places: tuple[
        tuple[float, float], ...
    ] = ()  # lon, lat of the presses since the last run, in turn


@cache
def _component() -> Any:
    script = files("citymap.ui").joinpath("map_frame.js").read_text(encoding="utf-8")
    return st.components.v2.component(
        "citymap_map", html='<div class="frame"></div>', css=CSS, js=script
    )


def city_map(
    *,
    key: str,
    root_path: str = "",
    own_panel: bool,
    deck: Mapping[str, Any] | None = None,
    colour_by: str | None = None,
    rules: Sequence[Mapping[str, Any]] = (),
    highlight: str | None = None,
    fly: bool = False,
    height: str | None = None,
    people: Mapping[str, Any] | None = None,
    own: Mapping[str, Any] | None = None,
) -> MapEvents:
    """Draw the map and return what happened on it.

    `own_panel` shows the renderer's own search and legend; without it the page has its own and
    steers by `colour_by` and `rules` (see `citymap.assess.selection.Rule`). `height` is a CSS
    length; without it the map fills the page. `people` names the files of an evacuation to play:
    addresses `people` and `water` (or None), and whether there is a `flood`. `own` is a column of
    the page's own to colour by: `attribute` as in the manifest (dtype uint8, its url not used), and
    `data`, base64, one byte a row of the buildings.
    """
    data: dict[str, Any] = {
        "url": f"{root_path.rstrip('/')}/map/?embed=1&panel={int(own_panel)}&lang={language()}",
        "title": say("map"),
        "lang": {"lang": language()},
        "panel": {"visible": own_panel},
        "height": height,
    }
    if not own_panel:
        data |= {
            "deck": None if deck is None else {"json": dict(deck)},
            "colour": {"by": colour_by},
            "filter": {"rules": list(rules)},
            "highlight": {"gml_id": highlight, "fly": fly},
            "own": None if own is None else dict(own),
            "people": None if people is None else dict(people),
        }
    result = _component()(
        key=key,
        data=data,
        default={"view": None, "error": None},
        on_view_change=lambda: None,
        on_error_change=lambda: None,
        on_click_change=lambda: None,
        height="content",
    )
    click = result.get("click") or {}
    view = result.get("view") or {}
    bounds = view.get("bounds")
    west_south_east_north = tuple(float(b) for b in bounds) if bounds and len(bounds) == 4 else None
    return MapEvents(
        pressed=bool(click),
        gml_id=click.get("gml_id"),
        bounds=west_south_east_north,  # type: ignore[arg-type]
        error=result.get("error"),
        properties=click.get("properties") or {},
        lon_lat=(float(click["lon"]), float(click["lat"])) if "lon" in click else None,
        places=_unseen(key, click),
    )


def _unseen(key: str, click: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """The places pressed since this session last looked: quick presses come together."""
    if "lon" not in click:
        return ()
    places = click.get("places") or [(click["lon"], click["lat"])]
    since, count = click.get("since"), int(click.get("count", 0))
    of_frame, seen = st.session_state.get(f"{key}_seen", (None, 0))
    st.session_state[f"{key}_seen"] = (since, count)
    new = len(places) if since is None or since != of_frame else min(count - seen, len(places))
    return tuple((float(lon), float(lat)) for lon, lat in places[len(places) - max(new, 0) :])
