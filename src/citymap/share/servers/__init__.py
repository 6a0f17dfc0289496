"""Files for map servers that speak WMS 1.3 and WFS 2.0: a QGIS project and a MapServer mapfile."""

from citymap.share.servers.write import write

__all__ = ["write"]
