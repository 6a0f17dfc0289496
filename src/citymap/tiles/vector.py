"""The vector tile pyramid: footprints and the base map, simplified by zoom."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap.tiles import mvt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.progress import Progress
    from citymap.tiles.shapes import Shapes
    from citymap.workspace import Workspace

MIN_ZOOM, MAX_ZOOM = 10, 16
LAYERS = ("landuse", "green", "water", "district", "road", "rail", "buildings", "place_label")
FIRST_ZOOM = {"buildings": 13, "landuse": 11, "green": 11, "district": 12}  # others from MIN_ZOOM
# The narrower a road, the later it comes.
ROAD_WIDTH_M_FROM_ZOOM = {10: 15.0, 11: 12.0, 12: 8.0, 13: 5.5, 14: 3.5}
BUFFER = 64 / mvt.EXTENT  # share of a tile
GZIP_LEVEL = 6
WORLD_M = 40_075_016.68557849


@dataclass(frozen=True, slots=True)
class Layer:
    """Geometries in Web Mercator (x 0 at 180° W, y 0 at the north edge, 1 across the world)."""

    name: str
    geometry: NDArray[Any]
    columns: Mapping[str, Any]
    first_zoom: NDArray[np.int64]
    ids: NDArray[np.int64] | None = None


def to_world(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Web Mercator in 0…1 (y down) of lon, lat."""
    lat = np.radians(np.clip(xy[:, 1], -85.0, 85.0))
    return np.column_stack([xy[:, 0] / 360 + 0.5, 0.5 - np.arcsinh(np.tan(lat)) / (2 * np.pi)])


def _geometries(path: Path, columns: list[str]) -> tuple[NDArray[Any], dict[str, Any]]:
    table = pq.read_table(path, columns=[*columns, "geometry"])
    geometry = shapely.from_wkb(np.asarray(table["geometry"].to_pylist(), object))
    geometry = shapely.transform(shapely.force_2d(geometry), to_world)
    found = {c: table[c].to_pylist() for c in columns}
    keep = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    if keep.all():
        return geometry, found
    index = np.flatnonzero(keep)
    return geometry[index], {c: [v[i] for i in index] for c, v in found.items()}


def _floats(values: list[Any]) -> NDArray[np.float64]:
    return np.asarray([np.nan if v is None else v for v in values], float)


def read_layers(workspace: Workspace, shapes: Shapes) -> list[Layer]:
    """Every layer the city has data for."""
    layers: list[Layer] = []

    def first(name: str, n: int) -> NDArray[np.int64]:
        return np.full(n, FIRST_ZOOM.get(name, MIN_ZOOM), np.int64)

    labels: list[tuple[Any, str, str, int]] = []
    for name in ("landuse", "green", "water", "rail"):
        path = workspace.base / f"{name}.parquet"
        if path.is_file():
            geometry, columns = _geometries(path, ["kind", "kind_code", "name"])
            layers.append(Layer(name, geometry, columns, first(name, geometry.size)))
    if workspace.districts.is_file():
        geometry, columns = _geometries(workspace.districts, ["district_id", "name"])
        layers.append(Layer("district", geometry, columns, first("district", geometry.size)))
        for point, text in zip(shapely.point_on_surface(geometry), columns["name"], strict=True):
            if text:
                labels.append((point, text, "district", 12))
    layers.extend(_road_layers(workspace))

    names = ["gml_id", "measured_height_m", "ground_elevation_m", "name", "geometry"]
    table = pq.read_table(workspace.buildings, columns=names)
    geometry = shapely.from_wkb(np.asarray(table["geometry"].to_pylist(), object))
    geometry = shapely.transform(shapely.force_2d(geometry), to_world)
    rows = np.flatnonzero(~(shapely.is_missing(geometry) | shapely.is_empty(geometry)))
    height = np.round(shapes.top_m - shapes.bottom_m, 1)[rows]
    columns = {"row": rows, "h": height, "g": np.round(shapes.bottom_m, 1)[rows]}
    area = shapely.area(geometry[rows]) * (WORLD_M * np.cos(np.radians(shapes.lat[rows]))) ** 2
    zoom = np.where(area >= 60, 13, 14)  # a house of less than a pixel at zoom 13 waits one zoom
    layers.append(Layer("buildings", geometry[rows], columns, zoom.astype(np.int64), rows))
    for row in np.flatnonzero(np.asarray(table["name"].is_valid())):
        text = table["name"][int(row)].as_py()
        if text and not shapely.is_missing(geometry[row]):
            labels.append((shapely.point_on_surface(geometry[row]), text, "landmark", 14))
    if labels:
        layers.append(
            Layer(
                "place_label",
                np.asarray([p for p, *_ in labels], object),
                {"name": [n for _, n, *_ in labels], "kind": [c for _, _, c, _ in labels]},
                np.asarray([z for *_, z in labels], np.int64),
            )
        )
    return layers


