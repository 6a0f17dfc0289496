"""The shipped validation: every case runs and comes out as foretold; a wrong model would show."""

from __future__ import annotations

import numpy as np
import pytest

from citymap.evacuation.validation import CASES, Row, validate


@pytest.mark.parametrize("case", sorted(CASES.load()))
def test_every_case_comes_out_as_foretold(case: str) -> None:
    rows = validate([case])
    assert rows
    assert {r.case for r in rows} == {case}
    assert [r.as_dict() for r in rows if not r.as_expected] == []


def test_what_the_model_cannot_do_is_shown_as_failing() -> None:
    failing = [r for r in validate(["route_choice"]) if r.expected_fail]
    assert len(failing) == 1
    assert not failing[0].passed


def test_a_value_that_is_no_number_never_passes() -> None:
    assert not Row("x", "m", float("nan"), None, (-np.inf, np.inf)).passed


def test_rows_say_what_machines_ask_for() -> None:
    row = validate(["single_person"])[0].as_dict()
    assert {"case", "measure", "value", "reference", "band", "pass", "expected_fail"} <= set(row)


def test_slower_walkers_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from citymap.evacuation import trial

    right = trial.dry_speeds()
    monkeypatch.setattr(trial, "dry_speeds", lambda: right * 0.9)
    assert not all(r.passed for r in validate(["single_person"]))
