"""The query language of NGSI-LD: `q`, `georel` and the choice of attributes, over entities as values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from shapely.geometry import shape

from citymap import crs
from citymap.errors import BadInputError

if TYPE_CHECKING:
    from citymap.share.ngsi.entities import Entity

MAX_LENGTH = 2000
MAX_DEPTH = 20
Test = Callable[["Entity"], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<sign>~=|!~=|==|!=|<=|>=|<|>|;|\||\(|\)|!|,|\.\.)"""
    r"""|(?P<word>(?:(?!\.\.)[^\s;|()<>=!~,"])+))"""
)
_SIGNS = frozenset({"==", "!=", "<", ">", "<=", ">=", "~=", "!~="})
_NEAR = re.compile(r"near;(max|min)Distance==(\d+(?:\.\d+)?)")


def _wrong(name: str, value: object) -> BadInputError:
    return BadInputError("ngsi_parameter", place=name, value=str(value)[:100])


def value_of(entity: Entity, path: str) -> Any:
    """The value of an attribute, or of a member below it (`address[town]`, `status.observedAt`)."""
    head, _, inner = path.partition("[")
    name, *below = head.split(".")
    attribute = entity.get(name)
    if not isinstance(attribute, Mapping):
        return None
    found: Any = attribute
    for part in below:
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping) and "type" in found:
        found = found.get("value", found.get("object"))
    if inner:
        for part in inner.rstrip("]").split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping) and "@value" in found:
        return found["@value"]
    return found


def matches(text: str) -> Test:
    """A test of entities by `q`.

    Raises:
        BadInputError: not the language.
    """
    if len(text) > MAX_LENGTH:
        raise _wrong("q", text)
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None or found.end() == at:
            raise _wrong("q", text[at:])
        kind = str(found.lastgroup)
        tokens.append((kind, found[kind]))
        at = found.end()
    parser = _Parser(tokens)
    test = parser.either(0)
    if parser.at != len(tokens):
        raise _wrong("q", text)
    return test


class _Parser:
    """`|` is or, `;` is and and binds tighter, `!a` is that there is no a."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0

    def sign(self, *wanted: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at] in {("sign", w) for w in wanted}

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise _wrong("q", "…")
        self.at += 1
        return self.tokens[self.at - 1]

    def either(self, depth: int) -> Test:
        if depth > MAX_DEPTH:
            raise _wrong("q", "(")
        parts = [self.both(depth)]
        while self.sign("|"):
            self.take()
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else lambda e: any(p(e) for p in parts)

    def both(self, depth: int) -> Test:
        parts = [self.one(depth)]
        while self.sign(";"):
            self.take()
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else lambda e: all(p(e) for p in parts)

    def one(self, depth: int) -> Test:
        if self.sign("("):
            self.take()
            inner = self.either(depth + 1)
            if not self.sign(")"):
                raise _wrong("q", "(")
            self.take()
            return inner
        absent = self.sign("!")
        if absent:
            self.take()
        kind, path = self.take()
        if kind != "word":
            raise _wrong("q", path)
        if absent:
            return lambda e: value_of(e, path) is None
        if not (self.at < len(self.tokens) and self.tokens[self.at][1] in _SIGNS):
            return lambda e: value_of(e, path) is not None
        sign = self.take()[1]
        values = [self.value()]
        span = self.sign("..")
        if span:
            self.take()
            values.append(self.value())
        while not span and self.sign(","):
            self.take()
            values.append(self.value())
        if len(values) > 1 and sign not in {"==", "!="}:
            raise _wrong("q", sign)
        return _compared(path, sign, values, span=span)

    def value(self) -> Any:
        kind, text = self.take()
        if kind == "text":
            return text[1:-1]
        if kind != "word":
            raise _wrong("q", text)
        if text in {"true", "false"}:
            return text == "true"
        try:
            return float(text)
        except ValueError:
            return text


def _compared(path: str, sign: str, values: list[Any], *, span: bool) -> Test:
    if sign in {"~=", "!~="}:
        return _pattern(path, str(values[0]), negated=sign == "!~=")

    def equal(entity: Entity) -> bool:
        found = value_of(entity, path)
        each = found if isinstance(found, list) else [found]
        if span:
            return any(
                _less(values[0], v, same=True) and _less(v, values[1], same=True) for v in each
            )
        return any(_same(v, w) for v in each for w in values)

    def ordered(entity: Entity) -> bool:
        found, wanted = value_of(entity, path), values[0]
        if sign in {"<", "<="}:
            return _less(found, wanted, same=sign == "<=")
        return _less(wanted, found, same=sign == ">=")

    if sign == "==":
        return equal
    if sign == "!=":
        return lambda e: value_of(e, path) is not None and not equal(e)
    return ordered


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return float(found) == float(wanted)
    if isinstance(found, str) and isinstance(wanted, float):
        return found == f"{wanted:g}"
    return bool(found is not None and found == wanted)


def _less(a: Any, b: Any, *, same: bool) -> bool:
    """Whether a < b (or equal); values of different sorts are neither."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b))
    if not numbers and not (isinstance(a, str) and isinstance(b, str)):
        return False
    return bool(a <= b if same else a < b)


