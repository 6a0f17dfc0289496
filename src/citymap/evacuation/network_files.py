"""Reads networks: `roads.parquet`, OpenStreetMap extracts, any line layer; rivers and railways."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import shapely

from citymap import crs, terrain
from citymap.errors import BadInputError
from citymap.evacuation.network import Lines, Network, build
from citymap.i18n import Word

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.workspace import Workspace

# OpenStreetMap `highway` values: who may use them, and the width where none is written (m).
_NO_FOOT = {"motorway", "motorway_link", "trunk_link", "construction", "proposed", "raceway"}
_NO_CAR = {"footway", "path", "steps", "pedestrian", "cycleway", "corridor", "bridleway", "track"}
_NO_ROAD = {"construction", "proposed", "raceway", "platform", "elevator"}
_WIDTH_M = {
    "motorway": 10.0, "trunk": 12.0, "primary": 10.0, "secondary": 8.0, "tertiary": 6.5,
    "unclassified": 5.0, "residential": 4.5, "living_street": 4.0, "service": 3.5, "track": 3.0,
    "pedestrian": 5.0, "footway": 2.0, "path": 1.5, "steps": 2.0, "cycleway": 2.0,
}  # fmt: skip
_WALK_ONLY_KINDS = ("歩行者", "自転車", "遊歩道", "歩道")
_CAR_ONLY_KINDS = ("高速自動車国道", "自動車専用", "都市高速")


def _to_zone(geometry: NDArray[np.object_], source_epsg: int, epsg: int) -> NDArray[np.object_]:
    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        if source_epsg in (4326, crs.GEOGRAPHIC, 4612):
            return np.column_stack(crs.project(points[:, 0], points[:, 1], epsg))
        if source_epsg == epsg:
            return points
        x, y = crs.transformer(source_epsg, epsg).transform(points[:, 0], points[:, 1])
        return np.column_stack([x, y])

    return np.asarray(shapely.transform(geometry, move), object)


def read_roads(workspace: Workspace, *, epsg: int | None = None) -> Network:
    """The network of `roads.parquet`, with slopes from `terrain.tif` where there is one.

    A road without word on bridges that crosses an area of water is taken for a bridge.

    Raises:
        BadInputError: there are no roads, or a column is missing.
    """
    epsg = epsg or workspace.city().epsg
    path = workspace.roads
    if not path.is_file():
        raise BadInputError("evacuation_no_network")
    table = pq.read_table(path)
    missing = {"u", "v", "length_m", "geometry"} - set(table.column_names)
    if missing:
        raise BadInputError(
            "evacuation_columns", place=path.name, columns=", ".join(sorted(missing))
        )

    def column(name: str, fill: Any, kind: Any) -> Any:
        if name not in table.column_names:
            return np.full(table.num_rows, fill, kind)
        return np.array([fill if v is None else v for v in table[name].to_pylist()], kind)

    geometry = _to_zone(shapely.from_wkb(table["geometry"].to_pylist()), crs.GEOGRAPHIC, epsg)
    bridge = column("bridge", -1, np.int8)
    tunnel = column("tunnel", 0, np.int8) > 0
    water = _areas(workspace, "water", epsg)
    guessed = bridge < 0
    if len(water) and guessed.any():
        hit = shapely.STRtree(water).query(geometry[guessed], predicate="crosses")[0]
        bridge[np.flatnonzero(guessed)[np.unique(hit)]] = 1
    kind = column("kind", "", object)
    width = column("width_m", np.nan, np.float64)
    return _with_slopes(
        build(
            Lines(
                geometry, np.where(bridge > 0, 1, np.where(tunnel, -1, 0)).astype(np.int8), width,
                np.array(["階段" in k for k in kind], bool),
                np.array([not any(w in k for w in _CAR_ONLY_KINDS) for k in kind], bool),
                (car := np.array([not any(w in k for w in _WALK_ONLY_KINDS) for k in kind], bool)),
                car, column("edge_id", 0, np.int64) if "edge_id" in table.column_names
                else np.arange(table.num_rows),
                length_m=column("length_m", np.nan, np.float64),
                ends=np.column_stack([column("u", -1, np.int64), column("v", -1, np.int64)]),
            ),
            epsg=epsg,
        ),
        workspace.terrain,
    )  # fmt: skip


def read_lines(path: Path, *, epsg: int, terrain_path: Path | None = None) -> Network:
    """The network of an OSM extract (.osm, .pbf, or its GeoJSON) or of any layer of lines.

    Raises:
        BadInputError: it cannot be read, has no CRS, or holds no lines.
    """
    osm = path.suffix.lower() in (".osm", ".pbf")
    try:
        frame: Any = (
            pyogrio.read_dataframe(path, layer="lines")
            if osm
            else _read_parquet(path)
            if path.suffix.lower() == ".parquet"
            else pyogrio.read_dataframe(path)
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as e:
        why = Word("evacuation.refused.format")
        raise BadInputError("evacuation_unreadable", place=path.name, reason=why) from e
    except OSError as e:
        raise BadInputError("evacuation_unreadable", place=path.name, reason=e) from e
    if frame.crs is None or (source_epsg := frame.crs.to_epsg()) is None:
        raise BadInputError("evacuation_no_crs", place=path.name)
    frame = frame[frame.geometry.notna()].explode(index_parts=False)
    frame = frame[frame.geometry.geom_type == "LineString"].reset_index(drop=True)
    roads = frame
    if "highway" in frame.columns:
        roads = frame[frame["highway"].notna() & ~frame["highway"].isin(_NO_ROAD)]
    if not len(roads):
        raise BadInputError("evacuation_no_lines", place=path.name)
    network = build(_osm_lines(roads.reset_index(drop=True), source_epsg, epsg), epsg=epsg)
    return _with_slopes(network, terrain_path) if terrain_path else network


def _read_parquet(path: Path) -> Any:
    import geopandas  # noqa: PLC0415  (slow to load, and only for this kind of file)

    return geopandas.read_parquet(path)


def _tag(frame: Any, name: str) -> list[str]:
    """A tag of every line: its own column, else inside GDAL's `other_tags`."""
    n = len(frame)
    own = frame[name].tolist() if name in frame.columns else [None] * n
    other = frame["other_tags"].tolist() if "other_tags" in frame.columns else [None] * n
    mark = f'"{name}"=>"'
    return [
        str(a) if a is not None and a != "" and not (isinstance(a, float) and math.isnan(a))
        else o.partition(mark)[2].partition('"')[0] if isinstance(o, str) and mark in o
        else ""
        for a, o in zip(own, other, strict=True)
    ]  # fmt: skip


