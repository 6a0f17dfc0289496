"""A flood result as the compact frames that the map plays: depth of every cell in centimetres, ground in metres.

A grid of more than `LONGEST` cells goes out coarser: a cell then says the greatest depth of the cells that it
stands for, on their mean ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.warp import Resampling, reproject

from citymap import crs
from citymap.assess import flood_view
from citymap.assess.depth_classes import STANDARD
from citymap.flood.results import FLOODED_FROM_M

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 512  # cells of the longer side
NODES = 17  # of the table of positions, each way
UNIT_M = 0.01
WALL = 65535  # no ground there, or a building that is a wall
DEEPEST = WALL - 1


@dataclass(frozen=True, slots=True)
class Result:
    """A finished result: its grid as it goes out. `step` cells of the run make one."""

    folder: Path
    epsg: int
    transform: Any
    rows: int
    columns: int
    step: int
    hours: tuple[float, ...]


def result(folder: Path) -> Result:
    """The result in a folder.

    Raises:
        BadInputError: there is no finished result.
    """
    with flood_view.opened(folder) as data:
        transform, epsg = flood_view.placed(data)
        _, rows, columns = data["depth"].shape
        step = max(1, -(-max(rows, columns) // LONGEST))
        hours = tuple(float(t) / 3600 for t in data["time"][:])
    return Result(
        folder, epsg, transform, -(-rows // step), -(-columns // step), step, hours
    )  # fmt: skip


def described(one: Result) -> dict[str, Any]:
    """What a player must know: times, size, where the grid lies, units and colours.

    `nodes` are lon, lat of `NODES` × `NODES` points, rows from the north, from the centre of the first cell to
    that of the last: linear between them is true to centimetres. `box` is west, north, and the cell's size in
    metres in the result's CRS, so that two results can be laid over each other.
    """
    scaled = one.transform * one.transform.scale(one.step)
    column, row = np.meshgrid(
        np.linspace(0.5, one.columns - 0.5, NODES), np.linspace(0.5, one.rows - 0.5, NODES)
    )
    x, y = scaled * (column.ravel(), row.ravel())
    lon, lat = crs.unproject(np.asarray(x), np.asarray(y), one.epsg)
    nodes = np.round(np.column_stack([lon, lat]), 8).tolist()
    sizes = (*flood_view.LESS, *flood_view.MORE)  # from the largest loss to the largest gain
    bounds = (*(-s for s in flood_view.STEPS_M[::-1]), *flood_view.STEPS_M)
    return {
        "hours": [round(h, 6) for h in one.hours],
        "rows": one.rows,
        "columns": one.columns,
        "nodes": nodes,
        "nodes_a_side": NODES,
        "epsg": one.epsg,
        "box": [scaled.c, scaled.f, scaled.a],
        "unit_m": UNIT_M,
        "wall": WALL,
        "from_m": FLOODED_FROM_M,
        "classes": [{"min": c.min_m, "max": c.max_m, "colour": list(c.colour)} for c in STANDARD],
        "differences": {"bounds": list(bounds), "colours": [list(c) for c in sizes]},
    }


def _blocks(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    rows, columns = (-(-n // step) * step for n in values.shape)
    padded = np.full((rows, columns), np.nan, np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    return padded.reshape(rows // step, step, columns // step, step)


def _counted(depth: NDArray[np.float32], step: int) -> bytes:
    """Depths as little-endian uint16 centimetres, rows from the north."""
    if step > 1:
        blocks = _blocks(depth, step)
        depth = np.fmax.reduce(np.fmax.reduce(blocks, axis=3), axis=1)
    counts = np.rint(np.nan_to_num(depth, nan=0.0) / UNIT_M)
    # a film of water must not vanish in rounding where the map says "flooded"
    counts = np.where((depth >= FLOODED_FROM_M) & (counts < 1), 1, counts)
    return np.where(np.isnan(depth), WALL, np.minimum(counts, DEEPEST)).astype("<u2").tobytes()


def frame(one: Result, number: int) -> bytes:
    """The depth at an output time.

    Raises:
        IndexError: there is no such time.
    """
    if not 0 <= number < len(one.hours):
        raise IndexError(number)
    with flood_view.opened(one.folder) as data:
        depth = np.ma.filled(data["depth"][number], np.nan).astype(np.float32)
    return _counted(depth, one.step)


def peak(one: Result) -> bytes:
    """The greatest depth of the whole run."""
    with rasterio.open(one.folder / "max_depth.tif", driver="GTiff") as source:
        return _counted(source.read(1), one.step)


def ground(one: Result, terrain: Path) -> bytes:
    """Heights (m, T.P.) as little-endian float32, NaN where there is none.

    Results that do not carry their ground take that of `terrain`; without one, all heights are missing.
    """
    with flood_view.opened(one.folder) as data:
        if "ground" in data.variables:
            values = np.ma.filled(data["ground"][:], np.nan).astype(np.float32)
        else:
            values = _sampled(terrain, one, data["depth"].shape[1:])
    if one.step > 1:
        blocks = _blocks(values, one.step)
        known = np.isfinite(blocks)
        count = known.sum(axis=(1, 3))
        total = np.where(known, blocks, 0).sum(axis=(1, 3))
        values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return values.astype("<f4").tobytes()


def _sampled(terrain: Path, one: Result, shape: tuple[int, int]) -> NDArray[np.float32]:
    out = np.full(shape, np.nan, np.float32)
    if not terrain.is_file():
        return out
    with rasterio.open(terrain, driver="GTiff") as source:
        reproject(
            rasterio.band(source, 1), out, dst_transform=one.transform, dst_crs=f"EPSG:{one.epsg}",
            dst_nodata=np.nan, resampling=Resampling.bilinear,
        )  # fmt: skip
    return out
