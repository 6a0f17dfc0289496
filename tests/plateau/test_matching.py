"""Which building of one edition is which of the next."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from citymap.plateau.matching import Matches, Side, match


def side(*buildings: tuple[str, str, shapely.Geometry | None]) -> Side:
    ids, gmls, shapes = (
        (list(column) for column in zip(*buildings, strict=True)) if buildings else ([], [], [])
    )
    return Side(np.array(ids, object), np.array(gmls, object), np.array(shapes, object))


def box(x: float, y: float = 0.0, w: float = 10.0, h: float = 10.0) -> shapely.Geometry:
    return shapely.box(x, y, x + w, y + h)


def rows(found: Matches) -> set[tuple[int, int, str, str]]:
    return set(
        zip(found.old.tolist(), found.new.tolist(), found.kind.tolist(), found.rule.tolist(), strict=True)
    )  # fmt: skip


def test_an_id_that_stayed_is_the_same_building_even_where_it_was_drawn_anew() -> None:
    found = match(side(("b1", "g1", box(0))), side(("b1", "h1", box(3, 2, 20, 20))))
    assert rows(found) == {(0, 0, "one", "building_id")}


def test_an_id_given_to_another_building_is_not_believed() -> None:
    old = side(("b1", "g1", box(0)), ("b2", "g2", box(200)))
    new = side(("b1", "h1", box(200)), ("b2", "h2", box(0)))
    found = match(old, new)
    assert rows(found) == {(0, 1, "one", "overlap"), (1, 0, "one", "overlap")}
    assert set(found.reused) == {(0, 0), (1, 1)}


def test_an_id_that_stands_twice_says_nothing() -> None:
    found = match(side(("b1", "g1", box(0))), side(("b1", "h1", box(0)), ("b1", "h2", box(15))))
    assert rows(found) == {(0, 0, "one", "overlap"), (-1, 1, "added", "")}


@pytest.mark.parametrize(("shift", "kind"), [(3.0, "one"), (6.0, "removed")])
def test_other_ids_are_matched_by_overlap_to_the_stated_threshold(shift: float, kind: str) -> None:
    # 10 × 10 moved by 3: IoU 70/130 = 0.54 · by 6: 40/160 = 0.25
    found = match(side(("b1", "g1", box(0))), side(("c1", "h1", box(shift))))
    assert kind in found.kind.tolist()


def test_a_split_and_a_merger_are_said() -> None:
    whole, left, right = box(0, 0, 20, 10), box(0, 0, 9.5, 10), box(10, 0, 10, 10)
    one, two = side(("b1", "g1", whole)), side(("c1", "h1", left), ("c2", "h2", right))
    assert {(o, n, k) for o, n, k, _ in rows(match(one, two))} == {(0, 0, "split"), (0, 1, "split")}
    assert {(o, n, k) for o, n, k, _ in rows(match(two, one))} == {
        (0, 0, "merged"),
        (1, 0, "merged"),
    }


def test_a_part_that_keeps_the_id_is_still_a_split() -> None:
    old = side(("b1", "g1", box(0, 0, 20, 10)))
    new = side(("b1", "g1", box(0, 0, 9.5, 10)), ("c2", "h2", box(10, 0, 10, 10)))
    assert rows(match(old, new)) == {(0, 0, "split", "building_id"), (0, 1, "split", "split")}


def test_a_shed_built_against_an_unchanged_house_was_added() -> None:
    old = side(("b1", "g1", box(0)))
    new = side(("b1", "g1", box(0)), ("c1", "h1", box(9, 0, 3, 3)))
    assert (-1, 1, "added", "") in rows(match(old, new))


def test_buildings_without_a_footprint_are_matched_by_id_and_never_lost() -> None:
    old = side(("b1", "g1", None), ("b2", "g2", None))
    new = side(("b1", "h1", box(0)), ("c2", "h2", None))
    assert rows(match(old, new)) == {
        (0, 0, "one", "building_id"), (1, -1, "removed", ""), (-1, 1, "added", "")
    }  # fmt: skip


def test_empty_editions() -> None:
    town = side(("b1", "g1", box(0)))
    assert rows(match(side(), town)) == {(-1, 0, "added", "")}
    assert rows(match(town, side())) == {(0, -1, "removed", "")}


BOXES = st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 25)] * 2).map(
    lambda b: shapely.box(b[0], b[1], b[0] + b[2], b[1] + b[3])
)
NAMES = st.sampled_from("abcdefgh")
EDITION = st.lists(st.tuples(NAMES, NAMES, BOXES), max_size=12).map(lambda b: side(*b))


@settings(max_examples=150, deadline=None)
@given(EDITION, EDITION)
def test_every_building_stands_in_the_result_and_twice_only_where_it_was_split_or_joined(
    old: Side, new: Side
) -> None:
    found = match(old, new)
    for column, several, count in (
        (found.old, "split", len(old.shapes)), (found.new, "merged", len(new.shapes))
    ):  # fmt: skip
        here = column >= 0
        assert set(column[here].tolist()) == set(range(count))
        for row in range(count):
            at = column == row
            assert at.sum() == 1 or set(found.kind[at].tolist()) == {several}
    alone = (found.old < 0) | (found.new < 0)
    assert set(found.kind[alone].tolist()) <= {"added", "removed"}
    assert np.isin(found.kind[~alone], ["one", "split", "merged"]).all()


@settings(max_examples=60, deadline=None)
@given(EDITION)
def test_an_edition_compared_with_itself_has_no_news(town: Side) -> None:
    unique = [k for k in range(len(town.shapes)) if list(town.gml_id).count(town.gml_id[k]) == 1]
    same = Side(town.gml_id[unique], town.gml_id[unique], town.shapes[unique])
    found = match(same, same)
    assert set(found.kind.tolist()) <= {"one"}
    assert (found.old == found.new).all()


@settings(max_examples=60, deadline=None)
@given(EDITION, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(town: Side, random: object) -> None:
    def keyed(
        found: Matches, a: NDArray[np.int64], b: NDArray[np.int64]
    ) -> set[tuple[int, int, str]]:
        o = [int(a[i]) if i >= 0 else -1 for i in found.old]
        n = [int(b[i]) if i >= 0 else -1 for i in found.new]
        return set(zip(o, n, found.kind.tolist(), strict=True))

    count = len(town.shapes)
    ids = np.array([f"x{k}" for k in range(count)], object)
    old = Side(ids, ids, town.shapes)
    turned = np.array(random.sample(range(count), count), np.int64)  # type: ignore[attr-defined]
    new = Side(ids, ids, town.shapes)
    new_turned = Side(ids[turned], ids[turned], town.shapes[turned])
    plain = np.arange(count)
    assert keyed(match(old, new), plain, plain) == keyed(match(old, new_turned), plain, turned)
