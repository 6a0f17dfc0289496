"""A city of a dozen buildings with tiles' attribute columns, for tests of the doors and pages."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from citymap.model.columns import (
    ADDRESSES,
    BUILDING_ATTRIBUTES,
    BUILDINGS,
    DISTRICTS,
    RISK,
)
from citymap.workspace import City, Workspace, write_table

VERSION = "a1b2c3d4"
WEST, SOUTH = 139.88, 36.55
USAGES = ("住宅", "商業施設", "学校")
RIVER = "みどり川"


def _table(declared: object, columns: dict[str, list[object]], rows: int) -> pa.Table:
    schema = declared.schema()  # type: ignore[attr-defined]
    return pa.table(
        [pa.array(columns.get(f.name, [None] * rows), f.type) for f in schema], schema=schema
    )


def make(root: Path, count: int = 12) -> Workspace:
    """Write the workspace. Building i stands i·0.001° east; every third has no height."""
    workspace = Workspace(root)
    root.mkdir(parents=True, exist_ok=True)
    bbox = (WEST, SOUTH, WEST + 0.001 * count, SOUTH + 0.01)
    workspace.write_city(
        City("みどり川市（架空）", "09999", 6677, bbox, fictional=True, name_en="Midorikawa City")
    )
    boxes = [
        shapely.box(WEST + 0.001 * i, SOUTH, WEST + 0.001 * i + 0.0002, SOUTH + 0.0002)
        for i in range(count)
    ]
    heights = [None if i % 3 == 2 else 4.0 + i for i in range(count)]
    usage = [i % 3 for i in range(count)]
    ranks = [None if i % 2 else 1 + i % 3 for i in range(count)]
    risks = [
        [] if rank is None else [
            {"hazard": "river_flood", "name": RIVER, "scale": "L2", "admin": "国", "rank": rank,
             "depth_m": 0.4 * rank, "duration_h": None},
            {"hazard": "river_flood", "name": "小川", "scale": "L1", "admin": "県", "rank": 1,
             "depth_m": float("nan"), "duration_h": 5.0},
        ]
        for rank in ranks
    ]  # fmt: skip
    buildings = {
        "gml_id": [f"bldg_{i:04d}" for i in range(count)],
        "building_id": [f"09999-bldg-{i}" for i in range(count)],
        "usage": [USAGES[u] for u in usage],
        "usage_code": [("411", "402", "422")[u] for u in usage],
        "address": [f"みどり川市本町{'一二三'[i % 3]}丁目{i}番{i + 1}号" for i in range(count)],
        "name": ["緑川小学校" if i == 2 else "=cmd|' /C calc'!A0" if i == 3 else None
                 for i in range(count)],
        "measured_height_m": heights,
        "storeys_above": [None if h is None else max(1, int(h // 3)) for h in heights],
        "year_built": [None if i % 4 == 0 else 1960 + i for i in range(count)],
        "structure": ["木造・土蔵造" if i % 2 else None for i in range(count)],
        "lod": [1] * count,
        "source_file": ["udx/bldg/54400000_bldg_6697_op.gml"] * count,
        "risks": risks,
        "geometry": [shapely.to_wkb(box) for box in boxes],
    }  # fmt: skip
    table = _table(BUILDINGS, buildings, count)
    assert table.schema.field("risks").type == pa.list_(RISK)
    write_table(workspace.buildings, table, BUILDINGS)
    write_table(
        workspace.building_attributes,
        _table(
            BUILDING_ATTRIBUTES,
            {
                "gml_id": [f"bldg_{i:04d}" for i in range(count) for _ in range(2)],
                "group": ["uro:BuildingDetailAttribute"] * 2 * count,
                "item": [0] * 2 * count,
                "name": ["uro:fireproofStructureType", "uro:landUseType"] * count,
                "value": ["準耐火造", "住宅用地"] * count,
                "code": ["1002", "211"] * count,
            },
            2 * count,
        ),
        BUILDING_ATTRIBUTES,
    )
    write_table(
        workspace.districts,
        _table(
            DISTRICTS,
            {
                "district_id": ["d1", "d2"],
                "name": ["本町一丁目", "ヶ丘町"],
                "name_kana": ["ホンチョウイッチョウメ", "ガオカチョウ"],
                "geometry": [shapely.to_wkb(shapely.box(*bbox))] * 2,
            },
            2,
        ),
        DISTRICTS,
    )
    write_table(
        workspace.addresses,
        _table(
            ADDRESSES,
            {
                "address": ["みどり川市栄町5番6号"],
                "lon": [WEST],
                "lat": [SOUTH],
                "district_id": ["d2"],
            },
            1,
        ),
        ADDRESSES,
    )
    _tiles(workspace, usage, heights, ranks, bbox)
    return workspace


def _tiles(workspace: Workspace, usage: list[int], heights: list[float | None],
           ranks: list[int | None], bbox: tuple[float, ...]) -> None:  # fmt: skip
    base = workspace.tiles / VERSION
    for folder in ("attributes", "mvt/14/1", "3d", "hillshade/14/1"):
        (base / folder).mkdir(parents=True)

    def column(name: str, values: np.ndarray) -> str:
        (base / f"attributes/{name}.bin.gz").write_bytes(gzip.compress(values.tobytes()))
        return f"{VERSION}/attributes/{name}.bin"

    colours = [[200, 190, 180], [90, 120, 200], [240, 200, 80]]
    depth = [
        {"value": 1, "label": {"ja": "0.5m未満", "en": "Under 0.5 m"}, "colour": [247, 245, 169]},
        {"value": 2, "label": {"ja": "0.5〜3m", "en": "0.5–3 m"}, "colour": [255, 216, 192]},
        {"value": 3, "label": {"ja": "3〜5m", "en": "3–5 m"}, "colour": [255, 183, 183]},
    ]
    nodata_label = {"ja": "浸水想定の記載なし", "en": "No inundation attribute recorded"}
    attributes = [
        {"id": "usage", "title": {"ja": "用途", "en": "Usage"}, "type": "category",
         "dtype": "uint8", "nodata": 255, "url": column("usage", np.array(usage, "u1")),
         "legend": [{"value": i, "code": c, "label": {"ja": u, "en": u}, "colour": colours[i]}
                    for i, (u, c) in enumerate(zip(USAGES, ("411", "402", "422"), strict=True))]},
        {"id": "measured_height_m", "title": {"ja": "高さ", "en": "Height"}, "type": "number",
         "dtype": "float32", "nodata": "NaN", "unit": "m",
         "url": column("measured_height_m", np.array(
             [np.nan if h is None else h for h in heights], "<f4")),
         "legend": [{"min": 0, "max": 8, "label": {"ja": "8m未満", "en": "Under 8 m"},
                     "colour": [220, 220, 220]},
                    {"min": 8, "max": None, "label": {"ja": "8m以上", "en": "8 m and over"},
                     "colour": [120, 120, 120]}]},
        {"id": "storeys_above", "title": {"ja": "階数", "en": "Storeys"}, "type": "number",
         "dtype": "float32", "nodata": "NaN", "unit": "",
         "url": column("storeys_above", np.array(
             [np.nan if h is None else max(1, int(h // 3)) for h in heights], "<f4")),
         "legend": [{"min": 1, "max": 3, "label": {"ja": "1〜2階", "en": "1–2"},
                     "colour": [220, 220, 220]},
                    {"min": 3, "max": None, "label": {"ja": "3階以上", "en": "3 and more"},
                     "colour": [120, 120, 120]}]},
        {"id": f"risk:river_flood:{RIVER}:L2:depth", "group": "risk", "hazard": "river_flood",
         "river": RIVER, "scale": "L2", "quantity": "depth", "type": "class", "dtype": "uint8",
         "title": {"ja": f"{RIVER}（想定最大規模）浸水深", "en": f"{RIVER} (L2) depth"},
         "nodata": 0, "nodata_label": nodata_label, "legend": depth,
         "url": column("risk-0", np.array([0 if r is None else r for r in ranks], "u1"))},
    ]  # fmt: skip
    manifest = {
        "version": VERSION, "name": "みどり川市（架空）", "name_en": "Midorikawa City",
        "code": "09999",
        "fictional": True, "attribution": "試験用の架空データ", "bbox": list(bbox),
        "center": [(bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2], "epsg": 6677,
        "languages": ["ja", "en"], "ground": {"min_m": 80, "max_m": 90}, "geoid_m": 42.3,
        "buildings": {"count": len(usage), "tileset": f"../3dtiles/{VERSION}/tileset.json",
                      "ids": f"{VERSION}/attributes/gml_id.json",
                      "cards": f"{VERSION}/cards/{{chunk}}.json", "chunk": 256},
        "vector": {"tiles": f"{VERSION}/mvt/{{z}}/{{x}}/{{y}}.mvt", "minzoom": 10, "maxzoom": 16,
                   "layers": ["buildings"]},
        "attributes": attributes,
    }  # fmt: skip
    (workspace.tiles / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False))
    (base / "mvt/14/1/2.mvt.gz").write_bytes(gzip.compress(b"tile " * 200))
    (base / "3d/tileset.json").write_text('{"asset": {"version": "1.1"}}')
    (base / "3d/0.glb.gz").write_bytes(gzip.compress(b"glTF" + bytes(2000)))
    (base / "hillshade/14/1/2.png").write_bytes(b"\x89PNG fake")
    (base / ".secret").write_text("hidden")