def _road_layers(workspace: Workspace) -> list[Layer]:
    """Centrelines where there are any (with width), and road surfaces from near."""
    layers = []
    if workspace.roads.is_file():
        geometry, columns = _geometries(
            workspace.roads, ["kind", "width_m", "name", "bridge", "tunnel"]
        )
        width = _floats(columns.pop("width_m"))
        zoom = np.full(geometry.size, 15, np.int64)
        for z, least in sorted(ROAD_WIDTH_M_FROM_ZOOM.items(), reverse=True):
            zoom[np.nan_to_num(width, nan=4.0) >= least] = z
        columns["width"] = np.round(width, 1)
        layers.append(Layer("road", geometry, columns, zoom))
    path = workspace.base / "road.parquet"
    if path.is_file():
        geometry, columns = _geometries(path, ["kind", "name"])
        columns["surface"] = [True] * geometry.size
        zoom = np.full(geometry.size, 15 if layers else 13, np.int64)
        layers.append(Layer("road", geometry, columns, zoom))
    return layers


def parts_of(geometry: NDArray[Any]) -> list[tuple[mvt.Parts, NDArray[np.int64]]]:
    """Flat arrays by kind, with the numbers of the features they hold."""
    out = []
    flat, owner = shapely.get_parts(geometry, return_index=True)  # collections fall apart once
    kinds = shapely.get_type_id(flat)
    for kind, types in ((mvt.POINT, (0,)), (mvt.LINE, (1, 2)), (mvt.POLYGON, (3,))):
        pick = np.flatnonzero(np.isin(kinds, types) & ~shapely.is_empty(flat))
        if pick.size == 0:
            continue
        if kind == mvt.POLYGON:
            # y is down here: counter-clockwise outer rings in x, y are clockwise on the screen
            polygons = shapely.orient_polygons(flat[pick], exterior_cw=False)
            rings, polygon = shapely.get_rings(polygons, return_index=True)
            xy, ring = shapely.get_coordinates(rings, return_index=True)
            last = np.append(np.diff(ring) > 0, True)
            xy, ring = xy[~last], ring[~last]
            part_owner = owner[pick][polygon]
        else:
            xy, ring = shapely.get_coordinates(flat[pick], return_index=True)
            part_owner = owner[pick]
        features, starts = np.unique(part_owner, return_index=True)
        counts = np.bincount(ring, minlength=part_owner.size)
        out.append((
            mvt.Parts(kind, np.append(starts, part_owner.size).astype(np.int64),
                      np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.ascontiguousarray(xy)),
            features,
        ))  # fmt: skip
    return out


def _pick(columns: Mapping[str, Any], index: NDArray[np.int64]) -> dict[str, Any]:
    return {
        c: v[index] if isinstance(v, np.ndarray) else [v[i] for i in index.tolist()]
        for c, v in columns.items()
    }


