"""The 3D Tiles tree: a quadtree of blocks, LOD1 and the nearest shapes, and its tileset.json."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from py3dtiles.tileset import BoundingVolumeBox, Tile, TileSet

from citymap import crs
from citymap.tiles import _kernels as k
from citymap.tiles import glb
from citymap.tiles.shapes import BLOCK, LOD1, NEAR, Shapes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.progress import Progress

MAX_FEATURES = 800  # of a leaf
MAX_TRIANGLES = 60_000  # of a leaf, at its nearest level
MAX_BLOCKS = 6000  # of an inner tile
MAX_HALF_M = 1500.0  # of a leaf: wider, and the quantised positions would be off by centimetres
MAX_DEPTH = 24
GZIP_LEVEL = 6


@dataclass(slots=True)
class _Node:
    """One tile before its content is made; `error_m` is the geometric error."""

    number: int
    rows: NDArray[np.int64]
    slot: int
    error_m: float
    children: list[_Node] = field(default_factory=list)
    transform: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    high: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))


def frame(lon: float, lat: float, elevation_tp_m: float) -> NDArray[np.float64]:
    """4 × 4 matrix from east, north, up (m) at a point to ECEF."""
    lam, phi = np.radians(lon), np.radians(lat)
    out = np.eye(4)
    out[:3, 0] = [-np.sin(lam), np.cos(lam), 0]
    out[:3, 1] = [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)]
    out[:3, 2] = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
    out[:3, 3] = crs.to_ecef(lon, lat, elevation_tp_m)[0]
    return out


class _Tree:
    """Splits rows into tiles."""

    def __init__(self, shapes: Shapes, epsg: int) -> None:
        self.shapes = shapes
        self.x, self.y = crs.project(shapes.lon, shapes.lat, epsg)
        starts = shapes.triangle_start
        self.triangles = starts[shapes.last[NEAR]] - starts[shapes.first[NEAR]]
        self.height = shapes.top_m - shapes.bottom_m
        self.nodes: list[_Node] = []

    def _node(self, rows: NDArray[np.int64], slot: int, error_m: float) -> _Node:
        node = _Node(len(self.nodes), np.sort(rows), slot, error_m)
        self.nodes.append(node)
        return node

    def leaf(self, rows: NDArray[np.int64]) -> _Node:
        error = float(self.shapes.near_error_m[rows].max(initial=0.0))
        node = self._node(rows, LOD1 if error > 0 else NEAR, max(error, 0.5) if error > 0 else 0.0)
        if error > 0:
            node.children.append(self._node(rows, NEAR, 0.0))
        return node

    def split(
        self, rows: NDArray[np.int64], x: float, y: float, half_m: float, depth: int = 0
    ) -> _Node:
        """The tile of the square around x, y that holds `rows`, with all below it."""
        light = rows.size <= MAX_FEATURES and self.triangles[rows].sum() <= MAX_TRIANGLES
        if depth == MAX_DEPTH or rows.size == 1 or (light and half_m <= MAX_HALF_M):
            return self.leaf(rows)
        east, north = self.x[rows] >= x, self.y[rows] >= y
        quarters = []
        for e, n in ((False, False), (True, False), (False, True), (True, True)):
            inside = rows[(east == e) & (north == n)]
            if inside.size:
                dx, dy = (half_m / 2 if e else -half_m / 2), (half_m / 2 if n else -half_m / 2)
                quarters.append((inside, x + dx, y + dy, half_m / 2, depth + 1))
        if len(quarters) == 1:  # nothing to tell apart yet
            return self.split(*quarters[0])
        node = self._node(rows[:0], BLOCK, 0.0)
        node.children = [self.split(*quarter) for quarter in quarters]
        # From afar the tallest stand for all; what is left out is an error as high as it stands.
        order = rows[np.argsort(-self.height[rows], kind="stable")]
        shown, hidden = order[:MAX_BLOCKS], order[MAX_BLOCKS:]
        node.rows = np.sort(shown)
        below = max(child.error_m for child in node.children)
        own = max(
            float(self.shapes.block_error_m[shown].max(initial=0.0)),
            float(self.height[hidden].max(initial=0.0)),
            2 * half_m / 32767,  # the step of the quantised positions
        )
        node.error_m = max(own, below + 0.5)
        return node


def _mesh(
    shapes: Shapes, node: _Node, transform: NDArray[np.float64]
) -> tuple[glb.Mesh, NDArray[np.float64]]:
    rows, first, last = node.rows, shapes.first[node.slot], shapes.last[node.slot]
    vertices = int((shapes.vertex_start[last[rows]] - shapes.vertex_start[first[rows]]).sum())
    triangles = int((shapes.triangle_start[last[rows]] - shapes.triangle_start[first[rows]]).sum())
    positions, normals = np.empty((vertices, 3)), np.empty((vertices, 3))
    features, surfaces = np.empty(vertices, np.uint16), np.empty(vertices, np.uint8)
    indices, z = np.empty(3 * triangles, np.uint32), np.empty((rows.size, 2))
    k.mesh(
        rows, first, last, shapes.vertex_start, shapes.coords, shapes.triangle_start, shapes.triangles,
        shapes.surface, shapes.geoid_m, np.ascontiguousarray(transform[:3, 3]),
        np.ascontiguousarray(transform[:3, :3].T), positions, normals, features, surfaces, indices, z,
    )  # fmt: skip
    return glb.Mesh(positions, normals, features, surfaces, indices), z


def _write_content(shapes: Shapes, node: _Node, folder: Path) -> dict[str, int]:
    """Make one tile's content; sets its frame and bounds."""
    rows = node.rows
    lon = float(shapes.lon[rows].min() + shapes.lon[rows].max()) / 2
    lat = float(shapes.lat[rows].min() + shapes.lat[rows].max()) / 2
    node.transform = frame(lon, lat, float(shapes.bottom_m[rows].min()))
    mesh, z = _mesh(shapes, node, node.transform)
    node.low, node.high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    properties = {
        "row": rows.astype(np.uint32),
        "height": (z[:, 1] - z[:, 0]).astype(np.float32),
        "ground": (z[:, 0] - shapes.geoid_m[rows]).astype(np.float32),
        "ground_ellipsoidal": z[:, 0].astype(np.float32),
    }
    ids = None if node.children else shapes.ids.take(rows).to_pylist()
    content = glb.encode(mesh, properties, ids)
    packed = gzip.compress(content, GZIP_LEVEL, mtime=0)
    (folder / f"{node.number}.glb.gz").write_bytes(packed)
    return {
        "raw": len(content), "gzip": len(packed), "features": int(rows.size),
        "triangles": mesh.indices.size // 3, "vertices": len(mesh.positions), "leaf": int(not node.children),
    }  # fmt: skip


