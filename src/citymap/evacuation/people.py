"""People in buildings: how many, of which age, in which households; totals exact to the person."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from scipy.spatial import cKDTree

from citymap import crs
from citymap.errors import BadInputError
from citymap.evacuation.person import MOBILITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.evacuation.homes import Homes

# Floor area per person by usage (m²): by night those who live there, by day also those at work.
# Assumptions of ours; a census or 人流 count sets the total, these only share it out.
_NIGHT = {
    "411": 40.0, "412": 35.0, "413": 50.0, "414": 45.0, "415": 50.0, "住宅": 40.0, "共同住宅": 35.0,
    "店舗等併用住宅": 50.0, "店舗等併用共同住宅": 45.0, "作業所併用住宅": 50.0, "宿泊施設": 30.0,
    "農林漁業用施設": 200.0, "不明": 120.0,
}  # fmt: skip
_DAY = {
    "411": 90.0, "412": 80.0, "413": 60.0, "414": 60.0, "415": 60.0, "住宅": 90.0, "共同住宅": 80.0,
    "店舗等併用住宅": 60.0, "店舗等併用共同住宅": 60.0, "作業所併用住宅": 60.0, "業務施設": 20.0,
    "商業施設": 30.0, "商業系複合施設": 30.0, "宿泊施設": 60.0, "文教厚生施設": 12.0, "官公庁施設": 20.0,
    "工場": 60.0, "運輸倉庫施設": 120.0, "401": 20.0, "402": 30.0, "403": 60.0, "404": 30.0,
    "421": 20.0, "422": 12.0, "431": 120.0, "441": 60.0, "不明": 120.0,
}  # fmt: skip
# Census of 2020, rounded: shares of households of 1, 2, 3, 4, 5 people and of ages.
HOUSEHOLDS = (0.38, 0.28, 0.17, 0.12, 0.05)
AGES = (("0-14", 0.12), ("15-64", 0.59), ("65-74", 0.14), ("75+", 0.15))
AGE_FROM = (0, 15, 65, 75)  # years at which each class begins
OLDEST = 120
UNTOLD = len(AGES)  # the column of counts of those whose age is not given
# Share of people with walking difficulty by age: an assumption, to be replaced by local figures.
DIFFICULTY = {"0-14": 0.01, "15-64": 0.02, "65-74": 0.05, "75+": 0.20}
_ADULT, _CHILD, _ELDERLY, _IMPAIRED = (
    MOBILITY.index(m) for m in ("adult", "child", "elderly", "impaired")
)


@dataclass(frozen=True, slots=True)
class People:
    """One row a person: home, age class, mobility class, and household (the group that moves)."""

    home: NDArray[np.int32]
    age: NDArray[np.int8]  # index into AGES
    mobility: NDArray[np.int8]  # index into MOBILITY
    household: NDArray[np.int32]

    @property
    def count(self) -> int:
        """Number of people."""
        return len(self.home)


_NONE = np.empty(0, np.int32)
NOBODY = People(_NONE, _NONE.astype(np.int8), _NONE.astype(np.int8), _NONE)


def shared_out(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers in proportion to the weights that add up to the total (largest remainders)."""
    weights = np.maximum(np.nan_to_num(np.asarray(weights, float)), 0.0)
    if total <= 0 or weights.sum() <= 0:
        return np.zeros(len(weights), np.int64)
    exact = weights / weights.sum() * total
    counts = np.floor(exact).astype(np.int64)
    rest = total - int(counts.sum())
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[:rest]] += 1
    return np.asarray(counts, np.int64)


