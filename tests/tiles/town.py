"""A small invented town written straight into workspace tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from citymap import crs
from citymap.model import columns
from citymap.workspace import City, Workspace, write_table

EPSG = 6677
CENTRE = (139.88, 36.55)
USAGES = [
    ("411", "住宅"),
    ("412", "共同住宅"),
    ("402", "商業施設"),
    ("401", "業務施設"),
    ("441", "工場"),
    ("461", "不明"),
]
STRUCTURES = [("601", "木造・土蔵造"), ("603", "鉄筋コンクリート造"), ("604", "鉄骨造")]


def _ground_m(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 100 + 0.004 * (x - 2000) + 0.002 * y


def _lonlat(xy: np.ndarray, x0: float, y0: float) -> np.ndarray:
    lon, lat = crs.unproject(xy[:, 0] + x0, xy[:, 1] + y0, EPSG)
    return np.column_stack([lon, lat])


def _block(ring: np.ndarray, bottom: float, top: float) -> list[shapely.Polygon]:
    """Floor, walls and roof of an upright block; `ring` counter-clockwise, open."""
    down = [(*p, bottom) for p in ring[::-1]]
    up = [(*p, top) for p in ring]
    faces = [shapely.Polygon(down), shapely.Polygon(up)]
    for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        faces.append(shapely.Polygon([(*a, bottom), (*b, bottom), (*b, top), (*a, top)]))
    return faces


def make_town(root: Path, buildings: int = 60, seed: int = 1) -> Workspace:
    """Write a workspace of `buildings` blocks, every third with an LOD2 gable, and a base map."""
    rng = np.random.default_rng(seed)
    workspace = Workspace(root)
    root.mkdir(parents=True, exist_ok=True)
    x0, y0 = (float(v[0]) for v in crs.project([CENTRE[0]], [CENTRE[1]], EPSG))
    side = int(np.ceil(np.sqrt(buildings)))
    rows: list[dict[str, object]] = []
    surfaces: list[dict[str, object]] = []
    attributes: list[dict[str, object]] = []

    def surface(gml_id: str, lod: int, kind: str, faces: list[shapely.Polygon]) -> None:
        geometry = shapely.to_wkb(shapely.MultiPolygon(faces), flavor="iso")
        surfaces.append({"gml_id": gml_id, "lod": lod, "kind": kind, "geometry": geometry})

    for i in range(buildings):
        cx = (i % side - side / 2) * 24 + (i % side) // 4 * 8 + rng.uniform(-2, 2)
        cy = (i // side - side / 2) * 24 + (i // side) // 4 * 8 + rng.uniform(-2, 2)
        w, d = rng.uniform(7, 13), rng.uniform(7, 13)
        tall = rng.random() < 0.06
        h = float(rng.uniform(15, 60) if tall else rng.uniform(5, 10))
        turn = rng.uniform(-0.2, 0.2)
        rot = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        local = np.array([[-w, -d], [w, -d], [w, d], [-w, d]]) / 2
        if i % 7 == 0:  # an L: not convex
            local = np.array([[-w, -d], [w, -d], [w, 0], [0, 0], [0, d], [-w, d]]) / 2
        ring = _lonlat(local @ rot + [cx, cy], x0, y0)
        g = float(_ground_m(np.array(cx), np.array(cy)))
        gml_id = f"bldg_{i:06d}"
        outline = shapely.Polygon(ring)
        if i % 11 == 10:  # a courtyard
            hole = _lonlat(
                (local[:4] * 0.3 if len(local) == 4 else local * 0.1) @ rot + [cx, cy], x0, y0
            )
            if len(local) == 4:
                outline = shapely.Polygon(ring, [hole[::-1]])
        faces = _block(ring, g, g + h)
        if outline.interiors:
            inner = np.asarray(outline.interiors[0].coords)[:-1]
            faces[0] = shapely.Polygon(np.column_stack([ring[::-1], np.full(len(ring), g)]),
                                       [np.column_stack([inner[::-1], np.full(len(inner), g)])])  # fmt: skip
            faces[1] = shapely.Polygon(np.column_stack([ring, np.full(len(ring), g + h)]),
                                       [np.column_stack([inner, np.full(len(inner), g + h)])])  # fmt: skip
            for a, b in zip(inner, np.roll(inner, -1, axis=0), strict=True):
                faces.append(shapely.Polygon([(*a, g), (*b, g), (*b, g + h), (*a, g + h)]))
        lod = 1
        only_outline = i % 29 == 28
        if not only_outline:
            surface(gml_id, 1, "solid", faces)
        else:
            lod = 0
        if (
            not only_outline
            and len(local) == 4
            and not outline.interiors
            and i % 3 == 0
            and not tall
        ):
            lod = 2
            eave, ridge = g + h * 0.7, g + h
            mid = _lonlat(np.array([[0, -d], [0, d]]) / 2 @ rot + [cx, cy], x0, y0)
            a, b, c, e = ring
            m, n = mid
            roofs = [
                shapely.Polygon([(*a, eave), (*m, ridge), (*n, ridge), (*e, eave)][::-1]),
                shapely.Polygon([(*b, eave), (*c, eave), (*n, ridge), (*m, ridge)]),
            ]
            walls = [
                shapely.Polygon([(*a, g), (*b, g), (*b, eave), (*m, ridge), (*a, eave)]),
                shapely.Polygon([(*b, g), (*c, g), (*c, eave), (*b, eave)]),
                shapely.Polygon([(*c, g), (*e, g), (*e, eave), (*n, ridge), (*c, eave)]),
                shapely.Polygon([(*e, g), (*a, g), (*a, eave), (*e, eave)]),
            ]
            surface(gml_id, 2, "roof", roofs)
            surface(gml_id, 2, "wall", walls)
            surface(gml_id, 2, "ground", [faces[0]])
        usage = USAGES[
            2 if tall else int(rng.choice(len(USAGES), p=[0.6, 0.12, 0.1, 0.08, 0.04, 0.06]))
        ]
        structure = (
            STRUCTURES[1 if tall else int(rng.integers(3))] if rng.random() < 0.7 else (None, None)
        )
        risks: list[dict[str, object]] = []
        if cy < 0:
            depth = float(max(0.1, min(6.0, -cy / 100)))
            rank = int(np.searchsorted([0.5, 3, 5, 10, 20], depth, side="right")) + 1
            risks.append({"hazard": "river_flood", "name": "架空川", "scale": "L2", "admin": "国",
                          "rank": rank, "depth_m": depth, "duration_h": float(rng.choice([6, 20, 50, 100]))})  # fmt: skip
            if depth > 1:
                risks.append({"hazard": "river_flood", "name": "架空川", "scale": "L1", "admin": "国",
                              "rank": 1, "depth_m": depth / 4, "duration_h": None})  # fmt: skip
        if cx > 300:
            risks.append({"hazard": "landslide", "name": "急傾斜地の崩壊", "scale": None, "admin": None,
                          "rank": 1, "depth_m": None, "duration_h": None})  # fmt: skip
        named = "架空市役所" if i == buildings // 2 else None
        rows.append({
            "gml_id": gml_id, "building_id": f"09999-bldg-{i}", "class": "普通建物", "class_code": "3001",
            "usage": usage[1], "usage_code": usage[0], "structure_code": structure[0],
            "address": f"架空町{i // 50 + 1}丁目{i % 50 + 1}", "district_id": "001", "name": named,
            "measured_height_m": h if rng.random() < 0.8 else None,
            "storeys_above": max(1, round(h / 3)) if rng.random() < 0.8 else None, "storeys_below": None,
            "year_built": int(rng.integers(1955, 2024)) if rng.random() < 0.6 else None,
            "structure": structure[1], "footprint_area_m2": float(w * d), "total_floor_area_m2": None,
            "ground_elevation_m": None if only_outline else g,
            "roof_elevation_m": None if only_outline else g + h, "lod": lod,
            "source_file": "udx/bldg/54392097_bldg_6697_op.gml", "edition": "2024", "risks": risks,
            "geometry": shapely.to_wkb(outline),
        })  # fmt: skip
        if any(r["hazard"] == "landslide" for r in risks):
            attributes.append({"gml_id": gml_id, "group": "uro:LandSlideRiskAttribute", "item": 0,
                               "name": "uro:areaType", "value": "土砂災害警戒区域（架空）", "code": "1"})  # fmt: skip
        if i % 2 == 0:
            attributes.append({"gml_id": gml_id, "group": "uro:BuildingDetailAttribute", "item": 0,
                               "name": "uro:fireproofStructureType", "value": "耐火", "code": "1001"})  # fmt: skip

    def write(path: Path, records: list[dict[str, object]], table: columns.Table) -> None:
        write_table(path, pa.Table.from_pylist(records, schema=table.schema()), table)

    write(workspace.buildings, rows, columns.BUILDINGS)
    write(workspace.building_surfaces, surfaces, columns.BUILDING_SURFACES)
    write(workspace.building_attributes, attributes, columns.BUILDING_ATTRIBUTES)

    reach = side * 16.0
    roads = []
    for j in range(-side // 8, side // 8 + 1):
        for along in (False, True):
            at = j * 104.0 - 12
            line = (
                np.array([[at, -reach], [at, reach]])
                if along
                else np.array([[-reach, at], [reach, at]])
            )
            roads.append({"edge_id": len(roads), "u": len(roads) * 2, "v": len(roads) * 2 + 1,
                          "length_m": 2 * reach, "width_m": 16.0 if j == 0 else 6.0,
                          "kind": "県道" if j == 0 else "市町村道", "name": None, "bridge": False,
                          "tunnel": False, "source": "lod0",
                          "geometry": shapely.to_wkb(shapely.LineString(_lonlat(line, x0, y0)))})  # fmt: skip
    write(workspace.roads, roads, columns.ROADS)

    def area(path: str, theme: str, kind: str, xy: list[list[float]], name: str | None) -> None:
        polygon = shapely.Polygon(_lonlat(np.array(xy, float), x0, y0))
        record = {"gml_id": f"{theme}_1", "theme": theme, "kind": kind, "kind_code": "1", "name": name,
                  "source_file": "x.gml", "geometry": shapely.to_wkb(polygon)}  # fmt: skip
        write(workspace.base / path, [record], columns.BASE)

    r = reach
    area(
        "water.parquet",
        "water",
        "河川",
        [[-r, -r - 90], [r, -r - 60], [r, -r], [-r, -r - 20]],
        "架空川",
    )
    area(
        "green.parquet",
        "green",
        "公園",
        [[-r, r], [-r + 80, r], [-r + 80, r + 60], [-r, r + 60]],
        "架空公園",
    )
    area("landuse.parquet", "landuse", "宅地", [[-r, -r], [r, -r], [r, r], [-r, r]], None)
    area("rail.parquet", "rail", "鉄道", [[r, -r], [r + 12, -r], [r + 12, r], [r, r]], None)
    half = _lonlat(np.array([[-r, -r], [r, -r], [r, r], [-r, r]]), x0, y0)
    write(workspace.districts, [{"district_id": "001", "name": "架空町", "name_kana": "カクウチョウ",
                                 "geometry": shapely.to_wkb(shapely.Polygon(half))}], columns.DISTRICTS)  # fmt: skip
    box = _lonlat(np.array([[-r, -r - 90], [r + 12, r + 60]]), x0, y0)
    workspace.write_city(City(
        name="架空市", code="09999", epsg=EPSG, fictional=True, name_en="Imaginary City",
        bbox=(float(box[0, 0]), float(box[0, 1]), float(box[1, 0]), float(box[1, 1])), attribution="citymap",
    ))  # fmt: skip
    _write_terrain(workspace, x0, y0, r + 200)
    return workspace


def _write_terrain(workspace: Workspace, x0: float, y0: float, reach: float) -> None:
    import rasterio
    from rasterio.transform import from_origin

    cell = 5.0
    n = int(2 * reach / cell)
    x = -reach + (np.arange(n) + 0.5) * cell
    y = reach - (np.arange(n) + 0.5) * cell
    z = _ground_m(x[None, :], y[:, None]).astype(np.float32)
    z[:4, :4] = np.nan
    with rasterio.open(
        workspace.terrain, "w", driver="GTiff", width=n, height=n, count=1, dtype="float32",
        crs=f"EPSG:{EPSG}", transform=from_origin(x0 - reach, y0 + reach, cell, cell), nodata=np.nan,
    ) as out:  # fmt: skip
        out.write(z, 1)
