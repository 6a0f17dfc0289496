"""`citymap exposure`: for every building and hazard set how deep, how long, and stay or leave."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.assess.verdict import FLOOR_M, ORDER, Answer, Building, judge
from citymap.assess.zonal import on_areas, on_grid
from citymap.errors import BadInputError
from citymap.hazard.legend import DEPTH, legends
from citymap.hazard.sets import HazardLayer, HazardSet, hazard_sets
from citymap.model.columns import EXPOSURE
from citymap.workspace import replacing_together, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from citymap.progress import Progress
    from citymap.workspace import Workspace

COMBINED = "combined"
FULL_SHARE = 0.999  # of a footprint that a grid must cover to speak for all of it
OUTSIDE = Answer("outside_assumed_area", None, ("outside",))


@dataclass(slots=True)
class Found:
    """What the sources of one set say by shape; NaN and None are not known.

    `surveyed` is False where no source speaks. `notes` are disagreements: shape, source, what it
    says, what was used.
    """

    depth_max_m: NDArray[np.float64]
    depth_mean_m: NDArray[np.float64]
    duration_h: NDArray[np.float64]
    surveyed: NDArray[np.bool_]
    collapse_flow: NDArray[np.bool_] | None = None
    collapse_erosion: NDArray[np.bool_] | None = None
    notes: list[tuple[int, str, str, str]] = field(default_factory=list)


def upper_bound(low: float, high: float | None) -> float:
    """The depth that stands for a class: just below its end; the start of an open class."""
    return low if high is None else float(np.nextafter(high, low))


def standard_rank(rank: int | None) -> tuple[float, float | None] | None:
    """Bounds (m) of a rank 1–6 of the standard legend; None for anything else."""
    classes = legends()[DEPTH].classes
    if rank is None or not 1 <= rank <= len(classes):
        return None
    return classes[rank - 1].minimum, classes[rank - 1].maximum


def look_up(
    hazard: HazardSet, shapes: NDArray[Any], risks: list[list[dict[str, Any]] | None] | None = None,
    *, progress: Progress | None = None,
) -> Found:  # fmt: skip
    """Depth, duration and zones of a hazard set at any shapes (EPSG:6668); `risks` are the
    attributes that a city model carries for each of them."""
    count = len(shapes)
    nothing = np.full(count, np.nan)
    found = Found(nothing.copy(), nothing.copy(), nothing.copy(), np.zeros(count, bool))
    grids = [layer for layer in hazard.of("depth") if layer.is_raster]
    covered = np.zeros(count, bool)
    for layer in grids:
        zonal = on_grid(layer.path, shapes, progress=progress)
        found.depth_max_m = np.fmax(found.depth_max_m, zonal.peak)
        found.depth_mean_m = np.fmax(found.depth_mean_m, zonal.mean)
        covered |= zonal.covered_share >= FULL_SHARE
    ranked = [layer for layer in hazard.layers if layer.quantity in {"depth", "rank", "zone"} and not layer.is_raster]  # fmt: skip
    for layer in ranked:
        _take_class(found, layer, _worst_class(layer, shapes), grids=bool(grids))
    attributes = _attributes(hazard, risks) if risks is not None else None
    if attributes is not None:
        _take_attributes(found, attributes, grids=bool(grids or ranked))
    # A grid speaks for what it covers; areas and attributes are drawn for the whole city.
    found.surveyed = (
        covered if grids and not ranked and attributes is None else np.ones(count, bool)
    )
    if grids and (ranked or attributes is not None):
        found.surveyed = covered | ~np.isnan(found.depth_max_m) | bool(ranked)
    for layer in hazard.of("surveyed_extent"):
        if layer.is_raster:
            extent = on_grid(layer.path, shapes).known_share >= FULL_SHARE
        else:
            shape, _, _ = on_areas(layer.path, shapes)
            extent = np.isin(np.arange(count), shape)
        found.surveyed = extent | ~np.isnan(found.depth_max_m)
    _durations(found, hazard, shapes)
    found.collapse_flow = _zone(hazard, "collapse_flow", shapes)
    found.collapse_erosion = _zone(hazard, "collapse_erosion", shapes)
    return found


def _zone(hazard: HazardSet, quantity: Any, shapes: NDArray[Any]) -> NDArray[np.bool_] | None:
    layers = hazard.of(quantity)
    if not layers:
        return None
    hit = np.zeros(len(shapes), bool)
    for layer in layers:
        if layer.is_raster:
            hit |= on_grid(layer.path, shapes).peak > 0
        else:
            hit[on_areas(layer.path, shapes)[0]] = True
    return hit


def _worst_class(
    layer: HazardLayer, shapes: NDArray[Any]
) -> list[tuple[float, float | None] | None]:
    """By shape the bounds of the worst class of a layer of areas."""
    column = next(
        (c for c in ("class_code", "rank", "depth_m") if c in pq.read_schema(layer.path).names),
        None,
    )
    shape, area, values = on_areas(layer.path, shapes, column)
    bounds: list[tuple[float, float | None] | None] = []
    for value in values:
        one = layer.classes.get(str(value)) if value is not None else None
        if one is None and value is not None and layer.quantity == "rank" and value.isdigit():
            one = standard_rank(int(value))
        bounds.append(one if one is not None else (np.nan, None))
    worst: list[tuple[float, float | None] | None] = [None] * len(shapes)
    for s, a in zip(shape.tolist(), area.tolist(), strict=True):
        one, known = bounds[a], worst[s]
        if one is not None and (known is None or np.isnan(known[0]) or one[0] > known[0]):
            worst[s] = one
    return worst


def _take_class(
    found: Found, layer: HazardLayer, worst: list[tuple[float, float | None] | None], *, grids: bool
) -> None:
    """Let areas speak: alone they give the depth; beside a grid they can only make it worse."""
    for row, bounds in enumerate(worst):
        if bounds is None:
            continue
        low, high = bounds
        if np.isnan(low):  # inside, but the class is not known: inside with unknown depth
            if np.isnan(found.depth_max_m[row]):
                found.depth_max_m[row] = np.inf
            continue
        _worse(found, row, low, high, layer.id, grids=grids)


def _worse(
    found: Found, row: int, low: float, high: float | None, source: str, *, grids: bool
) -> None:
    depth = found.depth_max_m[row]
    inside = not np.isnan(depth) and depth >= low and (high is None or depth < high)
    if inside:
        return
    bound = max(upper_bound(low, high), np.nextafter(0.0, 1.0))
    if grids:
        said = f"{low:g}–{'' if high is None else format(high, 'g')} m"
        other = "–" if np.isnan(depth) else f"{depth:.2f} m"
        found.notes.append((row, source, said, other))
    if np.isnan(depth) or bound > depth:
        found.depth_max_m[row] = bound


def _attributes(
    hazard: HazardSet, risks: list[list[dict[str, Any]] | None]
) -> list[dict[str, Any] | None] | None:
    """By building the attribute of this hazard, river and scale; None where the model has none."""
    if not hazard.name:
        return None
    out: list[dict[str, Any] | None] = []
    some = False
    for several in risks:
        chosen = None
        for risk in several or ():
            if (risk["hazard"], risk["name"] or "", risk["scale"] or "") == (
                hazard.hazard, hazard.name, hazard.scale,
            ):  # fmt: skip
                chosen = _worse_risk(chosen, risk)
                some = True
        out.append(chosen)
    return out if some else None


def _worse_risk(a: dict[str, Any] | None, b: dict[str, Any]) -> dict[str, Any]:
    if a is None:
        return b
    return max(a, b, key=lambda r: (r["depth_m"] or 0.0, r["rank"] or 0))


def _take_attributes(found: Found, attributes: list[dict[str, Any] | None], *, grids: bool) -> None:
    for row, risk in enumerate(attributes):
        if risk is None:
            continue
        depth, hours = risk["depth_m"], risk["duration_h"]
        if depth is not None and np.isfinite(depth):
            if np.isnan(found.depth_max_m[row]) or depth > found.depth_max_m[row] + 0.005:
                if grids:
                    other = found.depth_max_m[row]
                    told = "–" if np.isnan(other) else f"{other:.2f} m"
                    found.notes.append((row, "attribute", f"{depth:.2f} m", told))
                found.depth_max_m[row] = depth
        elif (bounds := _risk_class(risk)) is not None:
            _worse(found, row, *bounds, "attribute", grids=grids)
        elif np.isnan(found.depth_max_m[row]):
            found.depth_max_m[row] = np.inf
        if hours is not None and np.isfinite(hours):
            found.duration_h[row] = np.fmax(found.duration_h[row], hours)


def _risk_class(risk: Mapping[str, Any]) -> tuple[float, float | None] | None:
    """The class of a rank: only a river's ranks are the standard ones."""
    return standard_rank(risk["rank"]) if risk["hazard"] == "river_flood" else None


