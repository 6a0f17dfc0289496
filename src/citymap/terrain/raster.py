"""`terrain.tif`: resampling to the plane-rectangular zone, merging, writing and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import Affine

from citymap import crs
from citymap.errors import BadInputError
from citymap.model.grid import Grid
from citymap.progress import Progress, Quiet
from citymap.terrain import _kernels
from citymap.workspace import replacing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LIMIT_CELLS = 600_000_000
_BLOCK_ROWS = 256


def _snapped(
    bounds: tuple[float, float, float, float], cell: float
) -> tuple[float, float, int, int]:
    """West, north, rows, columns of the frame whose edges are whole multiples of the cell."""
    west, south = np.floor(bounds[0] / cell) * cell, np.floor(bounds[1] / cell) * cell
    columns = max(1, int(np.ceil((bounds[2] - west) / cell - 1e-9)))
    rows = max(1, int(np.ceil((bounds[3] - south) / cell - 1e-9)))
    if rows * columns > _LIMIT_CELLS:
        raise BadInputError("dem_too_large", place="terrain.tif")
    return float(west), float(south + rows * cell), rows, columns


def _elevation(
    values: NDArray[np.float32], west: float, north: float, cell: float, epsg: int
) -> Grid:
    return Grid(
        values, (cell, 0.0, west, 0.0, -cell, north), epsg, "T.P.", "elevation", "m", float("nan")
    )


def rasterise(triangles: NDArray[np.float64], *, epsg: int, cell_m: float) -> Grid:
    """Triangles (n, 3, lon lat 標高) as a grid in the zone `epsg`."""
    x, y = crs.project(triangles[..., 0], triangles[..., 1], epsg)
    corners = np.stack([x, y, triangles[..., 2]], axis=-1)
    return rasterise_projected(corners, epsg=epsg, cell_m=cell_m)


def rasterise_projected(corners: NDArray[np.float64], *, epsg: int, cell_m: float) -> Grid:
    """The same for corners already in metres of the zone."""
    x, y = corners[..., 0], corners[..., 1]
    west, north, rows, columns = _snapped((x.min(), y.min(), x.max(), y.max()), cell_m)
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    _kernels.rasterise_triangles(np.ascontiguousarray(corners), west, north, cell_m, out)
    return _elevation(out, west, north, cell_m, epsg)


def mosaic(grids: Sequence[Grid], *, place: str = "terrain") -> Grid:
    """Grids of one CRS and cell size as one; where they overlap the first with a value counts.

    Raises:
        BadInputError: different CRS or cell size, or together too large.
    """
    first = grids[0]
    a, e = first.transform[0], first.transform[4]
    for g in grids:
        same = g.epsg == first.epsg and np.allclose(
            [g.transform[0], g.transform[4]], [a, e], rtol=1e-6
        )
        if not same:
            raise BadInputError("dem_mixed_grids", place=place)
    west, north = min(g.bounds[0] for g in grids), max(g.bounds[3] for g in grids)
    east, south = max(g.bounds[2] for g in grids), min(g.bounds[1] for g in grids)
    rows, columns = round((south - north) / e), round((east - west) / a)
    if rows * columns > _LIMIT_CELLS:
        raise BadInputError("dem_too_large", place=place)
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    for g in grids:
        j, i = round((g.transform[5] - north) / e), round((g.transform[2] - west) / a)
        target = out[j : j + g.values.shape[0], i : i + g.values.shape[1]]
        np.copyto(target, g.values, where=np.isnan(target))
    return Grid(out, (a, 0.0, west, 0.0, e, north), first.epsg, first.vertical_datum,
                first.quantity, first.unit, float("nan"))  # fmt: skip


def resample(grid: Grid, *, epsg: int, cell_m: float, progress: Progress | None = None) -> Grid:
    """Bilinear values at the cell centres of the zone's frame; missing stays missing."""
    progress = progress or Quiet()
    w, s, e, n = grid.bounds
    edge = np.linspace(0, 1, 33)
    px = np.concatenate([w + (e - w) * edge] * 2 + [np.full(33, w), np.full(33, e)])
    py = np.concatenate([np.full(33, s), np.full(33, n)] + [s + (n - s) * edge] * 2)
    x, y = (px, py) if grid.epsg == epsg else crs.transformer(grid.epsg, epsg).transform(px, py)
    if not np.isfinite(x).all():
        raise BadInputError("dem_bad_grid", place=f"EPSG:{grid.epsg}", reason="outside the zone")
    west, north, rows, columns = _snapped((x.min(), y.min(), x.max(), y.max()), cell_m)
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    xs = west + (np.arange(columns) + 0.5) * cell_m
    for j in range(0, rows, _BLOCK_ROWS):
        progress.update(j, rows, "dem resample")
        ys = north - (np.arange(j, min(rows, j + _BLOCK_ROWS)) + 0.5) * cell_m
        gx, gy = np.meshgrid(xs, ys)
        if grid.epsg != epsg:
            gx, gy = crs.transformer(epsg, grid.epsg).transform(gx, gy)
        out[j : j + len(ys)] = _at(grid, gx, gy).reshape(len(ys), columns)
    return _elevation(out, west, north, cell_m, epsg)


