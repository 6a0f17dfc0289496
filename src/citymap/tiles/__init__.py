"""Derived tiles of a city: 3D Tiles, vector tiles, terrain pictures and attribute columns."""

from __future__ import annotations

from citymap.tiles.build import build, version

__all__ = ["build", "version"]
