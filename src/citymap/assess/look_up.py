"""What the sources of a hazard set say at shapes: depth, duration, arrival and zones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap.assess.verdict import FLOOR_M, STAY_HAZARDS
from citymap.assess.zonal import on_areas, on_grid
from citymap.hazard.legend import DEPTH, legends
from citymap.hazard.zones import LANDSLIDE_ZONES, TSUNAMI_ZONE, UNKNOWN_ZONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from citymap.assess.zonal import Rings
    from citymap.hazard.sets import HazardLayer, HazardSet
    from citymap.progress import Progress

FULL_SHARE = 0.999  # of a footprint that a grid must cover to speak for all of it
SAME_DEPTH_M = 0.005  # grid and attribute that differ by less agree
Bounds = tuple[float, float | None]  # from (included) to (not included; None: open)
UNKNOWN_CLASS: Bounds = (float("nan"), None)


class Disagreement(NamedTuple):
    """Two sources of a set that cannot both be right at a shape (its row)."""

    row: int
    source: str
    says: str
    other: str


@dataclass(slots=True)
class Found:
    """What the sources of one set say by shape; NaN and None are not known.

    Depth `inf` is inside the assumed area, how deep is not known. `surveyed` is False where no
    source speaks. `unclear` is True where an area of a class that nobody knows touches the shape,
    beside others that do say something.
    """

    depth_max_m: NDArray[np.float64]
    depth_mean_m: NDArray[np.float64]
    duration_h: NDArray[np.float64]
    surveyed: NDArray[np.bool_]
    arrival_h: NDArray[np.float64]
    unclear: NDArray[np.bool_]
    zones: dict[int, set[str]] = field(default_factory=dict)
    collapse_flow: NDArray[np.bool_] | None = None
    collapse_erosion: NDArray[np.bool_] | None = None
    notes: list[Disagreement] = field(default_factory=list)
    least_m: NDArray[np.float64] | None = None  # shallowest cell of the grids below each shape


def upper_bound(low: float, high: float | None) -> float:
    """The depth that stands for a class: just below its end; the start of an open class."""
    return low if high is None else float(np.nextafter(high, low))


def standard_rank(rank: int | None) -> Bounds | None:
    """Bounds (m) of a rank 1–6 of the standard legend; None for anything else."""
    classes = legends()[DEPTH].classes
    if rank is None or not 1 <= rank <= len(classes):
        return None
    return classes[rank - 1].minimum, classes[rank - 1].maximum


def look_up(
    hazard: HazardSet, shapes: NDArray[Any], risks: list[list[dict[str, Any]] | None] | None = None,
    *, progress: Progress | None = None,
) -> Found:  # fmt: skip
    """Depth, duration, arrival and zones of a hazard set at any shapes (EPSG:6668); `risks` are
    the attributes that a city model carries for each of them."""
    count = len(shapes)

    def nothing() -> NDArray[np.float64]:
        return np.full(count, np.nan)

    found = Found(
        nothing(), nothing(), nothing(), np.zeros(count, bool), nothing(), np.zeros(count, bool)
    )
    prepared: dict[int, Rings] = {}
    grids = [layer for layer in hazard.of("depth") if layer.is_raster]
    covered = np.zeros(count, bool)
    for layer in grids:
        zonal = on_grid(layer.path, shapes, progress=progress, prepared=prepared)
        found.depth_max_m = np.fmax(found.depth_max_m, zonal.peak)
        found.depth_mean_m = np.fmax(found.depth_mean_m, zonal.mean)
        least = zonal.least if found.least_m is None else found.least_m
        found.least_m = np.fmin(least, zonal.least)
        covered |= zonal.covered_share >= FULL_SHARE
    ranked = [layer for layer in hazard.of("depth", "rank") if not layer.is_raster]
    for layer in ranked:
        _take_class(found, layer, shapes, grids=bool(grids))
    zoned = hazard.of("zone")
    for layer in zoned:
        _take_zones(found, layer, shapes)
    attributes = _attributes(hazard, risks) if risks is not None else None
    if attributes is not None:
        _take_attributes(found, attributes, grids=bool(grids or ranked))
    _survey(found, hazard, shapes, covered, grids=bool(grids), areas=bool(ranked or zoned),
            attributes=attributes is not None)  # fmt: skip
    _durations(found, hazard, shapes, prepared)
    _arrivals(found, hazard, shapes, prepared)
    found.collapse_flow = _zone(hazard, "collapse_flow", shapes)
    found.collapse_erosion = _zone(hazard, "collapse_erosion", shapes)
    if hazard.hazard == "tsunami":
        for row in np.flatnonzero(found.depth_max_m > 0).tolist():
            found.zones.setdefault(row, set()).add(TSUNAMI_ZONE)
    return found


def _survey(
    found: Found, hazard: HazardSet, shapes: NDArray[Any], covered: NDArray[np.bool_], *,
    grids: bool, areas: bool, attributes: bool,
) -> None:  # fmt: skip
    """A grid speaks for what it covers; areas and attributes are drawn for the whole city."""
    if areas or (attributes and not grids):
        found.surveyed[:] = True
    elif grids:
        found.surveyed = covered | (~np.isnan(found.depth_max_m) if attributes else False)
    for layer in hazard.of("surveyed_extent"):
        if layer.is_raster:
            extent = on_grid(layer.path, shapes).known_share >= FULL_SHARE
        else:
            shape, _, _ = on_areas(layer.path, shapes)
            extent = np.isin(np.arange(len(shapes)), shape)
        found.surveyed = extent | ~np.isnan(found.depth_max_m)


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


class Classes(NamedTuple):
    """Pairs of a shape and an area over it, and what class each area is in (NaN: not known)."""

    shape: NDArray[np.int64]
    area: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]  # inf: open

    def of_pairs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds by pair."""
        return self.low[self.area], self.high[self.area]


