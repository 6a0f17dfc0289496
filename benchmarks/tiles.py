"""3D Tiles: buildings per second against the floor, bytes against plain b3dm, weight of the first view.

    python benchmarks/tiles.py --city DIR [--copies 4] [--runs 3] [--floor 16700]

The city's buildings are laid out `copies` × `copies` times side by side. The floor is what C expat
with parsed numbers does on the same buildings as CityGML (`TARGETS` P1).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from citymap.model import columns
from citymap.progress import Quiet
from citymap.tiles import attributes, cards, shapes, tileset, vector
from citymap.workspace import City, Workspace, write_table


def replicate(source: Workspace, root: Path, copies: int) -> Workspace:
    """A workspace with the city's buildings `copies` × `copies` times."""
    target = Workspace(root)
    root.mkdir(parents=True, exist_ok=True)
    city = source.city()
    buildings = pq.read_table(source.buildings)
    surfaces = pq.read_table(source.building_surfaces)
    outlines = shapely.from_wkb(np.asarray(buildings["geometry"].to_pylist(), object))
    solids = shapely.from_wkb(np.asarray(surfaces["geometry"].to_pylist(), object))
    west, south, east, north = shapely.total_bounds(outlines)
    tables: dict[str, list[pa.Table]] = {"b": [], "s": []}
    for i in range(copies):
        for j in range(copies):
            step = np.array([i * (east - west), j * (north - south), 0.0])
            moved = shapely.to_wkb(shapely.transform(outlines, lambda xy, s=step: xy + s[:2]))
            solid = shapely.to_wkb(
                shapely.transform(solids, lambda xyz, s=step: xyz + s, include_z=True), flavor="iso"
            )
            for key, table, geometry in (("b", buildings, moved), ("s", surfaces, solid)):
                ids = pa.array([f"{i}-{j}-{g}" for g in table["gml_id"].to_pylist()])
                names = table.column_names
                other = table.set_column(names.index("gml_id"), "gml_id", ids)
                wkb = pa.array(geometry, pa.binary())
                tables[key].append(other.set_column(names.index("geometry"), "geometry", wkb))
    write_table(target.buildings, pa.concat_tables(tables["b"]), columns.BUILDINGS)
    write_table(target.building_surfaces, pa.concat_tables(tables["s"]), columns.BUILDING_SURFACES)
    target.write_city(City(name=city.name, code=city.code, epsg=city.epsg))
    return target


def first_view_bytes(
    folder: Path, *, height_px: int = 800, max_error_px: float = 16.0
) -> dict[str, float]:
    """Tiles that a viewer over the whole city needs: the camera stands where the city fills it."""
    document = json.loads((folder / "tileset.json").read_text())
    root = document["root"]["boundingVolume"]["box"]
    size = 2 * max(abs(root[3]), abs(root[7]))
    focal = height_px * 1.5  # deck.gl's camera stands 1.5 screen heights away
    distance = (
        size / height_px * focal / 1.4
    )  # the city as wide as a 1280 × 800 window, a little closer
    total = {"bytes": float((folder / "tileset.json").stat().st_size), "tiles": 0.0}

    def visit(tile: dict[str, Any]) -> None:
        total["bytes"] += (folder / (tile["content"]["uri"] + ".gz")).stat().st_size
        total["tiles"] += 1
        if tile["geometricError"] * focal / max(distance, 1) > max_error_px:
            for child in tile.get("children", []):
                visit(child)

    visit(document["root"])
    return total


def main() -> None:
    """Print ours, floor, ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--floor", type=float, default=16_700.0, help="buildings/s of expat")
    parser.add_argument(
        "--everything", action="store_true", help="also time vector tiles, columns, cards"
    )
    args = parser.parse_args()
    quiet = Quiet()
    with tempfile.TemporaryDirectory() as name:
        city = replicate(Workspace(args.city), Path(name) / "city", args.copies)
        epsg = city.city().epsg
        seconds: list[tuple[float, float]] = []
        for run in range(args.runs + 1):  # the first loads the compiled kernels
            t0 = time.perf_counter()
            loaded = shapes.load(city, progress=quiet)
            t1 = time.perf_counter()
            folder = Path(name) / f"3d{run}"
            stats = tileset.build(loaded, folder, epsg=epsg, progress=quiet, workers=args.workers)
            seconds.append((t1 - t0, time.perf_counter() - t1))
        load, write = (statistics.median(s[i] for s in seconds[1:]) for i in (0, 1))
        rate = loaded.count / (load + write)
        print(f"buildings            {loaded.count:,} ({stats['tiles']} tiles)")
        print(f"read and triangulate {load:.2f} s, tiles {write:.2f} s")
        print(f"ours                 {rate:,.0f} buildings/s")
        print(f"floor (expat)        {args.floor:,.0f} buildings/s")
        print(f"ratio                {rate / args.floor:.0%} (target 25 %)")
        leaf = stats["leaf_bytes"] / loaded.count
        # position, normal (float32) and batch id (uint32) by vertex, uint32 index, row, height and
        # ground in the batch table, and the same gml_id
        names = sum(len(i) for i in loaded.ids.to_pylist())
        plain = (
            stats["leaf_vertices"] * 28 + stats["leaf_triangles"] * 12 + loaded.count * 12 + names
        )
        print(f"bytes per building   {leaf:,.0f} served (nearest level)")
        print(f"plain float32 b3dm   {plain / loaded.count:,.0f}")
        print(f"ratio                {leaf * loaded.count / plain:.0%} (target 40 %)")
        print(f"all levels           {stats['bytes'] / 1e6:.1f} MB")
        for error in (16.0, 4.0, 2.0):
            view = first_view_bytes(folder, max_error_px=error)
            print(
                f"first view           {view['bytes'] / 1e6:.2f} MB in {view['tiles']:.0f} tiles "
                f"at {math.floor(error)} px (target 30 MB)"
            )
        if args.everything:
            t0 = time.perf_counter()
            made = vector.build(
                city, loaded, Path(name) / "mvt", progress=quiet, workers=args.workers
            )
            t1 = time.perf_counter()
            attributes.build(city, Path(name) / "attributes", url="x")
            t2 = time.perf_counter()
            cards.build(city, Path(name) / "cards", progress=quiet)
            t3 = time.perf_counter()
            print(
                f"vector tiles         {t1 - t0:.1f} s, {made['tiles']} tiles, {made['bytes'] / 1e6:.1f} MB"
            )
            print(f"columns              {t2 - t1:.1f} s; cards {t3 - t2:.1f} s")


if __name__ == "__main__":
    main()
