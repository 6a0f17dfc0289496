"""Many runs of one plan: paired by common random numbers, on any executor, to the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import stats

from citymap.errors import BadInputError, CitymapError
from citymap.evacuation.results import figures
from citymap.evacuation.simulate import draw_of, simulate
from citymap.progress import Progress, Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from citymap.evacuation.conditions import Conditions
    from citymap.evacuation.scenario import Scenario
    from citymap.evacuation.town import Town

PEOPLE = ("evacuated", "vertical", "stranded", "en_route", "waiting", "stayed")
COUNTED = (*PEOPLE, "turned_away", "mean_travel_min")
LEAST = 8  # replicates before the stop rule may end the work

_held: dict[str, Any] = {}


class _Answer(Protocol):
    """What `concurrent.futures` and `distributed` futures have in common."""

    def result(self) -> dict[str, Any]: ...
    def cancel(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Done:
    """The answer of work done at once."""

    value: dict[str, Any]

    def result(self) -> dict[str, Any]:
        return self.value

    def cancel(self) -> None:
        """Too late."""


def one(
    town: Town, scenario: Scenario, replicate: int, weather: Conditions | None
) -> dict[str, Any]:
    """The figures of one replicate."""
    given, seed = scenario.evacuation, scenario.scenario.seed
    draw = draw_of(given, seed, replicate)
    same = weather if draw.flood_delay_h == 0 else None
    outcome = simulate(town, given, seed=seed, draw=draw, weather=same)
    found = figures(town, outcome)
    return {**asdict(draw), **{k: found[k] for k in COUNTED}}


def _hold(town: Town, scenario: Scenario) -> None:
    _held["town"], _held["scenario"] = town, scenario
    _held["weather"] = town.conditions(scenario.evacuation)


def _held_one(replicate: int) -> dict[str, Any]:
    return one(_held["town"], _held["scenario"], replicate, _held["weather"])


def _remote_one(town: Town, scenario: Scenario, replicate: int) -> dict[str, Any]:
    """On a cluster: the town comes with the first replicate that a worker sees."""
    key = id(town)
    if _held.get("key") != key:
        _hold(town, scenario)
        _held["key"] = key
    return _held_one(replicate)


@contextmanager
def _submitter(
    town: Town, scenario: Scenario, *, workers: int | None, scheduler: str | None
) -> Iterator[Callable[[int], _Answer]]:
    if scheduler:
        try:
            from distributed import Client  # noqa: PLC0415  (an optional package)
        except ImportError as e:
            raise CitymapError("no_dask") from e
        try:
            client = Client(scheduler, timeout=20, set_as_default=False)
        except (OSError, TimeoutError) as e:
            raise CitymapError("no_scheduler", address=scheduler) from e
        with client:
            everywhere = client.scatter([town, scenario], broadcast=True)

            yield lambda replicate: client.submit(_remote_one, *everywhere, replicate, pure=False)
        return
    count = workers or os.cpu_count() or 1
    if count == 1:
        _hold(town, scenario)

        yield lambda replicate: _Done(_held_one(replicate))
        return
    pool: Executor
    with ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_hold, initargs=(town, scenario)
    ) as pool:
        yield lambda replicate: pool.submit(_held_one, replicate)


def replicate(
    town: Town,
    scenario: Scenario,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Figures of every replicate, in order; fewer where the stop rule is met.

    With `stop_ci` the work ends when half the width of the 95 % interval of the number stranded
    is at most that, looked at in order and never before eight replicates: so the number of
    replicates is the same however many run at a time.

    Raises:
        CancelledError: the person has stopped the work.
    """
    progress = progress or Quiet()
    wanted, stop = scenario.evacuation.replicates, scenario.evacuation.stop_ci
    rows: list[dict[str, Any]] = []
    with _submitter(town, scenario, workers=workers, scheduler=scheduler) as submit:
        ahead = max(2 * (workers or os.cpu_count() or 1), 4)
        waiting: dict[int, _Answer] = {}
        for number in range(wanted):
            for k in range(number, min(number + ahead, wanted)):
                if k not in waiting:
                    waiting[k] = submit(k)
            rows.append(waiting.pop(number).result())
            progress.update(len(rows), wanted, "replicates")
            if stop is not None and len(rows) >= LEAST:
                low, high = interval([r["stranded"] for r in rows])
                if (high - low) / 2 <= stop:
                    break
        for future in waiting.values():
            future.cancel()
    return rows


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of the mean (Student's t)."""
    found = np.asarray([v for v in values if v is not None], float)
    if not len(found):
        return float("nan"), float("nan")
    mean = float(found.mean())
    if len(found) < 2 or found.std() == 0:
        return mean, mean
    half = float(stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return mean - half, mean + half


def summarised(rows: list[dict[str, Any]], *, people: int) -> dict[str, Any]:
    """Mean and 95 % interval of every count over the replicates.

    Student's interval knows no bounds, and with few replicates it is wide; what it would say below
    nobody and above everybody (`people`) is cut off, for no count lies there.
    """
    out: dict[str, Any] = {"replicates": len(rows), "ci95": {}}
    for name in COUNTED:
        values = [r[name] for r in rows if r[name] is not None]
        if values:
            out[name] = float(np.mean(values))
            most = people if name in PEOPLE else None
            out["ci95"][name] = np.clip(interval(values), 0, most).tolist()
    return out


def paired(a: list[dict[str, Any]], b: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Mean of B minus A over replicates of the same number, with its 95 % interval.

    Raises:
        BadInputError: the two have no replicate in common.
    """
    of_a = {r["replicate"]: r[name] for r in a if r[name] is not None}
    pairs = [
        r[name] - of_a[r["replicate"]] for r in b if r["replicate"] in of_a and r[name] is not None
    ]
    if not pairs:
        raise BadInputError("evacuation_no_pairs")
    low, high = interval(pairs)
    return {"difference": float(np.mean(pairs)), "ci95": [low, high], "pairs": len(pairs)}
