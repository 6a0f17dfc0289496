"""Ground elevation: DEM import into `terrain.tif`, and sampling."""

from citymap.terrain.raster import sample

__all__ = ["sample"]