def _durations(found: Found, hazard: HazardSet, shapes: NDArray[Any]) -> None:
    layers = hazard.of("duration")
    if layers:  # 浸水継続時間 counts the hours above 0.5 m: shallower water has none
        found.duration_h[(found.depth_max_m < FLOOR_M) & np.isnan(found.duration_h)] = 0.0
    for layer in layers:
        if layer.is_raster:
            found.duration_h = np.fmax(found.duration_h, on_grid(layer.path, shapes).peak)
            continue
        for row, bounds in enumerate(_worst_class(layer, shapes)):
            if bounds is not None and not np.isnan(bounds[0]):
                low, high = bounds
                hours = low + 1.0 if high is None else upper_bound(low, high)
                found.duration_h[row] = np.fmax(found.duration_h[row], hours)


@dataclass(frozen=True, slots=True)
class City:
    """The buildings as exposure looks at them, row by row of `buildings.parquet`."""

    building_id: list[str]
    shapes: NDArray[Any]
    buildings: list[Building]
    risks: list[list[dict[str, Any]] | None]


def load(workspace: Workspace) -> City:
    """Read what exposure needs.

    Raises:
        BadInputError: the city has no buildings.
    """
    workspace.city()
    if not workspace.buildings.is_file():
        raise BadInputError("no_buildings", path=workspace.root)
    names = ["building_id", "storeys_above", "measured_height_m", "class_code", "structure", "risks", "geometry"]  # fmt: skip
    table = pq.read_table(workspace.buildings, columns=names)
    heights = [None if h is None or not np.isfinite(h) else h for h in table["measured_height_m"].to_pylist()]  # fmt: skip
    columns = (table[n].to_pylist() for n in ("storeys_above", "class_code", "structure"))
    buildings = [
        Building(storeys, height, code, structure)
        for height, storeys, code, structure in zip(heights, *columns, strict=True)
    ]
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    return City(table["building_id"].to_pylist(), shapes, buildings, table["risks"].to_pylist())


