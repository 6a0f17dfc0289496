"""A layer prepared for quick answers, and the store of those that a process holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from citymap.errors import BadInputError
from citymap.share.exchange.layer import SOURCES, Source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.layers.catalogue import Audience
    from citymap.share.exchange.layer import Outgoing, Style
    from citymap.workspace import Workspace

IDS = ("gml_id", "id", "place_id", "building_id", "edge_id")  # the first that is filled and unique
HEIGHTS = "ground_elevation_m"
TIMES = (("from_time", "until_time"), ("observed_at", None))
ROWS_AT_ONCE = 10_000
HELD_ROWS = 3_000_000  # of all prepared layers of a process


@dataclass(frozen=True)
class Collection:
    """One layer for one audience: columns without geometry, shapes as WKB, and their bounds.

    `bounds` is west, south, east, north (EPSG:6668) for each row, NaN without a place; `version`
    changes when the data do.
    """

    id: str
    title: Mapping[str, str]
    table: pa.Table
    wkb: pa.Array
    bounds: NDArray[np.float64]
    version: str
    source: str = ""
    vintage: str = ""
    style: Style | None = None
    raster: Path | None = None
    legend: str = ""
    updated: str = ""  # RFC 3339, when its files were written
    members: tuple[dict[str, Any], ...] = ()  # further members of each feature
    _rows: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many features there are."""
        return int(self.table.num_rows)

    @property
    def nested(self) -> frozenset[str]:
        """Columns that hold lists or structures: they go out, but nobody can filter by them."""
        return frozenset(f.name for f in self.table.schema if pa.types.is_nested(f.type))

    @property
    def heights(self) -> bool:
        """Whether the ground elevation of its features is known, so that EPSG:6697 is offered."""
        return HEIGHTS in self.table.column_names

    @cached_property
    def times(self) -> tuple[str, str | None] | None:
        """The columns of begin and end (None: an instant) of its features."""
        names = self.table.column_names
        return next((t for t in TIMES if t[0] in names), None)

    @cached_property
    def extent(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north of everything; None where nothing has a place."""
        known = self.bounds[~np.isnan(self.bounds[:, 0])]
        if not len(known):
            return None
        west, south = known[:, :2].min(axis=0).tolist()
        east, north = known[:, 2:].max(axis=0).tolist()
        return (west, south, east, north)

    @cached_property
    def geometry_type(self) -> str:
        """`point`, `line`, `polygon`, or `any` where they are mixed or there are none."""
        shapes = self.shapes(np.flatnonzero(~np.isnan(self.bounds[:, 0]))[:1000])
        kinds = {str(s.geom_type).removeprefix("Multi").lower() for s in shapes}
        kinds = {k.removesuffix("string") for k in kinds}
        return kinds.pop() if len(kinds) == 1 else "any"

    def shapes(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Shapes (lon, lat, EPSG:6668) of rows; None without a place."""
        taken = self.wkb.take(pa.array(rows, pa.int64()))
        return np.asarray(shapely.from_wkb(np.asarray(taken.to_pylist(), object)), object)

    def heights_m(self, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Ground elevation (標高) of rows, NaN where not known; None where the layer has none."""
        if not self.heights:
            return None
        taken = self.table[HEIGHTS].take(pa.array(rows, pa.int64()))
        return np.asarray(taken.to_numpy(), np.float64)

    @cached_property
    def id_column(self) -> str | None:
        """The column that names a feature; None: the number of its row does."""
        for name in IDS:
            if name in self.table.column_names:
                column = self.table[name]
                if not column.null_count and pc.count_distinct(column).as_py() == self.count:
                    return name
        return None

    def ids(self, rows: NDArray[np.intp]) -> list[str]:
        """The ids of rows."""
        if self.id_column is None:
            return [str(r + 1) for r in rows.tolist()]
        taken = self.table[self.id_column].take(pa.array(rows, pa.int64()))
        return [str(v) for v in taken.to_pylist()]

    def row(self, feature_id: str) -> int:
        """The row of a feature.

        Raises:
            BadInputError: there is none of that id.
        """
        if self.id_column is None:
            number = int(feature_id) if feature_id.isascii() and feature_id.isdigit() else 0
            if 1 <= number <= self.count and len(feature_id) < 12:
                return number - 1
            raise BadInputError("ogc_no_feature", place=feature_id[:100])
        if not self._rows and self.count:
            names = self.ids(np.arange(self.count))
            self._rows.update({name: i for i, name in enumerate(names)})
        if feature_id not in self._rows:
            raise BadInputError("ogc_no_feature", place=feature_id[:100])
        return self._rows[feature_id]


def prepared(outgoing: Outgoing, version: str, updated: str = "") -> Collection:
    """A loaded layer as a collection; NaN becomes null, for JSON has no NaN."""
    table = outgoing.table
    wkb = table["geometry"].combine_chunks()
    if isinstance(wkb, pa.ChunkedArray):
        wkb = pa.concat_arrays(wkb.chunks) if wkb.num_chunks else pa.array([], pa.binary())
    bounds = _bounds(wkb)
    table = table.drop_columns(["geometry"])
    for i, column in enumerate(table.schema):
        if pa.types.is_floating(column.type):
            values = table[column.name]
            table = table.set_column(
                i,
                column.name,
                pc.if_else(pc.is_finite(values), values, pa.scalar(None, column.type)),
            )
    return Collection(
        outgoing.id, outgoing.title, table.replace_schema_metadata(None).combine_chunks(), wkb, bounds,
        version, outgoing.source, outgoing.vintage, outgoing.style, outgoing.raster, outgoing.legend,
        updated,
    )  # fmt: skip


def _bounds(wkb: pa.Array) -> NDArray[np.float64]:
    """Bounds row by row; some rows at a time, for all shapes at once would stay in our memory."""
    out = np.full((len(wkb), 4), np.nan)
    for start in range(0, len(wkb), ROWS_AT_ONCE):
        some = wkb.slice(start, ROWS_AT_ONCE).to_pylist()
        shapes = shapely.from_wkb(np.asarray(some, object))
        out[start : start + len(some)] = shapely.bounds(shapes).reshape(-1, 4)
    return out


class Collections:
    """The prepared layers of one city, made when first asked for and again when a file changed."""

    def __init__(self, held_rows: int = HELD_ROWS) -> None:
        self.held_rows = held_rows
        self._held: OrderedDict[tuple[str, str, str], tuple[str, Collection | None]] = OrderedDict()
        self._locks: dict[tuple[str, str, str], Lock] = {}
        self._lock = Lock()

    def ids(self, workspace: Workspace, audience: Audience) -> list[str]:
        """The layers that an audience may see, in the order of their sources."""
        return [one.id for one in self.all(workspace, audience)]

    def all(self, workspace: Workspace, audience: Audience) -> list[Collection]:
        """Every collection of an audience."""
        found = (
            self._of(source, workspace, layer, audience)
            for source in SOURCES.load().values()
            for layer in source.ids(workspace)
        )
        return [one for one in found if one is not None]

    def get(self, workspace: Workspace, layer: str, audience: Audience) -> Collection:
        """One collection.

        Raises:
            BadInputError: the city has no such layer, or it is not for this audience: both are
                said in the same words.
        """
        for source in SOURCES.load().values():
            if layer in source.ids(workspace):
                found = self._of(source, workspace, layer, audience)
                if found is not None:
                    return found
        raise BadInputError("ogc_no_collection", place=layer[:100])

    def _of(
        self, source: Source, workspace: Workspace, layer: str, audience: Audience
    ) -> Collection | None:
        key = (str(workspace.root), layer, audience)
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:  # two askers of one layer: the second waits for the first's work
            stamp = _stamp(source, workspace, layer)
            with self._lock:
                held = self._held.get(key)
                if held is not None and stamp and held[0] == stamp:
                    self._held.move_to_end(key)
                    return held[1]
            outgoing = source.load(workspace, layer, audience)
            found = None
            if outgoing is not None:
                version = stamp or _digest(outgoing.table)
                found = prepared(outgoing, version, _updated(source, workspace, layer))
            if stamp:
                self._keep(key, stamp, found)
            return found

    def _keep(self, key: tuple[str, str, str], stamp: str, found: Collection | None) -> None:
        with self._lock:
            self._held[key] = (stamp, found)
            self._held.move_to_end(key)
            rows = sum(c.count for _, c in self._held.values() if c is not None)
            while rows > self.held_rows and len(self._held) > 1:
                _, (_, old) = self._held.popitem(last=False)
                rows -= old.count if old is not None else 0


def _stamp(source: Source, workspace: Workspace, layer: str) -> str:
    """What the files of a layer look like now; empty where it is made of none."""
    if source.files is None:
        return ""
    seen = []
    for path in [workspace.city_toml, *source.files(workspace, layer)]:
        try:
            status = path.stat()
        except OSError:
            seen.append(f"{path.name} –")
        else:
            seen.append(f"{path.name} {status.st_mtime_ns} {status.st_size} {status.st_ino}")
    return blake2b("\n".join(seen).encode(), digest_size=8).hexdigest()


def _updated(source: Source, workspace: Workspace, layer: str) -> str:
    """When the newest of a layer's files was written; empty where it is made of none."""
    if source.files is None:
        return ""
    files = [p for p in source.files(workspace, layer) if p.is_file()]
    newest = max((p.stat().st_mtime for p in files), default=0.0)
    return datetime.fromtimestamp(int(newest), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if newest else ""


def _digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return blake2b(sink.getvalue(), digest_size=8).hexdigest()
