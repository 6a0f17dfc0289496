"""Reads our 3D Tiles back with other libraries (pygltflib, pyproj), for tests and benchmarks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pygltflib import GLTF2

_TYPES = {
    5120: np.int8,
    5121: np.uint8,
    5122: np.int16,
    5123: np.uint16,
    5125: np.uint32,
    5126: np.float32,
}
_Y_UP_TO_Z_UP = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float)


@dataclass
class Content:
    """One tile, decoded: ECEF and tile-frame positions, and columns by feature."""

    tile: dict[str, Any]
    depth: int
    transform: np.ndarray
    local: np.ndarray
    ecef: np.ndarray
    normals: np.ndarray
    features: np.ndarray
    surfaces: np.ndarray
    indices: np.ndarray
    properties: dict[str, Any]
    document: dict[str, Any]


def _accessor(gltf: GLTF2, blob: bytes, number: int) -> np.ndarray:
    a = gltf.accessors[number]
    view = gltf.bufferViews[a.bufferView]
    kind = np.dtype(_TYPES[a.componentType])
    width = {"SCALAR": 1, "VEC3": 3}[a.type]
    stride = view.byteStride or kind.itemsize * width
    start = (view.byteOffset or 0) + (a.byteOffset or 0)
    raw = np.frombuffer(
        blob, np.uint8, count=(a.count - 1) * stride + kind.itemsize * width, offset=start
    )
    rows = np.lib.stride_tricks.as_strided(raw, (a.count, kind.itemsize * width), (stride, 1))
    out = np.ascontiguousarray(rows).view(kind)
    return out if width > 1 else out[:, 0]


def _column(
    gltf: GLTF2, blob: bytes, declared: dict[str, Any], stored: dict[str, Any], count: int
) -> Any:
    view = gltf.bufferViews[stored["values"]]
    raw = blob[view.byteOffset : view.byteOffset + view.byteLength]
    if declared["type"] == "STRING":
        at = gltf.bufferViews[stored["stringOffsets"]]
        ends = np.frombuffer(blob, "<u4", count=count + 1, offset=at.byteOffset)
        return [raw[a:b].decode() for a, b in pairwise(ends)]
    kind = {"UINT32": "<u4", "FLOAT32": "<f4"}[declared["componentType"]]
    return np.frombuffer(raw, kind, count=count)


def read(folder: Path) -> Iterator[Content]:
    """Every tile of the tileset in `folder`."""
    document = json.loads((folder / "tileset.json").read_text())
    yield from _walk(folder, document["root"], np.eye(4), 0)


def _walk(folder: Path, tile: dict[str, Any], above: np.ndarray, depth: int) -> Iterator[Content]:
    own = np.array(tile["transform"], float).reshape(4, 4).T if "transform" in tile else np.eye(4)
    transform = above @ own
    raw = gzip.decompress((folder / (tile["content"]["uri"] + ".gz")).read_bytes())
    gltf = GLTF2().load_from_bytes(raw)
    blob = gltf.binary_blob()
    primitive = gltf.meshes[0].primitives[0]
    attributes = primitive.attributes
    node = np.array(gltf.nodes[0].matrix, float).reshape(4, 4).T
    points = _accessor(gltf, blob, attributes.POSITION).astype(float)
    homogeneous = np.column_stack([points, np.ones(len(points))])
    local = (_Y_UP_TO_Z_UP @ node @ homogeneous.T).T
    normals = _accessor(gltf, blob, attributes.NORMAL).astype(float) / 127
    meta = gltf.extensions["EXT_structural_metadata"]
    table = meta["propertyTables"][0]
    declared = meta["schema"]["classes"][table["class"]]["properties"]
    yield Content(
        tile=tile, depth=depth, transform=transform, local=local[:, :3],
        ecef=(transform @ local.T).T[:, :3], normals=normals @ _Y_UP_TO_Z_UP[:3, :3].T,
        features=_accessor(gltf, blob, attributes._FEATURE_ID_0),
        surfaces=_accessor(gltf, blob, attributes._SURFACE),
        indices=_accessor(gltf, blob, primitive.indices),
        properties={n: _column(gltf, blob, declared[n], s, table["count"]) for n, s in table["properties"].items()},
        document=json.loads(gltf.to_json()),
    )  # fmt: skip
    for child in tile.get("children", []):
        yield from _walk(folder, child, transform, depth + 1)