def sets_of(workspace: Workspace, risks: list[list[dict[str, Any]] | None]) -> list[HazardSet]:
    """The sets of files, and one for every river and scale that only the attributes know."""
    sets = hazard_sets(workspace)
    known = {(s.hazard, s.name, s.scale) for s in sets}
    seen = {
        (r["hazard"], r["name"] or "", r["scale"] or "") for several in risks for r in several or ()
    }
    taken = {s.id for s in sets}
    for hazard, name, scale in sorted(seen - known):
        text = "-".join(filter(None, ("risk", hazard, name, scale)))
        base = "".join(c if c.isalnum() or c in "-_" else "-" for c in text)
        ident, n = base, 2
        while ident in taken:
            ident, n = f"{base}-{n}", n + 1
        taken.add(ident)
        sets.append(HazardSet(ident, hazard, name or " ", scale, ()))
    return sets


def answers(found: Found, city: City, hazard: str) -> list[Answer]:
    """The verdict of every building for one set."""
    depth, hours = found.depth_max_m, found.duration_h
    flow, erosion = found.collapse_flow, found.collapse_erosion
    special = ~(np.isnan(depth) | (depth <= 0)) | ~found.surveyed
    for zone in (flow, erosion):
        if zone is not None:
            special |= zone
    out = [OUTSIDE] * len(city.buildings)
    for row in np.flatnonzero(special).tolist():
        at = float(depth[row])
        if np.isinf(at):  # inside, how deep is not said
            out[row] = Answer("unknown", None, ("depth_unsurveyed",))
            if (flow is not None and flow[row]) or (erosion is not None and erosion[row]):
                at = float("nan")
            else:
                continue
        out[row] = judge(
            hazard, city.buildings[row],
            depth_m=None if np.isnan(at) else at,
            surveyed=bool(found.surveyed[row]),
            duration_h=None if np.isnan(hours[row]) else float(hours[row]),
            collapse_flow=None if flow is None else bool(flow[row]),
            collapse_erosion=None if erosion is None else bool(erosion[row]),
        )  # fmt: skip
    return out


