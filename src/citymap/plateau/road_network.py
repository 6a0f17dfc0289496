"""`roads.parquet`: edges between nodes, from LOD0 links, else from the middle of LOD1 surfaces."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import shapely.ops
from numpy.typing import NDArray

from citymap import crs
from citymap.model.columns import ROADS
from citymap.plateau.theme_tables import links_path
from citymap.progress import Progress, Quiet
from citymap.workspace import Workspace, write_table

SNAP_M = 0.5
_MIN_PORTAL_M = 0.5


def _projected(wkb: list[bytes], epsg: int) -> NDArray[np.object_]:
    geometries = shapely.from_wkb(wkb)
    points = shapely.get_coordinates(geometries)
    if len(points):
        x, y = crs.project(points[:, 0], points[:, 1], epsg)
        geometries = shapely.set_coordinates(geometries, np.stack([x, y], axis=1))
    return np.asarray(geometries, dtype=object)


def _once(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the copies of one road in the files of several meshes."""
    return list({(r["gml_id"], r["geometry"]): r for r in rows}.values())


def write_roads(workspace: Workspace, *, epsg: int, progress: Progress | None = None) -> int:
    """Build `roads.parquet` anew from the links and road surfaces in the workspace.

    A road surface without LOD0 link gives an estimated centreline (source `lod1-centreline`).
    Returns the number of edges.
    """
    progress = progress or Quiet()
    lines: list[dict[str, Any]] = []
    linked: set[str] = set()
    if links_path(workspace).is_file():
        links = _once(pq.read_table(links_path(workspace)).to_pylist())
        for row, line in zip(links, _projected([r["geometry"] for r in links], epsg), strict=True):
            linked.add(row["gml_id"])
            lines.append({**row, "line": line, "source": "lod0"})
    surfaces = workspace.base / "road.parquet"
    if surfaces.is_file():
        table = pq.read_table(surfaces, columns=["gml_id", "kind", "name", "geometry"]).to_pylist()
        rows = _once([r for r in table if r["gml_id"] not in linked])
        polygons = _projected([r["geometry"] for r in rows], epsg)
        for i, line, width_m in centrelines(polygons, progress):
            lines.append({
                "kind": rows[i]["kind"], "name": rows[i]["name"], "width_m": width_m, "bridge": None,
                "tunnel": None, "line": line, "source": "lod1-centreline",
            })  # fmt: skip
    if not lines:
        return 0
    edges = noded(lines)
    points = shapely.get_coordinates([e["line"] for e in edges])
    lon, lat = crs.unproject(points[:, 0], points[:, 1], epsg)
    geometries = shapely.set_coordinates(
        np.array([e["line"] for e in edges], dtype=object), np.stack([lon, lat], axis=1)
    )
    columns = {
        "edge_id": list(range(len(edges))), "u": [e["u"] for e in edges], "v": [e["v"] for e in edges],
        "length_m": [float(e["length_m"]) for e in edges], "geometry": shapely.to_wkb(geometries),
        **{k: [e[k] for e in edges] for k in ("width_m", "kind", "name", "bridge", "tunnel", "source")},
    }  # fmt: skip
    write_table(
        workspace.roads,
        pa.table({c.name: pa.array(columns[c.name], c.type) for c in ROADS.columns}),
        ROADS,
    )
    return len(edges)


