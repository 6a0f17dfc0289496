"""Which building of one edition is which of the next: by its id where it stayed near, else by its place.

Thresholds are the constants below. The rules in their order:

1. `building_id`, then `gml_id`: the id stands once on either side, and the footprints are not farther
   apart than `MOVED_M` (a farther one is an id that was given to another building).
2. `overlap`: intersection over union at least `OVERLAP`; or at least `OVERLAP_NEAR` where also the
   centroids are within `NEAR_M`. The best pairs first, each building once.
3. `split`: a new building lies by at least `INSIDE` in an old one that is gone or has shrunk (overlap
   with its successor below `UNCHANGED`), and the parts cover at least `COVERED` of it.
4. `merged`: the same the other way round.

What is left was added or removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

MOVED_M = 20.0
OVERLAP = 0.5
OVERLAP_NEAR = 0.3
NEAR_M = 5.0
INSIDE = 0.5
COVERED = 0.5
UNCHANGED = 0.8
ONE_TO_ONE, SPLIT, MERGED, ADDED, REMOVED = "one", "split", "merged", "added", "removed"


@dataclass(frozen=True, slots=True)
class Side:
    """The buildings of one edition; `shapes` are footprints in metres (None where there is none)."""

    building_id: NDArray[Any]
    gml_id: NDArray[Any]
    shapes: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Matches:
    """One row for every pair, and for every building without one (−1 on the other side).

    `overlap` is intersection over union (NaN without both footprints), `centroid_m` the distance of
    the centroids. `reused` lists pairs of one id that are two buildings.
    """

    old: Ints
    new: Ints
    kind: NDArray[Any]
    rule: NDArray[Any]
    overlap: Floats
    centroid_m: Floats
    reused: tuple[tuple[int, int], ...]


def _once(ids: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an id stands and stands only once."""
    series = pandas.Series(ids, dtype=object)
    return np.asarray(series.notna() & ~series.duplicated(keep=False))


def _same_id(a: NDArray[Any], b: NDArray[Any]) -> tuple[Ints, Ints]:
    """Rows of the ids that stand once on either side."""
    rows_a, rows_b = np.flatnonzero(_once(a)), np.flatnonzero(_once(b))
    found = pandas.Index(a[rows_a]).get_indexer(pandas.Index(b[rows_b]))
    return rows_a[found[found >= 0]], rows_b[found >= 0]


def _usable(shapes: NDArray[Any]) -> NDArray[Any]:
    """Footprints that can be cut with each other; None for those without an area."""
    out = shapes.copy()
    wrong = ~shapely.is_missing(out) & ~shapely.is_valid(out)
    out[wrong] = shapely.make_valid(out[wrong])
    out[~(shapely.area(out) > 0)] = None
    return out


class _Overlaps:
    """Areas and intersections of footprints."""

    def __init__(self, old: NDArray[Any], new: NDArray[Any]) -> None:
        self.old, self.new = old, new
        self.area_old, self.area_new = shapely.area(old), shapely.area(new)
        self.centre_old, self.centre_new = shapely.centroid(old), shapely.centroid(new)

    def common(self, i: Ints, j: Ints, *, known: tuple[Any, ...] | None = None) -> Floats:
        """Area that two footprints share, square metres; NaN without both.

        `known` are pairs (i, j, area) that were cut before.
        """
        a, b = self.old[i], self.new[j]
        out: Floats = np.array(self.area_old[i], float)
        out[shapely.is_missing(a) | shapely.is_missing(b)] = np.nan
        differ = ~shapely.equals_exact(a, b, 0.0) & ~np.isnan(out)
        if known is not None:
            keys = pandas.Index(known[0] * len(self.new) + known[1])
            first = ~keys.duplicated()
            at = keys[first].get_indexer(i * len(self.new) + j)
            out[at >= 0] = known[2][first][at[at >= 0]]
            differ &= at < 0
        out[differ] = shapely.area(shapely.intersection(a[differ], b[differ]))
        return out

    def iou(self, i: Ints, j: Ints, common: Floats) -> Floats:
        """Intersection over union."""
        union = self.area_old[i] + self.area_new[j] - common
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.clip(common / union, 0.0, 1.0))

    def apart_m(self, i: Ints, j: Ints) -> Floats:
        """Distance of the centroids; NaN without both."""
        return np.asarray(shapely.distance(self.centre_old[i], self.centre_new[j]), float)


def _pairs_near(
    over: _Overlaps, free_old: NDArray[np.bool_], free_new: NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """Pairs whose footprints touch, of which at least one has no partner yet."""
    rest_old, rest_new = np.flatnonzero(free_old), np.flatnonzero(free_new)
    new_at, old_at = shapely.STRtree(over.old).query(over.new[rest_new], predicate="intersects")
    a = (old_at, rest_new[new_at])
    old_at, new_at = shapely.STRtree(over.new).query(over.old[rest_old], predicate="intersects")
    seen = free_new[new_at]  # these are in the first half
    b = (rest_old[old_at[~seen]], new_at[~seen])
    return np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])


def _parts(
    child: Ints, parent: Ints, common: Floats, child_area: Floats, parent_area: Floats,
    partner: Ints, partner_common: Floats, partner_iou: Floats, blocked: NDArray[np.bool_],
) -> tuple[Ints, Ints]:  # fmt: skip
    """Children (each with the parent that holds most of it) of parents that fell into several.

    `partner` is the parent's counterpart (−1 without), which counts as one of its parts.
    """
    inside = common / child_area[child] >= INSIDE
    inside &= ~blocked[parent] & ~(partner_iou[parent] >= UNCHANGED)
    child, parent, common = child[inside], parent[inside], common[inside]
    order = np.lexsort((parent, -common, child))
    child, parent, common = child[order], parent[order], common[order]
    first = np.ones(len(child), bool)
    first[1:] = child[1:] != child[:-1]
    child, parent, common = child[first], parent[first], common[first]
    count = np.bincount(parent, minlength=len(parent_area)) + (partner >= 0)
    held = np.bincount(parent, common, minlength=len(parent_area)) + np.nan_to_num(partner_common)
    with np.errstate(invalid="ignore", divide="ignore"):
        good = (count >= 2) & (held / parent_area >= COVERED)
    return child[good[parent]], parent[good[parent]]


