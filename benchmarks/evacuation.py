"""E1, E2: leave-by times and 100,000 people in motion, beside scipy, SUMO meso and uxsim.

python benchmarks/evacuation.py [--people 100000] [--side 316] [--peers] [--replicates 100]

`--peers` installs SUMO and uxsim into an environment of their own (below .bench/). Times are seconds of
the processor, for all alike: the machine is shared. Compared are person (vehicle) seconds under way per
processor second: ours for the whole town, the peers' on grids of a stated, smaller size, since they do not
end on it; each is stopped after 5 minutes and then said to have failed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from citymap.evacuation import _kernels
from citymap.evacuation.attach import Attached
from citymap.evacuation.conditions import Conditions, dry_speeds
from citymap.evacuation.homes import Homes
from citymap.evacuation.leave_by import backwards, latest_departures, of_homes
from citymap.evacuation.movement import _kernels as movement
from citymap.evacuation.network import Network, build, lines
from citymap.evacuation.person import MOBILITY, PEOPLE
from citymap.evacuation.simulate import agent_table, world_of

BENCH = Path(__file__).parent.parent / ".bench"
HORIZON_S = 3 * 3600.0
SLICE_S = 60.0
PEER_LIMIT_S = 300.0  # of one program of a peer, by the clock


def network(side: int, rng: np.random.Generator) -> Network:
    """A town of side × side crossings 30 m apart, a tenth of the streets doubled by diagonals."""
    step = 30.0
    at = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2) * step
    at = at + rng.uniform(-6, 6, at.shape)
    number = np.arange(side * side).reshape(side, side)
    ends = [
        np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], 1),
        np.stack([number[:-1].ravel(), number[1:].ravel()], 1),
    ]
    diagonal = np.stack([number[:-1, :-1].ravel(), number[1:, 1:].ravel()], 1)
    ends.append(diagonal[rng.random(len(diagonal)) < 0.1])
    uv = np.concatenate(ends)
    # Crossings only at nodes: the lines are given their ends, and no two of them cross.
    shapes = shapely.linestrings(at[uv])
    made = build(lines(shapes, ends=uv, width_m=np.full(len(uv), 4.0)), epsg=6677)
    return made


def water(town: Network, rng: np.random.Generator) -> Conditions:
    """A flood that comes from the west: roads slow down and close one after the other."""
    x = town.x[town.u] / town.x.max()
    slices = int(HORIZON_S / SLICE_S)
    wet = np.flatnonzero(x < 0.6)
    row = np.full(town.edges, -1, np.int32)
    row[wet] = np.arange(len(wet))
    comes = (x[wet] * 200 + rng.uniform(0, 40, len(wet)) + 20).astype(int)  # minutes
    speeds = np.full((len(PEOPLE) + 1, slices, len(wet)), np.inf, np.float32)
    k = np.arange(slices)[:, None]
    for c, person in enumerate(PEOPLE):
        slow = np.where(k >= comes[None], 0.6 * person.speed_m_s, np.inf)
        speeds[c] = np.where(k >= comes[None] + 10, 0.0, slow)
    speeds[-1] = np.where(k >= comes[None], 0.0, np.inf)
    return Conditions(row, speeds, SLICE_S)


def side_by_side(*work: Callable[[], Any], runs: int = 15) -> list[list[float]]:
    """Processor seconds of every run of each, in turn, so that a busy minute hits all alike; the
    first run compiles and does not count."""
    taken: list[list[float]] = [[] for _ in work]
    for run in range(runs + 1):
        for k, one in enumerate(work):
            begun = time.process_time()
            one()
            if run:
                taken[k].append(time.process_time() - begun)
    return taken


def homes_of(streets: Network, count: int, rng: np.random.Generator) -> Homes:
    """Buildings beside streets drawn at random."""
    edge = rng.integers(0, streets.edges, count)
    nothing = np.zeros(count)
    text: list[str | None] = [None] * count
    return Homes(
        [str(i) for i in range(count)], text, streets.x[streets.u[edge]], streets.y[streets.u[edge]],
        nothing, nothing, text, text, nothing, np.empty(0, object), rng.random(count) < 0.3, text,
        Attached(edge, streets.length_m[edge] / 2, np.full(count, 10.0), np.zeros(count, bool)),
    )  # fmt: skip


def routing(town: Network, weather: Conditions, rng: np.random.Generator) -> dict[str, float]:
    """E1: all-nodes latest departure in time against scipy's static search on the same graph."""
    goals = rng.choice(town.nodes, 50, replace=False).astype(np.int32)
    v_link = np.repeat(town.foot, 2) * 1.0
    tail, head = town.tail, town.head
    graph = csr_matrix((np.repeat(town.length_m, 2), (tail, head)), (town.nodes, town.nodes))
    worst = weather.worst(0)
    nxt, label = np.empty(town.nodes, np.int32), np.empty(town.nodes, np.int32)
    at = np.empty(town.nodes)
    length = town.length_m.copy()
    search = backwards(town, weather.row, worst, v_link, length)  # as scipy is given its matrix

    def ours() -> None:
        _kernels.latest_departure(
            town.start, town.out, *search, worst.speeds, weather.speeds.shape[1], SLICE_S, goals,
            np.full(50, HORIZON_S), nxt, at, label,
        )  # fmt: skip

    peer, own = side_by_side(
        lambda: dijkstra(graph, indices=goals, min_only=True, directed=True), ours
    )
    static, moving = statistics.median(peer), statistics.median(own)
    homes = homes_of(town, 100_000, rng)
    begun = time.process_time()
    for name in ("adult", "elderly", "impaired"):
        cls = MOBILITY.index(name)
        found = latest_departures(town, weather, goals, cls=cls)
        of_homes(town, homes, weather, found, cls=cls)
    three = time.process_time() - begun
    return {
        "nodes": town.nodes, "edges": town.edges, "scipy_static_ms": static * 1e3,
        "leave_by_all_nodes_ms": moving * 1e3, "leave_by_x_scipy": moving / static,
        "leave_by_x_scipy_best": min(own) / min(peer), "buildings": homes.count,
        "leave_by_three_classes_s": three, "reached": int(np.isfinite(at).sum()),
    }  # fmt: skip


