"""CityGML text: the frame of a file, and the one way in which coordinates and ids are written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from citymap import crs
from citymap.demo.plan import EPSG, Array

CREATED = "2025-03-21"
_SPACES = {
    "app": "http://www.opengis.net/citygml/appearance/2.0",
    "bldg": "http://www.opengis.net/citygml/building/2.0",
    "brid": "http://www.opengis.net/citygml/bridge/2.0",
    "core": "http://www.opengis.net/citygml/2.0",
    "dem": "http://www.opengis.net/citygml/relief/2.0",
    "gen": "http://www.opengis.net/citygml/generics/2.0",
    "gml": "http://www.opengis.net/gml",
    "luse": "http://www.opengis.net/citygml/landuse/2.0",
    "tran": "http://www.opengis.net/citygml/transportation/2.0",
    "urf": "https://www.geospatial.jp/iur/urf/3.1",
    "uro": "https://www.geospatial.jp/iur/uro/3.1",
    "wtr": "http://www.opengis.net/citygml/waterbody/2.0",
    "xAL": "urn:oasis:names:tc:ciq:xsdschema:xAL:2.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
SRS = "http://www.opengis.net/def/crs/EPSG/0/6697"


def uid(prefix: str, seed: int, *parts: object) -> str:
    """A gml:id that is always the same for the same thing (UUID form)."""
    h = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=16).hexdigest()
    return f"{prefix}_{h[:8]}-{h[8:12]}-4{h[13:16]}-8{h[17:20]}-{h[20:]}"


def lat_lon_text(xy: Array) -> list[str]:
    """`lat lon` of points of the zone (n, 2): 9 decimals, a tenth of a millimetre."""
    flat = np.asarray(xy, float).reshape(-1, 2)
    lon, lat = crs.unproject(flat[:, 0], flat[:, 1], EPSG)
    return [f"{a:.9f} {b:.9f}" for a, b in zip(lat.tolist(), lon.tolist(), strict=True)]


def ring(points: Iterable[str]) -> str:
    """A closed gml:LinearRing of `lat lon z` texts (the first point need not be repeated)."""
    p = list(points)
    if p[0] != p[-1]:
        p.append(p[0])
    return f"<gml:LinearRing><gml:posList>{' '.join(p)}</gml:posList></gml:LinearRing>"


def polygon(outer: Iterable[str], holes: Iterable[Iterable[str]] = (), gml_id: str = "") -> str:
    """A gml:Polygon."""
    mark = f' gml:id="{gml_id}"' if gml_id else ""
    inner = "".join(f"<gml:interior>{ring(h)}</gml:interior>" for h in holes)
    return f"<gml:Polygon{mark}><gml:exterior>{ring(outer)}</gml:exterior>{inner}</gml:Polygon>"


def multi_surface(polygons: Iterable[str]) -> str:
    """A gml:MultiSurface, one member a line."""
    body = "".join(f"<gml:surfaceMember>{p}</gml:surfaceMember>\n" for p in polygons)
    return f"<gml:MultiSurface>\n{body}</gml:MultiSurface>"


def code(element: str, codelist: str, value: str, *, up: int = 2) -> str:
    """An element whose value is an entry of a code list."""
    return f'<{element} codeSpace="{"../" * up}codelists/{codelist}.xml">{value}</{element}>'


@contextmanager
def city_model(path: Path, xy: Array, z: tuple[float, float]) -> Iterator[TextIO]:
    """Open a CityGML file whose envelope holds `xy` (n, 2, zone); members are written inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = np.asarray(xy, float).reshape(-1, 2)
    lon, lat = crs.unproject(flat[:, 0], flat[:, 1], EPSG)
    spaces = " ".join(f'xmlns:{k}="{v}"' for k, v in _SPACES.items())
    with path.open("w", encoding="utf-8", newline="\n") as f:
        f.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        f.write(f"<core:CityModel {spaces}>\n<gml:boundedBy>\n")
        f.write(f'<gml:Envelope srsName="{SRS}" srsDimension="3">\n')
        f.write(f"<gml:lowerCorner>{lat.min():.9f} {lon.min():.9f} {z[0]:.3f}</gml:lowerCorner>\n")
        f.write(f"<gml:upperCorner>{lat.max():.9f} {lon.max():.9f} {z[1]:.3f}</gml:upperCorner>\n")
        f.write("</gml:Envelope>\n</gml:boundedBy>\n")
        yield f
        f.write("</core:CityModel>\n")
