"""The gate: what is not described does not pass, at any depth, for any audience."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from citymap.layers.catalogue import Audience
from citymap.share import gate
from citymap.share.gate import AUDIENCES, GateError, release, release_table

SECRET = "himitsu-7f3a"  # noqa: S105
KINDS = sorted(gate.kinds())
audiences = st.sampled_from(AUDIENCES)


def leaf_paths(kind: str, audience: Audience) -> set[str]:
    allowed = gate.allowance(kind, audience)
    found: set[str] = set()

    def walk(tree: Any, path: str) -> None:
        for name, below in tree.items():
            here = f"{path}.{name}" if path else name
            if below and gate.ANY not in below:
                walk(below, here)
            else:
                found.add(f"{here}.*" if gate.ANY in below else here)

    if allowed is not None:
        walk(allowed.tree, "")
    return found


def nested(path: str, value: object) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: [nested(rest, value)] if rest else value}


names = st.one_of(
    st.text(min_size=1, max_size=10),
    st.sampled_from(["name ", "Name", "id.x", "contact", "owner", "lon2", "*", "raw", "__class__"]),
)
secrets = st.recursive(
    st.just(SECRET),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
    max_leaves=4,
)


@given(st.sampled_from(KINDS), audiences, st.dictionaries(names, secrets, max_size=5), st.data())
def test_a_field_that_is_not_described_never_passes(
    kind: str, audience: Audience, planted: dict[str, Any], data: st.DataObject
) -> None:
    described = {f.split(".")[0] for f in leaf_paths(kind, audience)}
    record = {k: v for k, v in planted.items() if k not in described}
    state = gate.kinds()[kind].state_field
    allowed = gate.allowance(kind, audience)
    if state and allowed is not None:
        record[state] = data.draw(st.sampled_from(sorted(allowed.states)))
    for path in sorted(leaf_paths(kind, audience)):  # a secret beside every described leaf, too
        if "." in path and not path.endswith("*"):
            parent = path.rpartition(".")[0]
            record |= nested(f"{parent}.zz-planted", SECRET)
    out = release(kind, [record], audience)
    assert SECRET not in json.dumps(out, ensure_ascii=False, default=str)


@given(st.sampled_from(KINDS), audiences, secrets)
def test_a_structure_cannot_hide_under_a_described_leaf(
    kind: str, audience: Audience, planted: Any
) -> None:
    state = gate.kinds()[kind].state_field
    for path in leaf_paths(kind, audience):
        if path.endswith("*") or "." in path or path in {state, "geometry"}:
            continue
        for value in ({"x": planted}, [{"x": planted}]):
            record = {path: value}
            allowed = gate.allowance(kind, audience)
            if state and allowed is not None:
                record[state] = next(iter(allowed.states))
            assert SECRET not in json.dumps(release(kind, [record], audience), default=str)


def test_an_unknown_kind_or_audience_is_refused() -> None:
    for kind, audience in (("secrets", "admin"), ("buildings", "nobody")):
        with pytest.raises(GateError):
            release(kind, [{}], audience)  # type: ignore[arg-type]
        with pytest.raises(GateError):
            release_table(kind, pa.table({"a": [1]}), audience)  # type: ignore[arg-type]


def test_people_are_for_planners_only_and_blurred() -> None:
    one = {"person_id": 1, "lon": 139.9, "lat": 36.5, "home": "x"}
    for audience in AUDIENCES:
        got = release("people", [one], audience)
        assert (len(got) == 1) is (audience == "planner")
    kept = release("people", [one], "planner")[0]
    assert "home" not in kept
    assert (kept["lon"], kept["lat"]) != (139.9, 36.5)


@pytest.mark.parametrize("state", [None, "", "received", "withheld", "Released", ["released"]])
def test_a_report_nobody_released_stays_in(state: Any) -> None:
    report = {"id": "a", "release": state, "category": "flood"}
    assert release("reports", [report], "public") == []


def test_a_released_report_goes_out_without_its_writer() -> None:
    report = {
        "id": "a", "release": "released", "category": "flood", "lon": 139.9, "lat": 36.5,
        "contact": SECRET, "text": SECRET, "photos": [SECRET], "public_text": "通行できません",
    }  # fmt: skip
    got = release("reports", [report], "public")[0]
    assert SECRET not in json.dumps(got)
    assert got["public_text"] == "通行できません"
    assert release("reports", [report], "staff")[0]["contact"] == SECRET


@given(st.floats(122, 154), st.floats(20, 46), st.sampled_from([10.0, 50.0, 100.0, 500.0]))
def test_a_blurred_place_is_near_and_always_the_same(lon: float, lat: float, blur_m: float) -> None:
    x, y = gate.blurred(lon, lat, blur_m)
    metres = math.hypot((x - lon) * math.cos(math.radians(lat)), y - lat) * gate.METRES_PER_DEGREE
    assert metres <= blur_m * 0.72
    assert np.allclose(gate.blurred(x, y, blur_m), (x, y), atol=1e-6)


@given(st.floats(122, 154), st.floats(20, 46))
def test_two_points_of_one_cell_cannot_be_told_apart(lon: float, lat: float) -> None:
    x, y = map(float, gate.blurred(lon, lat, 100.0))
    report = {"id": "a", "release": "released", "lon": lon, "lat": lat}
    other = {**report, "lon": x, "lat": y}
    far = release("people", [report, other], "planner")
    assert abs(far[0]["lon"] - far[1]["lon"]) < 1e-6
    assert abs(far[0]["lat"] - far[1]["lat"]) < 1e-6


@pytest.mark.parametrize("lon", [None, "139.9", math.nan, math.inf, True, [139.9]])
def test_a_place_that_is_no_number_is_dropped_where_places_are_blurred(lon: Any) -> None:
    report = {"id": "a", "release": "released", "lon": lon, "lat": 36.5}
    assert release("reports", [report], "public")[0].get("lon") is None


def test_the_shape_of_a_line_is_not_blurred_but_left_out() -> None:
    line = {"type": "LineString", "coordinates": [[139.9, 36.5], [139.91, 36.5]]}
    assert gate._blurred_geojson(line, 50) is None
    point = gate._blurred_geojson({"type": "Point", "coordinates": [139.9, 36.5], "x": SECRET}, 50)
    assert point is not None
    assert set(point) == {"type", "coordinates"}


def test_a_geometry_is_numbers_and_nothing_else() -> None:
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    got = release("districts", [{"geometry": {**square, "owner": SECRET}}], "public")
    assert got == [{"geometry": square}]
    for bad in ({"type": SECRET, "coordinates": []}, {"type": "Point", "coordinates": [SECRET, 1]},
                {"type": "Point", "coordinates": [{"a": SECRET}]}):  # fmt: skip
        assert release("districts", [{"geometry": bad}], "public") == [{}]


def test_small_counts_are_withheld() -> None:
    rows = [{"cell": "a", "people": n} for n in (0, 9, 10, 250)]
    assert [r["people"] for r in release("people_counts", rows, "public")] == [None, None, 10, 250]
    table = pa.Table.from_pylist(rows)
    assert release_table("people_counts", table, "public")["people"].to_pylist() == [
        None,
        None,
        10,
        250,
    ]


def test_own_attributes_of_a_city_are_for_staff() -> None:
    record = {"attributes": [{"name": "uro:landUseType", "value": "a"}, {"name": "gen:owner", "value": SECRET},
                             {"group": "g", "values": [{"name": "gen:x", "value": SECRET}, {"name": 3}]}]}  # fmt: skip
    public = release("buildings", [record], "public")
    assert SECRET not in json.dumps(public)
    assert public[0]["attributes"][0]["value"] == "a"
    assert SECRET in json.dumps(release("buildings", [record], "staff"))


@settings(deadline=None)  # a loaded machine is no fault of the gate
@given(audiences, st.lists(st.sampled_from(["released", "received", "x", None]), max_size=6))
def test_a_table_and_its_records_are_released_alike(
    audience: Audience, states: list[str | None]
) -> None:
    rows = [
        {
            "id": str(i),
            "release": s,
            "lon": 139.9 + i,
            "lat": 36.5,
            "contact": "c",
            "category": "flood",
        }
        for i, s in enumerate(states)
    ]
    schema = pa.schema([("id", pa.string()), ("release", pa.string()), ("lon", pa.float64()),
                        ("lat", pa.float64()), ("contact", pa.string()), ("category", pa.string())])  # fmt: skip
    table = release_table("reports", pa.Table.from_pylist(rows, schema=schema), audience)
    assert table.to_pylist() == release("reports", rows, audience)


def test_nested_columns_lose_what_is_not_described() -> None:
    rows = [{"gml_id": "a", "risks": [{"hazard": "x", "depth_m": 1.0, "owner": SECRET}], "owner": SECRET},
            {"gml_id": "b", "risks": None, "owner": SECRET}]  # fmt: skip
    got = release_table("buildings", pa.Table.from_pylist(rows), "public")
    assert SECRET not in repr(got.to_pylist())
    assert "owner" not in str(got.schema)
    assert got["risks"].to_pylist() == [[{"hazard": "x", "depth_m": 1.0}], None]


def test_metadata_of_a_table_stays_in_but_the_geometry_s() -> None:
    table = pa.table({"gml_id": ["a"], "geometry": [shapely.to_wkb(shapely.Point(1, 2))]})
    table = table.replace_schema_metadata({b"geo": b"{}", b"pandas": SECRET.encode()})
    assert release_table("buildings", table, "public").schema.metadata == {b"geo": b"{}"}


def test_every_description_has_a_title_in_both_languages() -> None:
    for kind in gate.kinds().values():
        assert kind.title.ja
        assert kind.title.en
        assert any(gate.may_see(kind.name, audience) for audience in AUDIENCES)


def test_every_declared_column_of_buildings_is_described() -> None:
    """A new column must be thought about: public, or by name for staff."""
    from citymap.model.columns import ADDRESSES, BUILDINGS, DISTRICTS, ROADS

    for table, kind in ((BUILDINGS, "buildings"), (DISTRICTS, "districts"), (ADDRESSES, "addresses"),
                        (ROADS, "roads")):  # fmt: skip
        assert {c.name for c in table.columns} - set(gate.fields(kind, "staff")) == set()