def crowd(
    town: Network, weather: Conditions, people: int, *, knowledge: str, overtaking: bool
) -> dict[str, float]:
    """E2: everybody walks for three hours; closures in time, FIFO, re-routing, full shelters."""
    rng = np.random.default_rng(7)
    ag = agent_table(people)
    edge = rng.integers(0, town.edges, people)
    ag["edge0"], ag["node_a"], ag["node_b"] = edge, town.u[edge], town.v[edge]
    ag["leg_a"], ag["leg_b"] = 5.0, town.length_m[edge] - 5 if people else 0
    ag["size"] = ag["load"] = 1
    ag["cls"] = rng.choice(4, people, p=[0.6, 0.12, 0.2, 0.08])
    ag["v_dry"] = dry_speeds()[ag["cls"]]
    doors = np.zeros(50, movement.DOORS)
    doors["node"] = rng.choice(np.flatnonzero(town.x > 0.3 * town.x.max()), 50, replace=False)
    doors["capacity"] = int(people * 1.05 / 50)
    doors["full_at"] = np.nan
    depart = rng.uniform(0, 3600, people)
    world, rule = world_of(
        town, weather, ag.copy(), doors.copy(), horizon_s=HORIZON_S, knowledge=knowledge,
        overtaking=overtaking,
    )  # fmt: skip
    begun, wall = time.process_time(), time.perf_counter()
    movement.begin(world, rule, depart)
    movement.move(world, rule, HORIZON_S)
    seconds, wall = time.process_time() - begun, time.perf_counter() - wall
    done = world.ag
    left = done["status"] > movement.WAITING
    end = np.where((done["status"] >= movement.ARRIVED), done["end"], HORIZON_S)
    under_way = float((end - done["door"])[left].sum())
    return {
        "cpu_s": seconds, "wall_s": wall, "m_person_s": under_way / 1e6, "m_person_s_per_s": under_way / seconds / 1e6,
        "links_entered": float(world.lk["passed"].sum()),
        "arrived": int((done["status"] == movement.ARRIVED).sum()),
        "stranded": int((done["status"] == movement.STRANDED).sum()),
        "turned_away": int(world.sh["turned"].sum()), "squeezed": int(world.number[movement.FORCED]),
    }  # fmt: skip


