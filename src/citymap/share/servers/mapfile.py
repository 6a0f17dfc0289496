"""A MapServer mapfile: every layer with its colours by WMS 1.3 and WFS 2.0."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from citymap import crs
from citymap.share.servers.layer_files import JAPAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from citymap.model.legend import Legend
    from citymap.share.exchange.layer import Entry, Style
    from citymap.share.servers.layer_files import Box, Cells, Shapes
    from citymap.workspace import City

PLAIN = (166, 160, 152)  # warm grey: a colour without a meaning
_TYPES = {"point": "POINT", "line": "LINE", "polygon": "POLYGON"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def text(value: object) -> str:
    """A string of a mapfile: quotes are escaped, lines joined."""
    plain = _CONTROL.sub(" ", str(value)).replace("\\", "／").replace('"', "”")
    return f'"{plain}"'


def _box(box: Box) -> str:
    return " ".join(f"{v:.7f}" for v in box)


def mapfile(city: City, shapes: Iterable[Shapes], cells: Iterable[Cells], *, url: str) -> str:
    """The whole mapfile; paths are relative to it. `url` is where the server will answer."""
    systems = f"EPSG:6668 EPSG:4326 EPSG:3857 EPSG:{city.epsg} CRS:84"
    layers = "".join([*(_cells(c) for c in cells), *(_shapes(s) for s in shapes)])
    return f"""# {_CONTROL.sub(" ", city.name)}: WMS 1.3 / WFS 2.0. Written by `citymap share qgis`; it is written anew each time.
MAP
  NAME "citymap"
  STATUS ON
  # Wider than any layer: MapServer's WFS silently leaves out what lies outside of it.
  EXTENT {_box(JAPAN)}
  SIZE 800 600
  MAXSIZE 8192
  UNITS DD
  IMAGECOLOR 255 255 255
  PROJECTION "epsg:{crs.GEOGRAPHIC}" END
  CONFIG "PROJ_ENABLE_NETWORK" "OFF"
  OUTPUTFORMAT
    NAME "png" DRIVER AGG/PNG MIMETYPE "image/png" IMAGEMODE RGBA EXTENSION "png" TRANSPARENT ON
  END
  SYMBOL NAME "citymap-dot" TYPE ELLIPSE POINTS 1 1 END FILLED TRUE END
  WEB
    METADATA
      "ows_title" {text(city.name)}
      "ows_abstract" {text(city.attribution or city.name)}
      "ows_onlineresource" {text(url)}
      "ows_srs" "{systems}"
      "ows_enable_request" "*"
      "ows_attribution_title" {text(city.attribution or city.name)}
      "wms_feature_info_mime_type" "text/plain"
      "wfs_encoding" "UTF-8"
    END
  END
{layers}END
"""


def _rgb(colour: tuple[int, int, int]) -> str:
    return " ".join(map(str, colour))


def _symbol(kind: str, colour: tuple[int, int, int]) -> str:
    if kind == "line":
        return f"STYLE COLOR {_rgb(colour)} WIDTH 2 END"
    if kind == "point":
        return (
            f'STYLE SYMBOL "citymap-dot" COLOR {_rgb(colour)} OUTLINECOLOR 255 255 255 SIZE 10 END'
        )
    return f"STYLE COLOR {_rgb(colour)} OUTLINECOLOR 120 120 120 WIDTH 0.4 END"


def _classes(style: Style | None, kind: str, title: str) -> str:
    if style is None:
        return f"    CLASS NAME {text(title)} {_symbol(kind, PLAIN)} END\n"
    return "".join(_class(entry, kind) for entry in style.entries)


def _class(entry: Entry, kind: str) -> str:
    """One class; without a value it takes what the classes before it left."""
    expression = "" if entry.value is None else f"EXPRESSION {text(entry.value)} "
    return f"    CLASS NAME {text(entry.label)} {expression}{_symbol(kind, entry.colour)} END\n"


def _shapes(layer: Shapes) -> str:
    item = f'    CLASSITEM "{layer.style.column}"\n' if layer.style is not None else ""
    columns = ",".join(layer.columns)
    return f"""  LAYER
    NAME "{layer.id}"
    TYPE {_TYPES[layer.kind]}
    STATUS ON
    CONNECTIONTYPE OGR
    CONNECTION "{layer.file}"
    DATA "{layer.id}"
    ENCODING "UTF-8"
    EXTENT {_box(layer.extent)}
    PROJECTION "epsg:{crs.GEOGRAPHIC}" END
    TEMPLATE "none"
    METADATA
      "ows_title" {text(layer.title)}
      "ows_extent" "{_box(layer.extent)}"
      "gml_include_items" "{columns}"
      "wms_include_items" "{columns}"
      "ows_attribution_title" {text(layer.title)}
      "gml_types" "auto"
    END
{item}{_classes(layer.style, layer.kind, layer.title)}  END
"""


def _ranges(legend: Legend) -> str:
    """Classes of a grid; dry and unknown cells are in none, so they stay transparent."""
    parts = []
    for one in legend.classes:
        low = f"[pixel] > {one.minimum:g}" if one.minimum == 0 else f"[pixel] >= {one.minimum:g}"
        high = "" if one.maximum is None else f" AND [pixel] < {one.maximum:g}"
        parts.append(
            f"    CLASS NAME {text(one.label['ja'])} EXPRESSION ({low}{high}) STYLE COLOR {_rgb(one.colour)} END END\n"
        )
    return "".join(parts)


def _cells(layer: Cells) -> str:
    return f"""  LAYER
    NAME "{layer.id}"
    TYPE RASTER
    STATUS ON
    DATA "{layer.file}"
    PROJECTION "epsg:{layer.epsg}" END
    TEMPLATE "none"
    METADATA
      "wms_title" {text(layer.title)}
      "wms_enable_request" "*"
    END
{_ranges(layer.legend)}  END
"""
