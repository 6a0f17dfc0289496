"""Exchange files: any layer that may leave, in the formats that an integrated GIS reads."""

from citymap.share.exchange.export import export

__all__ = ["export"]
