"""A city made ready for one scenario: network, homes, shelters, water and closures joined."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from citymap import crs
from citymap.errors import BadInputError
from citymap.evacuation import people as crowd
from citymap.evacuation.attach import Joiner
from citymap.evacuation.closures import closed_edges, closure_files, read_closures
from citymap.evacuation.conditions import Conditions, Shut, conditions
from citymap.evacuation.homes import Homes, read_homes
from citymap.evacuation.network import Network, split, with_edge
from citymap.evacuation.network_files import read_barriers, read_lines, read_roads
from citymap.evacuation.shelters import FLOODED_M, Shelters, read_shelters
from citymap.evacuation.speed_laws import LAWS
from citymap.evacuation.stability import LIMITS
from citymap.evacuation.water import Water, read_flood
from citymap.i18n import Word
from citymap.progress import Progress, Quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.people import People
    from citymap.evacuation.scenario import Evacuation, Scenario
    from citymap.workspace import Workspace

DEFAULT_HOURS = 6.0
APART_M = 1000.0
CLOSED_DEPTH_M = 0.2  # a report of water this deep closes the road until it expires


@dataclass(frozen=True, slots=True)
class Town:
    """Everything that stays the same from replicate to replicate.

    `stop` is the node of each listed shelter (-1: does not count), `stop_off_m` the way from there
    to its door. Homes are attached to edges.
    """

    network: Network
    homes: Homes
    people: People
    shelters: Shelters
    stop: NDArray[np.int32]
    stop_off_m: NDArray[np.float64]
    water: Water
    shut: tuple[Shut, ...]
    horizon_s: float
    notes: dict[str, Any] = field(default_factory=dict)

    def conditions(self, given: Evacuation, *, flood_delay_h: float = 0.0) -> Conditions:
        """The laws of the scenario tabulated over edges and time."""
        return conditions(
            self.water.delayed(flood_delay_h) if flood_delay_h else self.water,
            law=LAWS.load()[given.speed_law], limit=LIMITS.load()[given.stability],
            horizon_s=self.horizon_s, slice_s=given.step_s, shut=self.shut,
        )  # fmt: skip


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def prepare(
    workspace: Workspace,
    scenario: Scenario,
    *,
    populated: bool = True,
    progress: Progress | None = None,
) -> Town:
    """Read and join all that a scenario names; with `populated` False without people.

    Raises:
        BadInputError: something is absent, empty, or of another place; it says what.
    """
    progress = progress or Quiet()
    given, epsg = scenario.evacuation, workspace.city().epsg
    progress.update(0, 6, "network")
    inputs = {"network": scenario.path(given.network, workspace.root)}
    network = _network(inputs["network"], workspace, given, epsg=epsg)
    barriers = read_barriers(workspace, epsg=epsg)
    progress.update(1, 6, "homes")
    homes = read_homes(workspace, epsg=epsg)
    inputs["buildings"] = workspace.buildings
    if _apart(network, homes):
        raise BadInputError("evacuation_network_elsewhere", place=inputs["network"].name)
    shelter_path = scenario.path(given.shelters, workspace.root)
    inputs["shelters"] = shelter_path
    shelters = read_shelters(shelter_path, given, homes, epsg=epsg)
    there = Joiner(network, barriers=barriers).attach(shelters.x, shelters.y)
    shelters = shelters.without(there.edge < 0, "off_network")
    joined = np.flatnonzero(there.edge >= 0)
    network, nodes, _ = split(network, there.edge[joined], there.at_m[joined])
    stop = np.full(shelters.count, -1, np.int32)
    stop[joined] = nodes
    progress.update(2, 6, "flood")
    water, horizon_h = Water.none(network.edges), given.duration_h or DEFAULT_HOURS
    if given.flood != "none":
        folder = scenario.path(given.flood, workspace.root)
        flood = read_flood(folder, network, (shelters.x, shelters.y), progress=progress)
        water = flood.water
        inputs["flood"] = folder / "flood.nc" if folder.is_dir() else folder
        # First of all reasons: the stress test must never offer to open a place under water.
        shelters = shelters.without(flood.point_peak_m >= FLOODED_M, "flooded", first=True)
        shelters = shelters.without(np.isnan(flood.point_peak_m), "flood_unknown")
        if given.duration_h is None:
            horizon_h = max(float(water.times_s[-1]) / 3600, 1.0)
    if not shelters.usable.any():
        raise BadInputError(
            "evacuation_no_usable_shelter",
            place=shelter_path.name,
            hazard=Word(f"ui.shelter.hazard_name.{given.hazard}"),
            why=_why_not(shelters),
        )
    stop[~shelters.usable] = -1
    if _latest_order_h(given) >= horizon_h:
        raise BadInputError(
            "evacuation_order_too_late", place=scenario.scenario.name or None,
            order=f"{_latest_order_h(given):g}", end=f"{horizon_h:g}",
        )  # fmt: skip
    progress.update(3, 6, "homes")
    homes = homes.joined(Joiner(network, barriers=barriers))
    progress.update(4, 6, "people")
    everybody, told = crowd.NOBODY, 0
    if populated:
        everybody, told = _people(scenario, workspace, homes, epsg, inputs)
    progress.update(5, 6, "closures")
    shut, closures = _shut(workspace, network, given.start, horizon_h)
    inputs |= {
        f"closures {p.relative_to(workspace.root).as_posix()}": p for p in closure_files(workspace)
    }
    town = Town(
        network, homes, everybody, shelters, stop, np.nan_to_num(there.off_m), water, tuple(shut),
        horizon_h * 3600,
    )  # fmt: skip
    town.notes.update(
        _notes(town), ages_given=told, closures=closures,
        inputs={k: {"file": p.name, "sha256": _digest(p)} for k, p in sorted(inputs.items())
                if p.is_file()},
        latest_order_after_flood=_latest_order_h(given) * 3600 >= _first_wet_s(water),
    )  # fmt: skip
    progress.update(6, 6, "ready")
    return town


def _network(path: Path, workspace: Workspace, given: Evacuation, *, epsg: int) -> Network:
    """The city's roads or those of another file, and the paths that the scenario adds."""
    if path.resolve() == workspace.roads.resolve():
        network = read_roads(workspace, epsg=epsg)
    else:
        network = read_lines(path, epsg=epsg, terrain_path=workspace.terrain)
    for extra in given.extra_paths:
        network = _with_path(network, np.array(extra.line, float), extra.width_m)
    return network


