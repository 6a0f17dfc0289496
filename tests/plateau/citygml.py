"""Small CityGML documents for the reader's tests."""

from __future__ import annotations

ROOT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<core:CityModel xmlns:core="http://www.opengis.net/citygml/2.0" '
    'xmlns:bldg="http://www.opengis.net/citygml/building/2.0" xmlns:gml="http://www.opengis.net/gml" '
    'xmlns:gen="http://www.opengis.net/citygml/generics/2.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xAL="urn:oasis:names:tc:ciq:xsdschema:xAL:2.0" '
    'xmlns:uro="https://www.geospatial.jp/iur/uro/3.1">\n'
    '<gml:boundedBy><gml:Envelope srsName="http://www.opengis.net/def/crs/EPSG/0/6697" srsDimension="3">'
    "<gml:lowerCorner>36.5 139.8 0</gml:lowerCorner><gml:upperCorner>36.6 139.9 99</gml:upperCorner>"
    "</gml:Envelope></gml:boundedBy>\n"
)
END = "</core:CityModel>\n"


def ring(points: list[tuple[float, float, float]]) -> str:
    text = " ".join(f"{lat} {lon} {h}" for lon, lat, h in points)
    return f"<gml:LinearRing><gml:posList>{text}</gml:posList></gml:LinearRing>"


def polygon(
    points: list[tuple[float, float, float]],
    *holes: list[tuple[float, float, float]],
    gml_id: str = "",
) -> str:
    attribute = f' gml:id="{gml_id}"' if gml_id else ""
    inner = "".join(f"<gml:interior>{ring(h)}</gml:interior>" for h in holes)
    return (
        f"<gml:Polygon{attribute}><gml:exterior>{ring(points)}</gml:exterior>{inner}</gml:Polygon>"
    )


def member(surface: str) -> str:
    return f"<gml:surfaceMember>{surface}</gml:surfaceMember>"


def square(
    lon: float, lat: float, h: float, size: float = 0.0001
) -> list[tuple[float, float, float]]:
    return [
        (lon, lat, h), (lon + size, lat, h), (lon + size, lat + size, h), (lon, lat + size, h), (lon, lat, h),
    ]  # fmt: skip


def box_faces(lon: float, lat: float, low: float, high: float, size: float = 0.0001) -> list[str]:
    base, top = square(lon, lat, low, size), square(lon, lat, high, size)
    faces = [polygon(base[::-1]), polygon(top)]
    for a, b, c, d in zip(base[:-1], base[1:], top[1:], top[:-1], strict=True):
        faces.append(polygon([a, b, c, d, a]))
    return faces


def solid(lod: int, faces: list[str]) -> str:
    members = "".join(member(f) for f in faces)
    return (
        f"<bldg:lod{lod}Solid><gml:Solid><gml:exterior><gml:CompositeSurface>{members}"
        f"</gml:CompositeSurface></gml:exterior></gml:Solid></bldg:lod{lod}Solid>"
    )


def footprint(surface: str, kind: str = "lod0FootPrint") -> str:
    return f"<bldg:{kind}><gml:MultiSurface>{member(surface)}</gml:MultiSurface></bldg:{kind}>"


def building(gml_id: str, body: str) -> str:
    return f'<core:cityObjectMember>\n<bldg:Building gml:id="{gml_id}">\n{body}\n</bldg:Building>\n</core:cityObjectMember>\n'


def simple(gml_id: str, k: int = 0, extra: str = "") -> str:
    lon = 139.85 + 0.001 * k
    faces = box_faces(lon, 36.55, 100.0, 109.5)
    return building(gml_id, extra + footprint(polygon(square(lon, 36.55, 0))) + solid(1, faces))


def model(*members: str) -> str:
    return ROOT + "".join(members) + END
