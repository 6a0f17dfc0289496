"""Mapbox vector tile bytes from columns: one layer at a time, features encoded in compiled code."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from citymap.tiles import _vector_kernels as k

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

EXTENT = 4096
POINT, LINE, POLYGON = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Parts:
    """Geometry of many features as flat arrays: parts of feature i are feature_part[i]:[i+1]; the
    vertices of part p are part_vertex[p]:[p+1]. Polygon rings carry no closing vertex."""

    kind: int
    feature_part: NDArray[np.int64]
    part_vertex: NDArray[np.int64]
    xy: NDArray[np.float64]


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return _field(4, _field(1, value.encode()))
    if isinstance(value, bool | np.bool_):
        return _field(4, b"\x38" + _varint(int(value)))
    if isinstance(value, int | np.integer):
        return _field(4, b"\x28" + _varint(int(value)))
    return _field(4, b"\x15" + struct.pack("<f", float(value)))


def layer(
    name: str, parts: Parts, features: NDArray[np.int64], *, ids: NDArray[np.int64] | None,
    columns: Mapping[str, Sequence[Any] | NDArray[Any]], scale: float, x0: float, y0: float,
) -> bytes:  # fmt: skip
    """One layer with the given features; tile coordinates are (xy − x0, y0) × scale.

    `columns` are by feature number of `parts` and may hold None or NaN (the tag is left out);
    ints are written unsigned, floats as 32-bit. Features that vanish at this scale are dropped.
    """
    tags = np.full((features.size, len(columns)), -1, np.int64)
    values = bytearray()
    n_values = 0
    for j, column in enumerate(columns.values()):
        if isinstance(column, np.ndarray) and column.dtype != object:
            picked = column[features]
            present = ~np.isnan(picked) if picked.dtype.kind == "f" else np.ones(picked.size, bool)
            distinct, inverse = np.unique(picked[present], return_inverse=True)
            tags[present, j] = n_values + inverse
            for v in distinct.tolist():
                values += _value(v)
            n_values += distinct.size
        else:
            seen: dict[Any, int] = {}
            for i, f in enumerate(features.tolist()):
                v = column[f]
                if v is not None:
                    if v not in seen:
                        seen[v] = n_values + len(seen)
                        values += _value(v)
                    tags[i, j] = seen[v]
            n_values += len(seen)
    chosen = parts.feature_part
    n_parts = int((chosen[features + 1] - chosen[features]).sum())
    n_vertices = int(
        (parts.part_vertex[chosen[features + 1]] - parts.part_vertex[chosen[features]]).sum()
    )
    out = np.empty(
        features.size * (40 + 10 * len(columns)) + n_parts * 24 + n_vertices * 12 + 64, np.uint8
    )
    numbers = features if ids is None else ids[features]
    size = k.encode(
        parts.kind, features, parts.feature_part, parts.part_vertex, parts.xy, numbers, tags,
        scale, x0, y0, out,
    )  # fmt: skip
    if size == 0:
        return b""
    body = _field(1, name.encode()) + out[:size].tobytes()
    for key in columns:
        body += _field(3, key.encode())
    body += bytes(values) + b"\x28" + _varint(EXTENT) + b"\x78\x02"
    return _field(3, body)
