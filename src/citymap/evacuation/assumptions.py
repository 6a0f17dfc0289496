"""What a run took for granted, in words for planners to check, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from citymap.evacuation.people import AGES, DIFFICULTY, HOUSEHOLDS
from citymap.evacuation.person import CAR_M_S
from citymap.evacuation.person import PEOPLE as CLASSES
from citymap.evacuation.shelters import FLOODED_M
from citymap.evacuation.water import BESIDE_M
from citymap.i18n import LANGUAGES, Word, t

if TYPE_CHECKING:
    from citymap.evacuation.scenario import Evacuation, Scenario
    from citymap.evacuation.town import Town


def assumptions(town: Town, scenario: Scenario) -> list[dict[str, str]]:
    """One line an assumption, `{language: text}`."""
    return [{g: t(w.key, g, **w.values) for g in LANGUAGES} for w in _lines(town, scenario)]


def in_language(line: str | dict[str, str], lang: str) -> str:
    """One assumption of a summary; those of older results are plain text."""
    return line if isinstance(line, str) else line.get(lang) or line.get("en", "")


def _word(key: str, **values: object) -> Word:
    return Word(f"evacuation.assumed.{key}", values)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _lines(town: Town, scenario: Scenario) -> list[Word]:
    given, notes = scenario.evacuation, town.notes
    told = int(notes["ages_given"])
    shares = [Word("evacuation.assumed.share", {"name": Word(f"evacuation.age.{n}"), "share": _percent(s)}) for n, s in AGES]  # fmt: skip
    frail = [Word("evacuation.assumed.share", {"name": Word(f"evacuation.age.{n}"), "share": _percent(s)}) for n, s in DIFFICULTY.items()]  # fmt: skip
    speeds = [_word("speed", name=Word(f"evacuation.mobility.{c.id}"), speed=f"{c.speed_m_s:g}") for c in CLASSES]  # fmt: skip
    return [
        *_people(town, given),
        *([_word("ages_given", count=f"{told:,}")] if told else []),
        *([_word("ages", shares=tuple(shares))] if told < town.people.count else []),
        _word("difficulty", shares=tuple(frail)),
        _word("households", shares=" / ".join(_percent(s) for s in HOUSEHOLDS)),
        _word("speeds", speeds=tuple(speeds), cars=f"{CAR_M_S:.1f}"),
        *([_word("night")] if given.night else []),
        _word(
            "water", law=Word(f"ui.evacuation.law_{given.speed_law}"),
            limit=Word(f"evacuation.limit.{given.stability}"),
        ),
        _word("deepest"),
        _word("widths", count=notes["network"]["width_unknown"]),
        _word("knowledge", how=Word(f"ui.evacuation.knowledge_{given.knowledge}")),
        _word("upstairs", share=_percent(given.vertical_share)),
        _word("behaviour", compliance=_percent(given.compliance), cars=_percent(given.car_share)),
        _word("designated", hazard=Word(f"ui.shelter.hazard_name.{given.hazard}")),
        _word("capacity", count=len(notes["shelters_capacity_assumed"]), people=given.unknown_capacity),
        _word("outside", count=notes["edges_outside_flood"]),
        _word("wet_places", metres=f"{BESIDE_M:g}", depth=f"{FLOODED_M:g}"),
    ]  # fmt: skip


def _people(town: Town, given: Evacuation) -> list[Word]:
    population = given.population
    source: dict[str, Any] = {"people": f"{town.people.count:,}", "file": population.file}
    when = "night" if given.night else "day"
    found = [_word("from_file" if population.file else f"from_floor_area_{when}", **source)]
    if population.hour is not None:
        found.append(_word("hour", hour=population.hour))
    if population.visitors:
        found.append(_word("visitors", file=population.visitors))
    return found
