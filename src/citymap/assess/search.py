"""Finding a building, an address, a district or a place by what a person types.

The index is a handful of Arrow string columns (about 60 bytes a text): no Python object per
building, so a city of 200,000 stays small and answers in milliseconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from citymap.errors import BadInputError
from citymap.place_text import folded, query_words

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.workspace import Workspace

# What a person most likely means, first.
KINDS = ("district", "place", "address", "building")


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer; `gml_id` only for a building."""

    kind: str
    label: str
    lon: float
    lat: float
    gml_id: str | None

    def as_dict(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Texts:
    """Searchable texts of one kind: folded spelling, the row it names, and how it weighs."""

    kind: str
    keys: pa.Array
    rows: NDArray[np.int32]
    weight: int


def centres(geometry: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the bounding box (lon, lat in degrees) of WKB geometries, NaN for null."""
    boxes = [
        shapely.bounds(shapely.from_wkb(chunk.to_numpy(zero_copy_only=False)))
        for chunk in geometry.chunks
    ]
    box = np.concatenate(boxes) if boxes else np.empty((0, 4))
    return (box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2


def _fold_column(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int32]]:
    """Folded spellings of the filled rows, each distinct text folded once."""
    coded = column.combine_chunks()
    if isinstance(coded, pa.ChunkedArray):  # an empty column stays chunked
        coded = pa.array([], pa.string())
    coded = coded.dictionary_encode()
    texts = coded.dictionary
    plain = pc.match_substring_regex(texts, "^[!-~]*$")  # ids: as `folded`, all at once
    spelled = pc.utf8_rtrim(pc.replace_substring_regex(pc.ascii_lower(texts), "-{2,}", "-"), "-")
    others = [folded(text) for text in texts.filter(pc.invert(plain)).to_pylist()]
    spelled = pc.replace_with_mask(spelled, pc.invert(plain), pa.array(others, pa.string()))
    keys = spelled.take(coded.indices)
    filled = pc.fill_null(pc.greater(pc.utf8_length(keys), 0), False)
    rows = np.flatnonzero(filled.to_numpy(zero_copy_only=False)).astype(np.int32)
    return keys.filter(filled), rows


class SearchIndex:
    """Built once from the tables of a workspace; `find` is read-only and thread-safe."""

    def __init__(
        self,
        texts: list[Texts],
        labels: dict[str, pa.Array],
        points: dict[str, NDArray[np.float64]],
        gml_ids: pa.ChunkedArray,
    ) -> None:
        self._texts = texts
        self._labels = labels
        self._points = points
        self._gml_ids = gml_ids

    @classmethod
    def of(
        cls, workspace: Workspace, *, place_tables: Collection[str] | None = None
    ) -> SearchIndex:
        """Read names, ids, addresses, districts and places (of `place_tables`; None: of all).

        Raises:
            BadInputError: the city has no buildings table.
        """
        if not workspace.buildings.is_file():
            raise BadInputError("no_buildings", path=workspace.root)
        names = ["gml_id", "building_id", "name", "address", "geometry"]
        table = pq.read_table(workspace.buildings, columns=names)
        lon, lat = centres(table["geometry"])
        texts = []
        for name, weight in (("gml_id", 0), ("building_id", 0), ("name", 1), ("address", 2)):
            keys, rows = _fold_column(table[name])
            texts.append(Texts("building", keys, rows, weight))
        label = pc.coalesce(table["name"], table["address"], table["building_id"])
        both = pc.and_(pc.is_valid(table["name"]), pc.is_valid(table["address"]))
        joined = pc.binary_join_element_wise(table["name"], table["address"], "　")
        labels = {"building": pc.if_else(both, joined, label)}
        points = {"building": np.stack([lon, lat], 1)}
        gml_ids = table["gml_id"]
        for kind, path in (("district", workspace.districts), ("address", workspace.addresses)):
            _add(kind, path, texts, labels, points)
        if workspace.places.is_dir():
            tables = sorted(workspace.places.glob("*.parquet"))
            listed = [p for p in tables if place_tables is None or p.stem in place_tables]
            _add_places(listed, texts, labels, points)
        return cls(texts, labels, points, gml_ids)

    def find(self, query: str, *, limit: int = 10) -> list[Hit]:
        """The best `limit` answers; every word of the query must occur in the text found."""
        words = query_words(query)
        if not words:
            return []
        whole = folded(query)
        ranked: dict[tuple[str, int], tuple[int, int, int, int]] = {}
        for texts in self._texts:
            found = pc.match_substring(texts.keys, words[0])
            for word in words[1:]:
                found = pc.and_(found, pc.match_substring(texts.keys, word))
            at = np.flatnonzero(found.to_numpy(zero_copy_only=False))
            if not len(at):
                continue
            keys = texts.keys.take(pa.array(at))
            place = pc.find_substring(keys, words[0]).to_numpy(zero_copy_only=False)
            length = pc.utf8_length(keys).to_numpy(zero_copy_only=False)
            exact = pc.equal(keys, whole).to_numpy(zero_copy_only=False)
            order = np.lexsort((texts.rows[at], length, place > 0, ~exact))[: limit * 4]
            for i in order:
                row = int(texts.rows[at[i]])
                rank = (
                    0 if exact[i] else 1,
                    KINDS.index(texts.kind) + texts.weight,
                    int(place[i] > 0),
                    int(length[i]),
                )
                known = ranked.get((texts.kind, row))
                if known is None or rank < known:
                    ranked[texts.kind, row] = rank
        hits: list[Hit] = []
        seen: set[tuple[str, str]] = set()
        for kind, row in sorted(ranked, key=lambda key: (ranked[key], key)):
            hit = self._hit(kind, row)
            if hit is None or (kind != "building" and (kind, hit.label) in seen):
                continue
            seen.add((kind, hit.label))
            hits.append(hit)
            if len(hits) == limit:
                break
        return hits

    def _hit(self, kind: str, row: int) -> Hit | None:
        lon, lat = self._points[kind][row]
        if not (np.isfinite(lon) and np.isfinite(lat)):
            return None
        gml_id = self._gml_ids[row].as_py() if kind == "building" else None
        label = self._labels[kind][row].as_py()
        return Hit(kind, label, round(float(lon), 7), round(float(lat), 7), gml_id)


def _add(kind: str, path: Path, texts: list[Texts], labels: dict[str, pa.Array],
         points: dict[str, NDArray[np.float64]]) -> None:  # fmt: skip
    if not path.is_file():
        return
    table = pq.read_table(path)
    searched = ("name", "name_kana") if kind == "district" else ("address",)
    for name in searched:
        if name in table.column_names:
            keys, rows = _fold_column(table[name])
            texts.append(Texts(kind, keys, rows, 0))
    labels[kind] = table[searched[0]]
    if kind == "district":
        points[kind] = np.stack(centres(table["geometry"]), 1)
    else:
        points[kind] = np.stack([table["lon"].to_numpy(), table["lat"].to_numpy()], 1)


def _add_places(paths: list[Path], texts: list[Texts], labels: dict[str, pa.Array],
                points: dict[str, NDArray[np.float64]]) -> None:  # fmt: skip
    """Shelters, Wi-Fi and other point lists: tables with `name` and either lon, lat or geometry."""
    names, boxes = [], []
    for path in paths:
        columns = set(pq.read_schema(path).names)
        if "name" not in columns or not ({"lon", "lat"} <= columns or "geometry" in columns):
            continue
        table = pq.read_table(path)
        if {"lon", "lat"} <= columns:
            point = np.stack([table["lon"].to_numpy(), table["lat"].to_numpy()], 1).astype(float)
        else:
            point = np.stack(centres(table["geometry"]), 1)
        names.extend(table["name"].cast(pa.string()).chunks)
        boxes.append(point)
    if not boxes:
        return
    column = pa.chunked_array(names, pa.string())
    keys, rows = _fold_column(column)
    texts.append(Texts("place", keys, rows, 0))
    labels["place"] = column
    points["place"] = np.concatenate(boxes)
