"""Playback of a run in one compact file: where every household is at any time, and which roads close.

`playback.bin` is `CMPB`, the length of a JSON head (uint32), the head, and little-endian arrays, each
beginning at a multiple of 4 bytes. Positions are 1/65535 of `bbox` (west, south, east, north; degrees)
and times 1/65535 of `duration_s`. Vertices `start[i] … start[i+1]` are the way of household i, in
order of time; a household with one vertex never sets out. `status` says what becomes of it after its
last vertex. Roads that close, in order of time, are lines between vertices of their own.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap import crs
from citymap.evacuation.simulate import STATUS, Outcome
from citymap.workspace import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.evacuation.conditions import Conditions
    from citymap.evacuation.town import Town

MAGIC = b"CMPB"
NAME = "playback.bin"
STEPS = 65_535
SIMPLER_M = 2.0  # a bend of a road smaller than this is drawn straight


def write_playback(
    path: Path, town: Town, outcome: Outcome, weather: Conditions, *, flood_delay_h: float = 0.0
) -> None:
    """Write the file; the outcome was simulated with `record`."""
    households, lon, lat, time_s, start = ways(town, outcome)
    roads, road_start, closes_s = _closing(town, weather)
    every_lon = np.concatenate([lon, roads[:, 0]])
    every_lat = np.concatenate([lat, roads[:, 1]])
    bbox = [float(every_lon.min()), float(every_lat.min()), float(every_lon.max()), float(every_lat.max())]  # fmt: skip
    arrays = {
        "start": start.astype("<u4"), "road_start": road_start.astype("<u4"),
        "x": _share(lon, bbox[0], bbox[2]), "y": _share(lat, bbox[1], bbox[3]),
        "t": _share(time_s, 0.0, town.horizon_s),
        "road_x": _share(roads[:, 0], bbox[0], bbox[2]), "road_y": _share(roads[:, 1], bbox[1], bbox[3]),
        "closes": _share(closes_s, 0.0, town.horizon_s),
        "size": np.minimum(outcome.size[households], 255).astype("u1"),
        "status": outcome.status[households].astype("u1"),
        "car": outcome.by_car[households].astype("u1"),
    }  # fmt: skip
    write_arrays(path, {
        "version": 1, "bbox": bbox, "duration_s": town.horizon_s, "status": list(STATUS),
        "people": int(outcome.size.sum()), "flood_delay_s": flood_delay_h * 3600,
    }, arrays)  # fmt: skip


def write_arrays(path: Path, head: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write the head and the arrays that it then names."""
    described: dict[str, Any] = {}
    at = 0
    for name, values in arrays.items():
        described[name] = {"dtype": values.dtype.str.lstrip("|<"), "at": at, "length": len(values)}
        at += -(-values.nbytes // 4) * 4
    text = json.dumps({**head, "arrays": described}).encode()
    text += b" " * (-len(text) % 4)
    with replacing(path) as temporary, temporary.open("wb") as out:
        out.write(MAGIC + struct.pack("<I", len(text)) + text)
        for values in arrays.values():
            body = np.ascontiguousarray(values).tobytes()
            out.write(body + b"\0" * (-len(body) % 4))


def thinned(
    head: dict[str, Any], arrays: dict[str, NDArray[Any]], every: int
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The same with every so-manieth household only; the head says so as `every`."""
    start = arrays["start"].astype(np.int64)
    kept = np.arange(0, len(start) - 1, every)
    count = np.diff(start)[kept]
    first = np.concatenate([[0], np.cumsum(count)])
    rows = np.repeat(start[kept] - first[:-1], count) + np.arange(first[-1])
    out = dict(arrays) | {n: arrays[n][kept] for n in ("size", "status", "car")}
    out |= {n: arrays[n][rows] for n in ("x", "y", "t")} | {"start": first.astype("<u4")}
    return {**head, "every": every}, out


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The head and the arrays of such a file.

    Raises:
        ValueError: it is no such file.
    """
    data = path.read_bytes()
    if data[:4] != MAGIC or len(data) < 8:
        raise ValueError(path.name)
    (length,) = struct.unpack_from("<I", data, 4)
    head: dict[str, Any] = json.loads(data[8 : 8 + length])
    arrays = {
        name: np.frombuffer(data, np.dtype(a["dtype"]), a["length"], 8 + length + a["at"])
        for name, a in head["arrays"].items()
    }
    return head, arrays


def _share(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint16]:
    wide = max(high - low, 1e-12)
    return np.clip(np.rint((values - low) / wide * STEPS), 0, STEPS).astype("<u2")


Ways = tuple[
    "NDArray[np.int64]", "NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]",
    "NDArray[np.int64]",
]  # fmt: skip


def ways(town: Town, outcome: Outcome) -> Ways:
    """Vertices of every household's way: households, lon, lat, time in s, and where each begins.

    Bends of a road are passed in proportion to their distance along it; where somebody waits for
    room, the time at the end of the road is stretched with it.
    """
    network = town.network
    agent, link, time = outcome.log
    order = np.lexsort((np.arange(len(agent)), agent))
    agent, link, time = agent[order], link[order].astype(np.int64), time[order].astype(float)
    # Links as runs of points from their tail to their head, all but the last point
    points, share, first, count = _link_points(town)
    edge, backward = link >> 1, (link & 1).astype(bool)
    last_of = np.concatenate([agent[1:] != agent[:-1], [True]]) if len(agent) else np.zeros(0, bool)
    end = np.nan_to_num(outcome.end_s, nan=town.horizon_s)
    leaves = np.where(last_of, np.maximum(end[agent], time), np.concatenate([time[1:], [0.0]]))
    n = count[edge] - 1  # vertices of this link without its head
    row = np.repeat(np.arange(len(link)), n)
    k = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    at = first[edge[row]] + np.where(backward[row], count[edge[row]] - 1 - k, k)
    done = np.where(backward[row], 1 - share[at], share[at])
    x, y = points[at, 0], points[at, 1]
    t = time[row] + done * (leaves[row] - time[row])
    # From the door of the home over the network to where the household was found in the end
    homes = town.people.home[np.searchsorted(town.people.household, np.arange(len(outcome.size)))]
    every = np.arange(len(outcome.size))
    home_x, home_y = town.homes.x[homes], town.homes.y[homes]
    until = np.where(np.isfinite(outcome.end_s), outcome.end_s, town.horizon_s)
    until[agent[last_of]] = leaves[last_of]
    walks = (outcome.x != home_x) | (outcome.y != home_y)
    walks[agent] = True
    gone = every[walks]
    depart = np.minimum(np.nan_to_num(outcome.depart_s, nan=np.inf), until)
    who = np.concatenate([gone, agent[row], every]).astype(np.int64)
    x = np.concatenate([home_x[gone], x, np.where(walks, outcome.x, home_x)])
    y = np.concatenate([home_y[gone], y, np.where(walks, outcome.y, home_y)])
    t = np.concatenate([depart[gone], t, until])
    turn = np.concatenate([
        np.full(len(gone), -1), np.arange(len(row)), np.full(len(every), len(row)),
    ])  # fmt: skip
    order = np.lexsort((turn, who))
    who, x, y, t = who[order], x[order], y[order], t[order]
    start = np.searchsorted(who, np.arange(len(every) + 1))
    lon, lat = crs.unproject(x, y, network.epsg)
    return every, np.asarray(lon), np.asarray(lat), t, start


def _link_points(
    town: Town,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Points of the edges without small bends, their share of the length, first row and number."""
    lines = shapely.simplify(town.network.geometries(), SIMPLER_M)
    points, index = shapely.get_coordinates(lines, return_index=True)
    count = np.bincount(index, minlength=len(lines)).astype(np.int64)
    first = np.cumsum(count) - count
    step = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    step[first] = 0.0
    along = np.cumsum(step)
    along -= np.repeat(along[first], count)
    length = np.maximum(np.repeat(along[first + count - 1], count), 1e-9)
    return points, along / length, first, count


def _closing(
    town: Town, weather: Conditions
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Edges that are closed to adults at some time: points (lon, lat), where each begins, and when (s)."""
    closes = weather.closes_s(0)
    edges = np.flatnonzero(np.isfinite(closes))
    edges = edges[np.argsort(closes[edges], kind="stable")]
    lines = shapely.simplify(town.network.geometries()[edges], SIMPLER_M)
    points, index = shapely.get_coordinates(lines, return_index=True)
    if not len(points):
        return np.zeros((0, 2)), np.zeros(1, np.int64), np.zeros(0)
    lon, lat = crs.unproject(points[:, 0], points[:, 1], town.network.epsg)
    start = np.searchsorted(index, np.arange(len(edges) + 1))
    return np.column_stack([lon, lat]), start, closes[edges]