def of_untold_age(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts by home as counts by home and age class, the age of nobody being given."""
    out = np.zeros((len(counts), UNTOLD + 1), np.int64)
    out[:, UNTOLD] = counts
    return out


def capacity_weights(homes: Homes, *, night: bool) -> NDArray[np.float64]:
    """People whom the floor area and usage of each building suggest."""
    per = _NIGHT if night else _DAY
    code = np.array([per.get(c or "", 0.0) for c in homes.usage_code])
    named = np.array([per.get((u or "").split(";")[0], 0.0) for u in homes.usage])
    m2 = np.where(code > 0, code, named)
    found = np.divide(homes.floor_area_m2, m2, out=np.zeros(len(m2)), where=m2 > 0)
    return np.asarray(found, float)


def counts_of_file(
    path: Path, homes: Homes, *, night: bool, epsg: int, hour: int | None = None
) -> NDArray[np.int64]:
    """People per building and age class (the last column: age not given) from a CSV or Parquet.

    Columns `building_id, people`, or `lon, lat, people` (each count goes to the buildings nearest
    to the point among all points, by floor area: mesh counts, say). With a column `hour` (0-23, as
    人流 counts have it) the rows of `hour` count; with a column `age` (years or a class of `AGES`)
    the people of a row are of that age.

    Raises:
        BadInputError: columns are missing, a number is negative or not whole, an age is none, or a row names no building;
            a file by hours has none for `hour`.
    """
    rows = _rows(path)
    if not rows:
        raise BadInputError("evacuation_nobody", place=path.name)
    if "hour" in rows[0]:
        known = [_whole(r["hour"], path, k) for k, r in enumerate(rows, 2)]
        rows = [r for r, h in zip(rows, known, strict=True) if h == hour]
        if not rows:
            hours = ", ".join(str(h) for h in sorted(set(known)))
            raise BadInputError("evacuation_hour", place=path.name, hour=hour, hours=hours)
    columns = set(rows[0])
    if "people" not in columns or not ({"building_id"} <= columns or {"lon", "lat"} <= columns):
        missing = "people, building_id | lon, lat"
        raise BadInputError("evacuation_columns", place=path.name, columns=missing)
    people = [_whole(r["people"], path, k) for k, r in enumerate(rows, 2)]
    ages = [_age(r.get("age"), path, k) for k, r in enumerate(rows, 2)]
    counts = np.zeros((homes.count, UNTOLD + 1), np.int64)
    if "building_id" in columns:
        number = {b: i for i, b in enumerate(homes.building_id)}
        for k, (row, n, age) in enumerate(zip(rows, people, ages, strict=True), 2):
            home = number.get(str(row["building_id"]))
            if home is None:
                raise BadInputError(
                    "evacuation_unknown_home", place=f"{path.name}:{k}", id=row["building_id"]
                )
            counts[home, age] += n
        return counts
    x, y = crs.project(
        np.array([float(r["lon"]) for r in rows]), np.array([float(r["lat"]) for r in rows]), epsg
    )
    nearest = cKDTree(np.column_stack([x, y])).query(np.column_stack([homes.x, homes.y]))[1]
    weight = capacity_weights(homes, night=night)
    for k, n in enumerate(people):
        here = np.flatnonzero(nearest == k)
        usable = here[weight[here] > 0] if (weight[here] > 0).any() else here
        if n and not len(usable):
            raise BadInputError("evacuation_unknown_home", place=f"{path.name}:{k + 2}", id=str(k))
        if n:
            share = weight[usable] if weight[usable].sum() > 0 else np.ones(len(usable))
            counts[usable, ages[k]] += shared_out(n, share)
    return counts


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="cp932")
    except OSError as e:
        raise BadInputError("evacuation_unreadable", place=path.name, reason=e) from e
    return list(csv.DictReader(text.splitlines()))


def _whole(value: Any, path: Path, line: int) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not number >= 0 or number != int(number):
        raise BadInputError("evacuation_bad_count", place=f"{path.name}:{line}", value=value)
    return int(number)


def _age(value: Any, path: Path, line: int) -> int:
    """The class of an age in years or by its name; `UNTOLD` where there is none."""
    text = "" if value is None else str(value).strip()
    if not text or text == "nan":
        return UNTOLD
    names = [name for name, _ in AGES]
    if text in names:
        return names.index(text)
    try:
        years = float(text)
    except ValueError:
        years = -1.0
    if not 0 <= years <= OLDEST:
        raise BadInputError(
            "evacuation_bad_age", place=f"{path.name}:{line}", value=value, classes=", ".join(names)
        )
    return int(np.searchsorted(AGE_FROM, years, side="right")) - 1


def populate(counts: NDArray[np.int64], rng: np.random.Generator) -> People:
    """People of a count per building (or per building and age), with walking difficulty and households.

    Ages that are not given are drawn from the shares of a whole city.

    Raises:
        BadInputError: nobody lives anywhere.
    """
    counts = of_untold_age(counts) if counts.ndim == 1 else counts
    total = int(counts.sum())
    if total == 0:
        raise BadInputError("evacuation_nobody")
    home = np.repeat(np.arange(len(counts), dtype=np.int32), counts.sum(axis=1))
    age = np.repeat(np.tile(np.arange(UNTOLD + 1), len(counts)), counts.ravel())
    untold = age == UNTOLD
    drawn = int(untold.sum())
    shares = np.array([s for _, s in AGES])
    age[untold] = np.repeat(np.arange(len(AGES)), shared_out(drawn, shares))[rng.permutation(drawn)]
    if drawn < total:  # not all children of a house in one household
        age = age[np.lexsort((rng.random(total), home))]
    difficulty = np.array([DIFFICULTY[a] for a, _ in AGES])[age]
    impaired = rng.random(total) < difficulty
    mobility = np.select([impaired, age == 0, age == 3], [_IMPAIRED, _CHILD, _ELDERLY], _ADULT)
    # Households: sizes drawn along the row of all people, cut where the building ends.
    sizes = rng.choice(np.arange(1, 6), size=total, p=HOUSEHOLDS)
    begins = np.cumsum(sizes)
    begins = begins[begins < total]
    first = np.zeros(total, bool)
    first[0] = True
    first[begins] = True
    first[1:] |= home[1:] != home[:-1]
    household = (np.cumsum(first) - 1).astype(np.int32)
    return People(home, age.astype(np.int8), mobility.astype(np.int8), household)


def slowest(people: People) -> NDArray[np.int8]:
    """Mobility class of each household: that of its slowest member."""
    out = np.zeros(int(people.household[-1]) + 1, np.int8)
    np.maximum.at(out, people.household, people.mobility)
    return out
