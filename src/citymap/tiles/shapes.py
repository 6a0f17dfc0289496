"""The city's buildings as flat arrays of triangulated polygons, one slot per level of detail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mapbox_earcut
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import rasterio
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.tiles import _kernels as k

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.progress import Progress
    from citymap.workspace import Workspace

BLOCK, LOD1, NEAR = 0, 1, 2  # slots
MAX_BOX_ERROR_M = 5.0  # a footprint that a box fits worse than this keeps its LOD1 shape from afar
MAX_ROOF_ERROR_M = 6.0  # a roof that LOD1 misses by more is drawn as it is from every distance
STOREY_M = 3.0

# What a surface is drawn as; kinds not named here are not drawn (ground and closure surfaces are
# never seen from above, LOD0 outlines are the 2-D map's).
SURFACE_OF_KIND = {
    "roof": k.ROOF, "wall": k.WALL, "outer_ceiling": k.WALL, "outer_floor": k.ROOF,
    "solid": -1, "installation": -1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Polygons:
    """Polygons as flat arrays; closing vertices are left out."""

    item: NDArray[np.int64]
    rings: NDArray[np.int64]
    vertices: NDArray[np.int64]
    coords: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shapes:
    """Triangulated polygons of all buildings: lon, lat (deg), 標高 (m).

    `first[slot, row]:last[slot, row]` are the polygons of a building; `lon, lat` its middle;
    `bottom_m, top_m` its 標高 range; `geoid_m` the geoid height there. `block_error_m` is how far
    the block may stray from LOD1, `near_error_m` how far LOD1 may stray from the nearest shape.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    vertex_start: NDArray[np.int64]
    coords: NDArray[np.float64]
    triangle_start: NDArray[np.int64]
    triangles: NDArray[np.int32]
    surface: NDArray[np.uint8]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    bottom_m: NDArray[np.float64]
    top_m: NDArray[np.float64]
    geoid_m: NDArray[np.float64]
    block_error_m: NDArray[np.float64]
    near_error_m: NDArray[np.float64]
    ids: pa.Array

    @property
    def count(self) -> int:
        """Number of buildings (rows)."""
        return int(self.lon.size)


def wkb_buffers(column: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Bytes and offsets of a WKB column; a null has no bytes."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    array = array.cast(pa.large_binary())
    if len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    at = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    buf = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return buf, at


def read_polygons(column: pa.ChunkedArray | pa.Array, *, place: str) -> Polygons:
    """Polygons of a WKB column of (Multi)Polygons, 2-D or 3-D.

    Raises:
        BadInputError: an item is not polygonal little-endian WKB.
    """
    buf, offsets = wkb_buffers(column)
    totals = np.zeros(3, np.int64)
    bad = k.count_wkb(buf, offsets, totals)
    if bad >= 0:
        raise BadInputError("not_polygons", place=place, row=int(bad))
    n, r, v = (int(x) for x in totals)
    out = Polygons(
        np.zeros(n, np.int64),
        np.zeros(n + 1, np.int64),
        np.zeros(r + 1, np.int64),
        np.zeros((v, 3)),
    )
    k.read_wkb(buf, offsets, out.item, out.rings, out.vertices, out.coords)
    return out


def _ear_cut(polygons: Polygons, p: int, normal: NDArray[np.float64]) -> NDArray[np.int32]:
    """Triangles of one polygon with any shape and holes, cut in its dominant plane."""
    r0, r1 = polygons.rings[p], polygons.rings[p + 1]
    a, b = polygons.vertices[r0], polygons.vertices[r1]
    xyz = polygons.coords[a:b] - polygons.coords[a]
    xyz[:, 1] *= k.M_PER_DEG
    xyz[:, 0] *= k.M_PER_DEG * np.cos(np.radians(polygons.coords[a, 1]))
    axis = int(np.argmax(np.abs(normal)))
    plane = np.ascontiguousarray(xyz[:, ((1, 2), (2, 0), (0, 1))[axis]])
    ends = (polygons.vertices[r0 + 1 : r1 + 1] - a).astype(np.uint32)
    triangles = np.asarray(mapbox_earcut.triangulate_float64(plane, ends), np.int32).reshape(-1, 3)
    if triangles.size:  # earcut promises no winding: follow the polygon's own normal
        q = plane[triangles]
        e, f = q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]
        area = float((e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]).sum())
        if (area < 0) != (normal[axis] < 0):
            triangles = triangles[:, ::-1]
    return triangles


