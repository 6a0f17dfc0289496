"""A CF NetCDF grid of depth, duration or arrival → `hazards/<id>.tif`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.grid_file import LIMIT_CELLS, hazard_id, in_units, to_zone, write_grid
from citymap.hazard.sets import quantity_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

_DIMENSIONS = 3  # (time,) y, x
_WORDS = (
    ("duration", re.compile(r"duration|継続時間", re.I)),
    ("arrival", re.compile(r"arrival|到達|開始時間", re.I)),
    ("depth", re.compile(r"depth|浸水深|水深", re.I)),
)
_DEGREES_EAST = re.compile(r"degrees?_?(e|east)$", re.I)
_DEGREES_NORTH = re.compile(r"degrees?_?(n|north)$", re.I)
_EVEN = 1e-3  # of a cell: how far a coordinate may be off an even grid


def import_hazard_netcdf(
    workspace: Workspace, path: Path, *, layer_id: str | None, epsg: int, vintage: str | None = None
) -> tuple[list[str], list[str]]:
    """Import every gridded variable whose name says depth, duration or arrival; the largest value
    over time is taken (of arrival the least). Returns the ids and what was converted.

    Units are those of the variable's `units`, which must be there; the CRS that of its grid
    mapping, or degrees of longitude and latitude.

    Raises:
        BadInputError: not NetCDF, no such variable, no CRS or unit, or an uneven grid.
    """
    place = path.name
    stem = hazard_id(layer_id or path.stem)
    notes: list[str] = []
    ids: list[str] = []
    try:
        with netCDF4.Dataset(str(path), "r") as data:
            chosen = _chosen(data, quantity_of(stem), place)
            for quantity, variable in chosen:
                values, transform, system = _grid(data, variable, quantity, place)
                unit = str(getattr(variable, "units", "")).strip()
                if not unit:
                    raise BadInputError(
                        "hazard_unit", place=place, unit="–", quantity=variable.name
                    )
                values = in_units(values, quantity, unit, place, notes)
                values, transform = to_zone(values, transform, system, epsg, place, notes)
                name = stem if len(chosen) == 1 else f"{stem}_{quantity}"
                about: dict[str, str] = {
                    key: str(data.getncattr(key))
                    for key in ("set", "hazard", "river", "scale", "admin") if key in data.ncattrs()
                }  # fmt: skip
                write_grid(workspace, name, values, transform, epsg, quantity=quantity, path=path,
                           vintage=vintage, about=about)  # fmt: skip
                ids.append(name)
    except (OSError, RuntimeError, IndexError) as e:
        raise BadInputError("netcdf_broken", place=place, reason=e) from e
    return ids, notes


def _chosen(data: Any, wanted: str | None, place: str) -> list[tuple[str, Any]]:
    """(quantity, variable), one a quantity; `wanted` is what the id says."""
    found: dict[str, list[Any]] = {}
    for variable in data.variables.values():
        if variable.ndim not in {_DIMENSIONS - 1, _DIMENSIONS} or variable.dtype.kind not in "fiu":
            continue
        text = " ".join(
            str(getattr(variable, a, "")) for a in ("name", "standard_name", "long_name")
        )
        for quantity, words in _WORDS:
            if words.search(text):
                found.setdefault(quantity, []).append(variable)
                break
    if wanted:
        found = {q: v for q, v in found.items() if q == wanted}
    several = [v.name for vs in found.values() if len(vs) > 1 for v in vs]
    if not found or several:
        names = ", ".join(several or list(data.variables)[:8])
        raise BadInputError("netcdf_variable", place=place, names=names)
    return [(q, v[0]) for q, v in found.items()]


def _grid(
    data: Any, variable: Any, quantity: str, place: str
) -> tuple[NDArray[np.float32], rasterio.Affine, CRS]:
    dims = variable.dimensions[-2:]
    if any(d not in data.variables for d in dims):
        raise BadInputError("netcdf_variable", place=place, names=variable.name)
    y, x = (np.asarray(data.variables[d][:], float) for d in dims)
    if len(x) * len(y) > LIMIT_CELLS:
        raise BadInputError("dem_too_large", place=place)
    step_x, step_y = (_step(c, place) for c in (x, y))
    system = _crs(data, variable, dims, place)
    values: NDArray[np.float32] | None = None
    steps = range(variable.shape[0]) if variable.ndim == _DIMENSIONS else (None,)
    for step in steps:
        raw = variable[:] if step is None else variable[step]
        layer = np.ma.filled(np.ma.masked_invalid(raw).astype(np.float32), np.nan)
        join = np.fmin if quantity == "arrival" else np.fmax
        values = layer if values is None else join(values, layer)
    assert values is not None  # noqa: S101  (a dimension of length 0 has failed before)
    if step_x < 0:
        values, x, step_x = values[:, ::-1], x[::-1], -step_x
    if step_y > 0:  # CF grids often run from the south
        values, y, step_y = values[::-1], y[::-1], -step_y
    transform = rasterio.Affine(step_x, 0, x[0] - step_x / 2, 0, step_y, y[0] - step_y / 2)
    return np.ascontiguousarray(values), transform, system


def _step(values: NDArray[np.float64], place: str) -> float:
    steps = np.diff(values)
    if (
        len(steps) == 0
        or steps[0] == 0
        or (np.abs(steps - steps.mean()) > _EVEN * abs(steps.mean())).any()
    ):
        raise BadInputError("netcdf_uneven", place=place)
    return float(steps.mean())


def _crs(data: Any, variable: Any, dims: tuple[str, ...], place: str) -> CRS:
    mapping = data.variables.get(str(getattr(variable, "grid_mapping", "")))
    if mapping is not None:
        for key in ("spatial_ref", "crs_wkt", "epsg_code"):
            text = str(getattr(mapping, key, "")).strip()
            if not text:
                continue
            try:
                return CRS.from_user_input(text if not text.isdigit() else int(text))
            except CRSError as e:
                raise BadInputError("raster_no_crs", place=place) from e
    y, x = (str(getattr(data.variables[d], "units", "")) for d in dims)
    if _DEGREES_NORTH.match(y) and _DEGREES_EAST.match(x):
        return CRS.from_epsg(crs.GEOGRAPHIC)
    if _DEGREES_EAST.match(y) and _DEGREES_NORTH.match(x):
        raise BadInputError("vector_swapped", place=place)
    raise BadInputError("raster_no_crs", place=place)
