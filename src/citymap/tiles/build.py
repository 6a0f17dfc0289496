"""Everything derived under `tiles/`: made beside the old version, switched by the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from citymap import crs
from citymap.tiles import attributes, cards, exposure, ground, points, tileset, vector
from citymap.tiles import shapes as city_shapes
from citymap.workspace import held, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from citymap.progress import Progress
    from citymap.tiles.shapes import Shapes
    from citymap.workspace import City, Workspace

FORMAT = 8  # raised when the builder writes something else from the same input


def inputs(workspace: Workspace) -> list[Path]:
    """The files that tiles are made from."""
    fixed = (
        workspace.city_toml, workspace.buildings, workspace.building_surfaces,
        workspace.building_attributes, workspace.roads, workspace.districts, workspace.terrain,
    )  # fmt: skip
    return [p for p in (*fixed, *sorted(workspace.base.glob("*.parquet"))) if p.is_file()]


def version(workspace: Workspace) -> str:
    """Eight hexadecimal digits that change when any input or the builder changes."""
    digest = hashlib.blake2b(f"citymap tiles {FORMAT}".encode(), digest_size=4)
    for path in inputs(workspace):
        with path.open("rb") as handle:
            content = hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16))
        digest.update(path.relative_to(workspace.root).as_posix().encode() + content.digest())
    return digest.hexdigest()


def build(workspace: Workspace, *, progress: Progress, workers: int = 2) -> dict[str, Any]:
    """Build all tiles of the city and return the manifest.

    A stopped run goes on where it was: finished steps stay in `tiles/.building-<version>`.

    Raises:
        BadInputError: the city or one of its tables cannot be used, or another build is at work.
        CancelledError: the person stopped it; the old version stays in force.
    """
    workspace.city()
    with held(workspace.tiles / ".lock", "tiles"):
        return _build(workspace, progress, workers)


def _build(workspace: Workspace, progress: Progress, workers: int) -> dict[str, Any]:
    city = workspace.city()
    name = version(workspace)
    manifest_path = workspace.tiles / "manifest.json"
    final = workspace.tiles / name
    if final.is_dir() and manifest_path.is_file():
        old: dict[str, Any] = json.loads(manifest_path.read_text(encoding="utf-8"))
        if old.get("version") == name:
            return old
    work = workspace.tiles / f".building-{name}"
    work.mkdir(parents=True, exist_ok=True)
    for stale in workspace.tiles.glob(".building-*"):
        if stale != work:
            shutil.rmtree(stale)
    shapes = city_shapes.load(workspace, progress=progress)
    done = work / ".done"
    done.mkdir(exist_ok=True)

    def step(title: str, make: Callable[[Path], Any]) -> Any:
        record = done / f"{title}.json"
        if record.is_file():
            return json.loads(record.read_text(encoding="utf-8"))
        shutil.rmtree(work / title, ignore_errors=True)
        result = make(work / title)
        record.write_text(json.dumps(result), encoding="utf-8")
        return result

    built = {
        "3d": step("3d", lambda f: tileset.build(shapes, f, epsg=city.epsg, progress=progress, workers=workers)),
        "mvt": step("mvt", lambda f: vector.build(workspace, shapes, f, progress=progress, workers=workers)),
        "attributes": step("attributes", lambda f: attributes.build(workspace, f, url=f"{name}/attributes")),
        "ground": step("ground", lambda f: ground.build(workspace, f, progress=progress, workers=workers)),
        "points": step("points", lambda f: points.build(workspace, shapes, f)),
        "cards": step("cards", lambda f: cards.build(workspace, f, progress=progress)),
    }  # fmt: skip
    manifest = _manifest(city, shapes, name, built)
    shutil.rmtree(done)
    if final.exists():
        shutil.rmtree(final)
    work.rename(final)
    write_text(manifest_path, json.dumps(manifest, ensure_ascii=False, separators=(",", ":")))
    for entry in workspace.tiles.iterdir():
        if entry.is_dir() and entry != final:
            shutil.rmtree(entry)
    exposure.publish(workspace)
    return manifest


def _manifest(city: City, shapes: Shapes, name: str, built: dict[str, Any]) -> dict[str, Any]:
    box = city.bbox
    if box is None or not shapes.count:
        lon, lat = (shapes.lon, shapes.lat) if shapes.count else (np.zeros(1), np.zeros(1))
        box = (float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    center = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    if shapes.count:  # the middle of what is built, not of the outline
        center = [float(np.median(shapes.lon)), float(np.median(shapes.lat))]
    heights: dict[str, float | None] = {"min_m": None, "max_m": None}
    if shapes.count:
        heights = {
            "min_m": round(float(shapes.bottom_m.min()), 2),
            "max_m": round(float(shapes.bottom_m.max()), 2),
        }
    manifest: dict[str, Any] = {
        "version": name, "name": city.name, "name_en": city.name_en or city.name, "code": city.code,
        "fictional": city.fictional, "attribution": city.attribution, "bbox": list(box), "center": center,
        "epsg": city.epsg, "languages": list(city.languages), "ground": heights,
        "geoid_m": round(float(crs.geoid_height_m(*center)[0]), 3), "geoid_model": crs.GEOID_MODEL,
        "buildings": {
            "count": shapes.count, "tileset": f"../3dtiles/{name}/tileset.json",
            "ids": f"{name}/attributes/gml_id.json", "cards": f"{name}/cards/{{chunk}}.json",
            "chunk": cards.CHUNK, "tile_stats": built["3d"],
            # how to read the glb: POSITION (int16) × node matrix = metres x east, y up, z south of
            # the tile's transform; _SURFACE (uint8); _FEATURE_ID_0 (uint16) → table column `row`
            "surface_attribute": "_SURFACE", "surface_codes": {"wall": 0, "roof": 1, "ground": 2},
            "feature_attribute": "_FEATURE_ID_0", "row_property": "row",
            "max_screen_space_error": 4,  # the geometric errors are true lengths: 16 px would be coarse
        },
        "vector": {
            "tiles": f"{name}/mvt/{{z}}/{{x}}/{{y}}.mvt", "minzoom": vector.MIN_ZOOM,
            "maxzoom": vector.MAX_ZOOM, "layers": built["mvt"]["layers"],
        },
        "attributes": built["attributes"],
    }  # fmt: skip
    if built["points"]:
        manifest["buildings"]["dots"] = {"url": f"{name}/points/dots.bin", **built["points"]}
    if built["ground"]:
        manifest["ground"] = {k: built["ground"][k] for k in ("min_m", "max_m")}
        manifest["hillshade"] = {
            "tiles": f"{name}/ground/hillshade/{{z}}/{{x}}/{{y}}.png", "minzoom": ground.MIN_ZOOM,
            "maxzoom": ground.HILLSHADE_MAX_ZOOM,
        }  # fmt: skip
        manifest["terrain"] = {
            "tiles": f"{name}/ground/terrain/{{z}}/{{x}}/{{y}}.png", "minzoom": ground.MIN_ZOOM,
            "maxzoom": ground.TERRAIN_MAX_ZOOM, "encoding": "terrarium", "height": "ellipsoidal",
        }  # fmt: skip
    return manifest
