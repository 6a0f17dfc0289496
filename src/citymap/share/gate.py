"""The privacy gate: what of each kind of thing an audience may see; whatever is not described stays in.

A kind is one TOML file in `kinds/`. Every outgoing door passes its records through `release` (or
`release_table` for columns) and is entered in `citymap.share.doors`, which the tests walk with
planted secrets.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, get_args

import numpy as np
import pyarrow as pa
import shapely
from pydantic import BaseModel, ConfigDict, Field, model_validator

from citymap.errors import CitymapError
from citymap.layers.catalogue import Audience, Text

AUDIENCES: tuple[Audience, ...] = get_args(Audience)
METRES_PER_DEGREE = 111_320.0  # of latitude; enough for the size of a blur cell
ANY = "*"
GEOMETRIES = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
)


class GateError(CitymapError):
    """A door asked for something that nobody has described: a fault of the program, never passed."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """What one audience sees of a kind.

    `fields` are dotted paths (`risks.depth_m`; `x.*` lets a whole subtree through); `names` limits
    rows of free name/value pairs below a path by patterns on their `name`; `states` are the release
    states that count; positions are moved to the middle of a cell of `blur_m`; a count below its
    number in `min_counts` becomes null. `blur_by` names a field of the record that holds its own
    blur in metres (a category's); without a number there, `blur_m` holds. `fields`, `names` and `states` are inherited; blur and
    counts are the audience's own.
    """

    inherit: Audience | None = None
    fields: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = {}
    states: tuple[str, ...] = ()
    blur_m: Annotated[float, Field(ge=0, le=50_000)] = 0.0
    blur_by: str = ""
    min_counts: dict[str, int] = {}


class Kind(_Strict):
    """One kind of thing; an audience without a rule sees nothing of it."""

    name: str
    title: Text
    state_field: str = ""
    public: Rule | None = None
    field: Rule | None = None
    staff: Rule | None = None
    planner: Rule | None = None
    admin: Rule | None = None

    @model_validator(mode="after")
    def _states_are_named(self) -> Kind:
        for audience in AUDIENCES:
            rule = getattr(self, audience)
            if rule is not None and rule.states and not self.state_field:
                raise ValueError(f"{self.name}: states without a state_field")
        return self


@dataclass(frozen=True, slots=True)
class Allowance:
    """A rule with everything it inherits; `tree` nests the allowed field names (`*`: all below)."""

    tree: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]]
    states: tuple[str, ...]
    blur_m: float
    blur_by: str
    min_counts: Mapping[str, int]


@cache
def kinds() -> dict[str, Kind]:
    """All descriptions by name."""
    found: dict[str, Kind] = {}
    for entry in files(__package__).joinpath("kinds").iterdir():
        if entry.name.endswith(".toml"):
            kind = Kind.model_validate(tomllib.loads(entry.read_text(encoding="utf-8")))
            if f"{kind.name}.toml" != entry.name:
                raise ValueError(f"{entry.name} describes {kind.name}")
            found[kind.name] = kind
    return dict(sorted(found.items()))


@cache
def allowance(kind: str, audience: Audience) -> Allowance | None:
    """What an audience may see of a kind; None is nothing.

    Raises:
        GateError: nobody has described the kind, or there is no such audience.
    """
    if audience not in AUDIENCES:
        raise GateError("gate_audience", audience=audience)
    if kind not in kinds():
        raise GateError("gate_kind", kind=kind)
    rule: Rule | None = getattr(kinds()[kind], audience)
    if rule is None:
        return None
    tree: dict[str, Any] = {}
    names: dict[str, tuple[str, ...]] = {}
    states: set[str] = set()
    blur_m, blur_by, min_counts = rule.blur_m, rule.blur_by, rule.min_counts
    seen: set[Audience] = set()
    at: Audience | None = audience
    while at is not None and at not in seen:
        seen.add(at)
        one: Rule | None = getattr(kinds()[kind], at)
        if one is None:
            break
        for path in one.fields:
            node = tree
            for part in path.split("."):
                node = node.setdefault(part, {})
        for below, patterns in one.names.items():
            names[below] = (*names.get(below, ()), *patterns)
        states |= set(one.states)
        at = one.inherit
    return Allowance(tree, names, tuple(sorted(states)), blur_m, blur_by, min_counts)


def may_see(kind: str, audience: Audience) -> bool:
    """Whether the audience sees anything of the kind."""
    return allowance(kind, audience) is not None


def fields(kind: str, audience: Audience) -> tuple[str, ...]:
    """Top-level field names that may go out, in the order of the description."""
    allowed = allowance(kind, audience)
    return tuple(allowed.tree) if allowed else ()


def place_tables(audience: Audience) -> frozenset[str]:
    """The tables below `places/` that the audience may see; a list nobody described is not one."""
    return frozenset(name for name in kinds() if may_see(name, audience))


def release(
    kind: str, records: Iterable[Mapping[str, Any]], audience: Audience
) -> list[dict[str, Any]]:
    """The records as the audience may see them; records that it may not see are left out.

    Positions are `lon`, `lat` (degrees) and `geometry` (GeoJSON); both are blurred where the
    description says so. A field that is not described, at any depth, does not pass.

    Raises:
        GateError: the kind or the audience is unknown.
    """
    allowed = allowance(kind, audience)
    if allowed is None:
        return []
    state_field = kinds()[kind].state_field
    out = []
    for record in records:
        if state_field and record.get(state_field) not in allowed.states:
            continue
        released = _pruned(record, allowed.tree, "", allowed.names)
        for name, least in allowed.min_counts.items():
            count = released.get(name)
            if isinstance(count, int | float) and not isinstance(count, bool) and count < least:
                released[name] = None
        blur_m = _own_blur(record.get(allowed.blur_by), allowed.blur_m)
        out.append(_blurred_record(released, blur_m) if blur_m else released)
    return out


def release_one(kind: str, record: Mapping[str, Any], audience: Audience) -> dict[str, Any] | None:
    """One record, or None where the audience may not see it."""
    released = release(kind, (record,), audience)
    return released[0] if released else None


def _pruned(
    record: Mapping[str, Any],
    tree: Mapping[str, Any],
    path: str,
    names: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in record.items():
        below = tree.get(name) if isinstance(name, str) else None
        if below is not None:
            kept = _value(value, below, f"{path}.{name}" if path else name, names)
            if kept is not _NOTHING:
                out[name] = kept
    return out


_NOTHING = object()


def _value(
    value: Any, tree: Mapping[str, Any], path: str, names: Mapping[str, tuple[str, ...]]
) -> Any:
    """A value below an allowed name: structures only as deep as described."""
    if ANY in tree:
        return value
    if path == "geometry" and isinstance(value, Mapping):
        return _geojson(value)
    if isinstance(value, Mapping):
        if not tree or not _named(value, names.get(path)):
            return _NOTHING
        return _pruned(value, tree, path, names)
    if isinstance(value, list | tuple):
        kept = [_value(item, tree, path, names) for item in value]
        return [item for item in kept if item is not _NOTHING]
    if tree and value is not None:  # a text where a structure is described
        return _NOTHING
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if hasattr(value, "isoformat"):
        return value
    return _NOTHING


def _geojson(geometry: Mapping[str, Any]) -> Any:
    """Type and coordinates of a GeoJSON geometry, nothing beside them."""

    def numbers(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return all(map(numbers, value))
        return _is_degrees(value)

    kind, at = geometry.get("type"), geometry.get("coordinates")
    if kind not in GEOMETRIES or not isinstance(at, list | tuple) or not numbers(at):
        return _NOTHING
    return {"type": kind, "coordinates": at}


def _named(row: Mapping[str, Any], patterns: Sequence[str] | None) -> bool:
    if patterns is None or "name" not in row:
        return True
    name = row["name"]
    return isinstance(name, str) and any(fnmatchcase(name, p) for p in patterns)


def blurred(lon: Any, lat: Any, blur_m: Any) -> tuple[Any, Any]:
    """Middles of the cells of about `blur_m` metres that hold the points (lon, lat in degrees).

    The same place always gives the same answer, so asking again tells nothing more. NaN stays NaN;
    0 m is no blur. `blur_m` may be one number or one for each point.
    """
    dlat = np.maximum(blur_m, 1e-9) / METRES_PER_DEGREE
    new_lat = (np.floor(np.asarray(lat, float) / dlat) + 0.5) * dlat
    dlon = dlat / np.maximum(np.cos(np.radians(new_lat)), 0.01)
    new_lon = (np.floor(np.asarray(lon, float) / dlon) + 0.5) * dlon
    return (
        np.round(np.where(np.equal(blur_m, 0), lon, new_lon), 7),
        np.round(np.where(np.equal(blur_m, 0), lat, new_lat), 7),
    )


def _blurred_record(record: dict[str, Any], blur_m: float) -> dict[str, Any]:
    lon, lat = record.get("lon"), record.get("lat")
    if lon is not None or lat is not None:
        record["lon"] = record["lat"] = None
        if _is_degrees(lon) and _is_degrees(lat):
            x, y = blurred(lon, lat, blur_m)
            record["lon"], record["lat"] = float(x), float(y)
    if "geometry" in record:
        record["geometry"] = _blurred_geojson(record["geometry"], blur_m)
    return record


def _own_blur(value: object, otherwise: float) -> float:
    return float(value) if _is_degrees(value) and value >= 0 else otherwise  # type: ignore[arg-type, operator]


def _is_degrees(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _blurred_geojson(geometry: Any, blur_m: float) -> dict[str, Any] | None:
    """A point in its cell; lines and areas would tell the place by their shape, so they stay in."""
    if not isinstance(geometry, Mapping) or geometry.get("type") != "Point":
        return None
    at = geometry.get("coordinates")
    if not isinstance(at, list | tuple) or len(at) < 2 or not all(map(_is_degrees, at[:2])):
        return None
    x, y = blurred(at[0], at[1], blur_m)
    return {"type": "Point", "coordinates": [float(x), float(y)]}


def release_table(kind: str, table: pa.Table, audience: Audience) -> pa.Table:
    """The columns and rows that the audience may see; `geometry` is WKB (lon, lat).

    Raises:
        GateError: the kind or the audience is unknown.
    """
    allowed = allowance(kind, audience)
    if allowed is None:
        return table.schema.empty_table().select([])
    state_field = kinds()[kind].state_field
    if state_field:
        states = (
            table[state_field].to_pylist() if state_field in table.column_names
            else [None] * table.num_rows
        )  # fmt: skip
        table = table.filter(pa.array([state in allowed.states for state in states], pa.bool_()))
    blur_m: Any = allowed.blur_m
    if allowed.blur_by in table.column_names:
        blur_m = np.array([_own_blur(v, blur_m) for v in table[allowed.blur_by].to_pylist()])
    table = table.select([n for n in table.column_names if n in allowed.tree])
    for i, name in enumerate(table.column_names):
        column = table[name]
        if ANY not in allowed.tree[name] and (
            pa.types.is_nested(column.type) or allowed.tree[name]
        ):
            table = table.set_column(i, name, _nested(column, allowed, name))
        elif name in allowed.min_counts:
            least = allowed.min_counts[name]
            counts = [None if v is None or v < least else v for v in column.to_pylist()]
            table = table.set_column(i, name, pa.array(counts, column.type))
    kept = {b"geo"} & set(table.schema.metadata or {})
    metadata = (
        {k: table.schema.metadata[k] for k in kept} if "geometry" in table.column_names else {}
    )
    table = table.replace_schema_metadata(metadata)
    return _blurred_table(table, blur_m) if np.any(blur_m) else table


def _nested(column: pa.ChunkedArray, allowed: Allowance, name: str) -> pa.ChunkedArray:
    tree = allowed.tree[name]
    narrowed = _narrowed(column.type, tree)
    if narrowed == column.type and name not in allowed.names:
        return column
    values = [_value(v, tree, name, allowed.names) for v in column.to_pylist()]
    return pa.chunked_array([pa.array([None if v is _NOTHING else v for v in values], narrowed)])


def _narrowed(kind: pa.DataType, tree: Mapping[str, Any]) -> pa.DataType:
    """A type without the struct members that are not described."""
    if ANY in tree:
        return kind
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_narrowed(kind.value_type, tree))
    if pa.types.is_struct(kind):
        members = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct(
            [pa.field(m.name, _narrowed(m.type, tree[m.name])) for m in members if m.name in tree]
        )
    if pa.types.is_map(kind):
        return pa.null()
    return kind


def _blurred_table(table: pa.Table, blur_m: Any) -> pa.Table:
    names = table.column_names
    if {"lon", "lat"} & set(names):
        nothing = np.full(table.num_rows, np.nan)
        lon = table["lon"].to_numpy().astype(float) if "lon" in names else nothing
        lat = table["lat"].to_numpy().astype(float) if "lat" in names else nothing
        for name, values in zip(("lon", "lat"), blurred(lon, lat, blur_m), strict=True):
            if name in names:
                column = pa.array(values, pa.float64(), from_pandas=True)
                table = table.set_column(names.index(name), name, column)
    if "geometry" in names:
        shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        points = shapely.get_type_id(shapes) == 0
        x, y = blurred(shapely.get_x(shapes), shapely.get_y(shapes), blur_m)
        moved = [shapely.to_wkb(shapely.Point(a, b)) if p and np.isfinite(a) else None
                 for a, b, p in zip(x, y, points, strict=True)]  # fmt: skip
        table = table.set_column(names.index("geometry"), "geometry", pa.array(moved, pa.binary()))
    return table
