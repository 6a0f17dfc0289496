"""The layers as files beside a project: a GeoPackage each, and the grid behind it as GeoTIFF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.legend import DEPTH, legends
from citymap.share.exchange.export import layer_ids, load
from citymap.share.exchange.format import FORMATS, shapes

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.model.legend import Legend
    from citymap.share.exchange.layer import Style
    from citymap.workspace import Workspace

FOLDER = "layers"
GRID = "-grid"  # the raster of `hazard-x` is the layer `hazard-x-grid`
JAPAN = (122.0, 20.0, 154.0, 46.0)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Shapes:
    """A layer of shapes; `kind` is `point`, `line` or `polygon`, `extent` lon, lat (EPSG:6668)."""

    id: str
    title: str
    file: str
    kind: str
    columns: tuple[str, ...]
    extent: Box
    style: Style | None


@dataclass(frozen=True, slots=True)
class Cells:
    """A depth grid with the official legend; `extent` lon, lat (EPSG:6668)."""

    id: str
    title: str
    file: str
    epsg: int
    extent: Box
    legend: Legend


def placed(
    workspace: Workspace, folder: Path, audience: Audience
) -> tuple[list[Shapes], list[Cells]]:
    """Write every layer that the audience may see, and say what was written.

    A layer without any place makes no service and is left out.
    """
    vectors: list[Shapes] = []
    grids: list[Cells] = []
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for layer in layer_ids(workspace):
        try:
            outgoing = load(workspace, layer, audience)
        except BadInputError as error:
            if error.key == "export_not_for":
                continue
            raise
        there = [s for s in shapes(outgoing.table) if s is not None and not s.is_empty]
        if not there:
            continue
        title = outgoing.title.get("ja") or layer
        box = _grown(shapely.total_bounds(np.array(there, object)))
        name = f"{FOLDER}/{layer}.gpkg"
        (folder / name).unlink(missing_ok=True)
        FORMATS.load()["gpkg"].write(outgoing, folder / name, crs.GEOGRAPHIC)
        columns = tuple(c for c in outgoing.table.column_names if c != "geometry")
        vectors.append(
            Shapes(layer, title, name, _kind(there[0].geom_type), columns, box, outgoing.style)
        )
        if outgoing.raster is not None:
            grid = f"{FOLDER}/{layer}{GRID}.tif"
            epsg = _values_only(outgoing.raster, folder / grid)
            legend = legends().get(outgoing.legend) or legends()[DEPTH]
            grids.append(Cells(f"{layer}{GRID}", title, grid, epsg, box, legend))
    return vectors, grids


def _values_only(source_path: Path, path: Path) -> int:
    """The first band without the tags of its file; the EPSG code of its system."""
    with rasterio.open(source_path, driver="GTiff") as source:
        profile = {
            "driver": "GTiff", "width": source.width, "height": source.height, "count": 1,
            "dtype": "float32", "crs": source.crs, "transform": source.transform, "nodata": np.nan,
            "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256,
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as out:
            for _, window in out.block_windows(1):
                values = source.read(1, window=window, masked=True).astype(np.float32)
                out.write(values.filled(np.nan), 1, window=window)
        return int(source.crs.to_epsg())


def _kind(geometry_type: str) -> str:
    plain = geometry_type.removeprefix("Multi").lower()
    return "line" if "line" in plain else plain


def _grown(box: np.ndarray) -> Box:
    """A box that is never a mere point or line."""
    west, south, east, north = (float(v) for v in box)
    return (west - 1e-4, south - 1e-4, east + 1e-4, north + 1e-4)
