"""Buildings that a simulated flood reaches, by class of depth and by verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap.assess.depth_classes import STANDARD
from citymap.assess.zonal import on_grid
from citymap.flood.results import FLOODED_FROM_M, SUMMARY, write_summary
from citymap.i18n import note
from citymap.progress import Progress, Quiet
from citymap.workspace import Workspace

COUNTING = note("flood.said.counting")
METRES_PER_DEGREE = 111_000.0


@dataclass(frozen=True, slots=True)
class _Counting:
    """Progress that says what is done to the person: buildings are being counted, at the end of a run."""

    whole: Progress

    def update(self, done: float, total: float, note: str = "") -> None:
        """See `Progress.update`."""
        del done, total, note
        self.whole.update(1.0, 1.0, COUNTING)


def count(
    workspace: Workspace, folder: Path, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Add counts of flooded buildings to the summary of the result in `folder`; returns the summary.

    A building's depth is the largest at its footprint and within one cell of it (where buildings are
    walls the water stands beside them). Verdicts are those of `exposure/combined.parquet`.
    """
    summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    if not workspace.buildings.is_file():
        return summary
    table = pq.read_table(workspace.buildings, columns=["building_id", "geometry"])
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    shapes = shapely.buffer(
        shapely.force_2d(shapes), summary["cell_size_m"] / METRES_PER_DEGREE, quad_segs=2
    )
    peak = on_grid(folder / "max_depth.tif", shapes, progress=_Counting(progress or Quiet())).peak
    flooded = np.nan_to_num(peak, nan=0.0) >= FLOODED_FROM_M
    summary["buildings_assessed"] = int(np.isfinite(peak).sum())
    summary["buildings_flooded"] = int(flooded.sum())
    summary["buildings_by_class"] = {
        c.key: int(
            (flooded & (peak >= c.min_m) & (peak < (np.inf if c.max_m is None else c.max_m))).sum()
        )
        for c in STANDARD
    }
    verdicts = workspace.root / "exposure" / "combined.parquet"
    if verdicts.is_file():
        found = pq.read_table(verdicts, columns=["building_id", "verdict"]).to_pydict()
        of = dict(zip(found["building_id"], found["verdict"], strict=True))
        ids = table["building_id"].to_pylist()
        counts: dict[str, int] = {}
        for number in np.flatnonzero(flooded).tolist():
            verdict = of.get(ids[number]) or "unknown"
            counts[verdict] = counts.get(verdict, 0) + 1
        summary["buildings_by_verdict"] = counts
    write_summary(folder, summary)
    return summary