def _triangulate(
    polygons: Polygons, keep: NDArray[np.bool_], convex: NDArray[np.int8],
    normals: NDArray[np.float64], flip: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:  # fmt: skip
    counts = np.zeros(keep.size, np.int64)
    fan = np.flatnonzero(keep & (convex == 1))
    ring = polygons.rings[fan]
    counts[fan] = polygons.vertices[ring + 1] - polygons.vertices[ring] - 2
    cut = {
        int(p): _ear_cut(polygons, int(p), normals[p]) for p in np.flatnonzero(keep & (convex == 0))
    }
    for p, triangles in cut.items():
        counts[p] = len(triangles)
    start = np.concatenate([[0], np.cumsum(counts)])
    out = np.empty((int(start[-1]), 3), np.int32)
    k.fans(fan, polygons.rings, polygons.vertices, flip, start, out)
    for p, triangles in cut.items():
        out[start[p] : start[p + 1]] = triangles[:, ::-1] if flip[p] else triangles
    return start, out


def _best_near(row: NDArray[np.int64], lod: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The level drawn from near: 2, else the lowest above it, else 1; 0 where there is none."""
    has = np.zeros((5, count), bool)
    has[lod, row] = True
    return np.select([has[2], has[3], has[4], has[1]], [2, 3, 4, 1], 0)


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].cast(pa.float64()).fill_null(np.nan).to_numpy(), float)


def sample_terrain(
    workspace: Workspace, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """標高 (m) of `terrain.tif` at lon, lat; NaN without terrain."""
    if not workspace.terrain.is_file() or lon.size == 0:
        return np.full(lon.size, np.nan)
    with rasterio.open(workspace.terrain, driver="GTiff") as source:
        x, y = crs.project(lon, lat, source.crs.to_epsg())
        values = np.array([v[0] for v in source.sample(zip(x, y, strict=True))], float)
        return (
            np.where(values == source.nodata, np.nan, values)
            if source.nodata is not None
            else values
        )


def _extrude(
    footprint: Any, bottom: float, top: float
) -> list[tuple[NDArray[np.float64], NDArray[np.int32], int]]:
    """Walls and roof over a footprint, for a building that has no solid."""
    faces = []
    quad = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    for part in shapely.get_parts(footprint):
        polygon = shapely.orient_polygons(part)
        rings = [np.asarray(r.coords)[:-1, :2] for r in (polygon.exterior, *polygon.interiors)]
        for ring in rings:
            for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                wall = np.array([[*a, bottom], [*b, bottom], [*b, top], [*a, top]])
                faces.append((wall, quad, k.WALL))
        flat = np.concatenate(rings)
        ends = np.cumsum([len(r) for r in rings]).astype(np.uint32)
        local = (flat - flat[0]) * [k.M_PER_DEG * np.cos(np.radians(flat[0, 1])), k.M_PER_DEG]
        triangles = np.asarray(mapbox_earcut.triangulate_float64(local, ends), np.int32).reshape(
            -1, 3
        )
        q = local[triangles]
        e, f = q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]
        if float((e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]).sum()) < 0:
            triangles = triangles[:, ::-1]
        faces.append((np.column_stack([flat, np.full(len(flat), top)]), triangles, k.ROOF))
    return faces


def load(workspace: Workspace, *, progress: Progress) -> Shapes:
    """Read and triangulate every building of the city.

    Raises:
        BadInputError: a table is missing or holds something other than polygons.
    """
    if not workspace.buildings.is_file():
        raise BadInputError("no_buildings", place=str(workspace.buildings))
    table = pq.read_table(
        workspace.buildings,
        columns=["gml_id", "measured_height_m", "storeys_above", "ground_elevation_m", "geometry"],
    )
    ids = table["gml_id"].combine_chunks()
    count = len(ids)
    footprints = read_polygons(table["geometry"], place=str(workspace.buildings))
    progress.update(1, 10, "buildings")

    if workspace.building_surfaces.is_file():
        wanted = pc.field("lod") >= 1
        surfaces = pq.read_table(workspace.building_surfaces, filters=wanted)
    else:
        surfaces = pa.table({"gml_id": pa.array([], pa.string()), "lod": pa.array([], pa.int8()),
                             "kind": pa.array([], pa.string()), "geometry": pa.array([], pa.binary())})  # fmt: skip
    found = pc.index_in(surfaces["gml_id"], value_set=ids)
    item_row = np.asarray(found.fill_null(-1).to_numpy(), np.int64)
    item_lod = np.asarray(surfaces["lod"].to_numpy(), np.int64)
    kinds = pa.array(list(SURFACE_OF_KIND))
    kind_index = np.asarray(
        pc.index_in(surfaces["kind"], value_set=kinds).fill_null(-1).to_numpy(), np.int64
    )
    polygons = read_polygons(surfaces["geometry"], place=str(workspace.building_surfaces))
    del surfaces
    progress.update(3, 10, "buildings")

    n = polygons.item.size
    normals, convex, z_range = np.zeros((n, 3)), np.zeros(n, np.int8), np.zeros((n, 2))
    k.planes(polygons.rings, polygons.vertices, polygons.coords, normals, convex, z_range)
    row, lod = item_row[polygons.item], item_lod[polygons.item]
    kind = kind_index[polygons.item]
    known = (row >= 0) & (convex >= 0) & (lod >= 1) & (lod <= 4)
    all_kinds_known = np.where(row >= 0, row, 0)

    bottom, top = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(bottom, row[known], z_range[known, 0])
    np.maximum.at(top, row[known], z_range[known, 1])

    level = np.asarray(list(SURFACE_OF_KIND.values()), np.int64)[kind]
    up = normals[:, 2]
    by_shape = level < 0
    flat_bottom = (np.abs(up) > 0.9) & (z_range[:, 1] - bottom[all_kinds_known] < 0.3)
    drop = (kind < 0) | (by_shape & flat_bottom & (top[all_kinds_known] - z_range[:, 1] > 0.3))
    # a horizontal face that is not the floor is a roof, whichever way it was digitised
    flip = (np.where(by_shape, np.abs(up) > 0.9, level == k.ROOF)) & (up < 0) & ~drop
    surface = np.where(by_shape, np.where(np.abs(up) > 0.3, k.ROOF, k.WALL), level)
    known &= ~drop
    near = _best_near(row[known], lod[known], count)
    known &= (lod == 1) | (lod == near[all_kinds_known])
    triangle_start, triangles = _triangulate(polygons, known, convex, normals, flip)
    known &= np.diff(triangle_start) > 0
    progress.update(6, 10, "buildings")

    # polygons in the order of (row, slot)
    slot = np.where(lod == 1, LOD1, NEAR)
    order = np.flatnonzero(known)
    key = row[order] * 4 + slot[order]
    order = order[np.argsort(key, kind="stable")]
    key = row[order] * 4 + slot[order]
    first, last = np.zeros((3, count), np.int64), np.zeros((3, count), np.int64)
    for s in (LOD1, NEAR):
        first[s] = np.searchsorted(key, np.arange(count) * 4 + s)
        last[s] = np.searchsorted(key, np.arange(count) * 4 + s, side="right")

    # the middle of each building, its heights, and shapes for those that have none
    lon, lat = _middles(footprints, polygons, row, known, count, place=str(workspace.buildings))
    lost = np.isnan(lon)  # no shape at all: nothing to draw, and no reason to fail for the others
    lon[lost], lat[lost] = np.nanmedian(lon) if count else 0.0, np.nanmedian(lat) if count else 0.0
    ground = _floats(table, "ground_elevation_m")
    none = ~np.isfinite(bottom)
    if none.any():
        sampled = ground.copy()
        unset = none & ~np.isfinite(ground)
        sampled[unset] = sample_terrain(workspace, lon[unset], lat[unset])
        usual = float(np.nanmedian(np.concatenate([bottom[~none], ground]))) if (
            (~none).any() or np.isfinite(ground).any()) else 0.0  # fmt: skip
        bottom[none] = np.where(np.isfinite(sampled[none]), sampled[none], usual)
        height = _floats(table, "measured_height_m")
        height = np.where(height > 0, height, _floats(table, "storeys_above") * STOREY_M)
        top[none] = bottom[none] + np.where(height[none] > 0, height[none], STOREY_M)
    geoid = crs.geoid_height_m(lon, lat) if count else np.zeros(0)

    box = np.zeros((count, 20, 3))
    error = np.zeros(count)
    ranges = np.zeros((count, 2), np.int64)
    outer, ring_vertex, coords = _outer_rings(footprints)
    ranges[:, 0] = np.searchsorted(outer, np.arange(count))
    ranges[:, 1] = np.searchsorted(outer, np.arange(count), side="right")
    k.boxes(ranges, ring_vertex, coords, bottom, top, box, error)
    progress.update(8, 10, "buildings")

    without = np.flatnonzero(last[LOD1] <= first[LOD1])
    without = without[last[NEAR][without] <= first[NEAR][without]]
    faces: list[tuple[NDArray[np.float64], NDArray[np.int32], int]] = []
    face_first, face_last = np.zeros(without.size, np.int64), np.zeros(without.size, np.int64)
    if without.size:
        outlines = shapely.from_wkb(table["geometry"].take(pa.array(without)).to_pylist())
        for i, (r, outline) in enumerate(zip(without, outlines, strict=True)):
            face_first[i] = len(faces)
            if outline is not None:
                faces.extend(_extrude(outline, bottom[r], top[r]))
            face_last[i] = len(faces)

    boxed = np.flatnonzero(np.isfinite(error))
    parts = _Parts(polygons, order, triangle_start, triangles, surface)
    parts.add(box[boxed].reshape(-1, 3), np.full(5 * boxed.size, 4),
              np.tile(np.array([[0, 1, 2], [0, 2, 3]], np.int32), (5 * boxed.size, 1)),
              np.full(5 * boxed.size, 2), np.tile([0, 0, 0, 0, 1], boxed.size))  # fmt: skip
    base = order.size
    first[BLOCK][boxed] = base + 5 * np.arange(boxed.size)
    last[BLOCK][boxed] = first[BLOCK][boxed] + 5
    base += 5 * boxed.size
    if faces:
        parts.add(np.concatenate([f[0] for f in faces]), np.array([len(f[0]) for f in faces]),
                  np.concatenate([f[1] for f in faces]), np.array([len(f[1]) for f in faces]),
                  np.array([f[2] for f in faces]))  # fmt: skip
        first[LOD1][without] = base + face_first
        last[LOD1][without] = base + face_last

    # what a level lacks it borrows from its neighbour
    lod1 = last[LOD1] > first[LOD1]
    near_error = _roof_difference(row, lod, known & (surface == k.ROOF), z_range, top)
    only_near = ~lod1 & (last[NEAR] > first[NEAR])
    first[LOD1] = np.where(only_near, first[BLOCK], first[LOD1])
    last[LOD1] = np.where(only_near, last[BLOCK], last[LOD1])
    near_error = np.where(only_near, np.nan_to_num(error) + near_error, near_error)
    no_near = last[NEAR] <= first[NEAR]
    first[NEAR] = np.where(no_near, first[LOD1], first[NEAR])
    last[NEAR] = np.where(no_near, last[LOD1], last[NEAR])
    near_error = np.where(no_near, 0.0, near_error)
    odd = near_error > MAX_ROOF_ERROR_M
    first[LOD1] = np.where(odd, first[NEAR], first[LOD1])
    last[LOD1] = np.where(odd, last[NEAR], last[LOD1])
    near_error = np.where(odd, 0.0, near_error)
    keep = (~(error <= MAX_BOX_ERROR_M) & lod1) | odd
    first[BLOCK] = np.where(keep, first[LOD1], first[BLOCK])
    last[BLOCK] = np.where(keep, last[LOD1], last[BLOCK])
    error = np.maximum(np.where(keep, 0.0, np.nan_to_num(error)), near_error)
    progress.update(10, 10, "buildings")
    return Shapes(
        first=first, last=last, vertex_start=parts.vertex_start(), coords=parts.coords(),
        triangle_start=parts.triangle_start(), triangles=parts.triangles(), surface=parts.surface(),
        lon=lon, lat=lat, bottom_m=bottom, top_m=top, geoid_m=geoid,
        block_error_m=error, near_error_m=near_error, ids=ids,
    )  # fmt: skip


class _Parts:
    """Collects polygons from several sources into one set of flat arrays."""

    def __init__(
        self, polygons: Polygons, order: NDArray[np.int64], triangle_start: NDArray[np.int64],
        triangles: NDArray[np.int32], surface: NDArray[np.int64],
    ) -> None:  # fmt: skip
        start = polygons.vertices[polygons.rings[:-1]]
        end = polygons.vertices[polygons.rings[1:]]
        counts = end[order] - start[order]
        t_counts = np.diff(triangle_start)[order]
        self._coords = [polygons.coords[_ragged(start[order], counts)]]
        self._vertices = [counts]
        self._triangles = [triangles[_ragged(triangle_start[order], t_counts)]]
        self._counts = [t_counts]
        self._surface = [surface[order]]

    def add(
        self, coords: NDArray[np.float64], vertices: NDArray[np.int64], triangles: NDArray[np.int32],
        counts: NDArray[np.int64], surface: NDArray[np.int64],
    ) -> None:  # fmt: skip
        self._coords.append(coords)
        self._vertices.append(vertices)
        self._triangles.append(triangles)
        self._counts.append(counts)
        self._surface.append(surface)

    def coords(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(np.concatenate(self._coords))

    def vertex_start(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(np.concatenate(self._vertices))]).astype(np.int64)

    def triangles(self) -> NDArray[np.int32]:
        return np.ascontiguousarray(np.concatenate(self._triangles), np.int32)

    def triangle_start(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(np.concatenate(self._counts))]).astype(np.int64)

    def surface(self) -> NDArray[np.uint8]:
        return np.concatenate(self._surface).astype(np.uint8)


def _ragged(start: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers start[i] … start[i] + counts[i] − 1 of all i, one after the other."""
    total = int(counts.sum())
    shift = (
        np.repeat(start - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        if total
        else start[:0]
    )
    return np.arange(total, dtype=np.int64) + shift


def _outer_rings(
    polygons: Polygons,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Item, vertex bounds and coordinates of the outer rings alone."""
    ring = polygons.rings[:-1]
    start = polygons.vertices[ring]
    counts = polygons.vertices[np.minimum(ring + 1, polygons.vertices.size - 1)] - start
    coords = polygons.coords[_ragged(start, counts)]
    return polygons.item, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), coords


def _middles(
    footprints: Polygons, polygons: Polygons, row: NDArray[np.int64], known: NDArray[np.bool_],
    count: int, *, place: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Middle of the bounding rectangle of each building; NaN for one without any shape."""
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)

    def grow(source: Polygons, item: NDArray[np.int64], use: NDArray[np.bool_]) -> None:
        start = source.vertices[source.rings[:-1]]
        counts = source.vertices[source.rings[1:]] - start
        use = use & (counts > 0)
        if not use.any():
            return
        xy = source.coords[_ragged(start[use], counts[use]), :2]
        at = np.concatenate([[0], np.cumsum(counts[use])[:-1]])
        np.minimum.at(low, item[use], np.minimum.reduceat(xy, at))
        np.maximum.at(high, item[use], np.maximum.reduceat(xy, at))

    grow(footprints, footprints.item, np.ones(footprints.item.size, bool))
    missing = ~np.isfinite(low[:, 0])
    if missing.any():
        grow(polygons, row, known & missing[np.where(row >= 0, row, 0)])
    bad = ~np.isfinite(low[:, 0])
    if bad.all() and count:
        raise BadInputError("no_shape", place=place)
    low[bad], high[bad] = np.nan, np.nan
    middle = (low + high) / 2
    return middle[:, 0], middle[:, 1]


def _roof_difference(
    row: NDArray[np.int64], lod: NDArray[np.int64], roofs: NDArray[np.bool_],
    z_range: NDArray[np.float64], top: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """How far (m) the nearest shape's roofs lie above or below the top of LOD1 (of a block without it)."""
    flat = np.full(top.size, -np.inf)
    use = roofs & (lod == 1)
    np.maximum.at(flat, row[use], z_range[use, 1])
    flat = np.where(np.isfinite(flat), flat, top)
    out = np.zeros(top.size)
    use = roofs & (lod > 1)
    known = np.isfinite(flat[row[use]])
    gap = np.abs(z_range[use] - flat[row[use]][:, None]).max(axis=1) if use.any() else np.zeros(0)
    np.maximum.at(out, row[use][known], gap[known])
    return out
