"""What was said of each building over time: kept through new hazard maps and new editions of the model.

`verdicts/current.parquet` is the last word on every building of the edition in force; each file
`verdicts/<time>-<cause>.parquet` holds only what changed then. A building that a new edition names
otherwise is followed by `from_gml_id`; one that is gone stands there with the verdict null.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq

from citymap.model.columns import Column, Table
from citymap.workspace import replacing_together

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.workspace import Workspace

_S = pa.string()
LOG = Table(
    "verdict_history",
    (
        Column("gml_id", _S, "building", nullable=False),
        Column("building_id", _S, "building", nullable=False),
        Column("verdict", _S, "from then on; null where the building is gone"),
        Column("depth_max_m", pa.float64(), "largest depth of all sets", "m"),
        Column("from_gml_id", _S, "the same building in the edition before; null: a new one"),
        Column("rule", _S, "how it was recognised: building_id, gml_id, overlap, split or merged"),
        Column("edition", _S, "edition of the model"),
    ),
)
_STATE = ["gml_id", "building_id", "verdict", "depth_max_m"]


@dataclass(frozen=True, slots=True)
class Word:
    """One line of a building's history, `at` in UTC."""

    at: datetime
    cause: str
    gml_id: str
    verdict: str | None
    depth_max_m: float | None
    edition: str | None
    rule: str | None


def state_of(workspace: Workspace) -> pandas.DataFrame | None:
    """Verdict and depth of every building by its gml:id; None before exposure was computed."""
    combined = workspace.root / "exposure" / "combined.parquet"
    if not combined.is_file() or not workspace.buildings.is_file():
        return None
    ids = pq.read_table(workspace.buildings, columns=["gml_id", "building_id"]).to_pandas()
    said = pq.read_table(combined, columns=["building_id", "verdict", "depth_max_m"]).to_pandas()
    if len(said) != len(ids) or (said["building_id"] != ids["building_id"]).any():
        return None  # of other buildings
    ids["verdict"], ids["depth_max_m"] = said["verdict"], said["depth_max_m"]
    return ids


def _current(workspace: Workspace) -> pandas.DataFrame | None:
    path = workspace.verdicts / "current.parquet"
    return pq.read_table(path).to_pandas() if path.is_file() else None


def _edition(workspace: Workspace) -> str | None:
    names = pq.read_table(workspace.buildings, columns=["edition"])["edition"].drop_null()
    return str(names[0].as_py()) if len(names) else None


def log_path(workspace: Workspace, cause: str, at: datetime) -> Path:
    """Where the changes of a moment lie; the names sort by time."""
    return workspace.verdicts / f"{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{cause}.parquet"


def _log(rows: pandas.DataFrame, edition: str | None) -> pa.Table:
    rows = rows.assign(edition=edition)
    return pa.Table.from_pandas(rows[[c.name for c in LOG.columns]], LOG.schema(), preserve_index=False)  # fmt: skip


def _differs(new: pandas.Series, old: pandas.Series) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray((new != old) & ~(new.isna() & old.isna()))


def record(workspace: Workspace, *, at: datetime | None = None) -> int:
    """Note what exposure says differently now; returns how many buildings that is."""
    now = state_of(workspace)
    if now is None:
        return 0
    before = _current(workspace)
    rows = now.assign(from_gml_id=None, rule=None)
    if before is not None:
        old = before.set_index("gml_id")["verdict"].reindex(rows["gml_id"])
        known = rows["gml_id"].isin(before["gml_id"]).to_numpy()
        changed = _differs(rows["verdict"], old.reset_index(drop=True)) | ~known
        rows.loc[known, "from_gml_id"] = rows.loc[known, "gml_id"]
        rows = rows[changed]
        if rows.empty:
            return 0
    paths = {
        "log": log_path(workspace, "exposure", at or datetime.now(UTC)),
        "current": workspace.verdicts / "current.parquet",
    }
    with replacing_together(workspace.root, paths) as temporary:
        pq.write_table(_log(rows, _edition(workspace)), temporary["log"], compression="zstd")
        write_state(now, temporary["current"])
    return len(rows)


def write_state(state: pandas.DataFrame, path: Path) -> None:
    """Write `current.parquet` to a (temporary) path."""
    table = pa.Table.from_pandas(state[_STATE], preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def of_new_edition(
    new: pandas.DataFrame, old: pandas.DataFrame, mapping: pandas.DataFrame, edition: str | None
) -> pa.Table:
    """The log of a change of edition: what is new, gone, named otherwise, or judged otherwise.

    `mapping` has the columns of `citymap.plateau.compare.MAPPING`; of a building that was joined
    from several the one with the largest overlap is followed.
    """
    pairs = mapping.dropna(subset=["new_gml_id"]).sort_values("overlap", ascending=False)
    pairs = pairs.drop_duplicates("new_gml_id").set_index("new_gml_id")
    rows = new.copy()
    rows["from_gml_id"] = pairs["old_gml_id"].reindex(rows["gml_id"]).to_numpy()
    rows["rule"] = pairs["rule"].reindex(rows["gml_id"]).to_numpy()
    rows["rule"] = rows["rule"].replace("", None)
    was = old.set_index("gml_id")["verdict"]
    before = was.reindex(rows["from_gml_id"]).reset_index(drop=True)
    verdicts = rows["verdict"].reset_index(drop=True)
    other_id = (rows["from_gml_id"] != rows["gml_id"]).to_numpy()
    rows = rows[other_id | _differs(verdicts, before)]
    gone_ids = set(mapping.loc[mapping["kind"] == "removed", "old_gml_id"])
    joined = mapping.loc[mapping["kind"] == "merged", "old_gml_id"]
    gone_ids |= set(joined) - set(rows["from_gml_id"].dropna())
    gone = old[old["gml_id"].isin(gone_ids)].assign(verdict=None, depth_max_m=np.nan, rule=None)
    gone["from_gml_id"] = gone["gml_id"]
    into = mapping[mapping["kind"] == "merged"].set_index("old_gml_id")["rule"]
    gone["rule"] = gone["gml_id"].map(into)
    return _log(pandas.concat([rows, gone]) if len(gone) else rows, edition)


def history(workspace: Workspace, gml_id: str) -> list[Word]:
    """What was said of a building of the edition in force, newest first, followed back through
    earlier ids. Empty where nothing was noted."""
    out: list[Word] = []
    wanted: str | None = gml_id
    logs = [p for p in workspace.verdicts.glob("*-*.parquet") if not p.name.startswith(".")]
    for path in sorted(logs, reverse=True):
        if wanted is None:
            break
        rows = pq.read_table(path, filters=[("gml_id", "=", wanted)]).to_pylist()
        if not rows:
            continue
        row = rows[0]
        stamp, _, cause = path.stem.partition("-")
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
        depth = row["depth_max_m"]
        depth = None if depth is None or np.isnan(depth) else float(depth)
        out.append(Word(at, cause, wanted, row["verdict"], depth, row["edition"], row["rule"]))
        wanted = row["from_gml_id"]
    return out