def match(old: Side, new: Side) -> Matches:
    """Every building of both editions with its counterpart, by the rules of this module."""
    over = _Overlaps(_usable(old.shapes), _usable(new.shapes))
    n_old, n_new = len(old.shapes), len(new.shapes)
    to_new, to_old = np.full(n_old, -1, np.int64), np.full(n_new, -1, np.int64)
    rule = np.full(n_old, "", object)
    reused: list[tuple[int, int]] = []
    for name in ("building_id", "gml_id"):
        i, j = _same_id(getattr(old, name), getattr(new, name))
        free = (to_new[i] < 0) & (to_old[j] < 0)
        i, j = i[free], j[free]
        far = shapely.distance(over.old[i], over.new[j]) > MOVED_M  # NaN: nothing to doubt it by
        reused += zip(i[far].tolist(), j[far].tolist(), strict=True)
        i, j = i[~far], j[~far]
        to_new[i], to_old[j], rule[i] = j, i, name
    i, j = _pairs_near(over, to_new < 0, to_old < 0)
    common = over.common(i, j)
    iou, apart = over.iou(i, j, common), over.apart_m(i, j)
    _place(i, j, iou, apart, to_new, to_old, rule)

    pair_old = np.flatnonzero(to_new >= 0)
    pair_new = to_new[pair_old]
    pair_common = over.common(pair_old, pair_new, known=(i, j, common))
    pair_iou = over.iou(pair_old, pair_new, pair_common)
    common_old, iou_old = np.full(n_old, np.nan), np.full(n_old, np.nan)
    common_old[pair_old], iou_old[pair_old] = pair_common, pair_iou
    common_new, iou_new = np.full(n_new, np.nan), np.full(n_new, np.nan)
    common_new[pair_new], iou_new[pair_new] = pair_common, pair_iou

    alone = to_old[j] < 0
    split_new, split_old = _parts(
        j[alone], i[alone], common[alone], over.area_new, over.area_old,
        to_new, common_old, iou_old, np.zeros(n_old, bool),
    )  # fmt: skip
    in_split_new, in_split_old = np.zeros(n_new, bool), np.zeros(n_old, bool)
    in_split_new[split_new] = in_split_old[split_old] = True
    stayed = in_split_old & (to_new >= 0)
    in_split_new[to_new[stayed]] = True
    alone = (to_new[i] < 0) & ~in_split_old[i]
    merged_old, merged_new = _parts(
        i[alone], j[alone], common[alone], over.area_old, over.area_new,
        to_old, common_new, iou_new, in_split_new,
    )  # fmt: skip
    in_merged_old, in_merged_new = np.zeros(n_old, bool), np.zeros(n_new, bool)
    in_merged_old[merged_old] = in_merged_new[merged_new] = True

    kind = np.full(len(pair_old), ONE_TO_ONE, object)
    kind[in_split_old[pair_old]] = SPLIT
    kind[in_merged_new[pair_new]] = MERGED
    gone = np.flatnonzero((to_new < 0) & ~in_split_old & ~in_merged_old)
    came = np.flatnonzero((to_old < 0) & ~in_split_new & ~in_merged_new)
    rows_old = np.concatenate([pair_old, split_old, merged_old, gone, np.full(len(came), -1)])
    rows_new = np.concatenate([pair_new, split_new, merged_new, np.full(len(gone), -1), came])
    kinds = np.concatenate([
        kind, np.full(len(split_old), SPLIT, object), np.full(len(merged_old), MERGED, object),
        np.full(len(gone), REMOVED, object), np.full(len(came), ADDED, object),
    ])  # fmt: skip
    rules = np.concatenate([
        rule[pair_old], np.full(len(split_old), SPLIT, object),
        np.full(len(merged_old), MERGED, object), np.full(len(gone) + len(came), "", object),
    ])  # fmt: skip
    both = (rows_old >= 0) & (rows_new >= 0)
    overlap, centroid = np.full(len(kinds), np.nan), np.full(len(kinds), np.nan)
    a, b = rows_old[both].astype(np.int64), rows_new[both].astype(np.int64)
    known = tuple(np.concatenate(x) for x in ((i, pair_old), (j, pair_new), (common, pair_common)))
    overlap[both] = over.iou(a, b, over.common(a, b, known=known))
    centroid[both] = over.apart_m(a, b)
    return Matches(
        rows_old.astype(np.int64), rows_new.astype(np.int64), kinds, rules, overlap, centroid,
        tuple(reused),
    )  # fmt: skip


def _place(
    i: Ints, j: Ints, iou: Floats, apart: Floats, to_new: Ints, to_old: Ints, rule: NDArray[Any]
) -> None:
    """Enter the pairs by place, the best first; each building gets one partner at most."""
    good = (to_new[i] < 0) & (to_old[j] < 0)
    good &= (iou >= OVERLAP) | ((iou >= OVERLAP_NEAR) & (apart <= NEAR_M))
    i, j, iou, apart = i[good], j[good], iou[good], apart[good]
    for k in np.lexsort((j, i, apart, -iou)).tolist():
        if to_new[i[k]] < 0 and to_old[j[k]] < 0:
            to_new[i[k]], to_old[j[k]], rule[i[k]] = j[k], i[k], "overlap"
