"""A QGIS project (.qgz) of the layers, for QGIS itself and for QGIS Server's WMS 1.3 and WFS 2.0."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from pyproj import CRS

from citymap import crs
from citymap.share.exchange.layer import Entry, Style
from citymap.share.servers.mapfile import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from citymap.model.legend import Legend
    from citymap.share.servers.layer_files import Cells, Shapes
    from citymap.workspace import City

NAME = "citymap.qgs"
VERSION = "3.22.0"  # of the project format; newer QGIS reads it
WHEN = (1980, 1, 1, 0, 0, 0)  # so that the same layers make the same file
_SYMBOL_TYPES = {"point": "marker", "line": "line", "polygon": "fill"}
_SYMBOL_LAYERS = {
    "point": ("SimpleMarker", {"name": "circle", "size": "2.5", "outline_color": "255,255,255,255"}),
    "line": ("SimpleLine", {"line_width": "0.5"}),
    "polygon": ("SimpleFill", {"outline_color": "120,120,120,255", "outline_width": "0.1", "style": "solid"}),
}  # fmt: skip


def qgz(city: City, shapes: Sequence[Shapes], cells: Sequence[Cells]) -> bytes:
    """The project as QGIS saves it: a ZIP with one .qgs."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(NAME, WHEN)
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, qgs(city, shapes, cells))
    return packed.getvalue()


def qgs(city: City, shapes: Sequence[Shapes], cells: Sequence[Cells]) -> str:
    """The project's XML; paths are relative to it."""
    listed: list[Shapes | Cells] = [*shapes, *cells]
    tree = "".join(
        f'<layer-tree-layer id={quoteattr(_id(one))} name={quoteattr(_name(one))} '
        f'source={quoteattr(_source(one))} providerKey="{_provider(one)}" checked="Qt::Checked" expanded="0"/>'
        for one in listed
    )  # fmt: skip
    order = "".join(f"<layer id={quoteattr(_id(one))}/>" for one in listed)
    maps = "".join([*map(_shapes, shapes), *map(_cells, cells)])
    return (
        "<!DOCTYPE qgis>\n"
        f'<qgis projectname={quoteattr(city.name)} version="{VERSION}">'
        f"<title>{escape(city.name)}</title>"
        f"<projectCrs>{_system(city.epsg)}</projectCrs>"
        f"<layer-tree-group>{tree}</layer-tree-group>"
        f"<layerorder>{order}</layerorder>"
        f"<projectlayers>{maps}</projectlayers>"
        f"<properties>{_properties(city, shapes, listed)}</properties></qgis>"
    )


def _id(one: Shapes | Cells) -> str:
    return "layer_" + one.id.replace("-", "_")


def _name(one: Shapes | Cells) -> str:
    return one.title


def _provider(one: Shapes | Cells) -> str:
    return "gdal" if one.file.endswith(".tif") else "ogr"


def _source(one: Shapes | Cells) -> str:
    return f"./{one.file}" + ("" if one.file.endswith(".tif") else f"|layername={one.id}")


def _system(epsg: int) -> str:
    known = CRS.from_epsg(epsg)
    geographic = "true" if known.is_geographic else "false"
    return (
        f"<spatialrefsys><wkt>{escape(known.to_wkt('WKT2_2019'))}</wkt><srid>{epsg}</srid>"
        f"<authid>EPSG:{epsg}</authid><description>{escape(known.name)}</description>"
        f"<geographicflag>{geographic}</geographicflag></spatialrefsys>"
    )


def _list(name: str, values: Iterable[object]) -> str:
    inner = "".join(f"<value>{escape(str(v))}</value>" for v in values)
    return f'<{name} type="QStringList">{inner}</{name}>'


def _properties(city: City, shapes: Sequence[Shapes], listed: Sequence[Shapes | Cells]) -> str:
    boxes = [one.extent for one in listed] or [city.bbox or (122.0, 20.0, 154.0, 46.0)]
    west, south = min(b[0] for b in boxes), min(b[1] for b in boxes)
    east, north = max(b[2] for b in boxes), max(b[3] for b in boxes)
    x, y = crs.project([west, west, east, east], [south, north, south, north], city.epsg)
    extent = [f"{v:.3f}" for v in (x.min(), y.min(), x.max(), y.max())]
    systems = [f"EPSG:{code}" for code in (city.epsg, 4326, crs.GEOGRAPHIC, 3857)]
    precision = "".join(f'<{_id(one)} type="int">8</{_id(one)}>' for one in shapes)
    title, owner = escape(city.name), escape(city.attribution or city.name)
    return (
        '<WMSServiceCapabilities type="bool">true</WMSServiceCapabilities>'
        f'<WMSServiceTitle type="QString">{title}</WMSServiceTitle>'
        f'<WMSContactOrganization type="QString">{owner}</WMSContactOrganization>'
        '<WMSRootName type="QString">citymap</WMSRootName>'
        + _list("WMSCrsList", systems)
        + _list("WMSExtent", extent)
        + '<WMSUseLayerIDs type="bool">false</WMSUseLayerIDs>'
        + _list("WFSLayers", [_id(one) for one in shapes])
        + f"<WFSLayersPrecision>{precision}</WFSLayersPrecision>"
        '<SpatialRefSys><ProjectionsEnabled type="int">1</ProjectionsEnabled></SpatialRefSys>'
        '<Paths><Absolute type="bool">false</Absolute></Paths>'
    )


