"""Files of a result: `flood.nc`, `max_depth.tif`, `arrival.tif`, `duration.tif`, `max_dv.tif`, `summary.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import rasterio
from pyproj import CRS
from rasterio.transform import Affine

from citymap.workspace import replacing, write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

RASTERS = {
    "max_depth": ("m", "maximum depth of water"),
    "arrival": ("h", "hours until the depth first reached the threshold; NaN: never"),
    "duration": ("h", "hours with at least the threshold depth"),
    "max_dv": ("m2 s-1", "maximum of depth times velocity"),
}
NETCDF, SUMMARY, LIVE = "flood.nc", "summary.json", "live.tif"
LIVE_CELLS = 400  # of the longer side
FLOODED_FROM_M = 0.01
# Standard classes of depth (m). Source: 水害ハザードマップ作成の手引き; a bound goes to the class above.
CLASS_BOUNDS_M = (0.0, 0.5, 3.0, 5.0, 10.0, 20.0)
SOURCES = {
    "local_inertial": "citymap.flood: local-inertial shallow water (Bates 2010, de Almeida 2012)",
    "hllc": "citymap.flood: shallow water, first-order finite volumes with HLLC fluxes",
    "replay": "citymap.flood: depth rasters of others, brought onto one grid; nothing was computed",
}
EPOCH = "seconds since 1970-01-01 00:00:00"


class Frames:
    """An open `flood.nc`: one call of `add` per output time."""

    def __init__(self, data: Any, keep_velocity: bool) -> None:
        self._data = data
        self._velocity = keep_velocity
        self.count = 0

    def add(
        self, t_s: float, depth: NDArray[np.float32], u: NDArray[np.float32] | None = None,
        v: NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        """Append depth (m; NaN where there is no ground) and velocities (m/s, east and north)."""
        self._data["time"][self.count] = t_s
        self._data["depth"][self.count] = depth
        if self._velocity and u is not None and v is not None:
            missing = np.isnan(depth)
            self._data["u"][self.count] = np.where(missing, np.nan, u)
            self._data["v"][self.count] = np.where(missing, np.nan, v)
        self.count += 1


@contextmanager
def frames(
    path: Path, shape: tuple[int, int], transform: tuple[float, ...], epsg: int, *, title: str,
    method: str = "local_inertial", velocity: bool = True, ground_m: NDArray[np.float64] | None = None,
) -> Iterator[Frames]:  # fmt: skip
    """Write a CF-1.8 NetCDF-4 of depth (and velocity) in time, y, x; renamed into place at the end.

    `ground_m` (m; NaN where there is none or a wall) is kept beside them; `method` is that of the summary.
    """
    rows, columns = shape
    with replacing(path) as temporary, netCDF4.Dataset(temporary, "w", format="NETCDF4") as data:
        data.Conventions = "CF-1.8"
        data.title = title or "Flood simulation"
        data.source = SOURCES[method]
        data.createDimension("time", None)
        data.createDimension("y", rows)
        data.createDimension("x", columns)
        time = data.createVariable("time", "f8", ("time",))
        time.setncatts({"standard_name": "time", "units": EPOCH, "calendar": "standard", "axis": "T",
                        "long_name": "seconds since the start of the scenario"})  # fmt: skip
        a, _, c, _, e, f = transform[:6]
        for name, values, axis in (
            ("x", c + a * (np.arange(columns) + 0.5), "X"),
            ("y", f + e * (np.arange(rows) + 0.5), "Y"),
        ):
            v = data.createVariable(name, "f8", (name,))
            v.setncatts(
                {"standard_name": f"projection_{name}_coordinate", "units": "m", "axis": axis}
            )
            v[:] = values
        grid = data.createVariable("crs", "i4")
        system = CRS.from_epsg(epsg)
        grid.setncatts({**system.to_cf(), "spatial_ref": system.to_wkt(), "epsg_code": f"EPSG:{epsg}",
                        "GeoTransform": f"{c!r} {a!r} 0.0 {f!r} 0.0 {e!r}"})  # fmt: skip
        names = {
            "depth": ("m", "depth of water", "flood_water_thickness"),
            "u": ("m s-1", "velocity of water to the east", ""),
            "v": ("m s-1", "velocity of water to the north", ""),
        }
        for name, (unit, text, standard) in names.items():
            if name != "depth" and not velocity:
                continue
            var = data.createVariable(
                name, "f4", ("time", "y", "x"), zlib=True, complevel=1, shuffle=True,
                fill_value=np.float32(np.nan), chunksizes=(1, min(rows, 512), min(columns, 512)),
            )  # fmt: skip
            var.setncatts({"units": unit, "long_name": text, "grid_mapping": "crs"})
            if standard:
                var.standard_name = standard
        if ground_m is not None:
            bed = data.createVariable("ground", "f4", ("y", "x"), zlib=True, complevel=1, shuffle=True,
                                      fill_value=np.float32(np.nan))  # fmt: skip
            bed.setncatts({"units": "m", "long_name": "height of the ground of the run, buildings raised or left out",
                           "standard_name": "surface_altitude", "grid_mapping": "crs"})  # fmt: skip
            bed[:] = ground_m
        yield Frames(data, velocity)


def write_raster(
    path: Path, values: NDArray[np.float32], transform: tuple[float, ...], epsg: int, *, quantity: str,
    unit: str, tags: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """A COG of one band, float32, no data NaN."""
    with (
        replacing(path) as temporary,
        rasterio.open(
            temporary, "w", driver="COG", dtype="float32", count=1, crs=f"EPSG:{epsg}",
            transform=Affine(*transform[:6]), width=values.shape[1], height=values.shape[0],
            nodata=float("nan"), compress="DEFLATE", predictor=3, overview_resampling="nearest",
        ) as out,
    ):  # fmt: skip
        out.write(values.astype(np.float32), 1)
        out.set_band_unit(1, unit)
        out.set_band_description(1, RASTERS.get(quantity, (unit, quantity))[1])
        out.update_tags(quantity=quantity, unit=unit, **(tags or {}))


def write_live(
    folder: Path, depth: NDArray[np.float32], transform: tuple[float, ...], epsg: int, t_s: float
) -> None:
    """A coarse depth of a run that is under way (`live.tif`), for people who watch it."""
    step = max(1, -(-max(depth.shape) // LIVE_CELLS))
    rows, columns = (size // step * step for size in depth.shape)
    if not rows or not columns:
        return
    blocks = depth[:rows, :columns].reshape(rows // step, step, columns // step, step)
    a, b, c, d, e, f = transform[:6]
    coarse = np.nan_to_num(blocks, nan=0.0).max(axis=(1, 3))
    write_raster(folder / LIVE, coarse, (a * step, b, c, d, e * step, f), epsg, quantity="depth", unit="m",
                 tags={"t_s": f"{t_s:g}"})  # fmt: skip


def clear_broken(folder: Path) -> None:
    """Remove what a run that was broken off by a crash left in the folder."""
    (folder / LIVE).unlink(missing_ok=True)
    for name in (NETCDF, LIVE, SUMMARY, *(f"{r}.tif" for r in RASTERS)):
        for path in folder.glob(f".{name}.*.tmp"):
            path.unlink(missing_ok=True)


def retire(folder: Path) -> None:
    """From now on the folder is no finished result, until a new summary is written."""
    (folder / SUMMARY).unlink(missing_ok=True)


def area_by_class(max_depth: NDArray[np.float32], cell_area_m2: float) -> dict[str, float]:
    """Flooded area (m²) by the standard classes of depth, from `FLOODED_FROM_M` on."""
    found = {}
    for n, low in enumerate(CLASS_BOUNDS_M):
        high = CLASS_BOUNDS_M[n + 1] if n + 1 < len(CLASS_BOUNDS_M) else np.inf
        from_m = max(low, FLOODED_FROM_M)
        cells = int(((max_depth >= from_m) & (max_depth < high)).sum())
        name = f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g}-"
        found[name] = cells * cell_area_m2
    return found


def write_summary(folder: Path, data: Mapping[str, Any]) -> None:
    """`summary.json`; written last, so that a folder with it is a finished result."""
    write_text(
        folder / SUMMARY, json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    )
