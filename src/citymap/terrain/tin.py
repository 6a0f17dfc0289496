"""Triangles of PLATEAU `dem` CityGML (TINRelief), read as a stream of positions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from citymap import crs
from citymap.errors import BadInputError
from citymap.plateau.header import read_header
from citymap.progress import Progress, Quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 16 << 20
_POSITIONS = re.compile(rb"<(?:[\w.-]+:)?posList\b[^>]*>([^<]*)</")
_NOMINAL = re.compile(r"_dem_\d{4}_(\d{2})(?=[_.])")


@dataclass(frozen=True, slots=True)
class Tin:
    """Triangles (n, 3 corners, lon lat 標高) of one file; `dropped` counts what is no triangle."""

    triangles: NDArray[np.float64]
    dropped: int
    nominal_cell_m: float | None


def nominal_cell_m(name: str) -> float | None:
    """The mesh size a file name states: `523965_dem_6697_05_op.gml` → 5.0."""
    match = _NOMINAL.search(name)
    return float(match[1]) if match and int(match[1]) > 0 else None


def _pieces(path: Path, progress: Progress) -> Iterator[bytes]:
    """The file in pieces that end at a closing tag."""
    total, done, rest = path.stat().st_size, 0, b""
    with path.open("rb") as handle:
        while block := handle.read(_CHUNK):
            done += len(block)
            progress.update(done, total, f"dem {path.name}")
            data = rest + block
            cut = data.rfind(b"posList>") + 8
            if cut < 8:
                if len(data) > 8 * _CHUNK:
                    raise BadInputError("dem_no_positions", place=path.name)
                rest = data
                continue
            yield data[:cut]
            rest = data[cut:]
    yield rest


def read_tin(path: Path, *, progress: Progress | None = None) -> Tin:
    """Read every triangle of a `dem` file; memory grows with the triangles, not with the XML.

    Raises:
        BadInputError: not CityGML, no triangles, broken numbers, or axes in the wrong order.
    """
    header = read_header(path)
    if header.epsg == 6668:
        raise BadInputError("dem_no_height", place=path.name)
    parts: list[NDArray[np.float64]] = []
    dropped = line = 0
    for piece in _pieces(path, progress or Quiet()):
        lists = _POSITIONS.findall(piece)
        if lists:
            try:
                corners, lost = _triangles(lists)
            except ValueError as e:
                place = f"{path.name}:{line + 1}"
                raise BadInputError("dem_bad_numbers", place=place, reason=e) from e
            dropped += lost
            if len(corners):
                first, second = corners[..., 0], corners[..., 1]
                _check_axes(first, second, f"{path.name}:{line + 1}")
                parts.append(np.stack([second, first, corners[..., 2]], axis=-1))
        line += piece.count(b"\n")
    if not parts:
        raise BadInputError("dem_no_positions", place=path.name)
    triangles = np.concatenate(parts)
    if header.epsg in (4301, 4612):
        lon, lat = crs.transformer(header.epsg, crs.GEOGRAPHIC).transform(
            triangles[..., 0], triangles[..., 1]
        )
        triangles = np.stack([lon, lat, triangles[..., 2]], axis=-1)
    return Tin(triangles, dropped, nominal_cell_m(path.name))


def _triangles(lists: list[bytes]) -> tuple[NDArray[np.float64], int]:
    """Corners (n, 3, 3) in file order of closed triangles; others are counted."""
    numbers = np.array(b" ".join(lists).split(), dtype=np.float64)
    if numbers.size == 12 * len(lists):
        rings = numbers.reshape(-1, 4, 3)
        closed = (rings[:, 0] == rings[:, 3]).all(axis=1)
        if closed.all():
            good = np.isfinite(rings).all(axis=(1, 2)) & (rings[:, :, 2] > -9000).all(axis=1)
            return rings[good, :3], int((~good).sum())
    kept = [v for text in lists if len(v := text.split()) == 12 and v[:3] == v[9:]]
    rings = np.array(kept, dtype=np.float64).reshape(-1, 4, 3)
    good = np.isfinite(rings).all(axis=(1, 2)) & (rings[:, :, 2] > -9000).all(axis=1)
    return rings[good, :3], len(lists) - int(good.sum())


def _check_axes(lat: NDArray[np.float64], lon: NDArray[np.float64], place: str) -> None:
    west, south, east, north = crs.JAPAN_LON_LAT
    outside = ~((lat >= south) & (lat <= north) & (lon >= west) & (lon <= east))
    if outside.any():
        i = np.flatnonzero(outside.ravel())[0]
        a, b = float(lat.ravel()[i]), float(lon.ravel()[i])
        swapped = south <= b <= north and west <= a <= east
        raise BadInputError(
            "axes_swapped" if swapped else "outside_japan", place=place, first=a, second=b
        )