def table_of(city: City, found: Found, judged: list[Answer]) -> pa.Table:
    """`exposure/<set>.parquet`."""
    depth = np.where(np.isinf(found.depth_max_m), np.nan, found.depth_max_m)
    none = [None] * len(judged)
    columns = {
        "building_id": city.building_id,
        "depth_max_m": pa.array(depth, pa.float64(), from_pandas=True),
        "depth_mean_m": pa.array(found.depth_mean_m, pa.float64(), from_pandas=True),
        "duration_h": pa.array(found.duration_h, pa.float64(), from_pandas=True),
        "collapse_flow": none if found.collapse_flow is None else found.collapse_flow.tolist(),
        "collapse_erosion": none if found.collapse_erosion is None else found.collapse_erosion.tolist(),
        "verdict": [a.verdict for a in judged],
        "dry_floor": [a.dry_floor for a in judged],
        "reasons": [list(a.reasons) for a in judged],
    }  # fmt: skip
    schema = EXPOSURE.schema()
    return pa.table([pa.array(columns[f.name], f.type) if not isinstance(columns[f.name], pa.Array)
                     else columns[f.name].cast(f.type) for f in schema], schema=schema)  # fmt: skip


def combine(tables: list[pa.Table]) -> pa.Table:
    """The worst over all sets: leave > unknown > stay_upstairs > outside_assumed_area.

    Depth, duration and dry floor are the largest known, collapse zones the union; the reasons are
    those of the sets that gave the verdict.
    """
    first = tables[0]
    rank = np.stack([[ORDER.index(v) for v in t["verdict"].to_pylist()] for t in tables])
    worst = rank.min(axis=0)
    reasons: list[list[str]] = []
    listed = [t["reasons"].to_pylist() for t in tables]
    for row in range(first.num_rows):
        of_row = [listed[i][row] for i in range(len(tables)) if rank[i, row] == worst[row]]
        reasons.append(list(dict.fromkeys(code for codes in of_row for code in codes)))

    def largest(name: str) -> NDArray[np.float64]:
        stack = np.stack([t[name].to_numpy().astype(float) for t in tables])
        return np.asarray(np.fmax.reduce(stack, axis=0), float)

    def any_of(name: str) -> list[bool | None]:
        columns = [t[name].to_pylist() for t in tables]
        return [
            True if any(values) else (None if all(v is None for v in values) else False)
            for values in zip(*columns, strict=True)
        ]

    floors = largest("dry_floor")
    no_floor = np.zeros(first.num_rows, bool)
    for t in tables:  # a set without any dry floor outweighs another's
        no_floor |= np.array(["no_dry_floor" in r for r in t["reasons"].to_pylist()])
    columns = {
        "building_id": first["building_id"].combine_chunks(),
        **{n: pa.array(largest(n), pa.float64(), from_pandas=True)
           for n in ("depth_max_m", "depth_mean_m", "duration_h")},
        "collapse_flow": pa.array(any_of("collapse_flow"), pa.bool_()),
        "collapse_erosion": pa.array(any_of("collapse_erosion"), pa.bool_()),
        "verdict": pa.array([ORDER[i] for i in worst], pa.string()),
        "dry_floor": pa.array(np.where(no_floor, np.nan, floors), pa.float64(), from_pandas=True),
        "reasons": pa.array(reasons, pa.list_(pa.string())),
    }  # fmt: skip
    schema = EXPOSURE.schema()
    return pa.table([columns[f.name].cast(f.type) for f in schema], schema=schema)


