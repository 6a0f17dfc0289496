"""GeoPackage, with the layer's colours as its default style in QGIS."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from citymap import crs
from citymap.share.exchange.format import FORMATS, Format, Written, frame

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.share.exchange.layer import Outgoing, Style

_SYMBOL = {
    "fill": '<layer class="SimpleFill"><Option type="Map"><Option name="color" type="QString" value="{rgb},255"/>'
    '<Option name="outline_color" type="QString" value="120,120,120,255"/>'
    '<Option name="outline_width" type="QString" value="0.1"/></Option></layer>',
    "marker": '<layer class="SimpleMarker"><Option type="Map"><Option name="color" type="QString" value="{rgb},255"/>'
    '<Option name="size" type="QString" value="2.5"/></Option></layer>',
}  # fmt: skip


def qml(style: Style, symbol: str) -> str:
    """A QGIS style of categories."""
    categories = "".join(
        f'<category render="true" symbol="{i}" value={quoteattr(str(e.value))} label={quoteattr(e.label)}/>'
        for i, e in enumerate(style.entries)
    )
    symbols = "".join(
        f'<symbol alpha="1" name="{i}" type="{symbol}">'
        + _SYMBOL[symbol].format(rgb=",".join(map(str, e.colour)))
        + "</symbol>"
        for i, e in enumerate(style.entries)
    )
    return (
        "<!DOCTYPE qgis>"
        '<qgis version="3.22.0" styleCategories="Symbology">'
        f'<renderer-v2 type="categorizedSymbol" attr={quoteattr(style.column)} enableorderby="0" forceraster="0">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )


_STYLES = """CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""


def _write(layer: Outgoing, path: Path, epsg: int) -> Written:
    table = frame(layer, epsg)
    table.to_file(path, layer=layer.id, driver="GPKG", engine="pyogrio")
    if layer.style is not None and layer.style.column in table.columns:
        kind = "marker" if (table.geometry.geom_type == "Point").any() else "fill"
        with closing(sqlite3.connect(path)) as db:
            db.execute(_STYLES)
            db.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
                " styleName, styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, 'geom', ?, ?, '', 1, ?, '')",
                (layer.id, layer.id[:30], qml(layer.style, kind), layer.title.get("ja", "")),
            )  # fmt: skip
            db.execute(
                "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id)"
                " VALUES ('layer_styles', 'attributes', 'layer_styles', '', strftime('%Y-%m-%dT%H:%M:%fZ','now'), 0)"
            )
            db.commit()
    return Written((path,))


FORMATS.register("gpkg")(Format(".gpkg", crs.GEOGRAPHIC, False, _write))
