"""`citymap exposure`: for every building and hazard set how deep, how long, and stay or leave."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from citymap.assess import verdict_history
from citymap.assess.look_up import Found, look_up, must_leave
from citymap.assess.verdict import ORDER, Answer, Building, judge
from citymap.errors import BadInputError
from citymap.hazard.sets import HazardSet, hazard_sets
from citymap.model.columns import EXPOSURE
from citymap.workspace import replacing_together, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from citymap.progress import Progress
    from citymap.workspace import Workspace

COMBINED = "combined"
OUTSIDE = Answer("outside_assumed_area", None, ("outside",))


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
    special = ~(np.isnan(depth) | (depth <= 0)) | ~found.surveyed | found.unclear
    for zone in (flow, erosion):
        if zone is not None:
            special |= zone
    out = [OUTSIDE] * len(city.buildings)
    for row in np.flatnonzero(special).tolist():
        at = float(depth[row])
        collapse = (flow is not None and flow[row]) or (erosion is not None and erosion[row])
        if np.isinf(at):  # inside, how deep is not said
            if must_leave(hazard):
                out[row] = Answer("leave", None, ("hazard_requires_leaving",))
                continue
            if not collapse:
                out[row] = Answer("unknown", None, ("depth_unsurveyed",))
                continue
            at = float("nan")
        answer = judge(
            hazard, city.buildings[row],
            depth_m=None if np.isnan(at) else at,
            surveyed=bool(found.surveyed[row]),
            duration_h=None if np.isnan(hours[row]) else float(hours[row]),
            collapse_flow=None if flow is None else bool(flow[row]),
            collapse_erosion=None if erosion is None else bool(erosion[row]),
        )  # fmt: skip
        if found.unclear[row] and answer.verdict in {"stay_upstairs", "outside_assumed_area"}:
            reasons = dict.fromkeys(("depth_unsurveyed", *answer.reasons))
            answer = Answer("unknown", None, tuple(r for r in reasons if r != "outside"))
        out[row] = answer
    return out


def table_of(
    city: City, found: Found, judged: list[Answer], hazard: HazardSet | None = None
) -> pa.Table:
    """`exposure/<set>.parquet`."""
    count = len(judged)
    depth = np.where(np.isinf(found.depth_max_m), np.nan, found.depth_max_m)
    none = [None] * count
    zones: list[list[str]] = [[]] * count
    for row, codes in found.zones.items():
        zones[row] = sorted(codes)
    disagrees = np.zeros(count, bool)
    disagrees[[note.row for note in found.notes]] = True
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
        "hazard": [hazard.hazard if hazard else None] * count,
        "scale": [(hazard.scale or None) if hazard else None] * count,
        "arrival_h": pa.array(found.arrival_h, pa.float64(), from_pandas=True),
        "zones": zones,
        "disagrees": disagrees.tolist(),
    }  # fmt: skip
    schema = EXPOSURE.schema()
    return pa.table([pa.array(columns[f.name], f.type) if not isinstance(columns[f.name], pa.Array)
                     else columns[f.name].cast(f.type) for f in schema], schema=schema)  # fmt: skip


def combine(tables: list[pa.Table]) -> pa.Table:
    """The worst over all sets: leave > unknown > stay_upstairs > outside_assumed_area.

    Depth, duration and dry floor are the largest known, arrival the earliest, zones and collapse
    zones the union; reasons, hazard and scale are those of the sets that gave the verdict.
    """
    first = tables[0]
    order = pa.array(ORDER, pa.string())
    rank = np.stack([pc.index_in(t["verdict"], value_set=order).to_numpy() for t in tables])
    worst = rank.min(axis=0)
    decider = rank.argmin(axis=0)
    rows = np.arange(first.num_rows)

    def extreme(name: str, how: np.ufunc) -> pa.Array:
        stack = np.stack([t[name].to_numpy().astype(float) for t in tables])
        return pa.array(how.reduce(stack, axis=0), pa.float64(), from_pandas=True)

    def any_of(name: str) -> pa.Array:
        flags = np.stack([pc.fill_null(t[name], False).to_numpy() for t in tables])
        known = np.stack([pc.is_valid(t[name]).to_numpy() for t in tables])
        return pa.array(flags.any(axis=0), pa.bool_(), mask=~known.any(axis=0))

    def of_decider(name: str) -> pa.Array:
        stack = np.stack([t[name].to_numpy(zero_copy_only=False) for t in tables])
        return pa.array(stack[decider, rows], pa.string())

    floors = np.array(extreme("dry_floor", np.fmax).to_numpy(zero_copy_only=False))
    for t in tables:  # a set without any dry floor outweighs another's
        floors[_texts(t["reasons"], "no_dry_floor")] = np.nan
    columns = {
        "building_id": first["building_id"].combine_chunks(),
        **{n: extreme(n, np.fmax) for n in ("depth_max_m", "depth_mean_m", "duration_h")},
        "collapse_flow": any_of("collapse_flow"),
        "collapse_erosion": any_of("collapse_erosion"),
        "verdict": order.take(pa.array(worst)),
        "dry_floor": pa.array(floors, pa.float64(), from_pandas=True),
        "reasons": _joined([t["reasons"] for t in tables], rank == worst, unordered=False),
        "hazard": of_decider("hazard"),
        "scale": of_decider("scale"),
        "arrival_h": extreme("arrival_h", np.fmin),
        "zones": _joined([t["zones"] for t in tables], np.ones_like(rank, bool), unordered=True),
        "disagrees": any_of("disagrees"),
    }  # fmt: skip
    schema = EXPOSURE.schema()
    return pa.table([columns[f.name].cast(f.type) for f in schema], schema=schema)


def _texts(lists: pa.ChunkedArray, code: str) -> NDArray[np.bool_]:
    """Which lists hold a code."""
    joined = pc.binary_join(lists, ";")
    return np.asarray(pc.fill_null(pc.match_substring(joined, code), False).to_numpy(), bool)


def _joined(
    columns: list[pa.ChunkedArray], counts: NDArray[np.bool_], *, unordered: bool
) -> pa.Array:
    """By row the codes of the lists that count there, each once. Few lists differ, so each
    combination is put together once."""
    texts = [pc.fill_null(pc.binary_join(c, ";"), "").dictionary_encode() for c in columns]
    texts = [t.combine_chunks() if isinstance(t, pa.ChunkedArray) else t for t in texts]
    known = [t.dictionary.to_pylist() for t in texts]
    codes = np.stack(
        [np.where(c, t.indices.to_numpy(), -1) for t, c in zip(texts, counts, strict=True)]
    )
    unique, at = np.unique(codes, axis=1, return_inverse=True)
    lists = []
    for combination in unique.T.tolist():
        said = [c for i, n in enumerate(combination) if n >= 0 for c in known[i][n].split(";") if c]
        lists.append(sorted(set(said)) if unordered else list(dict.fromkeys(said)))
    return pa.array(lists, pa.list_(pa.string())).take(pa.array(at.ravel()))


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
        tables[hazard.id] = table_of(city, found, answers(found, city, hazard.hazard), hazard)
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
    verdict_history.record(workspace)
    progress.update(1, 1, "exposure")
    return {name: _counts(table) for name, table in written.items()}


def disagreeing(workspace: Workspace, sets: Iterable[str]) -> dict[str, int]:
    """Buildings by set of which its sources disagree; sets without any are left out. The places
    are listed in `exposure/<set>.disagreements.csv`."""
    out = {}
    for name in sets:
        if name == COMBINED:
            continue
        table = pq.read_table(
            workspace.root / "exposure" / f"{name}.parquet", columns=["disagrees"]
        )
        number = sum(bool(v) for v in table["disagrees"].to_pylist())
        if number:
            out[name] = number
    return out


def _old(workspace: Workspace, name: str, city: City) -> pa.Table | None:
    path = workspace.root / "exposure" / f"{name}.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path)
    schema = EXPOSURE.schema()
    same = (
        table.column_names == schema.names and table["building_id"].to_pylist() == city.building_id
    )
    return table.cast(schema) if same else None


def _counts(table: pa.Table) -> dict[str, int]:
    values = table["verdict"].to_pylist()
    return {verdict: values.count(verdict) for verdict in ORDER}


def _disagreements(city: City, found: Found) -> str:
    if not found.notes:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["building_id", "source", "says", "other"])
    for note in found.notes:
        writer.writerow([city.building_id[note.row], note.source, note.says, note.other])
    return out.getvalue()
