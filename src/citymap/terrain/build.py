"""Building `terrain.tif` of a workspace: from DEM files, else estimated from buildings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.model.grid import Grid
from citymap.progress import Progress, Quiet
from citymap.terrain import raster
from citymap.terrain.geotiff import read_geotiff_dem
from citymap.terrain.gsi import read_fg_gml
from citymap.terrain.tin import nominal_cell_m, read_tin
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DEFAULT_CELL_M = 5.0
_LONGEST_EDGE_M = 1500.0


@dataclass(frozen=True, slots=True)
class TerrainReport:
    """What went into a terrain: counts, range in metres, and files that could not be used."""

    files: int
    triangles: int
    dropped_triangles: int
    cells: int
    valid_cells: int
    min_m: float
    max_m: float
    cell_m: float
    estimated: bool
    failed: tuple[dict[str, str | None], ...] = ()


def import_dem(
    workspace: Workspace, files: Sequence[Path], *, epsg: int, cell_m: float | None = None,
    vertical_datum: str | None = None, progress: Progress | None = None,
) -> TerrainReport:  # fmt: skip
    """Read CityGML `dem`, FG-GML and GeoTIFF files into `terrain.tif` of the zone `epsg`.

    A measured terrain already there is kept where the new files say nothing, an estimated one is
    replaced. Files that cannot be read are listed in the report.

    Raises:
        BadInputError: none of the files could be read.
    """
    progress = progress or Quiet()
    tins = [f for f in files if f.suffix.lower() == ".gml"]
    cell = cell_m or min((n for f in tins if (n := nominal_cell_m(f.name))), default=DEFAULT_CELL_M)
    cell = float(min(max(cell, 1.0), 10.0))
    grids: list[Grid] = []
    meshes: dict[tuple[float, float], list[Grid]] = {}
    failed: list[dict[str, str | None]] = []
    read = triangles = dropped = 0
    for path in sorted(files):
        try:
            if path.suffix.lower() == ".gml":
                tin = read_tin(path, progress=progress)
                grids.append(raster.rasterise(tin.triangles, epsg=epsg, cell_m=cell))
                triangles, dropped = triangles + len(tin.triangles), dropped + tin.dropped
            elif path.suffix.lower() in (".tif", ".tiff"):
                tiff = read_geotiff_dem(path, vertical_datum=vertical_datum)
                grids.append(raster.resample(tiff, epsg=epsg, cell_m=cell, progress=progress))
            else:
                mesh = read_fg_gml(path)
                size = (round(mesh.transform[0], 9), round(mesh.transform[4], 9))
                meshes.setdefault(size, []).append(mesh)
            read += 1
        except BadInputError as e:
            failed.append({**e.as_dict(), "place": e.place or path.name})
    # Meshes of one size are joined before resampling, so that no seam is left between them.
    for size in sorted(meshes):
        joined = raster.mosaic(meshes[size])
        grids.append(raster.resample(joined, epsg=epsg, cell_m=cell, progress=progress))
    if not grids:
        raise BadInputError("dem_none", place=failed[0]["place"] if failed else None,
                            reason=failed[0]["message"] if failed else "—")  # fmt: skip
    if workspace.terrain.is_file():
        old, tags = raster.read(workspace.terrain)
        if tags.get("ESTIMATED") == "no" and old.epsg == epsg:
            if np.isclose(old.transform[0], cell):
                grids.append(old)
            else:
                grids.append(raster.resample(old, epsg=epsg, cell_m=cell, progress=progress))
    grid = raster.close_slits(raster.mosaic(grids))
    names = sorted({f.name for f in files})
    source = ", ".join(names[:20]) + (f" … ({len(names)})" if len(names) > 20 else "")
    raster.write(workspace.terrain, grid, source=source)
    return _report(grid, read, triangles, dropped, tuple(failed), estimated=False)


def _report(
    grid: Grid, files: int, triangles: int, dropped: int, failed: tuple[dict[str, str | None], ...],
    *, estimated: bool,
) -> TerrainReport:  # fmt: skip
    valid = np.isfinite(grid.values)
    low, high = (
        (float(np.nanmin(grid.values)), float(np.nanmax(grid.values)))
        if valid.any()
        else (np.nan, np.nan)
    )
    return TerrainReport(
        files, triangles, dropped, grid.values.size, int(valid.sum()), low, high,
        grid.transform[0], estimated, failed,
    )  # fmt: skip


def estimate_from_buildings(
    workspace: Workspace, lon: ArrayLike, lat: ArrayLike, ground_elevation_m: ArrayLike, *,
    epsg: int, cell_m: float = DEFAULT_CELL_M,
) -> TerrainReport | None:  # fmt: skip
    """A terrain between the feet of buildings, tagged ESTIMATED=yes; None where they cannot tell.

    Buildings far off the median of their surroundings (sunk or floating models) are left out.
    Nothing is said beyond the outermost buildings or across gaps wider than 1.5 km.
    """
    x, y = crs.project(lon, lat, epsg)
    z = np.asarray(ground_elevation_m, float)
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
    x, y, z = x[good], y[good], z[good]
    if len(z) < 3 or not np.any(z != 0.0):  # z is 0 everywhere where a file has no heights
        return None
    keep = _near_median(x, y, z)
    corners = _delaunay(x[keep], y[keep], z[keep])
    if not len(corners):
        return None
    grid = raster.rasterise_projected(corners, epsg=epsg, cell_m=cell_m)
    raster.write(workspace.terrain, grid, source="ground_elevation_m of buildings", estimated="yes")
    return _report(grid, 0, len(corners), int((~keep).sum()), (), estimated=True)


def _near_median(
    x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64], bin_m: float = 100.0
) -> NDArray[np.bool_]:
    """Points within max(4 m, 4 MAD) of the median of their 300 m surroundings."""
    i, j = np.floor(x / bin_m).astype(np.int64), np.floor(y / bin_m).astype(np.int64)
    bins: dict[tuple[int, int], list[int]] = {}
    for k, key in enumerate(zip(i.tolist(), j.tolist(), strict=True)):
        bins.setdefault(key, []).append(k)
    keep = np.ones(len(z), dtype=bool)
    for (a, b), members in bins.items():
        around = [
            k for da in (-1, 0, 1) for db in (-1, 0, 1) for k in bins.get((a + da, b + db), ())
        ]
        if len(around) < 5:
            continue
        median = np.median(z[around])
        spread = max(4.0, 4 * float(np.median(np.abs(z[around] - median))))
        keep[members] = np.abs(z[members] - median) <= spread
    return keep


def _delaunay(
    x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Delaunay triangles (n, 3, xyz) without those that span wide gaps."""
    key = np.round(np.stack([x, y], axis=1), 2)
    key, first = np.unique(key, axis=0, return_index=True)
    height = {(float(a), float(b)): float(h) for (a, b), h in zip(key, z[first], strict=True)}
    if len(key) < 3:
        return np.empty((0, 3, 3))
    parts = shapely.get_parts(shapely.delaunay_triangles(shapely.multipoints(key)))
    if not len(parts):
        return np.empty((0, 3, 3))
    flat = shapely.get_coordinates(parts).reshape(-1, 4, 2)[:, :3]
    edges = np.linalg.norm(flat - np.roll(flat, 1, axis=1), axis=2).max(axis=1)
    flat = flat[edges <= _LONGEST_EDGE_M]
    heights = [height[float(a), float(b)] for a, b in flat.reshape(-1, 2)]
    return np.concatenate([flat, np.array(heights).reshape(-1, 3, 1)], axis=2)
