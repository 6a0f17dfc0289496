"""CQL2 filters: what they let through is what plain Python finds, and what is unknown never passes."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.errors import BadInputError
from citymap.share.exchange.layer import Outgoing
from citymap.share.ogc import cql2, cql2_text, crs_uri
from citymap.share.ogc.collection import Collection, prepared

ROWS = [
    {"name": "Café", "height": 4.0, "storeys": 1, "wood": True, "at": "2026-11-20T10:00:00+09:00"},
    {"name": "cafe 100%", "height": None, "storeys": 3, "wood": None, "at": "2026-11-21T00:00:00Z"},
    {"name": None, "height": 12.5, "storeys": None, "wood": False, "at": None},
    {"name": "O'Hara_2", "height": float("nan"), "storeys": 10, "wood": True, "at": "?"},
]
PLACES = [shapely.Point(139.0, 36.0), shapely.Point(139.5, 36.5), None, shapely.Point(140.0, 37.0)]


@pytest.fixture(scope="module")
def rows() -> Collection:
    columns = {k: [r[k] for r in ROWS] for k in ROWS[0]}
    wkb = [None if p is None else shapely.to_wkb(p) for p in PLACES]
    table = pa.table({**columns, "geometry": pa.array(wkb, pa.binary())})
    return prepared(Outgoing("x", {}, table), "1")


def found(rows: Collection, text: str, language: str = "cql2-text") -> list[int]:
    return np.flatnonzero(cql2.chosen(cql2.read(text, language), rows, crs_uri.CRS84)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("height > 4", [2]), ("height >= 4 AND storeys = 1", [0]), ("height = 4 OR storeys = 3", [0, 1]),
        ("NOT height > 4", [0]), ("NOT (height > 4)", [0]), ("height <> 4", [2]), ("4 < height", [2]),
        ("height IS NULL", [1, 3]), ("height IS NOT NULL", [0, 2]), ("storeys IN (1, 10)", [0, 3]),
        ("storeys NOT IN (1, 10)", [1]), ("storeys BETWEEN 2 AND 10", [1, 3]),
        ("storeys NOT BETWEEN 2 AND 10", [0]), ("name = 'O''Hara_2'", [3]), ("name = 'O\\'Hara_2'", [3]),
        ("name LIKE 'c%'", [1]), ("CASEI(name) LIKE CASEI('C%')", [0, 1]), ("ACCENTI(name) = 'Cafe'", [0]),
        ("CASEI(ACCENTI(name)) LIKE 'cafe%'", [0, 1]), (r"name LIKE '%100\%'", [1]),
        (r"name LIKE '%\_2'", [3]), ("name NOT LIKE 'c%'", [0, 3]), ("wood", [0, 3]), ("NOT wood", [2]),
        ("wood = TRUE", [0, 3]), ("wood = false", [2]), ("storeys * 2 + 1 = 7", [1]),
        ("-storeys < -2", [1, 3]), ("storeys % 3 = 1", [0, 3]), ("storeys DIV 3 = 3", [3]),
        ("height > storeys", [0]), ('"storeys" ^ 2 = 9', [1]), ("(storeys + 1) * 2 = 4", [0]),
        ("S_INTERSECTS(geometry, BBOX(138.9, 35.9, 139.6, 36.6))", [0, 1]),
        ("S_WITHIN(geometry, POLYGON((139.4 36.4, 139.6 36.4, 139.6 36.6, 139.4 36.6, 139.4 36.4)))", [1]),
        ("S_DISJOINT(geometry, POINT(139 36))", [1, 3]), ("s_equals(POINT(139 36), geometry)", [0]),
        ("NOT S_INTERSECTS(geometry, POINT(139 36))", [1, 3]), ("geometry IS NULL", [2]),
        ("at >= TIMESTAMP('2026-11-20T12:00:00Z')", [1]), ("at < DATE('2026-11-21')", [0]),
        ("T_AFTER(at, DATE('2026-11-20'))", [0, 1]),
        ("T_DURING(at, INTERVAL('2026-11-20T00:00:00Z', '..'))", [0, 1]), ("TRUE", [0, 1, 2, 3]),
        ("T_BEFORE(at, TIMESTAMP('2026-11-20T02:00:00Z')) OR storeys = 10", [0, 3]),
    ],
)  # fmt: skip
def test_a_filter_lets_through_what_it_says(
    rows: Collection, text: str, expected: list[int]
) -> None:
    assert found(rows, text) == expected
    assert found(rows, json.dumps(cql2_text.parse(text)), "cql2-json") == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "height >", "height > 'x'", "name > 4", "heigth > 4", "AND", "(height > 4", "height > 4)",
        "height > 4 5", "name LIKE 4", "height LIKE 'x'", "name = 'x", "POINT(1 2)", "S_INTERSECTS(geometry, 1)",
        "S_INTERSECTS(name, POINT(1 2))", "S_INTERSECTS(geometry, POINT(1))", "S_BUFFER(geometry, 1)", "height + 1",
        "name", "1 = 'a'", "at > TIMESTAMP('yesterday')", "__import__('os')", "; DROP TABLE x", "height > ?",
        "S_INTERSECTS(geometry, POINT EMPTY)", "S_INTERSECTS(geometry, BBOX(1,2,3))", "IN (1)", "NOT", "-name = 1",
        "(" * 500 + "TRUE" + ")" * 500, "NOT " * 500 + "TRUE", "name = '" + "x" * 20_000 + "'", "height = 1e999x",
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_its_place(rows: Collection, text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        found(rows, text)
    assert caught.value.key in {"ogc_filter", "ogc_crs"}


@pytest.mark.parametrize(
    "node",
    ["1", "null", "[]", "{}", '{"op": 1}', '{"op": "and", "args": []}', '{"op": "=", "args": [1]}', "{",
     '{"op": "in", "args": [1, 2]}', '{"property": 1}', '{"op": "like", "args": [{"property": "name"}, {"x": 1}]}',
     '{"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": "x"}]}',
     '{"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": [null, 1]}]}',
     '{"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": ["a", 1, 2, 3]}]}',
     '{"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Nope", "coordinates": [1, 2]}]}',
     '{"op": "t_during", "args": [{"property": "at"}, {"interval": 3}]}', '{"date": 4}', "[" * 4000,
     '{"op":"not","args":[' * 100 + "true" + "]}" * 100],
)  # fmt: skip
def test_what_is_no_json_filter_is_refused(rows: Collection, node: str) -> None:
    with pytest.raises(BadInputError):
        found(rows, node, "cql2-json")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_at_all_breaks_the_parser(text: str) -> None:
    try:
        cql2_text.parse(text)
    except BadInputError as error:
        assert error.key == "ogc_filter"


NUMBERS = st.sampled_from(["height", "storeys"])
CONDITIONS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["<", ">", "=", "<>", "<=", ">="]), st.integers(-2, 13)),
    lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), inner, inner) | st.tuples(st.just("NOT"), inner),
    max_leaves=6,
)  # fmt: skip


def said(node: tuple[object, ...]) -> str:
    if node[0] in {"AND", "OR"}:
        return f"({said(node[1])} {node[0]} {said(node[2])})"  # type: ignore[arg-type]
    if node[0] == "NOT":
        return f"NOT ({said(node[1])})"  # type: ignore[arg-type]
    return f"{node[0]} {node[1]} {node[2]}"


def judged(node: tuple[object, ...], row: dict[str, object]) -> bool | None:
    """Three-valued logic, written out."""
    if node[0] == "NOT":
        inner = judged(node[1], row)  # type: ignore[arg-type]
        return None if inner is None else not inner
    if node[0] in {"AND", "OR"}:
        parts = [judged(n, row) for n in node[1:]]  # type: ignore[arg-type]
        strong = node[0] == "OR"
        return strong if strong in parts else None if None in parts else not strong
    value = row[str(node[0])]
    if value is None or str(value) == "nan":
        return None
    sign = {"=": "==", "<>": "!="}.get(str(node[1]), node[1])
    return bool(eval(f"{value} {sign} {node[2]}"))  # noqa: S307  (numbers and signs of this file)


@settings(deadline=None)
@given(CONDITIONS)
def test_any_condition_agrees_with_three_valued_logic(
    rows: Collection, node: tuple[object, ...]
) -> None:
    expected = [i for i, row in enumerate(ROWS) if judged(node, row) is True]
    assert found(rows, said(node)) == expected
