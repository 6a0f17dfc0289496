"""The scenarios of a city: list, write, rename, duplicate, delete, and what a run would cost."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import rasterio

from citymap.errors import BadInputError
from citymap.flood import compiled, results, scenario
from citymap.workspace import Workspace, toml_value, write_text

UPDATES_PER_S = 150e6  # on one ordinary core, peaks and files included
WET_SHARE = 0.25  # of the grid in a breach; rain wets all of it
ASSUMED_DEPTH_M = 3.0  # for the time step


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario; `summary` is None until a run has ended, `refused` says why its file cannot be used."""

    name: str
    folder: Path
    note: str
    summary: dict[str, Any] | None
    refused: BadInputError | None = None


def entries(workspace: Workspace) -> list[Entry]:
    """All scenarios of the city, by name; a folder whose file cannot be read is listed with its reason."""
    found = []
    for folder in (
        sorted(workspace.scenarios.glob("*/scenario.toml")) if workspace.scenarios.is_dir() else []
    ):
        home, note, refused = folder.parent, "", None
        try:
            note = scenario.read(folder, city=workspace.root).title.note
        except BadInputError as e:
            if e.key == "flood_no_table":
                continue  # a scenario of another kind
            refused = e
        found.append(Entry(home.name, home, note, _summary(home), refused))
    return found


