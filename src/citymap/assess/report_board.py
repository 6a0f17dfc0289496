"""Reports as staff work on them: one row each with district and trust, and counts for the headquarters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from citymap.places.districts import locate
from citymap.reports import desk
from citymap.reports.categories import in_force
from citymap.reports.desk import Filter
from citymap.reports.model import OPEN, Report
from citymap.reports.trust import FEW_H, Trust, trust

if TYPE_CHECKING:
    from citymap.reports.categories import Catalogue
    from citymap.store import Store
    from citymap.workspace import Workspace

MOST = 2000
_CELL_DEG = 0.003


@dataclass(frozen=True, slots=True)
class Row:
    """A report beside what is known around it."""

    report: Report
    title: str
    district: str
    trust: Trust


def rows(
    store: Store,
    workspace: Workspace,
    wanted: Filter,
    *,
    at: datetime,
    lang: str,
    limit: int = MOST,
) -> list[Row]:
    """The reports of a filter, the newest first, with their districts and trust.

    Raises:
        StoreError: the store cannot be read.
    """
    listed = in_force(workspace)
    found = desk.listed(store, wanted, limit=limit)
    if not found:
        return []
    since = min(r.observed_at for r in found) - timedelta(hours=FEW_H)
    around = desk.listed(store, Filter(since=since), limit=10 * MOST)
    levels = _trusted(found, around, listed, at)
    names = districts_of(workspace, found)
    return [
        Row(report, listed.title(report.category, lang), name, level)
        for report, name, level in zip(found, names, levels, strict=True)
    ]


def _trusted(
    found: Sequence[Report], around: Sequence[Report], listed: Catalogue, at: datetime
) -> list[Trust]:
    """Trust from the reports of the cells next to each."""
    cells: dict[tuple[int, int], list[Report]] = {}
    for report in around:
        key = (int(report.lon / _CELL_DEG), int(report.lat / _CELL_DEG))
        cells.setdefault(key, []).append(report)
    out = []
    for report in found:
        x, y = int(report.lon / _CELL_DEG), int(report.lat / _CELL_DEG)
        near = [
            r for dx in (-1, 0, 1) for dy in (-1, 0, 1) for r in cells.get((x + dx, y + dy), ())
        ]
        out.append(trust(report, near, listed, at=at))
    return out


def districts_of(workspace: Workspace, found: Sequence[Report]) -> list[str]:
    """The name of the district of each report; empty outside all of them."""
    ids = locate(workspace, [r.lon for r in found], [r.lat for r in found])
    if not workspace.districts.is_file():
        return [""] * len(found)
    table = pq.read_table(workspace.districts, columns=["district_id", "name"])
    names = dict(zip(table["district_id"].to_pylist(), table["name"].to_pylist(), strict=True))
    return [names.get(i) or "" for i in ids]


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a period: by district and category, by state, and what waits."""

    districts: tuple[str, ...]
    categories: tuple[str, ...]
    counts: dict[tuple[str, str], int]
    states: dict[str, int]
    waiting: int
    oldest: datetime | None

    def of_district(self, name: str) -> int:
        """All of a district."""
        return sum(n for (district, _), n in self.counts.items() if district == name)


def summary(listed: Sequence[Row]) -> Summary:
    """Count rows; merged ones stand for nothing of their own, rejected ones for nothing at all."""
    real = [row for row in listed if row.report.status not in {"merged", "rejected"}]
    counts = Counter((row.district, row.title) for row in real)
    by_district = Counter(row.district for row in real)
    waits = [row.report.received_at for row in listed if row.report.status in OPEN]
    return Summary(
        tuple(name for name, _ in by_district.most_common()),
        tuple(title for title, _ in Counter(row.title for row in real).most_common()),
        dict(counts), dict(Counter(row.report.status for row in listed)),
        len(waits), min(waits, default=None),
    )  # fmt: skip