def _latest_order_h(given: Evacuation) -> float:
    orders = given.order_time_h
    return max(orders.values(), default=0.0) if isinstance(orders, dict) else orders


def _notes(town: Town) -> dict[str, Any]:
    """What the summary says of the town itself."""
    network, homes, shelters, water = town.network, town.homes, town.shelters, town.water
    assert homes.attached is not None  # noqa: S101  (`prepare` has joined them)
    components = network.component_sizes()
    return {
        "network": {
            "nodes": network.nodes, "edges": network.edges, "components": len(components),
            "largest_component": components[0], "bridges": int(network.bridge.sum()),
            "underpasses": int(network.underpass.sum()),
            **{n: int(getattr(network.repairs, n)) for n in network.repairs.__slots__},
        },
        "homes_off_network": int((homes.attached.edge < 0).sum()),
        "homes_across_barrier": int(homes.attached.across.sum()),
        "edges_outside_flood": water.outside,
        "edges_flooded": int((water.row >= 0).sum()),
        "shelters_used": int(shelters.usable.sum()),
        "shelters_unused": {
            i: w for i, w in zip(shelters.id, shelters.why_not, strict=True) if w
        },
        "shelters_capacity_assumed": [
            i for i, c, u in zip(shelters.id, shelters.capacity_from, shelters.usable, strict=True)
            if u and c != "given"
        ],
    }  # fmt: skip


def _apart(network: Network, homes: Homes) -> bool:
    """Whether the network lies wholly elsewhere than the buildings."""
    x, y = network.points[:, 0], network.points[:, 1]
    return bool(
        x.min() > homes.x.max() + APART_M or x.max() < homes.x.min() - APART_M
        or y.min() > homes.y.max() + APART_M or y.max() < homes.y.min() - APART_M
    )  # fmt: skip


def _why_not(shelters: Shelters) -> tuple[Word, ...]:
    """How many places fall out for what reason, the commonest first."""
    return tuple(
        Word("evacuation.unused_count", {"why": Word(f"evacuation.unused.{why}"), "count": n})
        for why, n in Counter(shelters.why_not).most_common()
    )


