"""Terrain pictures: hillshade for the eye and terrarium heights for the 3-D ground."""

from __future__ import annotations

import math
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling, transform_bounds

from citymap import crs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.progress import Progress
    from citymap.workspace import Workspace

MIN_ZOOM, HILLSHADE_MAX_ZOOM, TERRAIN_MAX_ZOOM = 10, 15, 14
TILE = 256
HALF_WORLD_M = math.pi * 6378137.0
STRENGTH = 0.55  # darkest shadow
SUNS = (
    (315.0, 0.55),
    (270.0, 0.2),
    (0.0, 0.25),
)  # azimuth and weight: soft light from the north-west
ALTITUDE = math.radians(45)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG of (h, w, 1 grey | 2 grey and alpha | 3 RGB | 4 RGBA) bytes, filtered against the row above."""
    height, width, bands = pixels.shape
    rows = pixels.reshape(height, width * bands)
    filtered = np.empty((height, width * bands + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 7)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def hillshade(height_m: NDArray[np.float32], cell_m: float) -> NDArray[np.uint8]:
    """Grey and alpha of a height grid with one cell of margin: flat ground is clear, shadow dark."""
    # per axis, so that the margin is cut once
    dy, dx = np.gradient(height_m.astype(float), cell_m)
    dx, dy = dx[1:-1, 1:-1], -dy[1:-1, 1:-1]
    slope = np.arctan(1.6 * np.hypot(dx, dy))
    aspect = np.arctan2(dx, dy)  # direction of rise, from north
    light = np.zeros_like(slope)
    for azimuth, weight in SUNS:
        facing = np.cos(math.radians(azimuth) - aspect)
        light -= weight * np.cos(ALTITUDE) * np.sin(slope) * facing
    light += np.sin(ALTITUDE) * (np.cos(slope) - 1)
    out = np.zeros((*light.shape, 2), np.uint8)
    out[..., 0] = np.where(light > 0, 255, 0)
    alpha = np.clip(np.abs(light), 0, 1) * 255 * STRENGTH * np.where(light > 0, 1.0, 1.4)
    out[..., 1] = np.where(np.isnan(light), 0, np.clip(np.nan_to_num(alpha), 0, 255))
    return out


def terrarium(height_m: NDArray[np.float64]) -> NDArray[np.uint8]:
    """RGB whose height is R·256 + G + B/256 − 32768."""
    value = np.clip(np.rint((height_m + 32768) * 256), 0, 2**24 - 1).astype(np.uint32)
    return np.stack([value >> 16, (value >> 8) & 255, value & 255], axis=-1).astype(np.uint8)


def fill(height_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The grid with its gaps drawn on from the values beside them: along rows, then columns."""
    out = height_m.copy()
    for _ in range(2):  # rows, then (transposed) columns
        known = ~np.isnan(out)
        for i in np.flatnonzero(known.any(axis=1) & ~known.all(axis=1)):
            at = np.flatnonzero(known[i])
            out[i] = np.interp(np.arange(out.shape[1]), at, out[i, at])
        out = out.T.copy()
    return out


def _span(bounds: tuple[float, float, float, float], zoom: int) -> tuple[int, int, int, int]:
    size = 2 * HALF_WORLD_M / (1 << zoom)
    west, south, east, north = bounds
    return (
        int((west + HALF_WORLD_M) // size), int((HALF_WORLD_M - north) // size),
        int((east + HALF_WORLD_M) // size), int((HALF_WORLD_M - south) // size),
    )  # fmt: skip


def _geoid(zoom: int, x: int, y: int) -> NDArray[np.float64]:
    """Geoid height of each pixel of a tile, bilinear between 9 × 9 points (it bends by millimetres)."""
    n = 9
    at = np.linspace(0, 1, n)
    lon = (x + at) / (1 << zoom) * 360 - 180
    lat = np.degrees(np.arctan(np.sinh(math.pi * (1 - 2 * (y + at) / (1 << zoom)))))
    grid = crs.geoid_height_m(*np.meshgrid(lon, lat))
    pixel = (np.arange(TILE) + 0.5) / TILE
    rows = np.stack([np.interp(pixel, at, line) for line in grid])
    return np.stack([np.interp(pixel, at, rows[:, j]) for j in range(TILE)], axis=1)


def build(
    workspace: Workspace, folder: Path, *, progress: Progress, workers: int = 2
) -> dict[str, Any]:
    """Write `hillshade/{z}/{x}/{y}.png` and `terrain/{z}/{x}/{y}.png`; nothing without terrain.

    Terrain heights are ellipsoidal; where `terrain.tif` has no value the nearest one is drawn on,
    so that the ground never falls away at the city's edge.
    """
    if not workspace.terrain.is_file():
        return {}
    counts = {"hillshade": 0, "terrain": 0}
    with rasterio.open(workspace.terrain, driver="GTiff") as source:
        bounds = transform_bounds(source.crs, "EPSG:3857", *source.bounds)
        middle = math.cos(
            math.radians(transform_bounds(source.crs, "EPSG:4326", *source.bounds)[1])
        )
        overview = source.read(
            1, out_shape=(min(source.height, 512), min(source.width, 512)), masked=True
        )
        low, high = (
            float(np.nanmin(overview.filled(np.nan))),
            float(np.nanmax(overview.filled(np.nan))),
        )
    spans = {z: _span(bounds, z) for z in range(MIN_ZOOM, HILLSHADE_MAX_ZOOM + 1)}
    jobs = [(z, x) for z, (x0, _, x1, _) in spans.items() for x in range(x0, x1 + 1)]

    def column(job: tuple[int, int]) -> tuple[int, int]:
        zoom, x = job
        _, y0, _, y1 = spans[zoom]
        size = 2 * HALF_WORLD_M / (1 << zoom)
        pixel = size / TILE
        made = [0, 0]
        with rasterio.open(workspace.terrain, driver="GTiff") as source:
            transform = from_origin(
                x * size - HALF_WORLD_M - pixel, HALF_WORLD_M - y0 * size + pixel, pixel, pixel
            )
            rows = (y1 - y0 + 1) * TILE
            with WarpedVRT(
                source, crs="EPSG:3857", transform=transform, width=TILE + 2, height=rows + 2,
                resampling=Resampling.bilinear if pixel < 20 else Resampling.average,
                nodata=np.nan, src_nodata=source.nodata,
            ) as warped:  # fmt: skip
                for y in range(y0, y1 + 1):
                    at = (y - y0) * TILE
                    height = warped.read(1, window=((at, at + TILE + 2), (0, TILE + 2)))
                    if np.isnan(height).all():
                        continue
                    shade = hillshade(height, pixel * middle)
                    _write(folder / "hillshade", zoom, x, y, png(shade))
                    made[0] += 1
                    if zoom <= TERRAIN_MAX_ZOOM:
                        filled = fill(height)[1:-1, 1:-1].astype(float)
                        heights = terrarium(filled + _geoid(zoom, x, y))
                        _write(folder / "terrain", zoom, x, y, png(heights))
                        made[1] += 1
        return made[0], made[1]

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for done, (shades, grounds) in enumerate(pool.map(column, jobs), 1):
            counts["hillshade"] += shades
            counts["terrain"] += grounds
            progress.update(done, len(jobs), "terrain pictures")
    return {**counts, "min_m": round(low, 2), "max_m": round(high, 2)}


def _write(folder: Path, zoom: int, x: int, y: int, data: bytes) -> None:
    path = folder / str(zoom) / str(x) / f"{y}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
