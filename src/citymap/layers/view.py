"""The view as pydeck describes it; the renderer reads the JSON.

pydeck turns a bare string into an expression (`@@=…`) that deck.gl would evaluate, so every text
goes out as `String`, which stays a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pydeck
from pydeck.types import String

from citymap.errors import BadInputError
from citymap.layers.catalogue import Audience, present

if TYPE_CHECKING:
    from citymap.workspace import Workspace

MANIFEST_URL = "../tiles/manifest.json"  # from /map/, under any path prefix and on a static site
TILT_DEG = 55.0
BEARING_DEG = -18.0
VIEW_WIDTH_PX = 1000.0
CLOSE_ZOOM = 17.0


def read_manifest(workspace: Workspace) -> dict[str, Any]:
    """`tiles/manifest.json`.

    Raises:
        BadInputError: the tiles are not built, or the manifest cannot be read.
    """
    path = workspace.tiles / "manifest.json"
    if not path.is_file():
        raise BadInputError("no_tiles", path=workspace.root)
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as e:
        raise BadInputError("bad_manifest", place=str(path), reason=e) from e
    return manifest


def fitting_zoom(bbox: Sequence[float], *, width_px: float = VIEW_WIDTH_PX) -> float:
    """The Web Mercator zoom at which `bbox` (west, south, east, north) is `width_px` wide."""
    span = max(bbox[2] - bbox[0], (bbox[3] - bbox[1]) / math.cos(math.radians(bbox[1])), 1e-6)
    return min(max(math.log2(width_px / 512 * 360 / span), 9.0), 16.5)


def _as_text(value: object) -> object:
    if isinstance(value, str):
        return String(value)
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_as_text(item) for item in value]
    return value


def deck_spec(
    manifest: Mapping[str, Any],
    *,
    colour_by: str | None = None,
    rules: Sequence[Mapping[str, object]] = (),
    mode: str = "3d",
    opacity: float = 1.0,
    extra_layers: Sequence[pydeck.Layer] = (),
    at: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """The city on its base map as pydeck JSON.

    `colour_by` and `rules` (`{id, in}` or `{id, min, max}`) name attributes of the manifest;
    `extra_layers` are drawn above. The camera looks at `at` (lon, lat) closely, else over the city
    from its middle, tilted, never at sea.
    """
    lon, lat = at or manifest["center"]
    zoom = CLOSE_ZOOM if at else round(fitting_zoom(manifest["bbox"]), 2)
    layers = [
        pydeck.Layer("CityBaseLayer", None, id="base", manifest=String(MANIFEST_URL)),
        pydeck.Layer(
            "CityBuildingsLayer", None, id="buildings", pickable=True, opacity=opacity,
            manifest=String(MANIFEST_URL), mode=String(mode), filter=_as_text(list(rules)),
            colour_by=None if colour_by is None else String(colour_by),
        ),
        *extra_layers,
    ]  # fmt: skip
    view = pydeck.ViewState(
        longitude=lon, latitude=lat, zoom=zoom,
        pitch=TILT_DEG if mode == "3d" else 0.0, bearing=BEARING_DEG if mode == "3d" else 0.0,
        max_zoom=20, max_pitch=75,
    )  # fmt: skip
    deck = pydeck.Deck(
        layers=layers,
        initial_view_state=view,
        map_style=None,
        map_provider=None,
        views=[pydeck.View("MapView", controller=True)],
    )
    spec: dict[str, Any] = json.loads(deck.to_json())
    return spec


def default_view(workspace: Workspace, *, audience: Audience = "public") -> dict[str, Any]:
    """What everyone sees first, with the layers of the catalogue that are there as `metadata`.

    Raises:
        BadInputError: the tiles are not built.
    """
    spec = deck_spec(read_manifest(workspace))
    listed = present(workspace, audience=audience)
    spec["metadata"] = {"layers": [layer.model_dump(mode="json") for layer in listed]}
    return spec
