"""`citymap evacuate stress`: the shelters of a scenario at their limit, and the cheapest remedies."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from citymap.evacuation import _kernels
from citymap.evacuation.attach import Joiner
from citymap.evacuation.columns import STRESS
from citymap.evacuation.results import figures
from citymap.evacuation.shelters import M2_PER_PERSON
from citymap.evacuation.simulate import simulate
from citymap.evacuation.slope import slope_factor
from citymap.evacuation.stress.assignment import Assignment, assign
from citymap.evacuation.town import Town, prepare
from citymap.progress import Progress, Quiet
from citymap.workspace import write_table, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.scenario import Scenario
    from citymap.workspace import Workspace

SPEED_M_S = 1.0
PRIVATE_FLOORS = 12  # how many candidates among private buildings are tried
LEAST_PLACES = 50
DWELLING_CODES = ("411", "412", "413", "414", "415")  # 建物利用現況, where no codelist names them


@dataclass(frozen=True, slots=True)
class Fix:
    """A remedy and what it brings: people no longer turned away (or stranded), minutes saved.

    `name` is what people call the place, where it has one.
    """

    kind: str
    id: str
    people: float
    person_min: float
    cost: float
    note: str = ""
    name: str = ""


def seconds_to(
    town: Town, nodes: NDArray[np.int32], off_m: NDArray[np.float64], homes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Walk in seconds from homes to each node (homes, nodes) on dry roads that are not shut."""
    network, at = town.network, town.homes.attached
    assert at is not None  # noqa: S101  (`prepare` attached them)
    usable = network.foot.copy()
    for s in town.shut:
        usable &= ~s.edges
    cost = np.repeat(network.length_m, 2) / (SPEED_M_S * slope_factor(network))
    cost[np.repeat(~usable, 2)] = np.inf
    edge = np.maximum(at.edge[homes], 0)
    off = np.nan_to_num(at.off_m[homes])
    along = np.clip(at.at_m[homes], 0, network.length_m[edge])
    out = np.full((len(homes), len(nodes)), np.inf)
    nxt, label = np.empty(network.nodes, np.int32), np.empty(network.nodes, np.int32)
    distance = np.empty(network.nodes)
    joined = (at.edge[homes] >= 0) & usable[edge]
    for k, node in enumerate(nodes):
        if node < 0:
            continue
        _kernels.nearest(
            network.start, network.out, network.head, cost, np.array([node], np.int32),
            np.array([off_m[k] / SPEED_M_S]), True, nxt, distance, label,
        )  # fmt: skip
        either = np.minimum(
            distance[network.u[edge]] + (off + along) / SPEED_M_S,
            distance[network.v[edge]] + (off + network.length_m[edge] - along) / SPEED_M_S,
        )
        out[joined, k] = either[joined]
    return out


