"""Coordinate systems as the OGC API names them, with the axis order that each one declares."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS

from citymap import crs
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
WGS84, WEB_MERCATOR = 4326, 3857
_ZONES = range(6669, 6688)
_NAMES = (
    re.compile(r"https?://www\.opengis\.net/def/crs/EPSG/(?:0|[\d.]+)/(\d{1,6})"),
    re.compile(r"urn:ogc:def:crs:EPSG:[\d.]*:(\d{1,6})"),
    re.compile(r"\[?EPSG:(\d{1,6})\]?", re.IGNORECASE),
)
_CRS84 = frozenset(
    {CRS84, CRS84.replace("http:", "https:"), "urn:ogc:def:crs:OGC:1.3:CRS84", "[OGC:CRS84]",
     "OGC:CRS84", "CRS84"}
)  # fmt: skip


def uri(epsg: int) -> str:
    """The identifier of an EPSG code."""
    return f"http://www.opengis.net/def/crs/EPSG/0/{epsg}"


def offered(zone: int, *, heights: bool) -> list[str]:
    """The coordinate systems of a collection of a city whose plane-rectangular zone is `zone`."""
    codes = [WGS84, crs.GEOGRAPHIC, WEB_MERCATOR, zone]
    return [CRS84, *map(uri, codes), *([uri(crs.GEOGRAPHIC_HEIGHT)] if heights else [])]


def canonical(text: str) -> str:
    """The identifier as we write it, from any of the usual spellings.

    Raises:
        BadInputError: no such spelling.
    """
    if text in _CRS84:
        return CRS84
    for pattern in _NAMES:
        found = pattern.fullmatch(text)
        if found:
            return uri(int(found[1]))
    raise BadInputError("ogc_crs", place=text[:200])


def epsg_of(identifier: str) -> int:
    """The EPSG code behind an identifier that `canonical` gave; 4326 for CRS84."""
    return WGS84 if identifier == CRS84 else int(identifier.rpartition("/")[2])


@cache
def north_first(identifier: str) -> bool:
    """Whether the first axis points north: latitude first, or the x of a Japanese zone."""
    if identifier == CRS84:
        return False
    first = CRS.from_epsg(epsg_of(identifier)).axis_info[0].direction
    return str(first).lower() == "north"


def placed(
    geometry: NDArray[Any], identifier: str, height_m: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """Shapes of EPSG:6668 (lon, lat) in a coordinate system, in its own axis order, rounded to 1 mm.

    EPSG:6697 takes `height_m` (標高) for each shape; one whose height is not known stays flat.
    """
    code = epsg_of(identifier)
    swap = north_first(identifier)
    degrees = code in {WGS84, crs.GEOGRAPHIC, crs.GEOGRAPHIC_HEIGHT}
    same = degrees  # JGD2011 and WGS 84 agree to centimetres; the declared transform is null
    transform = None if same else crs.transformer(crs.GEOGRAPHIC, code).transform

    def all_at_once(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[:, 0], points[:, 1]
        if transform is not None and len(x):
            x, y = map(np.asarray, transform(x.tolist(), y.tolist()))
        return np.round(np.column_stack([y, x] if swap else [x, y]), 8 if degrees else 4)

    moved = np.asarray(shapely.transform(geometry, all_at_once), object)
    if code == crs.GEOGRAPHIC_HEIGHT and height_m is not None:
        known = np.isfinite(height_m)
        moved[known] = shapely.force_3d(moved[known], height_m[known])
    return moved


def area(box: tuple[float, float, float, float], identifier: str) -> Any:
    """A box (two corners, in the axis order of its system) as a shape in lon, lat (EPSG:6668)."""
    a, b, c, d = box
    west, south, east, north = (b, a, d, c) if north_first(identifier) else (a, b, c, d)
    code = epsg_of(identifier)
    if code in {WGS84, crs.GEOGRAPHIC, crs.GEOGRAPHIC_HEIGHT}:
        if west > east:  # across the antimeridian
            return shapely.union(
                shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)
            )
        return shapely.box(west, south, east, north)
    return lon_lat(shapely.box(west, south, east, north), code)


def literal(shape: Any, identifier: str) -> Any:
    """A shape of a filter, in the axis order of its system, in lon, lat (EPSG:6668)."""
    code = epsg_of(identifier)
    if north_first(identifier):
        shape = shapely.transform(shape, lambda points: points[:, ::-1])
    if code in {WGS84, crs.GEOGRAPHIC, crs.GEOGRAPHIC_HEIGHT}:
        return shape
    return lon_lat(shape, code)


def lon_lat(shape: Any, code: int) -> Any:
    """A shape (x east, y north) of a projected system in lon, lat; long edges follow the ground.

    Raises:
        BadInputError: a corner lies where the system has no places.
    """
    west, south, east, north = shapely.bounds(shape)
    longest = max(east - west, north - south)
    if np.isfinite(longest) and longest > 0:
        shape = shapely.segmentize(shape, longest / 16)
    transform = crs.transformer(code, crs.GEOGRAPHIC).transform

    def all_at_once(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transform(points[:, 0].tolist(), points[:, 1].tolist())
        return np.column_stack([x, y])

    moved = shapely.transform(shape, all_at_once)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise BadInputError("ogc_crs", place=str(code))
    return moved
