"""The 3D Tiles: structure, bounds, identity, and heights against an independent computation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import japan_geoid
import jsonschema
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from py3dtiles.tileset import TileSet

from citymap.workspace import Workspace
from tests.tiles.tileset_reader import Content, read

TILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["boundingVolume", "geometricError", "refine", "content"],
    "properties": {
        "boundingVolume": {
            "type": "object",
            "required": ["box"],
            "properties": {"box": {"type": "array", "items": {"type": "number"}, "minItems": 12, "maxItems": 12}},
        },
        "geometricError": {"type": "number", "minimum": 0},
        "refine": {"const": "REPLACE"},
        "transform": {"type": "array", "items": {"type": "number"}, "minItems": 16, "maxItems": 16},
        "content": {"type": "object", "required": ["uri"], "properties": {"uri": {"type": "string"}}},
        "children": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/tile"}},
    },
    "additionalProperties": False,
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["asset", "geometricError", "root"],
    "properties": {
        "asset": {
            "type": "object",
            "required": ["version"],
            "properties": {"version": {"const": "1.1"}},
        },
        "geometricError": {"type": "number", "minimum": 0},
        "root": {"$ref": "#/$defs/tile"},
    },
    "$defs": {"tile": TILE_SCHEMA},
}


@pytest.fixture(scope="session")
def folder(town: Workspace, manifest: dict[str, Any]) -> Path:
    return town.tiles / manifest["version"] / "3d"


@pytest.fixture(scope="session")
def contents(folder: Path) -> list[Content]:
    return list(read(folder))


def test_follows_the_schema_and_loads_in_py3dtiles(folder: Path) -> None:
    document = json.loads((folder / "tileset.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert TileSet.from_dict(document).root_tile.children


def test_every_content_on_disk_is_referenced_once(folder: Path, contents: list[Content]) -> None:
    uris = [c.tile["content"]["uri"] + ".gz" for c in contents]
    assert sorted(uris) == sorted(p.name for p in folder.glob("*.glb.gz"))


def _corners(tile: dict[str, Any]) -> np.ndarray:
    box = np.array(tile["boundingVolume"]["box"])
    sign = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
    return box[:3] + sign @ box[3:].reshape(3, 3)


def _inside(points: np.ndarray, tile: dict[str, Any], slack: float) -> bool:
    box = np.array(tile["boundingVolume"]["box"])
    half = np.diag(box[3:].reshape(3, 3))
    return bool((np.abs(points - box[:3]) <= half + slack).all())


def test_bounding_volumes_hold_their_content_and_their_children(contents: list[Content]) -> None:
    for c in contents:
        assert _inside(c.local, c.tile, 0.0)
    by_uri = {c.tile["content"]["uri"]: c for c in contents}
    for c in contents:
        for child in c.tile.get("children", []):
            below = by_uri[child["content"]["uri"]]
            corners = (below.transform[:3, :3] @ _corners(child).T).T + below.transform[:3, 3]
            inverse = np.linalg.inv(c.transform)
            local = corners @ inverse[:3, :3].T + inverse[:3, 3]
            slack = 0.2  # the padding of the child's own box
            assert _inside(local, c.tile, slack)
            content = below.ecef @ inverse[:3, :3].T + inverse[:3, 3]
            assert _inside(content, c.tile, 0.0)


def test_geometric_error_falls_from_root_to_leaf(folder: Path, contents: list[Content]) -> None:
    document = json.loads((folder / "tileset.json").read_text())
    assert document["geometricError"] >= document["root"]["geometricError"]
    for c in contents:
        children = c.tile.get("children", [])
        assert all(child["geometricError"] < c.tile["geometricError"] for child in children)
        if not children:
            assert c.tile["geometricError"] == 0
    assert max(c.depth for c in contents) >= 2  # blocks, LOD1, nearest


def test_each_building_is_once_among_the_leaves(town: Workspace, contents: list[Content]) -> None:
    ids = pq.read_table(town.buildings, columns=["gml_id"])["gml_id"].to_pylist()
    leaves = [c for c in contents if not c.tile.get("children")]
    rows = np.concatenate([c.properties["row"] for c in leaves])
    assert sorted(rows.tolist()) == list(range(len(ids)))
    for c in leaves:
        assert c.properties["gml_id"] == [ids[r] for r in c.properties["row"]]
        assert set(np.unique(c.features)) == set(range(len(c.properties["row"])))


def test_metadata_follows_the_extensions(contents: list[Content]) -> None:
    for c in contents:
        document = c.document
        assert "KHR_mesh_quantization" in document["extensionsRequired"]
        assert {"EXT_mesh_features", "EXT_structural_metadata"} <= set(document["extensionsUsed"])
        ids = document["meshes"][0]["primitives"][0]["extensions"]["EXT_mesh_features"][
            "featureIds"
        ][0]
        table = document["extensions"]["EXT_structural_metadata"]["propertyTables"][
            ids["propertyTable"]
        ]
        assert ids["featureCount"] == table["count"] == len(c.properties["row"])
        assert ids["attribute"] == 0
        for view in document["bufferViews"]:
            assert view["byteOffset"] % 8 == 0


def _heights(ecef: np.ndarray) -> np.ndarray:
    back = pyproj.Transformer.from_crs(4978, 4979, always_xy=True)
    lon, lat, height = back.transform(ecef[:, 0], ecef[:, 1], ecef[:, 2])
    return np.column_stack([lon, lat, height])


def test_heights_agree_with_an_independent_computation(
    town: Workspace, contents: list[Content]
) -> None:
    """標高 of the source plus JPGEO2024, against the decoded tiles through PROJ."""
    surfaces = pq.read_table(town.building_surfaces)
    geoid = japan_geoid.load_embedded_jpgeo2024()
    ids = pq.read_table(town.buildings, columns=["gml_id"])["gml_id"].to_pylist()
    leaves = [c for c in contents if not c.tile.get("children")]
    checked = 0
    for c in leaves:
        points = _heights(c.ecef)
        for f in range(0, len(c.properties["row"]), 23):
            name = ids[c.properties["row"][f]]
            own = surfaces.filter(pc.equal(surfaces["gml_id"], name))
            if own.num_rows == 0:
                continue
            near = pc.max(own["lod"]).as_py()
            shapes = shapely.from_wkb(
                own.filter(pc.equal(own["lod"], near))["geometry"].to_pylist()
            )
            source = shapely.get_coordinates(shapes, include_z=True)
            expected = source[:, 2] + np.array([geoid.get_height(x, y) for x, y in source[:, :2]])
            drawn = points[c.features == f]
            assert drawn[:, 2].max() == pytest.approx(expected.max(), abs=0.1)
            assert drawn[:, 2].min() == pytest.approx(expected.min(), abs=0.1)
            assert drawn[:, 0].min() == pytest.approx(source[:, 0].min(), abs=3e-7)
            assert drawn[:, 1].max() == pytest.approx(source[:, 1].max(), abs=3e-7)
            assert c.properties["ground_ellipsoidal"][f] == pytest.approx(expected.min(), abs=0.1)
            assert c.properties["ground"][f] == pytest.approx(source[:, 2].min(), abs=0.1)
            checked += 1
    assert checked > 30


def test_faces_look_outward_and_normals_are_flat(contents: list[Content]) -> None:
    for c in contents:
        t = c.indices.reshape(-1, 3)
        a, b, d = (c.local[t[:, i]] for i in range(3))
        normal = np.cross(b - a, d - a)
        size = np.linalg.norm(normal, axis=1)
        big = size > 0.5
        unit = normal[big] / size[big][:, None]
        assert (np.einsum("ij,ij->i", unit, c.normals[t[big, 0]]) > 0.97).all()
        roof = c.surfaces[t[big, 0]] == 1
        assert (unit[roof][:, 2] > 0.2).all()
        assert (np.abs(unit[~roof][:, 2]) < 0.3).all()


def test_roofs_cover_the_footprints(town: Workspace, contents: list[Content]) -> None:
    """Holes stay open and L-shapes stay L-shaped: the area of the roofs from above is that of the footprints."""
    table = pq.read_table(town.buildings, columns=["geometry"])
    outlines = shapely.from_wkb(table["geometry"].to_pylist())
    for c in contents:
        if c.tile.get("children"):
            continue
        t = c.indices.reshape(-1, 3)
        t = t[c.surfaces[t[:, 0]] == 1]
        a, b, d = (c.local[t[:, i]][:, :2] for i in range(3))
        area = 0.5 * ((b - a)[:, 0] * (d - a)[:, 1] - (b - a)[:, 1] * (d - a)[:, 0])
        drawn = np.bincount(c.features[t[:, 0]], weights=area, minlength=len(c.properties["row"]))
        rows = c.properties["row"]
        lat = np.radians(shapely.centroid(outlines[rows[0]]).y)
        m_per_lat = 111132.92 - 559.82 * np.cos(2 * lat)
        m_per_lon = 111412.84 * np.cos(lat) - 93.5 * np.cos(3 * lat)
        expected = np.array([shapely.area(outlines[r]) for r in rows]) * m_per_lat * m_per_lon
        assert drawn == pytest.approx(expected, rel=0.02)


def test_far_tiles_are_light(contents: list[Content]) -> None:
    root = contents[0]
    leaves = [c for c in contents if not c.tile.get("children")]
    assert len(root.indices) < sum(len(c.indices) for c in leaves)
    assert len(root.properties["row"]) <= 3000


def test_kernel_agrees_with_crs() -> None:
    from citymap import crs
    from citymap.tiles._kernels import _ecef

    rng = np.random.default_rng(3)
    lon, lat, h = rng.uniform(123, 145, 50), rng.uniform(24, 45, 50), rng.uniform(-50, 3000, 50)
    expected = np.column_stack(crs.transformer(4979, 4978).transform(lon, lat, h))
    got = np.array([_ecef(*p) for p in zip(lon, lat, h, strict=True)])
    assert np.abs(got - expected).max() < 1e-5
