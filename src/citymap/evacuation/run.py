"""`citymap evacuate run`: a scenario becomes a result folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from citymap.evacuation.replicates import replicate, summarised
from citymap.evacuation.results import write_outcome
from citymap.evacuation.simulate import draw_of, simulate
from citymap.evacuation.town import prepare
from citymap.progress import Part, Progress, Quiet
from citymap.workspace import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.evacuation.scenario import Evacuation, Scenario
    from citymap.workspace import Workspace

PREPARING = 2  # single runs that joining the city takes as long as
TRIPS_UP_TO = 60_000  # households; beyond, playback files would be too large for a browser


def steps_of(given: Evacuation) -> int:
    """How long a run takes, in single runs."""
    return PREPARING + 1 + (given.replicates if given.replicates > 1 else 0)


def run(
    workspace: Workspace,
    scenario: Scenario,
    out: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the scenario and write its result folder; returns the summary.

    The files describe replicate 0. With more than one, the counts of the summary are means with
    their 95 % intervals in `ci95`, and `replicates.json` lists them all.

    Raises:
        BadInputError: something the scenario names cannot be used.
        CancelledError: the person has stopped the work.
    """
    progress = progress or Quiet()
    given, seed = scenario.evacuation, scenario.scenario.seed
    steps = steps_of(given)
    town = prepare(workspace, scenario, progress=Part(progress, 0, PREPARING / steps))
    draw = draw_of(given, seed, 0)
    weather = town.conditions(given, flood_delay_h=draw.flood_delay_h)
    record = int(town.people.household[-1]) + 1 <= TRIPS_UP_TO
    outcome = simulate(
        town, given, seed=seed, draw=draw, weather=weather, record=record,
        progress=Part(progress, PREPARING / steps, (PREPARING + 1) / steps),
    )  # fmt: skip
    extra: dict[str, Any] = {}
    out.mkdir(parents=True, exist_ok=True)
    if given.replicates > 1:
        rows = replicate(
            town, scenario, workers=workers, scheduler=scheduler,
            progress=Part(progress, (PREPARING + 1) / steps, 1),
        )  # fmt: skip
        extra = summarised(rows, people=town.people.count)
        write_text(out / "replicates.json", json.dumps(rows, indent=1) + "\n")
    else:
        (out / "replicates.json").unlink(missing_ok=True)
    return write_outcome(out, town, scenario, outcome, weather, extra)
