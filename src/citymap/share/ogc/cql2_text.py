"""CQL2 text to CQL2 JSON: a small recursive-descent parser (OGC 21-065r2, annex B)."""

from __future__ import annotations

import re
from typing import Any

import shapely
from shapely.geometry import mapping

from citymap.errors import BadInputError

Node = Any  # a value of JSON
MAX_LENGTH = 16_000
MAX_DEPTH = 60
_SPACE = re.compile(r"\s+")
_TOKEN = re.compile(
    r"""(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      |(?P<text>'(?:[^'\\]|''|\\.)*')
      |(?P<quoted>"(?:[^"]|"")*")
      |(?P<sign><>|<=|>=|[=<>+\-*/%^(),])
      |(?P<word>[^\W\d][\w.:]*)""",
    re.VERBOSE,
)
_WKT = re.compile(
    r"(?:POINT|LINESTRING|POLYGON|MULTIPOINT|MULTILINESTRING|MULTIPOLYGON|GEOMETRYCOLLECTION)"
    r"(?:\s*Z)?\s*(?=\()",
    re.IGNORECASE,
)
_COMPARISONS = frozenset({"=", "<>", "<", ">", "<=", ">="})
_RESERVED = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "DIV"})


def parse(text: str) -> Node:
    """The filter as CQL2 JSON.

    Raises:
        BadInputError: not CQL2; the place says where it stopped being.
    """
    if len(text) > MAX_LENGTH:
        raise BadInputError("ogc_filter", place="filter", reason=f"> {MAX_LENGTH}")
    parser = _Parser(text)
    found = parser.either(0)
    if parser.kind != "end":
        parser.fail()
    return found


class _Parser:
    """One token ahead; every method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.start = 0
        self.kind = ""
        self.value = ""
        self.step()

    def step(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = self.start = space.end() if space else self.at
        if self.at == len(self.text):
            self.kind, self.value = "end", ""
            return
        found = _TOKEN.match(self.text, self.at)
        if found is None or found.lastgroup is None:
            self.fail()
        assert found is not None  # noqa: S101  (for the type checker: fail raises)
        self.kind, self.value, self.at = str(found.lastgroup), found[0], found.end()

    def fail(self) -> None:
        near = self.text[self.start : self.start + 20] or "…"
        raise BadInputError("ogc_filter", place=f"filter[{self.start}]", reason=near)

    def word(self, *wanted: str) -> bool:
        return self.kind == "word" and self.value.upper() in wanted

    def sign(self, *wanted: str) -> bool:
        return self.kind == "sign" and self.value in wanted

    def expect(self, sign: str) -> None:
        if not self.sign(sign):
            self.fail()
        self.step()

    def expect_word(self, word: str) -> None:
        if not self.word(word):
            self.fail()
        self.step()

    def either(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail()
        parts = [self.both(depth)]
        while self.word("OR"):
            self.step()
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else {"op": "or", "args": parts}

    def both(self, depth: int) -> Node:
        parts = [self.negation(depth)]
        while self.word("AND"):
            self.step()
            parts.append(self.negation(depth))
        return parts[0] if len(parts) == 1 else {"op": "and", "args": parts}

    def negation(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail()
        if self.word("NOT"):
            self.step()
            return {"op": "not", "args": [self.negation(depth + 1)]}
        return self.comparison(depth)

    def comparison(self, depth: int) -> Node:
        left = self.total(depth)
        if self.kind == "sign" and self.value in _COMPARISONS:
            op = self.value
            self.step()
            return {"op": op, "args": [left, self.total(depth)]}
        if self.word("IS"):
            self.step()
            negated = self.word("NOT")
            if negated:
                self.step()
            self.expect_word("NULL")
            return _negated({"op": "isNull", "args": [left]}, negated=negated)
        negated = self.word("NOT")
        if negated:
            self.step()
            if not self.word("LIKE", "IN", "BETWEEN"):
                self.fail()
        if self.word("LIKE"):
            self.step()
            return _negated({"op": "like", "args": [left, self.total(depth)]}, negated=negated)
        if self.word("BETWEEN"):
            self.step()
            low = self.total(depth)
            self.expect_word("AND")
            return _negated(
                {"op": "between", "args": [left, low, self.total(depth)]}, negated=negated
            )
        if self.word("IN"):
            self.step()
            self.expect("(")
            listed = [] if self.sign(")") else self.listed(depth)
            self.expect(")")
            return _negated({"op": "in", "args": [left, listed]}, negated=negated)
        return left

    def listed(self, depth: int) -> list[Node]:
        found = [self.either(depth + 1)]
        while self.sign(","):
            self.step()
            found.append(self.either(depth + 1))
        return found

    def total(self, depth: int) -> Node:
        left = self.product(depth)
        while self.sign("+", "-"):
            op = self.value
            self.step()
            left = {"op": op, "args": [left, self.product(depth)]}
        return left

    def product(self, depth: int) -> Node:
        left = self.power(depth)
        while self.sign("*", "/", "%") or self.word("DIV"):
            op = self.value.lower()
            self.step()
            left = {"op": op, "args": [left, self.power(depth)]}
        return left

    def power(self, depth: int) -> Node:
        base = self.single(depth)
        if self.sign("^"):
            self.step()
            return {"op": "^", "args": [base, self.single(depth)]}
        return base

    def single(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail()
        kind, value = self.kind, self.value
        if kind == "sign" and value == "(":
            self.step()
            inner = self.either(depth + 1)
            self.expect(")")
            return inner
        if kind == "sign" and value in {"-", "+"}:
            self.step()
            operand = self.single(depth + 1)
            if value == "+":
                return operand
            if isinstance(operand, int | float) and not isinstance(operand, bool):
                return -operand
            return {"op": "*", "args": [-1, operand]}
        if kind == "number":
            self.step()
            return int(value) if value.isdigit() and len(value) < 19 else float(value)
        if kind == "text":
            self.step()
            return _unquoted(value)
        if kind == "quoted":
            self.step()
            return {"property": value[1:-1].replace('""', '"')}
        if kind != "word" or value.upper() in _RESERVED:
            self.fail()
        return self.named(depth)

    def named(self, depth: int) -> Node:
        shape = _WKT.match(self.text, self.start)
        if shape is not None:
            return self.shape(shape.end())
        name = self.value
        upper = name.upper()
        self.step()
        if upper in {"TRUE", "FALSE"}:
            return upper == "TRUE"
        if not self.sign("("):
            return {"property": name}
        self.step()
        arguments = [] if self.sign(")") else self.listed(depth)
        self.expect(")")
        if upper in {"DATE", "TIMESTAMP"} and len(arguments) == 1:
            return {upper.lower(): arguments[0]}
        if upper == "INTERVAL":
            return {"interval": arguments}
        if upper == "BBOX":
            return {"bbox": arguments}
        return {"op": name.lower(), "args": arguments}

    def shape(self, opening: int) -> Node:
        """A shape as WKT, from the keyword to its closing parenthesis."""
        depth, at = 0, opening
        while at < len(self.text):
            depth += {"(": 1, ")": -1}.get(self.text[at], 0)
            at += 1
            if depth == 0:
                break
        wkt = self.text[self.start : at]
        try:
            found = shapely.from_wkt(wkt)
        except shapely.errors.ShapelyError:
            self.fail()
        self.at = at
        self.step()
        return dict(mapping(found))


def _unquoted(text: str) -> str:
    return re.sub(r"''|\\'", "'", text[1:-1])


def _negated(node: Node, *, negated: bool) -> Node:
    return {"op": "not", "args": [node]} if negated else node
