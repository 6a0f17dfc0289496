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


class Layer:
    """One layer of one tile; pieces of several geometry kinds share its keys and values.

    Tile coordinates are (xy − x0, y0) × scale.
    """

    def __init__(self, name: str, *, scale: float, x0: float, y0: float) -> None:
        self.name = name
        self.scale, self.x0, self.y0 = scale, x0, y0
        self._keys: dict[str, int] = {}
        self._values: dict[tuple[type, Any], int] = {}
        self._encoded = bytearray()
        self._features: list[bytes] = []

    def _number(self, value: Any) -> int:
        key = (type(value), value)
        number = self._values.get(key)
        if number is None:
            number = self._values[key] = len(self._values)
            self._encoded += _value(value)
        return number

    def add(
        self, parts: Parts, features: NDArray[np.int64], *, ids: NDArray[np.int64],
        columns: Mapping[str, Sequence[Any] | NDArray[Any]],
    ) -> None:  # fmt: skip
        """Add features of `parts`; `ids` and `columns` are by feature number of `parts`.

        None and NaN leave the tag out; ints are written unsigned, floats as 32-bit. Features that
        vanish at this scale are dropped.
        """
        if features.size == 0:
            return
        tags = np.full((features.size, len(columns), 2), -1, np.int64)
        for j, (key, column) in enumerate(columns.items()):
            tags[:, j, 0] = self._keys.setdefault(key, len(self._keys))
            if isinstance(column, np.ndarray):
                picked = column[features]
                present = (
                    ~np.isnan(picked) if picked.dtype.kind == "f" else np.ones(picked.size, bool)
                )
                distinct, inverse = np.unique(picked[present], return_inverse=True)
                numbers = np.array([self._number(v) for v in distinct.tolist()], np.int64)
                tags[present, j, 1] = numbers[inverse] if distinct.size else -1
            else:
                for i, f in enumerate(features.tolist()):
                    if column[f] is not None:
                        tags[i, j, 1] = self._number(column[f])
        part, vertex = parts.feature_part, parts.part_vertex
        n_parts = int((part[features + 1] - part[features]).sum())
        n_vertices = int((vertex[part[features + 1]] - vertex[part[features]]).sum())
        out = np.empty(
            features.size * (40 + 10 * len(columns)) + n_parts * 24 + n_vertices * 12 + 64, np.uint8
        )
        size = k.encode(
            parts.kind, features, part, vertex, parts.xy, ids[features], tags,
            self.scale, self.x0, self.y0, out,
        )  # fmt: skip
        if size:
            self._features.append(out[:size].tobytes())

    def encode(self) -> bytes:
        """The layer's bytes; nothing where no feature is left."""
        if not self._features:
            return b""
        body = _field(1, self.name.encode()) + b"".join(self._features)
        body += b"".join(_field(3, key.encode()) for key in self._keys)
        return _field(3, body + bytes(self._encoded) + b"\x28" + _varint(EXTENT) + b"\x78\x02")