def _classes(layer: HazardLayer, shapes: NDArray[Any]) -> Classes:
    column = next(
        (c for c in ("class_code", "rank", "depth_m") if c in pq.read_schema(layer.path).names),
        None,
    )
    shape, area, values = on_areas(layer.path, shapes, column)
    standard = layer.facts.get("hazard", "river_flood") == "river_flood" and not layer.classes
    bounds = []
    for value in values:
        one = layer.classes.get(str(value)) if value is not None else None
        if one is None and value is not None and standard and value.isdigit():
            one = standard_rank(int(value))
        bounds.append(one if one is not None else UNKNOWN_CLASS)
    low = np.array([b[0] for b in bounds], float)
    high = np.array([np.inf if b[1] is None else b[1] for b in bounds], float)
    return Classes(shape, area, low, high)


def _worst_class(
    layer: HazardLayer, shapes: NDArray[Any]
) -> tuple[Classes, list[Bounds | None], NDArray[np.bool_]]:
    """By shape the bounds of its worst known class; and where an unknown class touches it."""
    found = _classes(layer, shapes)
    low, high = found.of_pairs()
    unknown = np.zeros(len(shapes), bool)
    unknown[found.shape[np.isnan(low)]] = True
    worst: list[Bounds | None] = [None] * len(shapes)
    order = np.argsort(np.where(np.isnan(low), -1.0, low), kind="stable")
    for at in order.tolist():  # the worst comes last
        bounds = (float(low[at]), None if np.isinf(high[at]) else float(high[at]))
        worst[int(found.shape[at])] = bounds
    return found, worst, unknown


