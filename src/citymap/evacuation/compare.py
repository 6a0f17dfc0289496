"""Two results side by side: what plan B changes, with 95 % intervals where runs were repeated."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from citymap.errors import BadInputError
from citymap.evacuation.replicates import COUNTED, paired
from citymap.workspace import write_text

# A plan that leaves more people at home when the run ends must not look the better for it.
NOT_SAFE, UNSAFE = "not_safe", ("stranded", "en_route", "waiting")


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        path = folder / "replicates.json"
        rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        summary["people"], summary["stranded_by"], summary["scenario"]
        summary[NOT_SAFE] = sum(summary[k] for k in UNSAFE)
        rows = [{**r, NOT_SAFE: sum(r[k] for k in UNSAFE)} for r in rows]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadInputError("evacuation_unreadable", place=folder.name, reason=e) from e
    return summary, rows


def _changed(a: dict[str, Any], b: dict[str, Any]) -> dict[str, list[Any]]:
    return {k: [a.get(k), b.get(k)] for k in sorted({*a, *b}) if a.get(k) != b.get(k)}


def compared(a_folder: Path, b_folder: Path) -> dict[str, Any]:
    """B minus A for every count.

    Replicates of one number used the same random numbers if the seeds are the same: then the
    intervals are those of the paired differences; without replicates there are none.

    Raises:
        BadInputError: a folder holds no result, or the two have different people or seeds.
    """
    a, a_rows = _read(a_folder)
    b, b_rows = _read(b_folder)
    if a["people"] != b["people"] or a["seed"] != b["seed"]:
        raise BadInputError("evacuation_not_comparable", a=a_folder.name, b=b_folder.name)
    counts: dict[str, Any] = {}
    for name in (*COUNTED, NOT_SAFE):
        if a.get(name) is None or b.get(name) is None:
            continue
        row: dict[str, Any] = {"a": a[name], "b": b[name], "difference": b[name] - a[name]}
        if a_rows and b_rows:
            row |= paired(a_rows, b_rows, name)
        counts[name] = row
    districts = {
        k: b["stranded_by"]["district"].get(k, 0) - a["stranded_by"]["district"].get(k, 0)
        for k in sorted({*a["stranded_by"]["district"], *b["stranded_by"]["district"]})
    }
    ages = {k: b["stranded_by"]["age"][k] - v for k, v in a["stranded_by"]["age"].items()}
    changed = _changed(a["scenario"], b["scenario"])
    closures = [len(s.get("closures", ())) for s in (a, b)]
    if a.get("closures", []) != b.get("closures", []):
        changed["closures"] = closures
    return {
        "a": a["name"] or a_folder.name, "b": b["name"] or b_folder.name, "seed": a["seed"],
        "people": a["people"], "counts": counts, "changed": changed,
        "stranded_by_district": districts, "stranded_by_age": ages,
    }  # fmt: skip


def compare(a_folder: Path, b_folder: Path, out: Path) -> dict[str, Any]:
    """Write `compare.json` and `compare.csv`; returns what `compared` gives.

    Raises:
        BadInputError: as `compared`.
    """
    result = compared(a_folder, b_folder)
    text = json.dumps(result, ensure_ascii=False, indent=1)
    write_text(out / "compare.json", text + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["measure", "a", "b", "difference", "ci_low", "ci_high", "pairs"])
    for name, row in result["counts"].items():
        low, high = row.get("ci95", ["", ""])
        writer.writerow([name, row["a"], row["b"], row["difference"], low, high, row.get("pairs", "")])  # fmt: skip
    write_text(out / "compare.csv", table.getvalue())
    return result
