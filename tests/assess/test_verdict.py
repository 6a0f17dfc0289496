"""The decision table of 垂直避難: every boundary and every missing value."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citymap.assess.verdict import ORDER, REASONS, Answer, Building, judge, lowest_dry_floor

HOUSE = Building(storeys=2, height_m=7.5, structure="木造・土蔵造")
GOOD: dict[str, Any] = {"surveyed": True, "duration_h": 10.0, "collapse_flow": False, "collapse_erosion": False}  # fmt: skip


def answer(
    depth_m: float | None, building: Building = HOUSE, hazard: str = "river_flood", **change: Any
) -> Answer:
    return judge(hazard, building, depth_m=depth_m, **{**GOOD, **change})


@pytest.mark.parametrize(
    ("depth_m", "floor"),
    [(0.01, 1), (0.499, 1), (0.5, 2), (2.999, 2), (3.0, 3), (4.999, 3), (5.0, 5), (9.999, 5), (10.0, 5), (12.0, 6), (20.0, 8)],
)  # fmt: skip
def test_a_boundary_belongs_to_the_deeper_class(depth_m: float, floor: int) -> None:
    assert lowest_dry_floor(depth_m) == floor


@pytest.mark.parametrize(
    ("storeys", "depth_m", "verdict"),
    [
        (1, 0.49, "stay_upstairs"), (1, 0.5, "leave"), (2, 0.5, "stay_upstairs"), (2, 2.99, "stay_upstairs"),
        (2, 3.0, "leave"), (3, 3.0, "stay_upstairs"), (3, 5.0, "leave"), (4, 5.0, "leave"), (5, 5.0, "stay_upstairs"),
    ],
)  # fmt: skip
def test_a_dry_floor_must_exist(storeys: int, depth_m: float, verdict: str) -> None:
    found = answer(depth_m, Building(storeys, storeys * 3.0 + 1))
    assert found.verdict == verdict
    assert ("no_dry_floor" in found.reasons) == (verdict == "leave")
    assert (found.dry_floor is None) == (verdict == "leave")


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        ({}, "stay_upstairs", "dry_floor_available"),
        ({"duration_h": 72.0}, "stay_upstairs", "dry_floor_available"),
        ({"duration_h": 72.1}, "leave", "duration_over_72h"),
        ({"duration_h": None}, "unknown", "duration_unknown"),
        ({"collapse_flow": True}, "leave", "collapse_flow"),
        ({"collapse_erosion": True}, "leave", "collapse_erosion"),
        ({"collapse_flow": None}, "unknown", "collapse_unsurveyed"),
        ({"collapse_erosion": None}, "unknown", "collapse_unsurveyed"),
        ({"building": Building(None, None)}, "unknown", "storeys_unknown"),
        ({"building": Building(None, 7.5)}, "stay_upstairs", "storeys_estimated"),
        ({"building": Building(None, 5.9)}, "leave", "storeys_estimated"),
        ({"building": Building(2, 7.5, "3003")}, "leave", "no_dry_floor"),
        ({"hazard": "tsunami"}, "leave", "hazard_requires_leaving"),
        ({"hazard": "landslide"}, "leave", "hazard_requires_leaving"),
        ({"hazard": "inland_flood", "collapse_flow": None, "collapse_erosion": None}, "stay_upstairs", "dry_floor_available"),
        ({"hazard": "storm_surge", "collapse_flow": None}, "unknown", "collapse_unsurveyed"),
    ],
)  # fmt: skip
def test_each_condition_by_itself(change: dict[str, Any], verdict: str, reason: str) -> None:
    found = answer(1.0, **change)
    assert found.verdict == verdict
    assert reason in found.reasons


def test_dry_places() -> None:
    assert answer(None) == Answer("outside_assumed_area", None, ("outside",))
    assert answer(0.0).verdict == "outside_assumed_area"
    assert answer(None, surveyed=False) == Answer("unknown", None, ("depth_unsurveyed",))
    assert (
        answer(None, collapse_erosion=True).verdict == "leave"
    )  # the bank is cut away, wet or not
    assert answer(None, surveyed=False, collapse_flow=True).verdict == "leave"
    assert "structure_unknown" in answer(1.0, Building(2, 7.5), collapse_flow=True).reasons


def test_above_ten_metres_a_measured_height_is_required() -> None:
    assert answer(12.0, Building(9, None)).verdict == "unknown"
    assert answer(12.0, Building(9, 28.0)).verdict == "stay_upstairs"
    assert answer(12.0, Building(9, 14.9)).verdict == "leave"


def test_nothing_missing_ever_makes_it_safer() -> None:
    """Over the whole table: taking a fact away never moves a verdict towards staying."""
    facts = {
        "depth_m": (0.3, 0.5, 2.9, 3.0, 6.0, 11.0),
        "duration_h": (None, 10.0, 72.0, 73.0),
        "collapse_flow": (None, False, True),
        "collapse_erosion": (None, False, True),
    }
    for hazard, storeys, height in itertools.product(
        ("river_flood", "inland_flood", "storm_surge", "high_tide", "tsunami"), (None, 1, 2, 5), (None, 4.0, 8.0, 30.0)
    ):  # fmt: skip
        for values in itertools.product(*facts.values()):
            full = dict(zip(facts, values, strict=True))
            found = judge(hazard, Building(storeys, height), surveyed=True, **full)
            assert set(found.reasons) <= set(REASONS)
            if found.verdict == "stay_upstairs":
                assert found.dry_floor is not None
                assert full["duration_h"] is not None and full["duration_h"] <= 72
                assert hazard in {"river_flood", "inland_flood", "storm_surge", "high_tide"}
                assert not full["collapse_flow"] and not full["collapse_erosion"]
                assert full["depth_m"] < 0.5 or storeys is not None or height is not None
            for name in ("duration_h", "collapse_flow", "collapse_erosion"):
                less = judge(
                    hazard, Building(storeys, height), surveyed=True, **{**full, name: None}
                )
                if found.verdict == "unknown":
                    assert less.verdict == "unknown"
                if found.verdict == "leave" and less.verdict != "leave":
                    assert less.verdict == "unknown" or hazard == "inland_flood"


@given(st.floats(0.001, 60), st.floats(0.001, 60))
def test_deeper_water_never_needs_a_lower_floor(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert lowest_dry_floor(low) <= lowest_dry_floor(high)


@given(st.floats(0.001, 9.99), st.integers(1, 12))
def test_deeper_water_never_makes_it_better(depth_m: float, storeys: int) -> None:
    building = Building(storeys, 3.0 * storeys + 1)
    verdicts = [
        ORDER.index(answer(float(d), building).verdict) for d in np.linspace(depth_m, 20, 15)
    ]
    assert verdicts == sorted(verdicts, reverse=True)
