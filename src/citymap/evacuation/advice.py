"""What a plan means for one district: who, how many, by when, where to, and what is in the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from citymap.evacuation.people import AGES
from citymap.evacuation.reading import Shelter, bottlenecks, shelters
from citymap.i18n import t

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

ROUNDED_MIN = 10  # times to leave by are rounded down to this


@dataclass(frozen=True, slots=True)
class Advice:
    """What a plan means for one district.

    `leave_by_h` is the time to have left home by, margin taken off and rounded down to ten minutes;
    `leave_by_from` says where it comes from: `search` (the exact leave-by times of the plan), `run`
    (the first of the district who failed in this run), None where nobody failed.
    """

    district_id: str
    name: str
    people: int
    counts: dict[str, int]
    frail: int  # of 75 and over or who walk with difficulty
    leave_by_h: float | None
    leave_by_from: str | None
    reasons: dict[str, int]
    shelters: list[tuple[Shelter, int]] = field(default_factory=list)
    bottlenecks: list[tuple[int, dict[str, Any], int | None]] = field(default_factory=list)
    """Rank from 1, the road, and how many of the district went over it (None: not kept)."""


def advice(
    result: Path, crowd: pd.DataFrame, district_id: str, name: str, *, margin_min: float
) -> Advice | None:
    """What to do in one district; None where none of the people live there.

    Raises:
        BadInputError: a file of the result is absent.
    """
    rows = crowd[crowd["district_id"] == district_id]
    if not len(rows):
        return None
    there = rows.loc[rows["status"] == "evacuated", "shelter_id"].value_counts()
    by_id = {s.id: s for s in shelters(result)}
    stuck = rows[rows["status"] == "stranded"]
    time_h, source = _leave_by(result, rows, district_id)
    if time_h is not None:
        minutes = math.floor((time_h * 60 - margin_min) / ROUNDED_MIN) * ROUNDED_MIN
        time_h = max(minutes, 0) / 60
    ranked = list(enumerate(bottlenecks(result), 1))
    passed = [
        (k, b, None if b["by_district"] is None else b["by_district"].get(district_id, 0))
        for k, b in ranked
    ]
    return Advice(
        district_id, name, len(rows), {str(k): int(v) for k, v in rows["status"].value_counts().items()},
        int(((rows["age"] == AGES[-1][0]) | (rows["mobility"] == "impaired")).sum()), time_h, source,
        {str(k): int(v) for k, v in stuck["reason"].value_counts().items()},
        [(by_id[str(i)], int(n)) for i, n in there.items() if str(i) in by_id],
        [p for p in passed if p[2] is None or p[2] > 0][:3],
    )  # fmt: skip


def _leave_by(
    result: Path, rows: pd.DataFrame, district_id: str
) -> tuple[float | None, str | None]:
    path = result / "leave_by.parquet"
    homes = result / "people.parquet"
    if path.is_file():
        exact = pq.read_table(path, columns=["building_id", "leave_by_h"]).to_pandas()
        lived = pq.read_table(homes, columns=["building_id", "district_id"]).to_pandas()
        ids = lived.loc[lived["district_id"] == district_id, "building_id"].unique()
        times = exact.loc[exact["building_id"].isin(ids), "leave_by_h"].to_numpy(float)
        times = times[np.isfinite(times)]
        if len(times):
            return float(times.min()), "search"
    stuck = rows[rows["status"] == "stranded"]
    on_way = stuck["reason"].isin(["on_link", "no_way", "road_closed"])
    failed = np.concatenate([
        stuck.loc[on_way, "departure_h"].to_numpy(float),
        stuck.loc[stuck["reason"].isin(["home_cut_off", "stayed_in_water"]), "end_h"].to_numpy(float),
    ])  # fmt: skip
    failed = failed[np.isfinite(failed)]
    return (float(failed.min()), "run") if len(failed) else (None, None)


def clock(hours: float | None) -> str:
    """Hours from the start of the run as h:mm."""
    if hours is None:
        return "–"
    minutes = round(hours * 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def road_name(road: dict[str, Any], lang: str) -> str:
    """What is known of a road in a few words."""
    kind = "bridge" if road["bridge"] else "underpass" if road["underpass"] else "plain"
    return t(
        f"evacuation.road.{kind}", lang, width=f"{road['width_m']:g}",
        length=f"{road['length_m']:.0f}",
    )  # fmt: skip


def sentences(found: Advice, margin_min: float, lang: str) -> list[str]:
    """What to do, in sentences: who and how many, by when, where to, and what is in the way."""

    def tell(key: str, **values: object) -> str:
        return t(f"evacuation.advice.{key}", lang, **values)

    c = found.counts
    lines = [tell("who", people=f"{found.people:,}", frail=f"{found.frail:,}")]
    if up := c.get("vertical", 0):
        lines.append(tell("upstairs", people=f"{up:,}"))
    if found.leave_by_h is not None:
        lines.append(tell(
            f"by_{found.leave_by_from}", time=clock(found.leave_by_h), margin=f"{margin_min:g}"
        ))  # fmt: skip
    else:
        lines.append(tell("no_limit"))
    for s, n in found.shelters[:3]:
        full = tell("full", time=clock(s.full_at_h)) if s.full_at_h is not None else ""
        lines.append(tell("shelter", name=s.name or s.id, people=f"{n:,}") + full)
    for reason, n in found.reasons.items():
        lines.append(tell(f"{reason}", people=f"{n:,}"))
    for rank, road, of_us in found.bottlenecks:
        passed = "" if of_us is None else tell("passed", people=f"{of_us:,}")
        closes = "" if road["closes_h"] is None else tell("closes", time=clock(road["closes_h"]))
        lines.append(tell("bottleneck", rank=rank) + passed + closes)
    return lines