def _summary(folder: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads((folder / results.SUMMARY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data


def write(workspace: Workspace, name: str, text: str) -> Path:
    """Enter a new scenario after checking its text; returns its folder.

    Raises:
        BadInputError: the name is taken or cannot be one, or the text is no scenario.
    """
    folder = workspace.scenario(name)
    if folder.exists():
        raise BadInputError("flood_name_taken", name=name)
    scenario.parse(text, place=name, home=folder, city=workspace.root)
    write_text(folder / "scenario.toml", text)
    return folder


def rename(workspace: Workspace, old: str, new: str) -> None:
    """Give a scenario another name.

    Raises:
        BadInputError: there is none of the old name, or the new one is taken.
    """
    source, target = _existing(workspace, old), workspace.scenario(new)
    if target.exists():
        raise BadInputError("flood_name_taken", name=new)
    source.rename(target)


def duplicate(workspace: Workspace, name: str, new: str) -> None:
    """Copy the scenario (not its results) under a new name.

    Raises:
        BadInputError: as `rename`.
    """
    text = (_existing(workspace, name) / "scenario.toml").read_text(encoding="utf-8")
    write(workspace, new, text)


def free_name(workspace: Workspace, name: str) -> str:
    """A name like this one that no scenario has yet."""
    stem, _, number = name.rpartition(" ")
    stem, first = (stem, int(number) + 1) if stem and number.isdecimal() else (name, 2)
    return next(
        made for n in count(first) if not workspace.scenario(made := f"{stem[:90]} {n}").exists()
    )


def delete(workspace: Workspace, name: str) -> None:
    """Remove a scenario and its results.

    Raises:
        BadInputError: there is none of that name.
    """
    shutil.rmtree(_existing(workspace, name))


def _existing(workspace: Workspace, name: str) -> Path:
    folder = workspace.scenario(name)
    if not (folder / "scenario.toml").is_file():
        raise BadInputError("not_found", path=name)
    return folder


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run would take: cells, steps and seconds on this kind of machine, and memory; rough.

    `compiled`: the kernels stand ready; without, the first run takes minutes more.
    """

    cells: int
    steps: int
    seconds: float
    memory_mb: float
    compiled: bool


def cost(workspace: Workspace, *, cell_m: float, duration_h: float, rain: bool) -> Cost:
    """Estimate a run on the city's terrain.

    Raises:
        BadInputError: the city has no terrain.
    """
    if not workspace.terrain.is_file():
        raise BadInputError("flood_city_no_terrain")
    with rasterio.open(workspace.terrain, driver="GTiff") as source:
        b = source.bounds
    cells = max(1, int((b.right - b.left) * (b.top - b.bottom) / cell_m**2))
    steps = int(duration_h * 3600 / (0.5 * cell_m / math.sqrt(9.81 * ASSUMED_DEPTH_M))) + 1
    updates = cells * steps * (1.0 if rain else WET_SHARE)
    return Cost(
        cells, steps, 2.0 + updates / UPDATES_PER_S, 150 + cells * 60 / 1e6,
        compiled.compiled_before("float32"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What the page asks for: a breach and rain; metres, hours. `head_m`: of the river above the ground."""

    name: str = ""
    note: str = ""
    cell_m: float = 5.0
    duration_h: float = 3.0
    buildings: str = "block"
    breach_lon_lat: tuple[float, float] | None = None
    width_m: float = 40.0
    start_h: float = 0.0
    growth_h: float = 1.0
    stage_m: float = 0.0
    recede_m: float = 0.0
    rain_mm_h: float = 0.0
    rain_hours: float = 0.0
    rain_area: tuple[tuple[float, float], ...] = ()  # lon, lat of its corners; none: everywhere
    edges: str = "open"
    head_m: float = 2.0
    breaks: bool = True


CELLS_M = (2.0, 5.0, 10.0, 20.0)
EDGES = ("open", "wall")
SIDES = ("west", "east", "north", "south")
LONG_S = 1800.0  # a run that takes longer is better tried on larger cells first

# Values to begin with, not official ones.
PRESETS = {
    "planned": Plan(width_m=40.0, duration_h=3.0, recede_m=1.0, head_m=2.0),
    "largest": Plan(width_m=100.0, duration_h=6.0, recede_m=1.5, head_m=3.5),
    "rain": Plan(breaks=False, duration_h=3.0, rain_mm_h=80.0, rain_hours=1.0),
    "own": Plan(),
}


def text_of(plan: Plan) -> str:
    """The scenario file of a plan. The river falls by `recede_m` from the breach's opening to the end."""
    v = toml_value
    lines = [
        "[scenario]", f"name = {v(plan.name)}", f"note = {v(plan.note)}", "", "[flood]",
        'terrain = "terrain.tif"', f"cell_size_m = {v(float(plan.cell_m))}",
        f"duration_h = {v(float(plan.duration_h))}",
        f"output_every_min = {v(max(2.0, round(plan.duration_h * 60 / 36)))}",
        f"buildings = {v(plan.buildings)}",
    ]  # fmt: skip
    if plan.rain_mm_h > 0:
        rain = [[0.0, float(plan.rain_mm_h)], [float(plan.rain_hours), 0.0]]
        lines += ["", "[flood.rain]", f"mm_per_h = {v(rain)}"]
        if plan.rain_area:
            lines.append(f"area = {v([[float(x), float(y)] for x, y in plan.rain_area])}")
    if plan.breach_lon_lat is not None:
        stage = [[0.0, float(plan.stage_m)]]
        if plan.start_h > 0:
            stage.append([float(plan.start_h), float(plan.stage_m)])
        end = max(plan.duration_h, plan.start_h + 0.1)
        stage.append([end, round(plan.stage_m - plan.recede_m, 3)])
        lines += [
            "", "[[flood.breach]]", f"at = {v([float(c) for c in plan.breach_lon_lat])}",
            f"width_m = {v(float(plan.width_m))}", f"start_h = {v(float(plan.start_h))}",
            f"growth_h = {v(float(plan.growth_h))}", f"river_stage_m = {v(stage)}",
        ]  # fmt: skip
    if plan.edges == "open":
        for side in SIDES:
            lines += ["", "[[flood.boundary]]", f"side = {v(side)}", 'type = "open"']
    return "\n".join(lines) + "\n"


def plan_of(flood: scenario.Flood) -> Plan | None:
    """The plan whose file this is; None where the page has no field for something it says."""
    rain, breach = flood.rain, flood.breach[0] if flood.breach else None
    open_sides = {b.side for b in flood.boundary if b.type == "open" and b.slope is None}
    plan = Plan(
        cell_m=flood.cell_size_m or 0.0, duration_h=flood.duration_h, buildings=flood.buildings or "",
        edges="open" if open_sides == set(SIDES) else "wall", breaks=breach is not None,
    )  # fmt: skip
    if rain is not None:
        if not isinstance(rain.mm_per_h, list) or len(rain.mm_per_h) != 2:
            return None
        (_, falls), (hours, _) = rain.mm_per_h
        plan = replace(plan, rain_mm_h=falls, rain_hours=hours, rain_area=tuple(rain.area or ()))
    if breach is not None:
        if not isinstance(breach.river_stage_m, list) or not breach.river_stage_m:
            return None
        first, last = breach.river_stage_m[0][1], breach.river_stage_m[-1][1]
        plan = replace(
            plan, breach_lon_lat=breach.at, width_m=breach.width_m, start_h=breach.start_h,
            growth_h=breach.growth_h, stage_m=first, recede_m=round(first - last, 3),
        )  # fmt: skip
    made = scenario.parse(text_of(plan), place="", home=Path()).flood if plan.cell_m else None
    return plan if made == flood and plan.cell_m in CELLS_M else None


def computed_plan(entry: Entry) -> Plan | None:
    """What a result was computed from; None where its file is newer, or says more than a plan can."""
    file, result = entry.folder / "scenario.toml", entry.folder / results.SUMMARY
    try:
        if file.stat().st_mtime_ns > result.stat().st_mtime_ns:
            return None
        return plan_of(scenario.read(file).flood)
    except (OSError, BadInputError):
        return None


def plans(workspace: Workspace) -> dict[str, Plan]:
    """The scenarios of the city that the page can begin from, by name."""
    found = {}
    for entry in entries(workspace):
        try:
            read = scenario.read(entry.folder / "scenario.toml", city=workspace.root)
            plan = plan_of(read.flood)
        except BadInputError:
            continue  # the table of scenarios says what is wrong with it
        if plan is not None:
            found[entry.name] = plan
    return found
