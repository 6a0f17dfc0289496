"""What the charts and tables of a result show: arrivals, shelters in time, the stranded, the worst roads."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely

from citymap.errors import BadInputError
from citymap.evacuation.bottlenecks import NAME as BOTTLENECKS
from citymap.evacuation.people import AGES
from citymap.i18n import Word, t

if TYPE_CHECKING:
    from citymap.workspace import Workspace

STEP_H = 1 / 12
WANTED = ("person_id", "district_id", "age", "mobility", "status", "reason", "departure_h", "end_h",
          "shelter_id")  # fmt: skip


def summary(result: Path) -> dict[str, Any]:
    """The summary of a result.

    Raises:
        BadInputError: it is absent or of another kind.
    """
    try:
        found: dict[str, Any] = json.loads((result / "summary.json").read_text(encoding="utf-8"))
        found["stranded_by"], found["scenario"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadInputError("evacuation_unreadable", place=result.name, reason=e) from e
    return found


def people(result: Path) -> pd.DataFrame:
    """The people of a result, the columns that are shown.

    Raises:
        BadInputError: there is no table of people.
    """
    try:
        return pq.read_table(result / "people.parquet", columns=list(WANTED)).to_pandas()
    except (OSError, ValueError) as e:
        raise BadInputError("evacuation_unreadable", place=result.name, reason=e) from e


def _csv(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))
    except OSError as e:
        raise BadInputError("evacuation_unreadable", place=path.parent.name, reason=e) from e


def arrivals(result: Path) -> dict[str, list[float]]:
    """`t_h`, `arrived`, `en_route`, `waiting`, `stranded`: people at each time.

    Raises:
        BadInputError: the file is absent.
    """
    rows = _csv(result / "arrivals.csv")
    names = ("t_h", "arrived", "en_route", "waiting", "stranded")
    return {n: [float(r[n]) for r in rows] for n in names}


@dataclass(frozen=True, slots=True)
class Shelter:
    """One shelter at the end of a run; `full_at_h` None where it never was."""

    id: str
    name: str
    capacity: int
    arrived: int
    turned_away: int
    full_at_h: float | None


def shelters(result: Path) -> list[Shelter]:
    """The shelters that counted, the fullest first.

    Raises:
        BadInputError: the file is absent.
    """
    found = [
        Shelter(
            r["shelter_id"], r["name"], int(r["capacity"]), int(r["arrived"]), int(r["turned_away"]),
            float(r["full_at_h"]) if r["full_at_h"] else None,
        )
        for r in _csv(result / "shelters.csv")
    ]  # fmt: skip
    return sorted(found, key=lambda s: (-s.arrived, s.name))


def places(result: Path) -> dict[str, list[float]]:
    """Where the shelters are that people reached: lon, lat by id.

    Raises:
        BadInputError: there is no table of people.
    """
    try:
        table = pq.read_table(
            result / "people.parquet",
            columns=["shelter_id", "lon", "lat"],
            filters=[("status", "=", "evacuated")],
        )
    except (OSError, ValueError) as e:
        raise BadInputError("evacuation_unreadable", place=result.name, reason=e) from e
    first = table.to_pandas().groupby("shelter_id").first()
    return {str(i): [float(r.lon), float(r.lat)] for i, r in first.iterrows()}


def occupancy(
    crowd: pd.DataFrame, listed: list[Shelter], duration_h: float
) -> tuple[list[float], dict[str, list[int]]]:
    """Hours, and the people in each shelter then, by its id."""
    times = np.arange(0.0, duration_h + STEP_H / 2, STEP_H)
    there = crowd[crowd["status"] == "evacuated"]
    found = {}
    for s in listed:
        ends = np.sort(there.loc[there["shelter_id"] == s.id, "end_h"].to_numpy(float))
        found[s.id] = [int(n) for n in np.searchsorted(ends, times + 1e-9, side="right")]
    return [float(t) for t in times], found


def stranded(
    crowd: pd.DataFrame, names: dict[str, str]
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Stranded people by age, and by district (its name) and age; districts with most of them first."""
    stuck = crowd[crowd["status"] == "stranded"]
    ages = [a for a, _ in AGES]
    by_age = {a: int((stuck["age"] == a).sum()) for a in ages}
    by_district: dict[str, dict[str, int]] = {}
    for key, rows in stuck.groupby(stuck["district_id"].fillna("")):
        by_district[names.get(str(key), str(key))] = {
            a: int((rows["age"] == a).sum()) for a in ages
        }
    return by_age, dict(sorted(by_district.items(), key=lambda item: -sum(item[1].values())))


def bottlenecks(result: Path) -> list[dict[str, Any]]:
    """The worst roads, worst first (see `evacuation.bottlenecks`); none in results of older versions."""
    try:
        found: list[dict[str, Any]] = json.loads((result / BOTTLENECKS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


def unfinished(found: dict[str, Any], lang: str) -> str | None:
    """Who was neither safe nor stranded when the run ended, in a sentence; None where nobody was."""
    waiting, en_route = found["waiting"], found["en_route"]
    if not waiting and not en_route:
        return None
    return t(
        "evacuation.unfinished", lang, hours=f"{found['duration_h']:g}", waiting=f"{waiting:,.0f}",
        en_route=f"{en_route:,.0f}",
    )  # fmt: skip


def checks(found: dict[str, Any], lang: str) -> list[str]:
    """What of the input did not fit and what was done about it, in sentences."""
    network, off = found.get("network", {}), Counter(found.get("shelters_unused", {}).values())
    largest = network.get("largest_component", 0) / max(network.get("nodes", 1), 1)
    given = {
        "late_order": found.get("latest_order_after_flood"),
        "components": network.get("components", 1) > 1 and {
            "count": f"{network['components']:,}", "share": f"{100 * largest:.1f}",
        },
        "homes_off": (n := found.get("homes_off_network")) and {"count": f"{n:,}"},
        "across": (n := found.get("homes_across_barrier")) and {"count": f"{n:,}"},
        "outside": (n := found.get("edges_outside_flood")) and {"count": f"{n:,}"},
        "closures": (n := len(found.get("closures", ()))) and {"count": f"{n:,}"},
        "shelters": found.get("shelters_used") is not None and {
            "used": f"{found['shelters_used']:,}",
            "unused": tuple(
                Word("evacuation.unused_count", {"why": Word(f"evacuation.unused.{w}"), "count": f"{n:,}"})
                for w, n in off.most_common()
            ) or "0",
        },
    }  # fmt: skip
    return [
        t(f"evacuation.check.{k}", lang, **(v if isinstance(v, dict) else {}))
        for k, v in given.items()
        if v
    ]


Districts = dict[str, tuple[str, shapely.Geometry]]


def districts(workspace: Workspace) -> Districts:
    """Name and shape (lon, lat) of every district, by id; empty where the city has none."""
    if not workspace.districts.is_file():
        return {}
    table = pq.read_table(workspace.districts, columns=["district_id", "name", "geometry"])
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    rows = zip(table["district_id"].to_pylist(), table["name"].to_pylist(), shapes, strict=True)
    return {str(i): (str(n or i), s) for i, n, s in rows}


def district_at(
    listed: dict[str, tuple[str, shapely.Geometry]], lon: float, lat: float
) -> str | None:
    """The district that holds a point."""
    point = shapely.Point(lon, lat)
    return next(
        (i for i, (_, shape) in listed.items() if shape is not None and shape.covers(point)), None
    )
