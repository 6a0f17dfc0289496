"""A tiny writer of OSM PBF: nodes and ways with tags, as wiki.openstreetmap.org/wiki/PBF_Format has it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path


def _varint(value: int) -> bytes:
    out = b""
    while True:
        value, low = value >> 7, value & 127
        out += bytes([low | (128 if value else 0)])
        if not value:
            return out


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _packed(field: int, values: list[int]) -> bytes:
    return _bytes(field, b"".join(_varint(v) for v in values))


def _block(kind: bytes, body: bytes) -> bytes:
    blob = _number(2, len(body)) + _bytes(3, zlib.compress(body))
    header = _bytes(1, kind) + _number(3, len(blob))
    return struct.pack(">I", len(header)) + header + blob


def write(
    path: Path, nodes: dict[int, tuple[float, float]], ways: list[tuple[dict[str, str], list[int]]]
) -> Path:
    """Nodes by id (lon, lat), and ways as tags and ids of nodes."""
    table = ["", *sorted({t for tags, _ in ways for pair in tags.items() for t in pair})]
    groups = b""
    for i, (lon, lat) in nodes.items():
        at = [_zigzag(round(v * 1e7)) for v in (lat, lon)]
        groups += _bytes(1, _number(1, _zigzag(i)) + _number(8, at[0]) + _number(9, at[1]))
    lines = b""
    for n, (tags, refs) in enumerate(ways, 1):
        steps = [b - a for a, b in zip([0, *refs], refs, strict=False)]
        lines += _bytes(3, _number(1, n) + _packed(2, [table.index(k) for k in tags])
                        + _packed(3, [table.index(v) for v in tags.values()])
                        + _packed(8, [_zigzag(s) for s in steps]))  # fmt: skip
    strings = b"".join(_bytes(1, t.encode()) for t in table)
    header = _bytes(4, b"OsmSchema-V0.6") + _bytes(16, b"citymap tests")
    path.write_bytes(
        _block(b"OSMHeader", header)
        + _block(b"OSMData", _bytes(1, strings) + _bytes(2, groups))
        + _block(b"OSMData", _bytes(1, strings) + _bytes(2, lines))
    )
    return path
