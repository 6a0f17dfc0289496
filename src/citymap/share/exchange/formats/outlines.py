"""DXF outlines for CAD: rings and lines in the plane-rectangular zone, one CAD layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas
import numpy as np
import shapely

from citymap.share.exchange.format import FORMATS, Format, Written, moved, shapes

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.share.exchange.layer import Outgoing


def _write(layer: Outgoing, path: Path, epsg: int) -> Written:
    geometry = moved(shapes(layer.table), epsg)
    area = np.isin(shapely.get_type_id(geometry), (3, 6))
    geometry[area] = shapely.boundary(geometry[area])
    parts = shapely.get_parts(geometry[~shapely.is_missing(geometry)])
    table = geopandas.GeoDataFrame(
        {"Layer": [layer.id] * len(parts)}, geometry=parts, crs=f"EPSG:{epsg}"
    )
    table.to_file(path, driver="DXF", engine="pyogrio")
    return Written((path,), (("export_outlines_only", {}),))


FORMATS.register("dxf")(Format(".dxf", None, False, _write))