def _osm_lines(frame: Any, source_epsg: int, epsg: int) -> Lines:
    highway = _tag(frame, "highway")
    bridge, tunnel = _tag(frame, "bridge"), _tag(frame, "tunnel")
    level = np.array([
        1 if b not in ("", "no", "False", "0", "0.0") else -1 if t not in ("", "no", "False", "building_passage", "0", "0.0")
        else 0 for b, t in zip(bridge, tunnel, strict=True)
    ], np.int8)  # fmt: skip
    width = np.array([
        _metres(w, lanes, h)
        for w, lanes, h in zip(
            [a or b for a, b in zip(_tag(frame, "width"), _tag(frame, "width_m"), strict=True)],
            _tag(frame, "lanes"), highway, strict=True,
        )
    ])  # fmt: skip
    foot_tag, oneway = _tag(frame, "foot"), _tag(frame, "oneway")
    foot = np.array([
        f in ("yes", "designated", "permissive") or (h not in _NO_FOOT and f != "no")
        for f, h in zip(foot_tag, highway, strict=True)
    ])  # fmt: skip
    car = np.array([h not in _NO_CAR for h in highway])
    forward = car & np.array([o != "-1" for o in oneway])
    backward = car & np.array([o not in ("yes", "true", "1", "True") for o in oneway])
    return Lines(
        _to_zone(np.asarray(frame.geometry.values, object), source_epsg, epsg), level, width,
        np.array([h == "steps" for h in highway]), foot, forward, backward, np.arange(len(frame)),
    )  # fmt: skip


def _metres(width: str, lanes: str, highway: str) -> float:
    try:
        return float(width.replace("m", "").strip())
    except ValueError:
        pass
    try:
        return 3.0 * float(lanes)
    except ValueError:
        return _WIDTH_M.get(highway.removesuffix("_link"), float("nan"))


def _with_slopes(network: Network, path: Path) -> Network:
    if not path.is_file():
        return network
    lon, lat = crs.unproject(network.x, network.y, network.epsg)
    z = terrain.sample(path, lon, lat)
    return replace(network, rise_m=z[network.v] - z[network.u])


def _areas(workspace: Workspace, theme: str, epsg: int) -> NDArray[np.object_]:
    path = workspace.base / f"{theme}.parquet"
    if not path.is_file():
        return np.empty(0, object)
    wkb = [g for g in pq.read_table(path, columns=["geometry"])["geometry"].to_pylist() if g]
    return _to_zone(shapely.from_wkb(wkb), crs.GEOGRAPHIC, epsg) if wkb else np.empty(0, object)


def read_barriers(workspace: Workspace, *, epsg: int | None = None) -> NDArray[np.object_]:
    """Water and railways of the base map in metres: what nobody crosses without a link."""
    epsg = epsg or workspace.city().epsg
    return np.concatenate([_areas(workspace, "water", epsg), _areas(workspace, "rail", epsg)])
