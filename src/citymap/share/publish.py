"""`citymap publish`: the residents' page and the map as plain files for any web server or CDN.

What changes lies in `data/<version>/` and below the tiles' own version, which are written whole before
`site.json` names them; a visitor in between sees the old site or the new one. Every file that
compresses has a `.gz` beside it for servers that send such files as they are.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import shutil
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap.assess import leave_by as told
from citymap.assess.place import Asked, Places
from citymap.errors import BadInputError
from citymap.live import leave_by, orders
from citymap.share import area_map, residents, search_file, status, tile_files, wifi_points
from citymap.share.doors import Door, declare
from citymap.share.gate import release_one
from citymap.share.paper import sheet
from citymap.share.paper import site as paper_site
from citymap.workspace import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.progress import Progress
    from citymap.store import Store
    from citymap.workspace import Workspace

ZOOM = 17  # of the files of places: about 250 m wide
CELLS = 3  # a side: shelters and the ground are told every 80 m
E6 = 1_000_000
KEPT_VERSIONS = 2
PACKED = frozenset({".html", ".js", ".css", ".json", ".svg", ".mvt", ".bin", ".glb", ".geojson", ".webmanifest"})  # fmt: skip
WORST_RATIO = 0.95
Tile = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Published:
    """What was written."""

    version: str
    files: int
    bytes: int
    places: int


def publish(
    workspace: Workspace, store: Store, target: Path, static: Path, *, progress: Progress,
    paper: bool = True, url: str = "",
) -> Published:  # fmt: skip
    """Write the whole site. `static` holds the built pages (`home/`, the map's own files), `paper`
    tells whether the A3 sheets are part of it, `url` is what their QR codes say ("": the site itself).

    Raises:
        BadInputError: no city, no built pages, or `target` holds something else.
        CitymapError: the store cannot be asked.
    """
    home = static / "home"
    if not (home / "index.html").is_file():
        raise BadInputError("publish_not_built")
    if target.exists() and any(target.iterdir()) and not (target / "site.json").is_file():
        raise BadInputError("publish_not_empty", place=str(target))
    site = _Site(target)
    made: dict[str, bytes] = {
        "search.json": search_file.as_bytes(search_file.search_file(workspace)),
        "area.json": search_file.as_bytes(area_map.area_map(workspace)),
        "shelters.json": search_file.as_bytes(residents.shelters(workspace)),
        "wifi.json": search_file.as_bytes(wifi_points.wifi_points(workspace)),
    }
    count = 0
    released = _deadlines(workspace, store)
    for (x, y), body in place_files(workspace, released, progress=progress):
        made[f"place/{x}/{y}.json"] = body
        count += 1
    version = _version(made)
    for name, body in made.items():
        site.write(f"data/{version}/{name}", body)
    for path in sorted(p for p in static.rglob("*") if p.is_file() and not p.name.startswith(".")):
        relative = path.relative_to(static)
        if relative.parts[0] in {"report", "paper"}:
            continue  # the form needs a server; the paper maps bring their own files
        if relative.parts[0] == "home":
            if relative.name not in ("index.html", "sw.js"):
                site.write(relative.as_posix(), path.read_bytes())
        else:
            site.write(f"map/{relative.as_posix()}", path.read_bytes())
    _tiles(workspace, site)
    for code in residents.catalogues():
        site.write(f"words/{code}.json", search_file.as_bytes(residents.words(workspace, code)))
    write_status(workspace, store, target)
    printed = paper and paper_site.write(
        workspace, target, static / "paper", site.write, url=url, progress=progress
    )
    site.write("sw.js", (home / "sw.js").read_bytes())
    page = (home / "index.html").read_text(encoding="utf-8").replace('="./', '="./home/')
    site.write("index.html", page.encode())
    about = residents.site(workspace, data=f"data/{version}/", grid={"z": ZOOM, "cells": CELLS})
    about["paper"] = "paper/" if printed else None
    site.write("site.json", search_file.as_bytes(about))  # last: from here on the new data count
    _forget(target / "data", version)
    return Published(version, site.files, site.bytes, count)


def write_status(workspace: Workspace, store: Store, target: Path) -> None:
    """Write `status.json` alone.

    Raises:
        BadInputError: there is no folder to write into.
        CitymapError: the store cannot be asked; the old file stays, and goes stale.
    """
    if not target.is_dir():
        raise BadInputError("not_found", path=target)
    body = status.as_bytes(status.status(workspace, store))
    for path, content in (
        (target / "status.json.gz", gzip.compress(body, 9, mtime=0)),
        (target / "status.json", body),
    ):
        with replacing(path) as temporary:
            temporary.write_bytes(content)


class _Site:
    """The folder that is written, with counts."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.files = 0
        self.bytes = 0

    def write(self, name: str, body: bytes) -> None:
        """A file by rename, and its packed twin before it where that is smaller."""
        path = self._target / name
        packed = gzip.compress(body, 9, mtime=0) if path.suffix in PACKED else b""
        twin = path.with_name(path.name + ".gz")
        if packed and len(packed) < WORST_RATIO * len(body):
            with replacing(twin) as temporary:
                temporary.write_bytes(packed)
        else:
            twin.unlink(missing_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(body)
        self.files += 1
        self.bytes += len(body)


def _version(made: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(made):
        digest.update(name.encode() + b"\0" + hashlib.sha256(made[name]).digest())
    return digest.hexdigest()[:12]


def _forget(folder: Path, current: str) -> None:
    """Remove old versions but the last, which pages opened before may still ask for."""
    old = sorted(
        (p for p in folder.iterdir() if p.is_dir() and p.name != current),
        key=lambda p: p.stat().st_mtime, reverse=True,
    )  # fmt: skip
    for path in old[KEPT_VERSIONS - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _tiles(workspace: Workspace, site: _Site) -> None:
    """The tiles of the current version, each as the public may see it; the manifest last."""
    manifest = workspace.tiles / "manifest.json"
    if not manifest.is_file():
        return
    version = json.loads(manifest.read_text(encoding="utf-8"))["version"]
    folder = workspace.tiles / version
    for path in [*sorted(p for p in folder.rglob("*") if p.is_file()), manifest]:
        located = path.relative_to(workspace.tiles).as_posix()
        packed = located.endswith(".gz")
        name = located.removesuffix(".gz")
        passage = tile_files.passage(name, "public")
        if passage is None:
            continue
        body = path.read_bytes()
        body = gzip.decompress(body) if packed else body
        if passage.rewrite is not None:
            body = passage.rewrite(body, "public")
        parts = name.split("/")
        if len(parts) > 2 and parts[1] == "3d":
            site.write("/".join(("3dtiles", parts[0], *parts[2:])), body)
        else:
            site.write(f"tiles/{name}", body)


def tile_of(lon: float, lat: float) -> Tile:
    """The file that answers for a place (Web Mercator at `ZOOM`)."""
    n = 2**ZOOM
    phi = math.radians(lat)
    return int((lon + 180) / 360 * n), int((1 - math.asinh(math.tan(phi)) / math.pi) / 2 * n)


def bounds_of(tile: Tile) -> tuple[float, float, float, float]:
    """west, south, east, north in degrees."""
    n = 2**ZOOM
    x, y = tile

    def north(row: int) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / n))))

    return x / n * 360 - 180, north(y + 1), (x + 1) / n * 360 - 180, north(y)