def noded(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Edges with nodes `u`, `v`: ends within 0.5 m are one node, an end on a line divides it.

    Lines that merely cross are not joined: one may be a bridge.
    """
    parts = [
        {**row, "line": line} for row in lines for line in shapely.get_parts(row["line"])
        if line.length > 0
    ]  # fmt: skip
    geometries = np.array([p["line"] for p in parts], dtype=object)
    ends = np.array([[g.coords[0][:2], g.coords[-1][:2]] for g in geometries])
    points = shapely.points(ends.reshape(-1, 2))
    tree = shapely.STRtree(geometries)
    touching = tree.query(points, predicate="dwithin", distance=SNAP_M)
    cuts: dict[int, list[float]] = defaultdict(list)
    for p, g in touching.T:
        if p // 2 == g:
            continue
        at = geometries[g].project(points[p])
        if SNAP_M < at < geometries[g].length - SNAP_M:
            cuts[int(g)].append(float(at))
    pieces: list[dict[str, Any]] = []
    for i, part in enumerate(parts):
        marks = [0.0, *sorted(cuts.get(i, [])), geometries[i].length]
        marks = [
            m
            for k, m in enumerate(marks)
            if k == 0 or m - marks[k - 1] > SNAP_M or k == len(marks) - 1
        ]
        for a, b in pairwise(marks):
            line = geometries[i] if len(marks) == 2 else shapely.ops.substring(geometries[i], a, b)
            if line.geom_type == "LineString" and line.length > 0:
                pieces.append({**part, "line": line})
    node = _nodes(
        np.array([[p["line"].coords[0][:2], p["line"].coords[-1][:2]] for p in pieces]).reshape(
            -1, 2
        )
    )
    edges = []
    for k, piece in enumerate(pieces):
        u, v = int(node[2 * k]), int(node[2 * k + 1])
        if u == v and piece["line"].length <= 2 * SNAP_M:
            continue
        edges.append({**piece, "u": u, "v": v, "length_m": piece["line"].length})
    return edges


def _nodes(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the node of each end; ends within the snapping distance share it."""
    tree = shapely.STRtree(shapely.points(points))
    pairs = tree.query(shapely.points(points), predicate="dwithin", distance=SNAP_M)
    parent = list(range(len(points)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs.T:
        ra, rb = root(int(a)), root(int(b))
        if ra != rb:
            parent[max(ra, rb)] = min(ra, rb)
    _, number = np.unique([root(i) for i in range(len(points))], return_inverse=True)
    return number.astype(np.int64)


def centrelines(
    polygons: NDArray[np.object_], progress: Progress | None = None
) -> list[tuple[int, shapely.LineString, float]]:
    """(polygon, line, width in m) of road surfaces that touch each other, in metres.

    Through the middle of each surface from portal to portal, a portal being the middle of a border
    that two surfaces share; dead ends reach to the far end of the medial axis.
    """
    progress = progress or Quiet()
    tree = shapely.STRtree(polygons)
    pairs = tree.query(polygons, predicate="dwithin", distance=0.05)
    portals: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for a, b in pairs.T:
        if a >= b:
            continue
        border = shapely.intersection(polygons[a].boundary, polygons[b].boundary.buffer(0.1))
        merged = shapely.line_merge(border) if border.geom_type == "MultiLineString" else border
        for piece in shapely.get_parts(merged):
            if piece.geom_type == "LineString" and piece.length >= _MIN_PORTAL_M:
                middle = piece.interpolate(0.5, normalized=True)
                portals[int(a)].append((middle.x, middle.y))
                portals[int(b)].append((middle.x, middle.y))
    found: list[tuple[int, shapely.LineString, float]] = []
    for i, polygon in enumerate(polygons):
        if i % 100 == 0:
            progress.update(i, len(polygons), "road centrelines")
        width = _width(polygon)
        for part in shapely.get_parts(polygon):
            inside = [p for p in portals.get(i, []) if part.distance(shapely.Point(p)) < 0.2]
            found += [(i, line, width) for line in _skeleton(part, inside, width)]
    return found


def _width(polygon: shapely.Geometry) -> float:
    """Width of a strip of the same area and perimeter (for a compact surface: its half side)."""
    half, area = polygon.length / 2, polygon.area
    return float(half - np.sqrt(max(half * half - 4 * area, 0.0))) / 2


def _skeleton(
    polygon: shapely.Polygon, portals: list[tuple[float, float]], width_m: float
) -> list[shapely.LineString]:
    """Medial axis pruned to the ways between portals (or to its longest way)."""
    step = min(max(width_m / 2, 1.0), 10.0)
    dense = shapely.segmentize(polygon, step)
    cells = shapely.voronoi_polygons(
        shapely.multipoints(shapely.get_coordinates(dense)), only_edges=True
    )
    edges = shapely.get_parts(cells)
    shapely.prepare(polygon)
    edges = edges[shapely.contains_properly(polygon, edges)]
    graph: dict[tuple[float, float], dict[tuple[float, float], float]] = defaultdict(dict)
    for a, b in np.round(shapely.get_coordinates(edges), 3).reshape(-1, 2, 2):
        p, q = (float(a[0]), float(a[1])), (float(b[0]), float(b[1]))
        if p != q:
            graph[p][q] = graph[q][p] = float(np.hypot(*(a - b)))
    component = _largest(graph)
    if not component:
        return [shapely.LineString([portals[0], p]) for p in portals[1:]]
    nodes = np.array(component)
    targets: list[tuple[float, float]] = []
    for portal in portals:
        near = component[int(np.argmin(np.hypot(nodes[:, 0] - portal[0], nodes[:, 1] - portal[1])))]
        graph[portal][near] = graph[near][portal] = float(
            np.hypot(near[0] - portal[0], near[1] - portal[1])
        )
        targets.append(portal)
    start = targets[0] if targets else _farthest(graph, component[0])[0]
    if len(targets) < 2:
        end, reach = _farthest(graph, start)
        if reach < max(1.5 * width_m, 3.0):
            return []
        targets = [start, end]
    kept = _ways(graph, targets[0], targets[1:])
    return _chains(kept, set(targets), polygon, width_m)


_Graph = dict[tuple[float, float], dict[tuple[float, float], float]]


def _largest(graph: _Graph) -> list[tuple[float, float]]:
    seen: set[tuple[float, float]] = set()
    best: list[tuple[float, float]] = []
    for start in list(graph):
        if start in seen:
            continue
        stack, members = [start], []
        seen.add(start)
        while stack:
            node = stack.pop()
            members.append(node)
            for other in graph[node]:
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        if len(members) > len(best):
            best = members
    return best


def _distances(
    graph: _Graph, start: tuple[float, float]
) -> tuple[dict[tuple[float, float], float], dict[tuple[float, float], tuple[float, float]]]:
    from heapq import heappop, heappush  # noqa: PLC0415

    distance, before = {start: 0.0}, {}
    queue = [(0.0, start)]
    while queue:
        d, node = heappop(queue)
        if d > distance[node]:
            continue
        for other, length in graph[node].items():
            if d + length < distance.get(other, np.inf):
                distance[other], before[other] = d + length, node
                heappush(queue, (d + length, other))
    return distance, before


def _farthest(graph: _Graph, start: tuple[float, float]) -> tuple[tuple[float, float], float]:
    distance, _ = _distances(graph, start)
    end = max(distance, key=lambda n: distance[n])
    return end, distance[end]


def _ways(graph: _Graph, start: tuple[float, float], ends: list[tuple[float, float]]) -> _Graph:
    """The tree of shortest ways from `start` to the ends."""
    _, before = _distances(graph, start)
    kept: _Graph = defaultdict(dict)
    for end in ends:
        node = end
        while node != start and node in before:
            other = before[node]
            kept[node][other] = kept[other][node] = graph[node][other]
            node = other
    return kept


def _chains(
    graph: _Graph, targets: set[tuple[float, float]], polygon: shapely.Polygon, width_m: float
) -> list[shapely.LineString]:
    """Lines between portals and junctions of the tree, as straight as the surface allows."""
    room = polygon.buffer(0.2)
    shapely.prepare(room)
    stops = {n for n, around in graph.items() if len(around) != 2} | (targets & set(graph))
    lines = []
    done: set[tuple[tuple[float, float], tuple[float, float]]] = set()
    for stop in stops:
        for first in graph[stop]:
            if (stop, first) in done:
                continue
            way = [stop, first]
            while way[-1] not in stops:
                way.append(next(n for n in graph[way[-1]] if n != way[-2]))
            done |= {(stop, first), (way[-1], way[-2])}
            line = shapely.LineString(way)
            straight = (shapely.simplify(line, width_m / part) for part in (1.5, 2.5, 4, 8, 16))
            lines.append(next((s for s in straight if room.contains(s)), line))
    return lines
