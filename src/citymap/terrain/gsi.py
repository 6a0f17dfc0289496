"""DEM of the base map information (基盤地図情報, FG-GML 5A, 5B, 5C, 10A, 10B)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from lxml import etree

from citymap import crs
from citymap.errors import BadInputError
from citymap.model.grid import Grid

_TUPLES = re.compile(rb"<((?:[\w.-]+:)?tupleList)[^>]*>")
_MISSING_KINDS = ("データなし", "海水面", "海水底面")
_LIMIT_BYTES = 256 << 20


def read_fg_gml(path: Path) -> Grid:
    """One mesh as a geographic grid (EPSG:6668), 標高 in metres, NaN where there is none.

    Raises:
        BadInputError: not FG-GML, or its grid and its values do not fit together.
    """
    place = path.name
    if path.stat().st_size > _LIMIT_BYTES:
        raise BadInputError("dem_too_large", place=place)
    data = path.read_bytes()
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data[:4096]:
        raise BadInputError("xml_dtd", place=place)
    opening = _TUPLES.search(data)
    closing = data.find(b"</" + opening[1], opening.end()) if opening else -1
    if opening is None or closing < 0 or b"fgd.gsi.go.jp" not in data[: opening.start()]:
        raise BadInputError("dem_not_fg_gml", place=place)
    # The value list alone can pass lxml's limit for one text node, so it is cut out first.
    shell = data[: opening.end()] + data[closing:]
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(shell, parser)
    except etree.XMLSyntaxError as e:
        raise BadInputError("xml_broken", place=f"{place}:{e.lineno}", reason=e.msg) from e
    try:
        south, west = _numbers(root, "lowerCorner")[:2]
        north, east = _numbers(root, "upperCorner")[:2]
        low, high = _numbers(root, "low"), _numbers(root, "high")
        columns, rows = int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1
        start = (
            _numbers(root, "startPoint") if root.find(".//{*}startPoint") is not None else [0, 0]
        )
    except (ValueError, IndexError) as e:
        raise BadInputError("dem_bad_grid", place=place, reason=e) from e
    if not (0 < columns <= 20_000 and 0 < rows <= 20_000) or not (south < north and west < east):
        raise BadInputError("dem_bad_grid", place=place, reason=f"{columns} x {rows}")
    a, b, c, d = crs.JAPAN_LON_LAT
    if not (a <= west < east <= c and b <= south < north <= d):
        swapped = a <= south <= c and b <= west <= d
        raise BadInputError(
            "axes_swapped" if swapped else "outside_japan", place=place, first=south, second=west
        )
    encoding = (
        "cp932"
        if re.search(rb'encoding="(shift_jis|sjis|cp932|windows-31j)"', data[:200], re.I)
        else "utf-8"
    )
    first_line = data.count(b"\n", 0, opening.end()) + 1
    text = data[opening.end() : closing].decode(encoding, "replace")
    values = np.full(rows * columns, np.nan, dtype=np.float32)
    offset = int(start[1]) * columns + int(start[0])
    written = _values(text, place, first_line)
    if offset < 0 or offset + len(written) > values.size:
        reason = f"{len(written)} values from {offset} for {columns} x {rows} cells"
        raise BadInputError("dem_bad_grid", place=place, reason=reason)
    values[offset : offset + len(written)] = written
    transform = ((east - west) / columns, 0.0, west, 0.0, (south - north) / rows, north)
    return Grid(
        values.reshape(rows, columns),
        transform,
        crs.GEOGRAPHIC,
        "T.P.",
        "elevation",
        "m",
        float("nan"),
    )


def _numbers(root: etree._Element, name: str) -> list[float]:
    found = root.find(f".//{{*}}{name}")
    if found is None or not found.text:
        raise ValueError(f"no {name}")
    return [float(v) for v in found.text.split()]


def _values(text: str, place: str, first_line: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    heights: list[float] = []
    for number, line in enumerate(text.split("\n")):
        row = line.strip()
        if not row:
            continue
        kind, comma, value = row.rpartition(",")
        try:
            height = float(value)
        except ValueError as e:
            raise BadInputError(
                "dem_bad_numbers", place=f"{place}:{first_line + number}", reason=row[:60]
            ) from e
        missing = height <= -9990 or (comma and kind.strip() in _MISSING_KINDS)
        heights.append(float("nan") if missing else height)
    return np.array(heights, dtype=np.float32)
