"""What staff changed in a list of places: `places/edits.jsonl`, kept through every new import."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from citymap.errors import BadInputError
from citymap.workspace import Workspace, held, replacing, write_text

FILE_NAME = "edits.jsonl"
FIXED = frozenset({"place_id", "kind", "source_file", "line", "raw"})


@dataclass(frozen=True, slots=True)
class Edit:
    """One field of one place: what it was before and after, when (RFC 3339) and by whom."""

    at: str
    by: str
    table: str
    place_id: str
    field: str
    before: Any
    after: Any


def history(workspace: Workspace, table: str, place_id: str | None = None) -> list[Edit]:
    """All edits of a list (of one place), oldest first."""
    path = workspace.places / FILE_NAME
    if not path.is_file():
        return []
    found = [Edit(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return [e for e in found if e.table == table and place_id in (None, e.place_id)]


def change(
    workspace: Workspace, table: str, place_id: str, values: Mapping[str, object], *,
    by: str, at: datetime,
) -> list[Edit]:  # fmt: skip
    """Change fields of a place; what stays the same is no edit. Returns the edits made.

    Raises:
        BadInputError: no such place, or a field that cannot be changed.
    """
    path = workspace.places / f"{table}.parquet"
    with held(workspace.places / ".edits.lock", "edits"):
        stored = pq.read_table(path)
        ids = stored["place_id"].to_pylist()
        if place_id not in ids:
            raise BadInputError("place_unknown", place=place_id)
        wrong = [f for f in values if f in FIXED or f not in stored.column_names]
        if wrong:
            raise BadInputError("place_field", place=", ".join(wrong))
        row = ids.index(place_id)
        made = []
        for name, after in values.items():
            before = stored[name][row].as_py()
            if before == after:
                continue
            column = stored[name].to_pylist()
            column[row] = after
            try:
                new = pa.array(column, stored.schema.field(name).type)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
                raise BadInputError("place_field", place=f"{name}={after}") from e
            stored = stored.set_column(
                stored.column_names.index(name), stored.schema.field(name), new
            )
            made.append(Edit(at.isoformat(), by, table, place_id, name, before, after))
        if made:
            _append(workspace, made)  # first: a crash in between is mended by the next import
            with replacing(path) as temporary:
                pq.write_table(stored, temporary, compression="zstd", write_page_checksum=True)
        return made


def _append(workspace: Workspace, made: Sequence[Edit]) -> None:
    path = workspace.places / FILE_NAME
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = [json.dumps(asdict(e), ensure_ascii=False) + "\n" for e in made]
    write_text(path, before + "".join(lines))


def reapply(workspace: Workspace, table: str, rows: Sequence[dict[str, object]]) -> int:
    """Put the edits into freshly imported rows where the list still says what it said before.

    Where the list has changed itself, the list holds. Returns how many edits that overtakes.
    """
    by_id = {row["place_id"]: row for row in rows}
    latest: dict[tuple[str, str], tuple[Any, Any]] = {}
    for edit in history(workspace, table):
        first, _ = latest.get((edit.place_id, edit.field), (edit.before, None))
        latest[edit.place_id, edit.field] = (first, edit.after)
    overtaken = 0
    for (place_id, name), (first, after) in latest.items():
        row = by_id.get(place_id)
        if row is None or name not in row or row[name] == after:
            continue
        if row[name] == first:
            row[name] = after
        else:
            overtaken += 1
    return overtaken
