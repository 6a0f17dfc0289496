"""Writes what an evacuation came to: summary, people, links, shelters, arrivals, trips."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely

from citymap import crs
from citymap.evacuation.assumptions import assumptions
from citymap.evacuation.bottlenecks import NAME as BOTTLENECKS
from citymap.evacuation.bottlenecks import stranded_on, write_bottlenecks
from citymap.evacuation.columns import LINKS, PEOPLE
from citymap.evacuation.people import AGES
from citymap.evacuation.person import MOBILITY
from citymap.evacuation.playback import NAME as PLAYBACK
from citymap.evacuation.playback import write_playback
from citymap.evacuation.simulate import (
    EN_ROUTE,
    EVACUATED,
    REASON,
    STATUS,
    STAYED,
    STRANDED,
    VERTICAL,
    Outcome,
    draw_of,
)
from citymap.workspace import replacing, write_table, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.conditions import Conditions
    from citymap.evacuation.network import Network
    from citymap.evacuation.scenario import Scenario
    from citymap.evacuation.town import Town

ARRIVALS_S = 300.0


def figures(town: Town, outcome: Outcome) -> dict[str, Any]:
    """The counts of one run: every person is in exactly one of them."""
    out: dict[str, Any] = {"people": town.people.count}
    for k, name in enumerate(STATUS):
        out[name] = outcome.people(k)
    gone = outcome.status == EVACUATED
    minutes = (outcome.end_s - outcome.depart_s)[gone] / 60
    weight = outcome.size[gone]
    out["mean_travel_min"] = float(np.average(minutes, weights=weight)) if len(minutes) else None
    out["mean_distance_m"] = (
        float(np.average(outcome.walked_m[gone], weights=weight)) if len(minutes) else None
    )
    out["last_arrival_h"] = float(outcome.end_s[gone].max() / 3600) if len(minutes) else None
    out["turned_away"] = int(outcome.turned_away.sum())
    out["squeezed_in"] = outcome.forced
    stuck = outcome.status == STRANDED
    out["stranded_by_reason"] = {
        REASON[r]: int(outcome.size[stuck & (outcome.reason == r)].sum())
        for r in np.unique(outcome.reason[stuck])
    }
    return out


def by_group(town: Town, outcome: Outcome) -> dict[str, dict[str, int]]:
    """Stranded people by age and by district of their home."""
    stuck = (outcome.status == STRANDED)[town.people.household]
    age: dict[str, int] = {}
    for k, (name, _) in enumerate(AGES):
        age[name] = int((stuck & (town.people.age == k)).sum())
    district: dict[str, int] = {}
    for home in town.people.home[stuck]:
        key = town.homes.district_id[home] or ""
        district[key] = district.get(key, 0) + 1
    return {"age": age, "district": dict(sorted(district.items()))}


def write_outcome(
    folder: Path,
    town: Town,
    scenario: Scenario,
    outcome: Outcome,
    weather: Conditions,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write every file of a run; returns the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    _people(folder / "people.parquet", town, outcome)
    _links(folder / "links.parquet", town, outcome, weather)
    write_bottlenecks(folder / BOTTLENECKS, town, outcome, weather)
    _shelters(folder / "shelters.csv", town, outcome)
    _arrivals(folder / "arrivals.csv", town, outcome)
    if len(outcome.log[0]):
        _trips(folder / "trips", town, outcome)
        late = draw_of(scenario.evacuation, scenario.scenario.seed, 0).flood_delay_h
        write_playback(folder / "trips" / PLAYBACK, town, outcome, weather, flood_delay_h=late)
    else:
        (folder / "trips" / PLAYBACK).unlink(missing_ok=True)
    summary = {
        "name": scenario.scenario.name, "seed": scenario.scenario.seed,
        "duration_h": town.horizon_s / 3600, **figures(town, outcome),
        "stranded_by": by_group(town, outcome), "replicates": 1, **(extra or {}),
        "scenario": scenario.evacuation.model_dump(mode="json"),
        "assumptions": assumptions(town, scenario), **town.notes,
    }  # fmt: skip
    text = json.dumps(summary, ensure_ascii=False, indent=1, default=str)
    write_text(folder / "summary.json", text + "\n")
    return summary


def _hours(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(seconds / 3600, 6)


def _people(path: Path, town: Town, outcome: Outcome) -> None:
    people, group = town.people, town.people.household
    status, reason = outcome.status[group], outcome.reason[group]
    lon, lat = crs.unproject(outcome.x, outcome.y, town.network.epsg)
    ids = np.array([*town.shelters.id, None], object)
    stuck = status == STRANDED

    def pick(names: Any, index: NDArray[np.integer]) -> pa.Array:
        return pa.array(np.array(names, object)[index], pa.string())

    def hours(seconds: NDArray[np.float64]) -> pa.Array:
        return pa.array(_hours(seconds)[group], pa.float64(), from_pandas=True)

    columns = {
        "person_id": pa.array(np.arange(people.count)),
        "building_id": pick(town.homes.building_id, people.home),
        "district_id": pick(town.homes.district_id, people.home),
        "age": pick([a for a, _ in AGES], people.age), "mobility": pick(MOBILITY, people.mobility),
        "household": pa.array(group.astype(np.int64)),
        "mode": pick(["foot", "car"], outcome.by_car[group].astype(int)),
        "status": pick(STATUS, status),
        "reason": pick([*REASON, None], np.where(stuck, reason, len(REASON))),
        "departure_h": hours(outcome.depart_s), "end_h": hours(outcome.end_s),
        "shelter_id": pa.array(ids[outcome.shelter[group]], pa.string()),
        "distance_m": pa.array(np.round(outcome.walked_m[group], 1)),
        "lon": pa.array(np.round(lon, 7)[group]), "lat": pa.array(np.round(lat, 7)[group]),
    }  # fmt: skip
    write_table(path, pa.table(columns), PEOPLE)


def lines_lon_lat(network: Network) -> NDArray[np.object_]:
    """Edges of a network as LineStrings in lon, lat."""
    lon, lat = crs.unproject(network.points[:, 0], network.points[:, 1], network.epsg)
    index = np.repeat(np.arange(network.edges), np.diff(network.point_start))
    return np.asarray(shapely.linestrings(np.column_stack([lon, lat]), indices=index), object)


def _links(path: Path, town: Town, outcome: Outcome, weather: Conditions) -> None:
    network = town.network
    stranded = stranded_on(town, outcome)

    def both(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values.reshape(-1, 2).sum(axis=1), float)

    area = np.maximum(network.length_m * network.width_m, 0.1)
    columns = {
        "edge_id": network.source, "length_m": np.round(network.length_m, 3),
        "width_m": network.width_m, "bridge": network.bridge, "underpass": network.underpass,
        "passed": both(outcome.passed), "delay_person_h": both(outcome.delay_s) / 3600,
        "peak_density_m2": outcome.peak.reshape(-1, 2).max(axis=1) / area, "stranded": stranded,
        "closes_h": pa.array(_hours(weather.closes_s(0)), pa.float64(), from_pandas=True),
        "max_depth_m": np.round(town.water.peak_m(), 3),
        "geometry": pa.array(shapely.to_wkb(lines_lon_lat(network)), pa.binary()),
    }  # fmt: skip
    write_table(path, pa.table(columns), LINKS)


def _csv(path: Path, head: list[str], rows: list[list[Any]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_text(path, out.getvalue())


def _plain(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in "=+-@\t\r＝＋－＠" else text


def _shelters(path: Path, town: Town, outcome: Outcome) -> None:
    rows = []
    for k in range(town.shelters.count):
        if not town.shelters.usable[k]:
            continue
        full = outcome.full_at_s[k]
        rows.append([
            _plain(town.shelters.id[k]), _plain(town.shelters.name[k]), int(town.shelters.capacity[k]),
            int(outcome.used[k]), int(outcome.turned_away[k]),
            "" if np.isnan(full) else round(float(full) / 3600, 4),
        ])  # fmt: skip
    _csv(path, ["shelter_id", "name", "capacity", "arrived", "turned_away", "full_at_h"], rows)


def arrivals(town: Town, outcome: Outcome) -> NDArray[np.float64]:
    """Rows of (hour, arrived, en route, waiting, stranded, upstairs, stayed): everybody, every time."""
    times = np.arange(0.0, town.horizon_s + 1, ARRIVALS_S)
    left, end, size = outcome.depart_s, outcome.end_s, outcome.size
    moves = np.isin(outcome.status, (EVACUATED, EN_ROUTE, STRANDED, 0))
    gone = outcome.status == EVACUATED
    stuck = outcome.status == STRANDED
    out = np.zeros((len(times), 7))
    out[:, 5:] = outcome.people(VERTICAL), outcome.people(STAYED)
    for k, t in enumerate(times):
        arrived = gone & (end <= t)
        held = stuck & (end <= t)
        way = moves & ~arrived & ~held & (left <= t)
        home = moves & ~arrived & ~held & ~way
        out[k, :5] = (
            t / 3600,
            size[arrived].sum(),
            size[way].sum(),
            size[home].sum(),
            size[held].sum(),
        )
    return out


def _arrivals(path: Path, town: Town, outcome: Outcome) -> None:
    rows = [[round(float(r[0]), 4), *(int(v) for v in r[1:])] for r in arrivals(town, outcome)]
    _csv(path, ["t_h", "arrived", "en_route", "waiting", "stranded", "vertical", "stayed"], rows)


def _trips(folder: Path, town: Town, outcome: Outcome) -> None:
    """Playback: for each household the nodes passed and when, as flat little-endian arrays.

    `trips.json` names the arrays; times in s, positions lon, lat (float32 offsets from `origin`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    agent, link, time = outcome.log
    order = np.lexsort((np.arange(len(agent)), agent))
    agent, link, time = agent[order], link[order], time[order]
    network = town.network
    head, tail = network.head, network.tail
    first = np.concatenate([[True], agent[1:] != agent[:-1]]) if len(agent) else np.zeros(0, bool)
    who = agent[first]
    lon, lat = crs.unproject(network.x, network.y, network.epsg)
    origin = [float(lon.min()), float(lat.min())]
    end = np.nan_to_num(outcome.end_s, nan=town.horizon_s)
    nodes, times, start = [], [], [0]
    bounds = np.concatenate([np.flatnonzero(first), [len(agent)]])
    for k, a in enumerate(who):
        i, j = bounds[k], bounds[k + 1]
        nodes += [tail[link[i:j]], head[link[j - 1 : j]]]
        times += [time[i:j], [max(end[a], time[j - 1])]]
        start.append(start[-1] + j - i + 1)
    arrays = {
        "node_lon": (lon - origin[0]).astype("<f4"), "node_lat": (lat - origin[1]).astype("<f4"),
        "agent_size": outcome.size[who].astype("<i4"), "agent_status": outcome.status[who].astype("u1"),
        "agent_car": outcome.by_car[who].astype("u1"), "start": np.array(start, "<i4"),
        "node": np.concatenate(nodes).astype("<i4") if nodes else np.zeros(0, "<i4"),
        "time_s": np.concatenate(times).astype("<f4") if times else np.zeros(0, "<f4"),
    }  # fmt: skip
    for name, values in arrays.items():
        with replacing(folder / f"{name}.bin") as temporary:
            temporary.write_bytes(np.ascontiguousarray(values).tobytes())
    described = {
        n: {"file": f"{n}.bin", "dtype": v.dtype.str.lstrip("|<"), "length": len(v)}
        for n, v in arrays.items()
    }
    text = json.dumps({
        "version": 1, "origin": origin, "duration_s": town.horizon_s, "status": list(STATUS),
        "arrays": described,
    }, ensure_ascii=False)  # fmt: skip
    write_text(folder / "trips.json", text)
