"""Run of a scenario: read, simulate (or replay given depths), write the result."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from citymap.errors import BadInputError
from citymap.flood import compiled, forcing, ground, results, solver
from citymap.flood.kernels import sources
from citymap.i18n import note
from citymap.progress import Part, Progress, Quiet
from citymap.workspace import Workspace, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.flood.ground import Ground
    from citymap.flood.scenario import Flood, Scenario


READING = (
    0.015  # of the whole work, to read terrain and buildings; too little to foretell the end from
)
MOST_FRAMES = 10_000
BALANCE = 0.01  # of the water; rounding is a millionth of it, anything like this is a defect


def threads() -> int:
    """Cores that this process may use, two at most: more do not pay at a city's size."""
    given = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(2, given))


def zone_of(city: Path | None) -> int | None:
    """The EPSG code of a city's zone."""
    return Workspace(city).city().epsg if city is not None and Workspace(city).exists() else None


def _brings_water(flood: Flood) -> bool:
    held = any(boundary.type == "stage" for boundary in flood.boundary)
    return bool(flood.rain or flood.inflow or flood.breach or held or flood.initial_depth_m != 0)


def setup(scenario: Scenario, land: Ground) -> solver.Solver:
    """A solver for a scenario on its ground; rain that changes with maps is entered while running."""
    flood = scenario.flood
    edges, inside = forcing.sides(scenario, land)
    points = [*forcing.points(scenario, land), *inside]
    held = [p.series for p in points if p.kind in (sources.WEIR, sources.LEVEL)]
    held += [e.series for e in edges if e.series is not None]
    above = max((float(s.values.max()) for s in held), default=-np.inf) - np.nanmax(
        land.elevation_m
    )
    made = solver.build(
        land.elevation_m, land.cell_m, manning_n=land.manning_n, depth_m=land.depth_m,
        precision=flood.precision, threads=threads(), porosity=land.porosity,
        scheme=flood.scheme, headroom_m=max(solver.HEADROOM_M, float(above)),
    )  # fmt: skip
    made.points, made.edges = points, edges
    made.arrival_m, made.duration_m = flood.arrival_depth_m, flood.duration_depth_m
    return made