def pattern(text: str, name: str) -> Callable[[str], bool]:
    """A test of texts by a regular expression of RE2, whose time is linear whatever is asked.

    Raises:
        BadInputError: no such expression.
    """
    try:
        pc.match_substring_regex(pa.array([""]), text)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise _wrong(name, text) from e
    return lambda found: bool(pc.match_substring_regex(pa.array([found]), text)[0].as_py())


def _pattern(path: str, text: str, *, negated: bool) -> Test:
    fits = pattern(text, "q")

    def test(entity: Entity) -> bool:
        found = value_of(entity, path)
        return isinstance(found, str) and fits(found) is not negated

    return test


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "within": shapely.within, "contains": shapely.contains, "intersects": shapely.intersects,
    "equals": shapely.equals, "disjoint": shapely.disjoint, "overlaps": shapely.overlaps,
}  # fmt: skip


def placed(given: Mapping[str, str], epsg: int) -> Test | None:
    """A test by `georel`, `geometry`, `coordinates` and `geoproperty`; distances in metres of `epsg`.

    Raises:
        BadInputError: one is missing or cannot be.
    """
    names = {"georel", "geometry", "coordinates"}
    if not names & set(given):
        return None
    missing = names - set(given)
    if missing:
        raise _wrong(min(missing), "–")
    relation, attribute = given["georel"], given.get("geoproperty", "location")
    try:
        if len(given["coordinates"]) > MAX_LENGTH * 10:
            raise ValueError("too long")
        wanted = shape({"type": given["geometry"], "coordinates": json.loads(given["coordinates"])})
        corners = shapely.get_coordinates(wanted)
        if wanted.is_empty or not len(corners) or not np.isfinite(corners).all():
            raise ValueError("empty")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError,
            shapely.errors.ShapelyError) as e:  # fmt: skip
        raise _wrong("coordinates", given["coordinates"]) from e
    if np.abs(corners[:, 0]).max() > 180 or np.abs(corners[:, 1]).max() > 90:
        raise _wrong("coordinates", given["coordinates"])

    def here(entity: Entity) -> Any:
        found = entity.get(attribute)
        return shape(found["value"]) if isinstance(found, Mapping) else None

    near = _NEAR.fullmatch(relation)
    if near is not None:
        most, distance_m = near[1] == "max", float(near[2])
        target = _in_metres(wanted, epsg)

        def close(entity: Entity) -> bool:
            there = here(entity)
            if there is None:
                return False
            apart = float(shapely.distance(_in_metres(there, epsg), target))
            return math.isfinite(apart) and (apart <= distance_m if most else apart >= distance_m)

        return close
    if relation not in _RELATIONS:
        raise _wrong("georel", relation)

    def related(entity: Entity) -> bool:
        there = here(entity)
        return there is not None and bool(_RELATIONS[relation](there, wanted))

    return related


def _in_metres(one: Any, epsg: int) -> Any:
    return shapely.transform(
        one, lambda points: np.column_stack(crs.project(points[:, 0], points[:, 1], epsg))
    )


def chosen(entity: Entity, attributes: frozenset[str] | None) -> Entity:
    """The entity with these attributes alone."""
    if attributes is None:
        return entity
    return {k: v for k, v in entity.items() if k in {"id", "type"} or k in attributes}


def simplified(entity: Entity) -> Entity:
    """The entity as keys and values (`options=keyValues`)."""
    out: Entity = {}
    for name, one in entity.items():
        value = one.get("value", one.get("object")) if isinstance(one, Mapping) else one
        if isinstance(value, Mapping) and "@value" in value:
            value = value["@value"]
        out[name] = value
    return out
