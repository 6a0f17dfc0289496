"""退避期限: the latest safe departure of every building, by a search back from the shelters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from citymap.evacuation import _kernels
from citymap.evacuation.columns import LEAVE_BY
from citymap.evacuation.conditions import Conditions, Worst, dry_speeds
from citymap.evacuation.person import MOBILITY
from citymap.evacuation.slope import slope_factor
from citymap.evacuation.town import prepare
from citymap.progress import Part, Progress, Quiet
from citymap.workspace import write_table, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.homes import Homes
    from citymap.evacuation.network import Network
    from citymap.evacuation.scenario import Scenario
    from citymap.workspace import Workspace

NIGHT_FACTOR = 0.8  # 内閣府: walking by night
LINK = np.dtype([("dry", np.float64), ("calm", np.float64), ("to", np.int64)])
ROUNDED_MIN = 10  # what residents read is a full ten minutes, rounded down


@dataclass(frozen=True, slots=True)
class Latest:
    """Latest departure of every node for one class: s (infinite: never cut off; -inf: no way),
    the first link of the way, the row of the shelter, and the metres to it."""

    at_s: NDArray[np.float64]
    next_link: NDArray[np.int32]
    shelter: NDArray[np.int32]
    metres: NDArray[np.float64]


def latest_departures(
    network: Network,
    weather: Conditions,
    stop: NDArray[np.int32],
    *,
    cls: int,
    off_m: NDArray[np.float64] | None = None,
    arrive_by_s: float = np.inf,
    factor: float = 1.0,
) -> Latest:
    """Latest departure of every node on foot for a class to reach any of the stops.

    Exact for the discretised problem: roads in slices of time, what has become worse staying so,
    the speed changing on the way; nobody is on a link when it closes. `stop` are nodes (-1: not
    used), `off_m` the last metres to the door.
    """
    worst = weather.worst(cls)
    v = float(dry_speeds()[cls]) * factor
    v_link = np.repeat(network.foot, 2) * v * slope_factor(network)
    usable = np.flatnonzero(stop >= 0)
    last = np.zeros(len(stop)) if off_m is None else off_m / v
    at, nxt = np.empty(network.nodes), np.empty(network.nodes, np.int32)
    label = np.empty(network.nodes, np.int32)
    length = np.maximum(network.length_m, 0.1)
    sources = stop[usable].astype(np.int32)
    _kernels.latest_departure(
        network.start, network.out, *backwards(network, weather.row, worst, v_link, length), worst.speeds,
        weather.speeds.shape[1], weather.slice_s, sources, arrive_by_s - last[usable], nxt, at, label,
    )  # fmt: skip
    endless = at == np.inf
    if endless.any():
        # Never cut off: any of many ways would do, so take the shortest that stays open.
        final = np.full(network.edges, np.inf)
        rows = weather.row >= 0
        final[rows] = worst.last()[weather.row[rows]]
        speed = np.minimum(v_link, np.repeat(final, 2))
        cost = np.divide(
            np.repeat(length, 2), speed, out=np.full(2 * network.edges, np.inf), where=speed > 0
        )
        way, reach = np.empty(network.nodes, np.int32), np.empty(network.nodes)
        goal = np.empty(network.nodes, np.int32)
        _kernels.nearest(
            network.start, network.out, network.head, cost, sources, last[usable],
            True, way, reach, goal,
        )  # fmt: skip
        nxt[endless], label[endless] = way[endless], goal[endless]
    metres = np.empty(network.nodes)
    _kernels.lengths_of_ways(nxt, network.head, length, metres)
    metres += 0.0 if off_m is None else np.where(label >= 0, off_m[usable][label], 0.0)
    metres[label < 0] = np.nan
    return Latest(at, nxt, np.where(label >= 0, usable[label], -1).astype(np.int32), metres)


def backwards(
    network: Network,
    row: NDArray[np.int32],
    worst: Worst,
    v_link: NDArray[np.float64],
    length: NDArray[np.float64],
) -> tuple[NDArray[np.void], NDArray[np.float64], NDArray[np.void]]:
    """The links that lead to each node in the order in which a search back from shelters meets them:
    where they begin with their dry seconds (infinite: not theirs), their metres, and their limits.

    `row` is the row of each edge among the limits (-1: none).
    """
    toward = network.out ^ 1
    v, metres, of = v_link[toward], length[toward >> 1], row[toward >> 1]
    limits = np.append(worst.rows, np.array([(np.inf, np.inf, 0, 0, 0)], worst.rows.dtype))[of]
    links = np.empty(len(toward), LINK)
    links["to"], links["calm"] = network.head[network.out], limits["calm"]
    links["dry"] = np.divide(metres, v, out=np.full(len(v), np.inf), where=v > 0)
    return links, metres, limits


def of_homes(
    network: Network,
    homes: Homes,
    weather: Conditions,
    latest: Latest,
    *,
    cls: int,
    factor: float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
    """Latest departure (s), row of the shelter and metres for every home."""
    at = homes.attached
    assert at is not None  # noqa: S101  (`prepare` attached them)
    edge = np.maximum(at.edge, 0)
    along = np.clip(at.at_m, 0, network.length_m[edge])
    off = np.nan_to_num(at.off_m)
    leg = np.column_stack([off + along, off + network.length_m[edge] - along])
    node = np.column_stack([network.u[edge], network.v[edge]])
    worst = weather.worst(cls)
    n = homes.count
    when, goal, metres = np.empty(n), np.empty(n, np.int32), np.empty(n)
    _kernels.latest_from_homes(
        latest.at_s, latest.shelter, np.nan_to_num(latest.metres), node, leg, at.edge,
        float(dry_speeds()[cls]) * factor, weather.row, worst.rows, worst.speeds, weather.slice_s,
        when, goal, metres,
    )  # fmt: skip
    return when, goal, metres


def leave_by(
    workspace: Workspace, scenario: Scenario, out: Path, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Write `leave_by.parquet` for every building and mobility class of the scenario.

    Shelters are those that count in `run`; that they fill is not looked at. Times are hours from
    the start of the flood result, without the margin, which `spoken` subtracts.

    Raises:
        BadInputError: something the scenario names cannot be used.
    """
    progress = progress or Quiet()
    given = scenario.evacuation
    town = prepare(workspace, scenario, populated=False, progress=Part(progress, 0, 0.7))
    progress = Part(progress, 0.7, 1)
    weather = town.conditions(given)
    factor = NIGHT_FACTOR if given.night else 1.0
    ids = np.array([*town.shelters.id, None], object)
    tables, counts = [], {}
    for k, name in enumerate(given.mobility):
        progress.update(k, len(given.mobility), name)
        cls = MOBILITY.index(name)
        latest = latest_departures(
            town.network, weather, town.stop, cls=cls, off_m=town.stop_off_m, factor=factor
        )
        when, goal, metres = of_homes(
            town.network, town.homes, weather, latest, cls=cls, factor=factor
        )
        late = when < 0  # no way, or it would have had to begin before the flood result does
        hours = np.where(late, np.nan, when / 3600)
        goal = np.where(late, -1, goal)
        tables.append(
            pa.table({
                "building_id": pa.array(town.homes.building_id, pa.string()),
                "mobility": pa.array([name] * town.homes.count, pa.string()),
                "leave_by_h": pa.array([None if a else float(h) for a, h in zip(late, hours, strict=True)], pa.float64()),
                "shelter_id": pa.array(ids[goal], pa.string()),
                "route_length_m": pa.array(
                    np.where(late, np.nan, np.round(metres, 1)), pa.float64(), from_pandas=True
                ),
            })
        )  # fmt: skip
        counts[name] = {
            "never_cut_off": int((when == np.inf).sum()),
            "must_leave_in_time": int(((when >= 0) & (when < np.inf)).sum()),
            "no_way": int(late.sum()),
        }
    write_table(out / "leave_by.parquet", pa.concat_tables(tables), LEAVE_BY)
    summary = {
        "name": scenario.scenario.name, "margin_min": given.margin_min, "buildings": town.homes.count,
        "start": given.start.isoformat() if given.start else None, "mobility": counts,
        "slice_s": weather.slice_s, "scenario": given.model_dump(mode="json"), **town.notes,
    }  # fmt: skip
    text = json.dumps(summary, ensure_ascii=False, indent=1, default=str)
    write_text(out / "leave_by.json", text + "\n")
    progress.update(1, 1, "leave-by")
    return summary


def spoken(leave_by_h: float, *, start: datetime, margin_min: float) -> datetime | None:
    """The time that residents are told: margin subtracted, rounded down to ten minutes.

    None where nothing cuts the way off (infinite) or where there is no way (NaN).
    """
    if not np.isfinite(leave_by_h):
        return None
    at = start + timedelta(hours=leave_by_h) - timedelta(minutes=margin_min)
    return at.replace(minute=at.minute - at.minute % ROUNDED_MIN, second=0, microsecond=0)
