"""A layer on its way out: released columns with lon/lat geometry, how it is drawn, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from citymap.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Entry:
    """One class of a style: `value` of the styled column (None: everything else)."""

    value: str | float | int | None
    label: str
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """Fill colours by the values of one column."""

    column: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One layer after the gate.

    `table` has `geometry` as WKB (EPSG:6668, lon lat; may be null); `raster` is the file behind a
    gridded layer, whose table holds its classes as polygons. `published` are the cells of the list
    that the rows came from, by column in NFKC.
    """

    id: str
    title: Mapping[str, str]
    table: pa.Table
    style: Style | None = None
    raster: Path | None = None
    source: str = ""
    vintage: str = ""
    legend: str = ""
    published: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Layers of one sort: the ids that a city has, and one of them loaded for an audience.

    `load` returns None where the city has no such layer. `files` are what a layer is made of: as
    long as they stay the same, a server may keep what it loaded (None: it asks every time).
    """

    ids: Callable[[Workspace], list[str]]
    load: Callable[[Workspace, str, Audience], Outgoing | None]
    files: Callable[[Workspace, str], list[Path]] | None = None


SOURCES: Registry[Source] = Registry("citymap.share.exchange.sources")