def town_replicates(count: int) -> dict[str, float]:
    """Paired replicates of a town of 50,000 people on all cores."""
    from citymap.evacuation import replicates
    from citymap.evacuation.people import populate
    from citymap.evacuation.scenario import scenario_of
    from citymap.evacuation.shelters import Shelters
    from citymap.evacuation.town import Town
    from citymap.evacuation.water import Water

    rng = np.random.default_rng(3)
    streets = network(130, rng)
    n = 15_000
    homes = homes_of(streets, n, rng)
    stop = rng.choice(streets.nodes, 30, replace=False).astype(np.int32)
    s = [str(k) for k in range(30)]
    shelters = Shelters(
        s, s, np.zeros(30), np.zeros(30), streets.x[stop], streets.y[stop], np.full(30, 1500), ["given"] * 30,
        np.zeros(30), [""] * 30,
    )  # fmt: skip
    x = streets.x[streets.u] / streets.x.max()
    wet = np.flatnonzero(x < 0.6)
    row = np.full(streets.edges, -1, np.int32)
    row[wet] = np.arange(len(wet))
    times = np.arange(0, 3.01, 1 / 6) * 3600
    depth = np.clip((times[:, None] / 3600 - 3 * x[wet][None]) * 0.8, 0, 3).astype(np.float32)
    people = populate(rng.multinomial(50_000, np.full(n, 1 / n)), rng)
    town = Town(
        streets, homes, people, shelters, stop, np.full(30, 10.0),
        Water(times, row, depth, np.zeros_like(depth)), (), HORIZON_S,
    )  # fmt: skip

    def plan(order: float) -> Any:
        return scenario_of({
            "scenario": {"seed": 1},
            "evacuation": {"order_time_h": order, "replicates": count, "spread": {"compliance": [0.5, 0.9]}},
        })  # fmt: skip

    begun = time.perf_counter()
    a = replicates.replicate(town, plan(0.5))
    b = replicates.replicate(town, plan(0.0))
    seconds = time.perf_counter() - begun
    found = replicates.paired(a, b, "stranded")
    peak = max(
        resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "replicates_of_each_plan": count, "s": seconds, "stranded_difference": found["difference"],
        "ci_low": found["ci95"][0], "ci_high": found["ci95"][1], "peak_mb_largest_process": peak / 1e3,
    }  # fmt: skip


UXSIM = """
import sys, time, json, uxsim, numpy as np
side, count, hours, dn = 20, 10000, 1.0, 5
W = uxsim.World(name="", deltan=dn, tmax=hours * 3600, print_mode=0, save_mode=0, show_mode=0, random_seed=0)
nd = [[W.addNode(f"{i}_{j}", i * 500, j * 500) for j in range(side)] for i in range(side)]
for i in range(side):
    for j in range(side):
        for a, b in ((i + 1, j), (i, j + 1)):
            if a < side and b < side:
                for p, q in ((nd[i][j], nd[a][b]), (nd[a][b], nd[i][j])):
                    W.addLink(f"{p.name}>{q.name}", p, q, length=500, free_flow_speed=15, number_of_lanes=1)
rng = np.random.default_rng(0)
for _ in range(1000):
    o = nd[rng.integers(side)][rng.integers(side)]; d = nd[rng.integers(side)][rng.integers(side)]
    if o is not d: W.adddemand(o, d, 0, hours * 1800, volume=count / 1000)
t = time.process_time(); W.exec_simulation(); w = time.process_time() - t
W.analyzer.basic_analysis(); a = W.analyzer
print(json.dumps({"vehicles": count, "crossings": side * side, "cpu_s": w, "m_s_per_s": a.total_travel_time / w / 1e6}))
"""


def peer_home() -> Path:
    """The environment of the peers."""
    home = BENCH / "evacuation"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "uxsim", "eclipse-sumo"], check=True)
    return home