def _class_means(
    found: Classes, path: Any, shapes: NDArray[Any]
) -> dict[int, float]:  # fmt: skip
    """The mean of the classes' depths over the parts of a shape that they cover, by area."""
    low, high = found.of_pairs()
    depth = np.where(np.isinf(high), low, np.nextafter(high, low))
    means: dict[int, float] = {}
    several: list[int] = []
    order = np.argsort(found.shape, kind="stable")
    rows, starts = np.unique(found.shape[order], return_index=True)
    for row, pairs in zip(rows.tolist(), np.split(order, starts)[1:], strict=True):
        known = depth[pairs]
        if np.isnan(known).any():
            continue
        if (known == known[0]).all():
            means[row] = float(known[0])
        else:
            several += pairs.tolist()
    if not several:
        return means
    pairs = np.array(several)
    needed, at = np.unique(found.area[pairs], return_inverse=True)
    column = pq.read_table(path, columns=["geometry"])["geometry"].take(needed)
    areas = shapely.from_wkb(column.to_numpy(zero_copy_only=False))
    areas = shapely.make_valid(shapely.force_2d(areas))
    overlap = shapely.area(
        shapely.intersection(areas[at], np.asarray(shapes, object)[found.shape[pairs]])
    )
    total = np.zeros(len(shapes))
    weight = np.zeros(len(shapes))
    np.add.at(total, found.shape[pairs], overlap * depth[pairs])
    np.add.at(weight, found.shape[pairs], overlap)
    for row in np.flatnonzero(weight > 0).tolist():
        means[row] = float(total[row] / weight[row])
    return means


def _take_class(found: Found, layer: HazardLayer, shapes: NDArray[Any], *, grids: bool) -> None:
    """Let areas speak: alone they give the depth; beside a grid they can only make it worse."""
    classes, worst, unknown = _worst_class(layer, shapes)
    found.unclear |= unknown
    for row, bounds in enumerate(worst):
        if bounds is None:
            continue
        low, high = bounds
        if np.isnan(low):  # inside, but the class is not known: inside with unknown depth
            if np.isnan(found.depth_max_m[row]):
                found.depth_max_m[row] = np.inf
            continue
        _worse(found, row, low, high, layer.id, grids=grids)
    if not grids:
        for row, mean in _class_means(classes, layer.path, shapes).items():
            found.depth_mean_m[row] = np.fmax(found.depth_mean_m[row], mean)


def _take_zones(found: Found, layer: HazardLayer, shapes: NDArray[Any]) -> None:
    """Warning zones: inside is inside, whatever the kind; the kind is kept."""
    names = set(pq.read_schema(layer.path).names)
    shape, area, codes = on_areas(
        layer.path, shapes, "class_code" if "class_code" in names else None
    )
    for row, code in zip(shape.tolist(), (codes[a] for a in area.tolist()), strict=True):
        found.zones.setdefault(row, set()).add(LANDSLIDE_ZONES.get(str(code), UNKNOWN_ZONE))
        if np.isnan(found.depth_max_m[row]):
            found.depth_max_m[row] = np.inf


def _worse(
    found: Found, row: int, low: float, high: float | None, source: str, *, grids: bool
) -> None:
    depth = found.depth_max_m[row]
    inside = not np.isnan(depth) and depth >= low and (high is None or depth < high)
    if inside and not np.isinf(depth):
        return
    bound = max(upper_bound(low, high), np.nextafter(0.0, 1.0))
    if grids:
        found.notes.append(Disagreement(row, source, _class_text(low, high), _told(depth)))
    if np.isnan(depth) or np.isinf(depth) or bound > depth:
        found.depth_max_m[row] = bound


def _told(depth: float) -> str:
    return "–" if np.isnan(depth) or np.isinf(depth) else f"{depth:.2f} m"


def _attributes(
    hazard: HazardSet, risks: list[list[dict[str, Any]] | None]
) -> list[list[dict[str, Any]]] | None:
    """By building the attributes of this hazard, river and scale; None where no building has any."""
    if not hazard.name:
        return None
    key = (hazard.hazard, hazard.name.strip(), hazard.scale)
    out = [
        [r for r in several or ()
         if (r["hazard"], (r["name"] or "").strip(), r["scale"] or "") == key]
        for several in risks
    ]  # fmt: skip
    return out if any(out) else None


def _take_attributes(found: Found, attributes: list[list[dict[str, Any]]], *, grids: bool) -> None:
    """Let the model's attributes speak beside what grids and areas said: the deeper one counts."""
    before = found.depth_max_m.copy()
    least = before if found.least_m is None else np.fmin(found.least_m, before)
    for row, several in enumerate(attributes):
        if grids and not several and before[row] > 0:
            found.notes.append(Disagreement(row, "attribute", "–", _told(before[row])))
        for risk in several:
            _take_attribute(found, row, risk, (least[row], before[row]) if grids else None)