def _deadlines(workspace: Workspace, store: Store) -> told.Deadlines | None:
    found = told.in_force(leave_by.current(store), orders.current(store))
    return None if found is None else told.deadlines(workspace, found)


def place_files(
    workspace: Workspace, released: told.Deadlines | None = None, *, progress: Progress
) -> Iterator[tuple[Tile, bytes]]:
    """The answers of `citymap.assess.place` for every building and every 80 m of ground.

    `released` are the 退避期限 that the public may see; the page says them only while
    `status.json` names that release and no order holds.
    """
    bbox = workspace.city().bbox
    if bbox is None:
        raise BadInputError("no_buildings", path=workspace.root)
    places = Places(workspace, edges=False)
    by_tile: dict[Tile, list[int]] = defaultdict(list)
    outlines = places.outlines
    centres = shapely.centroid(outlines)
    lon, lat = shapely.get_x(centres), shapely.get_y(centres)
    boxes = shapely.bounds(outlines)
    for row in range(len(outlines)):
        west, south, east, north = boxes[row]
        for tile in {tile_of(a, b) for a in (west, east) for b in (south, north)}:
            by_tile[tile].append(row)
    (x0, y1), (x1, y0) = tile_of(bbox[0], bbox[1]), tile_of(bbox[2], bbox[3])
    tiles = [(x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)]
    for step, tile in enumerate(tiles):
        progress.update(step, len(tiles), "places")
        rows = by_tile.get(tile, [])
        asked = [Asked(float(lon[r]), float(lat[r]), r) for r in rows]
        yield tile, _place_file(places, released, tile, rows, asked)
    progress.update(len(tiles), len(tiles), "places")