def _first_wet_s(water: Water) -> float:
    """When the first road is wet; infinite where none ever is."""
    if len(water.times_s) < 2 or water.row.max(initial=-1) < 0:
        return float("inf")
    wet = (water.depth_m > 0.1).any(axis=1)
    return float(water.times_s[int(wet.argmax())]) if wet.any() else float("inf")


def _with_path(network: Network, lon_lat: NDArray[np.float64], width_m: float) -> Network:
    x, y = crs.project(lon_lat[:, 0], lon_lat[:, 1], network.epsg)
    ends = Joiner(network).attach(x[[0, -1]], y[[0, -1]])
    if (ends.edge < 0).any():
        raise BadInputError("evacuation_path_off_network")
    network, nodes, _ = split(network, ends.edge, ends.at_m)
    points = np.column_stack([x, y])
    points[0] = network.x[nodes[0]], network.y[nodes[0]]
    points[-1] = network.x[nodes[1]], network.y[nodes[1]]
    return with_edge(network, int(nodes[0]), int(nodes[1]), points, width_m=width_m)


def _people(
    scenario: Scenario, workspace: Workspace, homes: Homes, epsg: int, inputs: dict[str, Path]
) -> tuple[People, int]:
    """The people of the scenario, and how many of them the files give an age.

    Raises:
        BadInputError: there is nobody.
    """
    counts = _counts(scenario, workspace, homes, epsg, inputs)
    if not counts.any():
        raise BadInputError(
            "evacuation_nobody", place=inputs.get("population", workspace.buildings).name
        )
    told = int(counts[:, : crowd.UNTOLD].sum())
    return crowd.populate(counts, stream(scenario.scenario.seed, 0, "people")), told


def _counts(
    scenario: Scenario, workspace: Workspace, homes: Homes, epsg: int, inputs: dict[str, Path]
) -> NDArray[np.int64]:
    given = scenario.evacuation
    counts = _residents(scenario, workspace, homes, epsg, inputs)
    if given.population.visitors is not None:
        path = scenario.path(given.population.visitors, workspace.root)
        inputs["visitors"] = path
        counts = counts + crowd.counts_of_file(
            path, homes, night=given.night, epsg=epsg, hour=_hour(given)
        )
    return counts


def _hour(given: Evacuation) -> int | None:
    """The hour of the people: as given, else the Japanese hour of the start."""
    if given.population.hour is not None or given.start is None:
        return given.population.hour
    return given.start.astimezone(timezone(timedelta(hours=9))).hour


def _residents(
    scenario: Scenario, workspace: Workspace, homes: Homes, epsg: int, inputs: dict[str, Path]
) -> NDArray[np.int64]:
    given = scenario.evacuation
    if given.population.file is not None:
        path = scenario.path(given.population.file, workspace.root)
        inputs["population"] = path
        return crowd.counts_of_file(path, homes, night=given.night, epsg=epsg, hour=_hour(given))
    weights = crowd.capacity_weights(homes, night=given.night)
    total = given.population.from_buildings
    if total is True:
        total = round(float(weights.sum()))
    return crowd.of_untold_age(crowd.shared_out(int(total or 0), weights))


def _shut(
    workspace: Workspace, network: Network, start: datetime | None, horizon_h: float
) -> tuple[list[Shut], list[str]]:
    """Closures as seconds of the scenario; without its start time, those valid now, throughout."""
    shut, ids = [], []
    for closure in read_closures(workspace):
        if closure.depth_m is not None and closure.depth_m < CLOSED_DEPTH_M:
            continue
        if start is None:
            if not closure.valid_at():
                continue
            first, last = 0.0, np.inf
        else:
            zero = start if start.tzinfo else start.replace(tzinfo=UTC)
            first = (closure.valid_from - zero).total_seconds() if closure.valid_from else 0.0
            last = (closure.valid_until - zero).total_seconds() if closure.valid_until else np.inf
            if last <= 0 or first >= horizon_h * 3600:
                continue
        edges = closed_edges(network, [closure.shape])
        if edges.any():
            shut.append(Shut(edges, max(first, 0.0), last))
            ids.append(closure.id)
    return shut, ids


def stream(seed: int, replicate: int, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose: the same for two plans of one seed, whatever else they draw."""
    tag = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "little")
    return np.random.Generator(np.random.Philox(key=[seed, (replicate << 32) | tag]))
