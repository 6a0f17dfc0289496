"""CQL2 filters over the columns of a table: three-valued, vectorised, nothing else than is listed here."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from shapely.geometry import shape as shape_of

from citymap.errors import BadInputError
from citymap.share.ogc import cql2_text, crs_uri

Node = Any
Value = Any  # an Arrow array of the table's length, or one Python value
MAX_NODES = 2000
GEOMETRY = "geometry"
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal, "<>": pc.not_equal, "<": pc.less, ">": pc.greater, "<=": pc.less_equal,
    ">=": pc.greater_equal,
}  # fmt: skip
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^", "div"})
_SPATIAL: dict[str, Callable[[Any, Any], Any]] = {
    "s_intersects": shapely.intersects, "s_within": shapely.within, "s_contains": shapely.contains,
    "s_touches": shapely.touches, "s_crosses": shapely.crosses, "s_overlaps": shapely.overlaps,
    "s_equals": shapely.equals, "s_disjoint": shapely.disjoint,
}  # fmt: skip
_MIRROR = {"s_within": "s_contains", "s_contains": "s_within"}
_TEMPORAL = frozenset({"t_after", "t_before", "t_equals", "t_during", "t_intersects"})


class Rows(Protocol):
    """What a filter asks of a table: columns without geometry, shapes (lon, lat) and their bounds."""

    @property
    def table(self) -> pa.Table: ...
    @property
    def bounds(self) -> np.ndarray[Any, Any]: ...
    def shapes(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]: ...


def _wrong(reason: object) -> BadInputError:
    return BadInputError("ogc_filter", place="filter", reason=str(reason)[:120])


def read(text: str, language: str) -> Node:
    """A filter as CQL2 JSON, from either encoding (`cql2-text`, `cql2-json`).

    Raises:
        BadInputError: it cannot be read, or it is too large.
    """
    if language == "cql2-text":
        return cql2_text.parse(text)
    if len(text) > cql2_text.MAX_LENGTH:
        raise _wrong(f"> {cql2_text.MAX_LENGTH}")
    try:
        node = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise _wrong(e) from e
    _measured(node)
    return node


def _measured(node: Node) -> None:
    left, waiting = MAX_NODES, [(node, 0)]
    while waiting:
        one, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > cql2_text.MAX_DEPTH:
            raise _wrong("too large")
        if isinstance(one, Mapping):
            waiting += [(v, depth + 1) for v in one.values()]
        elif isinstance(one, list):
            waiting += [(v, depth + 1) for v in one]


def chosen(node: Node, rows: Rows, filter_crs: str) -> np.ndarray[Any, Any]:
    """Which rows a filter lets through: true only, neither false nor unknown.

    Raises:
        BadInputError: a property that is not there, an operator that we do not know, values that
            cannot be compared.
    """
    found = _Filter(rows, filter_crs).condition(node)
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), bool)


@dataclass(frozen=True, slots=True)
class _Filter:
    rows: Rows
    crs: str

    @property
    def length(self) -> int:
        return int(self.rows.table.num_rows)

    def condition(self, node: Node) -> Any:
        """A node as an array of truth values."""
        value = self.value(node)
        if isinstance(value, bool):
            return pa.array(np.full(self.length, value))
        if not _is_array(value) or not pa.types.is_boolean(value.type):
            raise _wrong("not a condition")
        return value

    def value(self, node: Node) -> Value:
        if isinstance(node, str | int | float | bool):
            return node
        if not isinstance(node, Mapping):
            raise _wrong(node)
        if "property" in node:
            return self.column(node["property"])
        for name in ("date", "timestamp"):
            if name in node:
                return instant(node[name])
        if "op" in node:
            arguments = node.get("args", [])
            if not isinstance(node["op"], str) or not isinstance(arguments, list):
                raise _wrong(node["op"])
            return self.applied(node["op"].lower(), arguments)
        raise _wrong(json.dumps(node)[:60])

    def column(self, name: Any) -> Any:
        if not isinstance(name, str) or name not in self.rows.table.column_names:
            raise _wrong(name)
        column = self.rows.table[name].combine_chunks()
        if pa.types.is_nested(column.type):
            raise _wrong(f"{name}: list")
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        return column

    def applied(self, op: str, args: list[Node]) -> Value:
        """One operator."""
        if op in {"and", "or"}:
            return self._joined(op, args)
        if op == "not":
            return pc.invert(self.condition(_only(args, 1)[0]))
        if op in _COMPARE:
            return self._compared(op, *map(self.value, _only(args, 2)))
        if op == "between":
            value, low, high = map(self.value, _only(args, 3))
            return pc.and_kleene(
                self._compared(">=", value, low), self._compared("<=", value, high)
            )
        if op == "isnull":
            return self._is_null(_only(args, 1)[0])
        if op == "in":
            return self._in(*_only(args, 2))
        if op == "like":
            return self._like(*_only(args, 2))
        if op in {"casei", "accenti"}:
            return self._folded(op, self.value(_only(args, 1)[0]))
        if op in _ARITHMETIC:
            return self._calculated(op, *map(self.value, _only(args, 2)))
        if op in _SPATIAL:
            return self._placed(op, *_only(args, 2))
        if op in _TEMPORAL:
            return self._timed(op, *_only(args, 2))
        raise _wrong(op)

    def _joined(self, op: str, args: list[Node]) -> Any:
        if not args:
            raise _wrong(op)
        found = self.condition(args[0])
        for more in args[1:]:
            join = pc.and_kleene if op == "and" else pc.or_kleene
            found = join(found, self.condition(more))
        return found

    def _is_null(self, node: Node) -> Any:
        if isinstance(node, Mapping) and node.get("property") == GEOMETRY:
            return pa.array(np.isnan(self.rows.bounds[:, 0]))
        if isinstance(node, Mapping) and node.get("property") in self.rows.table.column_names:
            return pc.is_null(self.rows.table[node["property"]].combine_chunks())
        value = self.value(node)
        return pc.is_null(value) if _is_array(value) else False

    def _compared(self, op: str, left: Value, right: Value) -> Any:
        left, right = _alike(left, right)
        try:
            found = _COMPARE[op](left, right)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
            raise _wrong(e) from e
        return found if _is_array(found) else bool(found.as_py())

    def _in(self, node: Node, listed: Node) -> Any:
        if not isinstance(listed, list):
            raise _wrong("IN")
        value = self.value(node)
        none: Any = self._compared("<>", value, value) if _is_array(value) else False
        found = none  # null where the value is, else false
        for item in listed:
            same = self._compared("=", value, self.value(item))
            found = (
                pc.or_kleene(found, same) if _is_array(found) or _is_array(same) else found or same
            )
        return found

    def _like(self, node: Node, pattern: Node) -> Any:
        value, wanted = self.value(node), self.value(pattern)
        if not isinstance(wanted, str) or not _is_text(value):
            raise _wrong("LIKE")
        array = value if _is_array(value) else pa.array([value])
        found = pc.match_like(array, wanted)
        return found if _is_array(value) else bool(found[0].as_py())

    def _folded(self, op: str, value: Value) -> Value:
        if not _is_text(value):
            raise _wrong(op)
        fold = str.casefold if op == "casei" else _without_accents
        if not _is_array(value):
            return fold(value)
        coded = value.dictionary_encode()
        folded = pa.array([fold(one) for one in coded.dictionary.to_pylist()], pa.string())
        return folded.take(coded.indices)

    def _calculated(self, op: str, left: Value, right: Value) -> Value:
        def number(value: Value) -> Any:
            if _is_array(value) and (
                pa.types.is_integer(value.type) or pa.types.is_floating(value.type)
            ):
                return value.cast(pa.float64())
            if isinstance(value, int | float) and not isinstance(value, bool):
                return pa.scalar(float(value), pa.float64())
            raise _wrong(op)

        a, b = number(left), number(right)
        if op == "%":
            found = pc.subtract(a, pc.multiply(b, pc.floor(pc.divide(a, b))))
        elif op == "div":
            found = pc.floor(pc.divide(a, b))
        else:
            found = {
                "+": pc.add,
                "-": pc.subtract,
                "*": pc.multiply,
                "/": pc.divide,
                "^": pc.power,
            }[op](a, b)
        return found if _is_array(found) else found.as_py()

    def _placed(self, op: str, left: Node, right: Node) -> Any:
        if _is_geometry(right) and not _is_geometry(left):
            left, right, op = right, left, _MIRROR.get(op, op)
        if not _is_geometry(left):
            raise _wrong(op)
        try:
            wanted = self._literal(right)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError,
                shapely.errors.ShapelyError) as e:  # fmt: skip
            raise _wrong(e) from e
        west, south, east, north = shapely.bounds(wanted)
        b = self.rows.bounds
        with np.errstate(invalid="ignore"):
            near = (b[:, 0] <= east) & (b[:, 2] >= west) & (b[:, 1] <= north) & (b[:, 3] >= south)
        found = np.full(self.length, op == "s_disjoint")
        at = np.flatnonzero(near)
        shapely.prepare(wanted)
        shapes = self.rows.shapes(at)
        mirrored = {"s_within": shapely.contains, "s_contains": shapely.within}.get(op)
        # The literal first: it is the prepared one.
        found[at] = mirrored(wanted, shapes) if mirrored else _SPATIAL[op](wanted, shapes)
        return pa.array(found, mask=np.isnan(b[:, 0]))

    def _literal(self, node: Node) -> Any:
        if isinstance(node, Mapping) and "bbox" in node:
            box = [float(v) for v in node["bbox"]]
            if len(box) == 6:
                box = [box[0], box[1], box[3], box[4]]
            return crs_uri.area((box[0], box[1], box[2], box[3]), self.crs)
        if not isinstance(node, Mapping) or "type" not in node:
            raise _wrong("geometry")
        found = shape_of(node)
        if found.is_empty or not np.isfinite(shapely.get_coordinates(found)).all():
            raise _wrong("geometry")
        return crs_uri.literal(shapely.force_2d(found), self.crs)

    def _timed(self, op: str, left: Node, right: Node) -> Any:
        value = self.value(left)
        if not _is_array(value):
            raise _wrong(op)
        if isinstance(right, Mapping) and "interval" in right:
            ends = right["interval"]
            if not isinstance(ends, list) or len(ends) != 2:
                raise _wrong("interval")
            start, end = (None if e == ".." else self.value(e) for e in ends)
            start, end = (instant(e) if isinstance(e, str) else e for e in (start, end))
        else:
            start = end = self.value(right)
        if op == "t_after":
            return self._compared(">", value, end) if end is not None else False
        if op == "t_before":
            return self._compared("<", value, start) if start is not None else False
        found: Any = pc.invert(pc.is_null(value))
        open_ended = op == "t_during"
        if start is not None:
            found = pc.and_kleene(found, self._compared(">" if open_ended else ">=", value, start))
        if end is not None:
            found = pc.and_kleene(found, self._compared("<" if open_ended else "<=", value, end))
        return found


def _only(args: list[Node], count: int) -> list[Node]:
    if len(args) != count:
        raise _wrong(f"{len(args)} ≠ {count}")
    return args


def _is_array(value: Any) -> bool:
    return isinstance(value, pa.Array | pa.ChunkedArray)


def _is_text(value: Any) -> bool:
    if _is_array(value):
        return bool(pa.types.is_string(value.type) or pa.types.is_large_string(value.type))
    return isinstance(value, str)


def _is_geometry(node: Node) -> bool:
    return isinstance(node, Mapping) and node.get("property") == GEOMETRY


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def instant(text: Any) -> datetime:
    """A date or time of RFC 3339 in UTC; without a zone it is UTC.

    Raises:
        BadInputError: it is neither.
    """
    try:
        if not isinstance(text, str):
            raise TypeError
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as e:
        raise _wrong(text) from e


def as_instants(column: Any) -> Any:
    """A column of times or texts as UTC instants; what is no time is unknown."""
    kind = pa.timestamp("us", "UTC")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return column.cast(kind)
    values = []
    for one in column.to_pylist():
        try:
            values.append(None if one is None else instant(one))
        except BadInputError:
            values.append(None)
    return pa.array(values, kind)


def _alike(left: Value, right: Value) -> tuple[Any, Any]:
    """Two values that can be compared: times with times, numbers with numbers, texts with texts."""
    if not _is_array(left) and not _is_array(right):
        if _sort(left) != _sort(right):
            raise _wrong(f"{left!r} : {right!r}")
        return pa.scalar(left), pa.scalar(right)
    if isinstance(right, datetime) and _is_array(left):
        return as_instants(left), pa.scalar(right, pa.timestamp("us", "UTC"))
    if isinstance(left, datetime) and _is_array(right):
        return pa.scalar(left, pa.timestamp("us", "UTC")), as_instants(right)
    if _sort(left) != _sort(right):
        raise _wrong(f"{_sort(left)} : {_sort(right)}")
    return left, right


def _sort(value: Value) -> str:
    if _is_array(value):
        kind = value.type
        if pa.types.is_boolean(kind):
            return "boolean"
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return "number"
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return "time"
        return "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "time" if isinstance(value, datetime) else "text"
