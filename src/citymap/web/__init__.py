"""The ASGI routes that residents and staff share: renderer, tiles, search, buildings, health."""

from citymap.web.paths import routes

__all__ = ["routes"]
