"""The ASGI routes that residents and staff share: renderer, tiles, search, buildings, health."""

from citymap.web.routes import routes

__all__ = ["routes"]
