"""Writing themes into a workspace: base map tables, hazard surfaces, road links; safe to repeat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.model.columns import BASE, HAZARD_SURFACES, Column, Table
from citymap.plateau.features import BaseRow, FeatureResult, HazardRow, LinkRow
from citymap.workspace import Workspace, toml_value, write_table, write_text

# LOD0 centrelines as read; roads.parquet is built from them (see `road_network`).
ROAD_LINKS = Table(
    "road_links",
    (
        Column("gml_id", pa.string(), "gml:id of the road"),
        Column("kind", pa.string(), "road class, decoded"),
        Column("name", pa.string(), "road name"),
        Column("width_m", pa.float64(), "width", "m"),
        Column("bridge", pa.bool_(), "on a bridge"),
        Column("tunnel", pa.bool_(), "in a tunnel or underpass"),
        Column("source_file", pa.string(), "file"),
        Column("geometry", pa.binary(), "centreline"),
    ),
    geometry=("LineString",),
)

# Classes of depth ranks 1 to 6 of river floods (MLIT, 水害ハザードマップ作成の手引き): m, colour.
_RIVER_RANKS = (
    (1, 0.0, 0.5, "0.5m未満", "under 0.5 m", (247, 245, 169)),
    (2, 0.5, 3.0, "0.5m以上3m未満", "0.5 to 3 m", (255, 216, 192)),
    (3, 3.0, 5.0, "3m以上5m未満", "3 to 5 m", (255, 183, 183)),
    (4, 5.0, 10.0, "5m以上10m未満", "5 to 10 m", (255, 145, 145)),
    (5, 10.0, 20.0, "10m以上20m未満", "10 to 20 m", (242, 133, 201)),
    (6, 20.0, None, "20m以上", "20 m and more", (220, 122, 220)),
)


def _merge(path: Path, declared: Table, rows: list[dict[str, Any]], replaced: set[str]) -> int:
    """Old rows of other files + new rows → the file; the number of rows now in it."""
    table = pa.Table.from_pylist(rows, schema=declared.schema())
    if path.is_file():
        old = pq.read_table(path).replace_schema_metadata(None)
        mask = [f not in replaced for f in old.column("source_file").to_pylist()]
        table = pa.concat_tables(
            [old.filter(pa.array(mask, pa.bool_())).cast(declared.schema()), table]
        )
    # A feature may stand in the files of several meshes: each file keeps its own row, so that one
    # file can be imported again without losing what the others say.
    seen: set[tuple[object, ...]] = set()
    keep: list[bool] = []
    columns = (table.column(c).to_pylist() for c in ("gml_id", "source_file", "geometry"))
    for key in zip(*columns, strict=True):
        keep.append(not key[0] or key not in seen)
        seen.add(key)
    table = table.filter(pa.array(keep, pa.bool_())).sort_by([("source_file", "ascending")])
    if table.num_rows or path.is_file():
        write_table(path, table, declared)
    return int(table.num_rows)


def write_base(workspace: Workspace, results: Sequence[FeatureResult]) -> dict[str, int]:
    """Enter base-map rows into `base/<theme>.parquet`; rows of the same files are replaced.

    Returns the number of rows now in each table that was touched.
    """
    replaced = {r.source_file for r in results}
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        for gml_id, row in result.rows:
            if isinstance(row, BaseRow):
                rows[row.theme].append({
                    "gml_id": gml_id, "theme": row.theme, "kind": row.kind, "kind_code": row.kind_code,
                    "name": row.name, "source_file": result.source_file,
                    "geometry": shapely.to_wkb(row.geometry),
                })  # fmt: skip
    there = {p.stem for p in workspace.base.glob("*.parquet")} if workspace.base.is_dir() else set()
    counts = {}
    for theme in sorted(
        set(rows) | (there & {"road", "rail", "water", "landuse", "green", "urban", "bridge"})
    ):
        counts[theme] = _merge(workspace.base / f"{theme}.parquet", BASE, rows[theme], replaced)
    return counts


def links_path(workspace: Workspace) -> Path:
    """Where the LOD0 links are kept between imports."""
    return workspace.imports / "road_links.parquet"


def write_links(workspace: Workspace, results: Sequence[FeatureResult]) -> int:
    """Enter LOD0 road links; rows of the same files are replaced."""
    rows = [
        {"gml_id": gml_id, "kind": row.kind, "name": row.name, "width_m": row.width_m, "bridge": row.bridge,
         "tunnel": row.tunnel, "source_file": r.source_file, "geometry": shapely.to_wkb(row.geometry)}
        for r in results for gml_id, row in r.rows if isinstance(row, LinkRow)
    ]  # fmt: skip
    return _merge(links_path(workspace), ROAD_LINKS, rows, {r.source_file for r in results})


def write_hazards(
    workspace: Workspace,
    results: Sequence[FeatureResult],
    *,
    source: str = "",
    vintage: str | None = None,
) -> dict[str, int]:
    """Enter hazard surfaces into `hazards/<id>.parquet` with their `<id>.toml`.

    Rows of the same files are replaced. Returns the rows now in each layer touched.
    """
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    vintages: dict[str, set[str]] = defaultdict(set)
    for r in results:
        for gml_id, row in r.rows:
            if not isinstance(row, HazardRow):
                continue
            rows[row.layer].append({
                "gml_id": gml_id, "hazard": row.hazard, "name": row.name, "scale": row.scale, "admin": row.admin,
                "rank": row.rank, "class_code": row.class_code, "kind": row.kind,
                "elevation_m": row.elevation_m, "source_file": r.source_file,
                "geometry": shapely.to_wkb(row.geometry),
            })  # fmt: skip
            if r.vintage:
                vintages[row.layer].add(r.vintage)
    replaced = {r.source_file for r in results}
    counts = {}
    for layer in sorted(rows):
        path = workspace.hazards / f"{layer}.parquet"
        counts[layer] = _merge(path, HAZARD_SURFACES, rows[layer], replaced)
        dates = vintages[layer] | ({vintage} if vintage else set())
        write_text(
            path.with_suffix(".toml"), hazard_toml(layer, rows[layer], source=source, dates=dates)
        )
    return counts


def hazard_toml(
    layer: str, rows: list[dict[str, Any]], *, source: str, dates: Iterable[str]
) -> str:
    """The description of a hazard layer made of CityGML surfaces."""
    first = rows[0]
    name = (
        next((r["name"] for r in rows if r["name"]), None)
        if first["hazard"] != "landslide"
        else None
    )
    quantity = "zone" if first["hazard"] == "landslide" else "rank"
    scale = next((r["scale"] for r in rows if r["scale"]), None)
    facts: list[tuple[str, object]] = [
        ("id", layer), ("set", layer), ("hazard", first["hazard"]), ("quantity", quantity), ("name", name or ""),
        ("scale", scale or ""), ("surveyed_extent", "unknown"), ("source", source or "PLATEAU CityGML"),
        ("vintage", min(dates, default="")), ("crs", "EPSG:6668"),
    ]  # fmt: skip
    lines = [f"{key} = {toml_value(value)}" for key, value in facts]
    if first["hazard"] == "river_flood":
        for rank, low, high, ja, en, colour in _RIVER_RANKS:
            lines += ["", "[[legend]]", f'value = "{rank}"', f"min_m = {low}"]
            lines += [f"max_m = {high}"] if high is not None else []
            lines += [
                f"ja = {toml_value(ja)}",
                f"en = {toml_value(en)}",
                f"colour = {list(colour)}",
            ]
    else:
        for code, kind in sorted(
            {(r["class_code"], r["kind"]) for r in rows if r["class_code"]}, key=str
        ):
            lines += [
                "",
                "[[legend]]",
                f"value = {toml_value(code)}",
                f"ja = {toml_value(kind or code)}",
            ]
    return "\n".join(lines) + "\n"
