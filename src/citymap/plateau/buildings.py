"""Turns raw tables into the declared building tables, a column at a time."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from citymap import crs
from citymap.model.columns import RISK
from citymap.plateau import _kernels as k
from citymap.plateau import vocabulary as v
from citymap.plateau.raw import Ints, RawTables, Skipped

Decode = Callable[[str, str], "str | None"]  # (codeSpace, code) → text


@dataclass(frozen=True, slots=True)
class BuildingTables:
    """The three tables of one chunk (columns as declared, strings may be dictionaries)."""

    buildings: pa.Table
    surfaces: pa.Table
    attributes: pa.Table
    skipped: list[Skipped]
    images: list[str]


_SENTINEL_CODES = pa.array(["9999", "-9999", "9999.0", "-9999.0"])

# Code lists by name, for files that give codes without codeSpace (CityGML 3.0 drafts do).
_DEFAULT_LISTS = {
    "class": "../../codelists/Building_class.xml", "usage": "../../codelists/Building_usage.xml",
    "structure": "../../codelists/BuildingDetailAttribute_buildingStructureType.xml",
}  # fmt: skip

# Leaf elements with a column of their own, by canonical name.
_FIELDS = {
    "bldg:class": "class", "bldg:usage": "usage", "bldg:function": "function", "gml:name": "name",
    "bldg:measuredHeight": "height", "bldg:storeysAboveGround": "above",
    "bldg:storeysBelowGround": "below", "bldg:yearOfConstruction": "year",
    "con:dateOfConstruction": "year", "uro:buildingID": "building_id",
    "uro:buildingStructureType": "structure", "uro:buildingFootprintArea": "area",
    "uro:totalFloorArea": "floor_area",
}  # fmt: skip
_ADDRESS = (
    "xAL:CountryName", "xAL:AdministrativeAreaName", "xAL:LocalityName", "xAL:DependentLocalityName",
    "xAL:ThoroughfareName", "xAL:ThoroughfareNumber", "xAL:PremiseName", "xAL:PremiseNumber",
    "xAL:AddressLine", "xAL:NameElement",
)  # fmt: skip
# i-UR 1.x cities keep flood risk as generic attributes inside a set named after the river.
_GENERIC_RISK = {"規模": "scale", "浸水ランク": "rank", "浸水深": "depth", "継続時間": "duration"}


class _Leaves:
    """The leaf rows with their texts at hand."""

    def __init__(self, raw: RawTables) -> None:
        self.raw = raw
        self.rows = raw.leaves

    def strings(self, rows: Ints, a: int = k.L_T0, b: int = k.L_T1) -> pa.Array:
        """Text of the slices of some rows; an empty slice is null."""
        return slices(self.raw.buffer, rows[:, a], rows[:, b])

    def floats(self, rows: Ints) -> NDArray[np.float64]:
        """Numbers of some rows; sentinels (−9999, 9999) and unreadable text are NaN."""
        value = k.parse_floats(self.raw.buffer, rows[:, k.L_T0].copy(), rows[:, k.L_T1].copy())
        value[np.isin(value, (-9999.0, 9999.0, 99999.0, -99999.0))] = np.nan
        return np.asarray(value)


def slices(buffer: NDArray[np.uint8], starts: Ints, ends: Ints) -> pa.Array:
    """An Arrow string array of byte slices, entities resolved; empty slices are null."""
    starts, ends = np.ascontiguousarray(starts), np.ascontiguousarray(ends)
    lengths = ends - starts
    out = np.empty(int(lengths.sum()), np.uint8)
    offsets = np.empty(starts.size + 1, np.int32)
    entity = k.gather(buffer, starts, ends, out, offsets)
    empty = lengths <= 0
    valid = None
    if empty.any():
        valid = pa.py_buffer(np.packbits(~empty, bitorder="little").tobytes())
    array = pa.StringArray.from_buffers(
        starts.size, pa.py_buffer(offsets), pa.py_buffer(out), valid, -1 if valid else 0
    )
    array.validate(full=True)
    if entity:
        array = pa.array(
            [None if s is None else html.unescape(s) for s in array.to_pylist()], pa.string()
        )
    return array


def _place(n: int, at: Ints, values: pa.Array) -> pa.Array:
    """An array of length n with values[i] at position at[i] (the first wins), null elsewhere."""
    index = np.full(n, -1, np.int64)
    index[at[::-1]] = np.arange(len(at) - 1, -1, -1)
    return values.take(pa.array(index, mask=index < 0))


def _place_floats(n: int, at: Ints, values: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.full(n, np.nan)
    good = ~np.isnan(values)
    at, values = at[good], values[good]
    out[at[::-1]] = values[::-1]
    return out


def _nullable(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _nullable_int(values: NDArray[np.float64], low: float, high: float) -> pa.Array:
    bad = ~((values >= low) & (values <= high))
    return pa.array(np.where(bad, 0, values).astype(np.int32), pa.int32(), mask=bad)


def decode_column(codes: pa.Array, spaces: pa.Array, decode: Decode) -> pa.Array:
    """Decoded text of codes with their codeSpace; null where the code list does not know."""
    if len(codes) == 0:
        return pa.array([], pa.string())
    c, s = codes.dictionary_encode(), spaces.dictionary_encode()
    ci = c.indices.fill_null(len(c.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    si = s.indices.fill_null(len(s.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    pair = ci * (len(s.dictionary) + 1) + si
    unique, inverse = np.unique(pair, return_inverse=True)
    texts: list[str | None] = []
    for p in unique:
        a, b = divmod(int(p), len(s.dictionary) + 1)
        known = a < len(c.dictionary) and b < len(s.dictionary)
        texts.append(decode(s.dictionary[b].as_py(), c.dictionary[a].as_py()) if known else None)
    return pa.array(texts, pa.string()).take(pa.array(inverse))


def assemble(
    raw: RawTables,
    *,
    decode: Decode,
    source_file: str,
    edition: str | None,
    bounds: tuple[float, float, float, float] = crs.JAPAN_LON_LAT,
) -> BuildingTables:
    """Build the tables of one chunk.

    Buildings without any usable geometry are left out and listed; polygons that cannot be read
    are left out one by one and listed.
    """
    n = len(raw.buildings)
    skipped = list(raw.skipped)
    leaves = _Leaves(raw)
    p = raw.polygons
    ring_end = raw.rings[1:]
    p_ring = np.ascontiguousarray(p[:, k.P_RING])
    p_ring_end = np.append(p_ring[1:], len(ring_end)).astype(np.int64)
    bad = np.ascontiguousarray(p[:, k.P_BAD])
    k.check_polygons(p_ring, p_ring_end, ring_end, raw.coords, bad, *bounds)
    p_bldg, p_lod = np.ascontiguousarray(p[:, k.P_BLDG]), np.ascontiguousarray(p[:, k.P_LOD])
    kind, unresolved = _resolve_kinds(raw, bad)
    dropped = _superseded(raw, kind)
    out = bad.astype(bool) | dropped
    low, high = np.full(n, np.nan), np.full(n, np.nan)
    at_lod = np.zeros(n, np.int64)
    mask = out.astype(np.int64)
    geometry_polygons = (p_ring, p_ring_end, ring_end, raw.coords)
    k.elevation_range(p_bldg, p_lod, mask, *geometry_polygons, low, high, at_lod)
    chosen = np.zeros(len(p), np.int64)
    k.choose_footprints(
        p_bldg, p_lod, kind, mask, p_ring, ring_end, raw.coords, low, at_lod, chosen
    )
    has_polygon = np.zeros(n, bool)
    has_polygon[p_bldg[~out]] = True

    ids = slices(raw.buffer, raw.buildings[:, k.B_ID0], raw.buildings[:, k.B_ID1])
    _report(raw, ids, bad, has_polygon, unresolved, source_file, skipped)
    keep = np.flatnonzero(has_polygon)
    renumber = np.full(n + 1, -1, np.int64)
    renumber[keep] = np.arange(keep.size)
    if ids.null_count:
        ids = pa.array([
            s if s is not None else f"{source_file}#L{raw.line_of_building(i)}"
            for i, s in enumerate(ids.to_pylist())
        ], pa.string())  # fmt: skip

    footprint, area = _footprints(keep, p_bldg, chosen, geometry_polygons)
    kept_ids = ids.take(pa.array(keep))
    surfaces, highest = _surfaces(
        kept_ids, renumber, keep.size, p_bldg, p_lod, kind, out, geometry_polygons
    )
    columns, attributes = _attributes(raw, leaves, n, decode)
    ids = kept_ids
    column = {name: value.take(pa.array(keep)) for name, value in columns.items()}
    area_given = column.pop("area").to_numpy(zero_copy_only=False)
    area = np.where(np.isnan(area_given), area, area_given)
    building_id = pa.compute.coalesce(column.pop("building_id"), ids)
    table = pa.table({
        "gml_id": ids, "building_id": building_id, **column,
        "district_id": pa.nulls(keep.size, pa.string()),
        "footprint_area_m2": _nullable(area),
        "ground_elevation_m": _nullable(low[keep]), "roof_elevation_m": _nullable(high[keep]),
        "lod": pa.array(highest, pa.int32()),
        "source_file": pa.array([source_file] * keep.size, pa.string()),
        "edition": pa.array([edition] * keep.size, pa.string()),
        "geometry": footprint,
    })  # fmt: skip
    a_bldg = renumber[np.asarray(attributes.pop("building"), np.int64)]
    live = a_bldg >= 0
    attributes_table = pa.table(attributes)
    if not live.all():
        attributes_table = attributes_table.filter(pa.array(live))
        a_bldg = a_bldg[live]
    gml = pa.DictionaryArray.from_arrays(pa.array(a_bldg.astype(np.int32)), ids)
    attributes_table = attributes_table.add_column(0, "gml_id", gml)
    images = raw.leaves[raw.leaves[:, k.L_BLDG] < 0]
    return BuildingTables(
        table, surfaces, attributes_table, skipped, leaves.strings(images).to_pylist()
    )


def _resolve_kinds(raw: RawTables, bad: Ints) -> tuple[Ints, Ints]:
    """Kind of each polygon after xlink:href of boundary surfaces; buildings with dangling links."""
    kind = raw.polygons[:, k.P_KIND].copy()
    if len(raw.hrefs) == 0:
        return kind, np.empty(0, np.int64)
    order = np.argsort(raw.polygon_hash, kind="stable")
    sorted_hash = raw.polygon_hash[order]
    at = np.searchsorted(sorted_hash, raw.href_hash)
    at[at == len(sorted_hash)] = 0
    found = (sorted_hash[at] == raw.href_hash) if len(sorted_hash) else np.zeros(len(at), bool)
    link = found & (raw.hrefs[:, k.H_SOLID] == 0)
    target = order[at[link]]
    in_solid = raw.polygons[target, k.P_SOLID] == 1
    kind[target[in_solid]] = raw.hrefs[link][in_solid][:, k.H_KIND]
    # a link to a whole surface (not a polygon) is not followed: its polygons are read where they stand
    lost = ~found & (raw.hrefs[:, k.H_SOLID] == 0)
    del bad
    return kind, np.unique(raw.hrefs[lost][:, k.H_BLDG])


def _superseded(raw: RawTables, kind: Ints) -> NDArray[np.bool_]:
    """Unnamed solid polygons of a (building, LOD) that also has boundary surfaces of its own."""
    p = raw.polygons
    group = p[:, k.P_BLDG] * 8 + p[:, k.P_LOD]
    named = (kind >= v.KIND_ROOF) & (kind < v.KIND_INSTALLATION) & (p[:, k.P_SOLID] == 0)
    solid = (kind == v.KIND_SOLID) & (p[:, k.P_SOLID] == 1) & (p[:, k.P_LOD] >= 2)
    result: NDArray[np.bool_] = solid & np.isin(group, np.unique(group[named]))
    return result


_BAD_REASONS = {1: "bad_numbers", 2: "bad_ring", 3: "outside_japan", 4: "axis_order"}


def _report(
    raw: RawTables, ids: pa.Array, bad: Ints, has_polygon: NDArray[np.bool_], unresolved: Ints,
    source_file: str, skipped: list[Skipped],
) -> None:  # fmt: skip
    """Enter what is left out into the list."""
    for b in np.flatnonzero(~has_polygon):
        mine = raw.polygons[:, k.P_BLDG] == b
        reasons = {_BAD_REASONS[int(x)] for x in bad[mine] if x}
        line = raw.line_of_building(b)
        skipped.append(
            Skipped(
                source_file, line, ids[b].as_py() or "", "+".join(sorted(reasons)) or "no_geometry"
            )
        )
    for i in np.flatnonzero(bad):
        b = int(raw.polygons[i, k.P_BLDG])
        if has_polygon[b]:
            line = raw.line_of_polygon(int(i))
            skipped.append(
                Skipped(
                    source_file, line, ids[b].as_py() or "", _BAD_REASONS[int(bad[i])], "polygon"
                )
            )
    for b in unresolved:
        line = raw.line_of_building(b)
        skipped.append(
            Skipped(source_file, line, ids[int(b)].as_py() or "", "href_dangling", "xlink:href")
        )


def _wkb(
    order: Ints, group_start: Ints, polygons: tuple[Ints, Ints, Ints, NDArray[np.float64]],
    *, dims: int, single: bool, orient: bool,
) -> pa.Array:  # fmt: skip
    p_ring, p_ring_end, ring_end, coords = polygons
    rings = p_ring_end[order] - p_ring[order]
    first = (
        np.where(p_ring[order] > 0, ring_end[p_ring[order] - 1], 0)
        if len(order)
        else np.empty(0, np.int64)
    )
    points = ring_end[p_ring_end[order] - 1] - first if len(order) else first
    size = int((9 * np.ones(len(group_start))).sum() + (9 + 4 * rings + 8 * dims * points).sum())
    out = np.empty(size, np.uint8)
    offsets = np.empty(len(group_start), np.int32)
    used = k.write_wkb(
        order, group_start, p_ring, p_ring_end, coords, ring_end, dims, single, orient, out, offsets
    )
    empty = np.diff(group_start) == 0
    valid = pa.py_buffer(np.packbits(~empty, bitorder="little").tobytes()) if empty.any() else None
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(group_start) - 1, [valid, pa.py_buffer(offsets), pa.py_buffer(out[:used])]
    )


def _footprints(
    keep: Ints, p_bldg: Ints, chosen: Ints, polygons: tuple[Ints, Ints, Ints, NDArray[np.float64]]
) -> tuple[pa.Array, NDArray[np.float64]]:
    order = np.flatnonzero(chosen)
    start = np.searchsorted(p_bldg[order], np.append(keep, p_bldg.max(initial=0) + 1))
    # groups of the kept buildings only; polygons of the others are never chosen
    wkb = _wkb(order, start, polygons, dims=2, single=True, orient=True)
    return wkb, k.footprint_areas(order, start, *polygons)


def _surfaces(
    ids: pa.Array, renumber: Ints, n: int, p_bldg: Ints, p_lod: Ints, kind: Ints, out: NDArray[np.bool_],
    polygons: tuple[Ints, Ints, Ints, NDArray[np.float64]],
) -> tuple[pa.Table, Ints]:  # fmt: skip
    live = np.flatnonzero(~out)
    key = (renumber[p_bldg[live]] * 8 + p_lod[live]) * 16 + kind[live]
    sort = np.argsort(key, kind="stable")
    order, key = live[sort], key[sort]
    starts = np.flatnonzero(np.diff(key, prepend=-1)) if len(key) else np.empty(0, np.int64)
    group_start = np.append(starts, len(key)).astype(np.int64)
    group = key[starts]
    lod = (group // 16 % 8).astype(np.int8)
    original = np.empty(0, np.int64)
    if len(starts):
        original = renumber[p_bldg[order[starts]]]
    highest = np.zeros(n, np.int64)
    np.maximum.at(highest, group // 128, lod)
    kinds = pa.DictionaryArray.from_arrays(
        pa.array((group % 16).astype(np.int32)), pa.array(v.KINDS)
    )
    table = pa.table({
        "gml_id": pa.DictionaryArray.from_arrays(pa.array(original.astype(np.int32)), ids),
        "lod": pa.array(lod, pa.int8()),
        "kind": kinds,
        "geometry": _wkb(order, group_start, polygons, dims=3, single=False, orient=False),
    })  # fmt: skip
    return table, highest


def _attributes(
    raw: RawTables, leaves: _Leaves, n: int, decode: Decode
) -> tuple[dict[str, pa.Array], dict[str, object]]:
    rows = raw.leaves[raw.leaves[:, k.L_BLDG] >= 0]
    names = raw.names
    field_of = np.array([_NUMBER.get(_FIELDS.get(name, ""), 0) for name in names], np.int64)
    hazard_of = [v.risk_hazard(name.rpartition(":")[2]) for name in names]
    is_risk = np.array([h is not None for h in hazard_of], bool)
    is_address = np.array([name in _ADDRESS for name in names], bool)
    name_id, parent = rows[:, k.L_NAME], rows[:, k.L_PARENT]
    field = field_of[name_id] if len(names) else np.zeros(len(rows), np.int64)
    whole = rows[:, k.L_PART] == 0

    def of(name: str, *, parts: bool = False) -> Ints:
        picked: Ints = rows[(field == _NUMBER[name]) & (whole | parts)]
        return picked

    def text(name: str) -> pa.Array:
        r = of(name)
        return _place(n, r[:, k.L_BLDG], leaves.strings(r))

    def number(name: str) -> NDArray[np.float64]:
        r = of(name)
        return _place_floats(n, r[:, k.L_BLDG], leaves.floats(r))

    def coded(name: str) -> tuple[pa.Array, pa.Array]:
        r = of(name)
        codes = leaves.strings(r)
        sentinel = pa.compute.is_in(codes, _SENTINEL_CODES)
        codes = pa.compute.if_else(sentinel, pa.scalar(None, pa.string()), codes)
        spaces = leaves.strings(r, k.L_C0, k.L_C1)
        spaces = pa.compute.fill_null(spaces, _DEFAULT_LISTS[name])
        decoded = decode_column(codes, spaces, decode)
        at = r[:, k.L_BLDG]
        if len(np.unique(at)) < len(at):
            codes, decoded, at = _joined(at, codes, decoded)
        return _place(n, at, codes), _place(n, at, decoded)

    height = number("height")
    in_parts = of("height", parts=True)
    if len(in_parts):
        highest = np.full(n, -np.inf)
        values = leaves.floats(in_parts)
        good = ~np.isnan(values)
        np.maximum.at(highest, in_parts[good, k.L_BLDG], values[good])
        height = np.where(np.isnan(height) & np.isfinite(highest), highest, height)
    height[height <= -999] = np.nan
    area, floor_area = number("area"), number("floor_area")
    area[area <= 0] = np.nan
    floor_area[floor_area < 0] = np.nan
    class_code, class_text = coded("class")
    usage_code, usage = coded("usage")
    structure_code, structure = coded("structure")
    height, generic_height = _con_height(rows, names, leaves, n, height)
    columns = {
        "building_id": pa.compute.coalesce(text("building_id"), _generic_text(rows, names, leaves, n, "建物ID")),
        "class": class_text, "class_code": class_code, "usage": usage, "usage_code": usage_code,
        "structure_code": structure_code, "structure": structure,
        "address": _addresses(rows[is_address[name_id]] if len(names) else rows[:0], leaves, n),
        "name": text("name"),
        "measured_height_m": _nullable(height),
        "storeys_above": _nullable_int(number("above"), 1, 300),
        "storeys_below": _nullable_int(number("below"), 0, 99),
        "year_built": _years(of("year"), leaves, n),
        "area": _nullable(area), "total_floor_area_m2": _nullable(floor_area),
        "risks": _risks(rows, leaves, n, names, hazard_of, is_risk, decode),
    }  # fmt: skip
    known = (field > 0) & whole
    known &= ~np.isin(field, [_NUMBER["function"]])
    known |= generic_height
    if len(names):
        known |= is_address[name_id] | is_risk[parent]
    return columns, _generic(rows[~known], leaves, names, decode)


_NUMBER = {name: i + 1 for i, name in enumerate(dict.fromkeys(_FIELDS.values()))}


def _joined(at: Ints, codes: pa.Array, decoded: pa.Array) -> tuple[pa.Array, pa.Array, Ints]:
    """Several values of one building joined by `;`."""
    grouped: dict[int, tuple[list[str], list[str]]] = {}
    for b, c, d in zip(at.tolist(), codes.to_pylist(), decoded.to_pylist(), strict=True):
        if c is not None:
            cell = grouped.setdefault(b, ([], []))
            cell[0].append(c)
            cell[1].append(d if d is not None else c)
    return (
        pa.array([";".join(c) for c, _ in grouped.values()], pa.string()),
        pa.array([";".join(d) for _, d in grouped.values()], pa.string()),
        np.array(list(grouped), np.int64),
    )


def _years(rows: Ints, leaves: _Leaves, n: int) -> pa.Array:
    """Year of `1998`, `1998-04-01` or `0001` (null)."""
    head = rows.copy()
    head[:, k.L_T1] = np.minimum(head[:, k.L_T1], head[:, k.L_T0] + 4)
    values = leaves.floats(head)
    return _nullable_int(_place_floats(n, rows[:, k.L_BLDG], values), 600, 2200)


def _con_height(
    rows: Ints, names: tuple[str, ...], leaves: _Leaves, n: int, height: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """CityGML 3.0 keeps the height as con:height/con:Height/con:value."""
    is_value = np.zeros(len(rows), bool)
    for i, name in enumerate(names):
        if name == "con:value":
            is_value |= rows[:, k.L_NAME] == i
    if not is_value.any():
        return height, is_value
    picked = rows[is_value]
    values = _place_floats(n, picked[:, k.L_BLDG], leaves.floats(picked))
    return np.where(np.isnan(height), values, height), is_value


def _generic_text(
    rows: Ints, names: tuple[str, ...], leaves: _Leaves, n: int, wanted: str
) -> pa.Array:
    """Value of the generic attribute called `wanted` (i-UR 1.x kept the building ID there)."""
    value_id = [i for i, name in enumerate(names) if name == "gen:value"]
    picked = rows[np.isin(rows[:, k.L_NAME], value_id) & (rows[:, k.L_A1] > rows[:, k.L_A0])]
    length = len(wanted.encode())
    picked = picked[picked[:, k.L_A1] - picked[:, k.L_A0] == length]
    if len(picked):
        label = leaves.strings(picked, k.L_A0, k.L_A1)
        picked = picked[np.asarray(pa.compute.equal(label, wanted))]
    return _place(n, picked[:, k.L_BLDG], leaves.strings(picked))


def _addresses(rows: Ints, leaves: _Leaves, n: int) -> pa.Array:
    """The parts of an xAL address in the order they stand, joined; country left out."""
    if not len(rows):
        return pa.nulls(n, pa.string())
    texts = leaves.strings(rows).to_pylist()
    parts: dict[int, list[str]] = {}
    for b, name, s in zip(
        rows[:, k.L_BLDG].tolist(), rows[:, k.L_NAME].tolist(), texts, strict=True
    ):
        if leaves.raw.names[name] == "xAL:CountryName":
            continue
        cell = parts.setdefault(b, [])
        if s not in cell:
            cell.append(s)
    out: list[str | None] = [None] * n
    for b, cell in parts.items():
        out[b] = "".join(cell)
    return pa.array(out, pa.string())


_SCALES = {"1": "L1", "2": "L2", "L1": "L1", "L2": "L2"}


def _risks(
    rows: Ints, leaves: _Leaves, n: int, names: tuple[str, ...],
    hazard_of: list[str | None], is_risk: NDArray[np.bool_], decode: Decode,
) -> pa.Array:  # fmt: skip
    """The list column of risks: one struct per risk attribute element, in file order."""
    picked = rows[is_risk[rows[:, k.L_PARENT]]] if len(names) else rows[:0]
    generic = _generic_risks(rows, leaves, names)
    if not len(picked) and not generic:
        return pa.array([[]] * n, pa.list_(RISK))
    serial, first = np.unique(picked[:, k.L_ITEM], return_index=True)
    m = len(serial)
    bldg = picked[first, k.L_BLDG]
    local = [name.rpartition(":")[2] for name in names]

    def rows_of(field: str) -> tuple[Ints, Ints]:
        ids = [i for i, name in enumerate(local) if name == field]
        r = picked[np.isin(picked[:, k.L_NAME], ids)]
        return r, np.searchsorted(serial, r[:, k.L_ITEM])

    def numbers(field: str) -> NDArray[np.float64]:
        r, at = rows_of(field)
        return _place_floats(m, at, leaves.floats(r))

    def decoded(field: str) -> tuple[pa.Array, pa.Array]:
        r, at = rows_of(field)
        codes = leaves.strings(r)
        texts = decode_column(codes, leaves.strings(r, k.L_C0, k.L_C1), decode)
        return _place(m, at, codes), _place(m, at, texts)

    d_code, d_text = decoded("description")
    a_code, a_text = decoded("adminType")
    s_code, s_text = decoded("scale")
    scale = [
        _SCALES.get(c or "") or next((x for x in ("L1", "L2") if x in (t or "")), c)
        for c, t in zip(s_code.to_pylist(), s_text.to_pylist(), strict=True)
    ]
    rank = numbers("rank")
    zone = numbers("areaType")
    rank = np.where(np.isnan(rank), zone, rank)
    depth, duration = numbers("depth"), numbers("duration")
    depth[depth < 0] = np.nan
    duration[duration < 0] = np.nan
    hazards = pa.DictionaryArray.from_arrays(
        pa.array(picked[first, k.L_PARENT].astype(np.int32)), pa.array([h or "other" for h in hazard_of])
    ).dictionary_decode() if m else pa.array([], pa.string())  # fmt: skip
    struct = pa.StructArray.from_arrays(
        [
            hazards, pa.compute.coalesce(d_text, d_code), pa.array(scale, pa.string()),
            pa.compute.coalesce(a_text, a_code), _nullable_int(rank, -1e6, 1e6),
            _nullable(depth), _nullable(duration),
        ],
        fields=list(RISK),
    )  # fmt: skip
    if generic:
        struct = pa.concat_arrays([struct, pa.array([g for _, g in generic], RISK)])
        bldg = np.append(bldg, [b for b, _ in generic])
    order = np.argsort(bldg, kind="stable")
    offsets = np.zeros(n + 1, np.int32)
    np.cumsum(np.bincount(bldg, minlength=n), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), struct.take(pa.array(order)))


def _generic_risks(
    rows: Ints, leaves: _Leaves, names: tuple[str, ...]
) -> list[tuple[int, dict[str, object]]]:
    """Flood risks of i-UR 1.x: generic attribute sets that hold 浸水ランク or 浸水深."""
    sets = [i for i, name in enumerate(names) if name == "gen:genericAttributeSet"]
    picked = rows[np.isin(rows[:, k.L_GRAND], sets)] if sets else rows[:0]
    if not len(picked):
        return []
    found: dict[int, tuple[int, dict[str, object]]] = {}
    label = leaves.strings(picked, k.L_A0, k.L_A1).to_pylist()
    titles = leaves.strings(picked, k.L_G0, k.L_G1).to_pylist()
    value = leaves.strings(picked).to_pylist()
    for row, name, title, text in zip(picked, label, titles, value, strict=True):
        key = _GENERIC_RISK.get(name or "")
        if key is None:
            continue
        item = int(row[k.L_GRANDITEM])
        if item not in found:
            found[item] = (int(row[k.L_BLDG]), dict.fromkeys(f.name for f in RISK))
            hazard = next(
                (h for word, h in _GENERIC_HAZARDS if word in (title or "")), "river_flood"
            )
            found[item][1].update(hazard=hazard, name=title)
        cell = found[item][1]
        if key == "scale":
            cell["scale"] = _SCALES.get(text, text)
        else:
            try:
                number = float(text)
            except (TypeError, ValueError):
                continue
            if number in (-9999.0, 9999.0) or number < 0:
                continue
            if key == "rank":
                cell["rank"] = int(number)
            else:
                cell["depth_m" if key == "depth" else "duration_h"] = number
    return [f for f in found.values() if f[1]["rank"] is not None or f[1]["depth_m"] is not None]


_GENERIC_HAZARDS = (("津波", "tsunami"), ("高潮", "high_tide"), ("内水", "inland_flood"))


def _generic(
    rows: Ints, leaves: _Leaves, names: tuple[str, ...], decode: Decode
) -> dict[str, object]:
    """Every other leaf as a row of the attributes table."""
    codes = leaves.strings(rows)
    spaces = leaves.strings(rows, k.L_C0, k.L_C1)
    has_space = np.asarray(spaces.is_valid())
    decoded = decode_column(codes, spaces, decode)
    value = pa.compute.if_else(pa.array(has_space), decoded, codes)
    code = pa.compute.if_else(pa.array(has_space), codes, pa.scalar(None, pa.string()))
    label = leaves.strings(rows, k.L_A0, k.L_A1)
    texts = pa.array(names, pa.string())
    name = pa.compute.coalesce(label, texts.take(pa.array(rows[:, k.L_NAME])))
    group_id = np.where(np.asarray(label.is_valid()), rows[:, k.L_GRAND], rows[:, k.L_PARENT])
    return {
        "building": rows[:, k.L_BLDG],
        "group": texts.take(pa.array(group_id, mask=group_id < 0)).dictionary_encode(),
        "item": pa.array((rows[:, k.L_ITEM] - rows[:, k.L_ITEM].min(initial=0)).astype(np.int32)),
        "name": name.dictionary_encode(),
        "value": value.dictionary_encode(),
        "code": code.dictionary_encode(),
    }
