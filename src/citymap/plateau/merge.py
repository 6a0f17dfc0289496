"""Joins the parts of many files with the tables already in the workspace, streaming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.model.columns import GEO_TABLES
from citymap.plateau.parts import TABLES, part_schema
from citymap.progress import Progress
from citymap.workspace import Workspace, replacing_together

ROWS = 8192


def table_paths(workspace: Workspace) -> dict[str, Path]:
    """Where each building table stands."""
    return {
        "buildings": workspace.buildings,
        "surfaces": workspace.building_surfaces,
        "attributes": workspace.building_attributes,
    }


def _batches(path: Path, name: str) -> Iterator[pa.Table]:
    schema = part_schema(TABLES[name])
    pool = pa.default_memory_pool()
    with pq.ParquetFile(path, buffer_size=1 << 20) as handle:
        for k, batch in enumerate(handle.iter_batches(batch_size=ROWS, use_threads=False)):
            if k % 8 == 7:
                pool.release_unused()
            table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
            yield table.cast(schema) if table.schema != schema else table


def _dropped_ids(workspace: Workspace, replaced: set[str]) -> pa.Array | None:
    """gml_ids of the buildings whose source file is read anew; None when none is."""
    if not workspace.buildings.exists() or not replaced:
        return None
    table = pq.read_table(workspace.buildings, columns=["gml_id", "source_file"])
    bare = {name.rsplit("/", 1)[-1] for name in replaced}  # the same file, wherever it lay then
    old = [
        n
        for n in pc.unique(table.column("source_file")).to_pylist()
        if n.rsplit("/", 1)[-1] in bare
    ]
    mask = pc.is_in(table.column("source_file"), pa.array(old, pa.string()))
    ids = table.filter(mask).column("gml_id").combine_chunks()
    return ids if len(ids) else None


def _keep_ids(table: pa.Table, dropped: pa.Array | None) -> pa.Table:
    if dropped is None:
        return table
    ids = pc.cast(table.column("gml_id"), pa.string())
    return table.filter(pc.invert(pc.is_in(ids, dropped)))


def _collisions(
    parts: Sequence[Path], workspace: Workspace, dropped: pa.Array | None
) -> list[dict[str, str]]:
    """For each part the gml_ids that another file has already taken, with their new names."""
    seen = pa.array([], pa.string())
    if workspace.buildings.exists():
        old = _keep_ids(pq.read_table(workspace.buildings, columns=["gml_id"]), dropped)
        seen = old.column("gml_id").combine_chunks()
    columns = [
        pq.read_table(p / "buildings.parquet", columns=["gml_id"]).column(0).combine_chunks()
        for p in parts
    ]
    everything = pa.concat_arrays([seen, *columns])
    renames: list[dict[str, str]] = [{} for _ in parts]
    if len(pc.unique(everything)) == len(everything):
        return renames
    taken = set(seen.to_pylist())
    for k, column in enumerate(columns):
        for text in column.to_pylist():
            name, n = text, 2
            while name in taken:
                name, n = f"{text}~{n}", n + 1
            taken.add(name)
            if name != text:
                renames[k][text] = name
    return renames


def _apply(table: pa.Table, rename: dict[str, str]) -> pa.Table:
    if not rename:
        return table
    column = table.column("gml_id")
    texts = pc.cast(column, pa.string()).to_pylist()
    renamed = pa.array([rename.get(t, t) for t in texts], pa.string())
    if pa.types.is_dictionary(column.type):
        renamed = renamed.dictionary_encode()
    return table.set_column(table.column_names.index("gml_id"), "gml_id", renamed)


def merge_parts(
    workspace: Workspace, parts: Sequence[Path], replaced: set[str], progress: Progress
) -> tuple[int, list[tuple[str, str]], tuple[float, float, float, float] | None]:
    """Write the three building tables anew: old rows (less those of `replaced` files), then parts.

    Nothing of the old tables is touched before all three new ones are complete, and they are
    replaced together (`replacing_together`).

    Returns:
        Number of buildings, the collisions (old gml_id, new gml_id), and the bbox (lon, lat).
    """
    dropped = _dropped_ids(workspace, replaced)
    renames = _collisions(parts, workspace, dropped)
    paths = table_paths(workspace)
    rows = 0
    box = np.array([np.inf, np.inf, -np.inf, -np.inf])
    with replacing_together(workspace.root, paths) as temporary:
        for step, (name, declared) in enumerate(TABLES.items()):
            schema = part_schema(declared)
            with pq.ParquetWriter(
                temporary[name], schema, compression="zstd", compression_level=3
            ) as writer:
                sources: list[tuple[Path, dict[str, str]]] = [
                    (p / f"{name}.parquet", r) for p, r in zip(parts, renames, strict=True)
                ]
                if paths[name].exists():
                    for table in _batches(paths[name], name):
                        kept = _keep_ids(table, dropped)
                        writer.write_table(kept)
                        if name == "buildings":
                            rows += kept.num_rows
                            _extend(box, kept)
                for i, (source, rename) in enumerate(sources):
                    progress.update(step * len(sources) + i, 3 * len(sources), "merge")
                    for table in _batches(source, name):
                        writer.write_table(_apply(table, rename))
                        if name == "buildings":
                            rows += table.num_rows
                            _extend(box, table)
                bbox = tuple(float(x) for x in box) if np.isfinite(box).all() else None
                if declared.geometry is not None:
                    metadata = GEO_TABLES.metadata(declared, bbox)  # type: ignore[arg-type]
                    writer.add_key_value_metadata(
                        {k.decode(): v.decode() for k, v in metadata.items()}
                    )
    collisions = [(a, b) for rename in renames for a, b in rename.items()]
    return rows, collisions, bbox  # type: ignore[return-value]


def _extend(box: np.ndarray[tuple[int, ...], np.dtype[np.float64]], table: pa.Table) -> None:
    """Grow the box by the first position of each footprint's exterior (a cheap, near bound)."""
    import shapely  # noqa: PLC0415

    wkb = table.column("geometry").drop_null()
    if len(wkb) == 0:
        return
    bounds = shapely.total_bounds(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False)))
    box[:2] = np.minimum(box[:2], bounds[:2])
    box[2:] = np.maximum(box[2:], bounds[2:])