def _layer(one: Shapes | Cells, epsg: int, attributes: str, inner: str) -> str:
    return (
        f'<maplayer {attributes} hasScaleBasedVisibilityFlag="0">'
        f"<id>{escape(_id(one))}</id><datasource>{escape(_source(one))}</datasource>"
        f"<shortname>{escape(one.id)}</shortname><title>{escape(one.title)}</title>"
        f"<layername>{escape(one.title)}</layername><srs>{_system(epsg)}</srs>"
        f"{inner}<blendMode>0</blendMode></maplayer>"
    )


def _shapes(one: Shapes) -> str:
    geometry = {"point": "Point", "line": "Line", "polygon": "Polygon"}[one.kind]
    inner = f'<provider encoding="UTF-8">ogr</provider>{_renderer(one)}'
    return _layer(one, crs.GEOGRAPHIC, f'type="vector" geometry="{geometry}"', inner)


def _renderer(one: Shapes) -> str:
    style = one.style
    if style is None:
        entry = Entry(None, one.title, PLAIN)
        return (
            '<renderer-v2 type="singleSymbol" enableorderby="0" forceraster="0">'
            f"<symbols>{_symbol('0', one.kind, entry)}</symbols></renderer-v2>"
        )
    categories = "".join(
        f'<category render="true" symbol="{i}" value={quoteattr("" if e.value is None else str(e.value))} '
        f"label={quoteattr(e.label)}/>"
        for i, e in enumerate(style.entries)
    )
    symbols = "".join(_symbol(str(i), one.kind, e) for i, e in enumerate(style.entries))
    return _categorised(style, categories, symbols)


def _categorised(style: Style, categories: str, symbols: str) -> str:
    return (
        f'<renderer-v2 type="categorizedSymbol" attr={quoteattr(style.column)} enableorderby="0" forceraster="0">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>"
    )


def _symbol(name: str, kind: str, entry: Entry) -> str:
    sort, options = _SYMBOL_LAYERS[kind]
    colour = ",".join(map(str, entry.colour)) + ",255"
    every = {**options, ("line_color" if kind == "line" else "color"): colour}
    written = "".join(
        f'<Option name="{k}" type="QString" value={quoteattr(v)}/>' for k, v in every.items()
    )
    older = "".join(f'<prop k="{k}" v={quoteattr(v)}/>' for k, v in every.items())
    return (
        f'<symbol alpha="1" clip_to_extent="1" force_rhr="0" name="{name}" type="{_SYMBOL_TYPES[kind]}">'
        f'<layer class="{sort}" enabled="1" locked="0" pass="0"><Option type="Map">{written}</Option>{older}</layer></symbol>'
    )


def _cells(one: Cells) -> str:
    inner = (
        '<provider>gdal</provider><pipe><provider><resampling enabled="false"/></provider>'
        f"{_ramp(one.legend)}<rasterresampler/></pipe>"
    )
    return _layer(one, one.epsg, 'type="raster"', inner)


def _ramp(legend: Legend) -> str:
    """Colours by classes: a value belongs to the first item that it does not pass.

    Dry cells (0) and cells without a value have no colour.
    """
    items = ['<item alpha="0" color="#ffffff" value="0" label="0"/>']
    for one in legend.classes:
        top = "inf" if one.maximum is None else repr(one.maximum - 1e-6)
        colour = "#{:02x}{:02x}{:02x}".format(*one.colour)
        items.append(
            f'<item alpha="255" color="{colour}" value="{top}" label={quoteattr(one.label["ja"])}/>'
        )
    return (
        '<rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" nodataColor="" '
        'classificationMin="0" classificationMax="inf"><rasterTransparency/><rastershader>'
        '<colorrampshader colorRampType="DISCRETE" classificationMode="1" clip="0">'
        f"{''.join(items)}</colorrampshader></rastershader></rasterrenderer>"
    )
