"""The evacuation plans of a city: list them, tables of a new one, a free name, delete."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from citymap.workspace import Workspace

IN_FLOOD = "evacuation"  # below the folder of a scenario that is a flood too


@dataclass(frozen=True, slots=True)
class Entry:
    """One plan; `result` is where its files are, `summary` None until a run has ended."""

    name: str
    folder: Path
    result: Path
    tables: dict[str, Any]
    summary: dict[str, Any] | None


def entries(workspace: Workspace) -> list[Entry]:
    """All plans of the city, by name; scenarios without `[evacuation]` are not plans."""
    if not workspace.scenarios.is_dir():
        return []
    found = []
    for path in sorted(workspace.scenarios.glob("*/scenario.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            continue
        if "evacuation" in tables:
            found.append(_entry(path.parent, tables))
    return found


def entry(workspace: Workspace, name: str) -> Entry:
    """The plan of that name.

    Raises:
        BadInputError: there is none.
    """
    folder = workspace.scenario(name)
    try:
        tables = tomllib.loads((folder / "scenario.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadInputError("evacuation_no_plan", name=name) from e
    if "evacuation" not in tables:
        raise BadInputError("evacuation_no_plan", name=name)
    return _entry(folder, tables)


def _entry(folder: Path, tables: dict[str, Any]) -> Entry:
    result = folder / IN_FLOOD if (folder / "flood.nc").exists() else folder
    return Entry(folder.name, folder, result, tables, _summary(result))


def _summary(result: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if "stranded_by" in data else None


def floods(workspace: Workspace) -> list[str]:
    """Names of the scenarios that have a flood result."""
    if not workspace.scenarios.is_dir():
        return []
    return sorted(p.parent.name for p in workspace.scenarios.glob("*/flood.nc"))


def hazard_of(workspace: Workspace, flood: str) -> str | None:
    """The kind of disaster that a flood result looks like by what brings its water; None where that is open.

    A broken levee or a river is `flood`, rain alone `inland_flood`, the level of the sea `storm_surge`
    (a tsunami is written in the same way, so that planners must look).
    """
    try:
        text = (workspace.scenario(flood) / "scenario.toml").read_text(encoding="utf-8")
        given = tomllib.loads(text)["flood"]
    except (OSError, KeyError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    if given.get("breach") or given.get("inflow"):
        return "flood"
    if any(b.get("type") == "stage" for b in given.get("boundary", ())):
        return "storm_surge"
    return "inland_flood" if given.get("rain") else None


def flood_of(workspace: Workspace, plan: Entry) -> Path | None:
    """The folder of the flood result that a plan was computed with; None without one, or if it is gone."""
    given = str(
        ((plan.summary or {}).get("scenario") or plan.tables["evacuation"]).get("flood", "none")
    )
    if given == "none":
        return None
    places = [Path(given)] if Path(given).is_absolute() else [workspace.root / given, plan.folder / given]  # fmt: skip
    return next((p for p in places if (p / "flood.nc").is_file()), None)


def free(workspace: Workspace, name: str, *, busy: Collection[str] = ()) -> None:
    """Check that a new plan may have this name: none has it, or one whose run was stopped or failed.

    `busy`: names of plans that are being computed.

    Raises:
        BadInputError: it is taken, or cannot be one.
    """
    folder = workspace.scenario(name)
    if not folder.exists():
        return
    left = {p.name for p in folder.iterdir()} - {"scenario.toml"}
    if name in busy or left or "flood" in entry(workspace, name).tables:
        raise BadInputError("flood_name_taken", name=name)


def delete(workspace: Workspace, name: str) -> None:
    """Remove a plan and its results; a flood in the same folder stays.

    Raises:
        BadInputError: there is none of that name.
    """
    plan = entry(workspace, name)
    if "flood" in plan.tables:
        shutil.rmtree(plan.folder / IN_FLOOD, ignore_errors=True)
    else:
        shutil.rmtree(plan.folder)
