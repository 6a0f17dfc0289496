"""GeoJSON (RFC 7946), FlatGeobuf and KML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap import crs
from citymap.share.exchange.format import FORMATS, WGS84, Format, Written, frame

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.share.exchange.layer import Outgoing


def _geojson(layer: Outgoing, path: Path, epsg: int) -> Written:
    frame(layer, epsg).to_file(
        path, driver="GeoJSON", engine="pyogrio", RFC7946="YES", WRITE_NAME="NO"
    )
    return Written((path,))


def _flatgeobuf(layer: Outgoing, path: Path, epsg: int) -> Written:
    frame(layer, epsg).to_file(path, driver="FlatGeobuf", engine="pyogrio", layer=layer.id)
    return Written((path,))


def _kml(layer: Outgoing, path: Path, epsg: int) -> Written:
    table = frame(layer, epsg)
    title = next((n for n in ("name", "label", "building_id") if n in table.columns), None)
    if title is not None and title != "name":
        table["name"] = table[title]
    table.to_file(path, driver="LIBKML", engine="pyogrio", layer=layer.id)
    return Written((path,))


FORMATS.register("geojson")(Format(".geojson", WGS84, True, _geojson))
FORMATS.register("fgb")(Format(".fgb", crs.GEOGRAPHIC, False, _flatgeobuf))
FORMATS.register("kml")(Format(".kml", WGS84, True, _kml))