def stress(
    workspace: Workspace, scenario: Scenario, out: Path, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Find the best places for all who must leave, and rank what would help most.

    Everybody not staying upstairs by the verdict asks for a place; each goes to the shelter that
    is best for all together, which is the least that any order of arrival can turn away. Remedies
    are each tried for themselves: shelters of the list that do not count, private upper floors,
    extra paths of the scenario, an order one hour earlier (by simulation, same random numbers).

    Raises:
        BadInputError: something the scenario names cannot be used.
    """
    progress = progress or Quiet()
    given = scenario.evacuation
    town = prepare(workspace, scenario, progress=progress)
    stays = town.homes.stays[town.people.home]
    counts = np.bincount(town.people.home[~stays], minlength=town.homes.count)
    homes = np.flatnonzero(counts)
    size = counts[homes].astype(np.int64)
    use = np.flatnonzero(town.stop >= 0)
    seconds = seconds_to(town, town.stop[use], town.stop_off_m[use], homes)
    best = assign(seconds, size, town.shelters.capacity[use])
    fixes = [
        *_openings(town, seconds, size, best, homes, use),
        *_private_floors(town, seconds, size, best, homes, use, progress),
        *_paths(workspace, scenario, best),
        *_earlier(town, scenario),
    ]
    fixes.sort(key=lambda f: (-f.people / f.cost, -f.person_min / f.cost, f.kind, f.id))
    _write(out, town, best, homes, use, fixes)
    summary: dict[str, Any] = {
        "name": scenario.scenario.name, "people": int(size.sum()),
        "upstairs": int(stays.sum()), "places": int(town.shelters.capacity[use].sum()),
        "served": int(size.sum()) - best.turned_away, "turned_away": best.turned_away,
        "mean_walk_min": best.walk_s / max(int(size.sum()) - best.turned_away, 1) / 60,
        "certificate": {"primal": best.primal, "dual": best.dual, "optimal": best.certified()},
        "fixes": [
            {"kind": f.kind, "id": f.id, "name": f.name, "people": f.people, "person_min": f.person_min,
             "cost": f.cost, "note": f.note}
            for f in fixes
        ],
        "scenario": given.model_dump(mode="json"), **town.notes,
    }  # fmt: skip
    text = json.dumps(summary, ensure_ascii=False, indent=1, default=str)
    write_text(out / "stress.json", text + "\n")
    progress.update(1, 1, "stress")
    return summary


def _fix(
    kind: str, name: str, before: Assignment, after: Assignment, cost: float, note: str
) -> Fix:
    return Fix(
        kind, name, before.turned_away - after.turned_away, (before.walk_s - after.walk_s) / 60,
        cost, note,
    )  # fmt: skip


def _openings(
    town: Town,
    seconds: NDArray[np.float64],
    size: NDArray[np.int64],
    best: Assignment,
    homes: NDArray[np.int64],
    use: NDArray[np.int64],
) -> list[Fix]:
    """Listed places that do not count because they are closed, not designated or without capacity."""
    found = []
    places = Joiner(town.network).attach(town.shelters.x, town.shelters.y)
    for k, why in enumerate(town.shelters.why_not):
        if why not in ("closed", "not_designated") or places.edge[k] < 0:
            continue
        edge = int(places.edge[k])
        near_u = places.at_m[k] <= town.network.length_m[edge] / 2
        node = town.network.u[edge] if near_u else town.network.v[edge]
        rest = places.at_m[k] if near_u else town.network.length_m[edge] - places.at_m[k]
        way = seconds_to(
            town, np.array([node], np.int32), np.array([places.off_m[k] + rest]), homes
        )
        after = assign(
            np.hstack([seconds, way]), size,
            np.append(town.shelters.capacity[use], town.shelters.capacity[k]),
        )  # fmt: skip
        fix = _fix("shelter", town.shelters.id[k], best, after, 1.0, why)
        found.append(replace(fix, name=town.shelters.name[k]))
    return found


def _private_floors(
    town: Town,
    seconds: NDArray[np.float64],
    size: NDArray[np.int64],
    best: Assignment,
    homes: NDArray[np.int64],
    use: NDArray[np.int64],
    progress: Progress,
) -> list[Fix]:
    """Large buildings with dry floors (verdict stay_upstairs): half their floor area, the upper one."""
    at = town.homes.attached
    assert at is not None  # noqa: S101
    room = (town.homes.floor_area_m2 / 2 // M2_PER_PERSON).astype(np.int64)
    dwelling = np.array(["住宅" in (u or "") for u in town.homes.usage]) | np.isin(
        np.array([c or "" for c in town.homes.usage_code], str), DWELLING_CODES
    )
    candidates = np.flatnonzero(
        town.homes.stays & ~dwelling & (room >= LEAST_PLACES) & (at.edge >= 0)
    )
    candidates = candidates[np.argsort(-room[candidates], kind="stable")][:PRIVATE_FLOORS]
    found = []
    for done, k in enumerate(candidates):
        progress.update(done, len(candidates), "private floors")
        edge = int(at.edge[k])
        node = town.network.u[edge]
        way = seconds_to(
            town, np.array([node], np.int32), np.array([at.off_m[k] + at.at_m[k]]), homes
        )
        after = assign(
            np.hstack([seconds, way]), size, np.append(town.shelters.capacity[use], room[k])
        )
        found.append(
            _fix(
                "private_floor",
                town.homes.building_id[k],
                best,
                after,
                1.0,
                f"{int(room[k])} places",
            )
        )
    return found


def _paths(workspace: Workspace, scenario: Scenario, best: Assignment) -> list[Fix]:
    """What each extra path of the scenario is worth: the plan with it against the plan without."""
    found = []
    paths = scenario.evacuation.extra_paths
    for k, path in enumerate(paths):
        others = tuple(p for j, p in enumerate(paths) if j != k)
        without = scenario.model_copy(
            update={"evacuation": scenario.evacuation.model_copy(update={"extra_paths": others})}
        )
        other = prepare(workspace, without)
        stays = other.homes.stays[other.people.home]
        counts = np.bincount(other.people.home[~stays], minlength=other.homes.count)
        homes = np.flatnonzero(counts)
        use = np.flatnonzero(other.stop >= 0)
        before = assign(
            seconds_to(other, other.stop[use], other.stop_off_m[use], homes),
            counts[homes].astype(np.int64), other.shelters.capacity[use],
        )  # fmt: skip
        found.append(_fix("path", str(k), before, best, path.cost, "in the plan"))
    return found


def _earlier(town: Town, scenario: Scenario) -> list[Fix]:
    """An order one hour earlier, by simulation with the same random numbers."""
    given, seed = scenario.evacuation, scenario.scenario.seed
    orders = given.order_time_h
    first = min(orders.values(), default=0.0) if isinstance(orders, dict) else orders
    hours = min(1.0, first)
    if hours <= 0:
        return []
    moved = (
        {k: v - hours for k, v in orders.items()} if isinstance(orders, dict) else orders - hours
    )
    weather = town.conditions(given)
    now = figures(town, simulate(town, given, seed=seed, weather=weather))
    earlier = given.model_copy(update={"order_time_h": moved})
    then = figures(town, simulate(town, earlier, seed=seed, weather=weather))
    return [
        Fix(
            "order_earlier",
            f"{hours:g} h",
            now["stranded"] - then["stranded"],
            0.0,
            1.0,
            "stranded, simulated",
        )
    ]


def _write(
    out: Path,
    town: Town,
    best: Assignment,
    homes: NDArray[np.int64],
    use: NDArray[np.int64],
    fixes: list[Fix],
) -> None:
    group, place = np.nonzero(best.flow)
    ids = np.array([*(town.shelters.id[k] for k in use), None], object)
    away = place == len(use)
    minutes = np.where(away, np.nan, best.cost_s[group, place] / 60)
    write_table(
        out / "stress.parquet",
        pa.table({
            "building_id": pa.array([town.homes.building_id[homes[g]] for g in group], pa.string()),
            "district_id": pa.array([town.homes.district_id[homes[g]] for g in group], pa.string()),
            "people": pa.array(best.flow[group, place]),
            "shelter_id": pa.array(ids[place], pa.string()),
            "walk_min": pa.array(minutes, pa.float64(), from_pandas=True),
        }),
        STRESS,
    )  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["shelter_id", "name", "capacity", "assigned", "one_more_place_saves_min"])
    for j, k in enumerate(use):
        saved = min(int(best.gain_s[j]), 10**9) / 60
        writer.writerow([town.shelters.id[k], town.shelters.name[k], int(town.shelters.capacity[k]),
                         int(best.flow[:, j].sum()), round(saved, 1)])  # fmt: skip
    write_text(out / "stress_shelters.csv", text.getvalue())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "id", "name", "people", "person_min", "cost", "note"])
    for f in fixes:
        saved = round(f.person_min, 1)
        writer.writerow([f.kind, f.id, f.name, round(f.people, 2), saved, f.cost, f.note])
    write_text(out / "fixes.csv", text.getvalue())