_CORNERS = np.array([[i, j, m] for i in (0, 1) for j in (0, 1) for m in (0, 1)], float)


def _tile(node: _Node, above: NDArray[np.float64]) -> Tile:
    """The py3dtiles tile of a node; `above` is the parent's frame (children are appended by hand,
    `Tile.add_child` would spoil the volumes under a transform)."""
    children = [_tile(child, node.transform) for child in node.children]
    low, high = node.low.copy(), node.high.copy()
    inverse = np.linalg.inv(node.transform)
    for child in node.children:  # a parent's box holds its children's boxes
        corners = child.low + _CORNERS * (child.high - child.low)
        local = corners @ (inverse @ child.transform)[:3, :3].T + (inverse @ child.transform)[:3, 3]
        low, high = np.minimum(low, local.min(axis=0)), np.maximum(high, local.max(axis=0))
    node.low, node.high = low, high
    pad = 0.05 + (high - low).max() / 65534  # half a quantisation step, and a hair
    volume = BoundingVolumeBox()
    volume.set_from_mins_maxs(np.concatenate([low - pad, high + pad]))
    tile = Tile(
        geometric_error=node.error_m, bounding_volume=volume, refine_mode="REPLACE",
        content_uri=f"{node.number}.glb", transform=np.linalg.inv(above) @ node.transform,
    )  # fmt: skip
    tile.children.extend(children)
    return tile


def build(
    shapes: Shapes, folder: Path, *, epsg: int, progress: Progress, workers: int = 2
) -> dict[str, Any]:
    """Write `tileset.json` and its gzipped .glb contents into `folder`; returns counts and sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = _Tree(shapes, epsg)
    if shapes.count == 0:
        return {"tiles": 0, "bytes": 0}
    drawn = np.flatnonzero(shapes.last[NEAR] > shapes.first[NEAR])
    x0, x1 = float(tree.x.min()), float(tree.x.max())
    y0, y1 = float(tree.y.min()), float(tree.y.max())
    half = max(x1 - x0, y1 - y0) / 2 + 1
    root = tree.split(drawn, (x0 + x1) / 2, (y0 + y1) / 2, half)
    stats: list[dict[str, int]] = []
    total = len(tree.nodes)
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        futures = [pool.submit(_write_content, shapes, node, folder) for node in tree.nodes]
        try:
            for done, future in enumerate(futures, 1):
                stats.append(future.result())
                progress.update(done, total, "3D Tiles")
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    tile = _tile(root, np.eye(4))
    top = max(root.error_m * 2, float(tree.height.max()), 1.0)
    document: dict[str, Any] = {
        "asset": {"version": "1.1", "generator": "citymap"},
        "geometricError": top,
        "root": tile.to_dict(),
    }
    TileSet.from_dict(cast("Any", document))  # py3dtiles refuses what is not a tileset
    (folder / "tileset.json").write_text(
        json.dumps(document, separators=(",", ":"), default=float), encoding="utf-8"
    )
    leaves = [s for s in stats if s["leaf"]]
    return {
        "tiles": total,
        "bytes": sum(s["gzip"] for s in stats),
        "leaf_bytes": sum(s["gzip"] for s in leaves),
        "leaf_vertices": sum(s["vertices"] for s in leaves),
        "leaf_triangles": sum(s["triangles"] for s in leaves),
        "features": sum(s["features"] for s in leaves),
        "root_bytes": stats[root.number]["gzip"],
    }
