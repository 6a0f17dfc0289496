"""Binary glTF of one tile: quantised triangles with feature ids and a property table."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from citymap.tiles import _kernels as k

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BYTE, UINT8, INT16, UINT16, UINT32 = 5120, 5121, 5122, 5123, 5125
PROPERTIES: dict[str, dict[str, str]] = {
    "row": {
        "type": "SCALAR", "componentType": "UINT32",
        "description": "row of buildings.parquet, the feature index of the map",
    },
    "height": {
        "type": "SCALAR", "componentType": "FLOAT32",
        "description": "top minus bottom of the drawn building, m",
    },
    "ground": {
        "type": "SCALAR", "componentType": "FLOAT32",
        "description": "lowest point, 標高 (T.P.), m",
    },
    "ground_ellipsoidal": {
        "type": "SCALAR", "componentType": "FLOAT32",
        "description": "lowest point, height above the WGS 84 ellipsoid, m",
    },
}  # fmt: skip
ID_PROPERTY = {"type": "STRING", "description": "gml:id of the building"}


@dataclass(frozen=True, slots=True)
class Mesh:
    """One tile's triangles: east, north, up (m) from the tile's origin."""

    positions: NDArray[np.float64]
    normals: NDArray[np.float64]
    features: NDArray[np.uint16]
    surfaces: NDArray[np.uint8]
    indices: NDArray[np.uint32]


class _Buffer:
    """Collects buffer views, each aligned to 8 bytes as the metadata extension asks."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, int]] = []

    def view(self, array: NDArray[Any], **extra: int) -> int:
        self.data += b"\0" * (-len(self.data) % 8)
        raw = np.ascontiguousarray(array).tobytes()
        self.views.append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw), **extra}
        )
        self.data += raw
        return len(self.views) - 1


def quantisation(mesh: Mesh) -> tuple[NDArray[np.float64], float]:
    """Middle (east, north, up) and metres per step: one scale for all axes keeps normals true."""
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    return (low + high) / 2, max(float((high - low).max()) / 2 / 32767, 1e-4)


def encode(
    mesh: Mesh, properties: Mapping[str, NDArray[Any]], ids: list[str] | None = None
) -> bytes:
    """The .glb: KHR_mesh_quantization, EXT_mesh_features, EXT_structural_metadata.

    `properties` are columns by feature, named as in `PROPERTIES`; `ids` adds `gml_id`.
    """
    count = len(mesh.positions)
    centre, scale = quantisation(mesh)
    positions, normals = np.zeros((count, 4), np.int16), np.zeros((count, 4), np.int8)
    k.quantise(mesh.positions, mesh.normals, centre, scale, positions, normals)
    features, surfaces = np.zeros((count, 2), np.uint16), np.zeros((count, 4), np.uint8)
    features[:, 0], surfaces[:, 0] = mesh.features, mesh.surfaces
    wide = count > 65535
    indices = mesh.indices.astype(np.uint32 if wide else np.uint16)

    buffer = _Buffer()
    low, high = positions[:, :3].min(axis=0), positions[:, :3].max(axis=0)

    def accessor(
        array: NDArray[Any], component: int, kind: str, stride: int, **extra: Any
    ) -> dict[str, Any]:
        view = buffer.view(array, byteStride=stride, target=34962)
        return {
            "bufferView": view,
            "componentType": component,
            "count": count,
            "type": kind,
            **extra,
        }

    accessors: list[dict[str, Any]] = [
        {"bufferView": buffer.view(indices, target=34963), "componentType": UINT32 if wide else UINT16,
         "count": len(indices), "type": "SCALAR"},
        accessor(positions, INT16, "VEC3", 8, min=low.tolist(), max=high.tolist()),
        accessor(normals, BYTE, "VEC3", 4, normalized=True),
        accessor(features, UINT16, "SCALAR", 4),
        accessor(surfaces, UINT8, "SCALAR", 4),
    ]  # fmt: skip
    table: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    for name, values in properties.items():
        table[name] = {"values": buffer.view(values)}
        schema[name] = PROPERTIES[name]
    if ids is not None:
        texts = [i.encode() for i in ids]
        offsets = np.concatenate([[0], np.cumsum([len(t) for t in texts])]).astype(np.uint32)
        raw = np.frombuffer(b"".join(texts), np.uint8)
        table["gml_id"] = {
            "values": buffer.view(raw), "stringOffsets": buffer.view(offsets), "stringOffsetType": "UINT32",
        }  # fmt: skip
        schema["gml_id"] = ID_PROPERTY
    features_count = len(properties["row"])
    east, north, up = (float(c) for c in centre)
    document = {
        "asset": {"version": "2.0", "generator": "citymap"},
        "extensionsUsed": ["KHR_mesh_quantization", "EXT_mesh_features", "EXT_structural_metadata"],
        "extensionsRequired": ["KHR_mesh_quantization"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        # value × matrix = metres from the tile's origin; x east, y up, z south
        "nodes": [{"mesh": 0, "matrix": [scale, 0, 0, 0, 0, scale, 0, 0, 0, 0, scale, 0, east, up, -north, 1]}],
        "materials": [{
            "name": "building", "doubleSided": True,
            "pbrMetallicRoughness": {"baseColorFactor": [0.85, 0.83, 0.8, 1], "metallicFactor": 0,
                                     "roughnessFactor": 1},
        }],
        "meshes": [{"primitives": [{
            "attributes": {"POSITION": 1, "NORMAL": 2, "_FEATURE_ID_0": 3, "_SURFACE": 4},
            "indices": 0, "material": 0, "mode": 4,
            "extensions": {"EXT_mesh_features": {"featureIds": [
                {"featureCount": features_count, "attribute": 0, "propertyTable": 0}]}},
        }]}],
        "extensions": {"EXT_structural_metadata": {
            "schema": {"id": "citymap", "classes": {"building": {"properties": schema}}},
            "propertyTables": [{"class": "building", "count": features_count, "properties": table}],
        }},
        "accessors": accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }  # fmt: skip
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that the binary chunk's data starts at a multiple of 8
    text += b" " * ((-(12 + 8 + len(text) + 8)) % 8)
    binary = bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4)
    return b"".join([
        struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)),
        struct.pack("<II", len(text), 0x4E4F534A), text,
        struct.pack("<II", len(binary), 0x004E4942), binary,
    ])  # fmt: skip