def _at(grid: Grid, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    a, _, c, _, e, f = grid.transform
    out = np.empty(x.size)
    _kernels.bilinear(grid.values, ((y.ravel() - f) / e) - 0.5, ((x.ravel() - c) / a) - 0.5, out)
    return out


def close_slits(grid: Grid) -> Grid:
    """Fill single missing cells between meshes; wide gaps stay missing."""
    out = grid.values.copy()
    _kernels.fill_slits(grid.values, out)
    return Grid(
        out, grid.transform, grid.epsg, grid.vertical_datum, grid.quantity, grid.unit, grid.nodata
    )


def write(path: Path, grid: Grid, *, source: str, estimated: str = "no") -> None:
    """Write a COG (float32, NaN) with tags VERTICAL_DATUM, SOURCE, ESTIMATED."""
    tags = {"VERTICAL_DATUM": grid.vertical_datum, "SOURCE": source, "ESTIMATED": estimated,
            "QUANTITY": grid.quantity, "UNIT": grid.unit}  # fmt: skip
    rows, columns = grid.values.shape
    with replacing(path) as temporary:
        plain = temporary.with_suffix(".plain")
        try:
            with rasterio.open(
                plain, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32",
                crs=f"EPSG:{grid.epsg}", transform=Affine(*grid.transform), nodata=float("nan"),
                tiled=True, blockxsize=512, blockysize=512, compress="deflate", predictor=3,
                bigtiff="IF_SAFER",
            ) as out:  # fmt: skip
                out.write(grid.values, 1)
                out.update_tags(**tags)
            cog = {"compress": "deflate", "predictor": "YES", "blocksize": 512}
            rasterio.shutil.copy(
                plain, temporary, driver="COG", overview_resampling="average", **cog
            )
        finally:
            plain.unlink(missing_ok=True)


def read(path: Path) -> tuple[Grid, dict[str, str]]:
    """A `terrain.tif` with its tags.

    Raises:
        BadInputError: it cannot be read or lacks CRS.
    """
    try:
        with rasterio.open(path, driver="GTiff") as source:
            if source.crs is None or (epsg := source.crs.to_epsg()) is None:
                raise BadInputError("dem_no_crs", place=path.name)
            t, tags = source.transform, dict(source.tags())
            values = np.ma.filled(source.read(1, masked=True).astype(np.float32), np.nan)
    except rasterio.errors.RasterioError as e:
        raise BadInputError("dem_not_geotiff", place=path.name, reason=e) from e
    datum = tags.get("VERTICAL_DATUM", "")
    return Grid(
        values, (t.a, t.b, t.c, t.d, t.e, t.f), epsg, datum, "elevation", "m", float("nan")
    ), tags


def sample(path: Path, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """標高 in metres of `terrain.tif` at JGD2011 lon, lat (bilinear); NaN outside."""
    grid, _ = read(path)
    lon_a, lat_a = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
    x, y = crs.project(lon_a.ravel(), lat_a.ravel(), grid.epsg)
    x, y = np.atleast_1d(x), np.atleast_1d(y)
    return _at(grid, x, y).reshape(lon_a.shape)
