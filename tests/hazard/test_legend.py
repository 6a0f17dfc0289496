"""Legends: the official numbers, bounds that go up, and missing values that stay missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citymap.hazard.legend import DEPTH, DEPTH_DETAILED, DURATION, classify, legends
from citymap.model.legend import UNKNOWN

ALL = sorted(legends())


def test_standard_depth_classes_are_the_published_ones() -> None:
    classes = legends()[DEPTH].classes
    assert [c.minimum for c in classes] == [0, 0.5, 3, 5, 10, 20]
    assert [c.colour for c in classes] == [
        (247, 245, 169), (255, 216, 192), (255, 183, 183), (255, 145, 145), (242, 133, 201), (220, 122, 220),
    ]  # fmt: skip


def test_detailed_depth_has_eight_classes_and_shares_the_upper_four() -> None:
    detailed, standard = legends()[DEPTH_DETAILED].classes, legends()[DEPTH].classes
    assert [c.minimum for c in detailed] == [0, 0.3, 0.5, 1, 3, 5, 10, 20]
    assert [(c.minimum, c.colour) for c in detailed[-4:]] == [
        (c.minimum, c.colour) for c in standard[-4:]
    ]


def test_duration_breaks_are_hours() -> None:
    assert [c.minimum for c in legends()[DURATION].classes] == [0, 12, 24, 72, 168, 336, 672]


@pytest.mark.parametrize("legend_id", ALL)
def test_every_legend_has_both_languages_unit_and_source(legend_id: str) -> None:
    legend = legends()[legend_id]
    assert legend.unit and legend.source
    for c in legend.classes:
        assert c.label["ja"] and c.label["en"]
        assert all(0 <= v <= 255 for v in c.colour)


@pytest.mark.parametrize("legend_id", ALL)
def test_a_bound_goes_to_the_upper_class(legend_id: str) -> None:
    for i, c in enumerate(legends()[legend_id].classes):
        assert classify([c.minimum], legend_id)[0] == i
        if i:
            assert classify([np.nextafter(c.minimum, -math.inf)], legend_id)[0] == i - 1


@given(st.lists(st.floats(min_value=-10, max_value=1e4)), st.sampled_from(ALL))
def test_classes_hold_their_values(values: list[float], legend_id: str) -> None:
    classes = legends()[legend_id].classes
    for value, number in zip(values, classify(values, legend_id), strict=True):
        if value < classes[0].minimum:
            assert number == UNKNOWN
        else:
            c = classes[number]
            assert c.minimum <= value and (c.maximum is None or value < c.maximum)


@given(
    st.floats(min_value=0, max_value=1e4),
    st.floats(min_value=0, max_value=1e4),
    st.sampled_from(ALL),
)
def test_deeper_is_never_a_lower_class(a: float, b: float, legend_id: str) -> None:
    low, high = classify(sorted([a, b]), legend_id)
    assert low <= high


@pytest.mark.parametrize("legend_id", ALL)
def test_missing_is_never_the_lowest_class(legend_id: str) -> None:
    assert classify([math.nan], legend_id)[0] == UNKNOWN
