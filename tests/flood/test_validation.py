"""The shipped validation cases give what they should, and failures are told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from citymap import cli
from citymap.flood.cases import dam_break, travelling_wave
from citymap.flood.validation import CASES, Row, published
from citymap.i18n import catalogue

DOCS = Path(__file__).parents[2] / "docs" / "flood.md"
KEYS = {"case", "measure", "value", "unit", "reference", "band", "pass", "expected_fail"}


@pytest.mark.parametrize("name", sorted(CASES.load()))
def test_every_case_gives_the_expected_result(name: str) -> None:
    rows, curves = CASES.load()[name]()
    assert rows
    assert [(r.measure, r.value, r.band) for r in rows if not r.as_expected] == []
    assert all(r.case == name for r in rows)
    assert all(len(c.x) == len(c.y) > 1 for c in curves)
    for r in rows:
        assert set(r.as_dict()) == KEYS


def test_every_case_of_the_environment_agency_says_what_was_reconstructed() -> None:
    cases = [name for name in CASES.load() if name.startswith("ea_")]
    assert len(cases) == 6
    told = DOCS.read_text(encoding="utf-8")
    for name in cases:
        said = catalogue()[f"flood.reconstructed.{name}"]
        assert said["ja"]
        assert said["en"]
        number = name.removeprefix("ea_").upper()
        assert any(
            line.startswith(f"| EA {number} ") and line.count("|") == 4
            for line in told.splitlines()
        )


def test_every_case_says_what_others_published_or_that_we_know_of_none() -> None:
    for name in CASES.load():
        for lang in ("ja", "en"):
            assert published(name, lang)
    assert published("none", "en") is None
    table = DOCS.read_text(encoding="utf-8").partition("| 公表値 / published |")[2]
    rows = [row.strip("|").split("|") for row in table.splitlines()[2:] if row.startswith("|")]
    for row in rows[: len(CASES.load())]:
        assert len(row) == 4
        assert row[2].strip()


def test_what_the_scheme_cannot_do_is_shown_as_failing() -> None:
    rows, _ = dam_break.run()
    assert all(r.expected_fail != r.passed for r in rows)
    assert [r.expected_fail for r in rows] == [True, False] * 2  # inertial, hllc


def test_a_row_passes_inside_its_band_only() -> None:
    assert Row("a", "b", 1.0, None, (0, 1)).passed
    assert not Row("a", "b", 1.1, None, (0, 1)).passed
    assert not Row("a", "b", math.nan, None, (0, 1)).passed
    assert not Row("a", "b", 1.0, None, (0, 1), expected_fail=True).as_expected


def test_the_wave_solves_its_equation() -> None:
    import numpy as np

    g, behind = 9.80665, np.array([10.0, 500, 3000])
    h = travelling_wave.exact_m(behind)
    left = 3 / 7 * h ** (7 / 3) - 3 / (4 * g) * h ** (4 / 3)
    assert np.allclose(left, 0.03**2 * behind, rtol=1e-10)
    assert (h >= 7 / (4 * g)).all()


def test_the_command_lists_draws_and_fails_on_a_surprise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli._register()
    ask = ["flood", "validate", "--case", "dam_break", "--json", "--plots", str(tmp_path)]
    done = CliRunner().invoke(cli.app, ask)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {r["expected_fail"] for r in rows} == {True, False}
    assert all("Neal et al. 2012" in r["published"] for r in rows)
    etree.parse(tmp_path / "dam_break.svg")
    surprise = Row("dam_break", "m", 5.0, 0.0, (0, 1))
    monkeypatch.setitem(CASES._items, "dam_break", lambda: ([surprise], []))
    assert CliRunner().invoke(cli.app, ask).exit_code == 1
    assert CliRunner().invoke(cli.app, ["flood", "validate", "--case", "nothing"]).exit_code == 1