def _place_file(
    places: Places, released: told.Deadlines | None, tile: Tile, rows: list[int], asked: list[Asked]
) -> bytes:
    west, south, east, north = bounds_of(tile)
    steps = (np.arange(CELLS) + 0.5) / CELLS
    cells = [
        Asked(float(west + sx * (east - west)), float(north - sy * (north - south)), -1)
        for sy in steps for sx in steps
    ]  # fmt: skip
    records: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}

    def number(record: dict[str, Any]) -> int:
        kept = {k: v for k, v in record.items() if k not in {"lon", "lat", "building"}}
        text = json.dumps(kept, ensure_ascii=False, sort_keys=True)
        if text not in numbers:
            numbers[text] = len(records)
            records.append(kept)
        return numbers[text]

    buildings = []
    ground = []
    for i, found in enumerate(places.records([*asked, *cells])):
        record = release_one("place", found, "public") or {}
        if i >= len(rows):
            ground.append(number(record))
            continue
        limits = _limits(released, places.building_id(rows[i]))["mobility"]
        for part in shapely.get_parts(places.outlines[rows[i]]):
            ring = np.round(shapely.get_coordinates(part.exterior) * E6).astype(int)
            flat = ring[:-1].ravel().tolist()
            buildings.append([flat, number(record), record.get("building"), limits])
    middle = Asked((west + east) / 2, (south + north) / 2, -1)
    shelters = {
        hazard: [
            _released(places.shelters(c.lon, c.lat, hazard))
            for c in (cells if rows else [middle])
        ]
        for hazard in places.hazards
    }  # fmt: skip
    wifi = (release_one("place", {"wifi": places.wifi(middle.lon, middle.lat)}, "public") or {})[
        "wifi"
    ]
    return search_file.as_bytes(
        {
            "west": west, "south": south, "east": east, "north": north, "records": records,
            "buildings": buildings, "ground": ground, "wifi": wifi,
            "leave_by": None if released is None else _limits(released, None),
            "shelters": {h: s if rows else s * (CELLS * CELLS) for h, s in shelters.items()},
        }
    )  # fmt: skip


def _limits(released: told.Deadlines | None, building_id: str | None) -> dict[str, Any]:
    """The released time limits of a building; `mobility` None where nothing is released."""
    block = None if released is None else released.of(building_id)
    said = (release_one("place", {"leave_by": block}, "public") or {})["leave_by"]
    return said or {"mobility": None}


def _released(shelters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (release_one("place", {"shelters": shelters}, "public") or {})[
        "shelters"
    ]
    return found


def _emitted(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    from citymap.progress import Quiet  # noqa: PLC0415  (only the test of the doors asks)
    from citymap.store import shared_store  # noqa: PLC0415

    del audience  # the site is public
    released = _deadlines(workspace, shared_store(workspace))
    for _, body in place_files(workspace, released, progress=Quiet()):
        yield body
    for code in residents.catalogues():
        yield search_file.as_bytes(residents.words(workspace, code))
    yield search_file.as_bytes(residents.site(workspace))
    yield from sheet.emitted(workspace, "public")


declare(Door("static site", kinds=("place", "shelters", "districts", "addresses", "buildings", "base_map", "status", "wifi", "roads", "hazard"),
             emit=_emitted))  # fmt: skip