def _take_attribute(
    found: Found, row: int, risk: Mapping[str, Any], others: tuple[float, float] | None
) -> None:
    """`others`: the least and the largest depth that grids and areas give at the shape.

    An attribute is the depth of the mesh cell that covers most of the building, so it agrees where
    it lies between them.
    """
    depth, hours = risk["depth_m"], risk["duration_h"]
    here = found.depth_max_m[row]
    low = high = np.nan
    if risk["hazard"] == "landslide":
        found.zones.setdefault(row, set()).add(LANDSLIDE_ZONES.get(str(risk["rank"]), UNKNOWN_ZONE))
    if depth is not None and np.isfinite(depth):
        low, high, said = depth, depth + SAME_DEPTH_M, f"{depth:.2f} m"
        bound = depth
    elif (bounds := _risk_class(risk)) is not None:
        low, high = bounds[0], np.inf if bounds[1] is None else bounds[1]
        said = _class_text(*bounds)
        bound = max(upper_bound(*bounds), np.nextafter(0.0, 1.0))
    if np.isnan(low):
        if np.isnan(here):
            found.depth_max_m[row] = np.inf
    else:
        if others is not None:
            least, most = others
            if not (
                np.isfinite(most) and low <= most + SAME_DEPTH_M and high > least - SAME_DEPTH_M
            ):
                found.notes.append(Disagreement(row, "attribute", said, _told(most)))
        inside = np.isfinite(here) and low <= here < high
        if not inside and (not np.isfinite(here) or bound > here):
            found.depth_max_m[row] = bound
    if hours is not None and np.isfinite(hours):
        found.duration_h[row] = np.fmax(found.duration_h[row], hours)


def _class_text(low: float, high: float | None) -> str:
    return f"{low:g}–{'' if high is None else format(high, 'g')} m"


def _risk_class(risk: Mapping[str, Any]) -> Bounds | None:
    """The class of a rank: only a river's ranks are the standard ones."""
    return standard_rank(risk["rank"]) if risk["hazard"] == "river_flood" else None


def _durations(
    found: Found, hazard: HazardSet, shapes: NDArray[Any], prepared: dict[int, Rings]
) -> None:
    layers = hazard.of("duration")
    if layers:  # 浸水継続時間 counts the hours above 0.5 m: shallower water has none
        found.duration_h[(found.depth_max_m < FLOOR_M) & np.isnan(found.duration_h)] = 0.0
    for layer in layers:
        if layer.is_raster:
            peak = on_grid(layer.path, shapes, prepared=prepared).peak
            found.duration_h = np.fmax(found.duration_h, peak)
            continue
        _, worst, unknown = _worst_class(layer, shapes)
        for row, bounds in enumerate(worst):
            if bounds is not None and not np.isnan(bounds[0]):
                low, high = bounds
                hours = low + 1.0 if high is None else upper_bound(low, high)
                found.duration_h[row] = np.fmax(found.duration_h[row], hours)
        found.unclear |= unknown


def _arrivals(
    found: Found, hazard: HazardSet, shapes: NDArray[Any], prepared: dict[int, Rings]
) -> None:
    """The earliest arrival (h) at the shape: the start of its class, the least of its cells."""
    for layer in hazard.of("arrival"):
        if layer.is_raster:
            first = on_grid(layer.path, shapes, prepared=prepared).least
            found.arrival_h = np.fmin(found.arrival_h, first)
            continue
        classes = _classes(layer, shapes)
        low, _ = classes.of_pairs()
        earliest = np.full(len(shapes), np.inf)
        np.minimum.at(earliest, classes.shape, np.where(np.isnan(low), np.inf, low))
        found.arrival_h = np.fmin(found.arrival_h, np.where(np.isinf(earliest), np.nan, earliest))


def must_leave(hazard: str) -> bool:
    """Whether inside is reason enough to leave, however deep (土砂災害, 津波)."""
    return hazard not in STAY_HAZARDS
