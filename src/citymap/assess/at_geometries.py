"""Exposure and verdict of places that stand in no table: a plot, a planned building, a drawn area."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap.assess.exposure import COMBINED, City, answers
from citymap.assess.look_up import look_up
from citymap.assess.verdict import ORDER, Building
from citymap.hazard.sets import hazard_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from citymap.progress import Progress
    from citymap.workspace import Workspace

_KNOWN_BY_BUILDINGS_ONLY: dict[str, Any] = {
    "state": "not_surveyed", "depth_m": None, "duration_h": None, "collapse_flow": None,
    "collapse_erosion": None, "verdict": "unknown", "dry_floor": None, "reasons": ["depth_unsurveyed"],
}  # fmt: skip


def set_ids(workspace: Workspace) -> list[str]:
    """The hazard sets of the city, those that only the attributes of its buildings know included."""
    return [*(s.id for s in hazard_sets(workspace)), *_attribute_sets(workspace)]


def _attribute_sets(workspace: Workspace) -> list[str]:
    known = {s.id for s in hazard_sets(workspace)} | {COMBINED}
    found = sorted(p.stem for p in (workspace.root / "exposure").glob("*.parquet"))
    return [name for name in found if name not in known]


def records(
    workspace: Workspace, shapes: Sequence[Any], buildings: Sequence[Building], *,
    only: frozenset[str] | None = None, progress: Progress | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """One record a shape (points or polygons, lon, lat, EPSG:6668), taken for the building beside it.

    `verdict`, `reasons`, `dry_floor` are the worst of `sets`, one entry a hazard set (`only` those
    named). Metres and hours; null is not known. What nobody surveyed there is `not_surveyed` and
    `unknown`: also everything beyond the city, and a set that only building attributes know, for
    these places have none.
    """
    array = np.empty(len(shapes), object)
    array[:] = list(shapes)
    judged = City([str(i) for i in range(len(array))], array, list(buildings), [None] * len(array))
    inside = _in_city(workspace, array)
    listed: list[list[dict[str, Any]]] = [[] for _ in array]
    sets = [s for s in hazard_sets(workspace) if only is None or s.id in only]
    for step, hazard in enumerate(sets):
        if progress is not None:
            progress.update(step, len(sets), hazard.id)
        found = look_up(hazard, array)
        found.surveyed &= inside
        given = answers(found, judged, hazard.hazard)
        about = {"set": hazard.id, "hazard": hazard.hazard, "name": hazard.name.strip(), "scale": hazard.scale}  # fmt: skip
        for i, answer in enumerate(given):
            depth, hours = float(found.depth_max_m[i]), float(found.duration_h[i])
            wet = depth > 0
            surveyed = bool(found.surveyed[i]) and not bool(found.unclear[i])
            listed[i].append({
                **about, "state": "inside" if wet else "outside" if surveyed else "not_surveyed",
                "depth_m": round(depth, 2) if wet and math.isfinite(depth) else None,
                "duration_h": None if math.isnan(hours) else round(hours, 1),
                "collapse_flow": None if found.collapse_flow is None else bool(found.collapse_flow[i]),
                "collapse_erosion": None if found.collapse_erosion is None else bool(found.collapse_erosion[i]),
                "verdict": answer.verdict, "dry_floor": answer.dry_floor, "reasons": list(answer.reasons),
            })  # fmt: skip
    for name in _attribute_sets(workspace):
        if only is None or name in only:
            about = {"set": name, "name": "", **_of_table(workspace, name)}
            for some in listed:
                some.append({**about, **_KNOWN_BY_BUILDINGS_ONLY})
    return [_worst(some) for some in listed]


def _in_city(workspace: Workspace, shapes: Any) -> Any:
    box = workspace.city().bbox
    if box is None:
        return np.ones(len(shapes), bool)
    return shapely.covered_by(shapes, shapely.box(*box))


def _of_table(workspace: Workspace, name: str) -> dict[str, Any]:
    path = workspace.root / "exposure" / f"{name}.parquet"
    columns = [c for c in ("hazard", "scale") if c in pq.read_schema(path).names]
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).slice(0, 1).to_pylist()
    first = rows[0] if rows else {}
    return {"hazard": first.get("hazard"), "scale": first.get("scale")}


def _worst(sets: list[dict[str, Any]]) -> dict[str, Any]:
    worst = min(
        sets, key=lambda s: (ORDER.index(s["verdict"]), -(s["depth_m"] or 0.0)), default=None
    )
    if worst is None:
        return {
            "verdict": "unknown",
            "reasons": ["depth_unsurveyed"],
            "dry_floor": None,
            "sets": [],
        }
    return {**{k: worst[k] for k in ("verdict", "reasons", "dry_floor")}, "sets": sets}
