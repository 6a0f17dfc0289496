"""Bridges (brid): the ground that each one spans."""

from __future__ import annotations

from collections.abc import Iterable

from citymap.plateau.features import BaseRow, Feature, Row
from citymap.plateau.themes import THEMES


@THEMES.register("brid")
def bridge(feature: Feature) -> Iterable[Row]:
    """One row per bridge; its parts and construction elements are in its outline."""
    code, kind = feature.own("function", "class", "usage")
    yield BaseRow("bridge", kind, code, feature.label(), feature.footprint())
