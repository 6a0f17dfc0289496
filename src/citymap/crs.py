"""Datums, plane-rectangular zones and heights: the only module that makes transformers.

Inside citymap coordinates are lon, lat (EPSG:6668) and 標高 (T.P. metres). Lat–lon order exists
only at the CityGML reader's edge; ellipsoidal heights exist only in 3D Tiles.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS, Transformer

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

GEOGRAPHIC = 6668  # JGD2011, lon lat
GEOGRAPHIC_HEIGHT = 6697  # JGD2011 + T.P. height, what PLATEAU files use
GEOCENTRIC = 4978
ELLIPSOIDAL = 4979
GEOID_MODEL = "JPGEO2024"
JAPAN_LON_LAT = (122.0, 20.0, 154.5, 46.0)

# Zones I–XIX are EPSG:6669–6687. Statutory table by prefecture (平成14年国土交通省告示第9号);
# Hokkaido, Tokyo, Kagoshima and Okinawa are split by municipality (see `zone_epsg`).
_ZONE_OF_PREFECTURE = {
    1: 12, 2: 10, 3: 10, 4: 10, 5: 10, 6: 10, 7: 9, 8: 9, 9: 9, 10: 9, 11: 9, 12: 9, 13: 9, 14: 9,
    15: 8, 16: 7, 17: 7, 18: 6, 19: 8, 20: 8, 21: 7, 22: 8, 23: 7, 24: 6, 25: 6, 26: 6, 27: 6,
    28: 5, 29: 6, 30: 6, 31: 5, 32: 3, 33: 5, 34: 3, 35: 3, 36: 4, 37: 4, 38: 4, 39: 4, 40: 2,
    41: 2, 42: 1, 43: 2, 44: 2, 45: 2, 46: 2, 47: 15,
}  # fmt: skip
# Hokkaido: zone XI (Otaru, Hakodate, Date, Kitahiyama… 檜山・後志・渡島・胆振西部) and XIII (網走東部,
# 十勝, 釧路, 根室); everything else XII.
_HOKKAIDO_XI = frozenset(
    [
        "01202",
        "01203",
        "01233",
        "01236",
        "01331",
        "01332",
        "01333",
        "01334",
        "01337",
        "01343",
        "01345",
        "01346",
        "01347",
        "01361",
        "01362",
        "01363",
        "01364",
        "01367",
        "01370",
        "01371",
        "01391",
        "01392",
        "01393",
        "01394",
        "01395",
        "01396",
        "01397",
        "01398",
        "01399",
        "01400",
        "01401",
        "01402",
        "01403",
        "01404",
        "01405",
        "01406",
        "01407",
        "01408",
        "01409",
        "01571",
        "01575",
        "01584",
    ]
)
_HOKKAIDO_XIII = frozenset(
    [
        "01206",
        "01207",
        "01208",
        "01211",
        "01223",
        "01543",
        "01544",
        "01545",
        "01546",
        "01547",
        "01549",
        "01550",
        "01552",
        "01564",
        "01631",
        "01632",
        "01633",
        "01634",
        "01635",
        "01636",
        "01637",
        "01638",
        "01639",
        "01641",
        "01642",
        "01643",
        "01644",
        "01645",
        "01646",
        "01647",
        "01648",
        "01649",
        "01661",
        "01662",
        "01663",
        "01664",
        "01665",
        "01667",
        "01668",
        "01691",
        "01692",
        "01693",
        "01694",
    ]
)
_TOKYO_XIV = frozenset(["13421"])  # Ogasawara (west of 140°30' and east of 143° are XVIII, XIX)
_KAGOSHIMA_I = frozenset(
    [
        "46303",
        "46304",
        "46527",
        "46529",
        "46530",
        "46531",
        "46532",
        "46533",
        "46534",
        "46535",
        "46222",
    ]
)
_OKINAWA_XVI = frozenset(["47207", "47214", "47375", "47381", "47382"])
_OKINAWA_XVII = frozenset(["47357", "47358"])


def zone_epsg(city_code: str) -> int:
    """EPSG code (6669–6687) of the statutory plane-rectangular zone of a 5- or 6-digit city code.

    Raises:
        BadInputError: the prefecture is not known.
    """
    code = city_code.strip()[:5].zfill(5)
    if not code.isdigit() or int(code[:2]) not in _ZONE_OF_PREFECTURE:
        raise BadInputError("unknown_zone", code=city_code)
    zone = _ZONE_OF_PREFECTURE[int(code[:2])]
    if code in _HOKKAIDO_XI:
        zone = 11
    elif code in _HOKKAIDO_XIII:
        zone = 13
    elif code in _TOKYO_XIV:
        zone = 14
    elif code in _KAGOSHIMA_I:
        zone = 1
    elif code in _OKINAWA_XVI:
        zone = 16
    elif code in _OKINAWA_XVII:
        zone = 17
    return 6668 + zone


def guess_zone_epsg(lon: float, lat: float) -> int:
    """The zone whose origin meridian is nearest: a guess, for places without a city code."""
    origins = {
        1: (129.5, 33), 2: (131, 33), 3: (132 + 1 / 6, 36), 4: (133.5, 33), 5: (134 + 1 / 3, 36),
        6: (136, 36), 7: (137 + 1 / 6, 36), 8: (138.5, 36), 9: (139 + 5 / 6, 36),
        10: (140 + 5 / 6, 40), 11: (140.25, 44), 12: (142.25, 44), 13: (144.25, 44), 14: (142, 26),
        15: (127.5, 26), 16: (124, 26), 17: (131, 26), 18: (136, 20), 19: (154, 26),
    }  # fmt: skip
    best = min(
        origins.items(), key=lambda z: ((lon - z[1][0]) * 0.8) ** 2 + ((lat - z[1][1]) * 0.5) ** 2
    )
    return 6668 + best[0]


def check_digit(city_code: str) -> str:
    """The 6-digit local government code (with check digit) of a 5- or 6-digit code."""
    code = city_code.strip()[:5].zfill(5)
    total = sum(int(d) * w for d, w in zip(code, (6, 5, 4, 3, 2), strict=True))
    return code + str((11 - total % 11) % 10 if total >= 11 else 11 - total)[-1]


@cache
def transformer(source: int, target: int) -> Transformer:
    """A lon/lat-ordered (`always_xy`) transformer that refuses ballpark operations."""
    return Transformer.from_crs(
        CRS.from_epsg(source), CRS.from_epsg(target), always_xy=True, allow_ballpark=False
    )


def _moved(source: int, target: int, *coordinates: ArrayLike) -> list[NDArray[np.float64]]:
    """Transformed coordinates; pyproj warns at arrays of one element, so these go as lists."""
    arrays = [np.asarray(c, float) for c in coordinates]
    given = [a.tolist() if a.ndim and a.size == 1 else a for a in arrays]
    transform: Any = transformer(source, target).transform
    return [np.asarray(c, float) for c in transform(*given)]


def project(
    lon: ArrayLike, lat: ArrayLike, epsg: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """East (x) and north (y) in metres of JGD2011 lon, lat in the plane-rectangular zone `epsg`."""
    x, y = _moved(GEOGRAPHIC, epsg, lon, lat)
    return x, y


def unproject(
    x: ArrayLike, y: ArrayLike, epsg: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """JGD2011 lon, lat in degrees of east, north metres in the zone `epsg`."""
    lon, lat = _moved(epsg, GEOGRAPHIC, x, y)
    return lon, lat


@cache
def _geoid() -> Any:
    import japan_geoid  # noqa: PLC0415  (the grid takes 0.1 s to unpack: load it only where needed)

    return japan_geoid.load_embedded_jpgeo2024()


def geoid_height_m(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Geoid height of JPGEO2024 in metres at lon, lat (arrays of one shape).

    Raises:
        BadInputError: a point lies outside the model (never extrapolated).
    """
    lon_a = np.atleast_1d(np.asarray(lon, float))
    lat_a = np.atleast_1d(np.asarray(lat, float))
    flat = _geoid().get_heights(lon_a.ravel(), lat_a.ravel())
    n = np.asarray(flat, float).reshape(lon_a.shape)
    bad = ~np.isfinite(n)
    if bad.any():
        i = np.flatnonzero(bad.ravel())[0]
        raise BadInputError(
            "outside_geoid", model=GEOID_MODEL,
            lon=float(lon_a.ravel()[i]), lat=float(lat_a.ravel()[i]),
        )  # fmt: skip
    return n


def to_ecef(lon: ArrayLike, lat: ArrayLike, elevation_tp_m: ArrayLike) -> NDArray[np.float64]:
    """Geocentric X, Y, Z (n, 3) in metres of JGD2011 lon, lat and 標高; adds the geoid height.

    JGD2011 and WGS 84 (G1762) agree to centimetres: the null transform is the declared one.
    """
    lon_a, lat_a = np.asarray(lon, float).ravel(), np.asarray(lat, float).ravel()
    height = np.asarray(elevation_tp_m, float).ravel() + geoid_height_m(lon_a, lat_a)
    return np.stack(_moved(ELLIPSOIDAL, GEOCENTRIC, lon_a, lat_a, height), axis=-1)
