"""The roads that held most people up, or where people got stuck, and from which districts they came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap import crs
from citymap.evacuation.simulate import STRANDED, Outcome
from citymap.workspace import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.evacuation.conditions import Conditions
    from citymap.evacuation.town import Town

NAME = "bottlenecks.json"
MOST = 10  # by time lost, and as many by people stuck
ON_LINK = 1


def write_bottlenecks(path: Path, town: Town, outcome: Outcome, weather: Conditions) -> None:
    """Write the worst roads, worst first.

    Each has `edge_id` (of its source), `line` (lon, lat), `passed`, `delay_person_h`, `stranded`,
    `closes_h` (null: never) and `by_district`: how many people of each district went over it (null
    where the run did not keep the ways).
    """
    network = town.network
    delay = outcome.delay_s.reshape(-1, 2).sum(axis=1) / 3600
    stuck = stranded_on(town, outcome)
    worst = np.union1d(np.argsort(-delay, kind="stable")[:MOST], np.argsort(-stuck, kind="stable")[:MOST])  # fmt: skip
    worst = worst[(delay[worst] > 0.01) | (stuck[worst] > 0)]
    worst = worst[np.argsort(-(delay[worst] + stuck[worst]), kind="stable")]
    closes = weather.closes_s(0) / 3600
    passed = outcome.passed.reshape(-1, 2).sum(axis=1)
    districts = _by_district(town, outcome, worst)
    rows: list[dict[str, Any]] = []
    for k, edge in enumerate(worst):
        points = network.points[network.point_start[edge] : network.point_start[edge + 1]]
        lon, lat = crs.unproject(points[:, 0], points[:, 1], network.epsg)
        rows.append({
            "edge_id": int(network.source[edge]),
            "line": [[round(float(a), 7), round(float(b), 7)] for a, b in zip(lon, lat, strict=True)],
            "length_m": round(float(network.length_m[edge]), 1),
            "width_m": round(float(network.width_m[edge]), 1),
            "bridge": bool(network.bridge[edge]), "underpass": bool(network.underpass[edge]),
            "passed": int(passed[edge]), "delay_person_h": round(float(delay[edge]), 3),
            "stranded": int(stuck[edge]),
            "closes_h": None if np.isnan(closes[edge]) else round(float(closes[edge]), 4),
            "by_district": districts[k] if districts is not None else None,
        })  # fmt: skip
    write_text(path, json.dumps(rows, ensure_ascii=False) + "\n")


def stranded_on(town: Town, outcome: Outcome) -> NDArray[np.int64]:
    """People stuck on each edge."""
    found = np.zeros(town.network.edges, np.int64)
    stuck = (outcome.status == STRANDED) & (outcome.reason == ON_LINK)
    if stuck.any():
        tree = shapely.STRtree(town.network.geometries())
        where = tree.nearest(shapely.points(outcome.x[stuck], outcome.y[stuck]))
        np.add.at(found, where, outcome.size[stuck])
    return found


def _by_district(
    town: Town, outcome: Outcome, worst: NDArray[np.int64]
) -> list[dict[str, int]] | None:
    agent, link, _ = outcome.log
    if not len(agent):
        return None
    people = town.people
    home = people.home[np.searchsorted(people.household, np.arange(len(outcome.size)))]
    found = []
    for edge in worst:
        who = np.unique(agent[(link >> 1) == edge])
        counts: dict[str, int] = {}
        for a in who:
            key = town.homes.district_id[home[a]] or ""
            counts[key] = counts.get(key, 0) + int(outcome.size[a])
        found.append(dict(sorted(counts.items(), key=lambda item: -item[1])))
    return found