def _covered(geometry: NDArray[Any], tiles: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which feature touches which tile (x · tiles + y), by bounds with the buffer."""
    bounds = shapely.bounds(geometry) * tiles
    low = np.floor(bounds[:, :2] - BUFFER).astype(np.int64).clip(0, tiles - 1)
    high = np.floor(bounds[:, 2:] + BUFFER).astype(np.int64).clip(0, tiles - 1)
    size = high - low + 1
    n = size[:, 0] * size[:, 1]
    feature = np.repeat(np.arange(geometry.size), n)
    k = np.arange(int(n.sum())) - np.repeat(np.concatenate([[0], np.cumsum(n)[:-1]]), n)
    wide = size[feature, 1]
    return feature, (low[feature, 0] + k // wide) * tiles + low[feature, 1] + k % wide


def _pyramid_layer(layers: list[Layer], zoom: int) -> dict[int, bytes]:
    """Bytes of one named layer for each tile (x · 2^zoom + y) of one zoom."""
    out: dict[int, mvt.Layer] = {}
    for layer in layers:
        _add_to_tiles(layer, zoom, out)
    return {t: data for t, content in out.items() if (data := content.encode())}


def _add_to_tiles(layer: Layer, zoom: int, out: dict[int, mvt.Layer]) -> None:
    tiles = 1 << zoom
    index = np.flatnonzero(layer.first_zoom <= zoom)
    geometry = layer.geometry[index]
    if zoom < MAX_ZOOM and layer.name != "place_label":
        pixels = 0.25 if layer.name == "buildings" else 0.75  # of a tile drawn 512 pixels wide
        geometry = shapely.simplify(geometry, pixels / (tiles * 512), preserve_topology=False)
        alive = ~(shapely.is_empty(geometry) | shapely.is_missing(geometry))
        geometry, index = geometry[alive], index[alive]
    if geometry.size == 0:
        return
    whole = layer.name in ("buildings", "place_label")  # small: whole features, no cutting
    feature, tile = _covered(geometry, tiles)
    order = np.argsort(tile, kind="stable")
    feature, tile = feature[order], tile[order]
    edges = np.flatnonzero(np.diff(tile, prepend=-1))
    ids = (layer.ids if layer.ids is not None else np.arange(layer.geometry.size))[index]
    columns = _pick(layer.columns, index)
    parts = parts_of(geometry) if whole else []
    picked = [(p, features, ids[features], _pick(columns, features)) for p, features in parts]
    scale, margin = float(mvt.EXTENT * tiles), BUFFER / tiles
    for a, b in zip(edges, np.append(edges[1:], tile.size), strict=True):
        here, t = feature[a:b], int(tile[a])
        x0, y0 = (t // tiles) / tiles, (t % tiles) / tiles
        content = out.get(t)
        if content is None:
            content = out[t] = mvt.Layer(layer.name, scale=scale, x0=x0, y0=y0)
        if whole:
            for p, features, own_ids, own_columns in picked:
                at = np.searchsorted(features, here).clip(0, features.size - 1)
                content.add(p, at[features[at] == here], ids=own_ids, columns=own_columns)
            continue
        clipped = shapely.clip_by_rect(
            geometry[here],
            x0 - margin,
            y0 - margin,
            x0 + 1 / tiles + margin,
            y0 + 1 / tiles + margin,
        )
        for p, features in parts_of(clipped):
            own = here[features]
            content.add(p, np.arange(own.size), ids=ids[own], columns=_pick(columns, own))


def build(
    workspace: Workspace, shapes: Shapes, folder: Path, *, progress: Progress, workers: int = 2
) -> dict[str, Any]:
    """Write `{z}/{x}/{y}.mvt.gz`; returns counts and sizes."""
    layers = read_layers(workspace, shapes)
    count = size = 0
    names = [n for n in LAYERS if any(layer.name == n for layer in layers)]
    named = [[layer for layer in layers if layer.name == n] for n in names]
    steps = (MAX_ZOOM - MIN_ZOOM + 1) * max(len(names), 1)
    done = 0
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for zoom in range(MIN_ZOOM, MAX_ZOOM + 1):
            tiles: dict[int, list[bytes]] = {}
            for part in pool.map(_pyramid_layer, named, [zoom] * len(named)):
                done += 1
                progress.update(done, steps, "vector tiles")
                for t, data in part.items():
                    tiles.setdefault(t, []).append(data)

            def write(item: tuple[int, list[bytes]], zoom: int = zoom) -> int:
                t, pieces = item
                path = folder / str(zoom) / str(t >> zoom) / f"{t & ((1 << zoom) - 1)}.mvt.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                packed = gzip.compress(b"".join(pieces), GZIP_LEVEL, mtime=0)
                path.write_bytes(packed)
                return len(packed)

            for n in pool.map(write, tiles.items()):
                count += 1
                size += n
    return {"tiles": count, "bytes": size, "layers": names}
