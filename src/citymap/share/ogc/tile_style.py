"""TileJSON of our vector tiles, and a plain style of them for programs that have none of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from citymap.share.ogc.tiles import SET

if TYPE_CHECKING:
    from citymap.share.ogc.documents import Json, Speaker

_TEXT, _NUMBER, _FLAG = "String", "Number", "Boolean"
_AREA = {"kind": _TEXT, "kind_code": _TEXT, "name": _TEXT}
FIELDS: dict[str, Json] = {  # what `citymap.tiles.vector` writes
    "landuse": _AREA, "green": _AREA, "water": _AREA, "rail": _AREA,
    "district": {"district_id": _TEXT, "name": _TEXT},
    "road": {"kind": _TEXT, "name": _TEXT, "width": _NUMBER, "bridge": _FLAG, "tunnel": _FLAG, "surface": _FLAG},
    "buildings": {"row": _NUMBER, "h": _NUMBER, "g": _NUMBER},
    "place_label": {"name": _TEXT, "kind": _TEXT},
}  # fmt: skip
_FILLS = {
    "landuse": "#f1efe9",
    "green": "#dfe8d3",
    "water": "#cfdde6",
}  # pale: colour is for hazards
_SOURCE = "citymap"


def _tiles(speaker: Speaker) -> str:
    return f"{speaker.base}/tiles/{SET}/{{z}}/{{y}}/{{x}}"


def tilejson(speaker: Speaker, about: dict[str, Any]) -> Json:
    """TileJSON 3.0 at an address that stays, whatever version of the tiles is in force."""
    vector, box = about["vector"], about["bbox"]
    return {
        "tilejson": "3.0.0", "name": speaker.name, "scheme": "xyz", "tiles": [_tiles(speaker)],
        "minzoom": vector["minzoom"], "maxzoom": vector["maxzoom"], "bounds": list(box),
        "center": [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 14],
        "attribution": about.get("attribution") or speaker.city.attribution or speaker.name,
        "vector_layers": [{"id": n, "fields": FIELDS.get(n, {})} for n in vector["layers"]],
    }  # fmt: skip


def style(speaker: Speaker, about: dict[str, Any]) -> Json:
    """A style of the MapLibre specification: the pale base map and warm grey buildings, no text."""
    vector = about["vector"]
    there = set(vector["layers"])
    layers: list[Json] = [
        {"id": "paper", "type": "background", "paint": {"background-color": "#fbfaf7"}}
    ]

    def layer(name: str, kind: str, paint: Json, **more: Any) -> None:
        if name in there:
            layers.append(
                {"id": f"{name}-{kind}", "type": kind, "source": _SOURCE, "source-layer": name,
                 "paint": paint, **more}
            )  # fmt: skip

    for name, colour in _FILLS.items():
        layer(name, "fill", {"fill-color": colour})
    layer("district", "line", {"line-color": "#b8b2a6", "line-width": 0.6})
    layer("road", "line", {"line-color": "#d9d5cb", "line-width": 1.5})
    layer("rail", "line", {"line-color": "#a39d92", "line-width": 1})
    layer("buildings", "fill", {"fill-color": "#cfc6b8", "fill-outline-color": "#a89f90"})
    box = about["bbox"]
    return {
        "version": 8, "name": speaker.name,
        "center": [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], "zoom": 14,
        "sources": {_SOURCE: {
            "type": "vector", "tiles": [_tiles(speaker)], "bounds": list(box),
            "minzoom": vector["minzoom"], "maxzoom": vector["maxzoom"],
            "attribution": about.get("attribution") or speaker.name,
        }},
        "layers": layers,
    }  # fmt: skip