def compute(
    workspace: Workspace, *, only: str | None = None, progress: Progress
) -> dict[str, dict[str, int]]:
    """Write `exposure/<set>.parquet` for every set (or the one named, by its id or a layer's) and
    `exposure/combined.parquet`; returns the counts of verdicts by set.

    All files take their places together; where sources of a set disagree,
    `exposure/<set>.disagreements.csv` lists it.

    Raises:
        BadInputError: no buildings, no hazards, or no such hazard.
    """
    city = load(workspace)
    sets = sets_of(workspace, city.risks)
    if not sets:
        raise BadInputError("exposure_no_hazard", place=str(workspace.root))
    folder = workspace.root / "exposure"
    chosen = [s for s in sets if only in {None, s.id, *(layer.id for layer in s.layers)}]
    if not chosen:
        raise BadInputError(
            "exposure_unknown_hazard", place=only, known=", ".join(s.id for s in sets)
        )
    tables: dict[str, pa.Table] = {}
    notes: dict[str, str] = {}
    for step, hazard in enumerate(chosen):
        progress.update(step, len(chosen) + 1, f"exposure {hazard.id}")
        found = look_up(hazard, city.shapes, city.risks)
        tables[hazard.id] = table_of(city, found, answers(found, city, hazard.hazard))
        notes[hazard.id] = _disagreements(city, found)
    progress.update(len(chosen), len(chosen) + 1, "exposure combined")
    everything = [tables.get(s.id) or _old(workspace, s.id, city) for s in sets]
    present = [t for t in everything if t is not None]
    if len(present) < len(sets):  # never computed, or for other buildings: then all are needed
        return compute(workspace, progress=progress)
    written = {**tables, COMBINED: combine(present)}
    paths = {name: folder / f"{name}.parquet" for name in written}
    with replacing_together(workspace.root, paths) as temporary:
        for name, table in written.items():
            pq.write_table(table, temporary[name], compression="zstd")
    for name, text in notes.items():
        path = folder / f"{name}.disagreements.csv"
        if text:
            write_text(path, text)
        else:
            path.unlink(missing_ok=True)
    keep = {s.id for s in sets} | {COMBINED}
    for path in folder.glob("*.parquet"):
        if path.stem not in keep:
            path.unlink()
    progress.update(1, 1, "exposure")
    return {name: _counts(table) for name, table in written.items()}


def _old(workspace: Workspace, name: str, city: City) -> pa.Table | None:
    path = workspace.root / "exposure" / f"{name}.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path)
    same = table["building_id"].to_pylist() == city.building_id
    return table.cast(EXPOSURE.schema()) if same else None


def _counts(table: pa.Table) -> dict[str, int]:
    values = table["verdict"].to_pylist()
    return {verdict: values.count(verdict) for verdict in ORDER}


def _disagreements(city: City, found: Found) -> str:
    if not found.notes:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["building_id", "source", "says", "other"])
    for row, source, says, other in found.notes:
        writer.writerow([city.building_id[row], source, says, other])
    return out.getvalue()