def run(
    scenario: Scenario, out: Path, *, epsg: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the result of a scenario to the folder `out` and return its summary.

    Raises:
        BadInputError: something in the scenario or its files cannot be used, or the run became
            unstable (with place and time).
        CancelledError: the person stopped it; nothing of this run stays in `out`, a result that was
            there before does.
    """
    with scenario.named():
        return _run(scenario, out, epsg, progress or Quiet())


def _run(scenario: Scenario, out: Path, epsg: int | None, progress: Progress) -> dict[str, Any]:
    begun = time.perf_counter()
    land = ground.prepare(scenario, epsg=epsg, progress=Part(progress, 0.0, READING))
    progress = Part(progress, READING, 1.0)
    out.mkdir(parents=True, exist_ok=True)
    results.clear_broken(out)
    if scenario.flood.replay is not None:
        summary = _replay(scenario, land, out, progress)
    else:
        summary = _simulate(scenario, land, out, progress)
    summary["elapsed_s"] = round(time.perf_counter() - begun, 3)
    write_text(out / "scenario.toml", scenario.text)
    results.write_summary(out, summary)
    return summary


def prepare_kernels(variant: str, progress: Progress, total: float = 1.0) -> None:
    """Have the kernels compiled where they are not yet, and say so meanwhile."""
    if compiled.compiled_before(variant):
        return

    def tick(seconds: float) -> None:
        progress.update(0.0, total, note("flood.said.compiling", s=f"{seconds:.0f}"))

    compiled.make(variant, tick)


def _method(made: solver.Solver) -> str:
    return "hllc" if made.scheme == "hllc" else "local_inertial"


def output_times(flood: Any) -> list[float]:
    """Seconds of the output: 0, every interval, and the end.

    Raises:
        BadInputError: more than `MOST_FRAMES`.
    """
    end, every = flood.duration_h * 3600.0, flood.output_every_min * 60.0
    if end / every > MOST_FRAMES:
        raise BadInputError(
            "flood_too_many_outputs", place="flood.output_every_min", count=f"{end / every:.3g}", most=MOST_FRAMES
        )  # fmt: skip
    times = [every * n for n in range(math.ceil(end / every - 1e-9))]
    return [*times, end]


def _simulate(scenario: Scenario, land: Ground, out: Path, progress: Progress) -> dict[str, Any]:
    flood = scenario.flood
    total = flood.duration_h * 3600.0
    times = output_times(flood)
    prepare_kernels(flood.scheme if flood.scheme == "hllc" else flood.precision, progress, total)
    if not _brings_water(flood):
        land.notes.append("no_water")
    made = setup(scenario, land)
    rains = forcing.rains(scenario, land)
    if rains and rains[0][0] == 0.0:
        made.rain = rains.pop(0)[1]
    end = times[-1]
    walls = ~made.open_cells

    def pulse(t_s: float) -> None:
        progress.update(
            t_s, end, note("flood.said.reached", h=f"{t_s / 3600:.2f}", end=f"{end / 3600:g}")
        )

    def depth() -> NDArray[np.float32]:
        return np.where(walls, np.float32(np.nan), made.depth_m())

    try:
        with results.frames(
            out / results.NETCDF,
            land.shape,
            land.transform,
            land.epsg,
            title=scenario.title.name,
            method=_method(made),
            ground_m=land.elevation_m,
        ) as frames:
            frames.add(0.0, depth(), *made.velocity_m_s())
            for t in times[1:]:
                while rains and rains[0][0] < t:
                    solver.advance(made, max(rains[0][0], made.t_s), pulse=pulse)
                    solver.change_rain(made, rains.pop(0)[1])
                solver.advance(made, t, pulse=pulse)
                shown = depth()
                frames.add(t, shown, *made.velocity_m_s())
                results.write_live(out, shown, land.transform, land.epsg, t)
            account = made.account()
            allowed = BALANCE * (account.initial + account.wanted) + land.cell_m**2
            if not abs(account.error) <= allowed:
                raise BadInputError("flood_balance", error=f"{account.error:.3g}")
            came = account.initial + account.inflow + account.rain
            if came <= 0 and "no_water" not in land.notes:
                land.notes.append("no_water_came")
            progress.update(end, end, note("flood.said.writing"))
            results.retire(out)
    except solver.UnstableError as e:
        a, _, c, _, ee, f = land.transform
        x, y = c + a * (e.column + 0.5), f + ee * (e.row + 0.5)
        raise BadInputError(
            "flood_unstable", place=scenario.title.name or None, x=round(x, 1), y=round(y, 1),
            row=e.row, column=e.column, t_s=round(e.t_s, 1),
        ) from e  # fmt: skip
    finally:
        (out / results.LIVE).unlink(missing_ok=True)
    peaks = {
        "max_depth": made.peak_depth,
        "arrival": np.where(np.isfinite(made.peak_arrival), made.peak_arrival / 3600, np.nan),
        "duration": made.peak_duration / 3600,
        "max_dv": np.sqrt(made.peak_dv2),
    }
    _write_peaks(out, peaks, land, flood)
    return {
        **_common(scenario, land, peaks["max_depth"]),
        "method": _method(made),
        "precision": "float64" if made.h.dtype == np.float64 else "float32",
        "steps": made.steps,
        "wall_s": round(made.wall_s, 4),
        "cell_updates": made.cell_updates,
        "cell_updates_per_s": round(made.cell_updates / max(made.wall_s, 1e-9)),
        "threads": made.threads,
        "initial_m3": account.initial,
        "inflow_m3": account.inflow,
        "rain_m3": account.rain,
        "outflow_m3": account.outflow,
        "stored_m3": account.stored,
        "mass_error_m3": account.error,
        "depth_resolution_m": made.unit if made.unit < 1.0 else None,
    }


def _common(scenario: Scenario, land: Ground, max_depth: NDArray[np.float32]) -> dict[str, Any]:
    area = land.cell_m**2
    flooded = max_depth >= results.FLOODED_FROM_M
    return {
        "name": scenario.title.name,
        "note": scenario.title.note,
        "epsg": land.epsg,
        "cell_size_m": land.cell_m,
        "rows": land.shape[0],
        "columns": land.shape[1],
        "cells": land.shape[0] * land.shape[1],
        "open_cells": int(np.isfinite(land.elevation_m).sum()),
        "duration_h": scenario.flood.duration_h,
        "max_depth_m": float(max_depth.max()) if max_depth.size else 0.0,
        "flooded_area_m2": float(flooded.sum()) * area,
        "flooded_from_m": results.FLOODED_FROM_M,
        "flooded_area_by_class_m2": results.area_by_class(max_depth, area),
        "buildings_treatment": land.treatment,
        "repairs": land.repairs,
        "notes": land.notes,
    }


def _write_peaks(
    out: Path, peaks: dict[str, NDArray[np.float32]], land: Ground, flood: Any
) -> None:
    walls = np.isnan(land.elevation_m)
    tags = {"arrival": {"threshold_m": f"{flood.arrival_depth_m:g}"},
            "duration": {"threshold_m": f"{flood.duration_depth_m:g}"}}  # fmt: skip
    for name, values in peaks.items():
        shown = np.where(walls, np.nan, values).astype(np.float32)
        results.write_raster(
            out / f"{name}.tif", shown, land.transform, land.epsg, quantity=name,
            unit=results.RASTERS[name][0], tags=tags.get(name),
        )  # fmt: skip


def _replay(scenario: Scenario, land: Ground, out: Path, progress: Progress) -> dict[str, Any]:
    """Depths of given rasters at their times, linear between them for arrival and duration."""
    flood = scenario.flood
    maps = flood.replay.rasters if flood.replay is not None else []
    from citymap.flood.scenario import pairs  # noqa: PLC0415

    times, _ = pairs(scenario, [(t, 0.0) for t, _ in maps], "flood.replay.rasters")
    walls = np.isnan(land.elevation_m)
    peak = np.zeros(land.shape, np.float32)
    arrival = np.full(land.shape, np.inf)
    duration = np.zeros(land.shape)
    before: NDArray[np.float64] | None = None
    with results.frames(
        out / results.NETCDF,
        land.shape,
        land.transform,
        land.epsg,
        title=scenario.title.name,
        method="replay",
        velocity=False,
        ground_m=land.elevation_m,
    ) as frames:
        for n, (t, (_, name)) in enumerate(zip(times, maps, strict=True)):
            progress.update(n, len(maps), note("flood.said.replaying", h=f"{t / 3600:.2f}"))
            path = scenario.file(name, f"flood.replay.rasters.{n}")
            depth = ground.on_grid(path, land, nearest=True, place=path.name)
            depth = ground.nothing_where_silent(depth, land, "depth_not_said_cells")
            if (depth < 0).any():
                row, column = divmod(int(np.argmin(depth)), land.shape[1])
                raise BadInputError("flood_negative_depth", place=path.name, row=row, column=column)
            depth[walls] = 0.0
            frames.add(t, np.where(walls, np.nan, depth).astype(np.float32))
            np.maximum(peak, depth, out=peak, casting="same_kind")
            if before is None:
                arrival[depth >= flood.arrival_depth_m] = t
            else:
                t0 = times[n - 1]
                crossing = t0 + (t - t0) * _share(before, depth, flood.arrival_depth_m)
                arrival = np.where(
                    (depth >= flood.arrival_depth_m) & ~np.isfinite(arrival), crossing, arrival
                )
                duration += (t - t0) * _part_above(before, depth, flood.duration_depth_m)
            before = depth
        results.retire(out)
    peaks = {
        "max_depth": peak,
        "arrival": np.where(np.isfinite(arrival), arrival / 3600, np.nan).astype(np.float32),
        "duration": (duration / 3600).astype(np.float32),
        "max_dv": np.full(land.shape, np.nan, np.float32),  # depths alone do not say it
    }
    _write_peaks(out, peaks, land, flood)
    stored = float(before.sum() * land.cell_m**2) if before is not None else 0.0
    return {
        **_common(scenario, land, peak), "method": "replay", "steps": len(maps), "wall_s": 0.0,
        "cell_updates_per_s": 0, "inflow_m3": None, "rain_m3": None, "outflow_m3": None,
        "stored_m3": stored, "mass_error_m3": None,
    }  # fmt: skip


def _share(a: NDArray[np.float64], b: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Where between two times (0 … 1) a depth that moves from a to b reaches `level`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(b != a, (level - a) / (b - a), 0.0), 0.0, 1.0)


def _part_above(
    a: NDArray[np.float64], b: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """The part of an interval in which a depth that moves from a to b is at least `level`."""
    at = _share(a, b, level)
    return np.select(
        [(a >= level) & (b >= level), (a < level) & (b < level), b >= level],
        [1.0, 0.0, 1.0 - at],
        at,
    )
