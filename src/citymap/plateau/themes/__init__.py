"""Themes of CityGML other than buildings: one file per theme, found by the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from citymap.registry import Registry

if TYPE_CHECKING:
    from citymap.plateau.features import Feature, Row

Reader = Callable[["Feature"], "Iterable[Row]"]
THEMES: Registry[Reader] = Registry("citymap.plateau.themes")
