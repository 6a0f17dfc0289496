"""Depth, dry floor and verdict as columns of the map, published without making the tiles anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from citymap.hazard import legend as hazard_legend
from citymap.tiles.attributes import NODATA, Columns, legend_classes
from citymap.workspace import write_text

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from citymap.workspace import Workspace

GROUP = "exposure"
COMBINED = "combined"
# Told apart by colour-blind people and in print (Okabe and Ito 2008); what is not known is hatched.
VERDICTS = (
    ("leave", {"ja": "立退き避難", "en": "Leave"}, (213, 94, 0)),
    ("stay_upstairs", {"ja": "条件がそろえば屋内安全確保も可能", "en": "May stay upstairs if the conditions are met"}, (86, 180, 233)),
    ("outside_assumed_area", {"ja": "想定区域の外", "en": "Outside the assumed area"}, (232, 230, 218)),
)  # fmt: skip
FLOORS = (
    (1, {"ja": "1階の床より下", "en": "Below the ground floor"}, (253, 231, 160)),
    (2, {"ja": "2階以上", "en": "From the 2nd floor"}, (166, 206, 227)),
    (3, {"ja": "3階以上", "en": "From the 3rd floor"}, (107, 174, 214)),
    (5, {"ja": "5階以上", "en": "From the 5th floor"}, (49, 130, 189)),
    (6, {"ja": "6階以上", "en": "From the 6th floor or higher"}, (8, 81, 156)),
)
NOT_KNOWN = {"ja": "判定できません（情報が足りません）", "en": "Not known: information is missing"}
NO_FLOOR = {
    "ja": "水につからない階がない・浸水なし・不明",
    "en": "No dry floor, no water, or not known",
}
NO_DEPTH = {"ja": "浸水想定の記載なし", "en": "No inundation recorded"}


def _write(columns: Columns, name: str, title: dict[str, str], table: pa.Table) -> None:
    """The three columns of one set."""
    where = {k: f" ({v})" if name != COMBINED else "" for k, v in title.items()}
    verdicts = table["verdict"].to_pylist()
    codes = {verdict: i for i, (verdict, _, _) in enumerate(VERDICTS)}
    columns.write(
        {
            "id": f"verdict:{name}", "group": GROUP, "set": name, "quantity": "verdict", "type": "category",
            "title": {"ja": f"避難の判定{where['ja']}", "en": f"Verdict{where['en']}"},
            "nodata": NODATA, "nodata_label": NOT_KNOWN,
            "legend": [{"value": i, "code": code, "label": label, "colour": list(colour), "count": verdicts.count(code)}
                       for i, (code, label, colour) in enumerate(VERDICTS)],
        },
        np.array([codes.get(v, NODATA) for v in verdicts], np.uint8),
    )  # fmt: skip
    legend = hazard_legend.legends()[hazard_legend.DEPTH]
    columns.write(
        {
            "id": f"depth:{name}", "group": GROUP, "set": name, "quantity": "depth", "type": "number",
            "title": {"ja": f"浸水深{where['ja']}", "en": f"Depth{where['en']}"}, "unit": "m",
            "nodata": "NaN", "nodata_label": NO_DEPTH, "legend": legend_classes(legend),
        },
        table["depth_max_m"].to_numpy().astype(np.float32),
    )  # fmt: skip
    floors = np.nan_to_num(table["dry_floor"].to_numpy().astype(float), nan=NODATA)
    columns.write(
        {
            "id": f"dry_floor:{name}", "group": GROUP, "set": name, "quantity": "dry_floor", "type": "category",
            "title": {"ja": f"水につからない一番下の階{where['ja']}", "en": f"Lowest dry floor{where['en']}"},
            "nodata": NODATA, "nodata_label": NO_FLOOR,
            "legend": [{"value": v, "code": str(v), "label": label, "colour": list(colour)} for v, label, colour in FLOORS],
        },
        np.where(floors == NODATA, NODATA, np.minimum(floors, FLOORS[-1][0])).astype(np.uint8),
    )  # fmt: skip


def _files(workspace: Workspace) -> list[Path]:
    found = sorted((workspace.root / "exposure").glob("*.parquet"))
    return sorted(found, key=lambda p: (p.stem != COMBINED, p.stem))


def publish(workspace: Workspace) -> list[dict[str, Any]]:
    """Put the columns of `exposure/*.parquet` into the tiles in force; returns their entries.

    They lie under a version of their own, so that pages that are open keep what they have. Without
    tiles, or where the tables are for other buildings than the tiles, nothing is published.
    """
    path = workspace.tiles / "manifest.json"
    if not path.is_file():
        return []
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tables = [
        (p.stem, table) for p in _files(workspace)
        if (table := pq.read_table(p)).num_rows == manifest["buildings"]["count"]
    ]  # fmt: skip
    digest = hashlib.blake2b(b"exposure 1", digest_size=4)
    for name, _ in tables:
        digest.update((workspace.root / "exposure" / f"{name}.parquet").read_bytes())
    version = f"x{digest.hexdigest()}"
    columns = Columns(workspace.tiles / version / "attributes", f"{version}/attributes")
    for name, table in tables:
        _write(columns, name, {"ja": name, "en": name}, table)
    rest = [a for a in manifest["attributes"] if a.get("group") != GROUP]
    manifest["attributes"] = [*rest, *columns.entries]
    write_text(path, json.dumps(manifest, ensure_ascii=False, separators=(",", ":")))
    for old in workspace.tiles.glob("x????????"):
        if old.name != version or not tables:
            shutil.rmtree(old)
    return columns.entries