def uxsim(home: Path) -> dict[str, float]:
    """uxsim on a grid of 400 nodes: vehicle seconds under way per processor second of its run."""
    done = subprocess.run(
        [home / "bin" / "python", "-c", UXSIM], check=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, timeout=PEER_LIMIT_S,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _cpu_of(command: list[str | Path], folder: Path) -> float:
    """Processor seconds of a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        timeout=PEER_LIMIT_S,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _crossing(column: int, row: int) -> str:
    """How netgenerate calls a crossing of its first 26 columns: A0, B3, …, Z9."""
    return f"{chr(ord('A') + column)}{row}"


def _street(a: tuple[int, int], b: tuple[int, int]) -> list[str]:
    """Edges from a to b, along the row and then the column: a shortest way of the grid."""
    places = [a]
    for axis in (0, 1):
        while places[-1][axis] != b[axis]:
            at = list(places[-1])
            at[axis] += 1 if b[axis] > at[axis] else -1
            places.append((at[0], at[1]))
    return [_crossing(*p) + _crossing(*q) for p, q in itertools.pairwise(places)]


def sumo(home: Path, vehicles: int = 20_000, side: int = 26) -> dict[str, float]:
    """SUMO meso on a grid of side × side crossings for an hour: vehicle seconds under way per processor
    second.

    The routes are given (its own router takes a multiple of the simulation for so many trips), and what
    starting and reading the net and the routes costs is measured by a run that ends at once and
    subtracted: both in favour of SUMO.
    """
    folder = home / "bin"
    with tempfile.TemporaryDirectory(prefix="citymap-sumo-") as name:
        work = Path(name)
        _cpu_of([folder / "netgenerate", "--grid", "--grid.number", str(side), "--grid.length", "100", "-o", "g.net.xml"], work)  # fmt: skip
        rng = np.random.default_rng(0)
        depart = np.sort(rng.uniform(0, 1800, vehicles))
        ends = rng.integers(0, side, (vehicles, 4))
        lines = ["<routes>"]
        for i, (t, (ax, ay, bx, by)) in enumerate(zip(depart.tolist(), ends.tolist(), strict=True)):
            way = _street((ax, ay), (bx, by))
            if way:
                lines.append(f'<vehicle id="{i}" depart="{t:.1f}"><route edges="{" ".join(way)}"/></vehicle>')  # fmt: skip
        (work / "r.xml").write_text("\n".join([*lines, "</routes>"]))
        run = [folder / "sumo", "--mesosim", "-n", "g.net.xml", "-r", "r.xml", "--no-step-log", "--no-warnings"]  # fmt: skip
        loading = _cpu_of([*run, "--end", "1"], work)
        whole = _cpu_of([*run, "--end", "3600", "--summary-output", "s.xml"], work)
        running = [int(v) for v in re.findall(r' running="(\d+)"', (work / "s.xml").read_text())]
    return {
        "vehicles": vehicles, "crossings": side * side, "cpu_s": whole, "loading_cpu_s": loading,
        "m_vehicle_s": sum(running) / 1e6, "m_s_per_s": sum(running) / max(whole - loading, 1e-3) / 1e6,
    }  # fmt: skip


def peer(work: Callable[[Path], dict[str, float]], home: Path) -> dict[str, Any]:
    """A peer's figures, or why there are none: one that hangs must not take the others with it."""
    try:
        return dict(work(home))
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {PEER_LIMIT_S:.0f} s"}
    except (subprocess.CalledProcessError, OSError, ValueError, IndexError) as e:
        return {"failed": repr(e)[:300]}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=316)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(1)
    town = network(options.side, rng)
    weather = water(town, rng)
    result: dict[str, Any] = {"routing": routing(town, weather, rng)}
    for knowledge, overtaking in (("full", False), ("on_arrival", False), ("on_arrival", True)):
        name = f"people_{knowledge}{'' if overtaking else '_strict_fifo'}"
        crowd(town, weather, 1000, knowledge=knowledge, overtaking=overtaking)  # compiles
        runs = [
            crowd(town, weather, options.people, knowledge=knowledge, overtaking=overtaking)
            for _ in range(3)
        ]
        result[name] = sorted(runs, key=lambda r: r["cpu_s"])[1]
    if options.peers:
        home = peer_home()
        rate = result["people_full_strict_fifo"]["m_person_s_per_s"]
        for name, work in (("sumo_meso", sumo), ("uxsim", uxsim)):
            found = result[name] = peer(work, home)
            if "m_s_per_s" in found:
                result[f"times_{name}"] = rate / found["m_s_per_s"]
    if options.replicates:
        result["replicates"] = town_replicates(options.replicates)
    print(json.dumps(result, indent=1))
    print("  target: leave_by_x_scipy ≤ 1.2, three classes ≤ 5 s, people ≤ 5 s, times_sumo_meso ≥ 10, "
          "times_uxsim ≥ 20, 100 paired replicates ≤ 180 s and 4 GB")  # fmt: skip
    return result


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
